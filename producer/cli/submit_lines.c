#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "producer/cli/line_reader.h"
#include "producer/cli/submitter.h"
#include "producer/runs/repeat.h"
#include "producer/runs/submission.h"

#define LINE_MAX_SIZE ((size_t)64 * 1024)
#define WAIT_MS 50
#define PROGRESS_EVERY_MS 200
#define BAR_WIDTH 24
#define HELD_MAX 256 /* lines, until they are looked up and sent */
#define HELD_BYTES_MAX ((size_t)1024 * 1024)

/* A line whose request is looked up, if it gave its id, before it is sent. */
struct held_line {
	struct run_request request;
	struct uuid run;
	size_t number;
	bool has_id;
};

struct lines {
	struct command *command;
	const char *path;
	struct submitter *submitter;
	struct line_reader reader;
	int64_t progress_ms; /* when it is shown again */
	struct arena *arena; /* of the held lines' texts */
	struct held_line held[HELD_MAX];
	size_t n_held;
	bool is_blind;                    /* the view can't be asked */
	size_t taken, rejected, answered; /* lines that are not blank */
	off_t size;                       /* of the file; 0: not known */
};

/* "[=======      ]  54 %", if the file's size is known. */
static void
show_bar(const struct lines *lines)
{
	off_t at = lseek(lines->reader.file, 0, SEEK_CUR);
	int share, i;

	if (lines->size <= 0 || at < 0)
		return;
	share = at < lines->size ? (int)(at * 100 / lines->size) : 100;
	fputc('[', stderr);
	for (i = 0; i < BAR_WIDTH; i++)
		fputc(i * 100 < share * BAR_WIDTH ? '=' : ' ', stderr);
	fprintf(stderr, "] %3d %%  ", share);
}

/* A line on a terminal that is written over and over. */
static void
show_progress(struct lines *lines, bool last)
{
	struct submitted count = submitter_count(lines->submitter);
	int64_t now = clock_monotonic_ms();

	if (!isatty(STDERR_FILENO) || lines->command->options.quiet ||
	    (!last && now < lines->progress_ms))
		return;
	lines->progress_ms = now + PROGRESS_EVERY_MS;
	fputs("\r\033[K", stderr);
	show_bar(lines);
	fprintf(stderr, "%zu sent, %zu acknowledged, %zu rejected%s",
	    count.sent, count.acknowledged, lines->rejected, last ? "\n" : "");
}

/* A bad line stops nothing: it is named and counted. */
static int
reject_line(struct lines *lines, size_t number, const struct error *err)
{
	if (err->kind != ERROR_INPUT)
		return -1;
	lines->rejected++;
	command_say(
	    lines->command, 0, "%s:%zu: %s", lines->path, number, err->message);
	return 0;
}

/* All at once, before any is sent: an answer can't be to the sending itself. */
static void
ask_for_answers(struct lines *lines, enum repeat known[HELD_MAX],
    struct schedule_run answers[HELD_MAX])
{
	struct command *command = lines->command;
	struct error err = { 0 };
	size_t i, asked = 0;
	int rc = 0;

	for (i = 0; i < lines->n_held && !lines->is_blind; i++) {
		if (!lines->held[i].has_id)
			continue;
		if (asked++ == 0)
			rc = command_open(command, COMMAND_VIEW, &err);
		if (rc == 0)
			run_view_ask(
			    &command->view, &lines->held[i].run, lines->arena);
		lines->is_blind = rc != 0;
	}
	for (i = 0; i < lines->n_held; i++) {
		known[i] = REPEAT_UNKNOWN;
		if (!lines->held[i].has_id || lines->is_blind)
			continue;
		rc = run_view_hear(
		    &command->view, lines->arena, &answers[i], &err);
		lines->is_blind = rc < 0 && err.kind == ERROR_RETRY;
		if (rc == 1)
			known[i] =
			    repeat_judge(&answers[i], &lines->held[i].request);
	}
	if (lines->is_blind && asked > 0)
		command_say(command, 0,
		    "what was asked before is not looked up: %s", err.message);
}

static int
send_line(struct lines *lines, const struct held_line *line, enum repeat known,
    const struct schedule_run *answer, struct error *err)
{
	if (known == REPEAT_ANSWERED) {
		lines->answered++;
		submitter_repeat(
		    lines->command, answer); /* take_all looks on */
		return 0;
	}
	if (known == REPEAT_OTHER)
		error_set(err, ERROR_INPUT,
		    "requestId %.*s is another request's, by another user",
		    TEXT_ARG(line->request.request_id));
	else if (submitter_send(
		     lines->submitter, &line->request, &line->run, err) == 0)
		return 0;
	return reject_line(lines, line->number, err);
}

/* Sends the lines that are held, but for those that have their answer. */
static int
send_held(struct lines *lines, struct error *err)
{
	enum repeat known[HELD_MAX] = { REPEAT_UNKNOWN };
	struct schedule_run answers[HELD_MAX];
	size_t i;
	int rc = 0;

	ask_for_answers(lines, known, answers);
	for (i = 0; rc == 0 && i < lines->n_held; i++)
		rc = send_line(
		    lines, &lines->held[i], known[i], &answers[i], err);
	lines->n_held = 0;
	arena_reset(lines->arena, HELD_BYTES_MAX);
	return rc;
}

static int
take_line(struct lines *lines, struct text line, struct error *err)
{
	struct held_line *held = &lines->held[lines->n_held];
	int rc;

	if (text_trim(line).size == 0)
		return 0;
	lines->taken++;
	rc = line.size > LINE_MAX_SIZE
	    ? error_set(err, ERROR_INPUT, "more than %zu bytes", LINE_MAX_SIZE)
	    : submission_parse(line, clock_wall_ms(), lines->arena,
		  &held->request, &held->run, err);
	if (rc < 0)
		return reject_line(lines, lines->reader.number, err);
	held->has_id = rc == 1;
	held->number = lines->reader.number;
	if (++lines->n_held < HELD_MAX &&
	    arena_used(lines->arena) < HELD_BYTES_MAX)
		return 0;
	return send_held(lines, err);
}

static int
take_all(struct lines *lines, struct error *err)
{
	struct text line;

	while (!command_is_interrupted() &&
	    command_print(lines->command) == EXIT_DONE) {
		switch (line_reader_next(&lines->reader, WAIT_MS, &line, err)) {
		case LINE_READ:
			if (take_line(lines, line, err) != 0)
				return -1;
			break;
		case LINE_NONE_YET: /* what came in pairs with what goes out */
			if (send_held(lines, err) != 0)
				return -1;
			submitter_serve(lines->submitter, 0);
			break;
		case LINE_END:
			return send_held(lines, err);
		case LINE_FAILED:
			error_prefix(err, "%s", lines->path);
			return -1;
		}
		show_progress(lines, false);
	}
	return send_held(lines, err); /* the number that is said is theirs */
}

/* What was sent is waited for, also after an interruption. */
static int
send_all(struct lines *lines)
{
	struct error err = { 0 }, late = { 0 };
	int rc = take_all(lines, &err);
	size_t acknowledged;

	if (submitter_flush(lines->submitter, &late) != 0 && rc == 0) {
		rc = -1;
		err = late;
	}
	show_progress(lines, true);
	acknowledged =
	    submitter_count(lines->submitter).acknowledged + lines->answered;
	if (rc != 0)
		command_fail(lines->command, &err);
	if (command_is_interrupted())
		return command_say(lines->command, EXIT_INTERRUPTED,
		    "interrupted in line %zu: %zu requests accepted",
		    lines->reader.number, acknowledged);
	if (rc != 0)
		return command_exit_code(&err);
	if (lines->rejected == 0)
		return EXIT_DONE;
	return command_say(lines->command, EXIT_NO,
	    "%zu of %zu lines were rejected, %zu requests accepted",
	    lines->rejected, lines->taken, acknowledged);
}

static int
open_file(struct lines *lines, const char *path)
{
	struct stat about;
	int file = strcmp(path, "-") == 0 ? STDIN_FILENO
					  : open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &about) != 0)
		return -1;
	if (S_ISDIR(about.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	lines->size = S_ISREG(about.st_mode) ? about.st_size : 0;
	return file;
}

int
submit_lines(struct command *command, const char *path)
{
	struct lines lines = {
		.command = command, .path = path, .arena = command->arena
	};
	struct error err = { 0 };
	int file = open_file(&lines, path), code;

	if (file < 0)
		return command_say(
		    command, EXIT_INVALID, "%s: %s", path, strerror(errno));
	lines.submitter = submitter_create(command, true, &err);
	if (lines.submitter == NULL)
		return command_fail(command, &err);
	command_catch_signals();
	line_reader_init(&lines.reader, file, LINE_MAX_SIZE);
	code = send_all(&lines);
	line_reader_finish(&lines.reader);
	submitter_destroy(lines.submitter);
	if (file != STDIN_FILENO)
		close(file);
	return code;
}
