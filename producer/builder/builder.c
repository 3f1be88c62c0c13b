#include "producer/builder/builder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/consumer.h"
#include "common/kafka/rights.h"
#include "producer/builder/announce.h"
#include "producer/builder/metrics.h"
#include "producer/builder/old_logs.h"
#include "producer/builder/task.h"
#include "producer/runs/build_report.h"
#include "schemas/topics.h"

#define RECORDS 8 /* of a poll: each may have 10 MiB */
#define OPEN_MAX 500
#define OPEN_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define POLL_MS 200
#define TURN_MS 1000 /* between two polls, whatever there is to do */
#define AGAIN_MS 500 /* after Redis has not answered */
#define CALL_MS 3000
#define CLOSE_MS 5000
#define REFRESH_MS 10000
#define FRESH_MS 10000
#define BEAT_MS 30000
#define COMMIT_MS 500
#define TELL_AGAIN_MS 2000 /* after Kafka took no event */
#define RIGHT_MS 5000      /* between two tries of one that is missing */
#define HOST_MAX 65
#define EX_CONFIG 78
#define EX_NOPERM 77

/* Of a partition that is ours. */
struct build_place {
	int32_t partition;
	int64_t next;      /* behind the last record that was taken */
	int64_t committed; /* by us */
};

struct builder {
	const struct config *config;
	struct metrics *metrics;
	const char *topic;
	struct kafka_health *kafka;
	struct kafka_consumer *consumer;
	struct redis *redis, *view_redis; /* the latter may be the former */
	struct keyspace *keyspace;
	struct run_view view;
	struct message_decoder *decoder;
	struct job_runner runner;
	struct announcer *announcer;
	int64_t untold_ms; /* monotonic: until then no event is tried */
	struct job_rules *rules;
	char host[HOST_MAX];
	struct task **tasks; /* `parallel` of them; NULL: free */
	size_t parallel, n_tasks;
	struct task *lone; /* beside which nothing runs; NULL: none */
	bool lone_waits, lone_waited; /* for the others: this turn, the last */
	struct open_build *builds;    /* in the order in which they came */
	size_t n_builds, n_bytes;
	struct build_place *places;
	size_t n_places;
	int64_t committed_ms, turn_end_ms;
	struct health_check *kafka_check, *redis_check, *events_check;
	bool may_tell;    /* events, as far as Kafka's rights go */
	int64_t asked_ms; /* monotonic: when that was tried last */
	struct health_check *registry_check; /* NULL: none is configured */
	int64_t ours_ms; /* monotonic: when Redis was last seen to be ours */
	struct health_beat *beat;
	atomic_int stops;
	int64_t drain_ms; /* when jobs are ended; 0: nobody has asked */
};

/* Builds come and go ------------------------------------------------------ */

static struct build_place *
find_place(struct builder *builder, int32_t partition)
{
	size_t i;

	for (i = 0; i < builder->n_places; i++)
		if (builder->places[i].partition == partition)
			return &builder->places[i];
	return NULL;
}

static void
add_build(struct builder *builder, struct open_build *build)
{
	struct open_build **at = &builder->builds;

	while (*at != NULL)
		at = &(*at)->next;
	*at = build;
	builder->n_builds++;
	builder->n_bytes += build->value.size;
}

static void
remove_build(struct builder *builder, struct open_build **at)
{
	struct open_build *build = *at;

	*at = build->next;
	builder->n_builds--;
	builder->n_bytes -= build->value.size;
	open_build_destroy(build);
}

/* A build that left with its partition while a job of it ran, and is back. */
static bool
is_back(struct builder *builder, const struct kafka_record *record)
{
	struct open_build *build = builder->builds;

	while (build != NULL &&
	    !(build->leaving && text_equal(build->key, record->key)))
		build = build->next;
	if (build == NULL)
		return false;
	build->leaving = false;
	build->partition = record->partition;
	build->offset = record->offset;
	return true;
}

static void
take_record(struct builder *builder, const struct kafka_record *record)
{
	struct build_place *place = find_place(builder, record->partition);

	if (place == NULL)
		return;
	if (place->next <= record->offset)
		place->next = record->offset + 1;
	if (!is_back(builder, record))
		add_build(builder, open_build_create(record));
}

/* Behind all that has ended, before the first that has not. */
static int64_t
offset_to_commit(const struct builder *builder, const struct build_place *place)
{
	const struct open_build *build;
	int64_t offset = place->next;

	for (build = builder->builds; build != NULL; build = build->next)
		if (!build->leaving && build->partition == place->partition &&
		    build->offset < offset)
			offset = build->offset;
	return offset;
}

/* One that is lost costs no more than a look at builds that have ended. */
static void
commit_offsets(struct builder *builder)
{
	struct error err;
	int64_t lag = 0;
	size_t i;

	builder->committed_ms = clock_monotonic_ms();
	for (i = 0; i < builder->n_places; i++) {
		struct build_place *place = &builder->places[i];
		int64_t offset = offset_to_commit(builder, place);
		int64_t end = kafka_consumer_end(
		    builder->consumer, builder->topic, place->partition);

		if (offset >= 0 && end > offset)
			lag += end - offset;
		if (offset > place->committed &&
		    kafka_consumer_commit(builder->consumer, builder->topic,
			(struct kafka_offset){ place->partition, offset },
			&err) == 0)
			place->committed = offset;
	}
	metrics_set(builder->metrics, BUILDER_LAG, 0, (double)lag);
}

static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct builder *builder = opaque;
	size_t i;

	builder->places =
	    memory_resize(builder->places, n + 1, sizeof *builder->places);
	for (i = 0; i < n; i++)
		builder->places[i] =
		    (struct build_place){ positions[i].partition,
			    positions[i].offset, positions[i].committed };
	builder->n_places = n;
	return 0;
}

/* What runs goes on, and is reported; whoever comes after waits for it. */
static void
on_revoked(void *opaque, bool lost)
{
	struct builder *builder = opaque;
	struct open_build *build;

	if (!lost)
		commit_offsets(builder);
	builder->n_places = 0;
	for (build = builder->builds; build != NULL; build = build->next)
		build->leaving = true;
}

/* Markers of transactions are behind us as well; what this poll returns isn't,
 * and is taken before anything is committed. */
static void
on_reached(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct build_place *place = find_place(opaque, partition);

	(void)topic;
	if (place != NULL && place->next < offset)
		place->next = offset;
}

static bool
is_full(const struct builder *builder)
{
	return builder->drain_ms != 0 || builder->n_builds >= OPEN_MAX ||
	    builder->n_bytes >= OPEN_BYTES_MAX;
}

/* Partitions are paused while there is no room; polled they are always. */
static int
poll_records(struct builder *builder, int timeout_ms, struct error *err)
{
	struct kafka_record records[RECORDS];
	bool full = is_full(builder);
	int n, i;

	if (full != kafka_consumer_is_paused(builder->consumer) &&
	    (full ? kafka_consumer_pause(builder->consumer, err)
		  : kafka_consumer_resume(builder->consumer, err)) != 0)
		return -1;
	n = kafka_consumer_poll(
	    builder->consumer, records, RECORDS, timeout_ms, err);
	for (i = 0; i < n; i++)
		take_record(builder, &records[i]);
	if (n > 0)
		kafka_records_release(records, (size_t)n);
	return n;
}

/* Jobs -------------------------------------------------------------------- */

static void
note_redis(struct builder *builder, const struct error *err)
{
	bool ok = err == NULL;

	metrics_set(builder->metrics, BUILDER_DEPENDENCIES, BUILDER_REDIS, ok);
	if (ok) {
		health_ok(builder->redis_check);
		return;
	}
	if (health_check_is_ok(builder->redis_check))
		log_event(LOG_WARN, "builder", "redis_not_ready", err->message,
		    LOG_END);
	health_bad(builder->redis_check, "%s", err->message);
	builder->runner.away_ms = clock_monotonic_ms() + AGAIN_MS;
}

/* Of what the builds that wait for their schema were told. */
static void
note_registry(struct builder *builder)
{
	struct health_check *check = builder->registry_check;
	struct error why;
	enum registry_state state;

	if (check == NULL)
		return;
	state = message_decoder_state(builder->decoder, &why);
	metrics_set(builder->metrics, BUILDER_DEPENDENCIES, BUILDER_REGISTRY,
	    state != REGISTRY_AWAY);
	health_note(check, "%s", state == REGISTRY_LACKS ? why.message : "");
	if (state != REGISTRY_AWAY) {
		health_ok(check);
		return;
	}
	if (health_check_is_ok(check))
		log_event(LOG_WARN, "builder", "registry_not_ready",
		    why.message, LOG_END);
	health_bad(check, "%s", why.message);
}

static int
open_store(struct builder *builder, struct error *err)
{
	char cluster[KEYSPACE_NAME_MAX];

	kafka_consumer_cluster_id(builder->consumer, cluster, sizeof cluster);
	return keyspace_open_ours(
	    builder->redis, builder->keyspace, cluster, &builder->ours_ms, err);
}

static struct task **
free_slot(struct builder *builder)
{
	size_t i;

	for (i = 0; i < builder->parallel; i++)
		if (builder->tasks[i] == NULL)
			return &builder->tasks[i];
	return NULL;
}

static void
turn_task(struct builder *builder, struct task **slot)
{
	struct error err = { 0 };

	if (task_turn(*slot, &err)) {
		if (builder->lone == *slot)
			builder->lone = NULL;
		*slot = NULL;
		builder->n_tasks--;
	}
	if (err.kind == ERROR_RETRY || err.kind == ERROR_FATAL)
		note_redis(builder, &err);
}

static void
turn_tasks(struct builder *builder)
{
	size_t i;

	for (i = 0; i < builder->parallel; i++)
		if (builder->tasks[i] != NULL)
			turn_task(builder, &builder->tasks[i]);
}

/* A failed job ends the others of its build, if its version says so. */
static void
end_aborted(struct builder *builder)
{
	size_t i;

	for (i = 0; i < builder->parallel; i++)
		if (builder->tasks[i] != NULL &&
		    task_build(builder->tasks[i])->aborted)
			task_end(builder->tasks[i], DOOM_ABORTED);
}

static void
report_unreadable(
    struct builder *builder, struct open_build *build, const char *why)
{
	metrics_add(builder->metrics, BUILDER_BUILDS, BUILT_NONE, 1);
	log_event(LOG_WARN, "builder", "build_unreadable", why,
	    LOG_I("partition", build->partition),
	    LOG_I("offset", build->offset), LOG_END);
	build->over = true;
}

/* -1: Redis does not answer.  One whose schema can't be had waits for it. */
static int
read_build(struct builder *builder, struct open_build *build, struct error *err)
{
	if (build->is_read || build->over || build->leaving ||
	    open_build_read(
		build, builder->decoder, &builder->runner.store, err) == 0)
		return 0;
	if (err->kind != ERROR_INPUT)
		return open_build_is_decoded(build) ? -1 : 0;
	report_unreadable(builder, build, err->message);
	return 0;
}

/* A build may have 100,000 jobs that are up to date. */
static bool
is_turn_over(const struct builder *builder)
{
	return clock_monotonic_ms() >= builder->turn_end_ms;
}

/*
 * A job that makes its last try makes it alone, and what runs is waited for:
 * meanwhile nothing else begins.
 */
static bool
may_begin(struct builder *builder, const struct open_build *build, size_t job)
{
	bool is_last = task_is_last_try(&builder->runner, build, job);

	if (is_last && builder->n_tasks > 0)
		builder->lone_waits = true;
	if (builder->lone != NULL || builder->lone_waits)
		return false;
	return is_last || !builder->lone_waited;
}

static int
start_jobs(struct builder *builder, struct open_build *build, struct error *err)
{
	struct task **slot = free_slot(builder);
	int64_t now = clock_monotonic_ms();
	size_t job;

	while (slot != NULL && !is_turn_over(builder) &&
	    open_build_next(build, now, builder->runner.round, &job) &&
	    may_begin(builder, build, job)) {
		bool is_last = task_is_last_try(&builder->runner, build, job);
		int rc = task_start(&builder->runner, build, job, slot, err);

		if (rc < 0)
			return -1;
		if (rc == 1) {
			builder->n_tasks++;
			builder->lone = is_last ? *slot : NULL;
			/* What is up to date has ended already. */
			turn_task(builder, slot);
		}
		slot = free_slot(builder);
	}
	return 0;
}

static struct build_report
report_of(struct builder *builder, const struct open_build *build)
{
	return (struct build_report){ .redis = builder->redis,
		.keyspace = builder->keyspace,
		.view = &builder->view,
		.arena = build->arena,
		.tells = true };
}

static void
log_build(const struct open_build *build, const char *state)
{
	char rid[RID_SIZE_MAX];

	log_event(LOG_INFO, "builder", "build_ended", "a build has ended",
	    LOG_T("build",
		((struct text){ rid,
		    rid_format(TEXT(RID_BUILD_PREFIX), &build->id, rid) })),
	    LOG_S("state", state), LOG_I("jobs", build->event.build.n_jobs),
	    LOG_I("duration_ms", clock_monotonic_ms() - build->opened_ms),
	    LOG_END);
}

static void
tell_trace(const struct open_build *build)
{
	char rid[RID_SIZE_MAX], run[RID_SIZE_MAX];
	const struct trace_attribute attributes[] = {
		{ "schedrun.build",
		    { rid,
			rid_format(TEXT(RID_BUILD_PREFIX), &build->id, rid) },
		    0 },
		{ "schedrun.run",
		    { run,
			rid_format(
			    TEXT(RID_RUN_PREFIX), &build->event.run.id, run) },
		    0 },
		{ "schedrun.schedule", build->event.run.schedule_rid, 0 },
		{ "schedrun.jobs", TEXT_NONE,
		    (int64_t)build->event.build.n_jobs },
		{ NULL, TEXT_NONE, 0 },
	};
	struct trace_span span = build->span;

	if (!build->is_traced)
		return;
	span.ended_ns = trace_now_ns();
	span.failure = build->failed ? "a job has failed" : NULL;
	tracer_add(&span, attributes);
}

static int
report_build(
    struct builder *builder, struct open_build *build, struct error *err)
{
	const char *state = build->failed ? "FAILED" : "SUCCEEDED";
	struct build_report report = report_of(builder, build);
	struct report_result result;

	if (redis_connect(builder->redis, err) != 0 ||
	    redis_connect(builder->view_redis, err) != 0 ||
	    build_report_state(&report, &build->id, state, &result, err) < 0)
		return -1;
	build->reported = true;
	build->to_tell = result.to_tell;
	metrics_add(builder->metrics, BUILDER_BUILDS,
	    build->failed ? BUILT_FAILED : BUILT_SUCCEEDED, 1);
	log_build(build, state);
	tell_trace(build);
	return 0;
}

static void
note_events(struct builder *builder, const struct error *err)
{
	if (err == NULL) {
		health_ok(builder->events_check);
		return;
	}
	if (health_check_is_ok(builder->events_check))
		log_event(
		    LOG_WARN, "builder", "events_wait", err->message, LOG_END);
	health_bad(builder->events_check,
	    "builds that have ended can't be told: %s", err->message);
	builder->untold_ms = clock_monotonic_ms() + TELL_AGAIN_MS;
}

/*
 * Its event, before its offset: who is killed in between finds it due, and
 * tells it again.  1: told; 0: not yet; -1: Redis fails.
 */
static int
tell_build(struct builder *builder, struct open_build *build, struct error *err)
{
	struct build_report report = report_of(builder, build);
	struct error ignored;
	int rc;

	if (!build->to_tell)
		return 1;
	if (clock_monotonic_ms() < builder->untold_ms)
		return 0;
	rc = announcer_tell(builder->announcer, build, err);
	if (rc == 0)
		note_events(builder, err);
	if (rc != 1)
		return rc;
	note_events(builder, NULL);
	build->to_tell = false;
	/* One that is lost costs a repeat, which is the same event. */
	build_report_told(&report, &build->id, &ignored);
	return 1;
}

/* 1: it is gone; 0: it stays, until its event is sent; -1: Redis fails. */
static int
end_build(struct builder *builder, struct open_build **at, struct error *err)
{
	struct open_build *build = *at;
	int rc;

	if (build->over && build->is_read)
		metrics_add(builder->metrics, BUILDER_BUILDS, BUILT_OVER, 1);
	if (!build->over && !build->leaving) {
		if (!build->reported && report_build(builder, build, err) != 0)
			return -1;
		rc = tell_build(builder, build, err);
		if (rc != 1)
			return rc;
	}
	remove_build(builder, at);
	return 1;
}

/* In the order in which they came; the first that Redis fails ends the turn. */
static int
turn_builds(struct builder *builder, struct error *err)
{
	struct open_build **at = &builder->builds;

	while (*at != NULL && !is_turn_over(builder)) {
		struct open_build *build = *at;
		int rc = 0;

		if (read_build(builder, build, err) != 0)
			return -1;
		if (builder->drain_ms == 0 &&
		    start_jobs(builder, build, err) != 0)
			return -1;
		if (open_build_is_whole(build))
			rc = end_build(builder, at, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			at = &build->next;
	}
	return 0;
}

/* -1: ERROR_FATAL, this Redis is not ours. */
static int
turn(struct builder *builder, struct error *fatal)
{
	struct error err = { 0 };

	builder->turn_end_ms = clock_monotonic_ms() + TURN_MS;
	builder->lone_waited = builder->lone_waits;
	builder->lone_waits = false;
	turn_tasks(builder);
	end_aborted(builder);
	if (clock_monotonic_ms() < builder->runner.away_ms)
		return 0;
	if (open_store(builder, &err) != 0 && err.exit_code == EX_CONFIG) {
		*fatal = err;
		return -1;
	}
	if (err.kind != ERROR_NONE || turn_builds(builder, &err) != 0 ||
	    redis_connect(builder->redis, &err) != 0)
		note_redis(builder, &err);
	else
		note_redis(builder, NULL);
	note_registry(builder);
	return 0;
}

/* The loop ---------------------------------------------------------------- */

static void
note_kafka(struct builder *builder)
{
	struct kafka_state state;
	struct error lacking;
	bool lacks;

	/* Also asks where nothing comes, and so nobody would answer. */
	lacks = kafka_consumer_lacks(
	    builder->consumer, &builder->topic, 1, &lacking);
	kafka_health_read(builder->kafka, FRESH_MS, &state);
	metrics_set(builder->metrics, BUILDER_DEPENDENCIES, BUILDER_KAFKA,
	    state.up && (!lacks || lacking.exit_code != 0));
	if (lacks && health_check_is_ok(builder->kafka_check))
		log_event(LOG_WARN, "builder", "kafka_refused", lacking.message,
		    LOG_END);
	if (!state.up)
		health_bad(builder->kafka_check, "%s", state.reason);
	else if (lacks)
		health_bad(builder->kafka_check, "%s", lacking.message);
	else if (!kafka_consumer_is_joined(builder->consumer))
		health_bad(builder->kafka_check, "not a member of the group %s",
		    config_text(builder->config, "builder.group"));
	else
		health_ok(builder->kafka_check);
}

/* What is asked to end gets builder.drain; then it is told, and killed. */
static void
drain_jobs(struct builder *builder)
{
	int stops = atomic_load(&builder->stops);
	int64_t now = clock_monotonic_ms();
	size_t i;

	if (stops > 0 && builder->drain_ms == 0)
		builder->drain_ms =
		    now + config_number(builder->config, "builder.drain");
	if (builder->drain_ms == 0 || (now < builder->drain_ms && stops < 2))
		return;
	for (i = 0; i < builder->parallel; i++) {
		if (builder->tasks[i] == NULL)
			continue;
		task_end(builder->tasks[i], DOOM_DRAINED);
		if (stops > 1)
			task_kill(builder->tasks[i]);
	}
}

static int
ask_right(struct builder *builder, struct error *err)
{
	const struct kafka_settings settings = { .config = builder->config,
		.client_id = "schedrun-builder" };
	const char *topic = topic_name(builder->config, TOPIC_EVENTS);

	return kafka_rights_to_write(&settings, &topic, 1, CALL_MS, err);
}

/* What lacks for the first event is told now, not when a build has ended. */
static void
note_right(struct builder *builder)
{
	struct error err;

	if (builder->may_tell ||
	    clock_monotonic_ms() - builder->asked_ms < RIGHT_MS ||
	    !kafka_consumer_is_joined(builder->consumer))
		return;
	builder->may_tell = ask_right(builder, &err) == 0;
	builder->asked_ms = clock_monotonic_ms();
	if (builder->may_tell)
		health_ok(builder->events_check);
	else
		health_bad(builder->events_check, "%s", err.message);
}

static void
wait_for_kafka(struct builder *builder)
{
	struct error err;

	while (atomic_load(&builder->stops) == 0 &&
	    (kafka_consumer_find(
		 builder->consumer, &builder->topic, 1, CALL_MS, &err) != 0 ||
		kafka_consumer_subscribe(
		    builder->consumer, &builder->topic, 1, &err) != 0)) {
		health_bad(builder->kafka_check, "%s", err.message);
		note_redis(
		    builder, open_store(builder, &err) == 0 ? NULL : &err);
		health_turn(builder->beat);
		clock_wait(AGAIN_MS);
	}
}

static int
run_once(struct builder *builder, struct error *err)
{
	int n;

	drain_jobs(builder);
	if (turn(builder, err) != 0)
		return -1;
	metrics_set(
	    builder->metrics, BUILDER_RUNNING, 0, (double)builder->n_tasks);
	metrics_set(
	    builder->metrics, BUILDER_OPEN, 0, (double)builder->n_builds);
	if (clock_monotonic_ms() - builder->committed_ms >= COMMIT_MS)
		commit_offsets(builder);
	n = poll_records(builder, is_turn_over(builder) ? 0 : POLL_MS, err);
	/* A right that is missing, at the start or from some time on, is waited
	 * for: librdkafka goes on asking. */
	if (n < 0 && err->exit_code == EX_NOPERM)
		n = 0;
	note_kafka(builder);
	note_right(builder);
	health_turn(builder->beat);
	return n < 0 && err->kind == ERROR_FATAL ? -1 : 0;
}

int
builder_run(struct builder *builder, struct error *err)
{
	const struct old_logs_settings bounds = {
		.folder = builder->runner.logs,
		.age_ms = config_number(builder->config, "builder.logs.age"),
		.total = config_number(builder->config, "builder.logs.total"),
	};
	struct old_logs *logs = old_logs_start(&bounds);
	int rc = 0;

	wait_for_kafka(builder);
	while (rc == 0 &&
	    (atomic_load(&builder->stops) == 0 || builder->n_tasks > 0))
		rc = run_once(builder, err);
	atomic_store(&builder->stops, 2);
	while (builder->n_tasks > 0) {
		struct error ignored;

		if (run_once(builder, &ignored) != 0)
			clock_wait(POLL_MS);
	}
	commit_offsets(builder);
	kafka_consumer_close(builder->consumer, CLOSE_MS);
	builder->consumer = NULL;
	old_logs_end(logs);
	return rc;
}

void
builder_stop(struct builder *builder)
{
	atomic_fetch_add(&builder->stops, 1);
}

int
builder_check(struct builder *builder, struct error *err)
{
	if (redis_connect(builder->redis, err) != 0 ||
	    kafka_consumer_find(
		builder->consumer, &builder->topic, 1, CALL_MS, err) != 0 ||
	    ask_right(builder, err) != 0)
		return -1;
	return open_store(builder, err);
}

/* Making ------------------------------------------------------------------ */

static void
on_ended(void *argument)
{
	struct builder *builder = argument;

	kafka_consumer_wake(builder->consumer);
}

int
builder_check_settings(const struct config *config, struct error *err)
{
	struct job_rules *rules = job_rules_create(config, err);

	job_rules_destroy(rules);
	return rules != NULL ? 0 : -1;
}

static int
open_logs(const struct builder *builder, struct error *err)
{
	const char *folder = builder->runner.logs;

	if ((mkdir(folder, 0750) == 0 || errno == EEXIST) &&
	    access(folder, W_OK | X_OK) == 0)
		return 0;
	return error_fatal(
	    err, EX_CONFIG, "builder.logs: %s: %s", folder, strerror(errno));
}

static int
open_redis(struct builder *builder, struct error *err)
{
	const struct config *config = builder->config;
	struct redis_settings store =
	    redis_settings_of(config, "redis.url", "schedrun-builder");
	struct redis_settings view =
	    redis_settings_of(config, "view.redis.url", "schedrun-builder");

	builder->redis = redis_create(&store, err);
	builder->view_redis = strcmp(store.url, view.url) == 0
	    ? builder->redis
	    : redis_create(&view, err);
	builder->keyspace =
	    keyspace_create(config_text(config, "redis.prefix"));
	return builder->redis != NULL && builder->view_redis != NULL ? 0 : -1;
}

static int
open_kafka(struct builder *builder, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = { .config = builder->config,
		    .health = builder->kafka,
		    .client_id = "schedrun-builder" },
		.group = config_text(builder->config, "builder.group"),
		.accept_loss = true,
		.refresh_ms = REFRESH_MS,
		.end_wait_ms = KAFKA_LOOKING_WAIT_MS,
		.events = { .assigned = on_assigned,
		    .revoked = on_revoked,
		    .ended = on_reached,
		    .opaque = builder },
	};

	builder->topic = topic_name(builder->config, TOPIC_BUILDS);
	builder->decoder = message_decoder_create(
	    MESSAGE_BUILD_REQUESTED, builder->config, err);
	if (builder->decoder == NULL)
		return -1;
	message_decoder_start(builder->decoder);
	builder->consumer = kafka_consumer_create(&options, err);
	return builder->consumer != NULL ? 0 : -1;
}

static void
make_runner(struct builder *builder)
{
	const struct config *config = builder->config;

	builder->runner = (struct job_runner){
		.store = { builder->redis, builder->keyspace,
		    config_number(config, "view.ttl") },
		.rules = builder->rules,
		.logs = config_text(config, "builder.logs"),
		.log_max = config_number(config, "builder.logs.max"),
		.host = builder->host,
		.restarts = config_number(config, "builder.restarts"),
		.metrics = builder->metrics,
		.ended = on_ended,
		.argument = builder,
		.round = 1,
	};
	builder->parallel = (size_t)config_number(config, "builder.parallel");
	builder->tasks =
	    memory_zalloc(builder->parallel, sizeof *builder->tasks);
	builder->announcer =
	    announcer_create(&(const struct kafka_settings){ .config = config,
				 .health = builder->kafka,
				 .client_id = "schedrun-builder" },
		&builder->runner.store);
	run_view_init(&builder->view, builder->view_redis, builder->keyspace,
	    config_number(config, "view.ttl"));
}

struct builder *
builder_create(const struct builder_settings *settings, struct error *err)
{
	struct builder *builder = memory_zalloc(1, sizeof *builder);

	builder->config = settings->config;
	builder->metrics = settings->metrics;
	builder_metrics_use(builder->metrics);
	builder->kafka_check =
	    health_check(settings->health, "kafka", FRESH_MS);
	builder->redis_check =
	    health_check(settings->health, "redis", FRESH_MS);
	builder->events_check = health_check(settings->health, "events", 0);
	health_ok(builder->events_check);
	if (config_text(builder->config, "schema.registry.url") != NULL)
		builder->registry_check =
		    health_check(settings->health, "registry", 0);
	else
		metrics_hide(
		    builder->metrics, BUILDER_DEPENDENCIES, BUILDER_REGISTRY);
	builder->beat = health_beat_start(settings->health, "builder", BEAT_MS);
	builder->kafka = kafka_health_create();
	kafka_health_on_error(
	    builder->kafka, builder_metrics_kafka_error, builder->metrics);
	if (gethostname(builder->host, sizeof builder->host - 1) != 0)
		strcpy(builder->host, "unknown");
	builder->rules = job_rules_create(builder->config, err);
	if (builder->rules != NULL && open_redis(builder, err) == 0) {
		make_runner(builder);
		if (open_logs(builder, err) == 0 &&
		    open_kafka(builder, err) == 0)
			return builder;
	}
	builder_destroy(builder);
	return NULL;
}

void
builder_destroy(struct builder *builder)
{
	if (builder == NULL)
		return;
	if (builder->consumer != NULL)
		kafka_consumer_close(builder->consumer, CLOSE_MS);
	while (builder->builds != NULL)
		remove_build(builder, &builder->builds);
	message_decoder_destroy(builder->decoder);
	announcer_destroy(builder->announcer);
	if (builder->view_redis != builder->redis)
		redis_destroy(builder->view_redis);
	redis_destroy(builder->redis);
	keyspace_destroy(builder->keyspace);
	kafka_health_destroy(builder->kafka);
	free(builder->tasks);
	free(builder->places);
	job_rules_destroy(builder->rules);
	free(builder);
}
