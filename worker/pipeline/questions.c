#include "worker/pipeline/questions.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "worker/base/fault.h"

/*
 * Requests -> questions -> answers.  Of a busy batch most requests ask what
 * another of it asks, and of the rest most were answered in an earlier one: a
 * plan and its reads are the exception, and are worth it to be shared.  Who
 * asks is judged last, as it changes the answer of few.
 */

/* Dearer answers are not remembered: a few would fill the cache. */
#define ANSWER_MAX 65536
#define PLANS_KEPT ((size_t)8 * 1024 * 1024)
#define AHEAD 8         /* records, of the way that a request has in memory */
#define NEAR 8          /* of a target's project, to the same one again */
#define PROJECTS_MAX 16 /* of a remembered answer */

/* A question that a plan is made for. */
struct open_question {
	uint32_t number; /* in the snapshot */
	struct plan_input input;
	struct plan *plan; /* NULL: nothing to plan */
};

struct questions {
	struct snapshot *snapshot;
	struct metrics *metrics;
	struct arena *plans; /* of the last call */
	struct open_question *open;
	size_t n, capacity;
	uint32_t *waiting; /* of those, whose plans need to know more */
	struct buffer scratch;
};

struct questions *
questions_create(struct snapshot *snapshot, struct metrics *metrics)
{
	struct questions *questions = memory_zalloc(1, sizeof *questions);

	questions->snapshot = snapshot;
	questions->metrics = metrics;
	questions->plans = arena_create((size_t)256 * 1024);
	return questions;
}

void
questions_destroy(struct questions *questions)
{
	if (questions == NULL)
		return;
	arena_destroy(questions->plans);
	free(questions->open);
	free(questions->waiting);
	buffer_finish(&questions->scratch);
	free(questions);
}

static void
reserve(struct questions *questions, size_t n)
{
	if (n <= questions->capacity)
		return;
	questions->capacity = n;
	questions->open =
	    memory_resize(questions->open, n, sizeof *questions->open);
	questions->waiting =
	    memory_resize(questions->waiting, n, sizeof *questions->waiting);
}

/*
 * A plan for each question from the `first`-th on that has no answer, run level
 * by level: each says what it needs to know next, and that is read in bulk for
 * all of them, so that the round trips are those of the deepest plan, not of
 * all. Where schedule or version is unreadable there is nothing to plan: the
 * answer says so.  1: what they hold becomes too much.
 */
static int
run_plans(struct questions *questions, size_t first, size_t max_bytes,
    struct error *err)
{
	struct snapshot *snapshot = questions->snapshot;
	size_t n = snapshot_questions(snapshot), left = 0, i;
	int rc = 0;

	reserve(questions, n);
	questions->n = 0;
	for (i = first; i < n; i++) {
		const struct question *asked = snapshot_question(snapshot, i);
		struct open_question *open = &questions->open[questions->n];

		if (asked->answer != NULL)
			continue;
		*open = (struct open_question){
			.number = (uint32_t)i,
			.input = { .request = asked->request,
			    .version = asked->version,
			    .paused = asked->paused && !asked->for_anybody,
			    .deleted = asked->deleted,
			    .for_anybody = asked->for_anybody },
		};
		if (asked->damage == NULL) {
			open->plan = plan_start(questions->plans,
			    snapshot_world(snapshot), &open->input);
			questions->waiting[left++] = (uint32_t)questions->n;
		}
		questions->n++;
	}
	while (rc == 0) {
		size_t waited = left;
		double start;

		for (left = i = 0; i < waited; i++) {
			uint32_t number = questions->waiting[i];

			if (plan_step(questions->open[number].plan) ==
			    PLAN_NEEDS)
				questions->waiting[left++] = number;
		}
		if (n > 1 &&
		    snapshot_used(snapshot) + arena_used(questions->plans) >=
			max_bytes)
			return 1;
		if (left == 0)
			break;
		start = worker_metrics_clock();
		rc = snapshot_fetch(snapshot, err);
		metrics_observe(questions->metrics, WORKER_REDIS,
		    REDIS_OP_SNAPSHOT, worker_metrics_clock() - start, 1);
	}
	return rc;
}

/*
 * Which datasets the answer rests on; false: it is not to be remembered, as it
 * rests on too much or is too large.
 */
static bool
list_datasets(const struct open_question *open, size_t size,
    struct text datasets[SNAPSHOT_GROUNDS_MAX], size_t *n)
{
	size_t met = plan_datasets(open->plan), i;

	if (size > ANSWER_MAX || met > SNAPSHOT_GROUNDS_MAX)
		return false;
	for (*n = i = 0; i < met; i++) {
		datasets[*n] = plan_dataset(open->plan, i);
		*n += datasets[*n].at != NULL;
	}
	return true;
}

/* The projects of the targets; one that comes again soon is told once. */
static void
list_projects(struct questions *questions, const struct open_question *open,
    struct answer_basis *basis)
{
	size_t n = plan_targets(open->plan), i, k;
	struct text *projects =
	    arena_alloc(questions->plans, n * sizeof *projects);

	basis->projects = projects;
	for (i = 0; i < n; i++) {
		size_t known = basis->n_projects;

		projects[known] = plan_target_project(open->plan, i);
		for (k = known > NEAR ? known - NEAR : 0; k < known; k++)
			if (text_equal(projects[k], projects[known]))
				break;
		basis->n_projects += k == known;
	}
}

/*
 * Internal is nobody else's answer and not to be remembered, as its reason may
 * be gone the next time.
 */
static void
give_answer(struct questions *questions, const struct open_question *open)
{
	struct snapshot *snapshot = questions->snapshot;
	const struct question *asked =
	    snapshot_question(snapshot, open->number);
	const struct outcome *outcome = open->plan != NULL
	    ? plan_outcome(open->plan)
	    : plan_internal(questions->plans, asked->request,
		  asked->planned_rid, asked->damage, asked->damage_message);
	struct answer *answer =
	    answer_make(snapshot_arena(snapshot), &questions->scratch, outcome);
	struct text datasets[SNAPSHOT_GROUNDS_MAX];
	struct answer_basis basis = { .datasets = datasets };
	void *room;

	basis.is_sound =
	    outcome->run.state != RUN_FAILED || outcome->run.error != INTERNAL;
	if (basis.is_sound && asked->for_anybody) {
		basis.is_judged = plan_gate(open->plan) != GATE_OPEN;
		if (plan_gate(open->plan) == GATE_ROLES)
			list_projects(questions, open, &basis);
		basis.lasts = basis.n_projects <= PROJECTS_MAX &&
		    list_datasets(open, questions->scratch.size, datasets,
			&basis.n_datasets);
	}
	room = snapshot_give(
	    snapshot, open->number, answer, &basis, answer_size(answer));
	if (room != NULL)
		answer_pack(answer, room);
}

int
questions_answer(struct questions *questions, struct batch *batch, size_t from,
    size_t to, size_t max_bytes, struct error *err)
{
	struct snapshot *snapshot = questions->snapshot;
	size_t first = 0, n, i;
	bool known;
	int rc;

	arena_reset(questions->plans, PLANS_KEPT);
	snapshot_begin(snapshot);
	for (i = from; i < to; i++) {
		struct batch_record *record = &batch->records[i];

		if (i + AHEAD < to)
			snapshot_expect(snapshot, &record[AHEAD].request,
			    record[AHEAD].schedule_hash);
		if (record->fate != FATE_PLAN)
			continue;
		fault_record(record->request.request_id);
		record->question = snapshot_ask(
		    snapshot, &record->request, record->schedule_hash);
	}
	fault_slow_plan();
	if (snapshot_read(snapshot, err) != 0)
		return -1;
	do {
		n = snapshot_questions(snapshot);
		rc = run_plans(questions, first, max_bytes, err);
		for (i = 0; rc == 0 && i < questions->n; i++)
			give_answer(questions, &questions->open[i]);
		/*
		 * Each request to the question that is its own, after what
		 * anybody gets is known: only that says who is to be judged.
		 */
		for (known = false; rc == 0 && !known;) {
			known = true;
			for (i = from; i < to; i++)
				if (batch->records[i].fate == FATE_PLAN)
					known &= snapshot_admit(snapshot,
					    &batch->records[i].request,
					    &batch->records[i].question);
			rc = snapshot_look(snapshot, err);
		}
		first = n;
	} while (rc == 0 && snapshot_questions(snapshot) > first);
	snapshot_tell(snapshot);
	return rc;
}
