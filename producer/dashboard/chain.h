#ifndef SCHEDRUN_PRODUCER_DASHBOARD_CHAIN_H
#define SCHEDRUN_PRODUCER_DASHBOARD_CHAIN_H

#include "producer/dryrun/supposed.h"
#include "producer/http/call.h"

/*
 * Which schedules something would fire, which these would by what they do, and
 * so on, without anything being done: each is planned as if the builds before
 * it had succeeded.
 *
 *     commit, or a run ──> facts ──> who waits ──> plan ──> its build's facts
 *                            ^                                  │
 *                            └──────── the next wave <──────────┘
 *
 * All of a wave are planned alike, since nobody sees builds in flight.  A
 * schedule that is fired again and again is followed ten times and said to be
 * so.  What the caller may not view is neither told nor followed.
 */
struct chain;
struct sweep;

/*
 * In the call's arena; errors of all functions are the call's.  Nothing is
 * begun after `until_ms` (monotonic): then there may be more.  `affected`:
 * jobs of which it is counted how many a schedule would run; or NULL.
 */
struct chain *chain_create(struct http_call *call, struct work_redis *redis,
    int64_t until_ms, const struct sweep *affected);

/* What begins it: new data on a branch. */
void chain_commit(struct chain *chain, struct text dataset, struct text branch);

/* Another schedule, to be planned behind all that is fired. */
struct schedule_access;
void chain_list(struct chain *chain, const struct schedule_access *schedule);

/* Follows it to its end: -1: failed. */
int chain_follow(struct chain *chain);
/* Plans those that were listed and are not fired: as of when all is done. */
int chain_plan_listed(struct chain *chain);

/* Schedules of many RIDs that the caller may view, each handed to `judge`. */
typedef void chain_judge(void *opaque, const struct schedule_access *schedule);
int chain_judge_all(struct chain *chain, struct fields *names,
    chain_judge *judge, void *opaque);

/* "schedules" and "moreSchedules", members of an object that is open. */
void chain_put(const struct chain *chain, struct buffer *out);

/*
 * GET {base}/dashboard/schedules/{scheduleRid}/then: what a run of it, asked
 * for now by the caller, would fire.  On a pool thread.
 */
void dashboard_then_get(struct http_call *call, struct work_redis *redis);

#endif
