#include "worker/pipeline/internal.h"

#include <assert.h>

#include "common/base/log.h"
#include "worker/base/watchdog.h"

/* Partitions came: what Redis's marks must prove begins at what is committed.
 */
int
pipeline_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct pipeline *p = opaque;
	size_t i;

	assert(n <= INTAKE_PARTITIONS_MAX);
	for (i = 0; i < n; i++)
		p->intake.owned[i] = (struct owned){
			.partition = positions[i].partition,
			.expected = positions[i].committed,
			.next = positions[i].offset,
			.ended = -1,
			.end = -1,
		};
	p->intake.n_owned = n;
	metrics_add(p->metrics, WORKER_REBALANCES, REBALANCE_ASSIGN, 1);
	metrics_set(p->metrics, WORKER_ASSIGNED, 0, (double)n);
	log_event(LOG_INFO, "kafka", "partitions_assigned",
	    "partitions were assigned", LOG_I("partitions", n), LOG_END);
	return 0;
}

/* A batch that stage B is through with comes back; true if it was lost. */
bool
pipeline_collect(struct pipeline *p)
{
	bool lost = false;
	struct batch *batch = committer_take(p->committer, &lost);

	if (batch == NULL)
		return false;
	/* What was dropped is read again before anything behind it. */
	p->intake.dropped_ms =
	    lost ? batch_earlier(p->intake.dropped_ms, p->intake.given_ms) : 0;
	p->intake.given_ms = 0;
	batch_reset(batch);
	p->spare[p->n_spare++] = batch;
	return lost;
}

void
pipeline_revoked(void *opaque, bool lost)
{
	struct pipeline *p = opaque;
	size_t i;

	if (!committer_revoke(p->committer, lost, REVOKE_MS))
		log_event(LOG_WARN, "kafka", "revoke_overdue",
		    "the transaction did not end in time: fencing decides",
		    LOG_END);
	pipeline_collect(p);
	p->intake.revoked = true;
	for (i = 0; i < p->intake.n_owned; i++)
		metrics_hide(p->metrics, WORKER_LAG,
		    (size_t)p->intake.owned[i].partition);
	p->intake.n_owned = 0;
	p->intake.dropped_ms = p->unread_ms = 0;
	metrics_add(p->metrics, WORKER_REBALANCES,
	    lost ? REBALANCE_LOST : REBALANCE_REVOKE, 1);
	metrics_set(p->metrics, WORKER_ASSIGNED, 0, 0);
	log_event(LOG_INFO, "kafka", "partitions_revoked",
	    "the partitions are gone", LOG_I("lost", lost), LOG_END);
}

/*
 * Reading goes on somewhere else.  Further back: the topic was made anew, and
 * nothing of it is proved yet.
 */
void
pipeline_moved(
    void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct pipeline *p = opaque;
	struct owned *owned = intake_owned(&p->intake, partition);

	(void)topic;
	if (owned == NULL)
		return;
	owned->ended = -1; /* it was the end of another log */
	if (offset < owned->next)
		owned->next = offset;
	if (offset >= owned->expected)
		return;
	owned->expected = -1;
	owned->is_checked = false;
}

/* Behind all records that are there: what lies between is none. */
void
pipeline_ended(
    void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct pipeline *p = opaque;
	struct owned *owned = intake_owned(&p->intake, partition);

	(void)topic;
	if (owned != NULL)
		owned->ended = offset;
}

/* Only one that is ahead of what is committed can be above the log's end. */
static int
check_mark(struct pipeline *p, struct owned *owned, struct error *err)
{
	int64_t mark, start, end;

	if (marks_read(&p->intake.marks, owned->partition, &mark, err) != 0)
		return -1;
	if (mark > owned->expected) {
		if (kafka_consumer_range(p->intake.consumer, p->intake.topic,
			owned->partition, &start, &end, KAFKA_CALL_MS,
			err) != 0)
			return 0; /* Kafka is away: at the next batch again */
		if (mark > end) {
			log_event(LOG_WARN, "redis", "mark_reset",
			    "Redis says more of a partition than it holds: the "
			    "topic was made anew, or the mark is damaged",
			    LOG_S("topic", p->intake.topic),
			    LOG_I("partition", owned->partition),
			    LOG_I("mark", mark), LOG_I("offset", end), LOG_END);
			if (marks_write(&p->intake.marks, owned->partition, -1,
				err) != 0)
				return -1;
		}
	}
	owned->is_checked = true;
	return 0;
}

int
pipeline_check_marks(struct pipeline *p, struct error *err)
{
	size_t i;

	for (i = 0; i < p->intake.n_owned; i++) {
		struct owned *owned = &p->intake.owned[i];

		if (p->is_distrusted &&
		    marks_write(&p->intake.marks, owned->partition, -1, err) !=
			0)
			return -1;
		if (!owned->is_checked && check_mark(p, owned, err) != 0)
			return -1;
	}
	if (p->intake.n_owned > 0)
		p->is_distrusted = false;
	return 0;
}

/* Records that were read and dropped must be read again. */
static int
seek_to_expected(struct pipeline *p, struct error *err)
{
	size_t i;

	for (i = 0; i < p->intake.n_owned; i++) {
		const struct owned *owned = &p->intake.owned[i];
		struct kafka_offset place = { owned->partition,
			owned->expected };
		int64_t end;

		if (place.offset < 0 &&
		    kafka_consumer_range(p->intake.consumer, p->intake.topic,
			place.partition, &place.offset, &end, KAFKA_CALL_MS,
			err) != 0)
			return -1;
		if (intake_seek(&p->intake, place, err) != 0)
			return -1;
		p->intake.owned[i].next = place.offset;
	}
	return 0;
}

int
pipeline_reread(struct pipeline *p, struct error *err)
{
	int rc;

	watchdog_enter(WATCHDOG_INTAKE, "seek", INTAKE_GUARD_MS);
	rc = seek_to_expected(p, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (rc == 0)
		p->is_astray = false;
	return rc;
}

int
pipeline_resume(struct pipeline *p, struct error *err)
{
	if (p->is_astray && pipeline_reread(p, err) != 0)
		return -1;
	return kafka_consumer_resume(p->intake.consumer, err);
}

/* A record that came although nothing may be read is read again later. */
static int
put_back(struct pipeline *p, struct kafka_record *record, struct error *err)
{
	struct kafka_offset place = { record->partition, record->offset };

	kafka_records_release(record, 1);
	if (intake_owned(&p->intake, place.partition) == NULL)
		return 0;
	if (intake_seek(&p->intake, place, err) == 0)
		return 0;
	p->is_astray = true; /* and must not be resumed as it is */
	return -1;
}

enum intake_event
pipeline_poll_paused(struct pipeline *p, int timeout_ms, struct error *err)
{
	struct kafka_record record;
	int n;

	if (!kafka_consumer_is_paused(p->intake.consumer) &&
	    kafka_consumer_pause(p->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? INTAKE_FATAL : INTAKE_NOTHING;
	p->intake.revoked = false;
	watchdog_enter(WATCHDOG_INTAKE, "poll", INTAKE_GUARD_MS);
	n = kafka_consumer_poll(
	    p->intake.consumer, &record, 1, timeout_ms, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (n > 0)
		n = put_back(p, &record, err);
	if (n < 0 && err->kind == ERROR_FATAL)
		return INTAKE_FATAL;
	return p->intake.revoked ? INTAKE_REVOKED : INTAKE_NOTHING;
}
