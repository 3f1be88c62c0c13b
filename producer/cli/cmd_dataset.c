#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/crypto/rid.h"
#include "producer/catalogue/commit.h"
#include "producer/cli/command.h"
#include "schemas/stored/document.h"

enum commit_option {
	OPTION_BRANCH = 512,
	OPTION_TRANSACTION,
	OPTION_PARENT,
	OPTION_KAFKA,
};

struct commit {
	struct command *command;
	const char *branch, *transaction, *parent;
	bool is_sent;                /* to Kafka */
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
	{ "kafka", OPTION_KAFKA, NULL, 0,
	    "Send it as an event, which schedrun-trigger writes to Redis", 0 },
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
	case OPTION_KAFKA:
		commit->is_sent = true;
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
note_of(const struct commit *commit, const struct dataset_commit *done)
{
	struct buffer note = { 0 };

	if (done->already)
		return "already so";
	if (!done->made_branch)
		return NULL;
	buffer_format(&note, "branch %s was made", commit->branch);
	if (done->lacks_parent)
		buffer_format(
		    &note, "; the dataset has no branch %s", commit->parent);
	return buffer_keep(&note, commit->command->arena).at;
}

static int
write_commit(struct commit *commit, struct error *err)
{
	struct command *command = commit->command;
	struct dataset_commit done = {
		.dataset = text_from(command->argument),
		.branch = text_from(commit->branch),
		.transaction = text_from(commit->transaction),
		.parent = text_from(commit->parent),
	};
	const struct dataset_commits commits = { &done, 1, 0 };

	if (command_open_catalogue(command, err) != 0 ||
	    dataset_commit(command->redis, command->keyspace, command->arena,
		&commits, err) != 0)
		return -1;
	if (done.outcome == COMMIT_REFUSED) {
		*err = done.why;
		return -1;
	}
	if (done.outcome == COMMIT_NO_DATASET)
		return error_fatal(err, EXIT_NOT_FOUND,
		    "dataset \"%s\" not found in %s; schedrun apply loads "
		    "datasets, schedrun export lists them",
		    command->argument, redis_shown_url(command->redis));
	commit->note = note_of(commit, &done);
	return 0;
}

static int
send_commit(struct commit *commit, struct error *err)
{
	const struct schedule_event event = {
		.message = MESSAGE_DATASET_COMMITTED,
		.time_ms = clock_wall_ms(),
		.dataset_rid = text_from(commit->command->argument),
		.branch = text_from(commit->branch),
		.transaction_rid = text_from(commit->transaction),
		.parent = text_from(commit->parent),
	};

	commit->note = "sent";
	return command_send_event(commit->command, &event, err);
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
	    (commit.is_sent ? send_commit(&commit, &err)
			    : write_commit(&commit, &err)) != 0)
		return command_fail(command, &err);
	return print_commit(&commit);
}
