#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

/*
 * The load, and what must hold of what comes of it: G1 to G5 of
 * docs/delivery.md, section 1, by what is committed alone.
 */
#define LOAD_ONE_IN 25
#define USERS 2
#define TOLD_MS 20000

struct sim_record sim_records[SIM_RECORDS];
struct sim_request sim_requests[SIM_RECORDS];
int sim_n_records, sim_n_requests;
static int first_record; /* of this life of the topic */

/* Load --------------------------------------------------------------------- */

struct sim_record *
sim_record_at(int partition, int64_t offset)
{
	int number = broker_entry(partition, offset);

	return number < 0 ? NULL : &sim_records[number];
}

static int
new_request(void)
{
	struct sim_request *request = &sim_requests[sim_n_requests];

	memset(request, 0, sizeof *request);
	request->schedule_number = (int)sim_draw((uint64_t)sim.schedules);
	request->first = request->holder = request->damaged = -1;
	request->old_offset = -1;
	snprintf(request->id, sizeof request->id, "r%d", sim_n_requests);
	snprintf(request->schedule, sizeof request->schedule,
	    "ri.scheduler.main.schedule.s%d", request->schedule_number);
	return sim_n_requests++;
}

/* A new one mostly; else one of the last, or any. */
static int
choose_request(void)
{
	uint64_t n = (uint64_t)sim_n_requests;

	if (n == 0 || !sim_one_in(4))
		return new_request();
	return (
	    int)(sim_one_in(2) ? sim_draw(n) : n - 1 - sim_draw(n < 5 ? n : 5));
}

static void
add_record(void)
{
	struct sim_record *record = &sim_records[sim_n_records];
	struct sim_request *request = NULL;
	int partition = (int)sim_draw((uint64_t)sim.partitions);

	*record =
	    (struct sim_record){ .request = -1, .timestamp_ms = sim_wall_ms() };
	if (!sim_one_in(20)) {
		record->request = choose_request();
		request = &sim_requests[record->request];
		partition = request->schedule_number % sim.partitions;
		record->by = request->first >= 0 && sim_one_in(6);
	}
	if (request != NULL && request->first >= 0 && sim.has_cross &&
	    sim_one_in(3)) {
		partition = (partition + 1 +
				(int)sim_draw((uint64_t)sim.partitions - 1)) %
		    sim.partitions;
		request->is_crossed = true;
	}
	if (sim_fault(FAULT_UNTOLD_SCHEMA))
		record->told_ms = sim.now_ms + (int64_t)sim_draw(TOLD_MS);
	record->partition = partition;
	record->offset = broker_append(partition, sim_n_records);
	if (record->offset < 0)
		return;
	if (request != NULL && request->first < 0)
		request->first = sim_n_records;
	sim_n_records++;
	sim_trace("record %d:%lld of request %d by %d", partition,
	    (long long)record->offset, record->request, record->by);
}

void
sim_add_load(void)
{
	if (!sim_one_in(LOAD_ONE_IN) || sim_n_records == SIM_RECORDS)
		return;
	do
		add_record();
	while (sim_one_in(2) && sim_n_records < SIM_RECORDS);
	if (sim_fault(FAULT_MARKER))
		broker_append((int)sim_draw((uint64_t)sim.partitions), -1);
}

/* Checks ------------------------------------------------------------------- */

/* Where the claims of two partitions are lost only G4 is promised (H1). */
static bool
is_residue(const struct sim_request *request)
{
	return request->is_crossed && sim.report->losses > 0;
}

static void
check_result(struct sim_record *record, const struct sim_message *message)
{
	struct sim_request *request = &sim_requests[record->request];

	record->results++;
	record->is_crashed |= message->crashed;
	if (record->results > 1)
		sim_violate("G2", "record %d:%lld has two results",
		    record->partition, (long long)record->offset);
	if (request->has_run &&
	    memcmp(&request->run, &message->run, sizeof message->run) != 0)
		sim_violate(
		    "G4", "request %s has results of two rids", request->id);
	request->run = message->run;
	request->has_run = true;
	if (message->damage) {
		if (request->damaged < 0)
			request->damaged = message->record;
		request->damaged_by |= 1 << record->by;
		return;
	}
	if (request->results++ == 0)
		request->holder = message->record;
	else if (is_residue(request))
		sim.report->twice++;
	else
		sim_violate("G3",
		    "request %s has two results, of records %d:%lld and "
		    "%d:%lld",
		    request->id, sim_records[request->holder].partition,
		    (long long)sim_records[request->holder].offset,
		    record->partition, (long long)record->offset);
	if (!request->is_crossed && request->old_offset < 0 &&
	    request->damaged < 0 && message->record != request->first)
		sim_violate("G3",
		    "request %s has its result of record %d:%lld, not of its "
		    "first",
		    request->id, record->partition, (long long)record->offset);
}

void
check_message(enum sim_topic topic, const struct sim_message *message)
{
	struct sim_record *record = &sim_records[message->record];

	switch (topic) {
	case SIM_RESULTS:
		check_result(record, message);
		break;
	case SIM_BUILDS:
		if (++record->builds > 1)
			sim_violate("G2", "record %d:%lld has two builds",
			    record->partition, (long long)record->offset);
		break;
	case SIM_LETTERS:
		record->is_crashed |= message->crashed;
		if (++record->letters > 1)
			sim_violate("G2", "record %d:%lld has two letters",
			    record->partition, (long long)record->offset);
		break;
	}
}

/* Dropped rightly: another record of its request speaks for it. */
static bool
is_dropped(const struct sim_record *record)
{
	const struct sim_request *request = &sim_requests[record->request];

	/* By a claim of the topic's old life: docs/delivery.md, section 7. */
	if (request->old_offset >= 0 &&
	    (request->old_offset < record->offset || request->is_crossed))
		return true;
	/* It may come yet: whether it does is asked last. */
	if (request->is_crossed && sim.plan.mutant == MUTANT_CROSS_TRUSTED)
		return true;
	/* Who asks otherwise is buried, but where both were answered (H1). */
	if (request->is_crossed &&
	    (request->results > 0 || request->damaged >= 0))
		return true;
	return (request->results > 0 &&
		   sim_records[request->holder].by == record->by) ||
	    (request->damaged_by >> record->by & 1) != 0;
}

static void
check_record(const struct sim_record *record)
{
	int n = record->results + record->letters;

	if (n == 0 && (record->request < 0 || !is_dropped(record)))
		sim_violate("G1",
		    "record %d:%lld is committed and has no result, no letter, "
		    "and none speaks for it",
		    record->partition, (long long)record->offset);
	if (n > 1 && !record->is_crashed)
		sim_violate("G2", "record %d:%lld has a result and a letter",
		    record->partition, (long long)record->offset);
}

void
check_offset(int partition, int64_t from, int64_t next)
{
	int64_t offset;

	sim_trace("offset of %d moves from %lld to %lld", partition,
	    (long long)from, (long long)next);
	if (next < from || next > broker_log_end(partition))
		sim_violate("G1",
		    "the offset of partition %d moves from %lld to %lld, the "
		    "log ends at %lld",
		    partition, (long long)from, (long long)next,
		    (long long)broker_log_end(partition));
	for (offset = from < 0 ? 0 : from; offset < next; offset++)
		if (broker_entry(partition, offset) >= 0)
			check_record(sim_record_at(partition, offset));
}

void
check_covered(const struct sim_message *message)
{
	const struct sim_record *record = &sim_records[message->record];
	bool submitted = record->builds > 0;

	if (broker_committed_now(record->partition) <= record->offset)
		sim_violate("G2",
		    "record %d:%lld has a result that is committed without its "
		    "offset",
		    record->partition, (long long)record->offset);
	if (submitted != message->submitted)
		sim_violate("G2",
		    "record %d:%lld has its result without its build, or the "
		    "reverse",
		    record->partition, (long long)record->offset);
}

/* Results of a schedule stand in the order of its requests. */
static void
check_order(void)
{
	int64_t last[SIM_PARTITIONS][8];
	enum sim_topic topic;
	struct sim_message message;
	bool committed;
	size_t i;

	memset(last, 0xff, sizeof last);
	for (i = 0; broker_output(i, &topic, &message, &committed); i++) {
		const struct sim_record *record = &sim_records[message.record];
		int64_t *before;

		if (!committed || topic != SIM_RESULTS ||
		    message.record < first_record)
			continue;
		before = &last[record->partition]
			      [sim_requests[record->request].schedule_number];
		if (record->offset < *before)
			sim_violate("G5",
			    "the result of record %d:%lld stands behind that "
			    "of a later one",
			    record->partition, (long long)record->offset);
		*before = record->offset;
	}
}

void
check_end(void)
{
	int i;

	for (i = first_record; i < sim_n_records; i++)
		check_record(&sim_records[i]);
	for (i = 0; i < sim_n_requests; i++)
		if (sim_requests[i].first >= 0 &&
		    sim_requests[i].results == 0 &&
		    sim_requests[i].damaged < 0 &&
		    sim_requests[i].old_offset < 0)
			sim_violate("G1", "request %s has no result",
			    sim_requests[i].id);
	check_order();
}

/* The lowest one's claim is what a repair has taken. */
static void
note_old(struct sim_request *request, int record)
{
	int64_t offset = sim_records[record].offset;

	if (request->old_offset < 0 || offset < request->old_offset)
		request->old_offset = offset;
}

void
check_remake(void)
{
	int i;

	first_record = sim_n_records;
	for (i = 0; i < sim_n_requests; i++) {
		struct sim_request *request = &sim_requests[i];

		if (request->holder >= 0)
			note_old(request, request->holder);
		if (request->damaged >= 0)
			note_old(request, request->damaged);
		request->first = request->holder = request->damaged = -1;
		request->results = request->damaged_by = 0;
	}
}
