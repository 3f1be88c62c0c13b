#ifndef SCHEDRUN_PRODUCER_HTTP_ACCESS_H
#define SCHEDRUN_PRODUCER_HTTP_ACCESS_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/redis_pipeline.h"
#include "common/text.h"
#include "producer/http_caller.h"
#include "schemas/schedule.h"

/*
 * What a caller may do with a schedule (HTTP contract, section 5, "Rights"):
 * the least of his roles over its projects.  The projects stand beside the
 * schedule's head and are computed anew when the catalogue has changed, so a
 * check costs no walk.
 */
enum right { RIGHT_NONE, RIGHT_VIEW, RIGHT_ACT };

struct schedule_access {
	bool exists; /* it is known; it may be deleted */
	struct schedule_head head;
	struct text info; /* the JSON of its `i` entry */
	enum right right; /* of the caller; RIGHT_ACT if there is none */
};

/*
 * Looks a schedule up; texts are in `arena`.  On a pool thread.  ERROR_RETRY:
 * Redis does not answer, or has no catalogue yet.
 */
int schedule_access_read(struct redis *redis, struct text prefix,
    const struct http_caller *caller, struct text schedule_rid,
    struct arena *arena, struct schedule_access *access, struct error *err);

#endif
