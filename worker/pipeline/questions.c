#include "worker/pipeline/questions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "worker/snapshot/internal.h"

/* Dearer answers are not remembered: a few would fill the cache. */
#define GROUNDS_MAX 64
#define ANSWER_MAX 65536

struct question {
	const struct run_request *request; /* the first that asked */
	struct cache_entry *memory;        /* its parsed value: the answer */
	const struct answer *answer;       /* NULL: not answered yet */
	size_t plan_number;                /* in the snapshot */
	struct plan_input input;
	struct plan *plan; /* NULL: nothing to plan */
};

/* A remembered answer, and in which epoch its grounds were looked at. */
struct remembered {
	const struct answer *answer;
	uint64_t epoch;
};

struct questions {
	struct snapshot *snapshot;
	struct telemetry *telemetry;
	struct question *asked;
	size_t n, capacity;
	uint32_t *open; /* numbers of those that a plan is stepped for */
	struct buffer key, scratch;
};

struct questions *
questions_create(struct snapshot *snapshot, struct telemetry *telemetry)
{
	struct questions *questions = memory_zalloc(1, sizeof *questions);

	questions->snapshot = snapshot;
	questions->telemetry = telemetry;
	return questions;
}

void
questions_destroy(struct questions *questions)
{
	if (questions == NULL)
		return;
	free(questions->asked);
	free(questions->open);
	buffer_finish(&questions->key);
	buffer_finish(&questions->scratch);
	free(questions);
}

/* Answers that are not remembered go, as they may be large. */
static void
forget_unremembered(struct questions *questions)
{
	size_t i;

	for (i = 0; i < questions->n; i++) {
		struct cache_entry *memory = questions->asked[i].memory;
		const struct remembered *remembered = memory->parsed;

		if (remembered != NULL && remembered->epoch == 0)
			cache_drop(questions->snapshot->cache, memory);
	}
	questions->n = 0;
}

void
questions_begin(struct questions *questions)
{
	forget_unremembered(questions);
	snapshot_begin(questions->snapshot);
}

/* The parts are free of line breaks, which therefore divide them. */
static struct text
key_of(struct questions *questions, const struct run_request *request)
{
	struct buffer *key = &questions->key;

	buffer_reset(key);
	buffer_append(key, request->schedule_rid);
	buffer_byte(key, '\n');
	buffer_append(key, request->schedule_version_rid);
	buffer_byte(key, '\n');
	buffer_append(key, request->created_by);
	return buffer_text(key);
}

static void
reserve(struct questions *questions)
{
	if (questions->n < questions->capacity)
		return;
	questions->capacity = questions->capacity * 2 + 256;
	questions->asked = memory_resize(
	    questions->asked, questions->capacity, sizeof *questions->asked);
	questions->open = memory_resize(
	    questions->open, questions->capacity, sizeof *questions->open);
}

uint32_t
questions_ask(struct questions *questions, const struct run_request *request)
{
	struct cache *cache = questions->snapshot->cache;
	struct cache_entry *memory =
	    cache_entry(cache, CACHE_ANSWER, key_of(questions, request));

	if (memory->asked == cache_batch(cache))
		return memory->number;
	reserve(questions);
	memory->asked = cache_batch(cache);
	memory->number = (uint32_t)questions->n;
	questions->asked[questions->n++] =
	    (struct question){ .request = request, .memory = memory };
	return memory->number;
}

/*
 * What must be read to know whether remembered answers still stand, and the
 * schedules of the other questions.
 */
static void
want_grounds(void *opaque)
{
	struct questions *questions = opaque;
	struct snapshot *snapshot = questions->snapshot;
	uint64_t epoch = cache_epoch(snapshot->cache);
	size_t i, j;

	for (i = 0; i < questions->n; i++) {
		const struct question *question = &questions->asked[i];
		const struct cache_entry *memory = question->memory;
		const struct remembered *remembered = memory->parsed;

		if (remembered == NULL)
			snapshot_want_fresh(snapshot,
			    cache_entry(snapshot->cache, CACHE_SCHEDULE,
				question->request->schedule_rid));
		else if (remembered->epoch != epoch)
			for (j = 0; j < memory->n_grounds; j++)
				snapshot_want_fresh(
				    snapshot, memory->grounds[j].entry);
	}
}

/* Takes the answer if it is remembered and stands; all its grounds are fresh.
 */
static void
recall(struct snapshot *snapshot, struct question *question)
{
	struct remembered *remembered = question->memory->parsed;

	if (remembered != NULL && !cache_stands(question->memory)) {
		cache_drop(snapshot->cache, question->memory);
		remembered = NULL;
	}
	snapshot_count_lookup(snapshot, CACHE_ANSWER, remembered != NULL);
	if (remembered == NULL)
		return;
	remembered->epoch = cache_epoch(snapshot->cache);
	question->answer = remembered->answer;
}

static void
start_plan(
    struct questions *questions, struct question *question, struct arena *arena)
{
	const struct snapshot_plan *read =
	    snapshot_plan(questions->snapshot, question->plan_number);

	if (read->damage != NULL)
		return;
	question->input = (struct plan_input){
		.request = question->request,
		.version = read->version,
		.paused = read->paused,
		.deleted = read->deleted,
	};
	question->plan = plan_start(
	    arena, snapshot_world(questions->snapshot), &question->input);
}

/* A plan for each question without an answer; how many are open. */
static int
start_plans(struct questions *questions, struct arena *arena, size_t *n_open,
    struct error *err)
{
	struct snapshot *snapshot = questions->snapshot;
	size_t i;

	*n_open = 0;
	for (i = 0; i < questions->n; i++) {
		struct question *question = &questions->asked[i];

		if (question->answer != NULL)
			continue;
		question->plan_number =
		    snapshot_add(snapshot, question->request->schedule_rid,
			question->request->schedule_version_rid);
		questions->open[(*n_open)++] = (uint32_t)i;
	}
	if (*n_open == 0)
		return 0;
	if (snapshot_choose(snapshot, err) != 0)
		return -1;
	for (i = 0; i < *n_open; i++)
		start_plan(
		    questions, &questions->asked[questions->open[i]], arena);
	return 0;
}

/* Steps the open plans; how many of them need to know more. */
static size_t
step_plans(struct questions *questions, size_t n_open)
{
	uint32_t *open = questions->open;
	size_t left = 0, i;

	for (i = 0; i < n_open; i++) {
		struct plan *plan = questions->asked[open[i]].plan;

		if (plan != NULL && plan_step(plan) == PLAN_NEEDS)
			open[left++] = open[i];
	}
	return left;
}

/*
 * Runs all plans, level by level: what they need to know next is read in bulk
 * for all of them.  1: that becomes too much.
 */
static int
run_plans(struct questions *questions, struct arena *arena, size_t max_bytes,
    struct error *err)
{
	struct snapshot *snapshot = questions->snapshot;
	size_t n_open;
	double start;
	int rc;

	if (start_plans(questions, arena, &n_open, err) != 0)
		return -1;
	for (;;) {
		n_open = step_plans(questions, n_open);
		if (questions->n > 1 &&
		    snapshot_used(snapshot) + arena_used(arena) >= max_bytes)
			return 1;
		if (n_open == 0)
			return 0;
		start = telemetry_clock();
		rc = snapshot_answer(snapshot, err);
		telemetry_redis(questions->telemetry, REDIS_OP_SNAPSHOT,
		    telemetry_clock() - start);
		if (rc != 0)
			return -1;
	}
}

static const struct outcome *
outcome_of(struct questions *questions, const struct question *question,
    struct arena *arena)
{
	const struct snapshot_plan *read;

	if (question->plan != NULL)
		return plan_outcome(question->plan);
	read = snapshot_plan(questions->snapshot, question->plan_number);
	return plan_internal(arena, question->request, read->planned_rid,
	    read->damage, read->damage_message);
}

/*
 * What the answer rests on: the schedule's head and the branches of the
 * datasets; versions never change, and all else is forgotten with its
 * generation.  0: it rests on more than is remembered.
 */
static size_t
list_grounds(struct snapshot *snapshot, const struct question *question,
    struct cache_entry **grounds)
{
	size_t n = 0, i, met;

	if (question->plan == NULL || question->input.version == NULL)
		return 0;
	met = plan_datasets(question->plan);
	if (met >= GROUNDS_MAX)
		return 0;
	grounds[n++] = cache_entry(
	    snapshot->cache, CACHE_SCHEDULE, question->request->schedule_rid);
	for (i = 0; i < met; i++) {
		struct text rid = plan_dataset(question->plan, i);

		if (rid.at != NULL)
			grounds[n++] =
			    cache_entry(snapshot->cache, CACHE_HEAD, rid);
	}
	return n;
}

/* Internal is not remembered: its reason may be gone the next time. */
static void
give_answer(
    struct questions *questions, struct question *question, struct arena *arena)
{
	const struct outcome *outcome = outcome_of(questions, question, arena);
	struct cache *cache = questions->snapshot->cache;
	struct cache_entry *memory = question->memory;
	struct arena *kept = cache_parsing(memory);
	struct remembered *remembered =
	    arena_zalloc(kept, 1, sizeof *remembered);
	struct cache_entry *grounds[GROUNDS_MAX];
	size_t n = 0;

	question->answer =
	    answer_make(kept, &questions->scratch, question->request, outcome);
	remembered->answer = question->answer;
	if (questions->scratch.size <= ANSWER_MAX &&
	    !(outcome->type == OUTCOME_ERROR &&
		outcome->error_name == INTERNAL))
		n = list_grounds(questions->snapshot, question, grounds);
	if (n > 0) {
		remembered->epoch = cache_epoch(cache);
		cache_build_on(memory, grounds, n);
	}
	cache_parsed(cache, memory, remembered);
}

int
questions_answer(struct questions *questions, struct arena *arena,
    size_t max_bytes, struct error *err)
{
	struct snapshot *snapshot = questions->snapshot;
	size_t i;
	int rc;

	if (snapshot_settle(snapshot, want_grounds, questions, err) != 0)
		return -1;
	for (i = 0; i < questions->n; i++)
		recall(snapshot, &questions->asked[i]);
	rc = run_plans(questions, arena, max_bytes, err);
	for (i = 0; rc == 0 && i < questions->n; i++)
		if (questions->asked[i].answer == NULL)
			give_answer(questions, &questions->asked[i], arena);
	return rc;
}

const struct answer *
questions_answer_of(const struct questions *questions, uint32_t number)
{
	assert(number < questions->n);
	return questions->asked[number].answer;
}
