#include "worker/pipeline/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "schemas/avro/registry.h"
#include "worker/base/watchdog.h"

/*
 * Stage A.  The first part follows the partitions, the second carries out the
 * actions of the intake's table, the third tells how it goes, the last runs it
 * all.  Each action ends within a poll or a few calls of Redis, so that the
 * loop comes round: membership is served by polling alone, and for stage B's
 * sake too much is not to be waited for here.
 */
#define POLL_MS 100
#define PAUSE_AFTER_MS 500 /* of waiting for stage B, then poll paused */
#define BACKOFF_MAX_MS 2000
#define REPORT_MS 1000
#define END_MS 500   /* to ask for a log's end */
#define ENDS_MS 100  /* in which as many are asked for as answer */
#define HELD_MS 5000 /* of an open transaction, until it is said */

#define UNANSWERED_MAX 3     /* looks at Kafka, until it counts as away */
#define REFRESH_MS 10000     /* until a topic that came, or grew, is seen */
#define READ_AHEAD_KIB 12288 /* docs/delivery.md, section 8 */
#define REVOKE_MS 5000

/* Partitions came: what Redis's marks must prove begins at what is committed.
 */
static int
take_partitions(void *opaque, struct kafka_position *positions, size_t n)
{
	struct pipeline *pipeline = opaque;
	size_t i;

	pipeline->intake.owned = memory_resize(
	    pipeline->intake.owned, n + 1, sizeof *pipeline->intake.owned);
	for (i = 0; i < n; i++)
		pipeline->intake.owned[i] = (struct owned){
			.partition = positions[i].partition,
			.expected = positions[i].committed,
			.next = positions[i].offset,
			.ended = -1,
			.stopped_at = -1,
			.end = -1,
			.patience = { .offset = -1, .given_up_on = -1 },
		};
	pipeline->intake.n_owned = n;
	metrics_add(pipeline->metrics, WORKER_REBALANCES, REBALANCE_ASSIGN, 1);
	metrics_set(pipeline->metrics, WORKER_ASSIGNED, 0, (double)n);
	log_event(LOG_INFO, "kafka", "partitions_assigned",
	    "partitions were assigned", LOG_I("partitions", n), LOG_END);
	return 0;
}

/*
 * Only of what is committed: of a batch that was lost, another worker may come
 * to an answer that counts.  What is too much, or is lost with this process,
 * keeps its claim: no promise is broken by that (docs/delivery.md, section 7).
 */
static void
note_released(struct intake *intake, const struct batch *batch)
{
	size_t i;

	for (i = 0; i < batch->n_claims && intake->n_released < CLAIMS_CHUNK;
	     i++)
		if (batch->records[batch->claims[i].record].is_damage)
			intake->released[intake->n_released++] =
			    batch->claims[i];
}

/* Between batches, as nothing else may be in flight. */
static int
release_claims(struct intake *intake, struct error *err)
{
	size_t n = intake->n_released;

	if (n == 0)
		return 0;
	if (claims_release(intake->claims, intake->released, n, err) == 0)
		log_event(LOG_INFO, "redis", "claims_released",
		    "these requests may be asked again: the store was damaged",
		    LOG_I("claims", n), LOG_END);
	else if (err->kind == ERROR_RETRY)
		return -1;
	else
		log_event(LOG_WARN, "redis", "claims_kept", err->message,
		    LOG_I("claims", n), LOG_END);
	intake->n_released = 0;
	return 0;
}

/* A batch that stage B is through with comes back; true if it was lost. */
static bool
collect_batch(struct pipeline *pipeline)
{
	bool lost = false;
	struct batch *batch = committer_take(pipeline->committer, &lost);

	if (batch == NULL)
		return false;
	/* What was dropped is read again before anything behind it. */
	pipeline->intake.dropped_ms = lost
	    ? batch_earlier(
		  pipeline->intake.dropped_ms, pipeline->intake.given_ms)
	    : 0;
	pipeline->intake.given_ms = 0;
	if (lost && batch->letters_refused)
		intake_note_refused(&pipeline->intake, batch);
	if (!lost)
		note_released(&pipeline->intake, batch);
	batch_reset(batch);
	pipeline->spare[pipeline->n_spare++] = batch;
	return lost;
}

/*
 * The consumer waits for this to return before the partitions are another's:
 * the time in which stage B can still commit what it has, or must abort it.
 * What stage A has read of them is dropped by whoever polls, once it is back
 * there; here librdkafka's records must not be given back yet.
 */
static void
give_partitions_up(void *opaque, bool lost)
{
	struct pipeline *pipeline = opaque;
	size_t i;

	if (!committer_revoke(pipeline->committer, lost, REVOKE_MS))
		log_event(LOG_WARN, "kafka", "revoke_overdue",
		    "the transaction did not end in time: fencing decides",
		    LOG_END);
	collect_batch(pipeline);
	pipeline->intake.revoked = true;
	for (i = 0; i < pipeline->intake.n_owned; i++)
		metrics_hide(pipeline->metrics, WORKER_LAG,
		    (size_t)pipeline->intake.owned[i].partition);
	pipeline->intake.n_owned = 0;
	pipeline->intake.dropped_ms = 0;
	metrics_add(pipeline->metrics, WORKER_REBALANCES,
	    lost ? REBALANCE_LOST : REBALANCE_REVOKE, 1);
	metrics_set(pipeline->metrics, WORKER_ASSIGNED, 0, 0);
	log_event(LOG_INFO, "kafka", "partitions_revoked",
	    "the partitions are gone", LOG_I("lost", lost), LOG_END);
}

/*
 * Reading goes on somewhere else.  Further back: the topic was made anew, and
 * nothing of it is proved yet.
 */
static void
note_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct pipeline *pipeline = opaque;
	struct owned *owned = intake_owned(&pipeline->intake, partition);

	(void)topic;
	if (owned == NULL)
		return;
	owned->ended = -1; /* it was the end of another log */
	owned->stopped_at = -1;
	if (offset < owned->next)
		owned->next = offset;
	if (offset >= owned->expected)
		return;
	owned->expected = -1;
	owned->is_checked = false;
}

/* Behind all records that are there: what lies between is none. */
static void
note_end(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct pipeline *pipeline = opaque;
	struct owned *owned = intake_owned(&pipeline->intake, partition);

	(void)topic;
	if (owned != NULL && owned->stopped_at < 0)
		owned->ended = offset;
}

/*
 * Asked for a moment only, lest a leader that is away holds the others up, and
 * by whom no fetch delays.  False: Kafka doesn't say, or has just not said.
 */
static bool
ask_range(struct pipeline *pipeline, int32_t partition,
    struct kafka_range *range, struct error *err)
{
	int rc;

	if (clock_monotonic_ms() < pipeline->due.range_ms)
		return false;
	watchdog_enter(WATCHDOG_INTAKE, "range", INTAKE_GUARD_MS);
	rc = kafka_consumer_range(repair_reader(pipeline->repair),
	    (struct kafka_partition){ pipeline->intake.topic, partition },
	    range, END_MS, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc != 0)
		pipeline->due.range_ms = clock_monotonic_ms() + REPORT_MS;
	return rc == 0;
}

/* Only one that is ahead of what is committed can be above the log's end. */
static int
check_mark(struct pipeline *pipeline, struct owned *owned, struct error *err)
{
	struct kafka_range range;
	int64_t mark;

	if (marks_read(&pipeline->intake.marks, owned->partition, &mark, err) !=
	    0)
		return -1;
	if (mark > owned->expected) {
		if (!ask_range(pipeline, owned->partition, &range, err))
			return 0; /* at a later batch again */
		if (mark > range.end) {
			log_event(LOG_WARN, "redis", "mark_reset",
			    "Redis says more of a partition than it holds: the "
			    "topic was made anew, or the mark is damaged",
			    LOG_S("topic", pipeline->intake.topic),
			    LOG_I("partition", owned->partition),
			    LOG_I("mark", mark), LOG_I("offset", range.end),
			    LOG_END);
			if (marks_write(&pipeline->intake.marks,
				owned->partition, -1, err) != 0)
				return -1;
		}
	}
	owned->is_checked = true;
	return 0;
}

/*
 * Between batches, when nothing is out that moves marks.  Where Redis has
 * evicted keys no mark proves anything: without one the next batch finds Redis
 * behind, and the repair takes the claims of the whole window again.  Each time
 * another one is first, as who comes behind one that Kafka is silent of waits.
 */
static int
check_marks(struct pipeline *pipeline, struct error *err)
{
	size_t i, n = pipeline->intake.n_owned, first = pipeline->looked_at++;

	for (i = 0; i < n; i++) {
		struct owned *owned = &pipeline->intake.owned[(first + i) % n];

		if (pipeline->is_distrusted &&
		    marks_write(&pipeline->intake.marks, owned->partition, -1,
			err) != 0)
			return -1;
		if (!owned->is_checked && check_mark(pipeline, owned, err) != 0)
			return -1;
	}
	if (n > 0)
		pipeline->is_distrusted = false;
	return 0;
}

/* Records that were read and dropped must be read again. */
static int
seek_to_expected(struct pipeline *pipeline, struct error *err)
{
	size_t i;

	for (i = 0; i < pipeline->intake.n_owned; i++) {
		const struct owned *owned = &pipeline->intake.owned[i];
		struct kafka_offset place = { owned->partition,
			owned->expected };
		struct kafka_range range = { place.offset, 0 };

		if (place.offset < 0 &&
		    kafka_consumer_range(pipeline->intake.consumer,
			(struct kafka_partition){
			    pipeline->intake.topic, place.partition },
			&range, KAFKA_CALL_MS, err) != 0)
			return -1;
		place.offset = range.start;
		if (intake_seek(&pipeline->intake, place, err) != 0)
			return -1;
		pipeline->intake.owned[i].next = place.offset;
	}
	return 0;
}

/* A partition without a committed offset is read from its log's start. */
static int
reread_expected(struct pipeline *pipeline, struct error *err)
{
	int rc;

	watchdog_enter(WATCHDOG_INTAKE, "seek", INTAKE_GUARD_MS);
	rc = seek_to_expected(pipeline, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc == 0)
		pipeline->is_astray = false;
	return rc;
}

/*
 * After a pause the consumer may stand elsewhere than the next batch is
 * expected to begin: records were dropped, or came and could not be put back.
 */
static int
resume_reading(struct pipeline *pipeline, struct error *err)
{
	if (pipeline->is_astray && reread_expected(pipeline, err) != 0)
		return -1;
	return kafka_consumer_resume(pipeline->intake.consumer, err);
}

/* A record that came although nothing may be read is read again later. */
static int
put_back(
    struct pipeline *pipeline, struct kafka_record *record, struct error *err)
{
	struct kafka_offset place = { record->partition, record->offset };

	kafka_records_release(record, 1);
	if (intake_owned(&pipeline->intake, place.partition) == NULL)
		return 0;
	if (intake_seek(&pipeline->intake, place, err) == 0)
		return 0;
	pipeline->is_astray = true; /* and must not be resumed as it is */
	return -1;
}

/*
 * Polls while nothing may be read: membership and assignments are served, by
 * nothing but a poll.  INTAKE_NOTHING, INTAKE_REVOKED, or INTAKE_FATAL.
 */
static enum intake_event
poll_paused(struct pipeline *pipeline, int timeout_ms, struct error *err)
{
	struct kafka_record record;
	int n;

	if (!kafka_consumer_is_paused(pipeline->intake.consumer) &&
	    kafka_consumer_pause(pipeline->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_NOTHING;
	pipeline->intake.revoked = false;
	watchdog_enter(WATCHDOG_INTAKE, "poll", INTAKE_GUARD_MS);
	n = kafka_consumer_poll(
	    pipeline->intake.consumer, &record, 1, timeout_ms, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (n > 0)
		n = put_back(pipeline, &record, err);
	if (n < 0 && err->kind == ERROR_FATAL)
		return INTAKE_FATAL;
	return pipeline->intake.revoked ? INTAKE_REVOKED : INTAKE_NOTHING;
}

/* The batch goes; everything of Redis's is to be looked at again. */
static enum intake_event
drop_and_pause(struct pipeline *pipeline, struct error *err)
{
	if (pipeline->is_kafkas_fault) {
		pipeline_say_away(pipeline, DEPENDENCY_KAFKA, err);
	} else {
		pipeline_say_away(pipeline, DEPENDENCY_REDIS, err);
		metrics_add(pipeline->metrics, WORKER_REDIS_ERRORS,
		    err->exit_code != 0, 1);
	}
	pipeline->is_kafkas_fault = false;
	redis_disconnect(pipeline->redis);
	snapshot_forget(pipeline->intake.snapshot);
	intake_drop(&pipeline->intake);
	claims_reset(pipeline->intake.claims);
	/* Some jitter, lest all workers come back at one moment. */
	pipeline->due.retry_ms = clock_monotonic_ms() +
	    pipeline->due.backoff_ms +
	    clock_wall_ms() * getpid() % (pipeline->due.backoff_ms / 4);
	pipeline->due.backoff_ms *= 2;
	if (pipeline->due.backoff_ms > BACKOFF_MAX_MS)
		pipeline->due.backoff_ms = BACKOFF_MAX_MS;
	return INTAKE_NOTHING;
}

/*
 * Whatever Redis says while we work, wrong credentials or a policy that evicts
 * included: it may be mended, so it is waited for.
 */
static enum intake_event
look_for_store(struct pipeline *pipeline, struct error *err)
{
	bool was_away = pipeline->ready.said[DEPENDENCY_REDIS].why.message[0];
	enum intake_event event = poll_paused(pipeline, WAIT_MS, err);

	if (event != INTAKE_NOTHING ||
	    clock_monotonic_ms() < pipeline->due.retry_ms)
		return event;
	if (pipeline_check_store(pipeline, err) != 0)
		return INTAKE_STORE_DOWN;
	pipeline->is_astray = true;
	if (resume_reading(pipeline, err) != 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_NOTHING;
	pipeline->due.backoff_ms = BACKOFF_MIN_MS;
	if (was_away)
		log_event(LOG_INFO, "redis", "redis_ready",
		    "Redis is there again",
		    LOG_S("address", redis_address(pipeline->redis)), LOG_END);
	return INTAKE_STORE_UP;
}

static enum intake_event
fail_repair(struct pipeline *pipeline, const struct error *err)
{
	pipeline->is_kafkas_fault = !repair_store_failed(pipeline->repair);
	return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_STORE_DOWN;
}

/* Claims are lost.  An empty Redis has lost the catalogue too: look first. */
static enum intake_event
begin_repair(struct pipeline *pipeline, struct error *err)
{
	int rc;

	intake_drop(&pipeline->intake);
	claims_reset(pipeline->intake.claims);
	snapshot_forget(pipeline->intake.snapshot);
	if (pipeline_check_store(pipeline, err) != 0)
		return INTAKE_STORE_DOWN;
	watchdog_enter(WATCHDOG_INTAKE, "repair", INTAKE_GUARD_MS);
	rc = repair_start(pipeline->repair, &pipeline->intake,
	    pipeline->intake.behind_partition, pipeline->intake.behind_mark,
	    err);
	watchdog_leave(WATCHDOG_INTAKE);
	return rc == 0 ? INTAKE_NOTHING : fail_repair(pipeline, err);
}

/* Pieces of half a second, so that the group is polled between them. */
static enum intake_event
go_on_repairing(struct pipeline *pipeline, struct error *err)
{
	enum intake_event event = poll_paused(pipeline, 0, err);
	int rc;

	if (event != INTAKE_NOTHING)
		return event;
	watchdog_enter(WATCHDOG_INTAKE, "repair", INTAKE_GUARD_MS);
	rc = repair_step(pipeline->repair, &pipeline->intake, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc < 0)
		return fail_repair(pipeline, err);
	if (rc == 0)
		return INTAKE_NOTHING;
	pipeline->is_astray = true;
	return INTAKE_REPAIRED;
}

/* The partitions went: reading goes on where the new ones are expected to. */
static enum intake_event
drop_batch(struct pipeline *pipeline, struct error *err)
{
	intake_drop(&pipeline->intake);
	if (reread_expected(pipeline, err) == 0)
		return INTAKE_NOTHING;
	log_event(LOG_WARN, "kafka", "seek_failed", err->message, LOG_END);
	return INTAKE_LOST;
}

static enum intake_event
drop_and_rewind(struct pipeline *pipeline, struct error *err)
{
	(void)err;
	intake_drop(&pipeline->intake);
	return INTAKE_NOTHING;
}

/* Looks at Redis between batches, idle or not: its policy may have changed. */
static int
look_at_store(struct pipeline *pipeline, struct error *err)
{
	if (clock_monotonic_ms() >= pipeline->due.check_ms &&
	    pipeline_check_store(pipeline, err) != 0)
		return -1;
	if (release_claims(&pipeline->intake, err) != 0)
		return -1;
	return check_marks(pipeline, err);
}

static void
read_limits(struct pipeline *pipeline)
{
	struct error err = { 0 };
	int rc;

	watchdog_enter(WATCHDOG_INTAKE, "limits", 2 * INTAKE_GUARD_MS);
	rc = pipeline_look_at_kafka(pipeline, &err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc != 0) {
		pipeline_say_away(pipeline, DEPENDENCY_KAFKA, &err);
		return;
	}
	log_event(LOG_INFO, "kafka", "topic_limits",
	    "the topics' limits were read again",
	    LOG_I("message_max_bytes", pipeline->message_max),
	    LOG_I("batch_max_bytes", pipeline->batch_max), LOG_END);
	committer_set_limits(
	    pipeline->committer, pipeline->message_max, pipeline->batch_max);
}

/*
 * One poll's records.  The batch is cut when stage B is free: an idle system
 * answers one request in one commit's time, a busy one amortises it.
 */
static enum intake_event
fill_batch(struct pipeline *pipeline, struct error *err)
{
	struct intake *intake = &pipeline->intake;
	enum intake_event event;

	if (intake->batch == NULL) {
		assert(pipeline->n_spare > 0);
		intake->batch = pipeline->spare[--pipeline->n_spare];
	}
	if (kafka_consumer_is_paused(intake->consumer) &&
	    resume_reading(pipeline, err) != 0)
		return err->kind == ERROR_FATAL
		    ? INTAKE_FATAL
		    : poll_paused(pipeline, POLL_MS, err);
	if (intake->batch->n == 0 && look_at_store(pipeline, err) != 0)
		return INTAKE_STORE_DOWN;
	if (intake->batch->n == 0 && intake_try_stopped(intake))
		read_limits(pipeline); /* they may have been raised */
	event = intake_fill(intake, intake->batch->n > 0 ? 1 : POLL_MS, err);
	if (event != INTAKE_NOTHING ||
	    (intake->batch->n == 0 && !intake_has_passed(intake)))
		return event;
	return batch_is_full(intake->batch) ||
		committer_state(pipeline->committer) == COMMITTER_READY
	    ? INTAKE_CUT
	    : INTAKE_NOTHING;
}

/* Between batches nothing of Redis's is under way: whether it is there is seen
 * meanwhile, too. */
static void
ask_store(struct pipeline *pipeline)
{
	struct error err = { 0 };
	int64_t ignored;

	if (clock_monotonic_ms() < pipeline->due.check_ms)
		return;
	pipeline->due.check_ms = clock_monotonic_ms() + CHECK_MS;
	if (redis_connect(pipeline->redis, &err) == 0 &&
	    redis_clock(pipeline->redis, &ignored, &err) == 0)
		pipeline_note_store_up(pipeline);
	else
		pipeline_say_away(pipeline, DEPENDENCY_REDIS, &err);
}

/*
 * Whether stage B is free, and the batch in hand still to be gone on with.  If
 * not, waits for news, a moment at most, and polls meanwhile if it takes long:
 * the loop has more to do than this, some of which stage B may wait for.
 */
static enum intake_event
await_stage_b(struct pipeline *pipeline, bool *is_free, struct error *err)
{
	enum committer_state state = committer_state(pipeline->committer);

	/* In this order: who is ready has handed back what it had. */
	if (collect_batch(pipeline))
		return INTAKE_LOST;
	*is_free = state == COMMITTER_READY;
	if (state == COMMITTER_READY || state == COMMITTER_FAILED)
		return INTAKE_NOTHING;
	ask_store(pipeline);
	if (clock_monotonic_ms() - pipeline->phase_ms >= PAUSE_AFTER_MS)
		return poll_paused(pipeline, WAIT_MS, err);
	pipeline_wait(pipeline, WAIT_MS);
	return INTAKE_NOTHING;
}

/* What was entered before is planned only when stage B has nothing: see
 * attempts.h. */
static enum intake_event
plan_batch(struct pipeline *pipeline, struct error *err)
{
	bool is_free = !pipeline->intake.batch->entered_again;
	enum intake_event event = INTAKE_NOTHING;

	if (!is_free)
		event = await_stage_b(pipeline, &is_free, err);
	return is_free ? intake_plan(&pipeline->intake, err) : event;
}

/*
 * From here on the batch is stage B's; what stage A expects of the marks goes
 * on behind it.  If it is lost, everything is asked of Kafka anew.
 */
static enum intake_event
hand_over_batch(struct pipeline *pipeline, struct error *err)
{
	bool is_free = false;
	enum intake_event event = await_stage_b(pipeline, &is_free, err);

	if (!is_free)
		return event;
	intake_advance(&pipeline->intake);
	pipeline->intake.given_ms = pipeline->intake.batch->oldest_ms;
	committer_give(pipeline->committer, pipeline->intake.batch);
	pipeline->intake.batch = NULL;
	return INTAKE_TAKEN;
}

/* Back to what is committed, once stage B has nothing under way. */
static enum intake_event
rewind_to_committed(struct pipeline *pipeline, struct error *err)
{
	enum committer_state state = committer_state(pipeline->committer);
	enum intake_event event = poll_paused(pipeline, POLL_MS, err);
	int rc;

	ask_store(pipeline);
	collect_batch(pipeline);
	if (event != INTAKE_NOTHING || state == COMMITTER_BUSY ||
	    state == COMMITTER_OPENING)
		return event;
	watchdog_enter(WATCHDOG_INTAKE, "rewind", INTAKE_GUARD_MS);
	rc = intake_rewind(&pipeline->intake, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc != 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_NOTHING;
	pipeline->is_astray = false;
	return INTAKE_REWOUND;
}

/* Redis has answered for all of the batch: it is up, whatever was said last. */
static enum intake_event
claim_batch(struct pipeline *pipeline, struct error *err)
{
	enum intake_event event = intake_claim(&pipeline->intake, err);

	if (event != INTAKE_CLAIMED)
		return event;
	pipeline_note_store_up(pipeline);
	return intake_decide(&pipeline->intake, err);
}

static void
say_joining(struct pipeline *pipeline)
{
	health_bad(
	    pipeline->ready.kafka, "joining the group %s", pipeline->group);
}

/* Silence is Kafka's only where it was asked: what else is away may hold us up.
 */
static void
hear_kafka(struct pipeline *pipeline, struct kafka_state *state, char *topics,
    size_t size)
{
	topics[0] = '\0';
	if (pipeline->phase != INTAKE_REPAIRING) {
		watchdog_enter(WATCHDOG_INTAKE, "topics", INTAKE_GUARD_MS);
		if (pipeline_look_at_topics(pipeline, topics, size))
			pipeline->unanswered = 0;
		else
			pipeline->unanswered++;
		watchdog_leave(WATCHDOG_INTAKE);
	}
	kafka_health_read(pipeline->kafka.health, FRESH_MS, state);
	if (state->up && pipeline->unanswered >= UNANSWERED_MAX) {
		state->up = false;
		snprintf(state->reason, sizeof state->reason,
		    "no answer to the last %u questions", pipeline->unanswered);
	}
}

/* Ready is who reads, can commit, and is in the group. */
static void
report_kafka(struct pipeline *pipeline)
{
	struct kafka_state state;
	char reason[256], topics[512];

	hear_kafka(pipeline, &state, topics, sizeof topics);
	metrics_set(
	    pipeline->metrics, WORKER_DEPENDENCIES, DEPENDENCY_KAFKA, state.up);
	committer_reason(pipeline->committer, reason, sizeof reason);
	if (!state.up)
		health_bad(pipeline->ready.kafka, "%s", state.reason);
	else if (topics[0] != '\0')
		health_bad(pipeline->ready.kafka, "%s", topics);
	else if (reason[0] != '\0')
		health_bad(pipeline->ready.kafka, "%s", reason);
	else if (!kafka_consumer_is_joined(pipeline->intake.consumer))
		say_joining(pipeline);
	else
		health_ok(pipeline->ready.kafka);
}

/*
 * The registry as those find it who need it.  A schema that it does not have
 * yet is no fault of its own, but something waits for it.
 */
static void
report_registry(struct pipeline *pipeline)
{
	struct readiness *ready = &pipeline->ready;
	enum registry_state state;
	struct error why;

	if (ready->registry == NULL)
		return;
	state = registry_state(pipeline->registry, &why);
	health_note(
	    ready->registry, "%s", state == REGISTRY_LACKS ? why.message : "");
	if (state == REGISTRY_AWAY)
		pipeline_say_away(pipeline, DEPENDENCY_REGISTRY, &why);
	else {
		health_ok(ready->registry);
		metrics_set(pipeline->metrics, WORKER_DEPENDENCIES,
		    DEPENDENCY_REGISTRY, true);
		ready->said[DEPENDENCY_REGISTRY].why.message[0] = '\0';
		if (ready->is_registry_away)
			log_event(LOG_INFO, "registry", "registry_ready",
			    "the schema registry is there again", LOG_END);
	}
	ready->is_registry_away = state == REGISTRY_AWAY;
}

/* False: Kafka doesn't say. */
static bool
ask_for_end(struct pipeline *pipeline, struct owned *owned)
{
	struct error ignored;
	struct kafka_range range;
	bool is_told;

	watchdog_enter(WATCHDOG_INTAKE, "end", INTAKE_GUARD_MS);
	is_told = kafka_consumer_range(repair_reader(pipeline->repair),
		      (struct kafka_partition){
			  pipeline->intake.topic, owned->partition },
		      &range, END_MS, &ignored) == 0;
	watchdog_leave(WATCHDOG_INTAKE);
	if (is_told && range.end > owned->end)
		owned->end = range.end;
	return is_told;
}

/*
 * The ends of the logs are known from what is fetched.  Where nothing is, they
 * are asked for, each time some, so that what comes meanwhile is seen.
 */
static void
find_ends(struct pipeline *pipeline)
{
	struct intake *intake = &pipeline->intake;
	int64_t until = clock_monotonic_ms() + ENDS_MS;
	bool is_told = true;
	size_t i;

	for (i = 0; i < intake->n_owned; i++) {
		struct owned *owned =
		    &intake->owned[pipeline->looked_at++ % intake->n_owned];

		if (pipeline->phase != INTAKE_PAUSED && !owned->waits &&
		    owned->stopped_at < 0)
			owned->end = kafka_consumer_end(
			    intake->consumer, intake->topic, owned->partition);
		else if (is_told && clock_monotonic_ms() < until)
			is_told = ask_for_end(pipeline, owned);
	}
}

/*
 * Partitions that wait while the others go on.  An upstream that hangs in its
 * transaction: the log goes on, but what comes behind where that began may not
 * be read.  Or a dead letter that is refused.
 */
static void
note_waiting(struct pipeline *pipeline, int64_t now)
{
	const struct owned *first = NULL, *stopped = NULL;
	size_t i, n_stopped = 0;

	for (i = pipeline->intake.n_owned; i-- > 0;) {
		struct owned *owned = &pipeline->intake.owned[i];
		bool is_held =
		    owned->ended == owned->next && owned->end > owned->ended;

		if (owned->stopped_at >= 0) {
			stopped = owned;
			n_stopped++;
		}
		if (!is_held)
			owned->held_ms = 0;
		else if (owned->held_ms == 0)
			owned->held_ms = now;
		if (is_held && now - owned->held_ms >= HELD_MS)
			first = owned;
	}
	metrics_set(pipeline->metrics, WORKER_STOPPED, 0, (double)n_stopped);
	if (stopped != NULL)
		health_note(pipeline->ready.kafka,
		    "partition %d is stopped at offset %lld: topic %s refuses "
		    "its dead letter",
		    (int)stopped->partition, (long long)stopped->stopped_at,
		    pipeline->topics[TOPIC_DLQ]);
	else if (first == NULL)
		health_note(pipeline->ready.kafka, "%s", "");
	else
		health_note(pipeline->ready.kafka,
		    "an open transaction holds partition %d from offset %lld, "
		    "for %lld s at least",
		    (int)first->partition, (long long)first->ended,
		    (long long)(now - first->held_ms) / 1000);
}

/* Whether something waits where nothing moves, and since when. */
static void
note_standing(struct owned *owned, int64_t behind)
{
	if (behind == 0 || owned->next != owned->stood_at)
		owned->unread_ms = 0;
	else if (owned->unread_ms == 0)
		owned->unread_ms = clock_wall_ms();
	owned->stood_at = owned->next;
}

/*
 * Of what was read the age is known.  What waits unread, as Redis is away or an
 * open transaction holds it, is at least as old as it has been seen to wait.
 */
static void
report_age(struct pipeline *pipeline)
{
	const struct intake *intake = &pipeline->intake;
	int64_t now = clock_wall_ms(), oldest;
	size_t i;

	oldest = batch_earlier(intake->dropped_ms, intake->given_ms);
	for (i = 0; i < intake->n_owned; i++) {
		const struct owned *owned = &intake->owned[i];

		oldest = batch_earlier(oldest, owned->unread_ms);
		if (owned->waits)
			oldest = batch_earlier(oldest, owned->waits_ms);
	}
	if (intake->batch != NULL)
		oldest = batch_earlier(oldest, intake->batch->oldest_ms);
	worker_metrics_age(pipeline->metrics, oldest, now);
}

/* Lag, age and health, each second. */
static void
report_all(struct pipeline *pipeline)
{
	int64_t now = clock_monotonic_ms(), lag = 0;
	size_t i;

	if (now < pipeline->due.report_ms)
		return;
	pipeline->due.report_ms = now + REPORT_MS;
	report_kafka(pipeline);
	report_registry(pipeline);
	find_ends(pipeline);
	for (i = 0; i < pipeline->intake.n_owned; i++) {
		struct owned *owned = &pipeline->intake.owned[i];
		int64_t behind =
		    owned->end > owned->next ? owned->end - owned->next : 0;

		worker_metrics_lag(pipeline->metrics, pipeline->intake.topic,
		    owned->partition, behind);
		note_standing(owned, behind);
		lag += behind;
	}
	report_age(pipeline);
	note_waiting(pipeline, now);
	health_doing(pipeline->ready.health, "%s: %zu partitions, lag %lld",
	    intake_phase_name(pipeline->phase), pipeline->intake.n_owned,
	    (long long)lag);
}

/*
 * Stage B was told that a record is too large: a topic's limit was lowered.
 * What is missing or too small now is no reason to end, it may be mended.
 */
static void
look_at_limits(struct pipeline *pipeline)
{
	int64_t now = clock_monotonic_ms();

	if (!committer_wants_limits(pipeline->committer) ||
	    now < pipeline->due.limits_ms)
		return;
	pipeline->due.limits_ms = now + REPORT_MS;
	read_limits(pipeline);
}

/* What stage B has to say while nothing else came. */
static enum intake_event
hear_stage_b(struct pipeline *pipeline, struct error *err)
{
	if (committer_state(pipeline->committer) == COMMITTER_FAILED) {
		committer_error(pipeline->committer, err);
		return INTAKE_FATAL;
	}
	/* What was prepared behind a lost batch is worth nothing. */
	return collect_batch(pipeline) ? INTAKE_LOST : INTAKE_NOTHING;
}

static int
start_consumer(struct pipeline *pipeline, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = pipeline->kafka,
		.group = pipeline->group,
		.accept_loss =
		    config_switch(pipeline->config, "worker.accept.loss"),
		.queue_kib = READ_AHEAD_KIB,
		.refresh_ms = REFRESH_MS,
		.events = { .assigned = take_partitions,
		    .revoked = give_partitions_up,
		    .moved = note_moved,
		    .ended = note_end,
		    .opaque = pipeline },
	};

	pipeline->intake.consumer = kafka_consumer_create(&options, err);
	if (pipeline->intake.consumer == NULL)
		return -1;
	pipeline_set_sleeper(pipeline, pipeline->intake.consumer);
	return kafka_consumer_subscribe(pipeline->intake.consumer,
	    &pipeline->topics[TOPIC_REQUESTS], 1, err);
}

/* Stage B first: what the consumer tells of partitions goes to it as well. */
static int
start_stages(struct pipeline *pipeline, struct error *err)
{
	const struct committer_settings committer = {
		.transaction = {
			.settings = pipeline->kafka,
			.transactional_id = pipeline->transactional_id,
			.topics = &pipeline->topics[TOPIC_RESULTS],
			.n_topics = TOPICS_OF_WORKER - TOPIC_RESULTS,
			.message_max_bytes = pipeline->message_max,
			.batch_max_bytes = pipeline->batch_max,
		},
		.requests_topic = pipeline->topics[TOPIC_REQUESTS],
		.deadline_ms = config_number(pipeline->config, "commit.deadline"),
		.metrics = pipeline->metrics,
		.wake = pipeline_wake,
		.opaque = pipeline,
	};
	const struct repair_settings repair = {
		.kafka = pipeline->kafka,
		.ttl_ms = config_number(pipeline->config, "dedup.ttl"),
	};

	say_joining(pipeline); /* Kafka was there, which alone is not ready */
	pipeline->repair = repair_create(&repair, err);
	if (pipeline->repair == NULL)
		return -1;
	pipeline->committer = committer_start(&committer, err);
	if (pipeline->committer == NULL)
		return -1;
	pipeline->is_started = true;
	return start_consumer(pipeline, err);
}

/* Something hangs: leaves it behind.  A crash, and crashes are safe. */
static _Noreturn void
leave(const struct error *fatal)
{
	log_event(LOG_WARN, "worker", "drain_overdue",
	    "something hangs: leaving it behind, the restart is safe", LOG_END);
	if (fatal == NULL)
		_Exit(0);
	log_event(
	    LOG_ERROR, "worker", "ended_by_error", fatal->message, LOG_END);
	_Exit(fatal->exit_code);
}

/*
 * Stops cutting, lets stage B end or has it abort, leaves the group.  `fatal`:
 * why the process ends; NULL: it was asked to.
 */
static void
drain(struct pipeline *pipeline, const struct error *fatal)
{
	int64_t timeout =
	    config_number(pipeline->config, "worker.shutdown.timeout");
	int close_ms = (int)(timeout * 3 / 10);

	if (!pipeline->is_started)
		return;
	if (pipeline->intake.batch != NULL)
		intake_drop(&pipeline->intake);
	/* Its records must be given back before the consumer closes. */
	if (!committer_revoke(pipeline->committer, false, timeout / 2))
		leave(fatal);
	collect_batch(pipeline);
	if (pipeline->intake.consumer != NULL) {
		pipeline_set_sleeper(pipeline, NULL);
		watchdog_enter(
		    WATCHDOG_INTAKE, "close", close_ms + INTAKE_GUARD_MS);
		if (kafka_consumer_close(pipeline->intake.consumer, close_ms) !=
		    0)
			log_event(LOG_WARN, "kafka", "consumer_hangs",
			    "the consumer does not close", LOG_END);
		watchdog_leave(WATCHDOG_INTAKE);
		pipeline->intake.consumer = NULL;
	}
	if (committer_stop(pipeline->committer, timeout / 10) != 0)
		leave(fatal);
}

int
pipeline_run(struct pipeline *pipeline, struct error *err)
{
	/* What each action of the table is carried out by. */
	static enum intake_event (*const act[])(
	    struct pipeline *, struct error *) = {
		[INTAKE_FILL] = fill_batch,
		[INTAKE_CLAIM] = claim_batch,
		[INTAKE_PLAN] = plan_batch,
		[INTAKE_HAND_OVER] = hand_over_batch,
		[INTAKE_DROP_REPAIR] = begin_repair,
		[INTAKE_REPAIR] = go_on_repairing,
		[INTAKE_DROP_PAUSE] = drop_and_pause,
		[INTAKE_LOOK] = look_for_store,
		[INTAKE_DROP_REWIND] = drop_and_rewind,
		[INTAKE_REWIND] = rewind_to_committed,
		[INTAKE_DROP] = drop_batch,
	};
	enum intake_action action = INTAKE_FILL;
	int rc = pipeline_await(pipeline, err);

	if (rc == 0)
		rc = start_stages(pipeline, err);
	pipeline->phase = INTAKE_FILLING;
	while (rc == 0 && !pipeline_is_stopping(pipeline)) {
		enum intake_phase before = pipeline->phase;
		enum intake_event event;

		pipeline_turn(pipeline);
		report_all(pipeline);
		look_at_limits(pipeline);
		event = act[action](pipeline, err);
		if (event == INTAKE_NOTHING)
			event = hear_stage_b(pipeline, err);
		action = intake_step(&pipeline->phase, event);
		assert(action != INTAKE_REFUSE);
		if (action == INTAKE_EXIT)
			rc = -1;
		if (pipeline->phase != before)
			pipeline->phase_ms = clock_monotonic_ms();
	}
	health_drain(pipeline->ready.health);
	drain(pipeline, rc < 0 ? err : NULL);
	return rc < 0 ? -1 : 0;
}
