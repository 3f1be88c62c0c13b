#ifndef SCHEDRUN_PRODUCER_RUNS_BUILD_EVENT_H
#define SCHEDRUN_PRODUCER_RUNS_BUILD_EVENT_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "common/crypto/rid.h"
#include "schemas/message/build_requested.h"

/*
 * A BuildRequested record as the run view keeps it (`b`, field `e`: the value
 * as on the topic), read and checked: its rid is `build`'s, every position of a
 * job is inside the list.  Everything goes to `arena`.
 *   ERROR_INPUT  it is malformed, or its schema is unknown
 *   ERROR_RETRY  the registry does not answer
 * For one event: build_event_read; for many: a reader, which keeps the schemas.
 * One thread at a time.
 */
struct build_reader;

/* NULL: ERROR_FATAL, the registry's settings make no sense. */
struct build_reader *build_reader_create(
    const struct config *config, struct error *err);
void build_reader_destroy(struct build_reader *reader); /* NULL is fine */
int build_reader_read(struct build_reader *reader, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err);

/* One event: makes a reader for it. */
int build_event_read(const struct config *config, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err);

#endif
