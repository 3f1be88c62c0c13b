#ifndef SCHEDRUN_SCHEMAS_EMBEDDED_H
#define SCHEDRUN_SCHEMAS_EMBEDDED_H

#include <stdint.h>

#include "common/base/text.h"

/*
 * The message schemas as shipped, the file of their ids and the Lua scripts,
 * inside the programs: the .avsc texts themselves, because avro-c 1.11.1 drops
 * logicalType when it prints a parsed schema.
 */
enum message {
	MESSAGE_RUN_REQUEST,
	MESSAGE_SCHEDULE_RUN,
	MESSAGE_BUILD_REQUESTED,
	MESSAGE_DATASET_COMMITTED, /* these three in one topic */
	MESSAGE_BUILD_FINISHED,
	MESSAGE_LOGIC_PUBLISHED,
	MESSAGES,
};

struct text message_schema(enum message message); /* the .avsc, in full */
const char *message_name(enum message message);   /* "schedrun.RunRequest" */

/*
 * Redis's scripts, the files of schemas/lua: at its beginning each says its
 * KEYS, its ARGV and what it answers.  Whoever runs one numbers these by an
 * enum of his own, in the same order.
 */
extern const char lua_take[], lua_overwrite[], lua_release[]; /* claims */
extern const char lua_pending[], lua_drop[], lua_fold[];      /* run view */
extern const char lua_change[], lua_refresh[];                /* a schedule */
extern const char lua_write_branches[], lua_mark_build[];     /* branches */
extern const char lua_take_lease[], lua_keep_lease[], lua_note_job[]; /* jobs */
extern const char lua_begin_stage[], lua_next_generation[]; /* an apply */
extern const char lua_publish[], lua_unlock[], lua_renew[];
extern const char lua_meet[];
extern const char lua_stand[], lua_satisfy[]; /* triggers */

/* The id of the ids file, used where no registry is configured. */
uint32_t message_shipped_id(enum message message);
/* The schema of such an id, of an older version's, too; none: it has none. */
struct text message_shipped_schema(uint32_t id);

#endif
