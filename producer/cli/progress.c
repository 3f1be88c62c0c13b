#include "producer/cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"

#define QUIET_MS 1000
#define BAR_MS 100
#define LINE_MS 5000
#define BAR_SIZE 30

void
progress_init(struct progress *progress, const struct command *command)
{
	*progress = (struct progress){
		.command = command,
		.next_ms = clock_monotonic_ms() + QUIET_MS,
		.is_terminal = isatty(STDERR_FILENO),
	};
}

static void
draw_bar(const char *what, size_t done, size_t total)
{
	static const char full[BAR_SIZE + 1] = "##############################";
	static const char none[BAR_SIZE + 1] = "..............................";
	int size = (int)(done * BAR_SIZE / total);

	fprintf(stderr, "\r\033[K[%.*s%.*s] %zu of %zu %s", size, full,
	    BAR_SIZE - size, none, done, total, what);
	fflush(stderr);
}

void
progress_tell(
    struct progress *progress, const char *what, size_t done, size_t total)
{
	int64_t now = clock_monotonic_ms();

	if (now < progress->next_ms || total == 0 ||
	    progress->command->options.quiet)
		return;
	progress->next_ms = now + (progress->is_terminal ? BAR_MS : LINE_MS);
	progress->is_drawn = progress->is_terminal;
	if (progress->is_terminal)
		draw_bar(what, done, total);
	else
		command_say(
		    progress->command, 0, "%zu of %zu %s", done, total, what);
}

void
progress_finish(struct progress *progress)
{
	if (progress->is_drawn)
		fputs("\r\033[K", stderr);
}
