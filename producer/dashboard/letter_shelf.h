#ifndef SCHEDRUN_PRODUCER_DASHBOARD_LETTER_SHELF_H
#define SCHEDRUN_PRODUCER_DASHBOARD_LETTER_SHELF_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "producer/letters/letters.h"
#include "schemas/avro/registry.h"

/*
 * The newest dead letters that wait, as far as they can be read, and how many
 * there are of which reason: read whole by one thread, then never changed.
 */
#define SHELF_LETTERS 200

struct shelf_letter {
	struct text place; /* "12:34" */
	const char *reason;
	int64_t time_ms;
	struct text key; /* the record's, of UTF-8; none: another, or none */
	struct text portrait; /* JSON; none: it is too large to be shown */
};

struct letter_shelf {
	struct arena *arena;
	struct text counts;                         /* JSON */
	struct shelf_letter letters[SHELF_LETTERS]; /* newest first */
	size_t n;
};

/*
 * Reads it; `letters` are indexed, `is_part`: not all of them.  Asks the
 * registry as a portrait does.  NULL: what letters_next has failed by.
 */
struct letter_shelf *letter_shelf_read(struct letters *letters, bool is_part,
    struct registry *registry, struct error *err);
void letter_shelf_destroy(struct letter_shelf *shelf); /* NULL is fine */

#endif
