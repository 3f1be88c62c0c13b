#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "producer/cli/line_reader.h"
#include "producer/cli/submitter.h"
#include "producer/runs/submission.h"

#define LINE_MAX_SIZE ((size_t)64 * 1024)
#define WAIT_MS 50

struct lines {
	struct command *command;
	const char *path;
	struct submitter *submitter;
	struct line_reader reader;
	struct arena *arena;
	size_t taken, rejected; /* lines that are not blank */
	off_t size;             /* of the file; 0: not known */
};

/* Of the file's bytes, in percent; -1: its size is not known. */
static int
share_of(const struct lines *lines)
{
	off_t at = lseek(lines->reader.file, 0, SEEK_CUR);

	if (lines->size <= 0 || at < 0)
		return -1;
	return at < lines->size ? (int)(at * 100 / lines->size) : 100;
}

static void
show_progress(struct lines *lines, bool last)
{
	struct submitted count = submitter_count(lines->submitter);

	command_progress(lines->command, share_of(lines), last,
	    "%zu sent, %zu acknowledged, %zu rejected", count.sent,
	    count.acknowledged, lines->rejected);
}

static int
send_line(struct lines *lines, struct text line, struct error *err)
{
	struct run_request request;
	struct uuid run;

	if (line.size > LINE_MAX_SIZE)
		return error_set(
		    err, ERROR_INPUT, "more than %zu bytes", LINE_MAX_SIZE);
	arena_reset(lines->arena, LINE_MAX_SIZE);
	if (submission_parse(
		line, clock_wall_ms(), lines->arena, &request, &run, err) != 0)
		return -1;
	return submitter_send(lines->submitter, &request, &run, err);
}

/* A bad line stops nothing: it is named and counted. */
static int
take_line(struct lines *lines, struct text line, struct error *err)
{
	if (text_trim(line).size == 0)
		return 0;
	lines->taken++;
	if (send_line(lines, line, err) == 0)
		return 0;
	if (err->kind != ERROR_INPUT)
		return -1;
	lines->rejected++;
	command_say(lines->command, 0, "%s:%zu: %s", lines->path,
	    lines->reader.number, err->message);
	return 0;
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
			submitter_serve(lines->submitter, 0);
			break;
		case LINE_END:
			return 0;
		case LINE_FAILED:
			error_prefix(err, "%s", lines->path);
			return -1;
		}
		show_progress(lines, false);
	}
	return 0;
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
	acknowledged = submitter_count(lines->submitter).acknowledged;
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
