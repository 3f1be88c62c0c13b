#include "producer/runs/waiters.h"

#include <string.h>

#include "tests/unit/check.h"

/* Who waits, what he heard, and whom he takes along when he hears. */
struct person {
	struct run_waiter waiter; /* first */
	struct run_waiters *waiters;
	struct loop *loop; /* stopped when he hears; NULL: not */
	struct person *friend;
	int found, expired;
	int64_t offset; /* of what was found */
	bool in_view;
};

static void
hear(struct person *person)
{
	if (person->friend != NULL)
		run_waiters_remove(person->waiters, &person->friend->waiter);
	if (person->loop != NULL)
		loop_stop(person->loop);
}

static void
on_found(
    struct run_waiter *waiter, const struct schedule_run *run, bool in_view)
{
	struct person *person = (struct person *)waiter;

	CHECK(waiter->slot == NULL);
	person->found++;
	person->offset = run->offset;
	person->in_view = in_view;
	hear(person);
}

static void
on_expired(struct run_waiter *waiter)
{
	struct person *person = (struct person *)waiter;

	CHECK(waiter->slot == NULL);
	person->expired++;
	hear(person);
}

/* Ids that differ in their last byte only fall into neighbouring slots. */
static void
begin_wait(struct run_waiters *waiters, struct person *person, uint8_t id,
    int64_t until_ms)
{
	*person = (struct person){ .waiter = { .until_ms = until_ms,
				       .found = on_found,
				       .expired = on_expired },
		.waiters = waiters };
	person->waiter.run.bytes[15] = id;
	run_waiters_add(waiters, &person->waiter);
}

static void
tell(struct run_waiters *waiters, uint8_t id, int64_t offset)
{
	struct schedule_run run = { .offset = offset };

	run.id.bytes[15] = id;
	run_waiters_tell(waiters, &run, offset > 7);
}

static void
tells_all_who_wait_for_it(void)
{
	struct loop *loop = loop_create(NULL);
	struct run_waiters *waiters = run_waiters_create(loop);
	struct person persons[4];

	begin_wait(waiters, &persons[0], 1, INT64_MAX);
	begin_wait(waiters, &persons[1], 2, INT64_MAX);
	begin_wait(waiters, &persons[2], 1, INT64_MAX);
	begin_wait(waiters, &persons[3], 1, INT64_MAX);
	run_waiters_remove(waiters, &persons[3].waiter);
	run_waiters_remove(waiters, &persons[3].waiter); /* harmless */
	CHECK(run_waiters_count(waiters) == 3);
	tell(waiters, 1, 7);
	CHECK(persons[0].found == 1 && persons[0].offset == 7);
	CHECK(persons[2].found == 1 && persons[2].offset == 7);
	CHECK(persons[1].found == 0 && persons[3].found == 0);
	CHECK(run_waiters_count(waiters) == 1);
	tell(waiters, 1, 8);
	CHECK(persons[0].found == 1); /* he has left */
	CHECK(!persons[0].in_view);
	tell(waiters, 2, 8);
	CHECK(persons[1].found == 1 && persons[1].in_view);
	begin_wait(waiters, &persons[1], 2, INT64_MAX);
	run_waiters_destroy(waiters);
	CHECK(persons[1].found + persons[1].expired == 0);
	loop_destroy(loop);
}

/* The same slot, another run: the id is what counts. */
static void
tells_runs_of_a_slot_apart(void)
{
	struct loop *loop = loop_create(NULL);
	struct run_waiters *waiters = run_waiters_create(loop);
	struct person one, other;

	begin_wait(waiters, &one, 1, INT64_MAX);
	begin_wait(waiters, &other, 1, INT64_MAX);
	run_waiters_remove(waiters, &other.waiter);
	other.waiter.run.bytes[0] = 1;
	run_waiters_add(waiters, &other.waiter);
	tell(waiters, 1, 7);
	CHECK(one.found == 1 && other.found == 0);
	run_waiters_destroy(waiters);
	loop_destroy(loop);
}

/* Whoever hears may take the next one of the list away. */
static void
may_change_while_telling(void)
{
	struct loop *loop = loop_create(NULL);
	struct run_waiters *waiters = run_waiters_create(loop);
	struct person first, second, third;

	begin_wait(waiters, &third, 1, INT64_MAX);
	begin_wait(waiters, &second, 1, INT64_MAX);
	begin_wait(waiters, &first, 1, INT64_MAX);
	first.friend = &second;
	tell(waiters, 1, 7);
	CHECK(first.found == 1 && second.found == 0 && third.found == 1);
	begin_wait(waiters, &third, 1, INT64_MAX);
	begin_wait(waiters, &second, 1, INT64_MAX);
	begin_wait(waiters, &first, 1, INT64_MAX);
	first.friend = &second;
	run_waiters_release(waiters);
	CHECK(first.expired == 1 && second.expired == 0 && third.expired == 1);
	CHECK(run_waiters_count(waiters) == 0);
	run_waiters_destroy(waiters);
	loop_destroy(loop);
}

/* On the loop, and only who is due. */
static void
expires_who_is_due(void)
{
	struct loop *loop = loop_create(NULL);
	struct run_waiters *waiters = run_waiters_create(loop);
	struct person due, later;

	begin_wait(waiters, &later, 2, INT64_MAX);
	begin_wait(waiters, &due, 1, loop_now_ms(loop) + 1);
	due.loop = loop;
	loop_run(loop);
	CHECK(due.expired == 1 && due.found == 0);
	CHECK(later.expired == 0 && run_waiters_count(waiters) == 1);
	run_waiters_destroy(waiters);
	loop_destroy(loop);
}

CU_TestInfo run_waiters_tests[] = {
	{ "tells all who wait for it", tells_all_who_wait_for_it },
	{ "tells runs of a slot apart", tells_runs_of_a_slot_apart },
	{ "may change while telling", may_change_while_telling },
	{ "expires who is due", expires_who_is_due },
	CU_TEST_INFO_NULL,
};
