#ifndef SCHEDRUN_PRODUCER_AUTH_ACCESS_ROUND_H
#define SCHEDRUN_PRODUCER_AUTH_ACCESS_ROUND_H

#include <stdbool.h>

#include "producer/auth/access.h"
#include "producer/auth/role_cache.h"

/*
 * access_read for one schedule in steps, so that many calls share each round of
 * Redis (work_pool's rounds).  It knows the common case only: what wants more
 * reading (the catalogue has changed, a schedule without projects) is left to
 * access_read.
 */
struct access_round {
	struct access access;
	struct role_cache *roles;         /* of the thread */
	struct schedule_access *schedule; /* out; its `rid` is in */
	enum { ROUND_HEADS, ROUND_ROLES, ROUND_KNOWN, ROUND_ALONE } next;
	struct text_list unknown; /* projects whose role is asked for */
};

void access_round_begin(struct access_round *round, struct access access,
    struct role_cache *roles, struct schedule_access *schedule);

/* Queues commands; false: there is nothing more to ask. */
bool access_round_ask(struct access_round *round);

/* Hears their answers, in all cases as many as were asked for. */
int access_round_hear(struct access_round *round, struct error *err);

#endif
