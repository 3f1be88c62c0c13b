#include "producer/runs/waiters.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SLOTS 16384 /* a power of two; 10,000 may wait */
#define SWEEP_MS 50

struct run_waiters {
	struct loop *loop;
	struct loop_timer *sweeper;
	size_t n;
	struct run_waiter *slots[SLOTS];
};

/* Run ids are hashes already. */
static struct run_waiter **
slot_of(struct run_waiters *waiters, const struct uuid *id)
{
	uint32_t hash;

	memcpy(&hash, id->bytes + 10, sizeof hash);
	return &waiters->slots[hash % SLOTS];
}

void
run_waiters_remove(struct run_waiters *waiters, struct run_waiter *waiter)
{
	if (waiter->slot == NULL)
		return;
	*waiter->slot = waiter->next;
	if (waiter->next != NULL)
		waiter->next->slot = waiter->slot;
	waiter->slot = NULL;
	waiters->n--;
}

void
run_waiters_add(struct run_waiters *waiters, struct run_waiter *waiter)
{
	struct run_waiter **slot = slot_of(waiters, &waiter->run);

	waiter->next = *slot;
	waiter->slot = slot;
	if (waiter->next != NULL)
		waiter->next->slot = &waiter->next;
	*slot = waiter;
	waiters->n++;
}

/* The first waiter of a slot that is due; telling one may change the list. */
static struct run_waiter *
find_due(struct run_waiter *waiter, int64_t now)
{
	while (waiter != NULL && waiter->until_ms > now)
		waiter = waiter->next;
	return waiter;
}

static void
expire_due(struct run_waiters *waiters, int64_t now)
{
	struct run_waiter *waiter;
	size_t i;

	for (i = 0; i < SLOTS && waiters->n > 0; i++)
		while ((waiter = find_due(waiters->slots[i], now)) != NULL) {
			run_waiters_remove(waiters, waiter);
			waiter->expired(waiter);
		}
}

static void
sweep_waiters(void *argument)
{
	struct run_waiters *waiters = argument;

	expire_due(waiters, loop_now_ms(waiters->loop));
}

struct run_waiters *
run_waiters_create(struct loop *loop)
{
	struct run_waiters *waiters = memory_zalloc(1, sizeof *waiters);

	waiters->loop = loop;
	waiters->sweeper =
	    loop_timer_start(loop, SWEEP_MS, SWEEP_MS, sweep_waiters, waiters);
	return waiters;
}

void
run_waiters_destroy(struct run_waiters *waiters)
{
	if (waiters == NULL)
		return;
	loop_timer_stop(waiters->sweeper);
	free(waiters);
}

size_t
run_waiters_count(const struct run_waiters *waiters)
{
	return waiters->n;
}

static struct run_waiter *
find_run(struct run_waiter *waiter, const struct uuid *run)
{
	while (waiter != NULL &&
	    memcmp(&waiter->run, run, sizeof waiter->run) != 0)
		waiter = waiter->next;
	return waiter;
}

void
run_waiters_tell(struct run_waiters *waiters, const struct schedule_run *record,
    bool in_view)
{
	struct run_waiter **slot = slot_of(waiters, &record->id), *waiter;

	while ((waiter = find_run(*slot, &record->id)) != NULL) {
		run_waiters_remove(waiters, waiter);
		waiter->found(waiter, record, in_view);
	}
}

void
run_waiters_release(struct run_waiters *waiters)
{
	expire_due(waiters, INT64_MAX);
}
