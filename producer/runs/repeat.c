#include "producer/runs/repeat.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/kafka/admin.h"
#include "schemas/topics.h"

enum repeat
repeat_judge(
    const struct schedule_run *stored, const struct run_request *request)
{
	if (stored->state == RUN_PENDING || schedule_run_is_damage(stored))
		return REPEAT_UNKNOWN;
	return text_equal(stored->created_by, request->created_by)
	    ? REPEAT_ANSWERED
	    : REPEAT_OTHER;
}

/* The field of a claim in the hash of one bucket. */
static bool
read_claim(struct redis *redis, struct text key, const struct uuid *run,
    struct claim_value *claim)
{
	const struct text argv[] = { TEXT("HGET"), key,
		{ (const char *)run->bytes, sizeof run->bytes } };
	struct error ignored = { 0 };
	struct redis_reply *reply = redis_command(redis, argv, 3, &ignored);
	bool found =
	    reply != NULL && claim_value_read(redis_reply_text(reply), claim);

	redis_reply_destroy(reply);
	return found;
}

bool
repeat_claim(const struct repeat_store *store, const struct uuid *run,
    struct claim_value *claim)
{
	const struct claim_value none = { 0 };
	unsigned char packed[CLAIM_PACKED_SIZE];
	struct keyspace_meta meta;
	struct error ignored = { 0 };
	bool found = false;
	int64_t now_ms, age;

	if (keyspace_meta_read(
		store->redis, store->keyspace, &meta, &ignored) != 1 ||
	    redis_clock(store->redis, &now_ms, &ignored) != 0)
		return false;
	claim_pack(claim_shard(run, meta.shards), run, &none, packed);
	for (age = 1; age >= 0 && !found; age--) {
		struct buffer key = { 0 };

		found = read_claim(store->redis,
		    keyspace_claims_of(store->keyspace, text_from(meta.claims),
			now_ms / store->ttl_ms - age,
			(struct text){ (const char *)packed, CLAIM_SHARD_SIZE },
			&key),
		    run, claim);
		buffer_finish(&key);
	}
	return found;
}

bool
repeat_is_decided(const struct config *config, const struct claim_value *claim,
    int timeout_ms)
{
	const struct kafka_settings settings = { .config = config };
	struct kafka_group_topic of = {
		config_text(config, "worker.group"),
		topic_name(config, TOPIC_REQUESTS),
	};
	size_t n = (size_t)claim->partition + 1;
	int64_t *committed = memory_zalloc(n, sizeof *committed);
	struct error ignored = { 0 };
	struct kafka_admin *admin =
	    kafka_admin_create(&settings, timeout_ms, &ignored);
	bool decided = admin != NULL &&
	    kafka_admin_group_offsets(admin, of, committed, n, &ignored) == 0 &&
	    committed[claim->partition] > claim->offset;

	kafka_admin_destroy(admin);
	free(committed);
	return decided;
}
