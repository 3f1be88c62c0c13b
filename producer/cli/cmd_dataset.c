#include <stdio.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "producer/catalogue/branch_store.h"
#include "producer/cli/command.h"
#include "schemas/stored/document.h"

#define ATTEMPTS_MAX 20

enum commit_option { OPTION_BRANCH = 512, OPTION_TRANSACTION, OPTION_PARENT };

struct commit {
	struct command *command;
	const char *branch, *transaction, *parent;
	char made[RID_SIZE_MAX + 1]; /* a transaction that was not given */
	const char *note;
};

static const struct argp_option commit_options[] = {
	{ "branch", OPTION_BRANCH, "NAME", 0, "The branch that has new data",
	    0 },
	{ "transaction", OPTION_TRANSACTION, "RID", 0,
	    "Its latest transaction (default: a new one)", 0 },
	{ "parent", OPTION_PARENT, "NAME", 0,
	    "Where the branch comes from, if it is new (default: a root)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_commit(int key, char *argument, struct argp_state *state)
{
	struct commit *commit = state->input;

	switch (key) {
	case OPTION_BRANCH:
		commit->branch = argument;
		return 0;
	case OPTION_TRANSACTION:
		commit->transaction = argument;
		return 0;
	case OPTION_PARENT:
		commit->parent = argument;
		return 0;
	case ARGP_KEY_END:
		if (commit->command->argument == NULL)
			usage_error(state, "the DATASET's RID is missing");
		if (commit->branch == NULL)
			usage_error(state, "--branch NAME is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static bool
is_branch_name(const char *name)
{
	struct text text = text_from(name);

	return text.size >= 1 && text.size <= DOCUMENT_TEXT_MAX &&
	    text_is_utf8(text) && !text_has_control(text);
}

static int
check(const struct commit *commit, struct error *err)
{
	if (!rid_is_valid(text_from(commit->command->argument)))
		return error_fatal(err, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a dataset",
		    commit->command->argument);
	if (!is_branch_name(commit->branch))
		return error_fatal(err, EXIT_WRONG_USAGE,
		    "--branch: not a name of 1 to %d bytes without control "
		    "characters",
		    DOCUMENT_TEXT_MAX);
	if (commit->parent != NULL && !is_branch_name(commit->parent))
		return error_fatal(err, EXIT_WRONG_USAGE,
		    "--parent: not a name of 1 to %d bytes without control "
		    "characters",
		    DOCUMENT_TEXT_MAX);
	if (!rid_is_valid(text_from(commit->transaction)))
		return error_fatal(err, EXIT_WRONG_USAGE,
		    "--transaction \"%s\": is not a RID", commit->transaction);
	return 0;
}

static void
make_transaction(struct commit *commit)
{
	struct uuid id = uuid_random();
	size_t size =
	    rid_format(TEXT(RID_TRANSACTION_PREFIX), &id, commit->made);

	commit->made[size] = '\0';
	commit->transaction = commit->made;
}

/* What the caller may not have meant: a typing error makes a branch. */
static const char *
note_of(const struct commit *commit, const struct branch_change *change,
    const struct branch *old, struct text head)
{
	struct arena *arena = commit->command->arena;
	struct buffer note = { 0 };
	const struct branch *parent = NULL;

	if (old != NULL)
		return text_equal(old->head, head) ? "already so" : NULL;
	buffer_format(&note, "branch %s was made", commit->branch);
	if (commit->parent != NULL &&
	    branch_value_get(change->seen, text_from(commit->parent), arena,
		&parent, NULL) == 0 &&
	    parent == NULL)
		buffer_format(
		    &note, "; the dataset has no branch %s", commit->parent);
	return buffer_keep(&note, arena).at;
}

/* The branch with its new head: all else stays as it is. */
static int
advance_branch(
    struct commit *commit, struct branch_change *change, struct error *err)
{
	const struct text head = text_from(commit->transaction);
	const struct text parent = text_from(commit->parent);
	struct branch branch = { .name = text_from(commit->branch),
		.parent = parent };
	const struct branch *old;

	if (branch_value_get(change->seen, branch.name, commit->command->arena,
		&old, err) != 0)
		return -1;
	if (old != NULL)
		branch = *old;
	if (old != NULL && parent.at != NULL &&
	    !text_equal(old->parent, parent))
		return error_set(err, ERROR_INPUT,
		    "branch %s is there with the parent %.*s; leave --parent "
		    "out",
		    commit->branch,
		    TEXT_ARG(
			old->parent.at != NULL ? old->parent : TEXT("none")));
	commit->note = note_of(commit, change, old, head);
	branch.head = head;
	return branch_value_set(
	    change->seen, &branch, commit->command->arena, &change->value, err);
}

/* One attempt: as of branch_store_write. */
static int
attempt_commit(struct commit *commit, struct error *err)
{
	static const struct build_mark no_build = { .ttl_ms = 0 };
	struct branch_change change = { .dataset = text_from(
					    commit->command->argument) };
	struct branch_view view = { .changes = &change, .n = 1 };

	if (branch_store_read(commit->command->redis, commit->command->keyspace,
		commit->command->arena, &view, err) != 0)
		return -1;
	if (!change.exists)
		return error_fatal(err, EXIT_NOT_FOUND,
		    "dataset \"%s\" not found in %s; schedrun apply loads "
		    "datasets, schedrun export lists them",
		    commit->command->argument,
		    redis_shown_url(commit->command->redis));
	if (advance_branch(commit, &change, err) != 0) {
		error_prefix(err, "dataset %s", commit->command->argument);
		return -1;
	}
	return branch_store_write(commit->command->redis,
	    commit->command->keyspace, &view, &no_build, err);
}

static int
write_commit(struct commit *commit, struct error *err)
{
	int attempts = 0, rc;

	do
		rc = attempt_commit(commit, err);
	while (rc == 0 && ++attempts < ATTEMPTS_MAX);
	if (rc == 0)
		return error_set(err, ERROR_RETRY,
		    "dataset %s changes again and again; try again",
		    commit->command->argument);
	return rc < 0 ? -1 : 0;
}

static int
print_commit(const struct commit *commit)
{
	static const struct column columns[] = {
		{ "DATASET", "datasetRid" },
		{ "BRANCH", "branch" },
		{ "TRANSACTION", "transactionRid" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct table *table = command_table(commit->command, columns);

	table_string(table, commit->command->argument);
	table_string(table, commit->branch);
	table_string(table, commit->transaction);
	table_string(table, commit->note);
	return command_print_table(commit->command);
}

int
cmd_dataset_commit(struct command *command, int argc, char **argv)
{
	struct commit commit = { .command = command };
	struct error err = { 0 };

	command_parse(
	    command, argc, argv, commit_options, take_commit, &commit);
	if (commit.transaction == NULL)
		make_transaction(&commit);
	if (check(&commit, &err) != 0 ||
	    command_open_catalogue(command, &err) != 0 ||
	    write_commit(&commit, &err) != 0)
		return command_fail(command, &err);
	return print_commit(&commit);
}
