#ifndef SCHEDRUN_TESTS_UNIT_TOY_H
#define SCHEDRUN_TESTS_UNIT_TOY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"
#include "worker/plan/planner.h"

/*
 * A toy catalogue with one schedule and one request, all by small numbers, made
 * at random: what the properties of the planner are tried on.  It is written as
 * the documents that the planner reads, and it can be built: a plan's jobs
 * done, their outputs and records put into it.
 */
#define TOY_DATASETS 26 /* the last two exist nowhere */
#define TOY_UNKNOWN 2
#define TOY_SPECS 24
#define TOY_BRANCHES 5
#define TOY_PROJECTS 3
#define TOY_USERS 3
#define TOY_OUTPUTS 4
#define TOY_INPUTS 6
#define TOY_NONE (-1)

struct toy_input {
	int dataset;
	int branch; /* TOY_NONE: not pinned */
};

struct toy_record { /* of one input of the last build */
	struct toy_input input;
	int transaction; /* TOY_NONE: null */
};

struct toy_branch {
	bool is_there, is_built;
	int head; /* a transaction, or TOY_NONE */
	int parent;
	int logic; /* of the last build, if there was one */
	int n_records;
	struct toy_record records[TOY_INPUTS + 1];
};

struct toy_dataset {
	bool is_there, trashed;
	int project;
	struct toy_branch branches[TOY_BRANCHES];
};

struct toy_spec {
	int branch, logic;
	enum staleness staleness;
	int n_outputs, n_inputs;
	int outputs[TOY_OUTPUTS];
	struct toy_input inputs[TOY_INPUTS]; /* all different */
};

struct toy_user {
	bool is_there, active;
	enum role roles[TOY_PROJECTS];
};

struct toy {
	int n_datasets, n_specs, n_transactions;
	struct toy_dataset datasets[TOY_DATASETS];
	struct toy_spec specs[TOY_SPECS];
	struct toy_user users[TOY_USERS];
	bool references[TOY_PROJECTS][TOY_DATASETS];
	int max_jobs, max_inputs; /* TOY_NONE: no limit */

	enum target_type type;
	bool targets[TOY_DATASETS], inputs[TOY_DATASETS];
	bool ignored[TOY_DATASETS];
	int chain[TOY_BRANCHES], n_chain;
	enum scope_type scope;
	bool scope_projects[TOY_PROJECTS];
	int owner, requester; /* TOY_NONE: a trigger */
	bool force, paused;
};

/* Random numbers, the same on every machine. */
struct dice {
	uint64_t state;
};
int dice_below(struct dice *dice, int n); /* 0 to n - 1 */
bool dice_chance(struct dice *dice, int percent);

void toy_make(struct toy *toy, uint64_t seed);

/*
 * One line of `plan --jsonl`.  Every list and object whose order must not count
 * is written in an order of `seed`; so are members that may be left out.
 */
void toy_write(const struct toy *toy, uint64_t seed, struct buffer *out);

/* Names, in static memory; the numbers' order is not that of the names. */
struct text toy_dataset_name(int dataset);
struct text toy_branch_name(int branch);
struct text toy_user_name(int user);
struct text toy_input_key(struct toy_input input); /* "rid", "rid@branch" */
int toy_dataset_number(struct text rid);           /* TOY_NONE: of no toy */

/* The spec with this output on the branch; TOY_NONE: none. */
int toy_spec_on(const struct toy *toy, int dataset, int branch);

/* Does what the build's jobs would: new heads, branches and records. */
void toy_build(struct toy *toy, const struct build *build);

/* One more spec that reads what is there and writes what nobody reads. */
bool toy_add_bystander(struct toy *toy, struct dice *dice);

#endif
