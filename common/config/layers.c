#include "common/config/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define NAME_SIZE_MAX 128
#define PREFIX "SCHEDRUN_"
#define KAFKA_PREFIX "KAFKA_"

extern char **environ;

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
#endif
	};
	size_t i;

	for (i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

static char
name_char(char c)
{
	if (c == '_')
		return '.';
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* REDIS_URL -> redis.url */
static void
lower_name(const char *upper, char out[NAME_SIZE_MAX])
{
	size_t i;

	for (i = 0; i < NAME_SIZE_MAX - 1 && upper[i] != '\0'; i++)
		out[i] = name_char(upper[i]);
	out[i] = '\0';
}

static int
read_variable(struct config *config, const char *name, const char *value,
    struct error *err)
{
	static const size_t prefix = sizeof PREFIX - 1;
	static const size_t kafka = sizeof KAFKA_PREFIX - 1;
	char key[NAME_SIZE_MAX], source[NAME_SIZE_MAX + 8];

	snprintf(source, sizeof source, "env %s", name);
	if (strncmp(name + prefix, KAFKA_PREFIX, kafka) == 0) {
		lower_name(name + prefix + kafka, key);
		return config_add_property(config, CONFIG_BLOCK_BOTH, key,
		    value, (struct config_place){ source, err });
	}
	lower_name(name + prefix, key);
	return config_set(config, key, value, source, err);
}

int
config_read_environment(struct config *config, struct error *err)
{
	char **variable;

	for (variable = environ; *variable != NULL; variable++) {
		const char *equals = strchr(*variable, '=');
		char name[NAME_SIZE_MAX];

		if (equals == NULL ||
		    strncmp(*variable, PREFIX, sizeof PREFIX - 1) != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(equals - *variable),
		    *variable);
		/* Empty is how compose files and units say "not set". */
		if (is_reserved(name) || equals[1] == '\0')
			continue;
		if (read_variable(config, name, equals + 1, err) != 0)
			return -1;
	}
	return 0;
}

static int
refuse_secret(const char *flag, const char *name, struct error *err)
{
	return error_set(err, ERROR_FATAL,
	    "%s %s: a secret can't be an argument, everybody can read those; "
	    "put it into a file and give %s.file",
	    flag, name, name);
}

static int
read_flag(
    struct config *config, const struct config_flag *flag, struct error *err)
{
	const char *letter = flag->kind == CONFIG_FLAG_KEY ? "-s" : "-X";
	const char *equals = strchr(flag->text, '=');
	char name[NAME_SIZE_MAX], source[16];
	bool secret;

	if (equals == NULL || equals == flag->text ||
	    (size_t)(equals - flag->text) >= sizeof name)
		return error_set(err, ERROR_FATAL,
		    "%s %.100s: not of the form key=value", letter, flag->text);
	snprintf(
	    name, sizeof name, "%.*s", (int)(equals - flag->text), flag->text);
	secret = flag->kind == CONFIG_FLAG_KEY
	    ? config_is_secret(name)
	    : config_property_is_secret(name);
	if (secret)
		return refuse_secret(letter, name, err);
	snprintf(source, sizeof source, "flag %s", letter);
	if (flag->kind == CONFIG_FLAG_KEY)
		return config_set(config, name, equals + 1, source, err);
	return config_add_property(config, CONFIG_BLOCK_BOTH, name, equals + 1,
	    (struct config_place){ source, err });
}

int
config_read_flags(struct config *config, const struct config_flag *flags,
    size_t n_flags, struct error *err)
{
	size_t i;

	for (i = 0; i < n_flags; i++)
		if (read_flag(config, &flags[i], err) != 0)
			return -1;
	return 0;
}
