#include "producer/build_event.h"

#include <string.h>

#include "schemas/framing.h"
#include "schemas/message_reader.h"
#include "schemas/registry.h"

#define EVENT_SIZE_MAX ((size_t)64 * 1024 * 1024)

static bool
parse_id(struct text rid, struct text prefix, struct uuid *id)
{
	if (!text_starts_with(rid, prefix))
		return false;
	return uuid_parse(
	    (struct text){ rid.at + prefix.size, rid.size - prefix.size }, id);
}

bool
build_rid_parse(struct text rid, struct uuid *build)
{
	return parse_id(rid, TEXT(RID_BUILD_PREFIX), build);
}

static int
check_job(const struct build_requested *build, const struct build_job *job,
    struct error *err)
{
	struct uuid id;
	size_t i;

	if (!parse_id(job->head.job_rid, TEXT(RID_JOB_PREFIX), &id))
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

	if (!build_rid_parse(build->head.build_rid, &own) ||
	    memcmp(own.bytes, id->bytes, sizeof own.bytes) != 0)
		return error_set(err, ERROR_INPUT, "it is of %.*s",
		    TEXT_ARG(build->head.build_rid));
	for (i = 0; i < build->n_jobs; i++)
		if (check_job(build, &build->jobs[i], err) != 0)
			return -1;
	return 0;
}

static int
decode(struct registry *registry, struct text event, struct arena *arena,
    struct build_requested *out, struct error *err)
{
	struct message_reader *reader;
	struct rejection rejection = { 0 };
	struct text body, schema;
	uint32_t id;
	int rc;

	if (framing_read(event, EVENT_SIZE_MAX, &id, &body, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (registry_schema(registry, id, &schema, err) != 0)
		return -1;
	if (schema.at == NULL)
		return error_set(
		    err, ERROR_INPUT, "schema id %u is unknown", (unsigned)id);
	reader =
	    message_reader_create(MESSAGE_BUILD_REQUESTED, schema, &rejection);
	rc = reader != NULL
	    ? build_requested_decode(reader, body, arena, out, &rejection)
	    : -1;
	message_reader_destroy(reader);
	return rc == 0 ? 0
		       : error_set(err, ERROR_INPUT, "%s", rejection.detail);
}

int
build_event_read(const struct config *config, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err)
{
	struct registry *registry = registry_create(config, err);
	int rc = -1;

	if (registry == NULL)
		return -1;
	if (decode(registry, event, arena, out, err) == 0)
		rc = check(out, build, err);
	if (rc != 0 && err->kind == ERROR_INPUT)
		error_prefix(err, "the build event in the run view");
	registry_destroy(registry);
	return rc;
}
