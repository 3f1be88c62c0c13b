#include <stdio.h>

#include "common/base/clock.h"
#include "producer/catalogue/apply.h"
#include "producer/catalogue/export.h"
#include "producer/cli/command.h"
#include "producer/cli/input_file.h"
#include "producer/cli/table.h"

#define FAULTS_SHOWN 100

enum apply_option { OPTION_DRY_RUN = 512, OPTION_PRUNE };

struct apply_flags {
	const char *file;
	bool dry_run, prune;
};

static const struct argp_option options[] = {
	{ "dry-run", OPTION_DRY_RUN, NULL, 0,
	    "Say what would change, change nothing", 0 },
	{ "prune", OPTION_PRUNE, NULL, 0,
	    "Remove what the file's sections don't name", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take(int key, char *argument, struct argp_state *state)
{
	struct apply_flags *flags = state->input;

	switch (key) {
	case OPTION_DRY_RUN:
		flags->dry_run = true;
		return 0;
	case OPTION_PRUNE:
		flags->prune = true;
		return 0;
	case ARGP_KEY_ARG:
		if (flags->file != NULL)
			usage_error(state, "too many arguments: %s", argument);
		flags->file = argument;
		return 0;
	case ARGP_KEY_END:
		if (flags->file == NULL)
			usage_error(state, "the catalogue's FILE is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static int
print_faults(const char *path, const struct reader *reader)
{
	size_t i,
	    n = reader->n_faults < FAULTS_SHOWN ? reader->n_faults
						: FAULTS_SHOWN;

	for (i = 0; i < n; i++)
		fprintf(stderr, "schedrun: apply: %s: %.*s\n", path,
		    TEXT_ARG(reader->faults[i]));
	if (reader->n_faults > n)
		fprintf(stderr, "schedrun: apply: %s: and %zu more\n", path,
		    reader->n_faults - n);
	fprintf(stderr, "schedrun: apply: nothing was applied\n");
	return EXIT_INVALID;
}

static void
print_report(const struct command *command, const struct apply_report *report,
    bool dry_run)
{
	static const struct column columns[] = {
		{ "WHAT", "what" },
		{ "ADDED", "added" },
		{ "CHANGED", "changed" },
		{ "REMOVED", "removed" },
		{ "SAME", "same" },
		{ NULL, NULL },
	};
	struct table *table = table_create(command_output(command), columns);
	size_t i;

	for (i = 0; i < APPLY_COUNTS; i++) {
		const struct apply_count *count = &report->counts[i];

		table_string(table, count->what);
		table_number(table, (int64_t)count->added);
		table_number(table, (int64_t)count->changed);
		table_number(table, (int64_t)count->removed);
		table_number(table, (int64_t)count->same);
	}
	table_print(table, stdout);
	table_destroy(table);
	if (dry_run)
		command_say(command, 0, "nothing was applied (--dry-run)");
	else if (report->generation > 0)
		command_say(command, 0, "the catalogue's generation is %lld",
		    (long long)report->generation);
	else
		command_say(command, 0,
		    "there is no catalogue yet: workers wait for a file with "
		    "datasets");
}

static int
demand_meta(
    struct redis *redis, const struct keyspace *keyspace, struct error *err)
{
	struct keyspace_meta meta;
	int is_there = keyspace_meta_read(redis, keyspace, &meta, err);

	if (is_there != 0)
		return is_there < 0 ? -1 : 0;
	return error_fatal(err, EXIT_UNREACHABLE,
	    "redis %s is not prepared; run schedrun init",
	    redis_address(redis));
}

static int
apply_file(struct command *command, const struct apply_flags *flags,
    const struct catalogue_file *file, struct reader *reader)
{
	struct keyspace *keyspace = command_keyspace(command);
	struct error err = { 0 };
	struct apply_settings settings = {
		.redis = command_redis(command, "redis.url", &err),
		.reader = reader,
		.keyspace = keyspace,
		.prune = flags->prune,
		.dry_run = flags->dry_run,
		.now_ms = clock_wall_ms(),
		.deadline_ms = command_deadline(command),
	};
	struct apply_report report = { 0 };
	int code = EXIT_DONE;

	if (settings.redis != NULL &&
	    demand_meta(settings.redis, keyspace, &err) == 0 &&
	    catalogue_apply(&settings, file, &report, &err) == 0)
		print_report(command, &report, flags->dry_run);
	else if (reader->n_faults > 0)
		code = print_faults(flags->file, reader);
	else
		code = command_fail(command, &err);
	redis_destroy(settings.redis);
	keyspace_destroy(keyspace);
	return code;
}

/* The document is given back before the load: it is larger than the file. */
static int
apply_document(struct command *command, const struct apply_flags *flags,
    struct json_document *document)
{
	struct arena *arena = arena_create((size_t)1 << 20);
	struct reader *reader = reader_create(arena);
	struct catalogue_file file;
	int code;

	catalogue_file_read(reader, json_root(document), &file);
	json_destroy(document);
	code = reader->n_faults > 0 ? print_faults(flags->file, reader)
				    : apply_file(command, flags, &file, reader);
	catalogue_file_finish(&file);
	arena_destroy(arena);
	return code;
}

int
cmd_apply(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { options, take, NULL, NULL, NULL, NULL,
		NULL };
	struct apply_flags flags = { 0 };
	struct json_document *document;
	struct error err = { 0 };

	command_parse(command, &argp, argc, argv, &flags);
	command_config(command);
	document = input_file_parse(flags.file, &err);
	return document != NULL ? apply_document(command, &flags, document)
				: command_fail(command, &err);
}

int
cmd_export(struct command *command, int argc, char **argv)
{
	struct keyspace *keyspace;
	struct redis *redis;
	struct buffer out = { 0 };
	struct error err = { 0 };
	int code = EXIT_DONE;

	command_arguments(command, argc, argv, NULL, 0, 0);
	keyspace = command_keyspace(command);
	redis = command_redis(command, "redis.url", &err);
	if (redis == NULL || demand_meta(redis, keyspace, &err) != 0 ||
	    catalogue_export(redis, keyspace, &out, &err) != 0) {
		code = command_fail(command, &err);
	} else {
		buffer_byte(&out, '\n');
		fwrite(out.at, 1, out.size, stdout);
	}
	buffer_finish(&out);
	redis_destroy(redis);
	keyspace_destroy(keyspace);
	return code;
}
