#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/nearest.h"
#include "common/base/output.h"
#include "producer/cli/command.h"

/*
 * schedrun: the command line.  Finds the command in the table and lets it parse
 * what follows.
 */
const char *argp_program_version = "schedrun " SCHEDRUN_VERSION;

const struct command_row command_rows[] = {
	{ "check", "", "Say what is wrong with the set-up, and what mends it",
	    "  schedrun check\n"
	    "  schedrun -b broker:9092 check -o jsonl | grep fault\n",
	    cmd_check },
	{ "init", "", "Create topics, register schemas, prepare Redis",
	    "  schedrun -b broker:9092 init --partitions 12 --replication 3\n"
	    "  schedrun init --dry-run\n",
	    cmd_init },
	{ "apply", "FILE", "Load a catalogue, which is checked whole before",
	    "  schedrun apply catalogue.json\n"
	    "  schedrun apply catalogue.json --dry-run\n",
	    cmd_apply },
	{ "export", "", "Print the catalogue as `apply` reads it",
	    "  schedrun export > catalogue.json\n"
	    "  schedrun --redis redis://other:6379/0 export | jq .schedules\n",
	    cmd_export },
	{ "catalogue example", "", "Print a small catalogue to begin with",
	    "  schedrun catalogue example > catalogue.json\n"
	    "  schedrun catalogue example | schedrun apply -\n",
	    cmd_catalogue_example },
	{ "submit", "RID | -f FILE", "Ask for a run of a schedule",
	    "  schedrun submit ri.scheduler.main.schedule.daily --wait 30s\n"
	    "  schedrun submit -f requests.jsonl\n",
	    cmd_submit },
	{ "watch", "", "Follow the results, one JSON object per line",
	    "  schedrun watch --outcome error --from -1h\n"
	    "  schedrun watch --output-template '{finishedTime} {outcome} "
	    "{scheduleRid}'\n",
	    cmd_watch },
	{ "schedule list", "", "List the schedules",
	    "  schedrun schedule list\n"
	    "  schedrun schedule list -o json | jq '.[].rid'\n",
	    cmd_schedule_list },
	{ "schedule get", "RID", "Show a schedule and its current version",
	    "  schedrun schedule get ri.scheduler.main.schedule.daily\n"
	    "  schedrun schedule get RID | jq .version.action\n",
	    cmd_schedule_get },
	{ "schedule versions", "RID",
	    "List a schedule's versions, oldest first",
	    "  schedrun schedule versions ri.scheduler.main.schedule.daily\n"
	    "  schedrun schedule versions RID | tail -1 | jq -r .rid\n",
	    cmd_schedule_versions },
	{ "schedule next", "RID | --cron EXPRESSION",
	    "Show when a schedule's time triggers are due",
	    "  schedrun schedule next ri.scheduler.main.schedule.daily -n 10\n"
	    "  schedrun schedule next --cron '0 6 * * 1-5' --zone "
	    "Europe/Berlin\n",
	    cmd_schedule_next },
	{ "schedule pause", "RID", "Ignore a schedule's triggers from now on",
	    "  schedrun schedule pause RID\n"
	    "  schedrun schedule pause RID && schedrun schedule get RID\n",
	    cmd_schedule_pause },
	{ "schedule unpause", "RID", "Follow a schedule's triggers again",
	    "  schedrun schedule unpause RID\n"
	    "  schedrun --redis redis://other:6379/0 schedule unpause RID\n",
	    cmd_schedule_unpause },
	{ "schedule delete", "RID",
	    "Let a schedule run no more (apply --heads revives it)",
	    "  schedrun schedule delete RID\n"
	    "  schedrun schedule delete RID && schedrun schedule list\n",
	    cmd_schedule_delete },
	{ "plan",
	    "--schedule RID | --world W --version V --request R | --jsonl",
	    "Dry run of the worker's planner: what a run would lead to",
	    "  schedrun plan --schedule ri.scheduler.main.schedule.daily "
	    "--explain\n"
	    "  schedrun plan --world W.json --version V.json --request R.json "
	    "--dot\n",
	    cmd_plan },
	{ "run get", "RID", "Show one run from the run view",
	    "  schedrun run get ri.scheduler.main.run.<uuid>\n"
	    "  schedrun run get ri.scheduler.main.run.<uuid> -o json | jq "
	    ".why\n",
	    cmd_run_get },
	{ "run explain", "RID",
	    "Say why a run ended as it did: its jobs, its reasons",
	    "  schedrun run explain ri.scheduler.main.run.<uuid> -o table\n"
	    "  schedrun run explain RID --dot | dot -Tsvg > run.svg\n",
	    cmd_run_explain },
	{ "run list", "--schedule RID", "List a schedule's runs, newest first",
	    "  schedrun run list --schedule "
	    "ri.scheduler.main.schedule.daily\n"
	    "  schedrun run list --schedule RID --limit 1 -o jsonl\n",
	    cmd_run_list },
	{ "user id", "SUBJECT",
	    "Say which user a token's subject is, for the catalogue",
	    "  schedrun user id 'auth0|5f7c8ec7c33c6c00'\n"
	    "  schedrun user id 1234567 -o json | jq -r '.[].user'\n",
	    cmd_user_id },
	{ "dataset commit", "DATASET --branch NAME",
	    "Say that a dataset has new data on a branch",
	    "  schedrun dataset commit ri.foundry.main.dataset.orders --branch "
	    "master\n"
	    "  schedrun dataset commit RID --branch feature --parent master "
	    "--kafka\n",
	    cmd_dataset_commit },
	{ "build get", "RID",
	    "Show a build's jobs, as the builder tells of them",
	    "  schedrun build get ri.foundry.main.build.<uuid> --wait 10m\n"
	    "  schedrun build get RID -o jsonl | jq 'select(.state == "
	    "\"FAILED\")'"
	    "\n",
	    cmd_build_get },
	{ "build list", "", "List a schedule's builds and their states",
	    "  schedrun build list --schedule ri.scheduler.main.schedule.x\n"
	    "  schedrun build list --schedule RID --limit 5 -o json\n",
	    cmd_build_list },
	{ "build logs", "RID", "Print what a build's jobs have written",
	    "  schedrun build logs ri.foundry.main.build.<uuid>\n"
	    "  schedrun -s builder.logs=/var/log/builds build logs RID\n",
	    cmd_build_logs },
	{ "build cancel", "RID",
	    "End a build: the builder kills what runs of it",
	    "  schedrun build cancel ri.foundry.main.build.<uuid>\n"
	    "  schedrun build cancel RID && schedrun build get RID\n",
	    cmd_build_cancel },
	{ "build finish", "RID", "Say that a build has succeeded",
	    "  schedrun build finish ri.foundry.main.build.<uuid> --kafka\n"
	    "  jq -r .result.buildRid results.jsonl | xargs -n1 schedrun build "
	    "finish\n",
	    cmd_build_finish },
	{ "build fail", "RID", "Say that a build has failed",
	    "  schedrun build fail ri.foundry.main.build.<uuid>\n"
	    "  schedrun build fail RID && schedrun build finish RID\n",
	    cmd_build_fail },
	{ "dlq list", "", "List the dead letters that nobody has dealt with",
	    "  schedrun dlq list --reason unknown-schema --since 24h\n"
	    "  schedrun dlq list --all --limit 1000 -o jsonl | jq .message\n",
	    cmd_dlq_list },
	{ "dlq show", "P:O", "Show a dead letter as far as it can be read",
	    "  schedrun dlq show 0:12\n"
	    "  schedrun dlq show 0:12 -o json | jq .value.fields\n",
	    cmd_dlq_show },
	{ "dlq redrive", "P:O... | --reason NAME",
	    "Ask again for what dead letters asked for",
	    "  schedrun dlq redrive 0:12 3:7\n"
	    "  schedrun dlq redrive --reason unknown-schema --dry-run\n",
	    cmd_dlq_redrive },
	{ "dlq drop", "P:O... | --reason NAME",
	    "Note that nothing is to be done about dead letters",
	    "  schedrun dlq drop 0:12\n"
	    "  schedrun dlq drop --reason bad-magic --since 1h\n",
	    cmd_dlq_drop },
	{ "lag", "", "How far workers, trigger or builder are behind",
	    "  schedrun lag\n"
	    "  schedrun lag --watch 2s\n",
	    cmd_lag },
	{ "config show", "", "Print every key, its value and its source",
	    "  schedrun config show\n"
	    "  schedrun -c schedrun.conf config show\n",
	    cmd_config_show },
	{ "config keys", "", "List the keys: type, default, meaning",
	    "  schedrun config keys\n"
	    "  schedrun config keys | grep redis\n",
	    cmd_config_keys },
	{ "config check", "FILE", "Check a configuration file",
	    "  schedrun config check /etc/schedrun/schedrun.conf\n"
	    "  schedrun config check ./schedrun.conf --for builder\n",
	    cmd_config_check },
	{ "profile list", "", "List one's profiles: configurations by name",
	    "  schedrun profile list\n"
	    "  schedrun profile list -o jsonl | jq -r .profile\n",
	    cmd_profile_list },
	{ "profile show", "[NAME]",
	    "Show what a profile says, or the one that is in use",
	    "  schedrun profile show\n"
	    "  schedrun profile show staging\n",
	    cmd_profile_show },
	{ "profile use", "NAME | -",
	    "Read this profile unless another file is named; -: none",
	    "  schedrun profile use staging\n"
	    "  schedrun profile use -\n",
	    cmd_profile_use },
	{ "profile create", "NAME", "Keep these flags as a profile, and use it",
	    "  schedrun -b broker:9092 --redis redis://redis:6379/0 profile "
	    "create staging\n"
	    "  schedrun profile create laptop -s redis.prefix=me:\n",
	    cmd_profile_create },
	{ "completion", "bash|zsh|fish", "Print a shell's completions",
	    "  schedrun completion bash > "
	    "/etc/bash_completion.d/schedrun\n"
	    "  source <(schedrun completion zsh)\n",
	    cmd_completion },
	{ NULL, NULL, NULL, NULL, NULL },
};

struct line {
	struct command command;
	int first; /* index of the command's word; 0: none */
};

/* As --help does it. */
static _Noreturn void
show_help(const struct argp_state *state)
{
	argp_help(state->root_argp, stdout,
	    ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, state->name);
	exit(EXIT_DONE);
}

/* Global flags up to the first word that is no flag: the command. */
static error_t
take_word(int key, char *argument, struct argp_state *state)
{
	struct line *line = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &line->command.options;
		return 0;
	case ARGP_KEY_ARG:
		if (strcmp(argument, "help") == 0 && state->next == state->argc)
			show_help(state);
		line->first = state->next - 1;
		state->next = state->argc;
		return 0;
	default: /* ours, or argp's own keys */
		return command_take_option(
		    &line->command, key, argument, state);
	}
}

/* A line for each command whose name begins so. */
static void
put_commands(struct buffer *list, const char *start)
{
	const struct command_row *row;

	for (row = command_rows; row->name != NULL; row++)
		if (strncmp(row->name, start, strlen(start)) == 0)
			buffer_format(
			    list, "  %-18s %s\n", row->name, row->summary);
}

/* "Commands:" and a line for each, behind the options of --help. */
static char *
list_commands(int key, const char *text, void *input)
{
	struct buffer list = { 0 };

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	buffer_append(&list, TEXT("Commands:\n"));
	put_commands(&list, "");
	buffer_format(&list,
	    "\n`schedrun COMMAND --help` tells more.\n\nExamples:\n"
	    "  schedrun -b localhost:9092 init\n"
	    "  schedrun submit ri.scheduler.main.schedule.daily --wait 30s\n");
	buffer_byte(&list, '\0');
	return list.at;
}

/* Whether the row's name is this word, or this and the next. */
static bool
is_named(const struct command_row *row, const char *word, const char *next)
{
	size_t size = strlen(word);

	if (strncmp(row->name, word, size) != 0)
		return false;
	if (row->name[size] == '\0')
		return true;
	return row->name[size] == ' ' && next != NULL &&
	    strcmp(row->name + size + 1, next) == 0;
}

static bool
is_group(const char *word)
{
	const struct command_row *row;
	size_t size = strlen(word);

	for (row = command_rows; row->name != NULL; row++)
		if (strncmp(row->name, word, size) == 0 &&
		    row->name[size] == ' ')
			return true;
	return false;
}

static size_t
count_rows(void)
{
	size_t n = 0;

	while (command_rows[n].name != NULL)
		n++;
	return n;
}

static int
say_unknown(const char *word, const char *next)
{
	char name[128];
	const char *near;

	snprintf(name, sizeof name, "%s%s%s", word,
	    is_group(word) && next != NULL ? " " : "",
	    is_group(word) && next != NULL ? next : "");
	near = nearest_name(
	    name, command_rows, count_rows(), sizeof(struct command_row));
	fprintf(stderr, "schedrun: unknown command \"%s\"", name);
	if (near != NULL)
		fprintf(stderr, ", did you mean \"%s\"?", near);
	fprintf(stderr, "; try: schedrun --help\n");
	return EXIT_WRONG_USAGE;
}

/* What may follow the word of a group. */
static int
explain_group(struct command *command, const char *word)
{
	char start[64];

	snprintf(start, sizeof start, "%s ", word);
	buffer_format(&command->out,
	    "Usage: schedrun %s COMMAND [FLAGS] [ARGS]\n\nCommands:\n", word);
	put_commands(&command->out, start);
	buffer_format(&command->out,
	    "\n`schedrun %s COMMAND --help` tells more.\n", word);
	return command_print(command);
}

static int
say_incomplete(const char *word)
{
	fprintf(stderr,
	    "schedrun: %s needs a command; try: schedrun %s --help\n", word,
	    word);
	return EXIT_WRONG_USAGE;
}

static bool
asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0;
}

static const struct command_row *
find_row(const char *word, const char *next)
{
	const struct command_row *row;

	for (row = command_rows; row->name != NULL; row++)
		if (is_named(row, word, next))
			return row;
	return NULL;
}

/* Commands that have something to finish take the signal themselves. */
static void
end_at_once(int number)
{
	(void)number;
	_exit(EXIT_INTERRUPTED);
}

/* `words` end in a NULL, the first is there. */
static int
run_command(struct command *command, int argc, char **words)
{
	const char *word = words[0], *next = words[1];
	int skip;

	command->row = find_row(word, next);
	if (command->row != NULL) {
		skip = strchr(command->row->name, ' ') != NULL;
		return command->row->run(command, argc - skip, words + skip);
	}
	if (!is_group(word) || (next != NULL && !asks_for_help(next)))
		return say_unknown(word, next);
	return next != NULL ? explain_group(command, word)
			    : say_incomplete(word);
}

/* "help lag" is "lag --help". */
static int
help(struct command *command, char **words)
{
	static char flag[] = "--help";
	char *asked[] = { words[0], flag, NULL, NULL };
	int n = 1;

	if (is_group(words[0]) && words[1] != NULL)
		asked[n++] = words[1];
	asked[n++] = flag;
	return run_command(command, n, asked);
}

int
main(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_argp, 0, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	static const struct argp argp = { command_options, take_word,
		"COMMAND [FLAGS] [ARGS]",
		"Ask for runs of schedules over Kafka, and look at what became "
		"of them.\v",
		children, list_commands, NULL };
	const struct sigaction action = { .sa_handler = end_at_once };
	struct line line = { 0 };
	char **words = argv;
	int code = EXIT_DONE;

	output_guard("schedrun", EXIT_NO);
	options_init(&line.command.options);
	sigaction(SIGINT, &action, NULL);
	argp_err_exit_status = EXIT_WRONG_USAGE;
	options_parse(&argp, argc, argv, ARGP_IN_ORDER, &line);
	words += line.first;
	if (line.first > 0 && strcmp(words[0], "help") == 0) {
		code = help(&line.command, words + 1);
	} else if (line.first > 0) {
		code = run_command(&line.command, argc - line.first, words);
	} else if (line.command.options.print_config) {
		line.command.row = find_row("config", "show");
		command_config(&line.command);
	} else {
		fprintf(stderr, "schedrun: no command; try: schedrun --help\n");
		code = EXIT_WRONG_USAGE;
	}
	command_close(&line.command);
	return code;
}
