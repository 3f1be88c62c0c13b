#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "tests/sim/worker.h"

/*
 * Each history is a process of its own: an assertion that fails ends it alone,
 * and what a killed worker leaves is gone with it.
 */
#define STEPS 10000
#define SEEDS 1000
#define QUICK_SEEDS 40
#define MUTANT_SEEDS 400
#define SECONDS_OF_HISTORY 60

static const char usage[] =
    "usage: sim all [SEEDS [FIRST]]      histories of the worker as it is\n"
    "       sim mutants [SEEDS [FIRST]]  each mutant until it is found\n"
    "       sim quick                    some of both, as make test does\n"
    "       sim seed SEED [MUTANT]       one; if it fails, shrinks and tells "
    "it\n"
    "STEPS in the environment: of each history, 10000 if it is not there.\n";

static const struct {
	const char *name;
	long seed;
	const char *text;
} mutants[SIM_MUTANTS] = {
	[MUTANT_NONE] = { "NONE", 1, "the worker as it is" },
#define SIM_MUTANT(name, seed, text) [MUTANT_##name] = { #name, seed, text },
#include "tests/sim/mutants.h"
#undef SIM_MUTANT
};

REAL(intake_step);
REAL(commit_step);

struct totals {
	long seeds, failed, steps, records, commits, aborts, crashes,
	    rebalances, losses, repairs, awaited, given_up, twice;
	uint32_t intake_rows[INTAKE_PHASES], commit_rows[COMMIT_PHASES];
};

static struct sim_report *report; /* shared with whoever plays */

static long
number_of(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end != '\0') {
		fprintf(stderr, "sim: no number: %s\n%s", text, usage);
		exit(2);
	}
	return number;
}

static struct sim_plan
make_plan(long seed, enum sim_mutant mutant)
{
	const char *steps = getenv("STEPS");

	return (struct sim_plan){ .seed = (uint64_t)seed,
		.steps = steps != NULL ? number_of(steps) : STEPS,
		.mutant = mutant };
}

static void
fail_report(const char *rule, const char *message)
{
	report->failed = true;
	snprintf(report->rule, sizeof report->rule, "%s", rule);
	snprintf(report->message, sizeof report->message, "%s", message);
}

/* What came of it is in `report`. */
static void
play(const struct sim_plan *plan)
{
	int status = 0;
	pid_t child;

	memset(report, 0, sizeof *report);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		alarm(SECONDS_OF_HISTORY);
		if (!plan->trace && plan->mutant != MUTANT_NONE &&
		    freopen("/dev/null", "w", stderr) == NULL)
			_exit(2);
		sim_play(plan, report);
		fflush(NULL);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("sim");
		exit(2);
	}
	if (report->failed || report->ended)
		return;
	if (WIFSIGNALED(status))
		fail_report("bug", strsignal(WTERMSIG(status)));
	else
		fail_report("bug", "the process ended by itself");
}

/* Shrinking ---------------------------------------------------------------- */

static bool
fails_with(struct sim_plan *plan, const uint32_t *faults, size_t n)
{
	plan->only = faults;
	plan->n_only = n;
	play(plan);
	return report->failed;
}

/*
 * Leaves faults out, first half of them at a time, then less, as long as it
 * still fails.  `faults` are those that are left; their number.
 */
static size_t
shrink(struct sim_plan *plan, uint32_t *faults, size_t n)
{
	uint32_t *tried = malloc((n + 1) * sizeof *tried);
	size_t chunk = n / 2, at = 0;

	if (tried == NULL)
		exit(2);
	while (chunk > 0) {
		size_t left = at + chunk < n ? n - at - chunk : 0;

		memcpy(tried, faults, at * sizeof *tried);
		memcpy(tried + at, faults + at + chunk, left * sizeof *tried);
		if (at < n && fails_with(plan, tried, at + left)) {
			n = at + left;
			memcpy(faults, tried, n * sizeof *tried);
		} else {
			at += chunk;
		}
		if (at >= n) {
			at = 0;
			chunk /= 2;
		}
	}
	free(tried);
	return n;
}

/* Ends it earlier, as long as it still fails. */
static void
shorten(struct sim_plan *plan, const uint32_t *faults, size_t n)
{
	long less = plan->steps / 2;

	while (less > 0) {
		plan->steps -= less;
		if (!fails_with(plan, faults, n)) {
			plan->steps += less;
			less /= 2;
		}
		if (less >= plan->steps)
			less = plan->steps / 2;
	}
}

/* The least that fails, step by step. */
static void
tell_least(struct sim_plan *plan)
{
	static uint32_t faults[SIM_FAULTS_MAX];
	size_t i, n = report->n_faults;

	memcpy(faults, report->faults, sizeof faults);
	if (fails_with(plan, faults, n)) {
		shorten(plan, faults, n);
		n = shrink(plan, faults, n);
		shorten(plan, faults, n);
		n = shrink(plan, faults, n);
	}
	plan->trace = true;
	fails_with(plan, faults, n);
	printf("least: %s: %s\n%ld steps and then none but to the end, with "
	       "the faults (at step)",
	    report->rule, report->message, plan->steps);
	for (i = 0; i < n; i++)
		printf(" %s@%u", sim_fault_name(faults[i] >> SIM_KIND_SHIFT),
		    (unsigned)(faults[i] >> SIM_STEP_SHIFT) %
			(unsigned)SIM_STEPS_MAX);
	putchar('\n');
}

static int
tell(long seed, enum sim_mutant mutant)
{
	struct sim_plan plan = make_plan(seed, mutant);

	play(&plan);
	if (!report->failed) {
		printf("seed %ld: nothing is wrong in %ld steps\n", seed,
		    report->steps);
		return 0;
	}
	printf("seed %ld, %s: %s at step %ld: %s\n", seed, mutants[mutant].name,
	    report->rule, report->steps, report->message);
	tell_least(&plan);
	return 1;
}

/* Many --------------------------------------------------------------------- */

static void
add_totals(struct totals *totals)
{
	size_t i;

	for (i = 0; i < INTAKE_PHASES; i++)
		totals->intake_rows[i] |= report->intake_rows[i];
	for (i = 0; i < COMMIT_PHASES; i++)
		totals->commit_rows[i] |= report->commit_rows[i];
	totals->seeds++;
	totals->failed += report->failed;
	totals->steps += report->steps;
	totals->records += report->records;
	totals->commits += report->commits;
	totals->aborts += report->aborts;
	totals->crashes += report->crashes;
	totals->rebalances += report->rebalances;
	totals->losses += report->losses;
	totals->repairs += report->repairs;
	totals->awaited += report->awaited;
	totals->given_up += report->given_up;
	totals->twice += report->twice;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Which rows of the two tables were played, by phase and event as they are
 * numbered in worker/base/batch_protocol.h; FATAL's never are.
 */
static void
tell_rows(const struct totals *totals)
{
	int phase, event, n = 0, played = 0;

	printf("rows of the tables that never came:");
	for (phase = 0; phase < INTAKE_PHASES; phase++)
		for (event = 0; event < INTAKE_FATAL; event++) {
			enum intake_phase at = (enum intake_phase)phase;
			bool came = totals->intake_rows[phase] >> event & 1;

			if (__real_intake_step(&at, (enum intake_event)event) ==
			    INTAKE_REFUSE)
				continue;
			n++;
			played += came;
			if (!came)
				printf(" A:%d:%d", phase, event);
		}
	for (phase = 0; phase < COMMIT_PHASES; phase++)
		for (event = 0; event < COMMIT_FATAL; event++) {
			enum commit_phase at = (enum commit_phase)phase;
			bool came = totals->commit_rows[phase] >> event & 1;

			if (__real_commit_step(&at, (enum commit_event)event) ==
			    COMMIT_REFUSE)
				continue;
			n++;
			played += came;
			if (!came)
				printf(" B:%d:%d", phase, event);
		}
	printf("; %d of %d did\n", played, n);
}

/* The worker as it is: the number of histories that fail. */
static long
play_all(long n, long first)
{
	struct totals totals = { 0 };
	double begun = seconds(), took;
	long i;

	for (i = first; i < first + n; i++) {
		const struct sim_plan plan = make_plan(i, MUTANT_NONE);

		play(&plan);
		add_totals(&totals);
		if (report->failed)
			printf("seed %ld fails: %s at step %ld: %s\n"
			       "to see it: make sim SEED=%ld\n",
			    i, report->rule, report->steps, report->message, i);
	}
	took = seconds() - begun;
	printf("%ld histories, %ld steps, %.0f a second: %ld records, "
	       "%ld commits, %ld aborts, %ld kills, %ld generations, "
	       "%ld losses of Redis's, %ld repairs; of other partitions' "
	       "records %ld awaited, %ld given up; %ld requests answered "
	       "twice; %ld failed\n",
	    totals.seeds, totals.steps, (double)totals.steps / took,
	    totals.records, totals.commits, totals.aborts, totals.crashes,
	    totals.rebalances, totals.losses, totals.repairs, totals.awaited,
	    totals.given_up, totals.twice, totals.failed);
	tell_rows(&totals);
	return totals.failed;
}

/*
 * Plays until it fails; true if it does within `n`, or at last by the seed
 * which is known to see it.
 */
static bool
find_mutant(enum sim_mutant mutant, long n, long first)
{
	long at, steps = 0;

	for (at = 0; at <= n; at++) {
		long i = at < n ? first + at : mutants[mutant].seed;
		const struct sim_plan plan = make_plan(i, mutant);

		play(&plan);
		steps += report->steps;
		if (!report->failed)
			continue;
		printf("%-18s found in %8ld steps by %-3s (seed %ld)  %s\n",
		    mutants[mutant].name, steps, report->rule, i,
		    mutants[mutant].text);
		return true;
	}
	printf("%-18s NOT FOUND in %ld steps  %s\n", mutants[mutant].name,
	    steps, mutants[mutant].text);
	return false;
}

/* The number of those that are not found; from `first` on, or 0: where each was
 * seen once. */
static long
find_mutants(long n, long first)
{
	long missed = 0;
	int i;

	for (i = MUTANT_NONE + 1; i < SIM_MUTANTS; i++)
		missed += !find_mutant(
		    (enum sim_mutant)i, n, first > 0 ? first : mutants[i].seed);
	return missed;
}

static int
close_with(long passed, long failed)
{
	printf("%ld passed, %ld failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}

static enum sim_mutant
mutant_of(const char *name)
{
	int i;

	for (i = 0; i < SIM_MUTANTS; i++)
		if (strcmp(mutants[i].name, name) == 0)
			return (enum sim_mutant)i;
	fprintf(stderr, "sim: no such mutant: %s\n", name);
	exit(2);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? number_of(argv[2]) : 0;
	long first =
	    argc > 3 && strcmp(what, "seed") != 0 ? number_of(argv[3]) : 1;
	long failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		return 2;
	sim_worker_prepare();
	if (strcmp(what, "seed") == 0 && argc > 2)
		return tell(n, argc > 3 ? mutant_of(argv[3]) : MUTANT_NONE);
	if (strcmp(what, "all") == 0) {
		n = n > 0 ? n : SEEDS;
		failed = play_all(n, first);
		return close_with(n - failed, failed);
	}
	if (strcmp(what, "mutants") == 0) {
		failed = find_mutants(n > 0 ? n : MUTANT_SEEDS, first);
		return close_with(SIM_MUTANTS - 1 - failed, failed);
	}
	if (strcmp(what, "quick") == 0) {
		failed = play_all(QUICK_SEEDS, first) +
		    find_mutants(MUTANT_SEEDS, 0);
		return close_with(
		    QUICK_SEEDS + SIM_MUTANTS - 1 - failed, failed);
	}
	fputs(usage, stderr);
	return 2;
}
