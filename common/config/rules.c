#include <string.h>
#include <strings.h>

#include "common/base/address.h"
#include "common/config/internal.h"

/*
 * What makes no sense whoever reads it: values of a form of their own, and
 * settings that don't go together.  Nothing is looked up.
 */
#define PREFIX_SIZE_MAX 64
#define TOPIC_SIZE_MAX 249 /* Kafka's */
#define EX_CONFIG 78

/* A librdkafka number, or what schedrun sets itself. */
static int64_t
kafka_number(const struct config *config, const char *name, int64_t fallback)
{
	const char *text = config_kafka(config, name);
	int64_t number;

	return text != NULL && config_parse_integer(text, &number) ? number
								   : fallback;
}

/* A name that Kafka takes. */
static bool
is_topic(const char *name)
{
	size_t size = strlen(name);

	return size <= TOPIC_SIZE_MAX && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0 &&
	    strspn(name,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-") == size;
}

/* Dead letters in the requests' topic would be buried anew for ever. */
static int
check_topics(const struct config *config, struct error *err)
{
	static const char *const topics[] = { "topics.requests",
		"topics.results", "topics.builds", "topics.dlq",
		"topics.events" };
	size_t i, k;

	for (i = 0; i < sizeof topics / sizeof topics[0]; i++) {
		const char *name = config_text(config, topics[i]);

		if (!is_topic(name))
			return error_set(err, ERROR_FATAL,
			    "%s: \"%s\" is no topic's name (letters, digits, "
			    "\".\", \"_\" and \"-\", at most %d)",
			    topics[i], name, TOPIC_SIZE_MAX);
		for (k = 0; k < i; k++)
			if (strcmp(name, config_text(config, topics[k])) == 0)
				return error_set(err, ERROR_FATAL,
				    "%s and %s are both \"%s\": each needs a "
				    "topic of its own",
				    topics[k], topics[i], name);
	}
	return 0;
}

/* They read other topics. */
static int
check_groups(const struct config *config, struct error *err)
{
	static const char *const groups[] = { "worker.group", "http.group",
		"builder.group", "trigger.group" };
	size_t i, k;

	for (i = 0; i < sizeof groups / sizeof groups[0]; i++)
		for (k = 0; k < i; k++)
			if (strcmp(config_text(config, groups[k]),
				config_text(config, groups[i])) == 0)
				return error_set(err, ERROR_FATAL,
				    "%s and %s are both \"%s\": they read "
				    "other topics, so each needs a group of "
				    "its own",
				    groups[k], groups[i],
				    config_text(config, groups[i]));
	return 0;
}

/* librdkafka passes over a broker whose scheme it doesn't know, and waits. */
static int
check_scheme(const char *key, struct text scheme, struct error *err)
{
	static const char *const known[] = { "plaintext", "ssl",
		"sasl_plaintext", "sasl_ssl" };
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strlen(known[i]) == scheme.size &&
		    strncasecmp(known[i], scheme.at, scheme.size) == 0)
			return 0;
	return error_set(err, ERROR_FATAL,
	    "%s: \"%.*s://\" is none of Kafka's, expected host:port", key,
	    TEXT_ARG(scheme));
}

/* One of "kafka-consumer.bootstrap.servers", as librdkafka cuts the list. */
static int
check_broker(const char *key, struct text broker, struct error *err)
{
	struct text whole = broker;
	struct address address;
	size_t i;

	for (i = 0; i + 3 <= whole.size; i++)
		if (memcmp(whole.at + i, "://", 3) == 0) {
			broker = (struct text){ whole.at + i + 3,
				whole.size - i - 3 };
			if (check_scheme(
				key, (struct text){ whole.at, i }, err) != 0)
				return -1;
			break;
		}
	if (address_read(broker, &address, err) != 0) {
		error_prefix(err, "%s: %.*s", key, TEXT_ARG(broker));
		return -1;
	}
	if (strcmp(address.port, "0") == 0)
		return error_set(err, ERROR_FATAL,
		    "%s: %.*s: nobody listens on port 0", key,
		    TEXT_ARG(broker));
	return 0;
}

/* A list without a broker would be waited for as for one that is away. */
static int
check_brokers(struct config_property property, struct error *err)
{
	struct text list = text_from(property.value), broker;
	size_t n = 0;

	if (strcmp(property.name, "bootstrap.servers") != 0 &&
	    strcmp(property.name, "metadata.broker.list") != 0)
		return 0;
	for (; text_take_word(&list, ", ", &broker); n++)
		if (check_broker(property.name, broker, err) != 0)
			return -1;
	if (n > 0)
		return 0;
	return error_set(err, ERROR_FATAL,
	    "%s: no broker in it, expected host:port,host:port", property.name);
}

static int
check_lists_of_brokers(const struct config *config, struct error *err)
{
	static const enum config_side sides[] = { CONFIG_CONSUMER,
		CONFIG_PRODUCER };
	size_t i, k;

	for (i = 0; i < sizeof sides / sizeof sides[0]; i++)
		for (k = 0; k < config_kafka_count(config, sides[i]); k++)
			if (check_brokers(
				config_kafka_at(config, sides[i], k), err) != 0)
				return -1;
	return 0;
}

static int
check_listen(const struct config *config, const char *key, struct error *err)
{
	const char *text = config_text(config, key);
	struct address address;
	int rc;

	if (text == NULL)
		return 0;
	rc = address_read(text_from(text), &address, err);
	if (rc == 0 && address.port[0] == '\0')
		rc = error_set(err, ERROR_FATAL,
		    "the port is missing, expected host:port");
	if (rc != 0)
		error_prefix(
		    err, "%s: \"%s\" is no address to listen on", key, text);
	return rc;
}

/* Clients send a path without dots and with one slash at a time, and encode
 * what else is none of these: a path with more would be met by nobody. */
static int
check_base_path(const char *path, struct error *err)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789/-._~";

	if (path[0] != '/')
		return error_set(err, ERROR_FATAL,
		    "http.base.path: \"%s\" does not begin with \"/\"", path);
	if (path[strspn(path, plain)] != '\0' || strstr(path, "//") != NULL ||
	    strstr(path, "/.") != NULL)
		return error_set(err, ERROR_FATAL,
		    "http.base.path: \"%s\" is no path as clients send it: "
		    "letters, digits, \"-\", \"_\", \".\" and \"~\", and no "
		    "part that is empty or begins with a dot",
		    path);
	return 0;
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
	if (check_base_path(config_text(config, "http.base.path"), err) != 0)
		return -1;
	if (check_topics(config, err) != 0 || check_groups(config, err) != 0 ||
	    check_listen(config, "http.listen", err) != 0 ||
	    check_listen(config, "admin.listen", err) != 0)
		return -1;
	return check_lists_of_brokers(config, err);
}

struct config *
config_load(const char *file, const struct config_flag *flags, size_t n_flags,
    struct error *err)
{
	struct config *config = config_read(file, flags, n_flags, err);

	if (config == NULL || check_together(config, err) == 0)
		return config;
	config_destroy(config);
	return NULL;
}

int
config_check_apart(
    const struct config *config, const char *admin, struct error *err)
{
	const char *given = config_text(config, "admin.listen");
	const char *api = config_text(config, "http.listen");
	struct address left, right;

	if (given != NULL)
		admin = given;
	/* Their form was judged when they were loaded. */
	if (address_read(text_from(api), &left, err) != 0 ||
	    address_read(text_from(admin), &right, err) != 0)
		return -1;
	if (!address_meets(&left, &right))
		return 0;
	return error_fatal(err, EX_CONFIG,
	    "http.listen (%s) and admin.listen (%s) are one port: give each "
	    "its own",
	    api, admin);
}
