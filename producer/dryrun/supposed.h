#ifndef SCHEDRUN_PRODUCER_DRYRUN_SUPPOSED_H
#define SCHEDRUN_PRODUCER_DRYRUN_SUPPOSED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/entry_table.h"
#include "schemas/message/build_requested.h"

/*
 * Branches that are supposed to stand otherwise than they are stored, as
 * commits and builds would leave them that nobody has made: live_plan_suppose
 * plans with them.  Nothing is written.  One thread.
 */
#define SUPPOSED_HEAD "ri.foundry.main.transaction.supposed"
#define SUPPOSED_MAX 20000 /* branches; more would take a plan seconds */

struct supposed_branch {
	struct supposed_branch *next; /* of all, in no order */
	struct text dataset, branch, head;
	/* Of what it was built; NULL: as it is stored, data that has come. */
	const struct built *built;
};

struct supposed {
	struct arena *arena; /* borrowed: holds all of it */
	struct supposed_branch *first;
	struct entry_table table;
	size_t n, n_heads; /* heads that were ever given */
};

/* Nothing is supposed yet. */
void supposed_init(struct supposed *supposed, struct arena *arena);

/* The branch has new data. */
void supposed_commit(
    struct supposed *supposed, struct text dataset, struct text branch);

/*
 * A build has succeeded, in the same while as those that were given before: a
 * job whose output one of these has made is not done again, as builders do.
 * `made` is told of each output that this one makes, in words of the arena.
 * False: there are too many; the rest of it is not supposed.
 */
bool supposed_build(struct supposed *supposed, const struct build *build,
    void (*made)(void *opaque, const struct supposed_branch *branch),
    void *opaque);

/* What `later` has stands in place of what was supposed before it; both in one
 * arena, and `later` is used up. */
void supposed_merge(struct supposed *supposed, struct supposed *later);

#endif
