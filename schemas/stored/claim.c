#include "schemas/stored/claim.h"

#include <assert.h>
#include <string.h>

#define MASK_48 ((UINT64_C(1) << 48) - 1)
/* Earlier versions set this bit of the offset in a repair: it says nothing. */
#define REPAIRED (INT64_C(1) << 47)

static void
put_big_endian(unsigned char *out, uint64_t value, size_t size)
{
	while (size-- > 0) {
		out[size] = (unsigned char)(value & 0xff);
		value >>= 8;
	}
}

static uint64_t
get_big_endian(const char *at, size_t size)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < size; i++)
		value = value << 8 | (unsigned char)at[i];
	return value;
}

void
claim_value_write(
    const struct claim_value *value, unsigned char out[CLAIM_VALUE_SIZE])
{
	put_big_endian(out, value->partition, 2);
	put_big_endian(out + 2, (uint64_t)value->offset, 6);
	put_big_endian(out + 8, (uint64_t)value->timestamp_ms, 6);
	put_big_endian(out + 14, value->fingerprint, 4);
}

bool
claim_value_read(struct text bytes, struct claim_value *value)
{
	if (bytes.at == NULL || bytes.size != CLAIM_VALUE_SIZE)
		return false;
	value->partition = (uint32_t)get_big_endian(bytes.at, 2);
	value->offset = (int64_t)get_big_endian(bytes.at + 2, 6) & ~REPAIRED;
	value->timestamp_ms = (int64_t)get_big_endian(bytes.at + 8, 6);
	value->fingerprint = (uint32_t)get_big_endian(bytes.at + 14, 4);
	return true;
}

/* In the order of the table in docs/delivery.md, section 3. */
enum claim_verdict
claim_judge(const struct claim_value *mine, struct text occupant)
{
	struct claim_value other;

	if (occupant.at == NULL)
		return CLAIM_TAKEN;
	if (!claim_value_read(occupant, &other))
		return CLAIM_UNREADABLE;
	if (other.partition != mine->partition)
		return other.fingerprint == mine->fingerprint
		    ? CLAIM_CROSS
		    : CLAIM_CROSS_CONFLICT;
	if (other.fingerprint != mine->fingerprint)
		return CLAIM_CONFLICT;
	if (other.offset < mine->offset)
		return CLAIM_DUPLICATE;
	if (other.offset == mine->offset &&
	    (((uint64_t)other.timestamp_ms ^ (uint64_t)mine->timestamp_ms) &
		MASK_48) == 0)
		return CLAIM_OWN;
	return CLAIM_LOWER; /* or the topic was created anew */
}

uint32_t
claim_shard(const struct uuid *run, uint32_t shards)
{
	uint32_t tail = (uint32_t)run->bytes[13] << 16 |
	    (uint32_t)run->bytes[14] << 8 | run->bytes[15];

	assert(shards > 0 && (shards & (shards - 1)) == 0);
	return tail & (shards - 1);
}

void
claim_pack(uint32_t shard, const struct uuid *run,
    const struct claim_value *value, unsigned char out[CLAIM_PACKED_SIZE])
{
	put_big_endian(out, shard, CLAIM_SHARD_SIZE);
	memcpy(out + CLAIM_SHARD_SIZE, run->bytes, sizeof run->bytes);
	claim_value_write(value, out + CLAIM_SHARD_SIZE + sizeof run->bytes);
}

/* 4 bytes of length and the bytes; an absent part is FF FF FF FF. */
static size_t
put_part(unsigned char *out, struct text part)
{
	if (part.at == NULL) {
		memset(out, 0xff, 4);
		return 4;
	}
	put_big_endian(out, part.size, 4);
	memcpy(out + 4, part.at, part.size);
	return 4 + part.size;
}

uint32_t
claim_fingerprint(
    struct text created_by, struct text version_rid, bool has_run_rid)
{
	unsigned char bytes[2 * (4 + RID_SIZE_MAX)];
	size_t size;

	if (created_by.at == NULL && (has_run_rid || version_rid.at == NULL))
		return CLAIM_FINGERPRINT_NONE;
	assert(created_by.size <= RID_SIZE_MAX);
	assert(version_rid.size <= RID_SIZE_MAX);
	size = put_part(bytes, created_by);
	size += put_part(bytes + size, has_run_rid ? TEXT_NONE : version_rid);
	return sha1_prefix32((struct text){ (const char *)bytes, size });
}
