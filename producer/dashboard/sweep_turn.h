#ifndef SCHEDRUN_PRODUCER_DASHBOARD_SWEEP_TURN_H
#define SCHEDRUN_PRODUCER_DASHBOARD_SWEEP_TURN_H

#include <pthread.h>
#include <stdbool.h>

/*
 * Whose turn it is to take seconds, of the planner or of Kafka, on a thread of
 * the pool that all calls share: one goes, one waits for it, others come again.
 */
struct sweep_turn {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool is_taken, is_awaited;
};

/* Nobody's yet; to be finished when nobody has or awaits it. */
void sweep_turn_init(struct sweep_turn *turn);
void sweep_turn_finish(struct sweep_turn *turn); /* what init took */

/* False: come again.  Blocks for up to `wait_ms`. */
bool sweep_turn_take(struct sweep_turn *turn, int wait_ms);
/* By whoever has taken it. */
void sweep_turn_end(struct sweep_turn *turn);

#endif
