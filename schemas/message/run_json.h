#ifndef SCHEDRUN_SCHEMAS_MESSAGE_RUN_JSON_H
#define SCHEDRUN_SCHEMAS_MESSAGE_RUN_JSON_H

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "schemas/message/schedule_run.h"

/*
 * A run as JSON, in the forms that leave the process: one object each, without
 * a line break.  Pure; any thread.
 */

/*
 * As the run view keeps it (docs/keyspace.md, section 5): canonical, so that
 * "at", its record's place, is the first member of a run that has a result,
 * which the fold's script relies on.  `why` is left out where it isn't known,
 * and of a trigger what is behind RUN_TRIGGER_KEPT.
 */
void run_json_store(const struct schedule_run *run, struct buffer *out);

/*
 * Reads that form, which an older or newer version may have written; texts are
 * copied to `arena`.  ERROR_FATAL (70): it is another one.
 */
int run_json_parse(struct text bytes, struct arena *arena,
    struct schedule_run *run, struct error *err);

/*
 * As people read it who follow the topic: what matters first.  `repeat`: it is
 * marked as the answer to an earlier asking.
 */
void run_json_tell(
    const struct schedule_run *run, bool repeat, struct buffer *out);

/*
 * As the API shows it (docs/http.md, section 4).  `error_name`: of a failed
 * run, in the profile's spelling.  `keyed`: what the result's type has stands
 * also under the type's name, so that both ways to read it work.
 */
void run_json_show(const struct schedule_run *run, struct text error_name,
    bool keyed, struct buffer *out);

/* `why` alone as the view keeps it, and as an outcome document has it. */
void run_json_why(const struct run_why *why, struct buffer *out);
void run_json_outcome_why(const struct schedule_run *run, struct buffer *out);

#endif
