#ifndef SCHEDRUN_PRODUCER_EVENTS_RIGHTS_H
#define SCHEDRUN_PRODUCER_EVENTS_RIGHTS_H

#include "producer/auth/auth.h"
#include "producer/http/app.h"

/*
 * Which subscriber may see which schedule: looked up on the pool, many at a
 * time, and remembered for catalogue.poll per caller and schedule
 * (docs/keyspace.md, section 5).  While Redis does not answer nothing becomes
 * visible, and what is asked is asked again.  On the loop's thread.
 */
struct event_rights;

enum event_right {
	EVENT_UNKNOWN, /* being looked up: `changed` will be called */
	EVENT_HIDDEN,
	EVENT_VISIBLE,
};

/* `app` is borrowed, its pool is used; `changed` as below, never from within.
 */
struct event_rights *event_rights_create(
    struct http_app *app, loop_call *changed, void *argument);
/* The pool has ended, its jobs are done.  NULL is fine. */
void event_rights_destroy(struct event_rights *rights);

/* `hash` is text_hash of the rid. */
enum event_right event_rights_look(struct event_rights *rights,
    const struct http_caller *caller, struct text schedule_rid, size_t hash);

#endif
