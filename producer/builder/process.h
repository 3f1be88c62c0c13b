#ifndef SCHEDRUN_PRODUCER_BUILDER_PROCESS_H
#define SCHEDRUN_PRODUCER_BUILDER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "producer/builder/rules.h"

/*
 * A job's child process: no shell, a process group of its own, no descriptor
 * and no variable of ours but those that are given.  Standard input is `input`,
 * standard output and error go to a file, what it writes to descriptor 3 is
 * kept.  When it ends, what is left of its group is killed; it is killed itself
 * when we are.  A thread for each waits for it.
 */
struct process;

struct process_settings {
	/* Its time is the caller's to keep. */
	const struct job_command *command;
	char *const *envp; /* ended by NULL */
	struct text input;
	const char *log; /* the file, which is appended to */
	int64_t log_max; /* bytes of it; what is more is left out */
	void (*ended)(void *argument); /* on the process's thread */
	void *argument;
};

/* Copies nothing but `input`, to a file: all else must outlive it.  NULL with
 * ERROR_RETRY: the system has no file, process or thread to give. */
struct process *process_start(
    const struct process_settings *settings, struct error *err);

/* To the whole group; nothing once it has ended. */
void process_signal(struct process *process, int number);

/* Whether it has ended, so that the rest can be asked. */
bool process_has_ended(const struct process *process);
/* The exit code, or 128 and the signal that ended it; 127: it did not start. */
int process_code(const struct process *process);
/* The first 64 KiB of what it wrote to descriptor 3. */
struct text process_answer(const struct process *process);
/* The last lines of its output, 20 at most. */
struct text process_tail(const struct process *process);

/* Waits for the end.  NULL is fine. */
void process_destroy(struct process *process);

#endif
