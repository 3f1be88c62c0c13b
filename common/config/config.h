#ifndef SCHEDRUN_COMMON_CONFIG_CONFIG_H
#define SCHEDRUN_COMMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/*
 * Configuration: one table of keys for all programs; flags before
 * environment before file before default (docs/operation.md, section 2).  Every
 * error names file:line or flag, key, reason and what is allowed.  Loaded once,
 * read-only after that, so any thread may read.
 */
enum config_type {
	CONFIG_TEXT,
	CONFIG_DURATION, /* "500ms" "10s" "24h" "7d", in ms */
	CONFIG_SIZE,     /* "64k" "8M", in bytes */
	CONFIG_INTEGER,
	CONFIG_SWITCH, /* on | off */
	CONFIG_CHOICE, /* one of `choices` */
};

struct config_key {
	const char *name; /* "redis.url" */
	enum config_type type;
	const char *fallback; /* the default, as text; NULL: none */
	const char *choices;  /* "jwt|token-file|none" */
	int64_t min, max;     /* of numbers; both 0: no bounds */
	bool secret; /* never from a flag, never printed; also NAME.file */
	const char *meaning; /* one line for `config keys` and config(5) */
};

/* The table, ended by a NULL name: for `config keys` and the man page. */
const struct config_key *config_keys(void);

/* What the command line brought, in its order. */
struct config_flag {
	enum config_flag_kind {
		CONFIG_FLAG_KEY,
		CONFIG_FLAG_KAFKA
	} kind;           /* -s, -X */
	const char *text; /* "key=value" */
};

struct config;

/*
 * Loads all layers.  `file`: from -c, or NULL for $SCHEDRUN_CONFIG,
 * ./schedrun.conf, /etc/schedrun/schedrun.conf; then schedrun.secrets in
 * $CREDENTIALS_DIRECTORY, or beside that file where no unit gives one.  Checks
 * what can be checked without a server (ranges, cross rules, forbidden
 * librdkafka keys). NULL with ERROR_FATAL; the exit code is the caller's (2 or
 * 78).
 */
struct config *config_load(const char *file, const struct config_flag *flags,
    size_t n_flags, struct error *err);
void config_destroy(struct config *config); /* wipes secrets */

/* Typed reads of a key of the table; asking for another key is a bug. */
const char *config_text(const struct config *config, const char *key);
int64_t config_number(const struct config *config, const char *key);
bool config_switch(const struct config *config, const char *key);

/* Whether a layer gives it: its value is not the default. */
bool config_is_given(const struct config *config, const char *key);

/*
 * A file that the configuration is of or names: one of its own (`key` NULL), of
 * a KEY.file, or of a key or property such as http.token.file.  `secret`: with
 * a secret in it, whose mode is looked at when the configuration is loaded.
 */
struct config_path {
	char *key, *path;
	bool secret;
};
/* Calls `take` with each. */
void config_each_path(const struct config *config,
    void (*take)(void *argument, const struct config_path *path),
    void *argument);

/*
 * Whether the file that a path of these names can be read: a regular one, not
 * empty; of ssl.ca.location also a folder.  Fine is a URL in its place, and
 * what isn't there yet (below).  -1: ERROR_FATAL (78).
 */
int config_path_check(const struct config_path *path, struct error *err);
/* What systemd loads for a unit is there while it runs, and its alone. */
bool config_is_loaded_later(const char *path);

/*
 * Whether the API's port and the admin listener's are two; `admin` is the
 * latter's default.  -1: ERROR_FATAL (78).
 */
int config_check_apart(
    const struct config *config, const char *admin, struct error *err);

/* Properties for librdkafka: the common block and that of one side. */
enum config_side { CONFIG_CONSUMER, CONFIG_PRODUCER };
struct config_property {
	const char *name, *value;
};
size_t config_kafka_count(const struct config *config, enum config_side side);
struct config_property config_kafka_at(
    const struct config *config, enum config_side side, size_t i);
const char *config_kafka(const struct config *config, const char *property);

/* Every key, value (secrets as ***, also in URLs) and source: --print-config.
 */
void config_print(const struct config *config, struct buffer *out);

/* The same row by row. */
struct config_row {
	const char *name; /* "redis.url", "kafka.linger.ms" */
	const char *value, *source;
};
void config_each(const struct config *config,
    void (*take)(void *argument, const struct config_row *row), void *argument);

/*
 * Calls `take` with the name of each key and property ("kafka.linger.ms") whose
 * value is another one in `b` than in `a`, or stands in one of them alone.
 */
void config_differences(const struct config *left, const struct config *right,
    void (*take)(void *argument, const char *name), void *argument);

/* "1500" of "1.5s" and the like; false on nonsense or overflow. */
bool config_parse_duration(const char *text, int64_t *ms);
/* Bytes of "64k", "1.5M" and the like; the same. */
bool config_parse_size(const char *text, int64_t *bytes);

#endif
