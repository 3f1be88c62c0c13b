#ifndef SCHEDRUN_COMMON_HTTP_LOOP_H
#define SCHEDRUN_COMMON_HTTP_LOOP_H

#include <stdint.h>

#include "common/base/error.h"

/*
 * An event loop: one thread that runs callbacks, never two at once, so what
 * belongs to the loop needs no lock.  Callbacks don't block.  Work of other
 * threads comes back by loop_post.
 */
struct loop;
struct loop_timer;

typedef void loop_call(void *argument);

struct loop *loop_create(struct error *err); /* NULL: ERROR_FATAL */
/* Everything on the loop has been closed or is closed now.  NULL is fine. */
void loop_destroy(struct loop *loop);

/* Runs callbacks until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* from the loop's thread */

/*
 * Runs `call(argument)` on the loop's thread soon, in the order of the posts.
 * Any thread.  Posts that are left when the loop is destroyed are run by it.
 */
void loop_post(struct loop *loop, loop_call *call, void *argument);

/*
 * Runs what has been posted, now: when a process ends, between the last thread
 * that posts and the parts that the posts speak of.  The loop doesn't run.
 */
void loop_flush(struct loop *loop);

/*
 * Calls after `first_ms` and then every `repeat_ms` (0: once).  Both functions
 * from the loop's thread only; the timer is gone after loop_timer_stop.
 */
struct loop_timer *loop_timer_start(struct loop *loop, int64_t first_ms,
    int64_t repeat_ms, loop_call *call, void *argument);
void loop_timer_stop(struct loop_timer *timer); /* NULL is fine */

/* Calls whenever the process gets this signal.  One call per signal. */
void loop_on_signal(
    struct loop *loop, int signum, loop_call *call, void *argument);

/*
 * An eventfd whose writers want the loop's attention: it is read empty, then
 * `call` runs.  Closed with the watch.
 */
struct loop_event;
struct loop_event *loop_event_start(
    struct loop *loop, loop_call *call, void *argument);
int loop_event_fd(const struct loop_event *event);
void loop_event_stop(struct loop_event *event); /* NULL is fine */

/* Monotonic, as of this turn of the loop. */
int64_t loop_now_ms(const struct loop *loop);

/* The library's loop, for modules of common/ only. */
void *loop_handle(struct loop *loop);

#endif
