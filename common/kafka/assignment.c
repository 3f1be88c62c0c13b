#include "common/kafka/assignment.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/group.h"
#include "common/kafka/query.h"

/*
 * How long one try to resolve an assignment or a lost place may hold up poll:
 * it is tried again at each poll, so that membership and signals are served.
 */
#define RESOLVE_TIMEOUT_MS 1000

static int
fail_assignment(struct kafka_assignment *assignment, rd_kafka_resp_err_t code,
    struct error *err, const char *what)
{
	return kafka_client_fail_code(
	    assignment->client, KAFKA_CALL_POLL, code, err, what);
}

static void
forget_pending(struct kafka_assignment *assignment)
{
	if (assignment->pending != NULL)
		rd_kafka_topic_partition_list_destroy(assignment->pending);
	assignment->pending = NULL;
}

void
kafka_assignment_finish(struct kafka_assignment *assignment)
{
	forget_pending(assignment);
	kafka_group_destroy(assignment->generation);
	kafka_places_finish(&assignment->places);
	free(assignment->group);
}

static rd_kafka_topic_partition_list_t *
list_places(const struct kafka_places *places, bool also_held)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)places->n);
	size_t i;

	for (i = 0; i < places->n; i++)
		if (also_held || !places->at[i].held)
			rd_kafka_topic_partition_list_add(
			    list, places->at[i].topic, places->at[i].partition)
			    ->offset = places->at[i].next;
	return list;
}

/* Take, pause, seek ------------------------------------------------------ */

/* librdkafka pauses partition by partition and forgets it with the assignment:
 * the wish is ours, and said again for each new one. */
static int
apply_pause(struct kafka_assignment *assignment, struct error *err)
{
	/* What is held is paused already, and stays so. */
	rd_kafka_topic_partition_list_t *list =
	    list_places(&assignment->places, false);
	rd_kafka_resp_err_t code = assignment->paused
	    ? rd_kafka_pause_partitions(assignment->handle, list)
	    : rd_kafka_resume_partitions(assignment->handle, list);

	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail_assignment(assignment, code, err,
		    assignment->paused ? "pause partitions"
				       : "resume partitions");
	return 0;
}

int
kafka_assignment_pause(
    struct kafka_assignment *assignment, bool paused, struct error *err)
{
	if (assignment->paused == paused)
		return 0;
	/* The wish first: apply_pause reads it. */
	assignment->paused = paused;
	if (apply_pause(assignment, err) == 0)
		return 0;
	assignment->paused = !paused;
	return -1;
}

int
kafka_assignment_hold(struct kafka_assignment *assignment, const char *topic,
    int32_t partition, bool held, struct error *err)
{
	struct kafka_place *place =
	    kafka_places_find(&assignment->places, NULL, topic, partition);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (place == NULL)
		return error_set(err, ERROR_ABORT,
		    "hold: partition %s [%d] is not assigned any more", topic,
		    (int)partition);
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition);
	/* What all of them are is not undone. */
	if (place->held != held && !assignment->paused)
		code = held
		    ? rd_kafka_pause_partitions(assignment->handle, list)
		    : rd_kafka_resume_partitions(assignment->handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail_assignment(
		    assignment, code, err, "hold a partition");
	place->held = held;
	return 0;
}

/* _STATE: a fresh assignment is still being started. */
static rd_kafka_resp_err_t
seek_until(struct kafka_assignment *assignment, const char *topic,
    struct kafka_offset to, int64_t until)
{
	rd_kafka_topic_t *handle =
	    rd_kafka_topic_new(assignment->handle, topic, NULL);
	rd_kafka_resp_err_t code;

	for (;;) {
		int64_t left = until - clock_monotonic_ms();
		code = rd_kafka_seek(handle, to.partition, to.offset,
		    left > 10 ? (int)left : 10);
		if ((code != RD_KAFKA_RESP_ERR__STATE &&
			code != RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS) ||
		    left <= 0)
			break;
		clock_wait(5);
	}
	rd_kafka_topic_destroy(handle);
	return code;
}

/*
 * Of partitions that one assignment takes from another librdkafka stops the
 * fetch and starts it again: should a third one come meanwhile it would stop
 * it twice, and abort.  A seek is refused until that is over.
 */
static void
wait_started(struct kafka_assignment *assignment)
{
	int64_t until = clock_monotonic_ms() + RESOLVE_TIMEOUT_MS;
	size_t i;

	for (i = 0; i < assignment->places.n; i++) {
		const struct kafka_place *place = &assignment->places.at[i];

		seek_until(assignment, place->topic,
		    (struct kafka_offset){ place->partition, place->next },
		    until);
	}
}

int
kafka_assignment_take(struct kafka_assignment *assignment,
    const struct rd_kafka_topic_partition_list_s *list, struct error *err)
{
	rd_kafka_resp_err_t code = rd_kafka_assign(assignment->handle, list);
	bool again = assignment->places.n > 0;
	int i;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail_assignment(
		    assignment, code, err, "assign partitions");
	kafka_places_clear(&assignment->places);
	for (i = 0; i < list->cnt; i++)
		kafka_places_add(&assignment->places, list->elems[i].topic,
		    list->elems[i].partition, list->elems[i].offset);
	if (again)
		wait_started(assignment);
	/* Also if nothing is paused: librdkafka 2.0 lets a partition that was
	 * paused when it went be paused when it comes again. */
	return apply_pause(assignment, err);
}

int
kafka_assignment_seek(struct kafka_assignment *assignment, const char *topic,
    struct kafka_offset to, int timeout_ms, struct error *err)
{
	struct kafka_place *place =
	    kafka_places_find(&assignment->places, NULL, topic, to.partition);
	rd_kafka_resp_err_t code;

	if (place == NULL)
		return error_set(err, ERROR_ABORT,
		    "seek: partition %s [%d] is not assigned any more", topic,
		    (int)to.partition);
	code = seek_until(
	    assignment, topic, to, clock_monotonic_ms() + timeout_ms);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail_assignment(assignment, code, err, "seek");
	place->next = to.offset;
	return 0;
}

/* The group's assignments ------------------------------------------------ */

/*
 * Committed offsets.  OffsetFetch answers UNSTABLE while a transaction with
 * offsets is open; librdkafka 2.0 tries a few times and then returns success
 * with the error in the partition: taking that for "none committed" would read
 * everything again.
 */
static int
fetch_committed(struct kafka_assignment *assignment,
    rd_kafka_topic_partition_list_t *list, struct error *err)
{
	rd_kafka_resp_err_t code =
	    rd_kafka_committed(assignment->handle, list, RESOLVE_TIMEOUT_MS);
	char what[300];
	int i;

	for (i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		code = list->elems[i].err;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		snprintf(what, sizeof what, "committed offsets of group %s",
		    assignment->group);
		return fail_assignment(assignment, code, err, what);
	}
	kafka_client_answered(assignment->client);
	return 0;
}

int
kafka_assignment_committed(struct kafka_assignment *assignment,
    const char *topic, struct kafka_offset *places, size_t n, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	int rc;
	size_t i;

	for (i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(
		    list, topic, places[i].partition);
	rc = fetch_committed(assignment, list, err);
	for (i = 0; rc == 0 && i < n; i++)
		places[i].offset =
		    list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int
kafka_assignment_resolve(struct kafka_assignment *assignment,
    struct kafka_partition of, int64_t *offset, int timeout_ms,
    struct error *err)
{
	if (*offset >= 0)
		return 0;
	*offset =
	    kafka_query_offset_at(assignment->client, assignment->handle, of,
		*offset == KAFKA_OFFSET_END ? KAFKA_OFFSET_END
					    : KAFKA_OFFSET_BEGINNING,
		timeout_ms, err);
	return *offset != KAFKA_OFFSET_UNKNOWN ? 0 : -1;
}

static int
resolve_position(struct kafka_assignment *assignment,
    struct kafka_position *position, struct error *err)
{
	return kafka_assignment_resolve(assignment,
	    (struct kafka_partition){ position->topic, position->partition },
	    &position->offset, RESOLVE_TIMEOUT_MS, err);
}

/* Asks the user for each place; the answers go into `list`. */
static int
ask_user(struct kafka_assignment *assignment, struct kafka_position *positions,
    rd_kafka_topic_partition_list_t *list, struct error *err)
{
	const struct kafka_consumer_events *events = &assignment->events;
	size_t n = (size_t)list->cnt;
	size_t i;

	if (events->assigned != NULL &&
	    events->assigned(events->opaque, positions, n) != 0)
		return error_set(err, ERROR_RETRY,
		    "the assignment waits until it is known where to read");
	for (i = 0; i < n; i++) {
		if (resolve_position(assignment, &positions[i], err) != 0)
			return -1;
		list->elems[i].offset = positions[i].offset;
	}
	return 0;
}

/*
 * Where each partition begins: behind what is committed, else at the log's
 * start, never at its end (a request that came before the group's first worker
 * would be lost); or where the user wants to, who knows of repairs.
 */
static int
choose_places(struct kafka_assignment *assignment,
    rd_kafka_topic_partition_list_t *list, struct error *err)
{
	size_t n = (size_t)list->cnt;
	struct kafka_position *positions =
	    memory_zalloc(n + 1, sizeof *positions);
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < n; i++) {
		int64_t committed = list->elems[i].offset;
		positions[i].topic = list->elems[i].topic;
		positions[i].partition = list->elems[i].partition;
		positions[i].committed = committed >= 0 ? committed : -1;
		positions[i].offset =
		    committed >= 0 ? committed : KAFKA_OFFSET_BEGINNING;
		rc = resolve_position(assignment, &positions[i], err);
	}
	if (rc == 0)
		rc = ask_user(assignment, positions, list, err);
	free(positions);
	return rc;
}

int
kafka_assignment_settle(struct kafka_assignment *assignment, struct error *err)
{
	rd_kafka_topic_partition_list_t *list;
	int rc = -1;

	if (assignment->pending == NULL)
		return 0;
	/* A copy: what fails half-way must not show at the next try. */
	list = rd_kafka_topic_partition_list_copy(assignment->pending);
	if (fetch_committed(assignment, list, err) == 0 &&
	    choose_places(assignment, list, err) == 0 &&
	    kafka_assignment_take(assignment, list, err) == 0)
		rc = 0;
	rd_kafka_topic_partition_list_destroy(list);
	if (rc == 0) {
		forget_pending(assignment);
		assignment->joined = true;
	}
	return rc;
}

static void
on_assigned(struct kafka_assignment *assignment,
    const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *none;
	struct error err = { 0 };

	forget_pending(assignment);
	/* Taken now, within the callback: the generation that this assignment
	 * is of.  Asked for later it could be that of the next. */
	kafka_group_destroy(assignment->generation);
	assignment->generation =
	    kafka_group_take(assignment->handle, assignment->group);
	assignment->pending = rd_kafka_topic_partition_list_copy(list);
	if (kafka_assignment_settle(assignment, &err) == 0)
		return;
	/* The group must hear that we have taken note; reading starts when
	 * the places are known. */
	none = rd_kafka_topic_partition_list_new(0);
	rd_kafka_assign(assignment->handle, none);
	rd_kafka_topic_partition_list_destroy(none);
	log_event(LOG_WARN, "kafka", "assignment_waits", err.message, LOG_END);
}

static void
on_revoked(struct kafka_assignment *assignment)
{
	const struct kafka_consumer_events *events = &assignment->events;
	bool lost = rd_kafka_assignment_lost(assignment->handle);

	forget_pending(assignment);
	/* Before the partitions are given back: what the user has open must be
	 * committed or aborted while nobody else can have them.  Of an
	 * assignment that never came into force there is nothing open. */
	if (assignment->joined && events->revoked != NULL)
		events->revoked(events->opaque, lost);
	assignment->joined = false;
	kafka_group_destroy(assignment->generation);
	assignment->generation = NULL;
	kafka_places_clear(&assignment->places);
	rd_kafka_assign(assignment->handle, NULL);
}

void
kafka_assignment_rebalance(struct kafka_assignment *assignment, int code,
    const struct rd_kafka_topic_partition_list_s *list)
{
	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		on_assigned(assignment, list);
	else
		on_revoked(assignment);
}

/* Records that are gone -------------------------------------------------- */

static void
tell_moved(struct kafka_assignment *assignment, const struct kafka_place *place,
    int64_t from)
{
	const struct kafka_consumer_events *events = &assignment->events;
	bool lost = place->next > from;

	log_event(LOG_WARN, "kafka", lost ? "records_lost" : "topic_made_anew",
	    lost ? "records were removed before they were read"
		 : "the topic is shorter than it was: made anew",
	    LOG_S("topic", place->topic), LOG_I("partition", place->partition),
	    LOG_I("from", from), LOG_I("offset", place->next), LOG_END);
	if (events->moved != NULL)
		events->moved(events->opaque, place->topic, place->partition,
		    place->next);
}

/* What was to be read next is out of the log's range: finds out why. */
static int
find_place(struct kafka_assignment *assignment, struct kafka_place *place,
    struct error *err)
{
	struct kafka_partition of = { place->topic, place->partition };
	int64_t from = place->next;
	struct kafka_range range;

	if (kafka_query_range(assignment->client, assignment->handle, of,
		&range, 2 * RESOLVE_TIMEOUT_MS, err) != 0)
		return -1;
	if (from < range.start && !assignment->accept_loss)
		return error_fatal(err, 65,
		    "%s partition %d: offsets %lld..%lld are gone: %lld "
		    "requests lost at most; to go on: -s "
		    "worker.accept.loss=on",
		    place->topic, (int)place->partition, (long long)from,
		    (long long)range.start - 1,
		    (long long)(range.start - from));
	/* It is there after all: a leader that knew less has answered. */
	if (from >= range.start && from <= range.end)
		return 0;
	place->next = range.start;
	tell_moved(assignment, place, from);
	return 0;
}

int
kafka_assignment_renew(struct kafka_assignment *assignment, struct error *err)
{
	rd_kafka_topic_partition_list_t *list;
	int rc;

	if (assignment->places.n == 0 || assignment->pending != NULL)
		return 0;
	list = list_places(&assignment->places, true);
	rc = kafka_assignment_take(assignment, list, err);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int
kafka_assignment_unstick(struct kafka_assignment *assignment, struct error *err)
{
	bool any = false;
	size_t i;

	for (i = 0; i < assignment->places.n; i++) {
		struct kafka_place *place = &assignment->places.at[i];
		any |= place->stuck;
		if (place->stuck && find_place(assignment, place, err) != 0)
			return -1;
	}
	if (!any)
		return 0;
	/* The error left the partition stopped and a seek does not start it;
	 * an assignment does. */
	return kafka_assignment_renew(assignment, err);
}
