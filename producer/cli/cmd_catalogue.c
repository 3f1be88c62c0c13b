#include "common/base/clock.h"
#include "common/base/embed.h"
#include "common/base/patience.h"
#include "producer/catalogue/apply.h"
#include "producer/catalogue/export.h"
#include "producer/catalogue/version_lists.h"
#include "producer/cli/command.h"
#include "producer/cli/input_file.h"
#include "producer/cli/progress.h"

#define FAULTS_SHOWN 100

EMBED(embedded_example, "docs/catalogue.example.json")

enum apply_option {
	OPTION_DRY_RUN = 512,
	OPTION_HEADS,
	OPTION_MISSING,
	OPTION_PRUNE
};

struct apply_flags {
	struct command *command;
	bool dry_run, heads, missing, prune;
};

static const struct argp_option apply_options[] = {
	{ "dry-run", OPTION_DRY_RUN, NULL, 0,
	    "Say what would change, change nothing", 0 },
	{ "heads", OPTION_HEADS, NULL, 0,
	    "Set back to the file what others have moved since: heads of "
	    "branches, schedules; each is named",
	    0 },
	{ "allow-missing", OPTION_MISSING, NULL, 0,
	    "Let references pass to what is neither in the file nor stored",
	    0 },
	{ "prune", OPTION_PRUNE, NULL, 0,
	    "Remove what the file's sections don't name", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_apply(int key, char *argument, struct argp_state *state)
{
	struct apply_flags *flags = state->input;

	(void)argument;
	switch (key) {
	case OPTION_DRY_RUN:
		flags->dry_run = true;
		return 0;
	case OPTION_HEADS:
		flags->heads = true;
		return 0;
	case OPTION_MISSING:
		flags->missing = true;
		return 0;
	case OPTION_PRUNE:
		flags->prune = true;
		return 0;
	case ARGP_KEY_END:
		if (flags->command->argument == NULL)
			usage_error(state, "the catalogue's FILE is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static int
say_faults(const struct command *command, const struct reader *reader)
{
	size_t i,
	    n = reader->n_faults < FAULTS_SHOWN ? reader->n_faults
						: FAULTS_SHOWN;

	for (i = 0; i < n; i++)
		command_say(command, 0, "%s: %.*s", command->argument,
		    TEXT_ARG(reader->faults[i]));
	if (reader->n_faults > n)
		command_say(command, 0, "%s: and %zu more", command->argument,
		    reader->n_faults - n);
	return command_say(command, EXIT_INVALID, "nothing was applied");
}

/* A line for each head that was set though it was another by now, ... */
static void
say_notes(const struct command *command, const struct buffer *notes)
{
	struct text rest = buffer_text(notes), line;

	while (version_list_next(&rest, &line))
		command_say(command, 0, "%.*s", TEXT_ARG(line));
}

/* What stays although the file has it otherwise. */
static void
say_kept(const struct command *command, const struct apply_report *report)
{
	if (report->kept_heads > 0)
		command_say(command, 0,
		    "%zu branches have moved on since, and stay (--heads sets "
		    "them to the file's)",
		    report->kept_heads);
	if (report->kept_schedules > 0)
		command_say(command, 0,
		    "%zu schedules were changed by others since, and stay so "
		    "(--heads sets them to the file's)",
		    report->kept_schedules);
	if (report->is_unconfirmed)
		command_say(command, 0,
		    "it is applied, but Redis didn't say whether a replica has "
		    "it too");
}

static int
print_report(
    struct command *command, const struct apply_report *report, bool dry_run)
{
	static const struct column columns[] = {
		{ "WHAT", "what" },
		{ "ADDED", "added" },
		{ "CHANGED", "changed" },
		{ "REMOVED", "removed" },
		{ "SAME", "same" },
		{ NULL, NULL },
	};
	struct table *table = command_table(command, columns);
	size_t i;
	int code;

	for (i = 0; i < APPLY_COUNTS; i++) {
		const struct apply_count *count = &report->counts[i];

		table_string(table, count->what);
		table_number(table, (int64_t)count->added);
		table_number(table, (int64_t)count->changed);
		table_number(table, (int64_t)count->removed);
		table_number(table, (int64_t)count->same);
	}
	code = command_print_table(command);
	say_kept(command, report);
	if (dry_run)
		return command_say(
		    command, code, "nothing was applied (--dry-run)");
	if (report->generation > 0)
		return command_say(command, code,
		    "the catalogue's generation is %lld",
		    (long long)report->generation);
	return command_say(command, code,
	    "there is no catalogue yet: workers wait for a file with datasets");
}

static void
tell_progress(void *context, const char *what, size_t done, size_t total)
{
	patience_end();
	progress_tell(context, what, done, total);
}

/* What a load that failed has done by then. */
static int
say_failed(const struct command *command, const struct apply_report *report,
    const struct error *err)
{
	int code = command_fail(command, err);

	if (!report->is_published)
		return command_say(command, code, "nothing was applied");
	return command_say(command, code,
	    "%zu of %zu schedules and datasets are applied, and the "
	    "catalogue's generation is %lld; the same apply again does the "
	    "rest",
	    report->done, report->total, (long long)report->generation);
}

static int
load_file(const struct apply_flags *flags, struct apply_settings *settings,
    const struct catalogue_file *file, struct apply_report *report)
{
	struct command *command = flags->command;
	struct error err = { 0 };
	int rc = command_open(command, COMMAND_STORE, &err);

	if (rc == 0) {
		settings->redis = command->redis;
		settings->keyspace = command->keyspace;
		command_wait(command, "comparing with what is stored");
		rc = catalogue_apply(settings, file, report, &err);
	}
	patience_end();
	progress_finish(settings->progress.context);
	say_notes(command, settings->notes);
	if (rc == 0)
		return print_report(command, report, flags->dry_run);
	return settings->reader->n_faults > 0
	    ? say_faults(command, settings->reader)
	    : say_failed(command, report, &err);
}

static int
apply_file(const struct apply_flags *flags, const struct catalogue_file *file,
    struct reader *reader)
{
	struct command *command = flags->command;
	struct buffer notes = { 0 };
	struct progress progress;
	struct apply_settings settings = {
		.reader = reader,
		.prune = flags->prune,
		.dry_run = flags->dry_run,
		.missing = flags->missing,
		.heads = flags->heads,
		.now_ms = clock_wall_ms(),
		.deadline_ms = command_deadline(command),
		.progress = { tell_progress, &progress },
		.notes = &notes,
	};
	struct apply_report report = { 0 };
	int code;

	progress_init(&progress, command);
	code = load_file(flags, &settings, file, &report);
	buffer_finish(&notes);
	return code;
}

static int
apply_document(
    const struct apply_flags *flags, const struct json_document *document)
{
	struct arena *arena = arena_create((size_t)1 << 20);
	struct reader *reader = reader_create(arena);
	struct catalogue_file file;
	int code;

	catalogue_file_read(reader, json_root(document), &file);
	patience_end();
	code = reader->n_faults > 0 ? say_faults(flags->command, reader)
				    : apply_file(flags, &file, reader);
	catalogue_file_finish(&file);
	arena_destroy(arena);
	return code;
}

int
cmd_apply(struct command *command, int argc, char **argv)
{
	struct apply_flags flags = { .command = command };
	struct json_document *document;
	struct input_file input;
	struct error err = { 0 };
	int code;

	command_parse(command, argc, argv, apply_options, take_apply, &flags);
	command_config(command);
	command_wait(command, "reading the file");
	document = input_file_parse_large(&input, command->argument, &err);
	if (document != NULL) {
		code = apply_document(&flags, document);
	} else {
		patience_end();
		code = command_fail(command, &err);
	}
	json_destroy(document);
	input_file_finish(&input);
	return code;
}

int
cmd_export(struct command *command, int argc, char **argv)
{
	struct error err = { 0 };

	command_parse(command, argc, argv, NULL, NULL, NULL);
	if (command_open_catalogue(command, &err) != 0)
		return command_fail(command, &err);
	command_wait(command, "reading the catalogue");
	if (catalogue_export(
		command->redis, command->keyspace, &command->out, &err) != 0)
		return command_fail(command, &err);
	buffer_byte(&command->out, '\n');
	return command_print(command);
}

int
cmd_catalogue_example(struct command *command, int argc, char **argv)
{
	command_parse(command, argc, argv, NULL, NULL, NULL);
	buffer_append(&command->out, text_from(embedded_example));
	return command_print(command);
}
