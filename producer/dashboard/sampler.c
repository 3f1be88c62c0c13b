#include "producer/dashboard/sampler.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/json/write.h"
#include "common/kafka/admin.h"
#include "producer/runs/lag.h"
#include "schemas/topics.h"

#define CALL_MS 1000
#define IDLE_MS 10000   /* from look to look, and in the history */
#define WATCHED_MS 2000 /* the same while somebody looks, for */
#define LOOKED_AT_MS 30000
#define LETTERS_MS 2000 /* for finding them; then they are a part */
#define SAMPLES 360     /* an hour */
#define PARTITIONS_MAX 64
#define ARENA_KEPT 65536

struct lag_sample {
	int64_t at_ms;
	size_t n;
	int64_t lag[PARTITIONS_MAX];
};

struct sampler {
	const struct config *config;
	pthread_t thread;
	/* The thread's own: */
	struct kafka_admin *admin;
	bool has_failed; /* something of this look */
	struct arena *arena;
	struct kafka_log *seen; /* the DLQ when its letters were read */
	size_t n_seen;
	struct registry *registry;
	/* Of all threads: */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, looked; /* once at least, in vain or not */
	int64_t asked_ms;  /* monotonic: when somebody looked last */
	int64_t measured_ms;
	struct buffer state; /* JSON members, after a comma or an opening */
	struct letter_shelf *shelf; /* changed by the thread alone */
	struct lag_sample samples[SAMPLES];
	size_t n_samples; /* ever taken */
};

/* What it sees ----------------------------------------------------------- */

/* Who wants to see this must be given the right. */
static void
put_untold(struct buffer *out, const struct error *err, const char *mend)
{
	json_open(out, '{');
	json_member_text(out, "error", text_from(err->message));
	json_member_string(out, "mend", mend);
	json_close(out, '}');
}

static void
put_partition(struct buffer *out, const struct lag *lag, size_t i)
{
	int64_t age = clock_wall_ms() - lag->times[i], from;

	json_open(out, '{');
	json_member_integer(out, "partition", (int64_t)i);
	json_member_integer(out, "end", lag->logs[i].end);
	json_member_integer(out, "lag", lag_of(lag, i));
	if (lag->times[i] >= 0)
		json_member_integer(out, "oldestAgeMs", age > 0 ? age : 0);
	if (lag->owners[i] != NULL)
		json_member_string(out, "owner", lag->owners[i]);
	if (lag_is_held(lag, i, &from))
		json_member_integer(out, "heldAt", from);
	json_close(out, '}');
}

/* Of all partitions. */
static void
put_sum(struct buffer *out, const struct lag *lag)
{
	int64_t total = 0, oldest = -1, from, age;
	size_t held = 0, i;

	for (i = 0; i < lag->n; i++) {
		total += lag_of(lag, i);
		held += lag_is_held(lag, i, &from);
		if (lag->times[i] >= 0 &&
		    (oldest < 0 || lag->times[i] < oldest))
			oldest = lag->times[i];
	}
	json_member_string(out, "topic", lag->topic);
	json_member_integer(out, "lag", total);
	json_member_integer(out, "held", (int64_t)held);
	age = clock_wall_ms() - oldest;
	if (oldest >= 0)
		json_member_integer(out, "oldestAgeMs", age > 0 ? age : 0);
}

static void
put_requests(struct buffer *out, const struct lag *lag)
{
	size_t i;

	json_open(out, '{');
	put_sum(out, lag);
	json_member_open(out, "partitions", '[');
	for (i = 0; i < lag->n; i++)
		put_partition(out, lag, i);
	json_close(out, ']');
	json_close(out, '}');
}

static void
put_member(struct buffer *out, const struct lag *lag,
    const struct kafka_group_member *member)
{
	size_t i;

	json_open(out, '{');
	json_member_string(out, "clientId", member->client_id);
	json_member_string(out, "host", member->host);
	json_member_open(out, "partitions", '[');
	for (i = 0; i < member->n_partitions; i++)
		if (strcmp(member->partitions[i].topic, lag->topic) == 0)
			json_put_integer(out, member->partitions[i].partition);
	json_close(out, ']');
	json_close(out, '}');
}

static void
put_workers(struct buffer *out, const struct lag *lag)
{
	size_t i;

	json_open(out, '{');
	json_member_string(out, "group", lag->group);
	json_member_string(out, "state", lag->members.state);
	json_member_open(out, "members", '[');
	for (i = 0; i < lag->members.n_members; i++)
		put_member(out, lag, &lag->members.members[i]);
	json_close(out, ']');
	json_close(out, '}');
}

static void
keep_sample(struct sampler *sampler, const struct lag *lag)
{
	struct lag_sample *last =
	    &sampler->samples[(sampler->n_samples + SAMPLES - 1) % SAMPLES];
	struct lag_sample sample = { .at_ms = clock_wall_ms() };
	size_t i;

	sample.n = lag->n < PARTITIONS_MAX ? lag->n : PARTITIONS_MAX;
	for (i = 0; i < lag->n; i++) /* the last one is all further ones */
		sample.lag[i < sample.n ? i : sample.n - 1] += lag_of(lag, i);
	if (sampler->n_samples == 0 ||
	    sample.at_ms / IDLE_MS != last->at_ms / IDLE_MS)
		sampler->samples[sampler->n_samples++ % SAMPLES] = sample;
	else
		*last = sample;
}

static const char lag_mend[] =
    "schedrun lag says more; the adapter's user needs the rights of "
    "deploy/kafka-acls.md for the page";

static void
put_lag(struct sampler *sampler, struct buffer *out)
{
	struct lag lag = { .topic = topic_name(sampler->config, TOPIC_REQUESTS),
		.group = config_text(sampler->config, "worker.group"),
		.arena = sampler->arena };
	struct error err = { 0 };

	if (lag_measure(&lag, sampler->admin, &err) != 0) {
		sampler->has_failed = true;
		json_name(out, "requests");
		put_untold(out, &err, lag_mend);
		json_name(out, "workers");
		put_untold(out, &err, lag_mend);
		return;
	}
	pthread_mutex_lock(&sampler->lock);
	keep_sample(sampler, &lag);
	pthread_mutex_unlock(&sampler->lock);
	json_name(out, "requests");
	put_requests(out, &lag);
	json_name(out, "workers");
	put_workers(out, &lag);
}

/* Those who need not be there; who never was has nothing to be told of. */
static const struct reading {
	const char *name; /* of the member */
	enum topic topic;
	const char *group; /* the key of its name */
} readings[] = {
	{ "trigger", TOPIC_EVENTS, "trigger.group" },
	{ "builder", TOPIC_BUILDS, "builder.group" },
};

static bool
was_ever(const struct lag *lag)
{
	size_t i;

	for (i = 0; i < lag->n; i++)
		if (lag->committed[i] >= 0)
			return true;
	return lag->members.n_members > 0;
}

static void
put_behind(
    struct sampler *sampler, const struct reading *reading, struct buffer *out)
{
	struct lag lag = { .topic = topic_name(sampler->config, reading->topic),
		.group = config_text(sampler->config, reading->group),
		.arena = sampler->arena };
	struct error err = { 0 };

	if (lag_measure(&lag, sampler->admin, &err) != 0) {
		if (err.exit_code != LAG_NO_TOPIC) {
			json_name(out, reading->name);
			put_untold(out, &err, lag_mend);
		}
		return;
	}
	if (!was_ever(&lag))
		return;
	json_member_open(out, reading->name, '{');
	json_member_string(out, "group", lag.group);
	json_member_integer(out, "members", (int64_t)lag.members.n_members);
	put_sum(out, &lag);
	json_close(out, '}');
}

static void
put_others(struct sampler *sampler, struct buffer *out)
{
	size_t i;

	json_member_open(out, "others", '{');
	for (i = 0; i < sizeof readings / sizeof readings[0]; i++)
		put_behind(sampler, &readings[i], out);
	json_close(out, '}');
}

/* Dead letters ------------------------------------------------------------ */

/* Anew; what was there goes. */
static int
read_letters(struct sampler *sampler, struct error *err)
{
	const struct letter_filter all = { .reason = DEAD_REASONS,
		.partition = -1 };
	struct letter_shelf *shelf = NULL, *old;
	struct letters *letters;
	int rc = -1;

	if (sampler->registry == NULL)
		sampler->registry = registry_create(sampler->config, err);
	if (sampler->registry == NULL)
		return -1;
	letters = letters_create(sampler->config, CALL_MS, err);
	if (letters != NULL)
		rc = letters_index(letters, &all, false, LETTERS_MS, err);
	if (rc >= 0)
		shelf =
		    letter_shelf_read(letters, rc > 0, sampler->registry, err);
	letters_destroy(letters);
	if (shelf == NULL)
		return -1;
	pthread_mutex_lock(&sampler->lock);
	old = sampler->shelf;
	sampler->shelf = shelf;
	pthread_mutex_unlock(&sampler->lock);
	letter_shelf_destroy(old);
	return 0;
}

/* The DLQ's logs; whether they are as they were when it was counted. */
static int
look_at_dlq(struct sampler *sampler, bool *same, struct error *err)
{
	struct kafka_topic topic = { .name = topic_name(
					 sampler->config, TOPIC_DLQ) };
	struct kafka_log *logs;
	size_t n;

	if (kafka_admin_describe_topics(
		sampler->admin, &topic, 1, false, err) != 0)
		return -1;
	n = (size_t)topic.partitions;
	if (n == 0)
		return error_fatal(err, 3,
		    "topic %s does not exist; run schedrun init", topic.name);
	logs = memory_zalloc(n, sizeof *logs);
	if (kafka_admin_logs(sampler->admin, topic.name, logs, n, err) != 0) {
		free(logs);
		return -1;
	}
	*same = sampler->shelf != NULL && n == sampler->n_seen &&
	    memcmp(logs, sampler->seen, n * sizeof *logs) == 0;
	free(sampler->seen);
	sampler->seen = logs;
	sampler->n_seen = n;
	return 0;
}

/* Read only when something has come or gone: all of it is read then. */
static void
put_letters(struct sampler *sampler, struct buffer *out)
{
	struct error err = { 0 };
	bool same = false;

	json_name(out, "letters");
	if (look_at_dlq(sampler, &same, &err) == 0 &&
	    (same || read_letters(sampler, &err) == 0)) {
		buffer_append(out, sampler->shelf->counts);
		return;
	}
	sampler->has_failed = true;
	sampler->n_seen = 0; /* then anew */
	put_untold(out, &err,
	    "schedrun dlq list says more; the adapter's user needs the "
	    "rights of deploy/kafka-acls.md for the page");
}

/* The thread -------------------------------------------------------------- */

static int
open_admin(struct sampler *sampler, struct error *err)
{
	const struct kafka_settings settings = {
		.config = sampler->config,
		.client_id = "schedrun-http-page",
	};

	if (sampler->admin == NULL)
		sampler->admin = kafka_admin_create(&settings, CALL_MS, err);
	return sampler->admin != NULL ? 0 : -1;
}

static void
take_look(struct sampler *sampler)
{
	struct buffer out = { 0 }, old;
	struct error err = { 0 };

	if (open_admin(sampler, &err) != 0)
		return;
	arena_reset(sampler->arena, ARENA_KEPT);
	json_open(&out, '{');
	put_lag(sampler, &out);
	put_others(sampler, &out);
	put_letters(sampler, &out);
	pthread_mutex_lock(&sampler->lock);
	old = sampler->state;
	sampler->state = out;
	sampler->measured_ms = clock_wall_ms();
	pthread_mutex_unlock(&sampler->lock);
	buffer_finish(&old);
	/* No request may be left in it to time out: admin_request.c. */
	if (sampler->has_failed) {
		kafka_admin_destroy(sampler->admin);
		sampler->admin = NULL;
		sampler->has_failed = false;
	}
}

/* Whether to go on. */
static bool
wait_for_turn(struct sampler *sampler)
{
	int64_t since = clock_monotonic_ms();
	bool stop;

	pthread_mutex_lock(&sampler->lock);
	for (;;) {
		int64_t now = clock_monotonic_ms();
		bool watched = sampler->asked_ms > 0 &&
		    now - sampler->asked_ms < LOOKED_AT_MS;
		int64_t left = since + (watched ? WATCHED_MS : IDLE_MS) - now;
		struct timespec until;

		if (!sampler->looked && watched)
			left = 0; /* the first one is not waited for */
		if (sampler->stop || left <= 0)
			break;
		until = clock_after(left);
		pthread_cond_timedwait(&sampler->wake, &sampler->lock, &until);
	}
	stop = sampler->stop;
	sampler->looked = true;
	pthread_mutex_unlock(&sampler->lock);
	return !stop;
}

static void *
sample(void *argument)
{
	struct sampler *sampler = argument;

	while (wait_for_turn(sampler))
		take_look(sampler);
	return NULL;
}

struct sampler *
sampler_start(const struct config *config, struct error *err)
{
	struct sampler *sampler = memory_zalloc(1, sizeof *sampler);

	sampler->config = config;
	sampler->arena = arena_create(0);
	pthread_mutex_init(&sampler->lock, NULL);
	clock_condition_init(&sampler->wake);
	if (pthread_create(&sampler->thread, NULL, sample, sampler) != 0) {
		sampler->stop = true; /* no thread is to be waited for */
		sampler_destroy(sampler);
		error_fatal(err, 71, "the page's thread can't be started");
		return NULL;
	}
	return sampler;
}

void
sampler_stop(struct sampler *sampler)
{
	bool runs;

	if (sampler == NULL)
		return;
	pthread_mutex_lock(&sampler->lock);
	runs = !sampler->stop;
	sampler->stop = true;
	pthread_cond_signal(&sampler->wake);
	pthread_mutex_unlock(&sampler->lock);
	if (runs)
		pthread_join(sampler->thread, NULL);
}

void
sampler_destroy(struct sampler *sampler)
{
	if (sampler == NULL)
		return;
	sampler_stop(sampler);
	kafka_admin_destroy(sampler->admin);
	arena_destroy(sampler->arena);
	buffer_finish(&sampler->state);
	letter_shelf_destroy(sampler->shelf);
	registry_destroy(sampler->registry);
	free(sampler->seen);
	pthread_cond_destroy(&sampler->wake);
	pthread_mutex_destroy(&sampler->lock);
	free(sampler);
}

/* What is told ------------------------------------------------------------ */

void
sampler_write(struct sampler *sampler, struct buffer *out)
{
	pthread_mutex_lock(&sampler->lock);
	sampler->asked_ms = clock_monotonic_ms();
	pthread_cond_signal(&sampler->wake);
	if (sampler->measured_ms > 0) {
		json_member_time(out, "measuredTime", sampler->measured_ms);
		buffer_byte(out, ',');
		buffer_append(out,
		    (struct text){
			sampler->state.at + 1, sampler->state.size - 1 });
	}
	pthread_mutex_unlock(&sampler->lock);
}

/* In the arena: the shelf may be another one at once. */
static void
copy_letter(const struct shelf_letter *from, struct arena *arena,
    struct shelf_letter *to)
{
	*to = *from;
	to->place = text_copy(arena, from->place);
	if (from->key.at != NULL)
		to->key = text_copy(arena, from->key);
	if (from->portrait.at != NULL)
		to->portrait = text_copy(arena, from->portrait);
}

size_t
sampler_copy_letters(struct sampler *sampler, struct arena *arena,
    struct shelf_letter letters[SHELF_LETTERS])
{
	size_t n = 0;

	pthread_mutex_lock(&sampler->lock);
	while (sampler->shelf != NULL && n < sampler->shelf->n) {
		copy_letter(&sampler->shelf->letters[n], arena, &letters[n]);
		n++;
	}
	pthread_mutex_unlock(&sampler->lock);
	return n;
}

static void
put_series(struct buffer *out, const struct sampler *sampler, size_t first,
    size_t partition)
{
	size_t i;

	json_open(out, '[');
	for (i = first; i < sampler->n_samples; i++) {
		const struct lag_sample *sample =
		    &sampler->samples[i % SAMPLES];

		if (partition < sample->n)
			json_put_integer(out, sample->lag[partition]);
		else
			json_put_null(out);
	}
	json_close(out, ']');
}

void
sampler_write_history(struct sampler *sampler, struct buffer *out)
{
	char time[CLOCK_TEXT_SIZE];
	size_t first, partitions = 0, i;

	pthread_mutex_lock(&sampler->lock);
	first = sampler->n_samples > SAMPLES ? sampler->n_samples - SAMPLES : 0;
	json_open(out, '{');
	json_member_open(out, "at", '[');
	for (i = first; i < sampler->n_samples; i++) {
		const struct lag_sample *sample =
		    &sampler->samples[i % SAMPLES];

		clock_format(sample->at_ms, time);
		json_put_text(out, (struct text){ time, sizeof time });
		if (sample->n > partitions)
			partitions = sample->n;
	}
	json_close(out, ']');
	json_member_open(out, "partitions", '[');
	for (i = 0; i < partitions; i++)
		put_series(out, sampler, first, i);
	json_close(out, ']');
	json_close(out, '}');
	pthread_mutex_unlock(&sampler->lock);
}
