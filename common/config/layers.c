#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/small_file.h"
#include "common/config/file.h"
#include "common/config/internal.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)
#define SECRET_SIZE_MAX ((size_t)64 * 1024)
#define NAME_SIZE_MAX 128
#define SECRETS "schedrun.secrets"
#define PREFIX "SCHEDRUN_"
#define KAFKA_PREFIX "SCHEDRUN_KAFKA_"

extern char **environ;

void
config_wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void
config_layers_finish(struct config_layers *layers)
{
	size_t i;

	for (i = 0; i < layers->n; i++) {
		free(layers->rows[i].name);
		config_wipe(layers->rows[i].value);
		free(layers->rows[i].source);
	}
	free(layers->rows);
	*layers = (struct config_layers){ 0 };
}

static char *
copy(struct text text)
{
	char *string = memory_zalloc(text.size + 1, 1);

	memcpy(string, text.at, text.size);
	return string;
}

/* Adds a row; its name is `prefix` and `name`. */
static const struct config_given *
add(struct config_layers *layers, const char *prefix, struct text name,
    struct text value, const char *source)
{
	struct config_given *row;
	struct buffer whole = { 0 };

	layers->rows =
	    memory_resize(layers->rows, layers->n + 1, sizeof *layers->rows);
	row = &layers->rows[layers->n++];
	buffer_format(&whole, "%s%.*s", prefix, TEXT_ARG(name));
	buffer_byte(&whole, '\0');
	*row = (struct config_given){ whole.at, copy(value),
		memory_copy_string(source) };
	return row;
}

/* A file's fault is the whole configuration's. */
static int
read_whole(const char *path, size_t max, struct buffer *out, struct error *err)
{
	bool exposed; /* a warning that comes once all is read */

	if (small_file_read(path, max, out, &exposed, err) == 0)
		return 0;
	if (err != NULL)
		err->kind = ERROR_FATAL;
	return -1;
}

static void
wipe_buffer(struct buffer *buffer)
{
	if (buffer->at != NULL)
		explicit_bzero(buffer->at, buffer->capacity);
	buffer_finish(buffer);
}

/* What a text of one line may hold. */
static bool
is_secret_byte(char byte)
{
	return byte != '\0' && byte != '\r' && byte != '\n';
}

char *
config_read_secret(const char *path, const char *source, struct error *err)
{
	struct buffer content = { 0 };
	char *secret = NULL;
	struct text text;
	size_t i;

	if (read_whole(path, SECRET_SIZE_MAX, &content, err) != 0) {
		error_prefix(err, "%s", source);
		goto out;
	}
	text = text_skip_mark(buffer_text(&content));
	if (text.size > 0 && text.at[text.size - 1] == '\n')
		text.size--;
	if (text.size > 0 && text.at[text.size - 1] == '\r')
		text.size--;
	for (i = 0; i < text.size && is_secret_byte(text.at[i]); i++)
		;
	if (i < text.size)
		error_set(err, ERROR_FATAL,
		    "%s: %s: has a NUL or a second line; a secret is one line",
		    source, path);
	else if (text.size == 0)
		error_set(err, ERROR_FATAL, "%s: %s: is empty, not a secret",
		    source, path);
	else
		secret = copy(text);
out:
	wipe_buffer(&content);
	return secret;
}

static int
read_file(struct config_layers *layers, const char *path, struct error *err)
{
	struct config_line lines[CONFIG_LINES_MAX];
	struct buffer content = { 0 };
	char source[300];
	bool secret = false;
	int n = -1, i;

	if (read_whole(path, FILE_SIZE_MAX, &content, err) == 0)
		n = config_file_parse(path, buffer_text(&content), lines, err);
	for (i = 0; i < n; i++) {
		const struct config_given *row;

		snprintf(source, sizeof source, "%s:%d", path, lines[i].number);
		row = add(layers, "", lines[i].key, lines[i].value, source);
		secret = secret || config_is_secret(row->name);
	}
	config_paths_put(layers->paths, NULL, path, secret);
	wipe_buffer(&content);
	return n < 0 ? -1 : 0;
}

/* A variable that is set to nothing is not set: compose files have such. */
static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/*
 * Where secrets are looked for: in a unit where it has loaded them, else where
 * units load them from, which not everybody may read.  False: nowhere.
 */
static bool
find_secrets(const char *file, char path[PATH_MAX])
{
	const char *credentials = variable("CREDENTIALS_DIRECTORY");
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	int size = slash != NULL ? (int)(slash - file) : 1;

	if (credentials == NULL && file == NULL)
		return false;
	if (credentials != NULL)
		snprintf(path, PATH_MAX, "%s/" SECRETS, credentials);
	else
		snprintf(path, PATH_MAX, "%.*s/" SECRETS, size,
		    slash != NULL ? file : ".");
	return access(path, credentials != NULL ? F_OK : R_OK) == 0;
}

static int
read_files(struct config_layers *layers, const char *file, struct error *err)
{
	static const char *const usual[] = { "./schedrun.conf",
		"/etc/schedrun/schedrun.conf" };
	char secrets[PATH_MAX];
	size_t i;

	if (file == NULL)
		file = variable("SCHEDRUN_CONFIG");
	for (i = 0; file == NULL && i < sizeof usual / sizeof usual[0]; i++)
		if (access(usual[i], F_OK) == 0)
			file = usual[i];
	if (file != NULL && read_file(layers, file, err) != 0)
		return -1;
	return find_secrets(file, secrets) ? read_file(layers, secrets, err)
					   : 0;
}

/* Variables that are read elsewhere. */
static bool
is_reserved(const char *name)
{
	static const char *const reserved[] = {
		"SCHEDRUN_CONFIG",
#ifdef SCHEDRUN_FAULTS
		"SCHEDRUN_CRASH_AT",
		"SCHEDRUN_CRASH_ON",
		"SCHEDRUN_SLOW_PLAN",
		"SCHEDRUN_SLOW_CUT",
		"SCHEDRUN_KEEP_SUSPECT",
		"SCHEDRUN_TIME_LAPSE",
#endif
	};
	size_t i;

	for (i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

/* REDIS_URL -> redis.url */
static void
lower_name(const char *upper, char out[NAME_SIZE_MAX])
{
	size_t i;

	for (i = 0; i < NAME_SIZE_MAX - 1 && upper[i] != '\0'; i++) {
		out[i] = upper[i] == '_' ? '.' : upper[i];
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
	}
	out[i] = '\0';
}

static void
read_environment(struct config_layers *layers)
{
	static const size_t prefix = sizeof PREFIX - 1;
	static const size_t kafka = sizeof KAFKA_PREFIX - 1;
	char name[NAME_SIZE_MAX], key[NAME_SIZE_MAX];
	char source[NAME_SIZE_MAX + 8];
	char **at;

	for (at = environ; *at != NULL; at++) {
		const char *equals = strchr(*at, '=');
		bool is_kafka = strncmp(*at, KAFKA_PREFIX, kafka) == 0;

		if (equals == NULL || strncmp(*at, PREFIX, prefix) != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(equals - *at), *at);
		if (is_reserved(name) || equals[1] == '\0')
			continue;
		snprintf(source, sizeof source, "env %s", name);
		lower_name(name + (is_kafka ? kafka : prefix), key);
		add(layers, is_kafka ? "kafka." : "", text_from(key),
		    text_from(equals + 1), source);
	}
}

static int
read_flag(struct config_layers *layers, const struct config_flag *flag,
    struct error *err)
{
	bool is_key = flag->kind == CONFIG_FLAG_KEY;
	const char *letter = is_key ? "-s" : "-X";
	const char *equals = strchr(flag->text, '=');
	struct text name = { flag->text, 0 };
	const struct config_given *row;

	if (equals == NULL || equals == flag->text ||
	    equals - flag->text >= NAME_SIZE_MAX)
		return error_set(err, ERROR_FATAL,
		    "%s %.100s: not of the form key=value", letter, flag->text);
	name.size = (size_t)(equals - flag->text);
	row = add(layers, is_key ? "" : "kafka.", name, text_from(equals + 1),
	    is_key ? "flag -s" : "flag -X");
	if (!config_is_secret(row->name))
		return 0;
	return error_set(err, ERROR_FATAL,
	    "%s %.*s: a secret can't be an argument, everybody can read those; "
	    "put it into a file and give %.*s.file",
	    letter, TEXT_ARG(name), TEXT_ARG(name));
}

int
config_layers_read(struct config_layers *layers, const char *file,
    const struct config_flag *flags, size_t n_flags, struct error *err)
{
	size_t i;

	if (read_files(layers, file, err) != 0)
		return -1;
	read_environment(layers);
	for (i = 0; i < n_flags; i++)
		if (read_flag(layers, &flags[i], err) != 0)
			return -1;
	return 0;
}
