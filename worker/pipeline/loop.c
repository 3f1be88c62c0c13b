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
#define END_MS 500   /* to ask for a log's end */
#define HELD_MS 5000 /* of an open transaction, until it is said */

/* The batch goes; everything of Redis's is to be looked at again. */
static void
let_go_of_store(struct pipeline *p, struct error *err)
{
	pipeline_say_away(p, p->redis_check, "redis", err);
	metrics_add(p->metrics, WORKER_REDIS_ERRORS, 0, 1);
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
static enum intake_event
look(struct pipeline *p, struct error *err)
{
	enum intake_event event = pipeline_poll_paused(p, WAIT_MS, err);

	if (event != INTAKE_NOTHING || clock_monotonic_ms() < p->retry_ms)
		return event;
	if (pipeline_check_store(p, err) != 0)
		return INTAKE_STORE_DOWN;
	p->is_astray = true;
	if (pipeline_resume(p, err) != 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_NOTHING;
	p->backoff_ms = BACKOFF_MIN_MS;
	log_event(LOG_INFO, "redis", "redis_ready", "Redis is there again",
	    LOG_S("address", redis_address(p->redis)), LOG_END);
	return INTAKE_STORE_UP;
}

/* Claims are lost.  An empty Redis has lost the catalogue too: look first. */
static enum intake_event
begin_repair(struct pipeline *p, struct error *err)
{
	intake_drop(&p->intake);
	claims_reset(p->intake.claims);
	snapshot_forget(p->intake.snapshot);
	if (pipeline_check_store(p, err) != 0)
		return INTAKE_STORE_DOWN;
	if (repair_start(p->repair, &p->intake, p->intake.behind_partition,
		p->intake.behind_mark, err) == 0)
		return INTAKE_NOTHING;
	return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_STORE_DOWN;
}

static enum intake_event
repair(struct pipeline *p, struct error *err)
{
	enum intake_event event = pipeline_poll_paused(p, 0, err);
	int rc;

	if (event != INTAKE_NOTHING)
		return event;
	watchdog_enter(WATCHDOG_INTAKE, "repair", INTAKE_GUARD_MS);
	rc = repair_step(p->repair, &p->intake, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc < 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL
						: INTAKE_STORE_DOWN;
	if (rc == 0)
		return INTAKE_NOTHING;
	p->is_astray = true;
	return INTAKE_REPAIRED;
}

/* The partitions went: reading goes on where the new ones are expected to. */
static enum intake_event
drop_revoked(struct pipeline *p)
{
	struct error err = { 0 };

	intake_drop(&p->intake);
	if (pipeline_reread(p, &err) == 0)
		return INTAKE_NOTHING;
	log_event(LOG_WARN, "kafka", "seek_failed", err.message, LOG_END);
	return INTAKE_LOST;
}

/* Looks at Redis between batches, idle or not: its policy may have changed. */
static int
look_at_store(struct pipeline *p, struct error *err)
{
	if (clock_monotonic_ms() >= p->check_ms &&
	    pipeline_check_store(p, err) != 0)
		return -1;
	return pipeline_check_marks(p, err);
}

/*
 * One poll's records.  The batch is cut when stage B is free: an idle system
 * answers one request in one commit's time, a busy one amortises it.
 */
static enum intake_event
fill(struct pipeline *p, struct error *err)
{
	struct intake *intake = &p->intake;
	enum intake_event event;

	if (intake->batch == NULL) {
		assert(p->n_spare > 0);
		intake->batch = p->spare[--p->n_spare];
	}
	if (kafka_consumer_is_paused(intake->consumer) &&
	    pipeline_resume(p, err) != 0)
		return err->kind == ERROR_FATAL
		    ? INTAKE_FATAL
		    : pipeline_poll_paused(p, POLL_MS, err);
	if (intake->batch->n == 0 && look_at_store(p, err) != 0)
		return INTAKE_STORE_DOWN;
	event = intake_fill(intake, intake->batch->n > 0 ? 1 : POLL_MS, err);
	if (event != INTAKE_NOTHING ||
	    (intake->batch->n == 0 && !intake_has_passed(intake)))
		return event;
	return batch_is_full(intake->batch) ||
		committer_state(p->committer) == COMMITTER_READY
	    ? INTAKE_CUT
	    : INTAKE_NOTHING;
}

/*
 * Whether stage B is free, and the batch in hand still to be gone on with.  If
 * not, waits for news, a moment at most, and polls meanwhile if it takes long:
 * the loop has more to do than this, some of which stage B may wait for.
 */
static enum intake_event
await_stage_b(struct pipeline *p, bool *is_free, struct error *err)
{
	enum committer_state state = committer_state(p->committer);

	/* In this order: who is ready has handed back what it had. */
	if (pipeline_collect(p))
		return INTAKE_LOST;
	*is_free = state == COMMITTER_READY;
	if (state == COMMITTER_READY || state == COMMITTER_FAILED)
		return INTAKE_NOTHING;
	if (clock_monotonic_ms() - p->phase_ms >= PAUSE_AFTER_MS)
		return pipeline_poll_paused(p, WAIT_MS, err);
	pipeline_wait(p, WAIT_MS);
	return INTAKE_NOTHING;
}

/* What was entered before is planned only when stage B has nothing: see
 * attempts.h. */
static enum intake_event
plan(struct pipeline *p, struct error *err)
{
	bool is_free = !p->intake.batch->entered_again;
	enum intake_event event = INTAKE_NOTHING;

	if (!is_free)
		event = await_stage_b(p, &is_free, err);
	return is_free ? intake_plan(&p->intake, err) : event;
}

static enum intake_event
hand_over(struct pipeline *p, struct error *err)
{
	bool is_free = false;
	enum intake_event event = await_stage_b(p, &is_free, err);

	if (!is_free)
		return event;
	intake_advance(&p->intake);
	p->intake.given_ms = p->intake.batch->oldest_ms;
	committer_give(p->committer, p->intake.batch);
	p->intake.batch = NULL;
	return INTAKE_TAKEN;
}

/* Back to what is committed, once stage B has nothing under way. */
static enum intake_event
rewind_intake(struct pipeline *p, struct error *err)
{
	enum committer_state state = committer_state(p->committer);
	enum intake_event event = pipeline_poll_paused(p, POLL_MS, err);
	int rc;

	pipeline_collect(p);
	if (event != INTAKE_NOTHING || state == COMMITTER_BUSY ||
	    state == COMMITTER_OPENING)
		return event;
	watchdog_enter(WATCHDOG_INTAKE, "rewind", INTAKE_GUARD_MS);
	rc = intake_rewind(&p->intake, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc != 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_NOTHING;
	p->is_astray = false;
	return INTAKE_REWOUND;
}

/*
 * Carries one action out; says the event that came of it.  `err` says why the
 * action before failed, if it did, and then why this one does.
 */
static enum intake_event
act(struct pipeline *p, enum intake_action action, struct error *err)
{
	enum intake_event event;

	switch (action) {
	case INTAKE_FILL:
		return fill(p, err);
	case INTAKE_CLAIM:
		event = intake_claim(&p->intake, err);
		if (event == INTAKE_CLAIMED)
			pipeline_note_store_up(p);
		return event;
	case INTAKE_PLAN:
		return plan(p, err);
	case INTAKE_HAND_OVER:
		return hand_over(p, err);
	case INTAKE_DROP_REPAIR:
		return begin_repair(p, err);
	case INTAKE_REPAIR:
		return repair(p, err);
	case INTAKE_DROP_PAUSE:
		let_go_of_store(p, err);
		return INTAKE_NOTHING;
	case INTAKE_LOOK:
		return look(p, err);
	case INTAKE_DROP_REWIND:
		intake_drop(&p->intake);
		return INTAKE_NOTHING;
	case INTAKE_REWIND:
		return rewind_intake(p, err);
	case INTAKE_DROP:
		return drop_revoked(p);
	case INTAKE_EXIT:
	case INTAKE_REFUSE:
		break;
	}
	assert(false && "the loop ends before");
	return INTAKE_FATAL;
}

static void
report_kafka(struct pipeline *p)
{
	struct kafka_state state;
	char reason[256];

	kafka_health_read(p->kafka.health, FRESH_MS, &state);
	metrics_set(
	    p->metrics, WORKER_DEPENDENCIES, DEPENDENCY_KAFKA, state.up);
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
			&ignored) == 0 &&
		    end > intake->owned[i].end)
			intake->owned[i].end = end;
		watchdog_leave(WATCHDOG_INTAKE);
	}
}

/*
 * An upstream that hangs in its transaction: the log goes on, but what comes
 * behind where that began may not be read.
 */
static void
note_held(struct pipeline *p, int64_t now)
{
	const struct owned *first = NULL;
	size_t i;

	for (i = p->intake.n_owned; i-- > 0;) {
		struct owned *owned = &p->intake.owned[i];
		bool is_held =
		    owned->ended == owned->next && owned->end > owned->ended;

		if (!is_held)
			owned->held_ms = 0;
		else if (owned->held_ms == 0)
			owned->held_ms = now;
		if (is_held && now - owned->held_ms >= HELD_MS)
			first = owned;
	}
	if (first == NULL)
		health_note(p->kafka_check, "%s", "");
	else
		health_note(p->kafka_check,
		    "an open transaction holds partition %d from offset %lld, "
		    "for %lld s at least",
		    (int)first->partition, (long long)first->ended,
		    (long long)(now - first->held_ms) / 1000);
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
	worker_metrics_age(
	    p->metrics, batch_earlier(oldest, p->unread_ms), now);
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
		    owned->end > owned->next ? owned->end - owned->next : 0;

		worker_metrics_lag(
		    p->metrics, p->intake.topic, owned->partition, behind);
		lag += behind;
	}
	report_age(p, lag);
	note_held(p, now);
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

/* What stage B has to say while nothing else came. */
static enum intake_event
hear_stage_b(struct pipeline *p, struct error *err)
{
	if (committer_state(p->committer) == COMMITTER_FAILED) {
		committer_error(p->committer, err);
		return INTAKE_FATAL;
	}
	/* What was prepared behind a lost batch is worth nothing. */
	return pipeline_collect(p) ? INTAKE_LOST : INTAKE_NOTHING;
}

int
pipeline_work(struct pipeline *p, struct error *err)
{
	enum intake_action action = INTAKE_FILL;
	enum intake_phase before;
	enum intake_event event;

	while (!pipeline_is_stopping(p)) {
		pipeline_turn(p);
		report(p);
		look_at_limits(p);
		event = act(p, action, err);
		if (event == INTAKE_NOTHING)
			event = hear_stage_b(p, err);
		before = p->phase;
		action = intake_step(&p->phase, event);
		if (action == INTAKE_EXIT)
			return -1;
		assert(action != INTAKE_REFUSE);
		if (p->phase != before)
			p->phase_ms = clock_monotonic_ms();
	}
	return 0;
}
