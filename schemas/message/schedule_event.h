#ifndef SCHEDRUN_SCHEMAS_MESSAGE_SCHEDULE_EVENT_H
#define SCHEDRUN_SCHEMAS_MESSAGE_SCHEDULE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "schemas/avro/reader.h"

/*
 * What happened: a record of the topic schedule-events (dataset_committed.avsc,
 * build_finished.avsc, logic_published.avsc).  Each type has some of the
 * fields.
 */
struct schedule_event {
	enum message message; /* MESSAGE_DATASET_COMMITTED and so on */
	int64_t time_ms;      /* since 1970, UTC; the sender's word */

	struct text dataset_rid, branch; /* of a commit and of logic */
	struct text transaction_rid;     /* of a commit */
	struct text parent;              /* of a commit; none: a root */
	struct text job_spec_rid, logic; /* of logic */

	struct uuid build_id; /* of a build */
	bool is_succeeded;
	const struct event_output {
		struct text rid, transaction_rid;
	} * outputs; /* ascending by RID; those that it names */
	size_t n_outputs;
};

/*
 * Reads a body (behind the frame) by a reader of one of the three messages, and
 * checks the fields.  Texts go to `arena`.  0, or -1 with a rejection.
 */
int schedule_event_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct schedule_event *event,
    struct rejection *rejection);

/* The checks alone: for events that come another way. */
int schedule_event_check(
    const struct schedule_event *event, struct rejection *rejection);

/* Appends the framed record. */
void schedule_event_encode(
    const struct schedule_event *event, uint32_t schema_id, struct buffer *out);

/* The one of an ascending list that is of this output; NULL: none is. */
const struct event_output *event_output_find(
    const struct event_output *list, size_t n, struct text rid);

/* Its key in the topic, in `out` or borrowed from the event. */
struct text schedule_event_key(
    const struct schedule_event *event, char out[RID_SIZE_MAX]);

/*
 * Which event it is, appended to `out`: the same again is the same text.  Its
 * first line is a person's to read.
 */
void schedule_event_identity(
    const struct schedule_event *event, struct buffer *out);

#endif
