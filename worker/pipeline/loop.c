#include "worker/pipeline/internal.h"

#include <assert.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/base/watchdog.h"

#define POLL_MS 100
#define PAUSE_AFTER_MS 500 /* of waiting for stage B, then poll paused */
#define BACKOFF_MAX_MS 2000
#define REPORT_MS 1000
#define END_MS 500 /* to ask for a log's end */

static void
take_event(struct pipeline *p, enum intake_event event)
{
	enum intake_phase before = p->phase;
	enum intake_action action = intake_step(&p->phase, event);

	assert(action != INTAKE_REFUSE);
	if (p->phase != before)
		p->phase_ms = clock_monotonic_ms();
}

/* Everything of Redis's is to be looked at again before work goes on. */
static void
drop_and_pause(struct pipeline *p, struct error *err)
{
	pipeline_say_away(p, p->redis_check, "redis", err);
	telemetry_redis_error(p->telemetry);
	redis_disconnect(p->redis);
	snapshot_forget(p->intake.snapshot);
	intake_drop(&p->intake);
	claims_reset(p->intake.claims);
	/* Some jitter, lest all workers come back at one moment. */
	p->retry_ms = clock_monotonic_ms() + p->backoff_ms +
	    clock_wall_ms() * getpid() % (p->backoff_ms / 4);
	p->backoff_ms *= 2;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
}

/*
 * Whatever Redis says while we work, wrong credentials or a policy that evicts
 * included: it may be mended, so it is waited for.
 */
static int
lose_store(struct pipeline *p, struct error *err)
{
	take_event(p, INTAKE_STORE_DOWN);
	drop_and_pause(p, err);
	return 0;
}

/* Claims are lost.  An empty Redis has lost the catalogue too: look first. */
static int
begin_repair(struct pipeline *p, struct error *err)
{
	intake_drop(&p->intake);
	claims_reset(p->intake.claims);
	snapshot_forget(p->intake.snapshot);
	if (pipeline_check_store(p, err) != 0)
		return lose_store(p, err);
	take_event(p, INTAKE_BEHIND);
	if (repair_start(p->repair, &p->intake, p->intake.behind_partition,
		p->intake.behind_mark, err) == 0)
		return 0;
	return err->kind == ERROR_FATAL ? -1 : lose_store(p, err);
}

/* What a failed step of the intake means. */
static int
handle(struct pipeline *p, enum intake_result result, struct error *err)
{
	switch (result) {
	case INTAKE_FINE:
		return 0;
	case INTAKE_STORE_AWAY:
		return lose_store(p, err);
	case INTAKE_BEHIND_HERE:
		return begin_repair(p, err);
	case INTAKE_BROKEN:
		break;
	}
	if (err->kind == ERROR_FATAL)
		return -1;
	log_event(LOG_WARN, "kafka", "membership_lost", err->message, LOG_END);
	take_event(p, INTAKE_LOST);
	intake_drop(&p->intake);
	return 0;
}

/*
 * Revoked during a poll: what was read or prepared is the next owner's.  The
 * same poll may have brought a new assignment and its first records, which
 * were let go with the rest: reading begins anew where it is expected to.
 */
static void
drop_revoked(struct pipeline *p)
{
	struct error err = { 0 };

	if (!p->intake.revoked)
		return;
	p->intake.revoked = false;
	take_event(p, INTAKE_REVOKED);
	intake_drop(&p->intake);
	if (pipeline_reread(p, &err) != 0) {
		log_event(
		    LOG_WARN, "kafka", "seek_failed", err.message, LOG_END);
		take_event(p, INTAKE_LOST);
	}
}

static int
step_paused(struct pipeline *p, struct error *err)
{
	if (pipeline_poll_paused(p, WAIT_MS, err) != 0)
		return -1;
	drop_revoked(p);
	if (p->phase != INTAKE_PAUSED || clock_monotonic_ms() < p->retry_ms)
		return 0;
	if (pipeline_check_store(p, err) != 0) {
		drop_and_pause(p, err);
		return 0;
	}
	p->is_astray = true;
	if (pipeline_resume(p, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	p->backoff_ms = BACKOFF_MIN_MS;
	take_event(p, INTAKE_STORE_UP);
	log_event(LOG_INFO, "redis", "redis_ready", "Redis is there again",
	    LOG_S("address", redis_address(p->redis)), LOG_END);
	return 0;
}

static struct batch *
next_batch(struct pipeline *p)
{
	assert(p->n_spare > 0);
	return p->spare[--p->n_spare];
}

/* Looks at Redis between batches, idle or not: its policy may have changed. */
static int
look_at_store(struct pipeline *p, struct error *err)
{
	if (p->intake.batch->n > 0)
		return 0;
	if (clock_monotonic_ms() >= p->check_ms &&
	    pipeline_check_store(p, err) != 0)
		return lose_store(p, err);
	if (pipeline_check_marks(p, err) != 0)
		return lose_store(p, err);
	return 0;
}

static int
step_filling(struct pipeline *p, struct error *err)
{
	enum committer_state state;
	enum intake_result result;

	if (p->intake.batch == NULL)
		p->intake.batch = next_batch(p);
	if (kafka_consumer_is_paused(p->intake.consumer) &&
	    pipeline_resume(p, err) != 0)
		return err->kind == ERROR_FATAL
		    ? -1
		    : pipeline_poll_paused(p, POLL_MS, err);
	if (look_at_store(p, err) != 0)
		return -1;
	if (p->phase != INTAKE_FILLING)
		return 0;
	result =
	    intake_fill(&p->intake, p->intake.batch->n > 0 ? 1 : POLL_MS, err);
	if (result != INTAKE_FINE)
		return handle(p, result, err);
	drop_revoked(p);
	if (p->phase != INTAKE_FILLING)
		return 0;
	state = committer_state(p->committer);
	if (p->intake.batch->n == 0)
		return 0;
	if (batch_is_full(p->intake.batch) || state == COMMITTER_READY)
		take_event(p, INTAKE_CUT);
	return 0;
}

static int
step_claiming(struct pipeline *p, struct error *err)
{
	enum intake_result result = intake_claim(&p->intake, err);

	if (result != INTAKE_FINE)
		return handle(p, result, err);
	pipeline_note_store_up(p);
	take_event(p, INTAKE_CLAIMED);
	return 0;
}

/* Stage B lost its batch: what was prepared behind it is worth nothing. */
static void
lose_batch(struct pipeline *p)
{
	take_event(p, INTAKE_LOST);
	intake_drop(&p->intake);
}

/*
 * Whether stage B is free, and the batch in hand still to be gone on with.  If
 * not, waits for news, a moment at most, and polls meanwhile if it takes long:
 * the loop has more to do than this, some of which stage B may wait for.
 */
static bool
await_stage_b(struct pipeline *p, struct error *err)
{
	enum committer_state state = committer_state(p->committer);

	/* In this order: who is ready has handed back what it had. */
	if (pipeline_collect(p)) {
		lose_batch(p);
		return false;
	}
	if (state == COMMITTER_READY || state == COMMITTER_FAILED)
		return state == COMMITTER_READY;
	if (clock_monotonic_ms() - p->phase_ms < PAUSE_AFTER_MS)
		pipeline_wait(p, WAIT_MS);
	else if (pipeline_poll_paused(p, WAIT_MS, err) == 0)
		drop_revoked(p);
	return false;
}

static int
step_planning(struct pipeline *p, struct error *err)
{
	enum intake_result result;

	if (p->intake.batch->entered_again && !await_stage_b(p, err))
		return err->kind == ERROR_FATAL ? -1 : 0;
	result = intake_plan(&p->intake, err);
	if (result != INTAKE_FINE)
		return handle(p, result, err);
	take_event(p, INTAKE_PLANNED);
	return 0;
}

static int
step_prepared(struct pipeline *p, struct error *err)
{
	if (!await_stage_b(p, err))
		return err->kind == ERROR_FATAL ? -1 : 0;
	intake_advance(&p->intake);
	p->intake.given_ms = p->intake.batch->oldest_ms;
	committer_give(p->committer, p->intake.batch);
	p->intake.batch = NULL;
	take_event(p, INTAKE_TAKEN);
	return 0;
}

static int
step_repairing(struct pipeline *p, struct error *err)
{
	int rc;

	if (pipeline_poll_paused(p, 0, err) != 0)
		return -1;
	if (p->intake.revoked) {
		drop_revoked(p);
		return 0;
	}
	watchdog_enter(WATCHDOG_INTAKE, "repair", INTAKE_GUARD_MS);
	rc = repair_step(p->repair, &p->intake, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc < 0)
		return err->kind == ERROR_FATAL ? -1 : lose_store(p, err);
	if (rc == 0)
		return 0;
	p->is_astray = true;
	take_event(p, INTAKE_REPAIRED);
	return 0;
}

/* Back to what is committed, once stage B has nothing under way. */
static int
step_rewinding(struct pipeline *p, struct error *err)
{
	enum committer_state state = committer_state(p->committer);
	int rc;

	if (pipeline_poll_paused(p, POLL_MS, err) != 0)
		return -1;
	drop_revoked(p);
	pipeline_collect(p);
	if (state == COMMITTER_BUSY || state == COMMITTER_OPENING)
		return 0;
	watchdog_enter(WATCHDOG_INTAKE, "rewind", INTAKE_GUARD_MS);
	rc = intake_rewind(&p->intake, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	p->is_astray = false;
	take_event(p, INTAKE_REWOUND);
	return 0;
}

static int
step(struct pipeline *p, struct error *err)
{
	switch (p->phase) {
	case INTAKE_PAUSED:
		return step_paused(p, err);
	case INTAKE_FILLING:
		return step_filling(p, err);
	case INTAKE_CLAIMING:
		return step_claiming(p, err);
	case INTAKE_PLANNING:
		return step_planning(p, err);
	case INTAKE_PREPARED:
		return step_prepared(p, err);
	case INTAKE_REPAIRING:
		return step_repairing(p, err);
	case INTAKE_REWINDING:
	case INTAKE_PHASES:
		break;
	}
	return step_rewinding(p, err);
}

static void
report_kafka(struct pipeline *p)
{
	struct kafka_state state;
	char reason[256];

	kafka_health_read(p->kafka.health, FRESH_MS, &state);
	telemetry_dependency(p->telemetry, DEPENDENCY_KAFKA, state.up);
	committer_reason(p->committer, reason, sizeof reason);
	if (!state.up)
		health_bad(p->kafka_check, "%s", state.reason);
	else if (reason[0] != '\0')
		health_bad(p->kafka_check, "%s", reason);
	else if (!kafka_consumer_is_joined(p->intake.consumer))
		health_bad(p->kafka_check, "joining the group %s", p->group);
	else
		health_ok(p->kafka_check);
}

/*
 * The ends of the logs are known from what is fetched.  While nothing is, one
 * partition's is asked for each time, so that what comes meanwhile is seen.
 */
static void
find_ends(struct pipeline *p)
{
	struct intake *intake = &p->intake;
	struct error ignored;
	int64_t start, end;
	size_t i;

	if (p->phase != INTAKE_PAUSED) {
		for (i = 0; i < intake->n_owned; i++)
			intake->owned[i].end =
			    kafka_consumer_end(intake->consumer, intake->topic,
				intake->owned[i].partition);
	} else if (intake->n_owned > 0) {
		i = p->looked_at++ % intake->n_owned;
		watchdog_enter(WATCHDOG_INTAKE, "end", INTAKE_GUARD_MS);
		if (kafka_consumer_range(intake->consumer, intake->topic,
			intake->owned[i].partition, &start, &end, END_MS,
			&ignored) == 0)
			intake->owned[i].end = end;
		watchdog_leave(WATCHDOG_INTAKE);
	}
}

/*
 * Of what was read the age is known.  What waits unread while nothing is read
 * is at least as old as it has been seen to wait.
 */
static void
report_age(struct pipeline *p, int64_t lag)
{
	const struct intake *intake = &p->intake;
	int64_t now = clock_wall_ms(), oldest;

	oldest = batch_earlier(intake->dropped_ms, intake->given_ms);
	if (intake->batch != NULL)
		oldest = batch_earlier(oldest, intake->batch->oldest_ms);
	if (lag == 0 || p->phase != INTAKE_PAUSED)
		p->unread_ms = 0;
	else if (p->unread_ms == 0)
		p->unread_ms = now;
	telemetry_age(p->telemetry, batch_earlier(oldest, p->unread_ms), now);
}

/* Lag, age and health, each second. */
static void
report(struct pipeline *p)
{
	int64_t now = clock_monotonic_ms(), lag = 0;
	size_t i;

	if (now < p->report_ms)
		return;
	p->report_ms = now + REPORT_MS;
	report_kafka(p);
	find_ends(p);
	for (i = 0; i < p->intake.n_owned; i++) {
		const struct owned *owned = &p->intake.owned[i];
		int64_t behind =
		    owned->end > owned->expected && owned->expected >= 0
		    ? owned->end - owned->expected
		    : 0;

		telemetry_lag(
		    p->telemetry, p->intake.topic, owned->partition, behind);
		lag += behind;
	}
	report_age(p, lag);
	sd_notifyf(0, "STATUS=%s: %zu partitions, lag %lld",
	    intake_phase_name(p->phase), p->intake.n_owned, (long long)lag);
}

/*
 * Stage B was told that a record is too large: a topic's limit was lowered.
 * What is missing or too small now is no reason to end, it may be mended.
 */
static void
look_at_limits(struct pipeline *p)
{
	int64_t now = clock_monotonic_ms();
	struct error err = { 0 };

	if (!committer_wants_limits(p->committer) || now < p->limits_ms)
		return;
	p->limits_ms = now + REPORT_MS;
	if (pipeline_look_at_kafka(p, &err) != 0) {
		pipeline_say_away(p, p->kafka_check, "kafka", &err);
		return;
	}
	log_event(LOG_INFO, "kafka", "topic_limits",
	    "the topics' limits were read again",
	    LOG_I("message_max_bytes", p->message_max),
	    LOG_I("batch_max_bytes", p->batch_max), LOG_END);
	committer_set_limits(p->committer, p->message_max, p->batch_max);
}

int
pipeline_work(struct pipeline *p, struct error *err)
{
	while (!pipeline_is_stopping(p)) {
		pipeline_turn(p);
		report(p);
		look_at_limits(p);
		if (committer_state(p->committer) == COMMITTER_FAILED) {
			committer_error(p->committer, err);
			return -1;
		}
		if (pipeline_collect(p))
			lose_batch(p);
		err->kind = ERROR_NONE; /* what a store said, and was heard */
		if (step(p, err) != 0)
			return -1;
	}
	return 0;
}
