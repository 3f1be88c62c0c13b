#include "common/config/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/nearest.h"
#include "common/config/internal.h"

#define KEYS_MAX 128

/* A key's value and where it comes from: the last layer that named it. */
struct entry {
	char *value; /* NULL: none */
	char *source;
	int64_t number; /* of durations, sizes, integers; 1 or 0 of switches */
};

struct property {
	char *whole;      /* "kafka.linger.ms" */
	const char *name; /* "linger.ms", within it */
	char *value, *source;
	enum config_block block;
};

struct config {
	struct entry entries[KEYS_MAX];
	struct property *properties;
	size_t n_properties;
	struct config_paths paths;
};

/* Cuts ".file" off a name that has it; false: it has not. */
static bool
cut_file(const char *name, char out[64])
{
	static const char suffix[] = ".file";
	size_t size = strlen(name), rest = size - (sizeof suffix - 1);

	if (size <= sizeof suffix || rest >= 64 ||
	    strcmp(name + rest, suffix) != 0)
		return false;
	snprintf(out, 64, "%.*s", (int)rest, name);
	return true;
}

/* Keeps copies of value and source. */
static int
set_key(struct config *config, size_t i, const char *value, const char *source,
    struct error *err)
{
	struct entry *entry = &config->entries[i];
	int64_t number;

	if (config_value_parse(
		&config_keys()[i], value, source, &number, err) != 0)
		return -1;
	config_wipe(entry->value);
	free(entry->source);
	*entry = (struct entry){ memory_copy_string(value),
		memory_copy_string(source), number };
	return 0;
}

/* What exactly-once rests on is not for the user to change. */
static const struct fixed {
	const char *name, *why;
} fixed_properties[] = {
	{ "enable.idempotence", "delivery rests on it" },
	{ "isolation.level", "delivery rests on it" },
	{ "enable.auto.commit", "offsets move in transactions only" },
	{ "auto.commit.enable", "offsets move in transactions only" },
	{ "enable.auto.offset.store", "offsets move in transactions only" },
	{ "auto.offset.reset", "lost records must be heard of" },
	{ "enable.partition.eof", "the end of a partition must be heard of" },
	{ "transactional.id", "use worker.id" },
	{ "group.id", "use worker.group or http.group" },
	{ "acks", "delivery rests on it" },
	{ "request.required.acks", "delivery rests on it" },
	{ "partitioner", "a schedule's requests must share a partition" },
	{ "partition.assignment.strategy", "the worker rests on it" },
};

static int
check_property(const char *name, const char *source, struct error *err)
{
	size_t i;

	for (i = 0; i < sizeof fixed_properties / sizeof fixed_properties[0];
	     i++)
		if (strcmp(fixed_properties[i].name, name) == 0)
			return error_set(err, ERROR_FATAL,
			    "%s: %s is set by schedrun: %s", source, name,
			    fixed_properties[i].why);
	if (name[0] == '\0')
		return error_set(err, ERROR_FATAL,
		    "%s: a librdkafka property without a name", source);
	return 0;
}

/* The property of that whole name, made if it is new. */
static struct property *
find_property(struct config *config, const char *whole)
{
	struct property *property;
	size_t i;

	for (i = 0; i < config->n_properties; i++)
		if (strcmp(config->properties[i].whole, whole) == 0)
			return &config->properties[i];
	config->properties = memory_resize(config->properties,
	    config->n_properties + 1, sizeof *config->properties);
	property = &config->properties[config->n_properties++];
	*property = (struct property){ .whole = memory_copy_string(whole) };
	property->block = config_block_of(property->whole, &property->name);
	return property;
}

/* Judges one name that is no KEY.file, and keeps its value. */
static int
set_value(struct config *config, const char *name, const char *value,
    const char *source, struct error *err)
{
	size_t i = config_keys_find(name);
	struct property *property;
	const char *rest, *near;

	if (i < config_keys_count())
		return set_key(config, i, value, source, err);
	if (config_block_of(name, &rest) == CONFIG_BLOCKS) {
		near = nearest_name(name, config_keys(), config_keys_count(),
		    sizeof(struct config_key));
		return error_set(err, ERROR_FATAL,
		    "%s: unknown key \"%.100s\"%s%s%s; try: schedrun config "
		    "keys",
		    source, name, near != NULL ? ", did you mean \"" : "",
		    near != NULL ? near : "", near != NULL ? "\"?" : "");
	}
	if (check_property(rest, source, err) != 0)
		return -1;
	property = find_property(config, name);
	config_wipe(property->value);
	free(property->source);
	property->value = memory_copy_string(value);
	property->source = memory_copy_string(source);
	return 0;
}

/* A secret may also be named by its file; librdkafka has no such property. */
static int
set_given(
    struct config *config, const struct config_given *given, struct error *err)
{
	char name[64], *content;
	int rc;

	config_paths_set(&config->paths, given->name, given->value);
	if (!cut_file(given->name, name) || !config_has_file(name))
		return set_value(
		    config, given->name, given->value, given->source, err);
	config_paths_put(&config->paths, name, given->value, true);
	content = config_read_secret(given->value, given->source, err);
	if (content == NULL)
		return -1;
	rc = set_value(config, name, content, given->source, err);
	config_wipe(content);
	return rc;
}

static struct config *
create_with_defaults(void)
{
	struct config *config = memory_zalloc(1, sizeof *config);
	const struct config_key *keys = config_keys();
	size_t i;

	assert(config_keys_count() <= KEYS_MAX);
	for (i = 0; keys[i].name != NULL; i++)
		if (keys[i].fallback != NULL &&
		    set_key(config, i, keys[i].fallback, "default", NULL) != 0)
			assert(false && "a default that its own key refuses");
	return config;
}

struct config *
config_read(const char *file, const struct config_flag *flags, size_t n_flags,
    struct error *err)
{
	struct config *config = create_with_defaults();
	struct config_layers layers = { .paths = &config->paths };
	int rc = config_layers_read(&layers, file, flags, n_flags, err);
	size_t i;

	for (i = 0; rc == 0 && i < layers.n; i++)
		rc = set_given(config, &layers.rows[i], err);
	if (rc == 0)
		rc = config_paths_check(
		    &config->paths, config_switch(config, "strict"), err);
	config_layers_finish(&layers);
	if (rc == 0)
		return config;
	config_destroy(config);
	return NULL;
}

void
config_destroy(struct config *config)
{
	size_t i;

	if (config == NULL)
		return;
	for (i = 0; i < KEYS_MAX; i++) {
		config_wipe(config->entries[i].value);
		free(config->entries[i].source);
	}
	for (i = 0; i < config->n_properties; i++) {
		config_wipe(config->properties[i].value);
		free(config->properties[i].whole);
		free(config->properties[i].source);
	}
	free(config->properties);
	config_paths_finish(&config->paths);
	free(config);
}

void
config_each_path(const struct config *config,
    void (*take)(void *argument, const struct config_path *path),
    void *argument)
{
	size_t i;

	for (i = 0; i < config->paths.n; i++)
		take(argument, &config->paths.at[i]);
}

static const struct entry *
entry_of(const struct config *config, const char *key)
{
	size_t i = config_keys_find(key);

	assert(i < config_keys_count());
	return &config->entries[i];
}

const char *
config_text(const struct config *config, const char *key)
{
	return entry_of(config, key)->value;
}

int64_t
config_number(const struct config *config, const char *key)
{
	return entry_of(config, key)->number;
}

bool
config_switch(const struct config *config, const char *key)
{
	return entry_of(config, key)->number == 1;
}

bool
config_is_given(const struct config *config, const char *key)
{
	const char *source = entry_of(config, key)->source;

	return source != NULL && strcmp(source, "default") != 0;
}

/* Whether a side of librdkafka takes what stands in this block. */
static bool
applies(enum config_block block, enum config_side side)
{
	if (block == CONFIG_BLOCK_BOTH)
		return true;
	return (block == CONFIG_BLOCK_CONSUMER) == (side == CONFIG_CONSUMER);
}

size_t
config_kafka_count(const struct config *config, enum config_side side)
{
	size_t n = 0, i;

	for (i = 0; i < config->n_properties; i++)
		n += applies(config->properties[i].block, side);
	return n;
}

struct config_property
config_kafka_at(const struct config *config, enum config_side side, size_t i)
{
	size_t at = 0;

	for (;; at++) {
		assert(at < config->n_properties);
		if (applies(config->properties[at].block, side) && i-- == 0)
			break;
	}
	return (struct config_property){ config->properties[at].name,
		config->properties[at].value };
}

const char *
config_kafka(const struct config *config, const char *property)
{
	size_t i;

	for (i = 0; i < config->n_properties; i++)
		if (strcmp(config->properties[i].name, property) == 0)
			return config->properties[i].value;
	return NULL;
}

void
config_each(const struct config *config,
    void (*take)(void *argument, const struct config_row *row), void *argument)
{
	const struct config_key *keys = config_keys();
	struct buffer scratch = { 0 };
	size_t i;

	for (i = 0; keys[i].name != NULL; i++)
		if (config->entries[i].value != NULL)
			take(argument,
			    &(struct config_row){ keys[i].name,
				config_value_shown(keys[i].secret,
				    config->entries[i].value, &scratch),
				config->entries[i].source });
	for (i = 0; i < config->n_properties; i++) {
		const struct property *p = &config->properties[i];

		take(argument,
		    &(struct config_row){ p->whole,
			config_value_shown(
			    config_is_secret(p->whole), p->value, &scratch),
			p->source });
	}
	buffer_finish(&scratch);
}

static bool
is_same(const char *left, const char *right)
{
	return left == right ||
	    (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static const char *
property_value(const struct config *config, const char *whole)
{
	size_t i;

	for (i = 0; i < config->n_properties; i++)
		if (strcmp(config->properties[i].whole, whole) == 0)
			return config->properties[i].value;
	return NULL;
}

void
config_differences(const struct config *left, const struct config *right,
    void (*take)(void *argument, const char *name), void *argument)
{
	const struct config_key *keys = config_keys();
	size_t i;

	for (i = 0; keys[i].name != NULL; i++)
		if (!is_same(left->entries[i].value, right->entries[i].value))
			take(argument, keys[i].name);
	for (i = 0; i < left->n_properties; i++)
		if (!is_same(left->properties[i].value,
			property_value(right, left->properties[i].whole)))
			take(argument, left->properties[i].whole);
	for (i = 0; i < right->n_properties; i++)
		if (property_value(left, right->properties[i].whole) == NULL)
			take(argument, right->properties[i].whole);
}

static void
print_row(void *out, const struct config_row *row)
{
	buffer_format(
	    out, "%s = %s\t# %s\n", row->name, row->value, row->source);
}

void
config_print(const struct config *config, struct buffer *out)
{
	config_each(config, print_row, out);
}
