#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/arena.h"
#include "common/base/text.h"
#include "schemas/stored/world.h"
#include "worker/plan/planner.h"

/*
 * What a plan costs: time per plan (the median of several) and the arena's
 * bytes per job, over worlds of one shape each.  The source has new data, so
 * that every job runs: the dearest outcome.  "scattered": what stands side by
 * side in the order of names is spread over the memory, so that nearly every
 * look at something is a cache miss.
 *
 *   plan_bench           a table
 *   plan_bench --json    {"chain100000": {"us": …, "bytesPerJob": …}, …}
 *
 * Exit 1 if an outcome isn't what the shape must give.
 */
struct bench {
	struct arena *arena;
	struct world *world;
	struct text *names; /* of the jobs' outputs, then of the source */
	struct job_spec *specs;
	size_t n;
	bool scattered;
};

enum shape { CHAIN, FAN, CYCLE };

static const struct row {
	const char *name;
	enum shape shape;
	size_t jobs;
	size_t bystanders; /* datasets that nobody reaches */
	enum target_type type;
	size_t repeats;
	const char *cause;
	bool scattered;
} rows[] = {
	{ "one dataset, manual", CHAIN, 1, 0, TARGET_MANUAL, 200000, "stale",
	    false },
	{ "one dataset of 100", CHAIN, 1, 100, TARGET_UPSTREAM, 200000, "stale",
	    false },
	{ "one dataset of 1000000", CHAIN, 1, 1000000, TARGET_UPSTREAM, 200000,
	    "stale", false },
	{ "chain of 10", CHAIN, 10, 0, TARGET_UPSTREAM, 20000, "stale", false },
	{ "fan of 10", FAN, 10, 0, TARGET_UPSTREAM, 20000, "stale", false },
	{ "chain of 1000", CHAIN, 1000, 0, TARGET_UPSTREAM, 200, "stale",
	    false },
	{ "chain of 100000", CHAIN, 100000, 0, TARGET_UPSTREAM, 9, "stale",
	    false },
	{ "chain of 100000, scattered", CHAIN, 100000, 0, TARGET_UPSTREAM, 9,
	    "stale", true },
	{ "fan of 100000", FAN, 100000, 0, TARGET_UPSTREAM, 9, "stale", false },
	{ "fan of 100000, scattered", FAN, 100000, 0, TARGET_UPSTREAM, 9,
	    "stale", true },
	{ "cycle of 100000", CYCLE, 100000, 0, TARGET_UPSTREAM, 9, "cycle",
	    false },
};

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct text
make_text(struct bench *bench, const char *prefix, size_t i)
{
	char name[80];
	size_t order = bench->scattered ? i * 2654435761u % 4294967291u : i;
	int n = snprintf(name, sizeof name, "%s%08zx-%zu", prefix, order, i);

	return text_copy(bench->arena, (struct text){ name, (size_t)n });
}

static void
put_dataset(struct bench *bench, struct text rid, const struct job_spec *spec)
{
	struct world_dataset *dataset = world_dataset(bench->world, rid);
	struct branch *branch = arena_zalloc(bench->arena, 1, sizeof *branch);
	struct built *built;
	struct built_input *inputs;
	size_t i;

	branch->name = TEXT("master");
	branch->head = TEXT("ri.foundry.main.transaction.1");
	dataset->known = KNOWN_PRESENT;
	dataset->project = TEXT("ri.compass.main.folder.p1");
	dataset->branches = (struct branch_list){ branch, 1 };
	if (spec == NULL) {
		branch->head = TEXT("ri.foundry.main.transaction.2");
		return;
	}
	built = arena_alloc(bench->arena, sizeof *built);
	inputs = arena_alloc(bench->arena, spec->n_inputs * sizeof *inputs);
	for (i = 0; i < spec->n_inputs; i++)
		inputs[i] = (struct built_input){ spec->inputs[i].rid,
			TEXT("ri.foundry.main.transaction.1") };
	*built = (struct built){ TEXT("v1"), inputs, spec->n_inputs };
	branch->built = built;
}

static int
compare_inputs(const void *a, const void *b)
{
	return text_compare(((const struct spec_input *)a)->rid,
	    ((const struct spec_input *)b)->rid);
}

/* Job 0 is the last one: the target. */
static void
put_spec(struct bench *bench, enum shape shape, size_t i)
{
	struct job_spec *spec = &bench->specs[i];
	size_t n = shape == FAN && i == 0 && bench->n > 1 ? bench->n - 1 : 1, k;
	struct spec_input *inputs =
	    arena_zalloc(bench->arena, n, sizeof *inputs);
	struct world_spec *place;

	for (k = 0; k < n; k++)
		inputs[k].rid = bench->names[n > 1 ? k + 1
			: shape == FAN && i > 0    ? bench->n
			: shape == CYCLE           ? (i + 1) % bench->n
						   : i + 1];
	qsort(inputs, n, sizeof *inputs, compare_inputs);
	*spec = (struct job_spec){
		.rid = make_text(bench, "ri.foundry.main.jobspec.", i),
		.branch = TEXT("master"),
		.logic = TEXT("v1"),
		.outputs = &bench->names[i],
		.n_outputs = 1,
		.inputs = inputs,
		.n_inputs = n,
	};
	place = world_spec(bench->world,
	    world_dataset(bench->world, bench->names[i]), spec->branch);
	place->known = KNOWN_PRESENT;
	place->spec = spec;
}

static void
make_world(struct bench *bench, const struct row *row)
{
	size_t i;

	bench->arena = arena_create(1024 * 1024);
	bench->world = world_create(true);
	bench->n = row->jobs;
	bench->scattered = row->scattered;
	bench->names =
	    arena_alloc(bench->arena, (row->jobs + 1) * sizeof *bench->names);
	bench->specs =
	    arena_alloc(bench->arena, row->jobs * sizeof *bench->specs);
	for (i = 0; i <= row->jobs; i++)
		bench->names[i] =
		    make_text(bench, "ri.foundry.main.dataset.", i);
	for (i = 0; i < row->jobs; i++)
		put_spec(bench, row->shape, i);
	for (i = 0; i < row->jobs; i++)
		put_dataset(bench, bench->names[i], &bench->specs[i]);
	put_dataset(bench, bench->names[row->jobs], NULL);
	for (i = 0; i < row->bystanders; i++)
		put_dataset(bench,
		    make_text(bench, "ri.foundry.main.dataset.by-", i), NULL);
}

static int
compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

struct result {
	double us;
	double bytes_per_job;
	bool right;
};

static void
run_plan(struct bench *bench, struct arena *arena, const struct row *row,
    struct result *result)
{
	static const struct text project = { "ri.compass.main.folder.p1", 25 };
	struct schedule_version version = {
		.rid = TEXT("ri.scheduler.main.schedule-version.1"),
		.schedule_rid = TEXT("ri.scheduler.main.schedule.1"),
		.created_by = TEXT("owner"),
		.scope = SCOPE_PROJECT,
		.project_rids = { &project, 1 },
		.target_type = row->type,
		.target_rids = { &bench->names[0], 1 },
		.n_named = 1,
		.branch_name = TEXT("master"),
	};
	struct run_request request = { .request_id = TEXT("r-1"),
		.schedule_rid = version.schedule_rid };
	struct plan_input input = { .request = &request, .version = &version };
	struct plan *plan = plan_start(arena, bench->world, &input);
	const struct outcome *outcome;

	result->right = plan_step(plan) == PLAN_DONE;
	outcome = plan_outcome(plan);
	if (!text_equal(outcome->run.why.cause, text_from(row->cause)) ||
	    (outcome->run.state == RUN_SUBMITTED &&
		outcome->build.n_jobs != row->jobs))
		result->right = false;
}

/* Times batches long enough for the clock; the median batch counts. */
static struct result
measure(struct bench *bench, const struct row *row)
{
	enum { ROUNDS = 9 };
	struct arena *arena = arena_create(1024 * 1024);
	struct result result = { .right = true }, each;
	size_t in_round = row->repeats > ROUNDS ? row->repeats / ROUNDS : 1, i;
	int64_t times[ROUNDS], start;
	int round;

	run_plan(bench, arena, row, &each); /* warms arena and world */
	for (round = 0; round < ROUNDS; round++) {
		start = now_ns();
		for (i = 0; i < in_round; i++) {
			arena_reset(arena, (size_t)1 << 30);
			run_plan(bench, arena, row, &each);
			result.right = result.right && each.right;
		}
		times[round] = now_ns() - start;
	}
	qsort(times, ROUNDS, sizeof *times, compare_times);
	result.us = (double)times[ROUNDS / 2] / (double)in_round / 1000;
	result.bytes_per_job = (double)arena_used(arena) / (double)row->jobs;
	arena_destroy(arena);
	return result;
}

int
main(int argc, char **argv)
{
	bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	size_t n = sizeof rows / sizeof rows[0], i;
	int failed = 0;

	printf(json ? "{" : "%-28s %12s %12s\n", "plan", "us", "bytes/job");
	for (i = 0; i < n; i++) {
		struct bench bench;
		struct result result;

		make_world(&bench, &rows[i]);
		result = measure(&bench, &rows[i]);
		printf(json ? "%s\"%s\":{\"us\":%.3f,\"bytesPerJob\":%.0f}"
			    : "%s%-28s %12.3f %12.0f\n",
		    json && i > 0 ? "," : "", rows[i].name, result.us,
		    result.bytes_per_job);
		if (!result.right) {
			fprintf(stderr, "plan_bench: %s: wrong outcome\n",
			    rows[i].name);
			failed = 1;
		}
		world_destroy(bench.world);
		arena_destroy(bench.arena);
	}
	if (json)
		printf("}\n");
	return failed;
}
