#include "producer/catalogue/hashes.h"

const struct catalogue_hash_row catalogue_hashes[CATALOGUE_HASHES] = {
	[HASH_DATASETS] = { PART_DATASETS, "datasets" },
	[HASH_JOB_SPECS] = { PART_JOB_SPECS, "job specs" },
	[HASH_USERS] = { PART_USERS, "users and roles" },
	[HASH_PROJECTS] = { PART_PROJECTS, "projects and references" },
	[HASH_LIMITS] = { PART_LIMITS, "limits" },
};

int
catalogue_generation(struct redis *redis, const struct keyspace *keyspace,
    int64_t *generation, struct error *err)
{
	const struct text get[2] = { TEXT("GET"),
		keyspace_key(keyspace, KEY_GENERATION) };
	struct redis_reply *reply = redis_ask(redis, get, 2, "GET g", err);
	struct text value = redis_reply_text(reply);
	int rc = 0;

	*generation = 0;
	if (reply == NULL)
		return -1;
	if (value.at != NULL &&
	    (!text_to_number(value, INT64_MAX, generation) || *generation == 0))
		rc = error_fatal(err, 78,
		    "redis %s: %.*s is not a generation's number",
		    redis_address(redis), TEXT_ARG(get[1]));
	redis_reply_destroy(reply);
	return rc;
}

int
catalogue_read_hashes(struct redis *redis, const struct keyspace *keyspace,
    int64_t generation, struct fields *into[CATALOGUE_HASHES],
    struct error *err)
{
	struct buffer key = { 0 };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < CATALOGUE_HASHES; i++) {
		buffer_reset(&key);
		rc = fields_read(into[i], redis,
		    keyspace_part(
			keyspace, generation, catalogue_hashes[i].part, &key),
		    err);
	}
	buffer_finish(&key);
	return rc;
}
