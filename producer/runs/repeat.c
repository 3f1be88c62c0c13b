#include "producer/runs/repeat.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/kafka/admin.h"
#include "schemas/topics.h"

#define ASKED_TOGETHER ((size_t)1000)

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

/* Where claims stand now. */
struct claims_place {
	struct keyspace_meta meta;
	int64_t bucket;
};

static int
find_place(const struct repeat_store *store, struct claims_place *place,
    struct error *err)
{
	int64_t now_ms;
	int rc = keyspace_meta_read(
	    store->redis, store->keyspace, &place->meta, err);

	if (rc == 0)
		error_set(err, ERROR_RETRY, "redis %s is not prepared",
		    redis_address(store->redis));
	if (rc != 1 || redis_clock(store->redis, &now_ms, err) != 0)
		return -1;
	place->bucket = now_ms / store->ttl_ms;
	return 0;
}

#define BUCKETS 2 /* that a claim may be in: this one and the last */

/* Asks for the field of a claim in the hash of each bucket. */
static void
ask_claim(const struct repeat_store *store, const struct claims_place *place,
    const struct uuid *run)
{
	const struct claim_value none = { 0 };
	unsigned char packed[CLAIM_PACKED_SIZE];
	int age;

	claim_pack(claim_shard(run, place->meta.shards), run, &none, packed);
	for (age = 0; age < BUCKETS; age++) {
		struct buffer key = { 0 };
		const struct text argv[] = { TEXT("HGET"),
			keyspace_claims_of(store->keyspace,
			    text_from(place->meta.claims), place->bucket - age,
			    (struct text){
				(const char *)packed, CLAIM_SHARD_SIZE },
			    &key),
			{ (const char *)run->bytes, sizeof run->bytes } };

		redis_append(store->redis, argv, 3);
		buffer_finish(&key);
	}
}

/* 1: it is there; 0: it is not; -1: see the error. */
static int
hear_claim(const struct repeat_store *store, struct claim_value *claim,
    struct error *err)
{
	int found = 0, age;

	for (age = 0; age < BUCKETS; age++) {
		struct redis_reply *reply = redis_reply_checked(store->redis,
		    redis_receive(store->redis, err), "HGET", err);

		if (reply == NULL) {
			/* Answers that nobody takes would be taken for others.
			 */
			redis_disconnect(store->redis);
			return -1;
		}
		if (claim_value_read(redis_reply_text(reply), claim))
			found = 1;
		redis_reply_destroy(reply);
	}
	return found;
}

bool
repeat_claim(const struct repeat_store *store, const struct uuid *run,
    struct claim_value *claim)
{
	struct claims_place place;
	struct error ignored = { 0 };

	if (find_place(store, &place, &ignored) != 0)
		return false;
	ask_claim(store, &place, run);
	return hear_claim(store, claim, &ignored) == 1;
}

int
repeat_are_claimed(const struct repeat_store *store, const struct uuid *runs,
    size_t n, bool *are_claimed, struct error *err)
{
	struct claims_place place;
	struct claim_value ignored;
	size_t done, size, i;

	if (n > 0 && find_place(store, &place, err) != 0)
		return -1;
	for (done = 0; done < n; done += size) {
		size = n - done < ASKED_TOGETHER ? n - done : ASKED_TOGETHER;
		for (i = 0; i < size; i++)
			ask_claim(store, &place, &runs[done + i]);
		for (i = 0; i < size; i++) {
			int found = hear_claim(store, &ignored, err);

			if (found < 0)
				return -1;
			are_claimed[done + i] = found == 1;
		}
	}
	return 0;
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
