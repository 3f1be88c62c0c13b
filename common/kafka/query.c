#include "common/kafka/query.h"

#include <librdkafka/rdkafka.h>

#include "common/base/clock.h"
#include "common/kafka/consumer.h"

static int32_t
count_partitions(struct kafka_client *client,
    const struct rd_kafka_metadata *metadata, const char *topic,
    struct error *err)
{
	const struct rd_kafka_metadata_topic *at;

	if (topic == NULL)
		return 0;
	if (metadata->topic_cnt != 1)
		return error_set(
		    err, ERROR_RETRY, "no metadata of topic %s", topic);
	at = &metadata->topics[0];
	if (at->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return 0;
	if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_client_fail_code(
		    client, KAFKA_CALL_QUERY, at->err, err, topic);
	return at->partition_cnt;
}

int32_t
kafka_query_partitions(struct kafka_client *client, struct rd_kafka_s *handle,
    const char *topic, int timeout_ms, struct error *err)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *only = NULL;
	rd_kafka_resp_err_t code;
	int32_t n;

	if (topic != NULL)
		only = rd_kafka_topic_new(handle, topic, NULL);
	code = rd_kafka_metadata(handle, 0, only, &metadata, timeout_ms);
	if (only != NULL)
		rd_kafka_topic_destroy(only);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_client_fail_code(client, KAFKA_CALL_QUERY, code,
		    err, topic != NULL ? topic : "ask a broker");
	kafka_client_answered(client);
	n = count_partitions(client, metadata, topic, err);
	rd_kafka_metadata_destroy(metadata);
	return n;
}

int64_t
kafka_query_offset_at(struct kafka_client *client, struct rd_kafka_s *handle,
    struct kafka_partition of, int64_t time_ms, int timeout_ms,
    struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code;
	int64_t offset;

	rd_kafka_topic_partition_list_add(list, of.topic, of.partition)
	    ->offset = time_ms;
	code = rd_kafka_offsets_for_times(handle, list, timeout_ms);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = list->elems[0].err;
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_fail_code(client, KAFKA_CALL_QUERY, code, err,
		    "ask for an offset of the log");
		error_prefix(err, "%s [%d]", of.topic, (int)of.partition);
		return KAFKA_OFFSET_UNKNOWN;
	}
	kafka_client_answered(client);
	return offset >= 0 ? offset : KAFKA_OFFSET_END;
}

/*
 * What librdkafka has for both ends at once heeds no time-out before 2.3: it
 * waits until the partition's leader is back.
 */
int
kafka_query_range(struct kafka_client *client, struct rd_kafka_s *handle,
    struct kafka_partition of, struct kafka_range *range, int timeout_ms,
    struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms, left;

	range->start = kafka_query_offset_at(
	    client, handle, of, KAFKA_OFFSET_BEGINNING, timeout_ms, err);
	if (range->start == KAFKA_OFFSET_UNKNOWN)
		return -1;
	left = until - clock_monotonic_ms();
	range->end = kafka_query_offset_at(client, handle, of, KAFKA_OFFSET_END,
	    left > 1 ? (int)left : 1, err);
	if (range->end == KAFKA_OFFSET_UNKNOWN)
		return -1;
	/* The topic was made anew between the two. */
	if (range->start > range->end)
		range->start = range->end;
	return 0;
}
