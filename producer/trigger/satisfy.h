#ifndef SCHEDRUN_PRODUCER_TRIGGER_SATISFY_H
#define SCHEDRUN_PRODUCER_TRIGGER_SATISFY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "schemas/stored/trigger.h"

/*
 * Which of a version's triggers something satisfies (docs/triggers.md, section
 * 5).  Pure.
 */

/* Something that a trigger may wait for.  Texts are borrowed. */
struct fact {
	/* Of media sets and tables, too, TRIGGER_DATASET_UPDATED. */
	enum trigger_type type;
	struct text rid;    /* of TRIGGER_TIME: the expression */
	struct text branch; /* its zone; of a schedule: none */
};

struct facts {
	struct fact *at;
	size_t n;
};

/* An `and` of which some leaf is satisfied, as satisfy.lua takes it. */
struct satisfied_and {
	struct satisfied_and *next;
	size_t number;           /* among the outermost ones of its trigger */
	struct text form;        /* what it is made of: "l0 l1 a2 " */
	struct text leaves;      /* those that are satisfied: "1 " */
	const struct fact *fact; /* that satisfies one of them */
};

struct satisfied {
	/* By this fact, alone or in `or`s; NULL: not at all. */
	const struct fact *alone;
	struct satisfied_and *ands;
};

/*
 * Reads it off a version's JSON; everything goes to `arena`.  ERROR_INPUT: that
 * is malformed.
 */
int satisfy_read(struct text version, const struct facts *facts,
    struct arena *arena, struct satisfied *satisfied, struct error *err);

#endif
