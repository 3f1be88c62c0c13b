#ifndef SCHEDRUN_SCHEMAS_STORED_SCHEDULE_H
#define SCHEDRUN_SCHEMAS_STORED_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/json/node.h"
#include "schemas/stored/document.h"

/*
 * A schedule's version as stored and as in documents (docs/semantics.md,
 * section 5): parse, check, write.  Lists are ascending and without repeats,
 * but for fallback_branches, whose order counts and whose repeats are an error
 * that the planner names.
 */
enum target_type { TARGET_MANUAL, TARGET_UPSTREAM, TARGET_CONNECTING };
enum scope_type { SCOPE_PROJECT, SCOPE_USER };
/* What documents call them, by these numbers, ended by NULL. */
extern const char *const target_types[], *const scope_types[];

struct text_list {
	const struct text *at;
	size_t n;
};
/* Whether an ascending list has the text. */
bool text_list_has(const struct text_list *list, struct text text);

struct duration {
	struct text unit; /* "SECONDS"; none: no duration at all */
	int32_t value;
};

struct schedule_version {
	struct text rid;
	struct text schedule_rid;
	struct text created_by;
	struct text created_time; /* as written; none if absent */
	enum scope_type scope;
	struct text_list project_rids; /* of SCOPE_PROJECT */
	enum target_type target_type;
	struct text_list target_rids, input_rids, ignored_rids;
	size_t
	    n_named; /* RIDs named by the action as written, repeats counted */
	struct text branch_name;
	struct text_list fallback_branches;
	bool force_build, abort_on_failure, notifications_enabled;
	int32_t retry_count;
	struct duration retry_backoff;
};

/* What isn't part of an immutable version: the schedule's head. */
struct schedule_head {
	bool paused, deleted;
	struct text current_version_rid;
};

#define VERSION_SIZE_MAX (1024 * 1024) /* bytes of JSON, stored or sent */

/*
 * Reads a Version document into `reader`'s arena; faults are the reader's.
 * `head` not NULL: `paused` and `deleted` may stand in it (a planning
 * document); else they are unknown keys.
 */
void schedule_version_read(struct reader *reader, const struct place *place,
    const struct json *node, struct schedule_version *version,
    struct schedule_head *head);

/*
 * A stored version's bytes: parse and read.  ERROR_INPUT if it is malformed,
 * over VERSION_SIZE_MAX, or of another rid than `rid`.
 */
int schedule_version_parse(struct text bytes, struct text rid,
    struct arena *arena, struct schedule_version *version, struct error *err);

/* A stored head "p-<version rid>": flags and rid.  ERROR_INPUT if malformed. */
int schedule_head_parse(
    struct text bytes, struct schedule_head *head, struct error *err);
void schedule_head_write(const struct schedule_head *head, struct buffer *out);

#endif
