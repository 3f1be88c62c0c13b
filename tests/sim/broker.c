#include <string.h>

#include "common/kafka/client.h"
#include "tests/sim/sim.h"

/*
 * Kafka as far as the protocol leans on it: the request log; a coordinator of
 * transactions for each transactional.id, by epochs, as clients without
 * KIP-890's part 2 see it; the group, eager, by generations; and what was
 * written, each message open, committed or aborted.  A transaction's markers
 * come all at once, some time after it was decided.
 */
#define TRANSACTION_MS 20000 /* transaction.timeout.ms */
#define SESSION_MS 10000
#define JOIN_MS 60000 /* max.poll.interval.ms */
#define MEMBERS_MAX 64

enum state { EMPTY, ONGOING, COMMITTING, COMMITTED, ABORTING, ABORTED };

struct coordinator {
	enum state state;
	int epoch;
	int64_t since_ms;
	int64_t pending[SIM_PARTITIONS]; /* offsets of the transaction; -1 */
};

struct output {
	enum sim_topic topic;
	int id; /* whose transaction */
	enum { OPEN, CLOSING, DONE, GONE } state;
	struct sim_message message;
};

struct member {
	bool is_in, has_joined;
	int worker, generation; /* that it was assigned in; -1 */
	long incarnation;
	int64_t heard_ms;
};

static struct {
	int entries[SIM_PARTITIONS][SIM_LOG];
	int64_t ends[SIM_PARTITIONS];
	int64_t committed[SIM_PARTITIONS];
	struct coordinator coordinators[SIM_WORKERS];
	struct output outputs[SIM_OUTPUTS];
	size_t n_outputs;
	size_t open_from; /* none before it is open */
	struct member members[MEMBERS_MAX];
	int n_members;
	int generation;
	bool is_joining;
	int64_t joining_ms;
} broker;

static int64_t stamps[SIM_PARTITIONS][SIM_LOG];

void
broker_start(void)
{
	size_t i, at;

	memset(&broker, 0, sizeof broker);
	for (i = 0; i < SIM_PARTITIONS; i++) {
		broker.committed[i] = -1;
		for (at = 0; at < SIM_WORKERS; at++)
			broker.coordinators[at].pending[i] = -1;
	}
}

/* Request log -------------------------------------------------------------- */

int64_t
broker_log_end(int partition)
{
	return broker.ends[partition];
}

int64_t
broker_append(int partition, int record)
{
	int64_t offset = broker.ends[partition];

	if (offset == SIM_LOG)
		return -1;
	stamps[partition][offset] = sim_wall_ms();
	broker.entries[partition][broker.ends[partition]++] = record;
	sim_wake_pollers();
	return offset;
}

void
broker_remake(void)
{
	size_t i;

	sim_trace("the request topic is made anew");
	for (i = 0; i < SIM_PARTITIONS; i++) {
		broker.ends[i] = 0;
		broker.committed[i] = -1;
	}
}

int
broker_entry(int partition, int64_t offset)
{
	return broker.entries[partition][offset];
}

int64_t
broker_offset_at(int partition, int64_t time_ms)
{
	int64_t offset = 0;

	while (offset < broker.ends[partition] &&
	    stamps[partition][offset] < time_ms)
		offset++;
	return offset;
}

/* Transactions ------------------------------------------------------------- */

/* Its messages are seen from now on, or never. */
static void
close_messages(int id, bool commit)
{
	size_t i;

	for (i = broker.open_from; i < broker.n_outputs; i++) {
		struct output *output = &broker.outputs[i];

		if (output->id != id || output->state != OPEN)
			continue;
		output->state = commit ? CLOSING : GONE;
		if (commit)
			check_message(output->topic, &output->message);
	}
}

static void
move_offsets(struct coordinator *coordinator, bool commit)
{
	size_t i;

	for (i = 0; i < SIM_PARTITIONS; i++) {
		if (commit && coordinator->pending[i] >= 0) {
			check_offset((int)i, broker.committed[i],
			    coordinator->pending[i]);
			broker.committed[i] = coordinator->pending[i];
		}
		coordinator->pending[i] = -1;
	}
}

/* What the transaction has written is decided, and its offsets move. */
static void
write_markers(int id, bool commit)
{
	size_t i;

	sim_trace(
	    "transaction of %d is %s", id, commit ? "committed" : "aborted");
	close_messages(id, commit);
	move_offsets(&broker.coordinators[id], commit);
	for (i = broker.open_from; i < broker.n_outputs; i++) {
		struct output *output = &broker.outputs[i];

		if (output->state != CLOSING)
			continue;
		check_covered(&output->message);
		output->state = DONE;
	}
	while (broker.open_from < broker.n_outputs &&
	    broker.outputs[broker.open_from].state != OPEN)
		broker.open_from++;
	broker.coordinators[id].state = commit ? COMMITTED : ABORTED;
	sim.report->commits += commit;
	sim.report->aborts += !commit;
}

static void
end_later(const struct sim_late *late)
{
	if (broker.coordinators[late->a].state == COMMITTING)
		write_markers(late->a, true);
	else if (broker.coordinators[late->a].state == ABORTING)
		write_markers(late->a, false);
}

static void
decide(int id, bool commit)
{
	int64_t ms = sim_fault(FAULT_SLOW_MARKERS)
	    ? 1000 + (int64_t)sim_draw(15000)
	    : (int64_t)sim_draw(4);

	broker.coordinators[id].state = commit ? COMMITTING : ABORTING;
	if (ms == 0)
		end_later(&(struct sim_late){ .a = id });
	else
		sim_later(ms, end_later, (struct sim_late){ .a = id });
}

enum broker_answer
broker_init(int id, int *epoch)
{
	struct coordinator *coordinator = &broker.coordinators[id];

	switch (coordinator->state) {
	case ONGOING: /* the predecessor's is aborted, by another epoch */
		coordinator->epoch += sim.plan.mutant != MUTANT_NO_FENCING;
		decide(id, false);
		return BROKER_BUSY;
	case COMMITTING:
	case ABORTING:
		return BROKER_BUSY;
	case EMPTY:
	case COMMITTED:
	case ABORTED:
		break;
	}
	coordinator->epoch += sim.plan.mutant != MUTANT_NO_FENCING;
	coordinator->state = EMPTY;
	*epoch = coordinator->epoch;
	return BROKER_OK;
}

/* Adds to the transaction, which begins with what is added first. */
static enum broker_answer
enter_transaction(int id, int epoch)
{
	struct coordinator *coordinator = &broker.coordinators[id];

	if (epoch != coordinator->epoch)
		return BROKER_FENCED;
	if (coordinator->state == COMMITTING || coordinator->state == ABORTING)
		return BROKER_BUSY;
	if (coordinator->state != ONGOING) {
		coordinator->state = ONGOING;
		coordinator->since_ms = sim.now_ms;
	}
	return BROKER_OK;
}

enum broker_answer
broker_produce(
    int id, int epoch, enum sim_topic topic, const struct sim_message *message)
{
	enum broker_answer answer = enter_transaction(id, epoch);
	struct output *output = &broker.outputs[broker.n_outputs];

	if (answer != BROKER_OK || broker.n_outputs == SIM_OUTPUTS)
		return answer;
	broker.n_outputs++;
	*output = (struct output){ topic, id, OPEN, *message };
	if (sim.plan.mutant == MUTANT_BUILD_OUTSIDE && topic == SIM_BUILDS) {
		output->state = DONE;
		check_message(topic, message);
	}
	return BROKER_OK;
}

enum broker_answer
broker_offsets(int id, int epoch, struct broker_group of, const int64_t *next)
{
	enum broker_answer answer = enter_transaction(id, epoch);
	size_t i;

	if (answer != BROKER_OK)
		return answer;
	/* Without a member and a generation Kafka takes them from anybody. */
	if (of.member >= 0 &&
	    (!broker_has_member(of.member) ||
		of.generation != broker.generation))
		return BROKER_REFUSED;
	for (i = 0; i < SIM_PARTITIONS; i++) {
		if (next[i] < 0)
			continue;
		if (sim.plan.mutant == MUTANT_OFFSETS_EARLY) {
			check_offset((int)i, broker.committed[i], next[i]);
			broker.committed[i] = next[i];
		} else {
			broker.coordinators[id].pending[i] = next[i];
		}
	}
	return BROKER_OK;
}

enum broker_answer
broker_end(int id, int epoch, bool commit)
{
	const struct coordinator *coordinator = &broker.coordinators[id];

	if (epoch != coordinator->epoch)
		return BROKER_FENCED;
	switch (coordinator->state) {
	case ONGOING:
		decide(id, commit);
		return BROKER_OK;
	case COMMITTING:
		return commit ? BROKER_BUSY : BROKER_INVALID;
	case COMMITTED: /* said before: the answer was lost */
		return commit ? BROKER_OK : BROKER_INVALID;
	case ABORTING:
	case ABORTED:
		return commit ? BROKER_INVALID : BROKER_OK;
	case EMPTY:
		break;
	}
	return BROKER_INVALID;
}

int64_t
broker_committed_now(int partition)
{
	return broker.committed[partition];
}

bool
broker_committed(int partition, int64_t *offset)
{
	size_t i;

	for (i = 0; i < SIM_WORKERS; i++)
		if (broker.coordinators[i].pending[partition] >= 0 &&
		    sim.plan.mutant != MUTANT_UNSTABLE_BELIEVED)
			return false;
	*offset = broker.committed[partition];
	return true;
}

bool
broker_is_quiet(void)
{
	size_t i;

	for (i = 0; i < SIM_WORKERS; i++)
		if (broker.coordinators[i].state == ONGOING ||
		    broker.coordinators[i].state == COMMITTING ||
		    broker.coordinators[i].state == ABORTING)
			return false;
	return true;
}

bool
broker_output(size_t i, enum sim_topic *topic, struct sim_message *message,
    bool *committed)
{
	if (i >= broker.n_outputs)
		return false;
	*topic = broker.outputs[i].topic;
	*message = broker.outputs[i].message;
	*committed = broker.outputs[i].state == DONE;
	return true;
}

/* Group -------------------------------------------------------------------- */

void
broker_rebalance(void)
{
	int i;

	if (broker.is_joining)
		return;
	broker.is_joining = true;
	broker.joining_ms = sim.now_ms;
	for (i = 0; i < broker.n_members; i++)
		broker.members[i].has_joined = false;
	sim_trace("the group joins anew");
}

int
broker_join(int worker, long incarnation)
{
	int member = broker.n_members;

	if (member == MEMBERS_MAX) /* numbers of those that are gone */
		for (member = 0; broker.members[member].is_in;)
			member++;
	else
		broker.n_members++;
	broker_rebalance();
	broker.members[member] =
	    (struct member){ true, true, worker, -1, incarnation, sim.now_ms };
	return member;
}

void
broker_leave(int member)
{
	if (!broker_has_member(member))
		return;
	broker.members[member].is_in = false;
	broker_rebalance();
}

bool
broker_has_member(int member)
{
	return member >= 0 && broker.members[member].is_in;
}

bool
broker_wants(int member)
{
	return broker.is_joining && broker_has_member(member) &&
	    !broker.members[member].has_joined;
}

void
broker_rejoin(int member)
{
	broker.members[member].has_joined = true;
}

/* All have joined, or it took too long. */
static void
end_joining(void)
{
	int i;

	for (i = 0; i < broker.n_members; i++) {
		struct member *member = &broker.members[i];

		if (member->is_in && !member->has_joined &&
		    sim.now_ms - broker.joining_ms < JOIN_MS)
			return;
	}
	broker.is_joining = false;
	broker.generation++;
	sim.report->rebalances++;
	for (i = 0; i < broker.n_members; i++) {
		struct member *member = &broker.members[i];

		member->is_in &= member->has_joined;
		member->generation = member->is_in ? broker.generation : -1;
	}
	sim_trace("the group is in generation %d", broker.generation);
}

/* Range: partitions to members in order, some get none. */
int
broker_assignment(int member, bool owned[SIM_PARTITIONS])
{
	int i, n = 0, number = 0;

	memset(owned, 0, SIM_PARTITIONS * sizeof *owned);
	if (broker.is_joining || !broker_has_member(member))
		return -1;
	for (i = 0; i < broker.n_members; i++) {
		number += broker.members[i].is_in && i < member;
		n += broker.members[i].is_in;
	}
	for (i = 0; i < sim.partitions; i++)
		owned[i] = (i + broker.generation) % n == number;
	return broker.members[member].generation;
}

/* Sessions, and transactions that take too long. */
void
broker_tick(void)
{
	int i;

	for (i = 0; i < broker.n_members; i++) {
		struct member *member = &broker.members[i];

		if (!member->is_in)
			continue;
		if (sim_worker_lives(member->worker, member->incarnation) &&
		    sim_worker_moves(member->worker))
			member->heard_ms = sim.now_ms;
		else if (sim.now_ms - member->heard_ms > SESSION_MS) {
			sim_trace("member %d is given up", i);
			broker_leave(i);
		}
	}
	if (broker.is_joining)
		end_joining();
	for (i = 0; i < SIM_WORKERS; i++) {
		struct coordinator *coordinator = &broker.coordinators[i];

		if (coordinator->state != ONGOING ||
		    sim.now_ms - coordinator->since_ms <= TRANSACTION_MS)
			continue;
		sim_trace("transaction of %d takes too long", i);
		coordinator->epoch++;
		decide(i, false);
	}
}
