#ifndef SCHEDRUN_COMMON_HTTP_HEALTH_H
#define SCHEDRUN_COMMON_HTTP_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/*
 * What a process says of itself, over HTTP and to systemd: checks of its
 * dependencies (/readyz) and beats of its loops (/healthz).  Ready means that
 * every check is ok *and* was confirmed lately, so a dependency that vanishes
 * later turns it red although nobody reports a failure.  Alive means that every
 * loop turned lately; it never looks outside, else an outage would restart the
 * whole pool (docs/operation.md, section 5).  Any thread; registration is for
 * start-up.
 */
struct health;
struct health_check;
struct health_beat;

/* The caller destroys it, after whoever reports to it has ended. */
struct health *health_create(void);
void health_destroy(struct health *health); /* NULL is fine */

/*
 * A check, at first not ok with the reason "not yet reported".  `name` is a
 * literal: kafka, redis, keys, view, results.  `stale_ms` > 0: a report of ok
 * holds that long and must be repeated; 0: it holds until the next report.
 */
struct health_check *health_check(
    struct health *health, const char *name, int64_t stale_ms);

/* Reports; the time of the last change between ok and not ok is kept. */
void health_ok(struct health_check *check);
void health_bad(struct health_check *check, const char *reason, ...)
    __attribute__((format(printf, 2, 3)));
bool health_check_is_ok(struct health_check *check);

/* Something to know although all is well; "" takes it back. */
void health_note(struct health_check *check, const char *note, ...)
    __attribute__((format(printf, 2, 3)));

/* A loop that must turn at least every `stale_ms` (30,000 for ours). */
struct health_beat *health_beat_start(
    struct health *health, const char *name, int64_t stale_ms);
void health_turn(struct health_beat *beat);

/*
 * The name of the i-th check, borrowed, and whether it is ok; false if there
 * are fewer.  Any thread.
 */
bool health_check_read(
    struct health *health, size_t i, const char **name, bool *ok);

/* What is done while all is well, in a few words; "starting" until then. */
void health_doing(struct health *health, const char *doing, ...)
    __attribute__((format(printf, 2, 3)));

/* From now on not ready: the process drains.  Tells systemd. */
void health_drain(struct health *health);

/* Whether every loop has turned within its time. */
bool health_is_alive(struct health *health);

/*
 * {"status":"ready","checks":[{"name":"kafka","ok":true,"since":"…"}]}, a check
 * that is not ok has a "reason", and any may have a "note".  Returns whether it
 * is ready.
 */
bool health_write_json(struct health *health, struct buffer *out);

/*
 * Tells systemd, if the process is its: `first` (a literal, "READY=1\n" or ""),
 * then STATUS=, "waiting: kafka: no answer for 4 s; redis: …" with each check
 * that is not ok, else what is done; and WATCHDOG=1 while every loop turns.
 * The admin listener's thread calls it each second, so that no call that hangs
 * keeps it back, and a loop that does is told by the watchdog's silence.
 */
void health_tell_systemd(struct health *health, const char *first);

#endif
