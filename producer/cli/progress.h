#ifndef SCHEDRUN_PRODUCER_CLI_PROGRESS_H
#define SCHEDRUN_PRODUCER_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "producer/cli/command.h"

/*
 * How far a command has come, on stderr: a bar on a terminal, else a line every
 * few seconds; nothing of what is done within a second, nor with --quiet.
 */
struct progress {
	const struct command *command;
	int64_t next_ms; /* clock_monotonic_ms: not before */
	bool is_terminal, is_drawn;
};

/* Nothing is shown within the first second. */
void progress_init(struct progress *progress, const struct command *command);
/* `done` of `total` of `what`; as often as one likes. */
void progress_tell(
    struct progress *progress, const char *what, size_t done, size_t total);
/* The bar goes. */
void progress_finish(struct progress *progress);

#endif
