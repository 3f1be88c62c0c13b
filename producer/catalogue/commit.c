#include "producer/catalogue/commit.h"

#define ATTEMPTS_MAX 20

#define MARK_FIELD "s"
#define MARK_VALUE "APPLIED"

/* One attempt at all of them. */
struct attempt {
	struct redis *redis;
	const struct keyspace *keyspace;
	struct arena *arena;
	const struct dataset_commits *commits;
	struct branch_view view;        /* each dataset once */
	struct branch_change **changes; /* of each commit, in it */
	bool *is_marked;
	struct text *marks; /* of those that are to be written */
	size_t n_marks;
};

/* Reading ------------------------------------------------------------------ */

static int
read_marks(struct attempt *attempt, struct error *err)
{
	const struct dataset_commits *commits = attempt->commits;
	size_t i;

	for (i = 0; i < commits->n; i++)
		if (commits->at[i].mark.at != NULL)
			redis_append(attempt->redis,
			    (const struct text[]){ TEXT("HEXISTS"),
				commits->at[i].mark, TEXT(MARK_FIELD) },
			    3);
	for (i = 0; i < commits->n; i++) {
		struct redis_reply *reply;

		if (commits->at[i].mark.at == NULL)
			continue;
		reply = redis_reply_checked(attempt->redis,
		    redis_receive(attempt->redis, err), "HEXISTS", err);
		if (reply == NULL) {
			/* Answers that nobody takes would be taken for others.
			 */
			redis_disconnect(attempt->redis);
			return -1;
		}
		attempt->is_marked[i] = redis_reply_integer(reply) == 1;
		redis_reply_destroy(reply);
	}
	return 0;
}

static struct branch_change *
change_of(struct attempt *attempt, struct text dataset)
{
	struct branch_view *view = &attempt->view;
	size_t i;

	for (i = 0; i < view->n; i++)
		if (text_equal(view->changes[i].dataset, dataset))
			return &view->changes[i];
	view->changes[view->n] = (struct branch_change){ .dataset = dataset };
	return &view->changes[view->n++];
}

static int
read_all(struct attempt *attempt, struct error *err)
{
	size_t n = attempt->commits->n, i;
	struct arena *arena = attempt->arena;

	attempt->is_marked =
	    arena_zalloc(arena, n + 1, sizeof *attempt->is_marked);
	attempt->marks = arena_zalloc(arena, n + 1, sizeof *attempt->marks);
	attempt->changes =
	    arena_zalloc(arena, n + 1, sizeof(struct branch_change *));
	attempt->view.changes =
	    arena_zalloc(arena, n + 1, sizeof *attempt->view.changes);
	for (i = 0; i < n; i++)
		attempt->changes[i] =
		    change_of(attempt, attempt->commits->at[i].dataset);
	if (read_marks(attempt, err) != 0)
		return -1;
	return branch_store_read(
	    attempt->redis, attempt->keyspace, arena, &attempt->view, err);
}

/* Judging ------------------------------------------------------------------ */

/* What the caller may not have meant: a typing error makes a branch. */
static void
note_branch(struct dataset_commit *commit, struct text stored,
    const struct branch *old, struct arena *arena)
{
	const struct branch *parent = NULL;

	commit->already =
	    old != NULL && text_equal(old->head, commit->transaction);
	commit->made_branch = old == NULL;
	commit->lacks_parent = old == NULL && commit->parent.at != NULL &&
	    branch_value_get(stored, commit->parent, arena, &parent, NULL) ==
		0 &&
	    parent == NULL;
}

/* The branch with its new head, on top of what the commits before have made. */
static int
advance_branch(struct dataset_commit *commit, struct branch_change *change,
    struct arena *arena, struct error *err)
{
	struct branch branch = { .name = commit->branch,
		.parent = commit->parent };
	struct text stored =
	    change->value.at != NULL ? change->value : change->seen;
	const struct branch *old;

	if (branch_value_get(stored, branch.name, arena, &old, err) != 0)
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
	note_branch(commit, stored, old, arena);
	branch.head = commit->transaction;
	return branch_value_set(stored, &branch, arena, &change->value, err);
}

/* Whether it is marked, also by one of those before it. */
static bool
is_repeated(const struct attempt *attempt, size_t at)
{
	const struct dataset_commit *commits = attempt->commits->at;
	size_t i;

	for (i = 0; !attempt->is_marked[at] && i < at; i++)
		if (attempt->changes[i] == attempt->changes[at] &&
		    commits[at].mark.at != NULL &&
		    commits[i].outcome == COMMIT_WRITTEN &&
		    text_equal(commits[i].mark, commits[at].mark))
			return true;
	return attempt->is_marked[at];
}

static enum commit_outcome
judge_commit(struct attempt *attempt, size_t i)
{
	struct dataset_commit *commit = &attempt->commits->at[i];
	struct branch_change *change = attempt->changes[i];
	struct text before = change->value;

	if (is_repeated(attempt, i))
		return COMMIT_MARKED;
	if (!change->exists)
		return COMMIT_NO_DATASET;
	if (advance_branch(commit, change, attempt->arena, &commit->why) != 0) {
		error_prefix(
		    &commit->why, "dataset %.*s", TEXT_ARG(commit->dataset));
		change->value = before;
		return COMMIT_REFUSED;
	}
	if (commit->mark.at != NULL)
		attempt->marks[attempt->n_marks++] = commit->mark;
	return COMMIT_WRITTEN;
}

/* As of branch_store_write; 1 also where there is nothing to write. */
static int
try_all(struct attempt *attempt, struct error *err)
{
	const struct dataset_commits *commits = attempt->commits;
	struct build_mark mark = { .field = TEXT(MARK_FIELD),
		.value = TEXT(MARK_VALUE),
		.ttl_ms = commits->mark_ttl_ms };
	bool any = false;
	size_t i;

	if (read_all(attempt, err) != 0)
		return -1;
	for (i = 0; i < commits->n; i++) {
		commits->at[i].outcome = judge_commit(attempt, i);
		any = any || commits->at[i].outcome == COMMIT_WRITTEN;
	}
	if (!any)
		return 1;
	mark.keys = attempt->marks;
	mark.n_keys = attempt->n_marks;
	return branch_store_write(
	    attempt->redis, attempt->keyspace, &attempt->view, &mark, err);
}

int
dataset_commit(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, const struct dataset_commits *commits,
    struct error *err)
{
	int attempts, rc;

	for (attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
		struct attempt attempt = { .redis = redis,
			.keyspace = keyspace,
			.arena = arena,
			.commits = commits };

		rc = try_all(&attempt, err);
		if (rc == 1 || rc < 0)
			return rc == 1 ? 0 : -1;
	}
	return error_set(
	    err, ERROR_RETRY, "the datasets change again and again; try again");
}
