#ifndef SCHEDRUN_COMMON_KAFKA_WORKAROUNDS_H
#define SCHEDRUN_COMMON_KAFKA_WORKAROUNDS_H

/*
 * What this folder does only because of how librdkafka is, and the version that
 * ends the need; docs/portability.md, section 3, says what each is for.  One
 * whose end is older than the oldest librdkafka that is supported may go.
 *
 *   place                           in the way of                     ends with
 *   consumer.c, KAFKA_QUEUE_...     a fetch that waits 1 s            2.2.0
 *   places.h, kafka_place_accept    a record that comes twice         2.5.0
 *   assignment.c, ..._take          a pause that outlives its place   not seen
 *   assignment.c, wait_started      an abort by two assignments       not seen
 *   assignment.c, fetch_committed   an error told as success          not seen
 *   consumer.c, leave_group         a close without a time-out        not seen
 *   client.c, ..._destroy_handle    a destroy that hangs              not seen
 *   query.c, kafka_query_range      a range without a time-out        2.3.0
 *   transaction.c, ..._produce      a busy wait behind a request      not seen
 *   producer.h, ..._probe           a first send that waits 1 s       2.10.1
 *   client.c, KAFKA_METADATA_AGE    a crash by a topic made anew      2.10.0
 *   client.c, KAFKA_RECOVERY        offsets that hang, since 2.16.0   open
 *   admin_request.c, REQUEST_MS     an abort after one has timed out  open
 *   admin.c, KAFKA_NO_GROUP         a crash as a coordinator moves    open
 */

/*
 * Once its queue is full librdkafka waits 1 s before it fetches again: with
 * only its bytes limited (queued.max.messages.kbytes) 2.0.2 fetches about three
 * times as fast.  Since 2.2.0 fetch.queue.backoff.ms can do the same.
 */
#define KAFKA_QUEUE_MESSAGES "1000000"

/*
 * From 2.4.0 on the cache of metadata has topics by id, too: where a new id
 * replaces the one that is there, that of before is freed and still found. What
 * is out of the cache again before metadata comes anew replaces nothing.  As
 * long as librdkafka itself takes for enough where a topic isn't there.
 */
#define KAFKA_METADATA_AGE "100"
#define KAFKA_METADATA_AGE_SINCE 0x02040000
#define KAFKA_METADATA_AGE_END 0x020a0000

/*
 * Without it 2.16.0 bootstraps again when a broker restarts, and the offsets of
 * a transaction are never answered.  Older ones don't have the property.
 */
#define KAFKA_RECOVERY "none"

/* Of who joins none: a consumer must have one, and who asks for offsets, too,
 * or librdkafka crashes when it is told that the coordinator is another. */
#define KAFKA_NO_GROUP "schedrun-reader"

#endif
