#ifndef SCHEDRUN_PRODUCER_CATALOGUE_APPLY_H
#define SCHEDRUN_PRODUCER_CATALOGUE_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/catalogue/file.h"
#include "producer/catalogue/progress.h"
#include "schemas/keyspace.h"

/*
 * Loads a checked catalogue: merged with what is stored, written beside it as a
 * new generation, and published, so that a worker sees the old one or the new
 * one whole.  What is small is one step with its schedules and branches; what
 * is large goes in steps that hold Redis for some milliseconds each, and the
 * same apply again does what one that was killed has left (docs/keyspace.md,
 * section 3).
 */
struct apply_settings {
	struct redis *redis;
	struct reader *reader; /* of the file: what contradicts the store */
	const struct keyspace *keyspace;
	bool prune, dry_run;
	bool missing;        /* references to what isn't there pass */
	bool heads;          /* what others have moved is set back, and named */
	int64_t now_ms;      /* Unix time, of versions without createdTime */
	int64_t deadline_ms; /* clock_monotonic_ms, to get the lock */
	struct apply_progress progress;
	struct buffer *notes; /* lines for a person: what was set back, ... */
};

struct apply_count {
	const char *what; /* "datasets" */
	size_t added, changed, removed, same;
};
#define APPLY_COUNTS 7

struct apply_report {
	struct apply_count counts[APPLY_COUNTS];
	size_t kept_heads; /* branches that stay as others have moved them */
	size_t kept_schedules; /* likewise */
	int64_t generation;    /* that is current now; 0: no catalogue yet */
	size_t done, total;  /* schedules and datasets that changed, were to */
	bool is_published;   /* something was, also where it failed then */
	bool is_unconfirmed; /* applied, but a replica didn't say so in time */
};

/*
 * The report says of a failure how far it came.
 *   ERROR_INPUT  the file contradicts what is stored, with the reader's faults;
 *                nothing applied
 *   ERROR_RETRY  Redis did not answer, or another apply holds the lock
 *   ERROR_FATAL  77 or 78, as of redis_reply_error
 */
int catalogue_apply(const struct apply_settings *settings,
    const struct catalogue_file *file, struct apply_report *report,
    struct error *err);

#endif
