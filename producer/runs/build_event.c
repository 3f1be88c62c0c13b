#include "producer/runs/build_event.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/avro/registry.h"

#define EVENT_SIZE_MAX ((size_t)64 * 1024 * 1024)

static int
check_job(const struct build_requested *build, const struct build_job *job,
    struct error *err)
{
	struct uuid id;
	size_t i;

	if (!rid_parse(job->head.job_rid, TEXT(RID_JOB_PREFIX), &id))
		return error_set(err, ERROR_INPUT, "\"%.*s\" is no job's RID",
		    TEXT_ARG(job->head.job_rid));
	if (job->n_outputs == 0)
		return error_set(err, ERROR_INPUT, "job %.*s has no output",
		    TEXT_ARG(job->head.job_rid));
	for (i = 0; i < job->n_inputs; i++)
		if (job->inputs[i].job < -1 ||
		    (job->inputs[i].job >= 0 &&
			(size_t)job->inputs[i].job >= build->n_jobs))
			return error_set(err, ERROR_INPUT,
			    "job %.*s reads from job %d of %zu",
			    TEXT_ARG(job->head.job_rid),
			    (int)job->inputs[i].job, build->n_jobs);
	return 0;
}

static int
check(const struct build_requested *build, const struct uuid *id,
    struct error *err)
{
	struct uuid own;
	size_t i;

	if (!rid_parse(build->head.build_rid, TEXT(RID_BUILD_PREFIX), &own) ||
	    memcmp(own.bytes, id->bytes, sizeof own.bytes) != 0)
		return error_set(err, ERROR_INPUT, "it is of %.*s",
		    TEXT_ARG(build->head.build_rid));
	for (i = 0; i < build->n_jobs; i++)
		if (check_job(build, &build->jobs[i], err) != 0)
			return -1;
	return 0;
}

struct build_reader {
	struct registry *registry;
	struct message_reader *reader; /* of the schema read last */
	uint32_t schema_id;
};

struct build_reader *
build_reader_create(const struct config *config, struct error *err)
{
	struct registry *registry = registry_create(config, err);
	struct build_reader *reader;

	if (registry == NULL)
		return NULL;
	reader = memory_zalloc(1, sizeof *reader);
	reader->registry = registry;
	return reader;
}

void
build_reader_destroy(struct build_reader *reader)
{
	if (reader == NULL)
		return;
	message_reader_destroy(reader->reader);
	registry_destroy(reader->registry);
	free(reader);
}

static int
use_schema(struct build_reader *reader, uint32_t id, struct error *err)
{
	struct rejection rejection = { 0 };
	struct text schema;

	if (reader->reader != NULL && reader->schema_id == id)
		return 0;
	if (registry_schema(reader->registry, id, &schema, err) != 0)
		return -1;
	if (schema.at == NULL)
		return error_set(
		    err, ERROR_INPUT, "schema id %u is unknown", (unsigned)id);
	message_reader_destroy(reader->reader);
	reader->reader =
	    message_reader_create(MESSAGE_BUILD_REQUESTED, schema, &rejection);
	reader->schema_id = id;
	return reader->reader != NULL
	    ? 0
	    : error_set(err, ERROR_INPUT, "%s", rejection.detail);
}

static int
decode(struct build_reader *reader, struct text event, struct arena *arena,
    struct build_requested *out, struct error *err)
{
	struct rejection rejection = { 0 };
	struct text body;
	uint32_t id;

	if (framing_read(event, EVENT_SIZE_MAX, &id, &body, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (use_schema(reader, id, err) != 0)
		return -1;
	if (build_requested_decode(
		reader->reader, body, arena, out, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	return 0;
}

int
build_reader_read(struct build_reader *reader, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err)
{
	int rc = -1;

	if (decode(reader, event, arena, out, err) == 0)
		rc = check(out, build, err);
	if (rc != 0 && err->kind == ERROR_INPUT)
		error_prefix(err, "the build event in the run view");
	return rc;
}

int
build_event_read(const struct config *config, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err)
{
	struct build_reader *reader = build_reader_create(config, err);
	int rc = -1;

	if (reader != NULL)
		rc = build_reader_read(reader, event, build, arena, out, err);
	build_reader_destroy(reader);
	return rc;
}
