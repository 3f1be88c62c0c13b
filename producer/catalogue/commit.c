#include "producer/catalogue/commit.h"

#define ATTEMPTS_MAX 20

/* What the caller may not have meant: a typing error makes a branch. */
static void
note_branch(struct dataset_commit *commit, const struct branch_change *change,
    const struct branch *old, struct arena *arena)
{
	const struct branch *parent = NULL;

	commit->already =
	    old != NULL && text_equal(old->head, commit->transaction);
	commit->made_branch = old == NULL;
	commit->lacks_parent = old == NULL && commit->parent.at != NULL &&
	    branch_value_get(
		change->seen, commit->parent, arena, &parent, NULL) == 0 &&
	    parent == NULL;
}

/* The branch with its new head. */
static int
advance_branch(struct dataset_commit *commit, struct branch_change *change,
    struct arena *arena, struct error *err)
{
	struct branch branch = { .name = commit->branch,
		.parent = commit->parent };
	const struct branch *old;

	if (branch_value_get(change->seen, branch.name, arena, &old, err) != 0)
		return -1;
	if (old != NULL)
		branch = *old;
	if (old != NULL && commit->parent.at != NULL &&
	    !text_equal(old->parent, commit->parent))
		return error_set(err, ERROR_INPUT,
		    "branch %.*s is there with the parent %.*s; leave --parent "
		    "out",
		    TEXT_ARG(commit->branch),
		    TEXT_ARG(
			old->parent.at != NULL ? old->parent : TEXT("none")));
	note_branch(commit, change, old, arena);
	branch.head = commit->transaction;
	return branch_value_set(
	    change->seen, &branch, arena, &change->value, err);
}

/* One attempt: as of branch_store_write; -2: there is no such dataset. */
static int
attempt(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct dataset_commit *commit, struct error *err)
{
	struct branch_change change = { .dataset = commit->dataset };
	struct branch_view view = { .changes = &change, .n = 1 };

	if (branch_store_read(redis, keyspace, arena, &view, err) != 0)
		return -1;
	if (!change.exists)
		return -2;
	if (advance_branch(commit, &change, arena, err) != 0) {
		error_prefix(err, "dataset %.*s", TEXT_ARG(commit->dataset));
		return -1;
	}
	return branch_store_write(redis, keyspace, &view, &commit->mark, err);
}

int
dataset_commit(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct dataset_commit *commit, struct error *err)
{
	int attempts = 0, rc;

	do
		rc = attempt(redis, keyspace, arena, commit, err);
	while (rc == 0 && ++attempts < ATTEMPTS_MAX);
	if (rc == 0)
		return error_set(err, ERROR_RETRY,
		    "dataset %.*s changes again and again; try again",
		    TEXT_ARG(commit->dataset));
	return rc == -2 ? 0 : rc;
}
