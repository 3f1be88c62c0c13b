#include "worker/base/batch_protocol.h"

#include <string.h>

#include "schemas/avro/reject.h"
#include "tests/unit/check.h"
#include "worker/base/batch.h"

static void
a_clean_batch_goes_round(void)
{
	enum commit_phase phase = COMMIT_CLOSED;

	CHECK(commit_step(&phase, COMMIT_OK) == COMMIT_WAIT);
	CHECK(commit_step(&phase, COMMIT_BATCH) == COMMIT_BEGIN);
	CHECK(commit_step(&phase, COMMIT_OK) == COMMIT_PRODUCE);
	CHECK(commit_step(&phase, COMMIT_OK) == COMMIT_SEND_OFFSETS);
	CHECK(commit_step(&phase, COMMIT_OK) == COMMIT_COMMIT);
	CHECK(commit_step(&phase, COMMIT_OK) == COMMIT_DONE);
	CHECK(phase == COMMIT_READY);
}

static void
commit_rows(void)
{
	static const struct {
		const char *name;
		enum commit_phase phase;
		enum commit_event event;
		enum commit_action action;
		enum commit_phase next;
	} rows[] = {
		{ "init again", COMMIT_CLOSED, COMMIT_RETRY, COMMIT_OPEN,
		    COMMIT_CLOSED },
		{ "init fenced", COMMIT_CLOSED, COMMIT_LOST, COMMIT_OPEN,
		    COMMIT_CLOSED },
		{ "no batch without a producer", COMMIT_CLOSED, COMMIT_BATCH,
		    COMMIT_REFUSE, COMMIT_CLOSED },
		{ "produce fails", COMMIT_PRODUCING, COMMIT_LOST,
		    COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		{ "revoked before the offsets", COMMIT_PRODUCING,
		    COMMIT_REVOKED, COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		{ "revoked at the offsets", COMMIT_SENDING, COMMIT_REVOKED,
		    COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		{ "revoked in the commit", COMMIT_COMMITTING, COMMIT_REVOKED,
		    COMMIT_COMMIT, COMMIT_COMMITTING },
		{ "coordinator moves", COMMIT_SENDING, COMMIT_RETRY,
		    COMMIT_SEND_OFFSETS, COMMIT_SENDING },
		{ "coordinator stays away", COMMIT_SENDING, COMMIT_DEADLINE,
		    COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		{ "commit unknown: again", COMMIT_COMMITTING, COMMIT_RETRY,
		    COMMIT_COMMIT, COMMIT_COMMITTING },
		{ "commit unknown at the deadline: never abort",
		    COMMIT_COMMITTING, COMMIT_DEADLINE, COMMIT_DESTROY_REWIND,
		    COMMIT_CLOSED },
		{ "commit not clean", COMMIT_COMMITTING, COMMIT_SUSPECT,
		    COMMIT_DONE_REBUILD, COMMIT_CLOSED },
		{ "fenced", COMMIT_COMMITTING, COMMIT_LOST, COMMIT_ABORT_REWIND,
		    COMMIT_CLOSED },
		{ "not authorised", COMMIT_CLOSED, COMMIT_FATAL, COMMIT_EXIT,
		    COMMIT_DEAD },
		{ "nothing after the end", COMMIT_DEAD, COMMIT_OK,
		    COMMIT_REFUSE, COMMIT_DEAD },
	};
	enum commit_phase phase;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		phase = rows[i].phase;
		CHECK_ROW(rows[i].name,
		    commit_step(&phase, rows[i].event) == rows[i].action);
		CHECK_ROW(rows[i].name, phase == rows[i].next);
	}
}

/* The rebuild rule: READY, and so a used producer, only after a clean commit.
 */
static void
every_failure_rebuilds(void)
{
	enum commit_phase from, to;
	int event;

	for (from = COMMIT_BEGINNING; from <= COMMIT_COMMITTING; from++)
		for (event = 0; event < COMMIT_EVENTS; event++) {
			to = from;
			commit_step(&to, (enum commit_event)event);
			CHECK(to != COMMIT_READY ||
			    (from == COMMIT_COMMITTING && event == COMMIT_OK));
		}
	CHECK(commit_verdict(true, false) == COMMIT_SUSPECT);
	CHECK(commit_verdict(false, false) == COMMIT_OK);
	CHECK(commit_verdict(true, true) == COMMIT_OK);
}

static void
intake_rows(void)
{
	static const struct {
		const char *name;
		enum intake_phase phase;
		enum intake_event event;
		enum intake_action action;
		enum intake_phase next;
	} rows[] = {
		{ "cut", INTAKE_FILLING, INTAKE_CUT, INTAKE_CLAIM,
		    INTAKE_CLAIMING },
		{ "claimed", INTAKE_CLAIMING, INTAKE_CLAIMED, INTAKE_PLAN,
		    INTAKE_PLANNING },
		{ "planned", INTAKE_PLANNING, INTAKE_PLANNED, INTAKE_HAND_OVER,
		    INTAKE_PREPARED },
		{ "taken", INTAKE_PREPARED, INTAKE_TAKEN, INTAKE_FILL,
		    INTAKE_FILLING },
		{ "behind while filling", INTAKE_FILLING, INTAKE_BEHIND,
		    INTAKE_DROP_REPAIR, INTAKE_REPAIRING },
		{ "behind", INTAKE_CLAIMING, INTAKE_BEHIND, INTAKE_DROP_REPAIR,
		    INTAKE_REPAIRING },
		{ "no plan without claims", INTAKE_FILLING, INTAKE_PLANNED,
		    INTAKE_REFUSE, INTAKE_FILLING },
		{ "Redis goes while planning", INTAKE_PLANNING,
		    INTAKE_STORE_DOWN, INTAKE_DROP_PAUSE, INTAKE_PAUSED },
		{ "a prepared batch needs no Redis", INTAKE_PREPARED,
		    INTAKE_STORE_DOWN, INTAKE_REFUSE, INTAKE_PREPARED },
		{ "Redis comes", INTAKE_PAUSED, INTAKE_STORE_UP, INTAKE_FILL,
		    INTAKE_FILLING },
		{ "B fails, n+1 is dropped", INTAKE_PREPARED, INTAKE_LOST,
		    INTAKE_DROP_REWIND, INTAKE_REWINDING },
		{ "revoked", INTAKE_PREPARED, INTAKE_REVOKED, INTAKE_DROP,
		    INTAKE_FILLING },
		{ "rewound", INTAKE_REWINDING, INTAKE_REWOUND, INTAKE_FILL,
		    INTAKE_FILLING },
	};
	enum intake_phase phase;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		phase = rows[i].phase;
		CHECK_ROW(rows[i].name,
		    intake_step(&phase, rows[i].event) == rows[i].action);
		CHECK_ROW(rows[i].name, phase == rows[i].next);
	}
}

/* Whatever A does: when B has lost its batch, A rewinds before it fills. */
static void
a_lost_batch_always_rewinds(void)
{
	enum intake_phase from, phase;

	for (from = INTAKE_PAUSED; from < INTAKE_DEAD; from++) {
		phase = from;
		CHECK(intake_step(&phase, INTAKE_LOST) == INTAKE_DROP_REWIND);
		CHECK(phase == INTAKE_REWINDING);
	}
}

static void
what_is_fatal_ends_every_phase(void)
{
	enum intake_phase from, phase;

	for (from = INTAKE_PAUSED; from < INTAKE_DEAD; from++) {
		phase = from;
		CHECK(intake_step(&phase, INTAKE_FATAL) == INTAKE_EXIT);
		CHECK(phase == INTAKE_DEAD);
	}
	CHECK(intake_step(&phase, INTAKE_NOTHING) == INTAKE_REFUSE);
}

/* Whoever drops a batch does so once, then goes on with the phase's work. */
static void
a_phase_goes_on_until_something_comes(void)
{
	static const struct {
		enum intake_phase phase;
		enum intake_action action;
	} rows[] = {
		{ INTAKE_PAUSED, INTAKE_LOOK },
		{ INTAKE_FILLING, INTAKE_FILL },
		{ INTAKE_PLANNING, INTAKE_PLAN },
		{ INTAKE_PREPARED, INTAKE_HAND_OVER },
		{ INTAKE_REPAIRING, INTAKE_REPAIR },
		{ INTAKE_REWINDING, INTAKE_REWIND },
	};
	enum intake_phase phase;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		phase = rows[i].phase;
		CHECK(intake_step(&phase, INTAKE_NOTHING) == rows[i].action);
		CHECK(phase == rows[i].phase);
	}
}

/*
 * Names are what operators search the DLQ for: they never change.  The first
 * ones are the codec's reasons, in its order.
 */
static void
reasons_keep_their_names(void)
{
	static const char *const names[] = { "empty", "too-large",
		"truncated-header", "bad-magic", "unknown-schema",
		"wrong-schema", "bad-schema", "malformed", "trailing-bytes",
		"invalid-field", "idempotency-conflict", "crashed-worker",
		"not-applicable" };
	int i;

	CHECK(sizeof names / sizeof names[0] == DEAD_REASONS);
	CHECK(REJECT_REASONS == (enum reject)DEAD_CONFLICT);
	for (i = 0; i < DEAD_REASONS; i++)
		CHECK_ROW(names[i],
		    strcmp(dead_reason_text((enum dead_reason)i), names[i]) ==
			0);
}

CU_TestInfo batch_protocol_tests[] = {
	{ "a clean batch goes round", a_clean_batch_goes_round },
	{ "commit rows", commit_rows },
	{ "every failure rebuilds", every_failure_rebuilds },
	{ "intake rows", intake_rows },
	{ "reasons keep their names", reasons_keep_their_names },
	{ "a lost batch always rewinds", a_lost_batch_always_rewinds },
	{ "what is fatal ends it", what_is_fatal_ends_every_phase },
	{ "a phase goes on", a_phase_goes_on_until_something_comes },
	CU_TEST_INFO_NULL,
};
