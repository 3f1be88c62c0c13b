#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/kafka/admin.h"
#include "common/kafka/admin_request.h"
#include "common/kafka/consumer.h"
#include "common/kafka/query.h"

/* Groups ----------------------------------------------------------------- */

static int
note_offsets(struct kafka_admin *admin,
    const rd_kafka_topic_partition_list_t *list, int64_t *offsets, size_t n,
    struct error *err)
{
	for (int i = 0; list != NULL && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *at = &list->elems[i];
		if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return kafka_admin_fail(
			    admin, at->err, err, "committed offsets", NULL);
		if (at->partition >= 0 && (size_t)at->partition < n)
			offsets[at->partition] =
			    at->offset >= 0 ? at->offset : -1;
	}
	return 0;
}

int
kafka_admin_group_offsets(struct kafka_admin *admin, const char *group,
    const char *topic, int64_t *offsets, size_t n, int timeout_ms,
    struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	rd_kafka_ListConsumerGroupOffsets_t *asked;
	const rd_kafka_group_result_t **results;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
	size_t count;
	int rc;

	for (size_t i = 0; i < n; i++) {
		rd_kafka_topic_partition_list_add(list, topic, (int32_t)i);
		offsets[i] = -1;
	}
	asked = rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_topic_partition_list_destroy(list);
	options = kafka_admin_options(
	    admin, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout_ms);
	rd_kafka_ListConsumerGroupOffsets(
	    admin->handle, &asked, 1, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(asked);
	event = kafka_admin_answer(
	    admin, timeout_ms, "list committed offsets", err);
	if (event == NULL)
		return -1;
	results = rd_kafka_ListConsumerGroupOffsets_result_groups(
	    rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	rc = count == 1
	    ? note_offsets(admin, rd_kafka_group_result_partitions(results[0]),
		  offsets, n, err)
	    : 0;
	if (count == 1 && rd_kafka_group_result_error(results[0]) != NULL)
		rc = kafka_admin_fail(admin,
		    rd_kafka_error_code(
			rd_kafka_group_result_error(results[0])),
		    err, group, NULL);
	rd_kafka_event_destroy(event);
	return rc;
}

static void
copy_member(struct arena *arena, struct kafka_group_member *out,
    const rd_kafka_MemberDescription_t *member)
{
	const rd_kafka_MemberAssignment_t *assignment =
	    rd_kafka_MemberDescription_assignment(member);
	const rd_kafka_topic_partition_list_t *list = assignment != NULL
	    ? rd_kafka_MemberAssignment_partitions(assignment)
	    : NULL;

	*out = (struct kafka_group_member){
		.client_id = text_copy(arena,
		    text_from(rd_kafka_MemberDescription_client_id(member)))
				 .at,
		.host = text_copy(
		    arena, text_from(rd_kafka_MemberDescription_host(member)))
			    .at,
		.n_partitions = list != NULL ? (size_t)list->cnt : 0,
	};
	out->partitions =
	    arena_zalloc(arena, out->n_partitions + 1, sizeof *out->partitions);
	for (size_t i = 0; list != NULL && i < out->n_partitions; i++) {
		out->partitions[i].topic =
		    text_copy(arena, text_from(list->elems[i].topic)).at;
		out->partitions[i].partition = list->elems[i].partition;
	}
}

static int
copy_group(struct kafka_admin *admin, struct arena *arena,
    const rd_kafka_ConsumerGroupDescription_t *group,
    struct kafka_group_info *out, struct error *err)
{
	const rd_kafka_error_t *cause =
	    rd_kafka_ConsumerGroupDescription_error(group);

	if (cause != NULL)
		return kafka_admin_fail(admin, rd_kafka_error_code(cause), err,
		    rd_kafka_ConsumerGroupDescription_group_id(group),
		    rd_kafka_error_string(cause));
	out->state = rd_kafka_consumer_group_state_name(
	    rd_kafka_ConsumerGroupDescription_state(group));
	out->n_members = rd_kafka_ConsumerGroupDescription_member_count(group);
	out->members =
	    arena_zalloc(arena, out->n_members + 1, sizeof *out->members);
	for (size_t i = 0; i < out->n_members; i++)
		copy_member(arena, &out->members[i],
		    rd_kafka_ConsumerGroupDescription_member(group, i));
	return 0;
}

int
kafka_admin_group(struct kafka_admin *admin, const char *group,
    struct arena *arena, struct kafka_group_info *out, int timeout_ms,
    struct error *err)
{
	const rd_kafka_ConsumerGroupDescription_t **groups;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
	size_t count;
	int rc = 0;

	*out = (struct kafka_group_info){ .state = "Dead" };
	options = kafka_admin_options(
	    admin, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout_ms);
	rd_kafka_DescribeConsumerGroups(
	    admin->handle, &group, 1, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	event =
	    kafka_admin_answer(admin, timeout_ms, "describe the group", err);
	if (event == NULL)
		return -1;
	groups = rd_kafka_DescribeConsumerGroups_result_groups(
	    rd_kafka_event_DescribeConsumerGroups_result(event), &count);
	if (count == 1)
		rc = copy_group(admin, arena, groups[0], out, err);
	rd_kafka_event_destroy(event);
	return rc;
}

/* Logs ------------------------------------------------------------------- */

int
kafka_admin_ranges(struct kafka_admin *admin, const char *topic,
    int64_t *starts, int64_t *ends, size_t n, int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	struct kafka_partition of = { .topic = topic };
	struct kafka_range range;

	for (size_t i = 0; i < n; i++) {
		of.partition = (int32_t)i;
		if (kafka_admin_range(admin, of, &range, until, err) != 0)
			return -1;
		starts[i] = range.start;
		ends[i] = range.end;
	}
	return 0;
}

static size_t
read_timestamps(struct kafka_consumer *reader,
    const struct kafka_offset *places, int64_t *timestamps, size_t n,
    int timeout_ms)
{
	struct kafka_record records[64];
	size_t found = 0;
	int count = kafka_consumer_poll(reader, records, 64, timeout_ms, NULL);

	for (int i = 0; i < count; i++)
		for (size_t j = 0; j < n; j++)
			if (timestamps[j] < 0 &&
			    places[j].partition == records[i].partition) {
				timestamps[j] = records[i].timestamp_ms;
				found++;
			}
	if (count > 0)
		kafka_records_release(records, (size_t)count);
	return found;
}

int
kafka_admin_timestamps(struct kafka_admin *admin, const char *topic,
    const struct kafka_offset *places, int64_t *timestamps, size_t n,
    int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	struct kafka_consumer_options options = {
		.settings = admin->settings,
		.accept_loss = true,
	};
	struct kafka_start *starts = calloc(n + 1, sizeof *starts);
	struct kafka_consumer *reader = NULL;
	size_t missing = 0;
	int rc = -1;

	if (starts == NULL)
		return error_fatal(err, 71, "no memory for places");
	reader = kafka_consumer_create(&options, err);
	if (reader == NULL)
		goto out;
	for (size_t i = 0; i < n; i++) {
		int64_t start, end;
		timestamps[i] = -1;
		if (kafka_consumer_range(reader, topic, places[i].partition,
			&start, &end, timeout_ms, err) != 0)
			goto out;
		if (places[i].offset < end)
			starts[missing++] =
			    (struct kafka_start){ topic, places[i].partition,
				    KAFKA_FROM_OFFSET, places[i].offset };
	}
	if (missing > 0 &&
	    kafka_consumer_assign(reader, starts, missing, timeout_ms, err) !=
		0)
		goto out;
	while (missing > 0 && clock_monotonic_ms() < until)
		missing -= read_timestamps(reader, places, timestamps, n, 200);
	rc = 0;
out:
	kafka_consumer_close(reader, 2000);
	free(starts);
	return rc;
}
