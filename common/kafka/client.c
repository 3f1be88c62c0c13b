#include "common/kafka/client.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/oauth.h"
#include "common/kafka/workarounds.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A right that was not missed again for so long is there: each of those who
 * need it tries again sooner, the slowest a consumer, each 5 s (AGAIN_MS of
 * consumer.c, and what librdkafka takes to tell). */
#define REFUSED_MS 8000

#define SCRAM_VERSION 0x02060100 /* of librdkafka */
#define SCRAM_ADVICE                                                           \
	"; Kafka 4 lets no librdkafka before 2.6.1 in by SCRAM: use a newer "  \
	"one, or PLAIN or OAUTHBEARER over TLS"

const char *
kafka_library_version(void)
{
	return rd_kafka_version_str();
}

/* Java's Utils.murmur2, seed and all. */
static uint32_t
murmur2(const unsigned char *at, size_t size)
{
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28cU ^ (uint32_t)size;

	for (; size >= 4; at += 4, size -= 4) {
		uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 |
		    (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
		k *= m;
		k ^= k >> 24;
		k *= m;
		h = h * m ^ k;
	}
	if (size >= 3)
		h ^= (uint32_t)at[2] << 16;
	if (size >= 2)
		h ^= (uint32_t)at[1] << 8;
	if (size >= 1)
		h = (h ^ at[0]) * m;
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

int32_t
kafka_partition_of(struct text key, int32_t partitions)
{
	uint32_t hash = murmur2((const unsigned char *)key.at, key.size);

	return (int32_t)((hash & 0x7fffffff) % (uint32_t)partitions);
}

/* Health ----------------------------------------------------------------- */

struct kafka_health {
	pthread_mutex_t lock;
	int64_t answered_ms; /* monotonic; 0: never */
	bool broken;         /* an error event came after the last answer */
	bool up;             /* as last told */
	int64_t since_ms;
	char reason[400];
	bool proved;        /* no right was missing once */
	char refused[400];  /* the right that is missing since; "": none */
	int64_t refused_ms; /* when it was missed last, monotonic */
	void (*count)(void *opaque, const char *code);
	void *opaque;
};

struct kafka_health *
kafka_health_create(void)
{
	struct kafka_health *health = memory_zalloc(1, sizeof *health);

	pthread_mutex_init(&health->lock, NULL);
	health->since_ms = clock_wall_ms();
	snprintf(health->reason, sizeof health->reason, "no answer yet");
	return health;
}

void
kafka_health_destroy(struct kafka_health *health)
{
	if (health == NULL)
		return;
	pthread_mutex_destroy(&health->lock);
	free(health);
}

void
kafka_health_prove(struct kafka_health *health)
{
	if (health == NULL)
		return;
	pthread_mutex_lock(&health->lock);
	health->proved = true;
	health->refused[0] = '\0';
	pthread_mutex_unlock(&health->lock);
}

/* Whether a right that is missing is waited for; `text` names it. */
static bool
health_refused(struct kafka_health *health, const char *text)
{
	bool proved;

	if (health == NULL)
		return false;
	pthread_mutex_lock(&health->lock);
	proved = health->proved;
	if (proved) {
		snprintf(
		    health->refused, sizeof health->refused, "%.399s", text);
		health->refused_ms = clock_monotonic_ms();
	}
	pthread_mutex_unlock(&health->lock);
	return proved;
}

void
kafka_health_on_error(struct kafka_health *health,
    void (*count)(void *opaque, const char *code), void *opaque)
{
	health->count = count;
	health->opaque = opaque;
}

void
kafka_health_read(
    struct kafka_health *health, int64_t max_age_ms, struct kafka_state *out)
{
	int64_t age;
	bool fresh;

	pthread_mutex_lock(&health->lock);
	age = clock_monotonic_ms() - health->answered_ms;
	fresh = health->answered_ms != 0 && age <= max_age_ms;
	if (clock_monotonic_ms() - health->refused_ms > REFUSED_MS)
		health->refused[0] = '\0';
	out->up = fresh && !health->broken && health->refused[0] == '\0';
	if (out->up != health->up) {
		health->up = out->up;
		health->since_ms = clock_wall_ms();
	}
	out->since_ms = health->since_ms;
	if (out->up)
		out->reason[0] = '\0';
	else if (health->refused[0] != '\0')
		snprintf(
		    out->reason, sizeof out->reason, "%s", health->refused);
	else if (health->broken || health->answered_ms == 0)
		snprintf(out->reason, sizeof out->reason, "%s", health->reason);
	else
		snprintf(out->reason, sizeof out->reason,
		    "no answer for %lld ms", (long long)age);
	pthread_mutex_unlock(&health->lock);
}

void
kafka_client_answered(struct kafka_client *client)
{
	struct kafka_health *health = client->health;

	client->refusal[0] = '\0';
	if (health == NULL)
		return;
	pthread_mutex_lock(&health->lock);
	health->answered_ms = clock_monotonic_ms();
	health->broken = false;
	pthread_mutex_unlock(&health->lock);
}

static void
health_error(struct kafka_health *health, int code, const char *text)
{
	if (health == NULL)
		return;
	if (health->count != NULL)
		health->count(health->opaque, rd_kafka_err2name(code));
	pthread_mutex_lock(&health->lock);
	/* One broker's lost connection is no outage; all of them are. */
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		health->broken = true;
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
	    health->reason[0] == '\0')
		snprintf(health->reason, sizeof health->reason, "%s", text);
	pthread_mutex_unlock(&health->lock);
}

/* What librdkafka tells -------------------------------------------------- */

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	enum log_level ours = level <= 2 ? LOG_ERROR
	    : level <= 4                 ? LOG_WARN
	    : level <= 6                 ? LOG_INFO
					 : LOG_DEBUG;

	/* One block of properties serves both sides: no news that the other's
	 * are ignored. */
	if (strcmp(facility, "CONFWARN") == 0)
		ours = LOG_DEBUG;
	log_event(ours, "librdkafka", "librdkafka_log", text,
	    LOG_S("facility", facility),
	    LOG_S("handle", rk != NULL ? rd_kafka_name(rk) : NULL), LOG_END);
}

static void
on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
	struct kafka_client *client = opaque;

	switch (code) {
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		client->error_events++;
		break;
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		if (atomic_load(&client->oauth.is_away))
			break;
		snprintf(client->refusal, sizeof client->refusal, "%.240s%s",
		    text, client->has_old_scram ? SCRAM_ADVICE : "");
		text = client->refusal;
		break;
	case RD_KAFKA_RESP_ERR__FATAL:
		client->fatal = true;
		break;
	default:
		break;
	}
	health_error(client->health, code, text);
	log_event(LOG_WARN, "kafka", "kafka_error", text,
	    LOG_S("code", rd_kafka_err2name(code)),
	    LOG_S("handle", rd_kafka_name(rk)), LOG_END);
}

static int
on_close_socket(int socket, void *opaque)
{
	struct kafka_client *client = opaque;

	atomic_fetch_add(&client->closed_sockets, 1);
	return close(socket);
}

/* Settings --------------------------------------------------------------- */

/* librdkafka's other names of what we set. */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "request.required.acks", "acks" },
	{ "metadata.broker.list", "bootstrap.servers" },
	{ "delivery.timeout.ms", "message.timeout.ms" },
	{ "queue.buffering.max.ms", "linger.ms" },
	{ "max.in.flight", "max.in.flight.requests.per.connection" },
};

static bool
same_property(const char *left, const char *right)
{
	size_t i;

	for (i = 0; i < COUNT(aliases); i++) {
		if (strcmp(left, aliases[i].alias) == 0)
			left = aliases[i].name;
		if (strcmp(right, aliases[i].alias) == 0)
			right = aliases[i].name;
	}
	return strcmp(left, right) == 0;
}

/* "all" and "-1" are the same acks, "true" and "1" the same switch. */
static bool
same_value(const char *left, const char *right)
{
	static const char *const equal[][2] = {
		{ "all", "-1" },
		{ "true", "1" },
		{ "false", "0" },
		{ "true", "t" },
		{ "false", "f" },
	};
	size_t i;

	if (strcasecmp(left, right) == 0)
		return true;
	for (i = 0; i < COUNT(equal); i++)
		if (strcasecmp(left, equal[i][0]) == 0 &&
		    strcasecmp(right, equal[i][1]) == 0)
			return true;
	return false;
}

static const struct config_property *
find_property(
    const struct config_property *properties, size_t n, const char *name)
{
	size_t i;

	for (i = n; i > 0; i--)
		if (same_property(properties[i - 1].name, name))
			return &properties[i - 1];
	return NULL;
}

int
kafka_settings_merge(const struct kafka_preset *presets, size_t n_presets,
    const struct config_property *properties, size_t n_properties,
    struct config_property *out, struct error *err)
{
	const struct config_property *users;
	size_t n = 0;
	size_t i;

	for (i = 0; i < n_presets; i++) {
		users =
		    find_property(properties, n_properties, presets[i].name);
		if (users != NULL && presets[i].fixed &&
		    !same_value(presets[i].value, users->value))
			return error_fatal(err, 78,
			    "kafka property %s is set by schedrun (%s): "
			    "remove it from the configuration",
			    users->name, presets[i].name);
		if (users == NULL || presets[i].fixed)
			out[n++] = (struct config_property){ presets[i].name,
				presets[i].value };
	}
	for (i = 0; i < n_properties; i++) {
		users =
		    find_property(properties, n_properties, properties[i].name);
		if (users == &properties[i] &&
		    find_property(out, n, users->name) == NULL)
			out[n++] = *users;
	}
	return (int)n;
}

/* librdkafka's own text quotes the value, which may be a secret. */
static int
refused(struct error *err, const char *name, const char *text)
{
	static const char *const secret[] = { "password", "secret", "key",
		"pem", "token", "jaas", "oauthbearer" };
	size_t i;

	for (i = 0; i < COUNT(secret); i++)
		if (strstr(name, secret[i]) != NULL)
			text = "librdkafka refuses its value";
	return error_fatal(err, 78, "kafka property %s: %s", name, text);
}

static int
set_properties(rd_kafka_conf_t *conf, const struct config_property *all,
    size_t n, struct error *err)
{
	char text[256];
	size_t i;

	for (i = 0; i < n; i++)
		if (rd_kafka_conf_set(conf, all[i].name, all[i].value, text,
			sizeof text) != RD_KAFKA_CONF_OK)
			return refused(err, all[i].name, text);
	return 0;
}

/* What both sides have in common. */
static const struct kafka_preset common_presets[] = {
	{ "bootstrap.servers", "127.0.0.1:9092", false },
	{ "client.id", "schedrun", false },
	{ "socket.timeout.ms", "10000", false },
	{ "socket.keepalive.enable", "true", false },
	/* The default's 10 s would be most of what a recovery may take. */
	{ "reconnect.backoff.max.ms", "2000", false },
	{ "topic.metadata.refresh.interval.ms", "60000", false },
	{ "log.connection.close", "false", false },
	{ "allow.auto.create.topics", "false", false },
	{ "metadata.recovery.strategy", KAFKA_RECOVERY, false },
	{ "metadata.max.age.ms", KAFKA_METADATA_AGE, false },
};

/* Whether it is for this librdkafka: some presets are for newer ones, and
 * another for those that need it. */
static bool
is_for_library(const rd_kafka_conf_t *conf, const char *name)
{
	size_t size;

	if (strcmp(name, "metadata.max.age.ms") == 0)
		return rd_kafka_version() >= KAFKA_METADATA_AGE_SINCE &&
		    rd_kafka_version() < KAFKA_METADATA_AGE_END;
	return rd_kafka_conf_get(conf, name, NULL, &size) !=
	    RD_KAFKA_CONF_UNKNOWN;
}

static size_t
add_presets(const rd_kafka_conf_t *conf, struct kafka_preset *out,
    const struct kafka_settings *settings, const struct kafka_preset *presets,
    size_t n_presets)
{
	size_t n = 0;
	size_t i, j;

	for (i = 0; i < COUNT(common_presets); i++) {
		bool replaced = false;
		for (j = 0; j < n_presets; j++)
			replaced |= strcmp(common_presets[i].name,
					presets[j].name) == 0;
		if (replaced || !is_for_library(conf, common_presets[i].name))
			continue;
		out[n] = common_presets[i];
		if (settings->client_id != NULL &&
		    strcmp(out[n].name, "client.id") == 0)
			out[n].value = settings->client_id;
		n++;
	}
	for (i = 0; i < n_presets; i++)
		out[n++] = presets[i];
	return n;
}

struct file_check {
	struct error *err;
	int rc;
};

static void
check_file(void *argument, const struct config_path *path)
{
	struct file_check *check = argument;

	if (check->rc == 0 && path->key != NULL &&
	    strncmp(path->key, "kafka", 5) == 0)
		check->rc = config_path_check(path, check->err);
}

/* librdkafka's word for a file that isn't there is "system lib". */
static int
check_files(const struct config *config, struct error *err)
{
	struct file_check check = { .err = err };

	if (config != NULL)
		config_each_path(config, check_file, &check);
	return check.rc;
}

/* What properties are for. */
struct target {
	rd_kafka_conf_t *conf;
	struct kafka_oauth *oauth;
};

static int
configure(const struct target *target, const struct kafka_settings *settings,
    enum config_side side, const struct kafka_preset *presets, size_t n_presets,
    struct error *err)
{
	size_t n_users = settings->config != NULL
	    ? config_kafka_count(settings->config, side)
	    : 0;
	size_t n_all = COUNT(common_presets) + n_presets;
	struct kafka_preset *ours = memory_zalloc(n_all, sizeof *ours);
	struct config_property *users =
	    memory_zalloc(n_users + 1, sizeof *users);
	struct config_property *all =
	    memory_zalloc(n_all + n_users, sizeof *all);
	size_t n, i;
	int rc;

	for (i = 0; i < n_users; i++)
		users[i] = config_kafka_at(settings->config, side, i);
	n = add_presets(target->conf, ours, settings, presets, n_presets);
	rc = check_files(settings->config, err);
	if (rc == 0)
		rc = kafka_settings_merge(ours, n, users, n_users, all, err);
	if (rc >= 0)
		rc = kafka_oauth_take(target->oauth, all, (size_t)rc, err);
	if (rc >= 0)
		rc = set_properties(target->conf, all, (size_t)rc, err);
	if (rc == 0 && target->oauth->endpoint != NULL)
		kafka_oauth_prepare(target->conf);
	free(ours);
	free(users);
	free(all);
	return rc;
}

/* With right passwords, too: confluentinc/librdkafka#4895. */
static bool
has_old_scram(const rd_kafka_conf_t *conf)
{
	char protocol[32] = "", mechanisms[64] = "";
	size_t size = sizeof protocol;

	rd_kafka_conf_get(conf, "security.protocol", protocol, &size);
	size = sizeof mechanisms;
	rd_kafka_conf_get(conf, "sasl.mechanisms", mechanisms, &size);
	return rd_kafka_version() < SCRAM_VERSION &&
	    strncasecmp(protocol, "sasl", 4) == 0 &&
	    strncasecmp(mechanisms, "SCRAM", 5) == 0;
}

struct rd_kafka_conf_s *
kafka_client_conf(struct kafka_client *client,
    const struct kafka_settings *settings, enum config_side side,
    const struct kafka_preset *presets, size_t n_presets, struct error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	size_t size = sizeof client->brokers;

	client->health = settings->health;
	if (configure(&(struct target){ conf, &client->oauth }, settings, side,
		presets, n_presets, err) != 0) {
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	client->has_old_scram = has_old_scram(conf);
	if (rd_kafka_conf_get(conf, "bootstrap.servers", client->brokers,
		&size) != RD_KAFKA_CONF_OK)
		client->brokers[0] = '\0';
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_closesocket_cb(conf, on_close_socket);
	rd_kafka_conf_set_opaque(conf, client);
	return conf;
}

/* A handle that is made only to look at its settings has no opaque. */
static bool
has_tokens(const rd_kafka_t *handle)
{
	const struct kafka_client *client = rd_kafka_opaque(handle);

	return client != NULL && client->oauth.endpoint != NULL;
}

struct rd_kafka_s *
kafka_client_open(
    struct rd_kafka_conf_s *conf, int type, const char *what, struct error *err)
{
	rd_kafka_t *handle;
	char text[256];
	bool is_wrong;

	if (conf == NULL)
		return NULL;
	handle = rd_kafka_new((rd_kafka_type_t)type, conf, text, sizeof text);
	if (handle == NULL) {
		/* Else it lacks threads: who is started again may have them. */
		is_wrong =
		    rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG;
		rd_kafka_conf_destroy(conf);
		error_fatal(
		    err, is_wrong ? 78 : 71, "kafka %s: %s", what, text);
	}
	if (handle != NULL && has_tokens(handle) &&
	    kafka_oauth_serve(handle, err) != 0) {
		rd_kafka_destroy(handle);
		handle = NULL;
	}
	return handle;
}

const char *const kafka_error_codes[] = { "_TRANSPORT", "_TIMED_OUT",
	"_ALL_BROKERS_DOWN", "_RESOLVE", "_AUTHENTICATION", "_SSL",
	"_MSG_TIMED_OUT", "_QUEUE_FULL", "UNKNOWN_TOPIC_OR_PART",
	"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", NULL };

/*
 * What librdkafka finds only when it puts all together: names and passwords of
 * a mechanism, files of certificates.  Without brokers nothing is connected.
 */
static int
check_whole(rd_kafka_conf_t *conf, enum config_side side, struct error *err)
{
	rd_kafka_t *handle;

	rd_kafka_conf_set(conf, "bootstrap.servers", "", NULL, 0);
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	handle = kafka_client_open(conf,
	    side == CONFIG_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER,
	    "admin client", err);
	if (handle == NULL)
		return -1;
	rd_kafka_destroy(handle);
	return 0;
}

int
kafka_settings_check(const struct config *config, struct error *err)
{
	static const enum config_side sides[] = { CONFIG_CONSUMER,
		CONFIG_PRODUCER };
	const struct kafka_settings settings = { .config = config };
	size_t i;

	for (i = 0; i < COUNT(sides); i++) {
		rd_kafka_conf_t *conf = rd_kafka_conf_new();
		struct kafka_oauth oauth = { 0 };

		if (configure(&(struct target){ conf, &oauth }, &settings,
			sides[i], NULL, 0, err) != 0) {
			rd_kafka_conf_destroy(conf);
			return -1;
		}
		if (check_whole(conf, sides[i], err) != 0)
			return -1;
	}
	return 0;
}

/* Failed calls ----------------------------------------------------------- */

/* Then which brokers were asked is told, too. */
static bool
is_outage(int code)
{
	return code == RD_KAFKA_RESP_ERR__TRANSPORT ||
	    code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
	    code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
	    code == RD_KAFKA_RESP_ERR__RESOLVE;
}

int
kafka_client_fail(struct kafka_client *client, enum kafka_call call,
    struct kafka_failure failure, struct error *err, const char *what,
    const char *detail)
{
	const char *name = rd_kafka_err2name(failure.code);
	bool tells = is_outage(failure.code) && client->brokers[0] != '\0';
	enum error_kind kind;
	int exit_code;

	kind = kafka_classify(call, failure, &exit_code);
	if (kind == ERROR_RETRY && client->refusal[0] != '\0') {
		detail = client->refusal;
		if (client->strict_credentials) {
			kind = ERROR_FATAL;
			exit_code = 77;
		}
	}
	if (failure.fatal)
		client->fatal = true;
	if (client->health != NULL && client->health->count != NULL)
		client->health->count(client->health->opaque, name);
	error_set(err, kind, "%s: %s (%s%s%s)", what,
	    detail != NULL && detail[0] != '\0'
		? detail
		: rd_kafka_err2str(failure.code),
	    name, tells ? "; brokers " : "", tells ? client->brokers : "");
	if (err == NULL)
		return -1;
	err->exit_code = exit_code;
	/* Of a transaction's producer, whose handle is dead then. */
	if (exit_code == 77 && client->refusal[0] == '\0' &&
	    health_refused(client->health, err->message)) {
		err->kind =
		    call <= KAFKA_CALL_ABORT ? ERROR_ABORT : ERROR_RETRY;
		err->exit_code = 0;
	}
	return -1;
}

int
kafka_client_fail_code(struct kafka_client *client, enum kafka_call call,
    int code, struct error *err, const char *what)
{
	struct kafka_failure failure = { .code = code,
		.fatal = code == RD_KAFKA_RESP_ERR__FATAL };

	return kafka_client_fail(client, call, failure, err, what, NULL);
}

int
kafka_client_fail_error(struct kafka_client *client, enum kafka_call call,
    struct rd_kafka_error_s *cause, struct error *err, const char *what)
{
	struct kafka_failure failure = {
		.code = rd_kafka_error_code(cause),
		.retriable = rd_kafka_error_is_retriable(cause),
		.abortable = rd_kafka_error_txn_requires_abort(cause),
		.fatal = rd_kafka_error_is_fatal(cause),
	};
	int rc = kafka_client_fail(
	    client, call, failure, err, what, rd_kafka_error_string(cause));

	rd_kafka_error_destroy(cause);
	return rc;
}

/* A bounded end ---------------------------------------------------------- */

struct ending {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	rd_kafka_t *handle;
	bool done, abandoned;
};

static void
ending_free(struct ending *ending)
{
	pthread_cond_destroy(&ending->ended);
	pthread_mutex_destroy(&ending->lock);
	free(ending);
}

static void *
end_handle(void *argument)
{
	struct ending *ending = argument;
	bool abandoned;

	rd_kafka_destroy_flags(
	    ending->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	pthread_mutex_lock(&ending->lock);
	ending->done = true;
	abandoned = ending->abandoned;
	pthread_cond_signal(&ending->ended);
	pthread_mutex_unlock(&ending->lock);
	if (abandoned)
		ending_free(ending);
	return NULL;
}

static struct ending *
ending_create(rd_kafka_t *handle)
{
	struct ending *ending = memory_zalloc(1, sizeof *ending);

	ending->handle = handle;
	pthread_mutex_init(&ending->lock, NULL);
	clock_condition_init(&ending->ended);
	return ending;
}

/* Whether it ended in time; if not, the thread frees `ending`. */
static bool
ending_wait(struct ending *ending, int timeout_ms)
{
	struct timespec until = clock_after(timeout_ms);
	bool done;

	pthread_mutex_lock(&ending->lock);
	while (!ending->done &&
	    pthread_cond_timedwait(&ending->ended, &ending->lock, &until) == 0)
		;
	done = ending->done;
	ending->abandoned = !done;
	pthread_mutex_unlock(&ending->lock);
	return done;
}

int
kafka_client_destroy_handle(struct rd_kafka_s *handle, int timeout_ms)
{
	struct ending *ending = ending_create(handle);
	pthread_t thread;

	if (pthread_create(&thread, NULL, end_handle, ending) != 0) {
		free(ending);
		rd_kafka_destroy_flags(
		    handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		return 0;
	}
	if (!ending_wait(ending, timeout_ms)) {
		pthread_detach(thread);
		return -1;
	}
	pthread_join(thread, NULL);
	ending_free(ending);
	return 0;
}
