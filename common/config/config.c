#include "common/config/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/nearest.h"
#include "common/config/file.h"
#include "common/config/layers.h"
#include "common/config/value.h"

#define PREFIX_SIZE_MAX 64
#define KEYS_MAX 128

/* A key's value and where it comes from: the last layer that named it. */
struct entry {
	char *value; /* NULL: none */
	char *source;
	int64_t number; /* of durations, sizes, integers; 1 or 0 of switches */
};

struct property {
	char *name, *value, *source;
	enum config_block block;
};

struct config {
	struct entry entries[KEYS_MAX];
	struct property *properties;
	size_t n_properties;
};

static size_t
count_keys(void)
{
	const struct config_key *keys = config_keys();
	size_t n = 0;

	while (keys[n].name != NULL)
		n++;
	return n;
}

/* Index of the key, or of the table's end. */
static size_t
find_key(const char *name)
{
	const struct config_key *keys = config_keys();
	size_t i = 0;

	while (keys[i].name != NULL && strcmp(keys[i].name, name) != 0)
		i++;
	return i;
}

static void
wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static int
unknown_key(const char *name, const char *source, struct error *err)
{
	const char *near = nearest_name(
	    name, config_keys(), count_keys(), sizeof(struct config_key));

	return error_set(err, ERROR_FATAL,
	    "%s: unknown key \"%.100s\"%s%s%s; try: schedrun config keys",
	    source, name, near != NULL ? ", did you mean \"" : "",
	    near != NULL ? near : "", near != NULL ? "\"?" : "");
}

/* "redis.password.file": the key without ".file", if that is a secret. */
static size_t
find_secret_of(const char *name)
{
	static const char suffix[] = ".file";
	size_t size = strlen(name), i;
	char secret[64];

	if (size <= sizeof suffix || size >= sizeof secret ||
	    strcmp(name + size - (sizeof suffix - 1), suffix) != 0)
		return count_keys();
	snprintf(secret, sizeof secret, "%.*s",
	    (int)(size - (sizeof suffix - 1)), name);
	i = find_key(secret);
	return i < count_keys() && config_keys()[i].secret ? i : count_keys();
}

int
config_set(struct config *config, const char *name, const char *value,
    const char *source, struct error *err)
{
	size_t i = find_key(name);
	const struct config_key *key;
	char *content = NULL;
	int64_t number;

	if (i == count_keys()) {
		i = find_secret_of(name);
		if (i == count_keys())
			return unknown_key(name, source, err);
		content = config_read_secret(value, source, err);
		if (content == NULL)
			return -1;
		value = content;
	}
	key = &config_keys()[i];
	if (config_value_parse(key, value, source, &number, err) != 0) {
		wipe(content);
		return -1;
	}
	wipe(config->entries[i].value);
	free(config->entries[i].source);
	config->entries[i].value =
	    content != NULL ? content : memory_copy_string(value);
	config->entries[i].source = memory_copy_string(source);
	config->entries[i].number = number;
	return 0;
}

bool
config_is_secret(const char *name)
{
	size_t i = find_key(name);

	return i < count_keys() && config_keys()[i].secret;
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

static struct property *
find_property(struct config *config, enum config_block block, const char *name)
{
	size_t i;

	for (i = 0; i < config->n_properties; i++)
		if (config->properties[i].block == block &&
		    strcmp(config->properties[i].name, name) == 0)
			return &config->properties[i];
	config->properties = memory_resize(config->properties,
	    config->n_properties + 1, sizeof *config->properties);
	config->properties[config->n_properties] = (struct property){
		.name = memory_copy_string(name),
		.block = block,
	};
	return &config->properties[config->n_properties++];
}

static void
keep_property(struct config *config, enum config_block block, const char *name,
    const char *value, const char *source)
{
	struct property *property = find_property(config, block, name);

	wipe(property->value);
	free(property->source);
	property->value = memory_copy_string(value);
	property->source = memory_copy_string(source);
}

/* "sasl.password.file" is read here: librdkafka has no such property. */
static bool
names_secret_file(const char *name)
{
	return strcmp(name, "sasl.password.file") == 0 ||
	    strcmp(name, "ssl.key.password.file") == 0 ||
	    strcmp(name, "ssl.keystore.password.file") == 0 ||
	    strcmp(name, "sasl.oauthbearer.client.secret.file") == 0;
}

int
config_add_property(struct config *config, enum config_block block,
    const char *name, const char *value, struct config_place place)
{
	struct error *err = place.err;
	char plain[64], *content;

	if (check_property(name, place.source, err) != 0)
		return -1;
	if (!names_secret_file(name)) {
		keep_property(config, block, name, value, place.source);
		return 0;
	}
	content = config_read_secret(value, place.source, err);
	if (content == NULL)
		return -1;
	snprintf(plain, sizeof plain, "%.*s", (int)(strlen(name) - 5), name);
	keep_property(config, block, plain, content, place.source);
	wipe(content);
	return 0;
}

bool
config_property_is_secret(const char *name)
{
	static const char *const secrets[] = { "sasl.password",
		"ssl.key.password", "ssl.key.pem", "ssl.keystore.password",
		"sasl.oauthbearer.client.secret", "sasl.oauthbearer.config" };
	size_t i;

	for (i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
		if (strcmp(secrets[i], name) == 0)
			return true;
	return false;
}

static struct config *
create_with_defaults(void)
{
	struct config *config = memory_zalloc(1, sizeof *config);
	const struct config_key *keys = config_keys();
	size_t i;

	assert(count_keys() <= KEYS_MAX);
	for (i = 0; keys[i].name != NULL; i++)
		if (keys[i].fallback != NULL &&
		    config_set(config, keys[i].name, keys[i].fallback,
			"default", NULL) != 0)
			assert(false && "a default that its own key refuses");
	return config;
}

/* A librdkafka number, or what schedrun sets itself. */
static int64_t
kafka_number(const struct config *config, const char *name, int64_t fallback)
{
	const char *text = config_kafka(config, name);
	int64_t number;

	return text != NULL && config_parse_integer(text, &number) ? number
								   : fallback;
}

/*
 * Rules that tie two settings: docs/delivery.md, section 8; docs/keyspace.md,
 * section 5.
 */
static int
check_together(const struct config *config, struct error *err)
{
	int64_t transaction =
	    kafka_number(config, "transaction.timeout.ms", 20000);
	int64_t message = kafka_number(config, "message.timeout.ms",
	    kafka_number(config, "delivery.timeout.ms", 12000));

	if (transaction <= message)
		return error_set(err, ERROR_FATAL,
		    "transaction.timeout.ms (%lld) must be more than "
		    "message.timeout.ms (%lld), or a commit outlives its "
		    "transaction",
		    (long long)transaction, (long long)message);
	if (config_number(config, "commit.deadline") >= transaction)
		return error_set(err, ERROR_FATAL,
		    "commit.deadline (%lld ms) must be less than "
		    "transaction.timeout.ms (%lld)",
		    (long long)config_number(config, "commit.deadline"),
		    (long long)transaction);
	if (config_number(config, "view.ttl") <
	    config_number(config, "dedup.ttl"))
		return error_set(err, ERROR_FATAL,
		    "view.ttl (%s) must not be less than dedup.ttl (%s): a run "
		    "is its own idempotency record",
		    config_text(config, "view.ttl"),
		    config_text(config, "dedup.ttl"));
	if (strlen(config_text(config, "redis.prefix")) > PREFIX_SIZE_MAX)
		return error_set(err, ERROR_FATAL,
		    "redis.prefix is longer than %d bytes", PREFIX_SIZE_MAX);
	return 0;
}

struct config *
config_load(const char *file, const struct config_flag *flags, size_t n_flags,
    struct error *err)
{
	struct config *config = create_with_defaults();

	if (config_read_files(config, file, err) != 0 ||
	    config_read_environment(config, err) != 0 ||
	    config_read_flags(config, flags, n_flags, err) != 0 ||
	    check_together(config, err) != 0) {
		config_destroy(config);
		return NULL;
	}
	return config;
}

void
config_destroy(struct config *config)
{
	size_t i;

	if (config == NULL)
		return;
	for (i = 0; i < KEYS_MAX; i++) {
		wipe(config->entries[i].value);
		free(config->entries[i].source);
	}
	for (i = 0; i < config->n_properties; i++) {
		wipe(config->properties[i].value);
		free(config->properties[i].name);
		free(config->properties[i].source);
	}
	free(config->properties);
	free(config);
}

static const struct entry *
entry_of(const struct config *config, const char *key)
{
	size_t i = find_key(key);

	assert(i < count_keys());
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

static const char *const blocks[] = { "kafka", "kafka-consumer",
	"kafka-producer" };

void
config_each(const struct config *config,
    void (*take)(void *argument, const struct config_row *row), void *argument)
{
	const struct config_key *keys = config_keys();
	size_t i;

	for (i = 0; keys[i].name != NULL; i++)
		if (config->entries[i].value != NULL)
			take(argument,
			    &(struct config_row){ NULL, keys[i].name,
				config_value_shown(
				    &keys[i], config->entries[i].value),
				config->entries[i].source });
	for (i = 0; i < config->n_properties; i++) {
		const struct property *p = &config->properties[i];

		take(argument,
		    &(struct config_row){ blocks[p->block], p->name,
			config_property_is_secret(p->name) ? "***" : p->value,
			p->source });
	}
}

static bool
is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The properties of `a` that `b` has not, or with another value. */
static void
tell_properties(const struct config *a, const struct config *b, bool absent,
    void (*take)(void *argument, const char *name), void *argument)
{
	size_t i, j;

	for (i = 0; i < a->n_properties; i++) {
		const struct property *p = &a->properties[i];
		char name[160];

		for (j = 0; j < b->n_properties; j++)
			if (b->properties[j].block == p->block &&
			    strcmp(b->properties[j].name, p->name) == 0)
				break;
		if (j < b->n_properties &&
		    (absent || is_same(p->value, b->properties[j].value)))
			continue;
		snprintf(name, sizeof name, "%s.%s", blocks[p->block], p->name);
		take(argument, name);
	}
}

void
config_differences(const struct config *a, const struct config *b,
    void (*take)(void *argument, const char *name), void *argument)
{
	const struct config_key *keys = config_keys();
	size_t i;

	for (i = 0; keys[i].name != NULL; i++)
		if (!is_same(a->entries[i].value, b->entries[i].value))
			take(argument, keys[i].name);
	tell_properties(a, b, false, take, argument);
	tell_properties(b, a, true, take, argument);
}

static void
print_row(void *out, const struct config_row *row)
{
	if (row->block == NULL)
		buffer_format(
		    out, "%s = %s\t# %s\n", row->name, row->value, row->source);
	else
		buffer_format(out, "%s { %s = %s }\t# %s\n", row->block,
		    row->name, row->value, row->source);
}

void
config_print(const struct config *config, struct buffer *out)
{
	config_each(config, print_row, out);
}
