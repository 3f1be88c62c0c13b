#include "producer/dashboard/sweep_turn.h"

#include <errno.h>

#include "common/base/clock.h"

void
sweep_turn_init(struct sweep_turn *turn)
{
	*turn = (struct sweep_turn){ 0 };
	pthread_mutex_init(&turn->lock, NULL);
	clock_condition_init(&turn->ended);
}

void
sweep_turn_finish(struct sweep_turn *turn)
{
	pthread_cond_destroy(&turn->ended);
	pthread_mutex_destroy(&turn->lock);
}

bool
sweep_turn_take(struct sweep_turn *turn, int wait_ms)
{
	const struct timespec until = clock_after(wait_ms);
	bool taken = false;

	pthread_mutex_lock(&turn->lock);
	if (!turn->is_awaited) {
		turn->is_awaited = true;
		while (turn->is_taken &&
		    pthread_cond_timedwait(&turn->ended, &turn->lock, &until) !=
			ETIMEDOUT)
			;
		turn->is_awaited = false;
		taken = !turn->is_taken;
		turn->is_taken = true;
	}
	pthread_mutex_unlock(&turn->lock);
	return taken;
}

void
sweep_turn_end(struct sweep_turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	turn->is_taken = false;
	pthread_cond_signal(&turn->ended);
	pthread_mutex_unlock(&turn->lock);
}
