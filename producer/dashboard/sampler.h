#ifndef SCHEDRUN_PRODUCER_DASHBOARD_SAMPLER_H
#define SCHEDRUN_PRODUCER_DASHBOARD_SAMPLER_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "producer/dashboard/letter_shelf.h"

/*
 * A thread that looks at Kafka for the page: how far the workers are behind,
 * who they are, how many dead letters wait.  Every ten seconds, every two while
 * somebody looks; what it has seen of the last hour it keeps.  It reads by an
 * admin client of its own and changes nothing; what it may not see it says.
 *
 *     thread:  measure ──> JSON, history ──┐ lock
 *     loop:    sampler_write <─────────────┘
 */
struct sampler;

/* `config` is borrowed.  NULL: ERROR_FATAL. */
struct sampler *sampler_start(const struct config *config, struct error *err);
void sampler_stop(struct sampler *sampler);    /* waits for it; NULL is fine */
void sampler_destroy(struct sampler *sampler); /* stops it; NULL is fine */

/*
 * Appends what was seen last as members "measuredTime", "requests", "workers",
 * "others" (how far trigger and builder are behind, where there ever was one)
 * and "letters" of an object that is open: none before the first look, an
 * object with "error" and "mend" where it may or can not look.  Any thread; it
 * makes the looks more frequent for a while.
 */
void sampler_write(struct sampler *sampler, struct buffer *out);

/*
 * The dead letters that it has read, newest first, copied to `arena`; returns
 * how many.  Any thread.
 */
size_t sampler_copy_letters(struct sampler *sampler, struct arena *arena,
    struct shelf_letter letters[SHELF_LETTERS]);

/*
 * Appends the lags of the last hour: {"at":[time…],"partitions":[[lag…]…]}, one
 * list a partition, null where it had none yet.  Any thread.
 */
void sampler_write_history(struct sampler *sampler, struct buffer *out);

#endif
