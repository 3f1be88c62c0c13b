#include "producer/catalogue/logic.h"

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/apply.h"
#include "producer/catalogue/hashes.h"
#include "schemas/stored/catalogue.h"

#define LOCK_MS 5000

/* Its JSON stands at its smallest output, at the others which one that is. */
static int
find_spec(struct redis *redis, struct text key, struct arena *arena,
    struct logic_change *change, struct error *err)
{
	struct text output = change->dataset;
	int hop;

	for (hop = 0; hop < 2; hop++) {
		struct buffer field = { 0 };
		struct redis_reply *reply = redis_ask(redis,
		    (const struct text[]){ TEXT("HGET"), key,
			keyspace_field(output, change->branch, &field) },
		    3, "HGET j", err);

		change->stored = text_copy(arena, redis_reply_text(reply));
		redis_reply_destroy(reply);
		buffer_finish(&field);
		if (reply == NULL)
			return -1;
		if (change->stored.size == 0 || change->stored.at[0] != '=')
			break;
		output = (struct text){ change->stored.at + 1,
			change->stored.size - 1 };
	}
	return 0;
}

int
logic_read(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct logic_change *change, struct error *err)
{
	struct buffer key = { 0 };
	int64_t generation;
	int rc = catalogue_generation(redis, keyspace, &generation, err);

	if (rc == 0 && generation == 0)
		rc = error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue; run schedrun apply",
		    redis_address(redis));
	if (rc == 0)
		rc = find_spec(redis,
		    keyspace_part(keyspace, generation, PART_JOB_SPECS, &key),
		    arena, change, err);
	buffer_finish(&key);
	if (rc != 0 || change->stored.at == NULL)
		return rc;
	if (job_spec_parse(change->stored, arena, &change->spec, err) != 0)
		return -1;
	return text_equal(change->spec.rid, change->job_spec);
}

static int
apply_file(struct redis *redis, const struct keyspace *keyspace,
    struct reader *reader, const struct catalogue_file *file, struct error *err)
{
	struct buffer notes = { 0 };
	const struct apply_settings settings = {
		.redis = redis,
		.reader = reader,
		.keyspace = keyspace,
		.missing = true,
		.now_ms = clock_wall_ms(),
		.deadline_ms = clock_monotonic_ms() + LOCK_MS,
		.notes = &notes,
	};
	struct apply_report report = { 0 };
	int rc = reader_result(reader, err);

	if (rc == 0)
		rc = catalogue_apply(&settings, file, &report, err);
	buffer_finish(&notes);
	return rc;
}

/* The spec as a file that has nothing else. */
static int
apply_spec(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, const struct job_spec *spec, struct error *err)
{
	struct buffer json = { 0 };
	struct reader *reader = reader_create(arena);
	struct json_document *document;
	struct catalogue_file file;
	int rc;

	json_open(&json, '{');
	json_member_open(&json, "jobSpecs", '[');
	job_spec_write(spec, &json);
	json_close(&json, ']');
	json_close(&json, '}');
	document = json_parse(buffer_text(&json), DOCUMENT_DEPTH_MAX, err);
	buffer_finish(&json);
	if (document == NULL)
		return -1;
	catalogue_file_read(reader, json_root(document), &file);
	rc = apply_file(redis, keyspace, reader, &file, err);
	catalogue_file_finish(&file);
	json_destroy(document);
	return rc;
}

int
logic_publish(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct logic_change *change, struct error *err)
{
	struct job_spec spec;
	int rc = logic_read(redis, keyspace, arena, change, err);

	if (rc != 1)
		return rc;
	if (text_equal(change->spec.logic, change->logic))
		return 2;
	spec = change->spec;
	spec.logic = change->logic;
	return apply_spec(redis, keyspace, arena, &spec, err) == 0 ? 1 : -1;
}
