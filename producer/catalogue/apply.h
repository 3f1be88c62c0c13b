#ifndef SCHEDRUN_PRODUCER_CATALOGUE_APPLY_H
#define SCHEDRUN_PRODUCER_CATALOGUE_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/catalogue/file.h"
#include "schemas/keyspace.h"

/*
 * Loads a checked catalogue: merged with what is stored, written beside it as a
 * new generation, and published by one script, so that a worker sees the old
 * one or the new one whole.  Killed before that, nothing has happened and
 * leftovers expire (docs/keyspace.md, section 3).
 */
struct apply_settings {
	struct redis *redis;
	struct reader *reader; /* of the file: what contradicts the store */
	const struct keyspace *keyspace;
	bool prune, dry_run;
	int64_t now_ms;      /* Unix time, of versions without createdTime */
	int64_t deadline_ms; /* clock_monotonic_ms, to get the lock */
};

struct apply_count {
	const char *what; /* "datasets" */
	size_t added, changed, removed, same;
};
#define APPLY_COUNTS 7

struct apply_report {
	struct apply_count counts[APPLY_COUNTS];
	int64_t generation; /* that is current now; 0: no catalogue yet */
};

/*
 *   ERROR_INPUT  the file contradicts what is stored, with the reader's faults,
 *                or is too much at once; nothing applied
 *   ERROR_RETRY  Redis did not answer, or another apply holds the lock
 *   ERROR_FATAL  77 or 78, as of redis_reply_error
 */
int catalogue_apply(const struct apply_settings *settings,
    const struct catalogue_file *file, struct apply_report *report,
    struct error *err);

#endif
