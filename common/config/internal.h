#ifndef SCHEDRUN_COMMON_CONFIG_INTERNAL_H
#define SCHEDRUN_COMMON_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"

/*
 * What the files of this folder share: layers.c says what was given where,
 * value.c what a value's text allows, config.c judges and keeps.
 */

/* What a layer says of a key, as it is written: neither is judged yet. */
struct config_given {
	char *name;   /* "redis.url", "kafka.linger.ms" */
	char *value;  /* may be a secret */
	char *source; /* "schedrun.conf:12", "env NAME", "flag -s" */
};

struct config_layers {
	struct config_given *rows; /* the stronger ones behind the weaker */
	size_t n;
	struct config_paths *paths; /* takes the configuration's own files */
};

/* The files of a configuration: an empty one is all zeros. */
struct config_paths {
	struct config_path *at; /* owns its texts */
	size_t n;
};

/* Keeps copies; a path that `key` gave before is forgotten. */
void config_paths_put(
    struct config_paths *paths, const char *key, const char *path, bool secret);
/* `name` was set to `value`: keeps the path if it is one. */
void config_paths_set(
    struct config_paths *paths, const char *name, const char *value);
/*
 * Everybody may read a file of secrets: a warning for each, or with `strict`
 * ERROR_FATAL.
 */
int config_paths_check(
    const struct config_paths *paths, bool strict, struct error *err);
void config_paths_finish(struct config_paths *paths);

/*
 * Reads files, environment and flags, in this order, into empty `layers`:
 * the files as config_load has them, into `layers->paths` as well.
 * -1 with ERROR_FATAL: a file that can't be read or parsed, a flag of another
 * form, a secret in a flag.  The caller finishes `layers` in either case.
 */
int config_layers_read(struct config_layers *layers, const char *file,
    const struct config_flag *flags, size_t n_flags, struct error *err);
void config_layers_finish(struct config_layers *layers); /* wipes the values */

/*
 * A secret's file without its last line break, to be wiped and freed by the
 * caller.  NULL with ERROR_FATAL: missing, unreadable, a directory, over 64
 * KiB, empty.
 */
char *config_read_secret(
    const char *path, const char *source, struct error *err);

/* Overwrites and frees; NULL is fine. */
void config_wipe(char *secret);

/* The key's place in config_keys(), or the table's size. */
size_t config_keys_find(const char *name);
size_t config_keys_count(void);

/* Whether a key or a property ("kafka.sasl.password") holds a secret. */
bool config_is_secret(const char *name);
/* Whether NAME.file is read for it: the secrets that are one line. */
bool config_has_file(const char *name);

/* What a name of librdkafka's begins with: "kafka.", "kafka-consumer." … */
enum config_block {
	CONFIG_BLOCK_BOTH,
	CONFIG_BLOCK_CONSUMER,
	CONFIG_BLOCK_PRODUCER,
	CONFIG_BLOCKS, /* none of them: a key of ours */
};

/* Which it is; `*property` is the name behind it. */
enum config_block config_block_of(const char *name, const char **property);

/*
 * Checks `value` by the key's type and bounds; sets the number (ms, bytes, 1 or
 * 0 of switches; 0 of texts).  ERROR_FATAL names `source`, key, value (no
 * secret's) and what is allowed.
 */
int config_value_parse(const struct config_key *key, const char *value,
    const char *source, int64_t *number, struct error *err);

/*
 * The value as it may be printed: "***" for a secret, and in any other for the
 * user and password of a URL and for what follows "password=".  Valid as long
 * as `value` and `scratch` are.
 */
const char *config_value_shown(
    bool is_secret, const char *value, struct buffer *scratch);

/* config_load but for what is judged of the whole. */
struct config *config_read(const char *file, const struct config_flag *flags,
    size_t n_flags, struct error *err);

/* A whole number without a unit; false on anything else. */
bool config_parse_integer(const char *text, int64_t *value);

#endif
