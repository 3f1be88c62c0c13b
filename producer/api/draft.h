#ifndef SCHEDRUN_PRODUCER_API_DRAFT_H
#define SCHEDRUN_PRODUCER_API_DRAFT_H

#include "common/base/arena.h"
#include "common/base/text.h"
#include "common/json/node.h"
#include "producer/base/error.h"
#include "schemas/stored/schedule.h"

/*
 * A schedule as clients send it, to create or replace one, made a version as it
 * is stored (docs/http.md, section 4): what is left out gets its default, a
 * null is as good as left out, anything unknown is refused by name.  The
 * version is checked by the readers that the worker uses, so what is stored can
 * be planned.  Pure.
 */
struct draft_ids {
	struct text schedule_rid, version_rid;
	struct text created_by, created_time;
};

struct schedule_draft {
	struct text display_name, description; /* may be none */
	struct schedule_version version;
	struct text json; /* the version, canonical */
};

/* Why a body is refused: an error of the API and its parameters. */
struct draft_refusal {
	enum api_error error;
	struct api_parameter parameters[3];
};

/* Reads a body; 0, or -1 with a refusal.  Texts go to `arena`. */
int schedule_draft_read(const struct json *body, const struct draft_ids *ids,
    struct arena *arena, struct schedule_draft *draft,
    struct draft_refusal *refusal);

/*
 * Parameter and reason of a reader's first fault, "$.a.b: what": "a.b" and
 * "what"; of the document itself: "body".
 */
void draft_refuse_fault(
    const struct reader *reader, struct draft_refusal *refusal);

#endif
