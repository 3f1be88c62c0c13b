#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/kafka/places.h"
#include "common/kafka/transaction.h"
#include "tests/sim/sim.h"

/*
 * What the worker calls of common/kafka, over the played broker: consumer.h and
 * transaction.h hold the contracts.
 */
#define POLL_MAX_MS 60000 /* max.poll.interval.ms */
#define SOCKET_MS 10000   /* socket.timeout.ms */
#define RETRY_MS 100
#define LATE_MS 30000

static const char topic_name[] = "schedule-run-requests";

struct place {
	struct kafka_place at;
	bool is_owned, is_held;
	bool is_gone;      /* the topic was made anew */
	int64_t told_end;  /* last */
	int64_t stale_end; /* to be told later; -1 */
};

struct kafka_consumer {
	struct kafka_consumer_events events;
	int worker;
	long incarnation;
	bool is_member_of_group, is_subscribed, is_paused, is_woken;
	/* The group's: */
	int member, generation; /* -1: none */
	bool is_lost, polled_too_late, has_asked, is_pending, is_joined;
	int64_t polled_ms;
	struct place places[SIM_PARTITIONS];
};

struct kafka_group {
	struct broker_group of;
	const struct kafka_consumer *consumer;
};

static struct kafka_consumer *members[SIM_WORKERS];

/* Consumer ----------------------------------------------------------------- */

WRAP(struct kafka_consumer *, kafka_consumer_create,
    const struct kafka_consumer_options *options, struct error *err)
{
	struct kafka_consumer *consumer = memory_zalloc(1, sizeof *consumer);

	(void)err;
	consumer->events = options->events;
	consumer->worker = sim_worker();
	consumer->incarnation = sim_incarnation();
	consumer->member = consumer->generation = -1;
	consumer->is_member_of_group = options->group != NULL;
	consumer->polled_ms = sim.now_ms;
	if (consumer->is_member_of_group)
		members[sim_worker()] = consumer;
	return consumer;
}

void
kafka_forget_worker(int worker)
{
	members[worker] = NULL;
}

WRAP(int, kafka_consumer_subscribe, struct kafka_consumer *consumer,
    const char *const *topics, size_t n, struct error *err)
{
	(void)topics;
	(void)n;
	(void)err;
	consumer->is_subscribed = true;
	return 0;
}

static void
set_place(struct place *place, int64_t next)
{
	*place =
	    (struct place){ .is_owned = true, .told_end = -1, .stale_end = -1 };
	place->at.next = next;
}

/* As kafka_assignment's on_revoked: who never got it is told nothing. */
static void
give_up_assignment(struct kafka_consumer *consumer, bool lost)
{
	sim_trace("partitions go%s", lost ? ", lost" : "");
	consumer->is_pending = false;
	if (consumer->is_joined && consumer->events.revoked != NULL)
		consumer->events.revoked(consumer->events.opaque, lost);
	consumer->is_joined = false;
	consumer->generation = -1;
	memset(consumer->places, 0, sizeof consumer->places);
}

/* Committed offsets, once they are decided; then reading begins. */
static void
settle_assignment(struct kafka_consumer *consumer)
{
	struct kafka_position positions[SIM_PARTITIONS] = { 0 };
	size_t n = 0, i;

	sim_travel();
	if (sim_fault(FAULT_READ))
		return;
	for (i = 0; i < SIM_PARTITIONS; i++) {
		struct kafka_position *position = &positions[n];

		if (!consumer->places[i].is_owned)
			continue;
		if (!broker_committed((int)i, &position->committed))
			return;
		position->topic = topic_name;
		position->partition = (int32_t)i;
		position->offset =
		    position->committed < 0 ? 0 : position->committed;
		n++;
	}
	for (i = 0; i < n; i++)
		set_place(&consumer->places[positions[i].partition],
		    positions[i].offset);
	consumer->events.assigned(consumer->events.opaque, positions, n);
	consumer->is_pending = false;
	consumer->is_joined = true;
	for (i = 0; i < n; i++)
		sim_trace("partition %d comes, from %lld on",
		    (int)positions[i].partition,
		    (long long)positions[i].offset);
}

/* What librdkafka's own thread finds out meanwhile. */
void
kafka_background(void)
{
	size_t i;

	for (i = 0; i < SIM_WORKERS; i++) {
		struct kafka_consumer *consumer = members[i];

		if (consumer == NULL || consumer->member < 0 ||
		    !sim_worker_moves((int)i))
			continue;
		if (sim.now_ms - consumer->polled_ms > POLL_MAX_MS) {
			broker_leave(consumer->member);
			consumer->polled_too_late = true;
		}
		if (!broker_has_member(consumer->member))
			consumer->is_lost = true;
	}
}

/* What a poll serves besides records. */
static void
serve_group(struct kafka_consumer *consumer)
{
	bool owned[SIM_PARTITIONS];
	int generation;
	size_t i;

	if (consumer->is_lost) {
		give_up_assignment(consumer, true);
		consumer->is_lost = false;
		consumer->member = -1;
	}
	if (consumer->member < 0) {
		sim_travel();
		consumer->member =
		    broker_join(consumer->worker, consumer->incarnation);
		consumer->has_asked = true;
	}
	if (broker_wants(consumer->member) && sim_one_in(3)) {
		give_up_assignment(consumer, false);
		sim_travel();
		if (!broker_has_member(consumer->member))
			return;
		broker_rejoin(consumer->member);
		consumer->has_asked = true;
	}
	generation = broker_assignment(consumer->member, owned);
	if (generation >= 0 && consumer->has_asked) {
		consumer->has_asked = false;
		consumer->generation = generation;
		consumer->is_pending = true;
		for (i = 0; i < SIM_PARTITIONS; i++)
			consumer->places[i].is_owned = owned[i];
	}
	if (consumer->is_pending)
		settle_assignment(consumer);
}

void
kafka_remake(void)
{
	size_t i, at;

	for (i = 0; i < SIM_WORKERS; i++)
		for (at = 0; members[i] != NULL && at < SIM_PARTITIONS; at++)
			members[i]->places[at].is_gone = true;
}

/* As kafka_assignment_unstick. */
static void
find_places(struct kafka_consumer *consumer)
{
	size_t i;

	for (i = 0; i < SIM_PARTITIONS; i++) {
		struct place *place = &consumer->places[i];

		if (!place->is_owned || !place->is_gone)
			continue;
		set_place(place, 0);
		consumer->events.moved(
		    consumer->events.opaque, topic_name, (int32_t)i, 0);
	}
}

static void
tell_end(struct kafka_consumer *consumer, size_t partition, int64_t end)
{
	struct place *place = &consumer->places[partition];

	if (sim.plan.mutant == MUTANT_ENDS_BELIEVED) {
		place->at.next = end;
	} else if (!kafka_place_end(&place->at, end)) {
		return;
	}
	if (consumer->events.ended != NULL)
		consumer->events.ended(consumer->events.opaque, topic_name,
		    (int32_t)partition, end);
}

/* The records of one partition, and its end if that is reached. */
static size_t
fetch(struct kafka_consumer *consumer, size_t partition,
    struct kafka_record *records, size_t max)
{
	struct place *place = &consumer->places[partition];
	int64_t offset = place->at.next, end = broker_log_end((int)partition);
	size_t n = 0;

	for (; n < max && offset < end; offset++) {
		int number = broker_entry((int)partition, offset);

		if (number < 0 || !kafka_place_accept(&place->at, offset))
			continue;
		records[n++] = (struct kafka_record){
			.topic = topic_name,
			.partition = (int32_t)partition,
			.offset = offset,
			.timestamp_ms = sim_records[number].timestamp_ms,
			.key = TEXT("key"),
			.value = TEXT("value"),
		};
	}
	if (offset < end || place->told_end == end)
		return n;
	place->told_end = end;
	if (sim_fault(FAULT_STALE_END))
		place->stale_end = end;
	else
		tell_end(consumer, partition, end);
	return n;
}

static size_t
fetch_all(
    struct kafka_consumer *consumer, struct kafka_record *records, size_t max)
{
	size_t i, n = 0, first = sim_draw(SIM_PARTITIONS);
	size_t most = 1 + sim_draw(6);

	if (max > most)
		max = most;
	for (i = 0; i < SIM_PARTITIONS; i++) {
		size_t partition = (i + first) % SIM_PARTITIONS;
		struct place *place = &consumer->places[partition];

		if (!place->is_owned || place->is_held || place->is_gone ||
		    consumer->is_pending)
			continue;
		if (place->stale_end >= 0 && sim_one_in(3)) {
			tell_end(consumer, partition, place->stale_end);
			place->stale_end = -1;
		}
		if (n < max)
			n += fetch(consumer, partition, records + n, max - n);
	}
	return n;
}

WRAP(int, kafka_consumer_poll, struct kafka_consumer *consumer,
    struct kafka_record *records, size_t max, int timeout_ms, struct error *err)
{
	size_t n = 0;
	bool reads;

	consumer->polled_ms = sim.now_ms;
	if (consumer->polled_too_late) {
		consumer->polled_too_late = false;
		return error_set(err, ERROR_ABORT, "polled too late");
	}
	if (consumer->is_subscribed)
		serve_group(consumer);
	find_places(consumer);
	consumer->polled_ms = sim.now_ms;
	reads = !consumer->is_paused || sim_fault(FAULT_EARLY_RECORD);
	if (reads)
		n = fetch_all(consumer, records, max);
	if (n == 0 && timeout_ms > 0 && !consumer->is_woken) {
		sim_poll_pause(1 + (int64_t)sim_draw((uint64_t)timeout_ms));
		if (!consumer->is_paused)
			n = fetch_all(consumer, records, max);
	} else {
		sim_pause(0);
	}
	consumer->is_woken = false;
	if (n > 0)
		sim_trace("polled %zu, first %d:%lld", n,
		    (int)records[0].partition, (long long)records[0].offset);
	return (int)n;
}

WRAP(int, kafka_consumer_close, struct kafka_consumer *consumer, int timeout_ms)
{
	(void)timeout_ms;
	if (consumer->is_member_of_group) {
		give_up_assignment(consumer, false);
		broker_leave(consumer->member);
		kafka_forget_worker(consumer->worker);
	}
	free(consumer);
	return 0;
}

WRAP(int, kafka_consumer_assign, struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int timeout_ms,
    struct error *err)
{
	size_t i;

	(void)timeout_ms;
	sim_travel();
	if (n > 0 && sim_fault(FAULT_READ))
		return error_set(err, ERROR_RETRY, "no answer");
	memset(consumer->places, 0, sizeof consumer->places);
	for (i = 0; i < n; i++)
		set_place(&consumer->places[starts[i].partition], starts[i].at);
	return 0;
}

WRAP(void, kafka_consumer_wake, struct kafka_consumer *consumer)
{
	consumer->is_woken = true;
	sim_wake_pollers();
}

WRAP(void, kafka_records_release, struct kafka_record *records, size_t n)
{
	(void)records;
	(void)n;
}

WRAP(bool, kafka_record_header, const struct kafka_record *record, size_t i,
    struct kafka_header *header)
{
	(void)record;
	(void)i;
	(void)header;
	return false;
}

WRAP(int, kafka_consumer_pause, struct kafka_consumer *consumer,
    struct error *err)
{
	(void)err;
	consumer->is_paused = true;
	return 0;
}

WRAP(int, kafka_consumer_resume, struct kafka_consumer *consumer,
    struct error *err)
{
	(void)err;
	consumer->is_paused = false;
	return 0;
}

WRAP(bool, kafka_consumer_is_paused, const struct kafka_consumer *consumer)
{
	return consumer->is_paused;
}

WRAP(int, kafka_consumer_hold, struct kafka_consumer *consumer,
    const char *topic, int32_t partition, bool held, struct error *err)
{
	(void)topic;
	if (!consumer->places[partition].is_owned)
		return error_set(err, ERROR_ABORT, "not assigned");
	consumer->places[partition].is_held = held;
	return 0;
}

WRAP(int, kafka_consumer_seek, struct kafka_consumer *consumer,
    const char *topic, struct kafka_offset place, int timeout_ms,
    struct error *err)
{
	struct place *to = &consumer->places[place.partition];

	(void)topic;
	(void)timeout_ms;
	sim_pause(0);
	if (!to->is_owned)
		return error_set(err, ERROR_ABORT, "not assigned");
	if (sim_fault(FAULT_READ))
		return error_set(err, ERROR_RETRY, "no answer");
	to->at.next = place.offset;
	to->told_end = -1;
	sim_trace("reads %d:%lld next", (int)place.partition,
	    (long long)place.offset);
	return 0;
}

WRAP(int, kafka_consumer_committed, struct kafka_consumer *consumer,
    const char *topic, struct kafka_offset *places, size_t n, struct error *err)
{
	size_t i;

	(void)consumer;
	(void)topic;
	sim_travel();
	if (sim_fault(FAULT_READ))
		return error_set(err, ERROR_RETRY, "no answer");
	for (i = 0; i < n; i++) {
		if (!broker_committed(places[i].partition, &places[i].offset))
			return error_set(err, ERROR_RETRY, "not stable");
		if (sim.plan.mutant == MUTANT_REWIND_TOO_FAR &&
		    places[i].offset > 0)
			places[i].offset--;
	}
	return 0;
}

WRAP(bool, kafka_consumer_is_joined, const struct kafka_consumer *consumer)
{
	return consumer->is_joined;
}

WRAP(struct kafka_group *, kafka_consumer_group,
    struct kafka_consumer *consumer, struct error *err)
{
	struct kafka_group *group;

	if (!consumer->is_joined || consumer->is_lost) {
		error_set(err, ERROR_ABORT, "the membership is lost");
		return NULL;
	}
	group = memory_zalloc(1, sizeof *group);
	group->of =
	    (struct broker_group){ consumer->member, consumer->generation };
	group->consumer = consumer;
	return group;
}

WRAP(void, kafka_group_destroy, struct kafka_group *group)
{
	free(group);
}

WRAP(int, kafka_consumer_range, struct kafka_consumer *consumer,
    struct kafka_partition of, struct kafka_range *range, int timeout_ms,
    struct error *err)
{
	(void)consumer;
	(void)timeout_ms;
	sim_travel();
	if (sim_fault(FAULT_READ))
		return error_set(err, ERROR_RETRY, "no answer");
	*range = (struct kafka_range){ 0, broker_log_end(of.partition) };
	return 0;
}

WRAP(int64_t, kafka_consumer_end, const struct kafka_consumer *consumer,
    const char *topic, int32_t partition)
{
	(void)consumer;
	(void)topic;
	return broker_log_end(partition);
}

/* The topics are there: what is told of them changes readiness alone. */
WRAP(int32_t, kafka_consumer_partitions, struct kafka_consumer *consumer,
    const char *topic, int timeout_ms, struct error *err)
{
	(void)consumer;
	(void)topic;
	(void)timeout_ms;
	(void)err;
	return sim.partitions;
}

WRAP(int, kafka_consumer_members, struct kafka_consumer *consumer,
    const char *group, int timeout_ms, struct error *err)
{
	(void)consumer;
	(void)group;
	(void)timeout_ms;
	(void)err;
	return SIM_PARTITIONS;
}

WRAP(int, kafka_consumer_offset_at, struct kafka_consumer *consumer,
    struct kafka_partition of, int64_t time_ms, int64_t *offset, int timeout_ms,
    struct error *err)
{
	(void)consumer;
	(void)timeout_ms;
	sim_travel();
	if (sim_fault(FAULT_READ))
		return error_set(err, ERROR_RETRY, "no answer");
	*offset = broker_offset_at(of.partition, time_ms);
	return 0;
}

/* Transactions ------------------------------------------------------------- */

struct kafka_transaction {
	int id, epoch;
	bool is_open, is_fenced, has_failed;
	unsigned events, events_at_begin, commits;
	bool is_slow;
	int64_t committing_ms;
	struct uuid runs[256]; /* that were produced since begin */
	size_t n_runs;
};

WRAP(struct kafka_transaction *, kafka_transaction_create,
    const struct kafka_transaction_options *options, struct error *err)
{
	struct kafka_transaction *transaction =
	    memory_zalloc(1, sizeof *transaction);

	(void)options;
	(void)err;
	transaction->id = sim.has_twins ? 0 : sim_worker();
	return transaction;
}

WRAP(int, kafka_transaction_destroy, struct kafka_transaction *transaction,
    int timeout_ms)
{
	(void)timeout_ms;
	sim_pause(0);
	free(transaction);
	return 0;
}

static void
init_late(const struct sim_late *late)
{
	int epoch;

	sim_trace("an InitProducerId of %d comes late", late->a);
	broker_init(late->a, &epoch);
}

static void
end_late(const struct sim_late *late)
{
	enum broker_answer answer = broker_end(late->a, late->b, late->c == 1);

	sim_trace("an EndTxn of %d comes late: %s", late->a,
	    answer == BROKER_OK           ? "done"
		: answer == BROKER_FENCED ? "fenced"
					  : "refused");
}

static void
offsets_late(const struct sim_late *late)
{
	const struct broker_group of = { (int)late->c >> 16,
		(int)late->c & 0xffff };

	sim_trace("offsets of %d come late", late->a);
	broker_offsets(late->a, late->b, of, late->offsets);
}

WRAP(int, kafka_transaction_open, struct kafka_transaction *transaction,
    int timeout_ms, struct error *err)
{
	int64_t until = sim.now_ms + timeout_ms;
	enum broker_answer answer;

	do {
		sim_travel();
		if (sim_fault(FAULT_LOST_REQUEST))
			break;
		if (sim_fault(FAULT_LATE_INIT))
			sim_later((int64_t)sim_draw(LATE_MS), init_late,
			    (struct sim_late){ .a = transaction->id });
		answer = broker_init(transaction->id, &transaction->epoch);
		sim_pause(0);
		if (answer == BROKER_OK && sim_fault(FAULT_LOST_ANSWER))
			return error_set(err, ERROR_ABORT, "fenced at once");
		if (answer == BROKER_OK) {
			sim_trace("producer %d has epoch %d", transaction->id,
			    transaction->epoch);
			return 0;
		}
		sim_pause(RETRY_MS);
	} while (sim.now_ms < until);
	return error_set(err, ERROR_RETRY, "init_transactions: no answer");
}

WRAP(int, kafka_transaction_begin, struct kafka_transaction *transaction,
    struct error *err)
{
	if (sim_fault(FAULT_BAD_MESSAGE))
		return error_set(err, ERROR_ABORT, "begin: fenced");
	transaction->commits = 0;
	transaction->is_slow = transaction->has_failed = false;
	transaction->events_at_begin = transaction->events;
	transaction->n_runs = 0;
	return 0;
}

static int
fail_transaction(
    struct kafka_transaction *transaction, bool fenced, struct error *err)
{
	transaction->is_fenced |= fenced;
	transaction->has_failed = true;
	return error_set(err, ERROR_ABORT, "%s",
	    fenced ? "fenced" : "the transaction must be aborted");
}

/* Nobody answers in time: what was sent may come or not. */
static int
time_out(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err)
{
	transaction->events++;
	sim_pause(timeout_ms);
	return error_set(err, ERROR_RETRY, "no answer");
}

/* Queued and sent while others go on; who fails shows at the commit. */
static void
produce_one(struct kafka_transaction *transaction, enum sim_topic topic,
    const struct sim_message *message)
{
	enum broker_answer answer = BROKER_BUSY;

	if (sim_one_in(3))
		sim_travel();
	if (sim_fault(FAULT_BAD_MESSAGE))
		transaction->has_failed = true;
	while (!transaction->has_failed && answer == BROKER_BUSY) {
		answer = broker_produce(
		    transaction->id, transaction->epoch, topic, message);
		if (answer == BROKER_BUSY)
			sim_pause(RETRY_MS);
	}
	if (answer == BROKER_FENCED)
		transaction->is_fenced = transaction->has_failed = true;
	if (transaction->n_runs <
	    sizeof transaction->runs / sizeof transaction->runs[0])
		transaction->runs[transaction->n_runs++] = message->run;
}

WRAP(int, kafka_transaction_produce, struct kafka_transaction *transaction,
    size_t topic, const struct kafka_message *messages, size_t n,
    int timeout_ms, struct error *err)
{
	size_t i;

	(void)timeout_ms;
	for (i = 0; i < n; i++) {
		size_t at =
		    sim.plan.mutant == MUTANT_ORDER_REVERSED ? n - 1 - i : i;
		struct sim_message message;

		memcpy(&message, messages[at].value.at, sizeof message);
		produce_one(transaction, (enum sim_topic)topic, &message);
	}
	if (n > 0 && sim_fault(FAULT_LOST_REQUEST))
		return time_out(transaction, RETRY_MS, err);
	return 0;
}

WRAP(int, kafka_transaction_send_offsets, struct kafka_transaction *transaction,
    const struct kafka_group *group, struct kafka_offset_list next,
    int timeout_ms, struct error *err)
{
	int64_t offsets[SIM_PARTITIONS] = { -1, -1, -1 };
	struct broker_group of = group->of;
	const struct kafka_consumer *consumer = members[sim_worker()];
	enum broker_answer answer;
	size_t i;

	for (i = 0; i < next.n; i++)
		offsets[next.at[i].partition] = next.at[i].offset;
	sim_travel();
	if (transaction->has_failed)
		return fail_transaction(transaction, false, err);
	if (sim_fault(FAULT_LOST_REQUEST))
		return time_out(transaction, timeout_ms, err);
	if (sim.plan.mutant == MUTANT_METADATA_LATE)
		of = consumer == NULL || consumer->is_lost ||
			consumer->member < 0
		    ? (struct broker_group){ -1, -1 }
		    : (struct broker_group){ consumer->member,
			      consumer->generation };
	if (sim_fault(FAULT_LATE_OFFSETS)) {
		struct sim_late late = { .a = transaction->id,
			.b = transaction->epoch,
			.c = (int64_t)of.member << 16 | of.generation };

		memcpy(late.offsets, offsets, sizeof offsets);
		transaction->events++;
		sim_later((int64_t)sim_draw(LATE_MS), offsets_late, late);
	}
	answer =
	    broker_offsets(transaction->id, transaction->epoch, of, offsets);
	sim_trace("offsets %lld %lld %lld of generation %d: %d",
	    (long long)offsets[0], (long long)offsets[1], (long long)offsets[2],
	    of.generation, (int)answer);
	sim_travel();
	if (answer == BROKER_BUSY)
		return time_out(transaction, RETRY_MS, err);
	if (answer != BROKER_OK)
		return fail_transaction(
		    transaction, answer == BROKER_FENCED, err);
	if (sim_fault(FAULT_LOST_ANSWER))
		return time_out(transaction, timeout_ms, err);
	return 0;
}

/* A copy that comes later, as one that was held up and is sent again. */
static bool
end_is_held(struct kafka_transaction *transaction)
{
	const struct sim_late late = {
		.a = transaction->id, .b = transaction->epoch, .c = 1
	};

	if (sim_fault(FAULT_LATE_END)) {
		transaction->events++; /* its connection was given up */
		sim_later((int64_t)sim_draw(LATE_MS) / 10, end_late, late);
	}
	if (!sim_fault(FAULT_HELD_END))
		return false;
	sim_later((int64_t)sim_draw(LATE_MS), end_late, late);
	return true;
}

WRAP(int, kafka_transaction_commit, struct kafka_transaction *transaction,
    int timeout_ms, struct error *err)
{
	int64_t until = sim.now_ms + timeout_ms;
	enum broker_answer answer = BROKER_BUSY;

	if (transaction->has_failed)
		return fail_transaction(transaction, false, err);
	if (transaction->commits++ == 0)
		transaction->committing_ms = sim.now_ms;
	sim_travel();
	if (end_is_held(transaction) || sim_fault(FAULT_LOST_REQUEST))
		return time_out(transaction, timeout_ms, err);
	while (answer == BROKER_BUSY && sim.now_ms < until) {
		answer = broker_end(transaction->id, transaction->epoch, true);
		if (answer == BROKER_BUSY)
			sim_pause(RETRY_MS);
	}
	sim_travel();
	if (answer == BROKER_BUSY || sim_fault(FAULT_LOST_ANSWER))
		return time_out(transaction, timeout_ms, err);
	transaction->is_slow |=
	    sim.now_ms - transaction->committing_ms > SOCKET_MS;
	sim_trace("commit of %d: %d", transaction->id, (int)answer);
	return answer == BROKER_OK
	    ? 0
	    : fail_transaction(transaction, answer == BROKER_FENCED, err);
}

WRAP(int, kafka_transaction_abort, struct kafka_transaction *transaction,
    int timeout_ms, struct error *err)
{
	sim_travel();
	if (sim.plan.mutant == MUTANT_CLAIM_RELEASED)
		store_release_claims(transaction->runs, transaction->n_runs);
	if (transaction->is_fenced || transaction->commits > 1)
		return error_set(err, ERROR_ABORT, "no abort");
	if (sim_fault(FAULT_LOST_REQUEST))
		return time_out(transaction, timeout_ms, err);
	broker_end(transaction->id, transaction->epoch, false);
	sim_pause(0);
	return 0;
}

WRAP(bool, kafka_transaction_is_suspect, struct kafka_transaction *transaction)
{
	return sim.plan.mutant != MUTANT_REBUILD_OFF &&
	    (transaction->commits > 1 || transaction->is_slow ||
		transaction->events != transaction->events_at_begin);
}

WRAP(bool, kafka_transaction_is_fenced,
    const struct kafka_transaction *transaction)
{
	return transaction->is_fenced;
}

WRAP(int, kafka_transaction_probe, struct kafka_transaction *transaction,
    int timeout_ms, struct error *err)
{
	(void)transaction;
	(void)timeout_ms;
	(void)err;
	return 0;
}

WRAP(void, kafka_transaction_counts,
    const struct kafka_transaction *transaction,
    struct kafka_delivery_counts *counts)
{
	(void)transaction;
	memset(counts, 0, sizeof *counts);
}
