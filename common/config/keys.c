#include "common/config/internal.h"

#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)

#define TEXT_KEY(name_, fallback_, meaning_)                                   \
	{                                                                      \
		.name = name_, .type = CONFIG_TEXT, .fallback = fallback_,     \
		.meaning = meaning_                                            \
	}
#define SECRET_KEY(name_, meaning_)                                            \
	{                                                                      \
		.name = name_, .type = CONFIG_TEXT, .secret = true,            \
		.meaning = meaning_                                            \
	}
#define NUMBER_KEY(name_, type_, fallback_, min_, max_, meaning_)              \
	{                                                                      \
		.name = name_, .type = type_, .fallback = fallback_,           \
		.min = min_, .max = max_, .meaning = meaning_                  \
	}
#define SWITCH_KEY(name_, fallback_, meaning_)                                 \
	{                                                                      \
		.name = name_, .type = CONFIG_SWITCH, .fallback = fallback_,   \
		.meaning = meaning_                                            \
	}
#define CHOICE_KEY(name_, fallback_, choices_, meaning_)                       \
	{                                                                      \
		.name = name_, .type = CONFIG_CHOICE, .fallback = fallback_,   \
		.choices = choices_, .meaning = meaning_                       \
	}

static const struct config_key keys[] = {
	TEXT_KEY(
	    "worker.group", "schedrun-worker", "consumer group of the workers"),
	TEXT_KEY("topics.requests", "schedule-run-requests",
	    "topic of run requests"),
	TEXT_KEY("topics.results", "schedule-run-results", "topic of results"),
	TEXT_KEY("topics.builds", "schedule-builds", "topic of build events"),
	TEXT_KEY("topics.dlq", "schedule-run-requests.dlq",
	    "topic of records that can't be processed"),
	TEXT_KEY("topics.events", "schedule-events",
	    "topic of what happened: commits, builds, logic"),
	TEXT_KEY("worker.id", NULL,
	    "name of this worker, stable over restarts; default: host and "
	    "slot"),
	NUMBER_KEY("worker.batch.max.records", CONFIG_INTEGER, "10000", 1,
	    20000, "records in one transaction at most"),
	NUMBER_KEY("worker.batch.max.bytes", CONFIG_SIZE, "16M", 64 * KIB,
	    64 * MIB, "bytes of records in one transaction at most"),
	NUMBER_KEY("worker.shutdown.timeout", CONFIG_DURATION, "10s", SECOND,
	    10 * MINUTE, "time to drain after SIGTERM"),
	SWITCH_KEY("worker.accept.loss", "off",
	    "go on although retention has removed requests"),
	NUMBER_KEY("start.timeout", CONFIG_DURATION, "0", 0, DAY,
	    "give up if Kafka, Redis or the registry isn't there by then; 0: "
	    "wait for ever"),
	NUMBER_KEY("commit.deadline", CONFIG_DURATION, "18s", SECOND,
	    15 * MINUTE, "time for one commit; below transaction.timeout.ms"),
	SWITCH_KEY("strict", "off", "take warnings about the set-up as errors"),
	TEXT_KEY("redis.url", "redis://127.0.0.1:6379/0",
	    "redis://h1:p,h2:p/db, the master is found; or unix:///path?db=0"),
	TEXT_KEY("redis.username", NULL, "user of Redis's ACL"),
	SECRET_KEY("redis.password", "password of that user"),
	TEXT_KEY("redis.prefix", "schedrun:", "what all keys begin with"),
	NUMBER_KEY("redis.timeout.connect", CONFIG_DURATION, "1s", 10, MINUTE,
	    "time to connect"),
	NUMBER_KEY("redis.timeout.command", CONFIG_DURATION, "2s", 10, MINUTE,
	    "time for an answer"),
	TEXT_KEY("view.redis.url", NULL,
	    "Redis of the run view; default: redis.url"),
	NUMBER_KEY("dedup.ttl", CONFIG_DURATION, "24h", MINUTE, 366 * DAY,
	    "how long a request's id is remembered"),
	NUMBER_KEY("catalogue.poll", CONFIG_DURATION, "1s", 10, HOUR,
	    "how long the adapter remembers who may see which event"),
	NUMBER_KEY("view.ttl", CONFIG_DURATION, "7d", MINUTE, 366 * DAY,
	    "how long runs can be asked for; at least dedup.ttl"),
	TEXT_KEY("schema.registry.url", NULL,
	    "schema registry; default: none, ids of the shipped file"),
	SECRET_KEY("schema.registry.auth", "user:password of the registry"),
	TEXT_KEY("schema.registry.ca", NULL, "file of the registry's CA"),
	NUMBER_KEY("registry.wait", CONFIG_DURATION, "30s", 0, HOUR,
	    "how long a schema id that the registry lacks is asked for again"),
	TEXT_KEY("http.listen", "127.0.0.1:8080", "address of the API"),
	TEXT_KEY("http.base.path", "/", "what all paths begin with"),
	CHOICE_KEY("http.auth", "jwt", "jwt|token-file|none",
	    "who may call; none: loopback only"),
	TEXT_KEY("http.token.file", NULL,
	    "a line per token: TOKEN USER-UUID SCOPE..."),
	TEXT_KEY("http.group", "schedrun-http",
	    "consumer group that folds the run view"),
	NUMBER_KEY("http.rate", CONFIG_INTEGER, "0", 0, 1000000,
	    "runs per caller and second; 0: no limit"),
	TEXT_KEY("http.jwks", NULL, "file or https URL of the key set"),
	TEXT_KEY("http.jwks.ca", NULL,
	    "file of that URL's CA; default: the system's"),
	TEXT_KEY("http.issuer", NULL, "iss that tokens must have"),
	TEXT_KEY("http.audience", NULL, "aud that tokens must contain"),
	TEXT_KEY("http.user.claim", "sub",
	    "claim that says who calls; another than a UUID is mapped to one"),
	TEXT_KEY("http.scope.claims", "scope, scp, roles",
	    "claims that may hold scopes, comma-separated"),
	NUMBER_KEY("http.auth.leeway", CONFIG_DURATION, "30s", 0, 300 * SECOND,
	    "clock difference allowed in exp and nbf"),
	CHOICE_KEY("http.contract.profile", "auto", "auto|doc|ga|ga-upper",
	    "form of the answers; auto: by the client"),
	NUMBER_KEY("http.drain", CONFIG_DURATION, "5s", 0, 10 * MINUTE,
	    "time between not ready and no new connections"),
	TEXT_KEY("http.cors.origins", NULL,
	    "origins that browsers may call from, comma-separated"),
	NUMBER_KEY("http.max.connections", CONFIG_INTEGER, "10000", 1, 1000000,
	    "connections at most"),
	NUMBER_KEY("http.wait.max", CONFIG_DURATION, "45s", 0, HOUR,
	    "longest Prefer: wait; less than proxies wait for an answer"),
	NUMBER_KEY("http.idle.timeout", CONFIG_DURATION, "75s", SECOND, HOUR,
	    "how long a kept connection may be idle; more than proxies keep "
	    "it"),
	CHOICE_KEY("http.page", "read", "off|read|write",
	    "dashboard page at http.base.path; write: it offers to run and "
	    "pause, too"),
	TEXT_KEY("builder.group", "schedrun-builder",
	    "consumer group of the builders"),
	TEXT_KEY("builder.command", NULL,
	    "program of a job, from the root on, and arguments; no shell reads "
	    "them"),
	TEXT_KEY("builder.rules", NULL,
	    "file of rules: other commands, and limits, for some of the jobs"),
	NUMBER_KEY("builder.parallel", CONFIG_INTEGER, "4", 1, 256,
	    "jobs that run at once"),
	TEXT_KEY("builder.logs", "/var/log/schedrun-builder",
	    "folder of the jobs' output"),
	NUMBER_KEY("builder.logs.max", CONFIG_SIZE, "16M", KIB, 1024 * MIB,
	    "bytes of one job's output that are kept"),
	NUMBER_KEY("builder.logs.age", CONFIG_DURATION, "30d", 0, 3650 * DAY,
	    "how long the output of a build's jobs is kept; 0: for ever"),
	NUMBER_KEY("builder.logs.total", CONFIG_SIZE, "10G", 0,
	    1024 * 1024 * MIB,
	    "bytes of all jobs' output, the oldest goes; 0: any number"),
	NUMBER_KEY("builder.restarts", CONFIG_INTEGER, "5", 0, 1000,
	    "how often a job whose end nobody has seen is begun again"),
	NUMBER_KEY("builder.drain", CONFIG_DURATION, "60s", 0, DAY,
	    "time that running jobs get after SIGTERM"),
	TEXT_KEY("trigger.group", "schedrun-trigger",
	    "consumer group of the triggers"),
	NUMBER_KEY("trigger.build.wait", CONFIG_DURATION, "10s", 0, HOUR,
	    "how long an event waits for its build to get into the run view"),
	CHOICE_KEY("trigger.catchup", "last", "last|all|none",
	    "what schedrun-trigger fires of instants that were missed"),
	NUMBER_KEY("trigger.grace", CONFIG_DURATION, "5s", 0, 30 * SECOND,
	    "how late a trigger asks for what another one has to; 0: at once"),
	TEXT_KEY("admin.listen", NULL,
	    "address of /metrics, /healthz, /readyz; default: "
	    "127.0.0.1:9464 (worker), 127.0.0.1:9465 (http), 127.0.0.1:9466 "
	    "(builder), 127.0.0.1:9467 (trigger); port 0: any"),
	TEXT_KEY("admin.port.file", NULL,
	    "file that is told the admin listener's port"),
	CHOICE_KEY(
	    "log.level", "info", "debug|info|warn|error", "what is logged"),
	CHOICE_KEY("log.format", "auto", "auto|logfmt|json",
	    "auto: logfmt on a terminal and under journald"),
	NUMBER_KEY("log.rate", CONFIG_INTEGER, "10", 0, 1000000,
	    "lines per event and second; 0: no limit"),
	CHOICE_KEY("trace.mode", "forward", "forward|off",
	    "copy traceparent from request to result"),
	TEXT_KEY("trace.url", NULL,
	    "collector that is told spans by OTLP over HTTP: "
	    "http://host:4318/v1/traces; default: none is"),
	SECRET_KEY("trace.headers",
	    "headers that the collector asks for: name=value,name=value"),
	TEXT_KEY("trace.ca", NULL,
	    "file of the collector's CA; default: the system's"),
	NUMBER_KEY("trace.one.of", CONFIG_INTEGER, "1", 1, 1000000,
	    "of so many runs one is traced, if their callers don't say"),
	{ .name = NULL },
};

const struct config_key *
config_keys(void)
{
	return keys;
}

size_t
config_keys_count(void)
{
	return sizeof keys / sizeof keys[0] - 1;
}

size_t
config_keys_find(const char *name)
{
	size_t i = 0;

	while (keys[i].name != NULL && strcmp(keys[i].name, name) != 0)
		i++;
	return i;
}

enum config_block
config_block_of(const char *name, const char **property)
{
	static const char *const prefixes[CONFIG_BLOCKS] = {
		[CONFIG_BLOCK_BOTH] = "kafka.",
		[CONFIG_BLOCK_CONSUMER] = "kafka-consumer.",
		[CONFIG_BLOCK_PRODUCER] = "kafka-producer.",
	};
	int block;

	for (block = 0; block < CONFIG_BLOCKS; block++) {
		size_t size = strlen(prefixes[block]);

		if (strncmp(name, prefixes[block], size) == 0) {
			*property = name + size;
			break;
		}
	}
	return (enum config_block)block;
}

/* librdkafka's secrets; those of one line may stand in a file of their own. */
static const char *const secrets[] = { "sasl.password", "ssl.key.password",
	"ssl.keystore.password", "sasl.oauthbearer.client.secret",
	"ssl.key.pem", "sasl.oauthbearer.config" };
#define SECRETS (sizeof secrets / sizeof secrets[0])
#define SECRETS_OF_ONE_LINE 4

static bool
is_among(const char *name, size_t n_secrets)
{
	const char *property;
	size_t i;

	if (config_block_of(name, &property) == CONFIG_BLOCKS) {
		i = config_keys_find(name);
		return i < config_keys_count() && keys[i].secret;
	}
	for (i = 0; i < n_secrets; i++)
		if (strcmp(secrets[i], property) == 0)
			return true;
	return false;
}

bool
config_is_secret(const char *name)
{
	return is_among(name, SECRETS);
}

bool
config_has_file(const char *name)
{
	return is_among(name, SECRETS_OF_ONE_LINE);
}
