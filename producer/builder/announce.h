#ifndef SCHEDRUN_PRODUCER_BUILDER_ANNOUNCE_H
#define SCHEDRUN_PRODUCER_BUILDER_ANNOUNCE_H

#include "common/kafka/client.h"
#include "producer/builder/open_build.h"

/*
 * Says in the topic schedule-events that a build has ended, so that what waits
 * for it is run (docs/triggers.md, section 5).  The same build may be told
 * again: it is one event.  One thread.
 */
struct announcer;

/* Connects with the first event.  Never NULL; `store` is borrowed. */
struct announcer *announcer_create(
    const struct kafka_settings *settings, const struct job_store *store);
void announcer_destroy(struct announcer *announcer); /* NULL is fine */

/*
 * Blocks until the brokers have it, 2 s at most for each of connecting and
 * sending.  It names the outputs that the build's jobs have made, with their
 * heads as they are now.  1: they have it; 0: it may be there nevertheless,
 * errors as of event_sender_send; -1: Redis was to be read, errors as of
 * branch_store_read.
 */
int announcer_tell(struct announcer *announcer, const struct open_build *build,
    struct error *err);

#endif
