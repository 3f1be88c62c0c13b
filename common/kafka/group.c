#include "common/kafka/group.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

struct kafka_group {
	rd_kafka_consumer_group_metadata_t *metadata;
	void *bytes; /* the same, serialised: what it says can't be asked */
	size_t size;
	bool is_member;
};

static void
serialise(const rd_kafka_consumer_group_metadata_t *metadata, void **bytes,
    size_t *size)
{
	rd_kafka_error_t *cause =
	    rd_kafka_consumer_group_metadata_write(metadata, bytes, size);

	if (cause != NULL) /* it fails for want of memory only */
		memory_exhausted();
}

/* Whether the bytes are those of this generation and member. */
static bool
says(const struct kafka_group *group, const char *group_id, int32_t generation,
    const char *member_id)
{
	rd_kafka_consumer_group_metadata_t *other =
	    rd_kafka_consumer_group_metadata_new_with_genid(
		group_id, generation, member_id, NULL);
	void *bytes;
	size_t size;
	bool same;

	serialise(other, &bytes, &size);
	same = size == group->size && memcmp(bytes, group->bytes, size) == 0;
	rd_kafka_mem_free(NULL, bytes);
	rd_kafka_consumer_group_metadata_destroy(other);
	return same;
}

struct kafka_group *
kafka_group_take(struct rd_kafka_s *handle, const char *group_id)
{
	rd_kafka_consumer_group_metadata_t *metadata =
	    rd_kafka_consumer_group_metadata(handle);
	struct kafka_group *group;

	if (metadata == NULL)
		return NULL;
	group = memory_zalloc(1, sizeof *group);
	group->metadata = metadata;
	serialise(metadata, &group->bytes, &group->size);
	group->is_member = !says(group, group_id, -1, "");
	return group;
}

bool
kafka_group_is_member(const struct kafka_group *group)
{
	return group->is_member;
}

bool
kafka_group_equal(
    const struct kafka_group *left, const struct kafka_group *right)
{
	return left != NULL && right != NULL && left->size == right->size &&
	    memcmp(left->bytes, right->bytes, left->size) == 0;
}

void
kafka_group_destroy(struct kafka_group *group)
{
	if (group == NULL)
		return;
	rd_kafka_mem_free(NULL, group->bytes);
	rd_kafka_consumer_group_metadata_destroy(group->metadata);
	free(group);
}

const struct rd_kafka_consumer_group_metadata_s *
kafka_group_metadata(const struct kafka_group *group)
{
	return group->metadata;
}
