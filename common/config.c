#include "common/config.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_file.h"
#include "common/config_layers.h"
#include "common/memory.h"
#include "common/nearest.h"
#include "common/text.h"

#define PREFIX_SIZE_MAX 64
#define TEXT_SIZE_MAX 9000
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

static const struct unit {
	const char *name;
	int64_t factor;
} duration_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 3600 * 1000 },
	{ "d", 24 * 3600 * 1000 },
	{ NULL, 0 },
},
  size_units[] = {
	  { "", 1 },
	  { "k", 1024 },
	  { "K", 1024 },
	  { "M", 1024 * 1024 },
	  { "G", 1024 * 1024 * 1024 },
	  { NULL, 0 },
  };

/* A number of at most 15 digits and 3 decimals, then one of the units. */
static bool
parse_unit(const char *text, const struct unit *units, int64_t *value)
{
	int64_t whole = 0, thousandths = 0, scale = 100;
	size_t digits = strspn(text, "0123456789");
	const char *at = text;

	if (digits == 0 || digits > 12)
		return false;
	for (; isdigit((unsigned char)*at); at++)
		whole = whole * 10 + (*at - '0');
	if (*at == '.')
		for (at++; isdigit((unsigned char)*at); at++, scale /= 10)
			thousandths += (*at - '0') * scale;
	for (; units->name != NULL; units++) {
		if (strcmp(at, units->name) != 0)
			continue;
		if (whole > INT64_MAX / 2 / units->factor)
			return false;
		*value =
		    whole * units->factor + thousandths * units->factor / 1000;
		return true;
	}
	return false;
}

bool
config_parse_duration(const char *text, int64_t *ms)
{
	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return true;
	}
	return parse_unit(text, duration_units, ms);
}

bool
config_parse_size(const char *text, int64_t *bytes)
{
	return parse_unit(text, size_units, bytes);
}

static bool
parse_integer(const char *text, int64_t *value)
{
	static const struct unit plain[] = { { "", 1 }, { NULL, 0 } };

	return strchr(text, '.') == NULL && parse_unit(text, plain, value);
}

static bool
parse_switch(const char *text, int64_t *value)
{
	*value = strcmp(text, "on") == 0;
	return *value == 1 || strcmp(text, "off") == 0;
}

/* Whether `value` is one of the names between bars. */
static bool
is_choice(const char *choices, const char *value)
{
	size_t size = strlen(value);
	const char *at = choices;

	for (;;) {
		size_t n = strcspn(at, "|");

		if (n == size && memcmp(at, value, n) == 0)
			return true;
		if (at[n] == '\0')
			return false;
		at += n + 1;
	}
}

static const char *
allowed(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_DURATION:
		return "a duration such as 500ms, 10s or 24h";
	case CONFIG_SIZE:
		return "a size such as 64k or 8M";
	case CONFIG_INTEGER:
		return "a whole number";
	case CONFIG_SWITCH:
		return "on or off";
	case CONFIG_CHOICE:
		return key->choices;
	case CONFIG_TEXT:
		break;
	}
	return "text without control characters";
}

static bool
parse_value(const struct config_key *key, const char *value, int64_t *number)
{
	struct text text = text_from(value);

	switch (key->type) {
	case CONFIG_DURATION:
		return config_parse_duration(value, number);
	case CONFIG_SIZE:
		return config_parse_size(value, number);
	case CONFIG_INTEGER:
		return parse_integer(value, number);
	case CONFIG_SWITCH:
		return parse_switch(value, number);
	case CONFIG_CHOICE:
		return is_choice(key->choices, value);
	case CONFIG_TEXT:
		break;
	}
	return text.size <= TEXT_SIZE_MAX && text_is_utf8(text) &&
	    !text_has_control(text);
}

static const char *
shown(const struct config_key *key, const char *value)
{
	return key->secret ? "***" : value;
}

static int
check_value(const struct config_key *key, const char *value, const char *source,
    int64_t *number, struct error *err)
{
	*number = 0;
	if (!parse_value(key, value, number))
		return error_set(err, ERROR_FATAL,
		    "%s: %s: \"%.200s\" is not allowed (allowed: %s)", source,
		    key->name, shown(key, value), allowed(key));
	if ((key->min != 0 || key->max != 0) &&
	    (*number < key->min || *number > key->max))
		return error_set(err, ERROR_FATAL,
		    "%s: %s: \"%s\" is out of range (allowed: %lld to %lld%s)",
		    source, key->name, value, (long long)key->min,
		    (long long)key->max,
		    key->type == CONFIG_DURATION   ? " ms"
			: key->type == CONFIG_SIZE ? " bytes"
						   : "");
	return 0;
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
	    "%s: unknown key \"%.100s\"%s%s%s; `schedrun config keys` lists "
	    "them all",
	    source, name, near != NULL ? "; did you mean \"" : "",
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
	if (check_value(key, value, source, &number, err) != 0) {
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
			assert(!"a default that its own key refuses");
	return config;
}

/* A librdkafka number, or what schedrun sets itself. */
static int64_t
kafka_number(const struct config *config, const char *name, int64_t fallback)
{
	const char *text = config_kafka(config, name);
	int64_t number;

	return text != NULL && parse_integer(text, &number) ? number : fallback;
}

/* Rules that tie two settings: delivery protocol, section 8; keyspace, 5. */
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

void
config_print(const struct config *config, struct buffer *out)
{
	static const char *const blocks[] = { "kafka", "kafka-consumer",
		"kafka-producer" };
	const struct config_key *keys = config_keys();
	size_t i;

	for (i = 0; keys[i].name != NULL; i++)
		if (config->entries[i].value != NULL)
			buffer_format(out, "%s = %s\t# %s\n", keys[i].name,
			    shown(&keys[i], config->entries[i].value),
			    config->entries[i].source);
	for (i = 0; i < config->n_properties; i++) {
		const struct property *p = &config->properties[i];

		buffer_format(out, "%s { %s = %s }\t# %s\n", blocks[p->block],
		    p->name,
		    config_property_is_secret(p->name) ? "***" : p->value,
		    p->source);
	}
}
