#include "producer/runs/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/message/build_requested.h"

#define RESULT_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define BUILD_SIZE_MAX ((size_t)64 * 1024 * 1024)

struct message_decoder {
	enum message message;
	struct registry *registry;
	struct message_reader *reader; /* of the schema seen last */
	uint32_t schema_id;
};

struct message_decoder *
message_decoder_create(
    enum message message, const struct config *config, struct error *err)
{
	struct registry *registry = registry_create(config, err);
	struct message_decoder *decoder;

	if (registry == NULL)
		return NULL;
	decoder = memory_zalloc(1, sizeof *decoder);
	decoder->message = message;
	decoder->registry = registry;
	return decoder;
}

void
message_decoder_start(struct message_decoder *decoder)
{
	registry_start(decoder->registry);
}

enum registry_state
message_decoder_state(struct message_decoder *decoder, struct error *why)
{
	return registry_state(decoder->registry, why);
}

void
message_decoder_destroy(struct message_decoder *decoder)
{
	if (decoder == NULL)
		return;
	message_reader_destroy(decoder->reader);
	registry_destroy(decoder->registry);
	free(decoder);
}

static int
use_schema(struct message_decoder *decoder, uint32_t id, struct error *err)
{
	struct rejection rejection = { 0 };
	struct text schema;

	if (decoder->reader != NULL && decoder->schema_id == id)
		return 0;
	if (registry_schema(decoder->registry, id, &schema, err) != 0)
		return -1;
	if (schema.at == NULL)
		return error_set(err, ERROR_INPUT,
		    "its schema id %u is unknown", (unsigned)id);
	message_reader_destroy(decoder->reader);
	decoder->reader =
	    message_reader_create(decoder->message, schema, &rejection);
	decoder->schema_id = id;
	if (decoder->reader == NULL)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	return 0;
}

/* The body of a value that has at most `max` bytes; its reader is made. */
static int
open_value(struct message_decoder *decoder, struct text value, size_t max,
    struct text *body, struct error *err)
{
	struct rejection rejection = { 0 };
	uint32_t id;

	if (framing_read(value, max, &id, body, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	return use_schema(decoder, id, err);
}

int
decode_result(struct message_decoder *decoder,
    const struct kafka_record *record, struct arena *arena,
    struct schedule_run *run, struct error *err)
{
	struct rejection rejection = { 0 };
	struct text body;
	int rc =
	    open_value(decoder, record->value, RESULT_SIZE_MAX, &body, err);

	if (rc == 0 &&
	    schedule_run_decode(
		decoder->reader, body, arena, run, &rejection) != 0)
		rc = error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (rc != 0) {
		error_prefix(err, "result %s [%d] at %lld", record->topic,
		    (int)record->partition, (long long)record->offset);
		return -1;
	}
	run->partition = record->partition;
	run->offset = record->offset;
	return 0;
}

static int
check_build(const struct build_requested *event, const struct uuid *id,
    struct error *err)
{
	size_t n = event->build.n_jobs, i, k;

	if (memcmp(&event->run.build_id, id, sizeof *id) != 0)
		return error_set(err, ERROR_INPUT, "it is of another build");
	for (i = 0; i < n; i++) {
		const struct job *job = &event->build.jobs[i];

		if (job->spec->n_outputs == 0)
			return error_set(
			    err, ERROR_INPUT, "its job %zu has no output", i);
		for (k = 0; k < job->n_depends_on; k++)
			if (job->depends_on[k] < 0 ||
			    (size_t)job->depends_on[k] >= i)
				return error_set(err, ERROR_INPUT,
				    "its job %zu waits for job %d, which does "
				    "not come before it",
				    i, (int)job->depends_on[k]);
		for (k = 0; k < job->spec->n_inputs; k++)
			if (job->inputs[k].job < -1 ||
			    (job->inputs[k].job >= 0 &&
				(size_t)job->inputs[k].job >= n))
				return error_set(err, ERROR_INPUT,
				    "its job %zu reads from job %d of %zu", i,
				    (int)job->inputs[k].job, n);
	}
	return 0;
}

int
decode_build(struct message_decoder *decoder, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err)
{
	struct rejection rejection = { 0 };
	struct text body;
	int rc = open_value(decoder, event, BUILD_SIZE_MAX, &body, err);

	if (rc == 0 &&
	    build_requested_decode(
		decoder->reader, body, arena, out, &rejection) != 0)
		rc = error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (rc == 0)
		rc = check_build(out, build, err);
	if (rc != 0 && err->kind == ERROR_INPUT)
		error_prefix(err, "the build event");
	return rc;
}

int
decode_build_once(const struct config *config, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err)
{
	struct message_decoder *decoder =
	    message_decoder_create(MESSAGE_BUILD_REQUESTED, config, err);
	int rc = -1;

	if (decoder != NULL)
		rc = decode_build(decoder, event, build, arena, out, err);
	message_decoder_destroy(decoder);
	return rc;
}
