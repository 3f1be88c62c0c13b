#ifndef SCHEDRUN_PRODUCER_CATALOGUE_SAID_H
#define SCHEDRUN_PRODUCER_CATALOGUE_SAID_H

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/text.h"
#include "producer/catalogue/file.h"

/*
 * What the last file that was applied said of a schedule (hash `n:said`): where
 * a file says the same again, but the store has something else, others have
 * moved it since.
 */
struct said {
	bool is_known; /* false: none was applied, or it was pruned since */
	bool has_paused, paused;
	struct text version, display_name, description; /* none: not said */
};

/* Of a stored value, in the arena; what can't be read is as if nothing was. */
struct said said_parse(struct text stored, struct arena *arena);
struct said said_by(const struct file_schedule *schedule);
/* The value to be stored, in the arena. */
struct text said_write(const struct said *said, struct arena *arena);

#endif
