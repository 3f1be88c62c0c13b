#include "common/config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <confuse.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/layers.h"
#include "common/config/scan.h"

#define FILE_SIZE_MAX ((off_t)1024 * 1024)
#define LINE_SIZE_MAX ((size_t)64 * 1024)
#define SECRET_SIZE_MAX ((off_t)64 * 1024)
#define KEYS_MAX 256

/*
 * libconfuse's callbacks carry no pointer of the caller's, so what they work
 * for stands here while one file is parsed.  Configuration is loaded once,
 * before the first thread.
 */
static struct {
	struct config *config;
	struct error *err;
	const char *path;
	bool failed; /* err is set by a callback */
	bool has_secret;
	char said[512]; /* the last of libconfuse's own messages */
	const char *seen[KEYS_MAX];
	int seen_line[KEYS_MAX];
	size_t n_seen;
	struct config_property_place places[CONFIG_PLACES_MAX];
	int n_places;
} parsing;

/* Reads a regular file whole, NUL-terminated; NULL with ERROR_FATAL. */
static char *
read_whole(const char *path, off_t max, mode_t *mode, struct error *err)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;
	char *content = NULL;
	ssize_t size = -1;

	if (file < 0 || fstat(file, &about) != 0) {
		error_set(err, ERROR_FATAL, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(about.st_mode) || about.st_size > max) {
		error_set(err, ERROR_FATAL,
		    "%s: not a regular file of at most %lld bytes", path,
		    (long long)max);
		goto out;
	}
	content = memory_zalloc((size_t)about.st_size + 1, 1);
	size = read(file, content, (size_t)about.st_size);
	if (size < 0) {
		error_set(err, ERROR_FATAL, "%s: %s", path, strerror(errno));
		free(content);
		content = NULL;
		goto out;
	}
	content[size] = '\0';
	*mode = about.st_mode;
out:
	if (file >= 0)
		close(file);
	return content;
}

char *
config_read_secret(const char *path, const char *source, struct error *err)
{
	mode_t mode;
	char *content = read_whole(path, SECRET_SIZE_MAX, &mode, err);
	size_t size;

	if (content == NULL) {
		error_prefix(err, "%s", source);
		return NULL;
	}
	size = strcspn(content, "\r\n");
	content[size] = '\0';
	if (size > 0)
		return content;
	free(content);
	error_set(
	    err, ERROR_FATAL, "%s: %s: is empty, not a secret", source, path);
	return NULL;
}

/* libconfuse reports keys of free blocks although it takes them: kept, and
 * shown only if the parse fails. */
static void keep_message(cfg_t *cfg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
keep_message(cfg_t *cfg, const char *format, va_list args)
{
	char text[400];

	vsnprintf(text, sizeof text, format, args);
	snprintf(parsing.said, sizeof parsing.said, "%s:%d: %s", parsing.path,
	    cfg != NULL ? cfg->line : 0, text);
}

static int
fail_once(cfg_t *cfg, const char *key, int line)
{
	error_set(parsing.err, ERROR_FATAL,
	    "%s:%d: %s: set twice, first in line %d", parsing.path, cfg->line,
	    key, line);
	parsing.failed = true;
	return -1;
}

/* A secret and its NAME.file are one key. */
static bool
is_same_key(const char *a, const char *b)
{
	size_t shorter = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
	const char *rest = strlen(a) > strlen(b) ? a : b;

	return strncmp(a, b, shorter) == 0 &&
	    (rest[shorter] == '\0' || strcmp(rest + shorter, ".file") == 0);
}

static int
take_key(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	char source[300];
	size_t i;

	*(const char **)result = value;
	for (i = 0; i < parsing.n_seen; i++)
		if (is_same_key(parsing.seen[i], opt->name))
			return fail_once(cfg, opt->name, parsing.seen_line[i]);
	parsing.seen[parsing.n_seen] = opt->name;
	parsing.seen_line[parsing.n_seen++] = cfg->line;
	snprintf(source, sizeof source, "%s:%d", parsing.path, cfg->line);
	if (config_is_secret(opt->name))
		parsing.has_secret = true;
	if (config_set(parsing.config, opt->name, value, source, parsing.err) ==
	    0)
		return 0;
	parsing.failed = true;
	return -1;
}

static const struct block {
	const char *name;
	enum config_block block;
} blocks[] = {
	{ "kafka", CONFIG_BLOCK_BOTH },
	{ "kafka-consumer", CONFIG_BLOCK_CONSUMER },
	{ "kafka-producer", CONFIG_BLOCK_PRODUCER },
};
#define BLOCKS (sizeof blocks / sizeof blocks[0])

/* "file:line" of a block's property. */
static void
find_source(const char *block, const char *name, char *source, size_t size)
{
	int i;

	for (i = 0; i < parsing.n_places; i++)
		if (text_equal(parsing.places[i].block, text_from(block)) &&
		    text_equal(parsing.places[i].name, text_from(name)))
			break;
	snprintf(source, size, "%s:%d", parsing.path,
	    i < parsing.n_places ? parsing.places[i].line : 0);
}

static int
take_block(cfg_t *cfg, const struct block *block, struct error *err)
{
	unsigned i;

	for (i = 0; i < cfg_num(cfg); i++) {
		cfg_opt_t *opt = cfg_getnopt(cfg, i);
		const char *value = cfg_opt_getnstr(opt, 0);
		char source[300];

		find_source(block->name, opt->name, source, sizeof source);
		if (config_property_is_secret(opt->name))
			parsing.has_secret = true;
		if (config_add_property(parsing.config, block->block, opt->name,
			value != NULL ? value : "",
			(struct config_place){ source, err }) != 0)
			return -1;
	}
	return 0;
}

/* The options: every key, NAME.file of every secret, the free blocks. */
static size_t
make_options(cfg_opt_t *options, char names[][64])
{
	static cfg_opt_t nothing[] = { CFG_END() };
	const struct config_key *key;
	size_t n = 0, n_names = 0, i;

	for (key = config_keys(); key->name != NULL; key++) {
		options[n++] = (cfg_opt_t)CFG_STR_CB(
		    key->name, NULL, CFGF_NODEFAULT, take_key);
		if (!key->secret)
			continue;
		snprintf(names[n_names], sizeof names[0], "%s.file", key->name);
		options[n++] = (cfg_opt_t)CFG_STR_CB(
		    names[n_names++], NULL, CFGF_NODEFAULT, take_key);
	}
	for (i = 0; i < BLOCKS; i++)
		options[n++] =
		    (cfg_opt_t)CFG_SEC(blocks[i].name, nothing, CFGF_KEYSTRVAL);
	options[n++] = (cfg_opt_t)CFG_END();
	return n;
}

/* The name in libconfuse's "no such option 'name'"; false: it said another. */
static bool
find_unknown(char name[64])
{
	const char *at = strstr(parsing.said, "no such option '");

	return at != NULL && sscanf(at, "no such option '%63[^']'", name) == 1;
}

/* What went wrong: a key's own fault, else what libconfuse said last. */
static int
report(struct error *err)
{
	char name[64], source[300];

	if (parsing.failed)
		return -1;
	if (!find_unknown(name))
		return error_set(err, ERROR_FATAL, "%s",
		    parsing.said[0] != '\0' ? parsing.said : parsing.path);
	snprintf(source, sizeof source, "%.*s",
	    (int)(strstr(parsing.said, ": no such") - parsing.said),
	    parsing.said);
	/* Says that it is unknown, with the one that is nearest. */
	if (config_set(parsing.config, name, "", source, err) != 0)
		return -1;
	return error_set(err, ERROR_FATAL, "%s", parsing.said);
}

static int
parse(const char *content, struct error *err)
{
	static cfg_opt_t options[KEYS_MAX];
	static char names[16][64];
	cfg_t *cfg;
	size_t i;
	int rc = -1;

	make_options(options, names);
	cfg = cfg_init(options, CFGF_NONE);
	if (cfg == NULL)
		memory_exhausted();
	cfg_set_error_function(cfg, keep_message);
	if (cfg_parse_buf(cfg, content) != CFG_SUCCESS) {
		report(err);
		goto out;
	}
	parsing.n_places =
	    config_scan(parsing.path, content, parsing.places, err);
	if (parsing.n_places < 0)
		goto out;
	for (i = 0; i < BLOCKS; i++)
		if (cfg_size(cfg, blocks[i].name) > 0 &&
		    take_block(
			cfg_getsec(cfg, blocks[i].name), &blocks[i], err) != 0)
			goto out;
	rc = 0;
out:
	cfg_free(cfg);
	return rc;
}

static int
check_mode(mode_t mode, struct error *err)
{
	if (!parsing.has_secret || (mode & S_IROTH) == 0)
		return 0;
	if (config_switch(parsing.config, "strict"))
		return error_set(err, ERROR_FATAL,
		    "%s: holds a secret and everybody may read it; chmod 0640",
		    parsing.path);
	log_event(LOG_WARN, "config", "secret_exposed",
	    "a file with a secret may be read by everybody; chmod 0640",
	    LOG_S("file", parsing.path), LOG_END);
	return 0;
}

/* libconfuse takes seconds for a line of a megabyte. */
static int
check_lines(const char *path, const char *content, struct error *err)
{
	int line = 1;

	while (*content != '\0') {
		size_t size = strcspn(content, "\n");

		if (size > LINE_SIZE_MAX)
			return error_set(err, ERROR_FATAL,
			    "%s:%d: a line of %zu bytes, more than %zu", path,
			    line, size, LINE_SIZE_MAX);
		content += size + (content[size] == '\n');
		line++;
	}
	return 0;
}

static int
read_file(struct config *config, const char *path, struct error *err)
{
	mode_t mode;
	char *content = read_whole(path, FILE_SIZE_MAX, &mode, err);
	int rc;

	if (content == NULL)
		return -1;
	if (!text_is_utf8(text_from(content))) {
		free(content);
		return error_set(err, ERROR_FATAL, "%s: not UTF-8", path);
	}
	memset(&parsing, 0, sizeof parsing);
	parsing.config = config;
	parsing.err = err;
	parsing.path = path;
	rc = check_lines(path, content, err);
	if (rc == 0)
		rc = parse(content, err);
	explicit_bzero(content, strlen(content));
	free(content);
	return rc == 0 ? check_mode(mode, err) : -1;
}

int
config_read_files(struct config *config, const char *file, struct error *err)
{
	static const char *const usual[] = { "./schedrun.conf",
		"/etc/schedrun/schedrun.conf" };
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char secrets[4096];
	size_t i;

	if (file == NULL)
		file = getenv("SCHEDRUN_CONFIG");
	for (i = 0; file == NULL && i < sizeof usual / sizeof usual[0]; i++)
		if (access(usual[i], F_OK) == 0)
			file = usual[i];
	if (file != NULL && read_file(config, file, err) != 0)
		return -1;
	if (credentials == NULL)
		return 0;
	snprintf(secrets, sizeof secrets, "%s/schedrun.secrets", credentials);
	return access(secrets, F_OK) == 0 ? read_file(config, secrets, err) : 0;
}
