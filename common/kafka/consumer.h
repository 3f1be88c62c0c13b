#ifndef SCHEDRUN_COMMON_KAFKA_CONSUMER_H
#define SCHEDRUN_COMMON_KAFKA_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/kafka/client.h"

/*
 * Reads Kafka, read_committed, either as a member of a group or from places
 * that the caller names.  It commits nothing by itself: offsets move in
 * transactions (kafka_transaction), by kafka_consumer_commit where there is no
 * answer to go with them, or are kept elsewhere.  One thread per consumer, but
 * for kafka_consumer_wake and kafka_records_release, which any thread may call.
 * Source: docs/delivery.md, sections 4, 8 and 9.
 */
struct kafka_consumer;
struct kafka_group; /* generation and member id at one moment */

/* Texts are borrowed from librdkafka until the record is released. */
struct kafka_record {
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms; /* -1: none */
	struct text key;      /* `at == NULL`: null */
	struct text value;    /* `at == NULL`: null */
	void *handle;         /* ours */
};

#define KAFKA_OFFSET_BEGINNING (-2)
#define KAFKA_OFFSET_END (-1)

/* A partition that was assigned. */
struct kafka_position {
	const char *topic;
	int32_t partition;
	int64_t committed; /* the group's; -1: none */
	int64_t offset;    /* where reading starts: committed, else log start */
};

/*
 * What happens to the assignment, told from within kafka_consumer_poll and
 * kafka_consumer_close on the thread that calls them.  Eager: an assignment is
 * always whole, and revoked whole before the next.  Any may be NULL.
 */
struct kafka_consumer_events {
	/*
	 * Partitions came; `offset` may be changed (an offset, or
	 * KAFKA_OFFSET_BEGINNING or _END).  Returning -1 means "not now": asked
	 * again by the next poll, nothing is read meanwhile.  May be asked
	 * again also after 0, if Kafka does not answer.
	 */
	int (*assigned)(
	    void *opaque, struct kafka_position *positions, size_t n);
	/*
	 * All partitions go when this returns; finish or abort what is open.
	 * `lost`: they are gone already, never commit.
	 */
	void (*revoked)(void *opaque, bool lost);
	/*
	 * Reading goes on at `offset`, since what was to be read is gone: the
	 * topic was made anew (then offsets go back), or retention removed it.
	 * What was read before the move has been returned by then.
	 */
	void (*moved)(
	    void *opaque, const char *topic, int32_t partition, int64_t offset);
	/*
	 * The partition has no record before `offset` but those that poll has
	 * returned or is going to return now: its end, each time it is reached.
	 * Offsets up to there that had no record are markers of transactions
	 * and records of aborted ones.  The poll returns after it even if no
	 * record came.
	 */
	void (*ended)(
	    void *opaque, const char *topic, int32_t partition, int64_t offset);
	void *opaque;
};

struct kafka_consumer_options {
	struct kafka_settings settings;
	const char *group; /* NULL: kafka_consumer_assign only */
	/*
	 * Records that retention removed before they were read: go on at the
	 * log's start and log how many, else ERROR_FATAL (65).
	 */
	bool accept_loss;
	/*
	 * What librdkafka reads ahead, in KiB of records, which take some four
	 * times as much memory; 0: 8192.  Once that is full 2.0.2 looks only
	 * now and then whether it may fetch again, so the less, the slower.
	 */
	int queue_kib;
	/* Records of open and aborted transactions too: to look at only. */
	bool uncommitted;
	/*
	 * How often to look for new partitions, and for topics that were not
	 * there when the group was joined; 0: librdkafka's 5 min.
	 */
	int refresh_ms;
	/* How long the broker may wait for more records before it says that a
	 * partition ends; 0: librdkafka's 500 ms. */
	int end_wait_ms;
	struct kafka_consumer_events events;
};

/*
 * Connects in the background: a broker that is down is no error here.  NULL
 * with ERROR_FATAL (78) for a property that librdkafka refuses.
 */
struct kafka_consumer *kafka_consumer_create(
    const struct kafka_consumer_options *options, struct error *err);

/*
 * Leaves the group (revoked is told) and gives back all memory, within about
 * `timeout_ms`.  All records and groups must be released before.  -1: it hangs
 * (librdkafka 2.0 can) and was left behind, the process should end.
 */
int kafka_consumer_close(struct kafka_consumer *consumer, int timeout_ms);

/*
 * Whether each of these topics exists.  -1: ERROR_RETRY; with the exit code 78
 * it names one that does not, else there was no answer.  Blocks.
 */
int kafka_consumer_find(struct kafka_consumer *consumer,
    const char *const *topics, size_t n, int timeout_ms, struct error *err);

/*
 * end_wait_ms of who asks kafka_consumer_lacks: a broker answers what is asked
 * on a connection in order, so a fetch that waits holds each question up.
 */
#define KAFKA_LOOKING_WAIT_MS 50

/*
 * Whether one of these topics is away as of the last look, each second (the
 * exit code is 78), or a right to read is missing (77), and which: of either
 * poll tells once, or now and then, and to one member.  Or two looks had no
 * answer (0).  Blocks for up to 1 s.
 */
bool kafka_consumer_lacks(struct kafka_consumer *consumer,
    const char *const *topics, size_t n, struct error *why);

/* Joins the group for these topics; assignments come through poll. */
int kafka_consumer_subscribe(struct kafka_consumer *consumer,
    const char *const *topics, size_t n, struct error *err);

/* Where explicit reading starts. */
struct kafka_start {
	const char *topic;
	int32_t partition;
	enum kafka_from {
		KAFKA_FROM_OFFSET,
		KAFKA_FROM_BEGINNING,
		KAFKA_FROM_END,
		KAFKA_FROM_TIME
	} from;
	int64_t at; /* the offset, or Unix time in ms */
};

/*
 * Reads these partitions without a group; replaces what was assigned before.
 * All starts are resolved to offsets before it returns ("end" is the end at
 * this moment).  ERROR_RETRY: no answer within `timeout_ms`; ERROR_INPUT: no
 * such topic or partition.  Blocks.
 */
int kafka_consumer_assign(struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int timeout_ms,
    struct error *err);

/* Members of a group, of any program; -1: ERROR_RETRY.  Blocks. */
int kafka_consumer_members(struct kafka_consumer *consumer, const char *group,
    int timeout_ms, struct error *err);

/* As kafka_producer_cluster_id.  Any thread.  Does not block. */
void kafka_consumer_cluster_id(
    struct kafka_consumer *consumer, char *id, size_t size);

/* Partitions of a topic; 0: there is no such topic; -1: ERROR_RETRY.  Blocks.
 */
int32_t kafka_consumer_partitions(struct kafka_consumer *consumer,
    const char *topic, int timeout_ms, struct error *err);

/*
 * Waits up to `timeout_ms` for a first record, then takes what is there
 * without waiting, at most `max`.  Returns how many, 0 if none came (or after
 * kafka_consumer_wake), or -1; what was read before an error is returned first.
 * Records of a partition come in order; one that was returned before is never
 * returned again, but after a seek or assignment.  Also serves all events, so
 * it must be called at least each second, paused or not.
 *   ERROR_RETRY  Kafka does not answer; go on polling (logged by the caller)
 *   ERROR_ABORT  membership is lost (max.poll.interval.ms): drop what was
 *                read, go on polling
 *   ERROR_FATAL  65 records lost, 75 fenced instance, 77 credentials or ACL
 */
int kafka_consumer_poll(struct kafka_consumer *consumer,
    struct kafka_record *records, size_t max, int timeout_ms,
    struct error *err);

/* Ends a poll that waits, or the next one, early.  Any thread. */
void kafka_consumer_wake(struct kafka_consumer *consumer);

/* Gives the texts of `n` records back.  Any thread. */
void kafka_records_release(struct kafka_record *records, size_t n);

/*
 * The i-th header of a record in its order; false if there are no more.
 * Borrowed like the record's texts.
 */
bool kafka_record_header(
    const struct kafka_record *record, size_t i, struct kafka_header *header);

/*
 * Pauses or resumes all partitions, also those assigned later.  Records that
 * were read ahead are fetched again after a resume; none is skipped.
 */
int kafka_consumer_pause(struct kafka_consumer *consumer, struct error *err);
int kafka_consumer_resume(struct kafka_consumer *consumer, struct error *err);
bool kafka_consumer_is_paused(const struct kafka_consumer *consumer);

/*
 * Reads no more of one assigned partition until it is let go, or assigned anew,
 * whatever all are.  What was read ahead of it comes again after a seek, which
 * is the caller's.  ERROR_ABORT: the partition is not assigned any more.
 */
int kafka_consumer_hold(struct kafka_consumer *consumer, const char *topic,
    int32_t partition, bool held, struct error *err);

/*
 * Goes back (or on) to `offset` of an assigned partition; the next record of it
 * that poll returns is the first at or after it.  ERROR_RETRY: not done within
 * `timeout_ms`, repeat; ERROR_ABORT: the partition is not assigned any more.
 */
int kafka_consumer_seek(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset place, int timeout_ms, struct error *err);

/*
 * The group's committed offsets, asked for anew: `places` come with their
 * partitions and get their offsets; -1: none.  While a transaction of the group
 * is undecided the answer waits for it.  ERROR_RETRY: not known yet, repeat.
 * Blocks for up to 1 s.
 */
int kafka_consumer_committed(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset *places, size_t n, struct error *err);

/*
 * Sends the group's offset of an assigned partition, before which all is dealt
 * with, and doesn't wait: if it is lost, what it stands for is read again.
 * ERROR_ABORT: not a member any more.
 */
int kafka_consumer_commit(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset place, struct error *err);

/* Whether the group has assigned partitions (or none, as a standby). */
bool kafka_consumer_is_joined(const struct kafka_consumer *consumer);

/*
 * The group's generation now.  Take it when a batch is cut, never when its
 * offsets are sent (docs/delivery.md, section 9).  The caller destroys it, from
 * any thread.  NULL with ERROR_ABORT: not a member.
 */
struct kafka_group *kafka_consumer_group(
    struct kafka_consumer *consumer, struct error *err);
void kafka_group_destroy(struct kafka_group *group); /* NULL is fine */

/* For kafka_transaction. */
struct rd_kafka_consumer_group_metadata_s;
const struct rd_kafka_consumer_group_metadata_s *kafka_group_metadata(
    const struct kafka_group *group);

/*
 * Log start and end of a partition: the last stable offset, or with
 * `uncommitted` the log's own end.  Blocks.
 */
struct kafka_partition {
	const char *topic;
	int32_t partition;
};
struct kafka_range {
	int64_t start, end;
};
int kafka_consumer_range(struct kafka_consumer *consumer,
    struct kafka_partition of, struct kafka_range *range, int timeout_ms,
    struct error *err);

/*
 * The last known end of an assigned partition, open transactions included, from
 * the latest fetch: without asking the broker; -1: not known.
 */
int64_t kafka_consumer_end(const struct kafka_consumer *consumer,
    const char *topic, int32_t partition);

/*
 * The first offset whose timestamp is not before `time_ms`; the log's end if
 * there is none.  Blocks.
 */
int kafka_consumer_offset_at(struct kafka_consumer *consumer,
    struct kafka_partition of, int64_t time_ms, int64_t *offset, int timeout_ms,
    struct error *err);

#endif
