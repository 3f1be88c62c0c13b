#ifndef SCHEDRUN_PRODUCER_CLI_SUBMITTER_H
#define SCHEDRUN_PRODUCER_CLI_SUBMITTER_H

#include <stdint.h>

#include "common/base/error.h"
#include "producer/cli/command.h"
#include "schemas/message/run_request.h"
#include "schemas/message/schedule_run.h"

/*
 * Puts run requests on the topic for `schedrun submit`, idempotent and
 * acks=all, and prints each one's ids once the brokers have it: what is printed
 * is safe.
 */
struct submitter;

/*
 * `many`: more than one will come; they may wait a moment for each other.
 * Reaches the brokers within --timeout.  NULL: see the error.
 */
struct submitter *submitter_create(
    struct command *command, bool many, struct error *err);
void submitter_destroy(struct submitter *submitter); /* NULL is fine */

/*
 * Hands one request over.  ERROR_INPUT: it is too large; ERROR_RETRY: the
 * brokers have taken nothing for --timeout; else as of kafka_producer_send.
 */
int submitter_send(struct submitter *submitter,
    const struct run_request *request, const struct uuid *run,
    struct error *err);

/* Serves acknowledgements; waits up to `timeout_ms` for one. */
void submitter_serve(struct submitter *submitter, int timeout_ms);

/* Waits for all.  -1: some were not acknowledged, or not in time. */
int submitter_flush(struct submitter *submitter, struct error *err);

/* Requests handed over, and acknowledged. */
struct submitted {
	size_t sent, acknowledged;
};
struct submitted submitter_count(const struct submitter *submitter);

/* Prints the answer to an earlier asking behind its ids, marked as such. */
int submitter_repeat(
    struct command *command, const struct schedule_run *answer);

/* submit -f: a request per line.  Returns the exit code. */
int submit_lines(struct command *command, const char *path);

#endif
