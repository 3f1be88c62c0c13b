#ifndef SCHEDRUN_PRODUCER_RUNS_POSITION_H
#define SCHEDRUN_PRODUCER_RUNS_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

/*
 * A place in the whole results topic: for each partition the offset that comes
 * next.  As a text it is the id of a server-sent event, which any replica
 * understands: base64url of a version byte, a varint with the number of
 * partitions and a varint for each (docs/keyspace.md, section 5).  Pure.
 */
#define EVENT_PARTITIONS_MAX 10000

struct event_position {
	int64_t *next; /* ours; `{0}` is a place in no partition */
	int32_t n;
};

/* Frees its offsets; `{0}` after it. */
void event_position_finish(struct event_position *position);

/* More partitions begin at 0; fewer: the last ones are dropped. */
void event_position_resize(struct event_position *position, int32_t n);
/* `to` gets offsets of its own, in place of those that it had. */
void event_position_copy(
    struct event_position *to, const struct event_position *from);

/* Whether nothing before `other` is still to come. */
bool event_position_covers(
    const struct event_position *position, const struct event_position *other);

/* A record was passed: the partition goes on behind it; never back. */
void event_position_pass(
    struct event_position *position, int32_t partition, int64_t next);

/* Appends the id. */
void event_position_write(
    const struct event_position *position, struct buffer *out);

/* Reads an id; false if it is none of ours, and `position` is as it was. */
bool event_position_read(struct event_position *position, struct text id);

#endif
