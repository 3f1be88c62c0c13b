#include "producer/dryrun/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/entry_table.h"
#include "common/base/memory.h"
#include "producer/dryrun/live.h"
#include "producer/dryrun/supposed.h"

#define TARGETS_MAX 5000 /* of one plan; the planner takes 10,000 */
#define PARTS_MAX 64     /* halves of halves that wait */
#define SCHEDULE TEXT("ri.scheduler.main.schedule.supposed")
#define VERSION TEXT("ri.scheduler.main.schedule-version.supposed")

struct part { /* of the targets */
	size_t from, n;
};

struct sweeping {
	struct live_plan *planner;
	const struct sweep_question *question;
	struct arena *arena;
	struct sweep *sweep;
	struct entry_table seen; /* keys of jobs */
	size_t room;
	struct part parts[PARTS_MAX];
	size_t n_parts;
};

static const struct outcome *
plan_part(struct sweeping *sweeping, struct part part, struct error *err)
{
	const struct sweep_question *question = sweeping->question;
	const struct run_request request = { .request_id = TEXT("sweep"),
		.schedule_rid = SCHEDULE };
	const struct schedule_version version = {
		.rid = VERSION,
		.schedule_rid = SCHEDULE,
		.scope = SCOPE_PROJECT,
		.project_rids = question->projects,
		.target_type = question->changed.at != NULL ? TARGET_CONNECTING
							    : TARGET_UPSTREAM,
		.target_rids = { question->targets.at + part.from, part.n },
		.input_rids = { &question->changed,
		    question->changed.at != NULL },
		.n_named = part.n + 1,
		.branch_name = question->branch,
	};

	const struct supposed_branch moved = { .dataset = question->changed,
		.branch = question->branch,
		.head = TEXT(SUPPOSED_HEAD) };

	return live_plan_suppose(sweeping->planner, &request,
	    &(struct live_supposition){ .version = &version,
		.branches = question->changed.at != NULL ? &moved : NULL },
	    err);
}

/* What it found ------------------------------------------------------------ */

static bool
is_key(const void *entry, const void *key)
{
	return text_equal(
	    *(const struct text *)entry, *(const struct text *)key);
}

/* Whether it is new. */
static bool
note_key(struct sweeping *sweeping, struct text key)
{
	size_t hash = text_hash(key);
	struct entry_slot *slot =
	    entry_table_find(&sweeping->seen, hash, &key, is_key);
	struct text *kept;

	if (slot->entry != NULL)
		return false;
	kept = arena_alloc(sweeping->arena, sizeof *kept);
	*kept = text_copy(sweeping->arena, key);
	entry_table_fill(&sweeping->seen, NULL, slot, hash, kept);
	return true;
}

/* The inputs that a reason lists, with what is read of them. */
static void
note_changed(
    struct sweeping *sweeping, const struct job *job, struct sweep_job *noted)
{
	const struct listing *list = &job->reason_inputs;
	struct arena *arena = sweeping->arena;
	struct sweep_input *changed =
	    arena_alloc(arena, SWEEP_CHANGED_MAX * sizeof *changed);
	size_t i, k;

	for (i = 0; i < job->spec->n_inputs; i++) {
		const struct branch *read = job->inputs[i].read;
		struct text key = job_input_key(arena, &job->spec->inputs[i]);

		for (k = 0; k < list->n_first; k++)
			if (read != NULL &&
			    noted->n_changed < SWEEP_CHANGED_MAX &&
			    text_equal(list->first[k], key))
				changed[noted->n_changed++] =
				    (struct sweep_input){
					    text_copy(arena,
						job->spec->inputs[i].rid),
					    text_copy(arena, read->name),
					    text_copy(arena, read->head)
				    };
	}
	noted->changed = changed;
}

static void
note_job(struct sweeping *sweeping, const struct job *job)
{
	struct sweep *sweep = sweeping->sweep;
	struct buffer reason = { 0 };
	struct sweep_job *noted;

	if (!note_key(sweeping, job->spec->outputs[0]))
		return;
	if (sweep->n_jobs == sweeping->room) {
		struct sweep_job *more = arena_alloc(
		    sweeping->arena, (2 * sweeping->room + 64) * sizeof *more);

		if (sweep->n_jobs > 0)
			memcpy(more, sweep->jobs, sweep->n_jobs * sizeof *more);
		sweep->jobs = more;
		sweeping->room = 2 * sweeping->room + 64;
	}
	noted = &sweep->jobs[sweep->n_jobs++];
	outcome_write_reason(job, &reason);
	*noted = (struct sweep_job){
		.key = text_copy(sweeping->arena, job->spec->outputs[0]),
		.reason = buffer_keep(&reason, sweeping->arena),
	};
	if (job->reason == REASON_INPUTS_CHANGED)
		note_changed(sweeping, job, noted);
}

static void
note_fault(
    struct sweeping *sweeping, size_t target, const struct schedule_run *run)
{
	struct sweep *sweep = sweeping->sweep;

	if (sweep->n_faults < SWEEP_FAULTS_MAX)
		sweep->faults[sweep->n_faults] = (struct sweep_fault){
			.target = text_copy(sweeping->arena,
			    sweeping->question->targets.at[target]),
			.error = text_from(run_error_name(run->error)),
			.description =
			    text_copy(sweeping->arena, run->description),
		};
	sweep->n_faults++;
}

/* No job of it depends on what is supposed: no fault. */
static bool
is_unconnected(const struct outcome *outcome)
{
	return text_equal(outcome->run.why.cause, TEXT("notConnected"));
}

static void
push_part(struct sweeping *sweeping, size_t from, size_t n)
{
	sweeping->parts[sweeping->n_parts++] = (struct part){ from, n };
}

/* Of one that failed the halves are next: fewer than PARTS_MAX ever wait. */
static void
judge_part(
    struct sweeping *sweeping, struct part part, const struct outcome *outcome)
{
	size_t i;

	if (outcome->run.state == RUN_FAILED && !is_unconnected(outcome) &&
	    part.n > 1) {
		push_part(
		    sweeping, part.from + part.n / 2, part.n - part.n / 2);
		push_part(sweeping, part.from, part.n / 2);
		return;
	}
	sweeping->sweep->n_judged += part.n;
	if (outcome->run.state == RUN_FAILED && !is_unconnected(outcome))
		note_fault(sweeping, part.from, &outcome->run);
	for (i = 0;
	     outcome->run.state == RUN_SUBMITTED && i < outcome->build.n_jobs;
	     i++)
		note_job(sweeping, &outcome->build.jobs[i]);
}

static int
sweep_part(struct sweeping *sweeping, struct part part, struct error *err)
{
	const struct outcome *outcome;

	push_part(sweeping, part.from, part.n);
	while (sweeping->n_parts > 0 &&
	    clock_monotonic_ms() < sweeping->question->until_ms) {
		part = sweeping->parts[--sweeping->n_parts];
		outcome = plan_part(sweeping, part, err);
		if (outcome == NULL)
			return -1;
		judge_part(sweeping, part, outcome);
	}
	sweeping->n_parts = 0;
	return 0;
}

int
sweep_run(struct live_plan *planner, const struct sweep_question *question,
    struct arena *arena, struct sweep *sweep, struct error *err)
{
	struct sweeping sweeping = { .planner = planner,
		.question = question,
		.arena = arena,
		.sweep = sweep };
	size_t from, n = question->targets.n;
	int rc = 0;

	*sweep = (struct sweep){ 0 };
	entry_table_reset(&sweeping.seen, NULL);
	for (from = 0; rc == 0 && from < n; from += TARGETS_MAX)
		rc = sweep_part(&sweeping,
		    (struct part){
			from, n - from < TARGETS_MAX ? n - from : TARGETS_MAX },
		    err);
	entry_table_finish(&sweeping.seen);
	return rc;
}
