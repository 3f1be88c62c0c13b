#include "producer/runs/build_event.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/avro/registry.h"

#define EVENT_SIZE_MAX ((size_t)64 * 1024 * 1024)

static int
check_job(const struct build *build, size_t i, struct error *err)
{
	const struct job *job = &build->jobs[i];
	size_t k;

	if (job->spec->n_outputs == 0)
		return error_set(
		    err, ERROR_INPUT, "its job %zu has no output", i);
	for (k = 0; k < job->spec->n_inputs; k++)
		if (job->inputs[k].job < -1 ||
		    (job->inputs[k].job >= 0 &&
			(size_t)job->inputs[k].job >= build->n_jobs))
			return error_set(err, ERROR_INPUT,
			    "its job %zu reads from job %d of %zu", i,
			    (int)job->inputs[k].job, build->n_jobs);
	return 0;
}

static int
check(const struct build_requested *event, const struct uuid *id,
    struct error *err)
{
	size_t i;

	if (memcmp(&event->run.build_id, id, sizeof *id) != 0)
		return error_set(err, ERROR_INPUT, "it is of another build");
	for (i = 0; i < event->build.n_jobs; i++)
		if (check_job(&event->build, i, err) != 0)
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
