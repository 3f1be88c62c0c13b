#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
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
	int i;

	for (i = 0; list != NULL && i < list->cnt; i++) {
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

static int
list_offsets(struct kafka_admin *admin, struct kafka_group_topic of,
    int64_t *offsets, size_t n, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	rd_kafka_ListConsumerGroupOffsets_t *asked;
	const rd_kafka_group_result_t **results;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
	size_t count, i;
	int rc;

	for (i = 0; i < n; i++) {
		rd_kafka_topic_partition_list_add(list, of.topic, (int32_t)i);
		offsets[i] = -1;
	}
	asked = rd_kafka_ListConsumerGroupOffsets_new(of.group, list);
	rd_kafka_topic_partition_list_destroy(list);
	options = kafka_admin_options(
	    admin, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_ListConsumerGroupOffsets(
	    admin->handle, &asked, 1, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(asked);
	event = kafka_admin_answer(admin, "list committed offsets", err);
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
		    err, of.group, NULL);
	rd_kafka_event_destroy(event);
	return rc;
}

int
kafka_admin_group_offsets(struct kafka_admin *admin,
    struct kafka_group_topic of, int64_t *offsets, size_t n, struct error *err)
{
	int64_t until = clock_monotonic_ms() + admin->timeout_ms;
	int rc;

	do
		rc = list_offsets(admin, of, offsets, n, err);
	while (kafka_admin_again(admin, rc, until, err));
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
	size_t i;

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
	for (i = 0; list != NULL && i < out->n_partitions; i++) {
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
	size_t i;

	if (cause != NULL)
		return kafka_admin_fail(admin, rd_kafka_error_code(cause), err,
		    rd_kafka_ConsumerGroupDescription_group_id(group),
		    rd_kafka_error_string(cause));
	out->state = rd_kafka_consumer_group_state_name(
	    rd_kafka_ConsumerGroupDescription_state(group));
	out->n_members = rd_kafka_ConsumerGroupDescription_member_count(group);
	out->members =
	    arena_zalloc(arena, out->n_members + 1, sizeof *out->members);
	for (i = 0; i < out->n_members; i++)
		copy_member(arena, &out->members[i],
		    rd_kafka_ConsumerGroupDescription_member(group, i));
	return 0;
}

static int
describe_group(struct kafka_admin *admin, const char *group,
    struct arena *arena, struct kafka_group_info *out, struct error *err)
{
	const rd_kafka_ConsumerGroupDescription_t **groups;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
	size_t count;
	int rc = 0;

	*out = (struct kafka_group_info){ .state = "Dead" };
	options = kafka_admin_options(
	    admin, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	rd_kafka_DescribeConsumerGroups(
	    admin->handle, &group, 1, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	event = kafka_admin_answer(admin, "describe the group", err);
	if (event == NULL)
		return -1;
	groups = rd_kafka_DescribeConsumerGroups_result_groups(
	    rd_kafka_event_DescribeConsumerGroups_result(event), &count);
	if (count == 1)
		rc = copy_group(admin, arena, groups[0], out, err);
	rd_kafka_event_destroy(event);
	return rc;
}

int
kafka_admin_group(struct kafka_admin *admin, const char *group,
    struct arena *arena, struct kafka_group_info *out, struct error *err)
{
	int64_t until = clock_monotonic_ms() + admin->timeout_ms;
	int rc;

	do
		rc = describe_group(admin, group, arena, out, err);
	while (kafka_admin_again(admin, rc, until, err));
	return rc;
}

/* Logs ------------------------------------------------------------------- */

static struct kafka_consumer *
create_reader(struct kafka_admin *admin, bool uncommitted,
    const struct kafka_consumer_events *events, struct error *err)
{
	struct kafka_consumer_options options = {
		.settings = admin->settings,
		.accept_loss = true,
		.uncommitted = uncommitted,
	};

	if (events != NULL)
		options.events = *events;
	return kafka_consumer_create(&options, err);
}

/* Ends before what is stable: what comes in between holds nothing up. */
int
kafka_admin_logs(struct kafka_admin *admin, const char *topic,
    struct kafka_log *logs, size_t n, struct error *err)
{
	int64_t left, until = clock_monotonic_ms() + admin->timeout_ms;
	struct kafka_consumer *reader = create_reader(admin, true, NULL, err);
	struct kafka_partition of = { .topic = topic };
	struct kafka_range range;
	int rc = reader != NULL ? 0 : -1;
	size_t i;

	for (i = 0; rc == 0 && i < n; i++) {
		left = until - clock_monotonic_ms();
		of.partition = (int32_t)i;
		rc = kafka_consumer_range(
		    reader, of, &range, left > 1 ? (int)left : 1, err);
		logs[i].start = range.start;
		logs[i].end = range.end;
	}
	for (i = 0; rc == 0 && i < n; i++) {
		of.partition = (int32_t)i;
		rc = kafka_admin_range(admin, of, &range, until, err);
		logs[i].stable = range.end;
		if (logs[i].end < range.end)
			logs[i].end = range.end;
	}
	kafka_consumer_close(reader, 2000);
	return rc;
}

struct found {
	struct kafka_first *firsts;
	bool *ended;
	size_t n;
};

static void
note_end(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct found *found = opaque;
	size_t i;

	(void)topic;
	(void)offset;
	for (i = 0; i < found->n; i++)
		found->ended[i] |= found->firsts[i].partition == partition;
}

/* One poll; whether a place is still without an answer. */
static bool
search_on(struct found *found, struct kafka_consumer *reader, int timeout_ms)
{
	struct kafka_record records[64];
	int j,
	    count = kafka_consumer_poll(reader, records, 64, timeout_ms, NULL);
	bool missing = false;
	size_t i;

	for (i = 0; i < found->n; i++) {
		struct kafka_first *first = &found->firsts[i];

		for (j = 0; j < count && first->time_ms < 0; j++)
			if (records[j].partition == first->partition)
				first->time_ms = records[j].timestamp_ms;
		if (first->time_ms == -1 && found->ended[i])
			first->time_ms = KAFKA_NO_RECORD;
		missing |= first->time_ms == -1;
	}
	if (count > 0)
		kafka_records_release(records, (size_t)count);
	return missing;
}

int
kafka_admin_search(struct kafka_admin *admin, const struct kafka_search *search,
    struct kafka_first *firsts, size_t n, struct error *err)
{
	int64_t until = clock_monotonic_ms() + admin->timeout_ms;
	struct found found = { firsts, memory_zalloc(n + 1, sizeof(bool)), n };
	struct kafka_start *starts = memory_zalloc(n + 1, sizeof *starts);
	struct kafka_consumer *reader =
	    create_reader(admin, search->uncommitted,
		&(struct kafka_consumer_events){
		    .ended = note_end, .opaque = &found },
		err);
	int rc = reader != NULL ? 0 : -1;
	size_t i;

	for (i = 0; i < n; i++) {
		firsts[i].time_ms = -1;
		starts[i] =
		    (struct kafka_start){ search->topic, firsts[i].partition,
			    KAFKA_FROM_OFFSET, firsts[i].offset };
	}
	if (rc == 0)
		rc = kafka_consumer_assign(
		    reader, starts, n, admin->timeout_ms, err);
	while (rc == 0 && clock_monotonic_ms() < until &&
	    search_on(&found, reader, 200))
		;
	kafka_consumer_close(reader, 2000);
	free(starts);
	free(found.ended);
	return rc;
}
