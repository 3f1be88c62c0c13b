#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "producer/cli/command.h"
#include "producer/cli/progress.h"
#include "producer/letters/dealing.h"
#include "producer/letters/letters.h"
#include "producer/letters/portrait.h"
#include "producer/letters/redriver.h"
#include "schemas/topics.h"

#define LIMIT_DEFAULT 100
#define KEY_SHOWN_MAX 200

enum dlq_option {
	OPTION_REASON = 512,
	OPTION_SINCE,
	OPTION_SCHEDULE,
	OPTION_PARTITION,
	OPTION_LIMIT,
	OPTION_ALL,
	OPTION_AGAIN,
	OPTION_DRY_RUN,
	OPTION_EVENTS,
};

struct dlq {
	struct command *command;
	struct letters *letters;
	struct letter_filter filter;
	struct kafka_offset *places; /* those of the arguments */
	size_t n_places;
	bool is_filtered; /* by a flag */
	size_t limit;
	bool all, again, dry_run, of_events;

	/* redrive, drop: */
	enum letter_state becomes;
	struct redriver *redriver; /* NULL: dry run */
	struct progress progress;
	enum topic origin; /* where copies go */
	size_t n_wanted, n_seen, n_done, n_refused;
	int code; /* of what was found while letters were chosen */
};

static const struct argp_option list_options[] = {
	{ "reason", OPTION_REASON, "NAME", 0,
	    "Buried for this reason, such as unknown-schema", 0 },
	{ "since", OPTION_SINCE, "WHEN", 0,
	    "Buried since then: 24h (ago), or 2026-01-31T09:00:00Z", 0 },
	{ "schedule", OPTION_SCHEDULE, "RID", 0,
	    "That name this schedule, as key or within", 0 },
	{ "partition", OPTION_PARTITION, "N", 0, "Of this partition of the DLQ",
	    0 },
	{ "limit", OPTION_LIMIT, "N", 0, "The newest N (default: 100)", 0 },
	{ "all", OPTION_ALL, NULL, 0,
	    "Also those that were redriven or dropped", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_option deal_options[] = {
	{ "reason", OPTION_REASON, "NAME", 0,
	    "Buried for this reason, such as unknown-schema", 0 },
	{ "since", OPTION_SINCE, "WHEN", 0,
	    "Buried since then: 24h (ago), or 2026-01-31T09:00:00Z", 0 },
	{ "schedule", OPTION_SCHEDULE, "RID", 0,
	    "That name this schedule, as key or within", 0 },
	{ "partition", OPTION_PARTITION, "N", 0, "Of this partition of the DLQ",
	    0 },
	{ "dry-run", OPTION_DRY_RUN, NULL, 0, "Only say what would be done",
	    0 },
	{ "events", OPTION_EVENTS, NULL, 0,
	    "Redrive letters of events, to topics.events, in place of those of "
	    "requests",
	    0 },
	{ "again", OPTION_AGAIN, NULL, 0,
	    "Of the letters named, also those that were redriven or dropped: "
	    "what has its answer by now is a duplicate, and dropped",
	    0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

/* Usage ------------------------------------------------------------------ */

static void
take_reason(struct dlq *dlq, const char *name, const struct argp_state *state)
{
	struct buffer known = { 0 };
	int i;

	dlq->filter.reason = dead_reason_of(text_from(name));
	if (dlq->filter.reason != DEAD_REASONS)
		return;
	for (i = 0; i < DEAD_REASONS; i++)
		buffer_format(&known, "%s%s", i > 0 ? ", " : "",
		    dead_reason_text((enum dead_reason)i));
	buffer_byte(&known, '\0');
	usage_error(state, "--reason %s: is none of %s", name, known.at);
}

static void
take_since(struct dlq *dlq, const char *when, const struct argp_state *state)
{
	int64_t ago;

	if (config_parse_duration(when + (when[0] == '-'), &ago))
		dlq->filter.since_ms = clock_wall_ms() - ago;
	else if (!clock_parse(text_from(when), &dlq->filter.since_ms))
		usage_error(state,
		    "--since %s: is no duration such as 24h, and no time such "
		    "as 2026-01-31T09:00:00Z",
		    when);
}

static void
take_place(struct dlq *dlq, const char *text, const struct argp_state *state)
{
	if (!letter_place_read(text_from(text), &dlq->places[dlq->n_places]))
		usage_error(state,
		    "\"%s\" is no letter: PARTITION:OFFSET, as schedrun dlq "
		    "list has it",
		    text);
	dlq->n_places++;
}

static void
check_usage(const struct dlq *dlq, const struct argp_state *state)
{
	if (dlq->places == NULL)
		return;
	if ((dlq->n_places > 0) == dlq->is_filtered)
		usage_error(state,
		    "either letters (P:O...) or a filter such "
		    "as --reason NAME");
	if (dlq->again && dlq->n_places == 0)
		usage_error(state, "--again needs the letters' names (P:O...)");
}

static error_t
take_dlq(int key, char *argument, struct argp_state *state)
{
	struct dlq *dlq = state->input;

	switch (key) {
	case OPTION_REASON:
		take_reason(dlq, argument, state);
		break;
	case OPTION_SINCE:
		take_since(dlq, argument, state);
		break;
	case OPTION_SCHEDULE:
		dlq->filter.schedule = text_from(argument);
		break;
	case OPTION_PARTITION:
		dlq->filter.partition = (int32_t)usage_number(
		    state, "--partition", argument, 0, INT32_MAX - 1);
		break;
	case OPTION_LIMIT:
		dlq->limit = (size_t)usage_number(
		    state, "--limit", argument, 1, INT32_MAX - 1);
		return 0;
	case OPTION_ALL:
		dlq->all = true;
		return 0;
	case OPTION_AGAIN:
		dlq->again = true;
		return 0;
	case OPTION_DRY_RUN:
		dlq->dry_run = true;
		return 0;
	case OPTION_EVENTS:
		dlq->of_events = true;
		return 0;
	case ARGP_KEY_ARG:
		take_place(dlq, argument, state);
		return 0;
	case ARGP_KEY_END:
		check_usage(dlq, state);
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
	dlq->is_filtered = true;
	return 0;
}

static void
init_dlq(struct dlq *dlq, struct command *command)
{
	*dlq = (struct dlq){
		.command = command,
		.filter = { .reason = DEAD_REASONS, .partition = -1 },
		.limit = LIMIT_DEFAULT,
	};
}

static int
open_letters(struct dlq *dlq, struct error *err)
{
	dlq->letters = letters_create(command_config(dlq->command),
	    (int)dlq->command->options.timeout_ms, err);
	return dlq->letters != NULL ? 0 : -1;
}

/* List ------------------------------------------------------------------- */

static const struct column list_columns[] = {
	{ "LETTER", "letter" },
	{ "REASON", "reason" },
	{ "BURIED", "buriedTime" },
	{ "TOPIC", "topic" },
	{ "RECORD", "record" },
	{ "KEY", "key" },
	{ "REDRIVES", "redrives" },
	{ "STATE", "state" },
	{ "SINCE", "stateTime" },
	{ "MESSAGE", "message" },
	{ NULL, NULL },
};

/* What is kept of a letter until its turn in the list. */
struct shown {
	struct text reason, topic, record, key, message;
	int64_t redrives;
};

static int
compare_age(const void *one, const void *other)
{
	const struct letter_entry *a = *(struct letter_entry *const *)one;
	const struct letter_entry *b = *(struct letter_entry *const *)other;

	if (a->time_ms != b->time_ms)
		return a->time_ms > b->time_ms ? -1 : 1;
	if (a->place.partition != b->place.partition)
		return a->place.partition < b->place.partition ? -1 : 1;
	return a->place.offset > b->place.offset ? -1 : 1;
}

/* The newest ones, to be freed; says how many there are besides. */
static struct letter_entry **
choose_newest(struct dlq *dlq, size_t *n)
{
	struct letter_entry **chosen = NULL, *entry;
	size_t capacity = 0, i;

	*n = 0;
	for (i = 0; (entry = letters_at(dlq->letters, i)) != NULL; i++) {
		if (entry->state != LETTER_WAITS && !dlq->all)
			continue;
		if (*n == capacity) {
			capacity = capacity > 0 ? 2 * capacity : 64;
			chosen =
			    memory_resize(chosen, capacity, sizeof(void *));
		}
		chosen[(*n)++] = entry;
	}
	if (*n > 0)
		qsort(chosen, *n, sizeof(void *), compare_age);
	if (*n > dlq->limit) {
		command_say(dlq->command, 0, "%zu of %zu are shown: --limit",
		    dlq->limit, *n);
		*n = dlq->limit;
	}
	for (i = 0; i < *n; i++)
		chosen[i]->is_wanted = true;
	return chosen;
}

static struct text
keep_text(struct arena *arena, struct text text)
{
	if (text.at == NULL || !text_is_utf8(text))
		return TEXT_NONE;
	return text_copy(arena, text_cut(text, KEY_SHOWN_MAX));
}

static struct shown *
keep_shown(struct arena *arena, const struct kafka_record *record)
{
	struct shown *shown = arena_zalloc(arena, 1, sizeof *shown);
	struct kafka_message message;
	struct letter letter;
	char place[LETTER_PLACE_SIZE];

	letter_message(record, arena, &message);
	letter_read(&message, &letter);
	shown->reason = keep_text(arena, letter.reason_text);
	shown->topic = keep_text(arena, letter.topic);
	shown->key = keep_text(arena, message.key);
	shown->message = keep_text(arena, letter.message);
	shown->redrives = letter.redrives;
	if (letter.kind == LETTER_BURIED)
		shown->record = text_copy(arena,
		    letter_place_write(
			(struct kafka_offset){
			    (int32_t)letter.partition, letter.offset },
			place));
	return shown;
}

static void
put_time(struct table *table, int64_t ms)
{
	char time[CLOCK_TEXT_SIZE];

	clock_format(ms, time);
	table_text(table, (struct text){ time, CLOCK_TEXT_SIZE });
}

static void
put_letter(struct table *table, struct kafka_offset place)
{
	char text[LETTER_PLACE_SIZE];

	table_text(table, letter_place_write(place, text));
}

static void
add_shown(struct table *table, const struct letter_entry *entry)
{
	const struct shown *shown = entry->opaque;

	if (shown == NULL)
		return; /* retention took it meanwhile */
	put_letter(table, entry->place);
	table_text(table, shown->reason);
	put_time(table, entry->time_ms);
	table_text(table, shown->topic);
	table_text(table, shown->record);
	table_text(table, shown->key);
	table_number(table, shown->redrives);
	table_string(table, letter_state_text(entry->state));
	if (entry->state != LETTER_WAITS)
		put_time(table, entry->state_ms);
	else
		table_none(table);
	table_text(table, shown->message);
}

static int
list_letters(struct dlq *dlq, struct error *err)
{
	struct letter_entry **chosen, *entry;
	struct table *table = command_table(dlq->command, list_columns);
	struct kafka_record record;
	size_t n, i;
	int rc;

	if (letters_index(dlq->letters, &dlq->filter, false, 0, err) != 0)
		return -1;
	chosen = choose_newest(dlq, &n);
	rc = letters_start(dlq->letters, err) == 0 ? 1 : -1;
	while (rc == 1) {
		rc = letters_next(dlq->letters, &entry, &record, err);
		if (rc != 1)
			break;
		entry->opaque = keep_shown(dlq->command->arena, &record);
		kafka_records_release(&record, 1);
	}
	for (i = 0; rc == 0 && i < n; i++)
		add_shown(table, chosen[i]);
	free(chosen);
	return rc;
}

int
cmd_dlq_list(struct command *command, int argc, char **argv)
{
	struct error err = { 0 };
	struct dlq dlq;
	int code;

	init_dlq(&dlq, command);
	command_parse(command, argc, argv, list_options, take_dlq, &dlq);
	if (open_letters(&dlq, &err) != 0 || list_letters(&dlq, &err) != 0)
		code = command_fail(command, &err);
	else
		code = command_print_table(command);
	letters_destroy(dlq.letters);
	return code;
}

/* Show ------------------------------------------------------------------- */

static int
show_letter(struct dlq *dlq, struct registry *registry, struct error *err)
{
	struct command *command = dlq->command;
	struct letter_entry *entry;
	struct kafka_record record;
	int rc;

	if (open_letters(dlq, err) != 0 ||
	    letters_index(dlq->letters, &dlq->filter, false, 0, err) != 0)
		return -1;
	entry = letters_find(dlq->letters, dlq->filter.places[0], err);
	if (entry == NULL)
		return -1;
	entry->is_wanted = true;
	if (letters_start(dlq->letters, err) != 0)
		return -1;
	rc = letters_next(dlq->letters, &entry, &record, err);
	if (rc == 0)
		return error_fatal(err, EXIT_NOT_FOUND,
		    "it is gone: retention took it meanwhile");
	if (rc < 0)
		return -1;
	portrait_put(entry, &record, registry,
	    command_output(command) == OUTPUT_TABLE, &command->out);
	kafka_records_release(&record, 1);
	return 0;
}

int
cmd_dlq_show(struct command *command, int argc, char **argv)
{
	struct registry *registry;
	struct kafka_offset place;
	struct error err = { 0 };
	struct dlq dlq;
	int code;

	init_dlq(&dlq, command);
	if (!letter_place_read(
		text_from(command_argument(command, argc, argv)), &place))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is no letter: PARTITION:OFFSET, as schedrun dlq "
		    "list has it",
		    command->argument);
	dlq.filter.places = &place;
	dlq.filter.n_places = 1;
	registry = registry_create(command_config(command), &err);
	if (registry == NULL || show_letter(&dlq, registry, &err) != 0)
		code = command_fail(command, &err);
	else
		code = command_print(command);
	letters_destroy(dlq.letters);
	registry_destroy(registry);
	return code;
}

/* Redrive, drop ---------------------------------------------------------- */

static const struct column deal_columns[] = {
	{ "LETTER", "letter" },
	{ "REASON", "reason" },
	{ "RESULT", "result" },
	{ "NOTE", "note" },
	{ NULL, NULL },
};

static void
add_row(struct dlq *dlq, const struct letter_entry *entry, const char *result,
    const char *note)
{
	struct table *table = command_stream(dlq->command, deal_columns);

	put_letter(table, entry->place);
	table_string(table,
	    entry->reason < DEAD_REASONS ? dead_reason_text(entry->reason)
					 : NULL);
	table_string(table, result);
	table_string(table, note);
}

static void
refuse_letter(
    struct dlq *dlq, const struct letter_entry *entry, const char *why)
{
	add_row(dlq, entry, "refused", why);
	dlq->n_refused++;
}

/* One array of them all, or line after line. */
static int
print_rows(struct dlq *dlq)
{
	command_stream(dlq->command, deal_columns);
	return command_output(dlq->command) == OUTPUT_JSON
	    ? EXIT_DONE
	    : command_print_table(dlq->command);
}

static void
refuse_dealt(struct dlq *dlq, const struct letter_entry *entry)
{
	struct buffer why = { 0 };

	buffer_format(&why, "%s; --again does it nevertheless",
	    dealing_was_dealt(entry, dlq->command->arena));
	buffer_byte(&why, '\0');
	refuse_letter(dlq, entry, why.at);
	buffer_finish(&why);
}

/* Of the letters that were named each must be there. */
static void
choose_named(struct dlq *dlq)
{
	struct letter_entry *entry;
	struct error err = { 0 };
	size_t i;

	for (i = 0; i < dlq->n_places; i++) {
		entry = letters_find(dlq->letters, dlq->places[i], &err);
		if (entry == NULL)
			dlq->code = command_fail(dlq->command, &err);
		else if (entry->state != LETTER_WAITS && !dlq->again)
			refuse_dealt(dlq, entry);
		else
			entry->is_wanted = true;
	}
}

static void
choose_letters(struct dlq *dlq)
{
	struct letter_entry *entry;
	size_t i;

	if (dlq->n_places > 0)
		choose_named(dlq);
	for (i = 0; (entry = letters_at(dlq->letters, i)) != NULL; i++) {
		if (dlq->n_places == 0)
			entry->is_wanted = entry->state == LETTER_WAITS;
		dlq->n_wanted += entry->is_wanted;
	}
}

/* What is done with one letter; the record is passed on, or released. */
static void
take_letter(
    struct dlq *dlq, struct letter_entry *entry, struct kafka_record *record)
{
	const char *why = NULL;

	arena_reset(dlq->command->arena, KEY_SHOWN_MAX);
	dlq->n_seen++;
	if (dlq->becomes == LETTER_REDRIVEN)
		why = dealing_refusal(command_config(dlq->command),
		    dlq->letters, record, dlq->origin, dlq->command->arena);
	if (why == NULL && dlq->redriver != NULL) {
		redriver_add(dlq->redriver, entry, record, dlq->becomes);
		return;
	}
	if (why != NULL)
		refuse_letter(dlq, entry, why);
	else
		add_row(dlq, entry,
		    dlq->becomes == LETTER_REDRIVEN ? "would be redriven"
						    : "would be dropped",
		    NULL);
	kafka_records_release(record, 1);
}

static int
commit_letters(struct dlq *dlq, struct error *err)
{
	struct letter_entry *const *done;
	size_t n, i;

	if (dlq->redriver == NULL || redriver_pending(dlq->redriver) == 0)
		return 0;
	if (redriver_commit(dlq->redriver, err) != 0)
		return -1;
	done = redriver_done(dlq->redriver, &n);
	for (i = 0; i < n; i++)
		add_row(dlq, done[i], letter_state_text(done[i]->state), NULL);
	dlq->n_done += n;
	if (dlq->n_seen < dlq->n_wanted && redriver_is_suspect(dlq->redriver))
		return error_set(err, ERROR_RETRY,
		    "Kafka's connection was lost: ask again for the rest");
	return 0;
}

/* What is printed is done. */
static int
deal_with_all(struct dlq *dlq, struct error *err)
{
	struct letter_entry *entry;
	struct kafka_record record;
	int rc = 0;

	while (dlq->n_seen < dlq->n_wanted && !command_is_interrupted()) {
		rc = letters_next(dlq->letters, &entry, &record, err);
		if (rc != 1)
			break;
		take_letter(dlq, entry, &record);
		if (dlq->redriver != NULL && !redriver_is_full(dlq->redriver))
			continue;
		if (commit_letters(dlq, err) != 0)
			return -1;
		progress_tell(
		    &dlq->progress, "letters", dlq->n_seen, dlq->n_wanted);
		if (print_rows(dlq) != EXIT_DONE)
			return 0;
	}
	if (rc < 0 || command_is_interrupted())
		return rc < 0 ? -1 : 0;
	return commit_letters(dlq, err);
}

static int
end_code(const struct dlq *dlq)
{
	size_t gone = dlq->n_wanted - dlq->n_seen;

	if (command_is_interrupted())
		return command_say(dlq->command, EXIT_INTERRUPTED,
		    "interrupted: %zu of %zu letters %s", dlq->n_done,
		    dlq->n_wanted, letter_state_text(dlq->becomes));
	if (gone > 0)
		command_say(dlq->command, 0,
		    "%zu letters are gone: retention took them meanwhile",
		    gone);
	if (dlq->n_refused > 0)
		command_say(dlq->command, 0, "%zu of %zu letters were refused",
		    dlq->n_refused, dlq->n_done + dlq->n_refused);
	if (dlq->n_wanted == 0 && dlq->n_places == 0)
		command_say(dlq->command, 0, "no such letter waits");
	if (dlq->code != EXIT_DONE)
		return dlq->code;
	return dlq->n_refused > 0 ? EXIT_NO : EXIT_DONE;
}

static int
work_on(struct dlq *dlq, struct error *err)
{
	struct command *command = dlq->command;
	int timeout_ms = (int)command->options.timeout_ms;

	if (open_letters(dlq, err) != 0)
		return -1;
	if (!dlq->dry_run) {
		dlq->redriver = redriver_open(command_config(command),
		    dlq->letters, dlq->origin, timeout_ms, err);
		if (dlq->redriver == NULL)
			return -1;
	}
	if (letters_index(dlq->letters, &dlq->filter, !dlq->dry_run, 0, err) !=
	    0)
		return -1;
	choose_letters(dlq);
	command_catch_signals();
	if (letters_start(dlq->letters, err) != 0)
		return -1;
	return deal_with_all(dlq, err);
}

static int
deal_with(
    struct command *command, int argc, char **argv, enum letter_state becomes)
{
	struct error err = { 0 };
	struct dlq dlq;
	int rc, code;

	init_dlq(&dlq, command);
	dlq.becomes = becomes;
	progress_init(&dlq.progress, command);
	dlq.places = memory_zalloc((size_t)argc + 1, sizeof *dlq.places);
	command_parse(command, argc, argv, deal_options, take_dlq, &dlq);
	if (dlq.n_places > 0) {
		dlq.filter.places = dlq.places;
		dlq.filter.n_places = dlq.n_places;
	}
	dlq.origin = dlq.of_events ? TOPIC_EVENTS : TOPIC_REQUESTS;
	rc = work_on(&dlq, &err);
	progress_finish(&dlq.progress);
	command_stream(command, deal_columns);
	code = command_print_table(command);
	if (rc != 0)
		code = command_fail(command, &err);
	else if (code == EXIT_DONE)
		code = end_code(&dlq);
	redriver_close(dlq.redriver);
	letters_destroy(dlq.letters);
	free(dlq.places);
	return code;
}

int
cmd_dlq_redrive(struct command *command, int argc, char **argv)
{
	return deal_with(command, argc, argv, LETTER_REDRIVEN);
}

int
cmd_dlq_drop(struct command *command, int argc, char **argv)
{
	return deal_with(command, argc, argv, LETTER_DROPPED);
}
