#ifndef SCHEDRUN_TESTS_UNIT_TOY_JUDGE_H
#define SCHEDRUN_TESTS_UNIT_TOY_JUDGE_H

#include "tests/unit/toy.h"

/*
 * What a toy's request must lead to, by brute force: sets that grow until
 * nothing changes, and each rule of the semantics asked of each dataset and job
 * spec.  It shares nothing with the planner.
 */
#define NAMES_MAX (TOY_DATASETS * (TOY_BRANCHES + 1))

struct names { /* ascending, once each */
	int n;
	struct text at[NAMES_MAX];
};

struct verdict {
	const char *cause;
	int phase;
	struct names offenders; /* of errors that list; not of a cycle */
	bool selected[TOY_SPECS], blocked[TOY_SPECS], runs[TOY_SPECS];
	int n_selected, n_blocked, n_runs;
	enum reason_cause reasons[TOY_SPECS];
	struct names up_to_date_targets, dropped_targets, out_of_scope;
};

void toy_judge(const struct toy *toy, struct verdict *verdict);

/* spec(dataset) on the chain; TOY_NONE: a source. */
int judge_spec(const struct toy *toy, int dataset);
/* The selected producer that an input is an edge to; TOY_NONE: no edge. */
int judge_edge(const struct toy *toy, const struct verdict *verdict,
    struct toy_input input);
/* The branch an input reads, TOY_NONE: nothing to read. */
int judge_read(const struct toy *toy, struct toy_input input);
/* A spec's smallest output. */
struct text judge_key(const struct toy *toy, int spec);

#endif
