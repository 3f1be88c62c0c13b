#ifndef SCHEDRUN_PRODUCER_RUNS_FOLLOW_H
#define SCHEDRUN_PRODUCER_RUNS_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/redis/pipeline.h"
#include "producer/runs/view.h"

/*
 * The fan-out and the fold read the results apart from each other.  Whoever is
 * told of a result must also find it in the view, at any replica, so the
 * fan-out lets the fold go first.  One thread.
 */
struct view_follow;

/*
 * Over a connection of its own, made when it is needed.  `redis` is copied, the
 * keyspace is borrowed.  NULL: ERROR_FATAL, the URL is none.
 */
struct view_follow *view_follow_create(const struct config *config,
    const struct redis_settings *redis, const struct keyspace *keyspace,
    struct error *err);
void view_follow_destroy(struct view_follow *follow); /* NULL is fine */

/*
 * Returns true when these places have been folded: usually after a millisecond
 * or two.  When Redis doesn't answer or the fold is behind it gives up after a
 * second (false), and doesn't try again for five: news that is late helps
 * nobody.
 */
bool view_follow_wait(
    struct view_follow *follow, const struct fold_position *places, size_t n);

#endif
