#include "producer/runs/decoder.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/avro/registry.h"

#define RESULT_SIZE_MAX ((size_t)16 * 1024 * 1024)

struct result_decoder {
	struct registry *registry;
	struct message_reader *reader; /* of the schema seen last */
	uint32_t reader_id;
};

struct result_decoder *
result_decoder_create(const struct config *config, struct error *err)
{
	struct result_decoder *decoder = memory_zalloc(1, sizeof *decoder);

	decoder->registry = registry_create(config, err);
	if (decoder->registry != NULL)
		return decoder;
	free(decoder);
	return NULL;
}

void
result_decoder_destroy(struct result_decoder *decoder)
{
	if (decoder == NULL)
		return;
	message_reader_destroy(decoder->reader);
	registry_destroy(decoder->registry);
	free(decoder);
}

static int
use_schema(struct result_decoder *decoder, uint32_t id, struct error *err)
{
	struct rejection rejection;
	struct text schema;

	if (decoder->reader != NULL && decoder->reader_id == id)
		return 0;
	if (registry_schema(decoder->registry, id, &schema, err) != 0)
		return -1;
	if (schema.at == NULL)
		return error_set(err, ERROR_INPUT,
		    "its schema id %u is unknown", (unsigned)id);
	message_reader_destroy(decoder->reader);
	decoder->reader =
	    message_reader_create(MESSAGE_SCHEDULE_RUN, schema, &rejection);
	decoder->reader_id = id;
	if (decoder->reader == NULL)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	return 0;
}

static int
decode(struct result_decoder *decoder, struct text value, struct arena *arena,
    struct schedule_run *run, struct error *err)
{
	struct rejection rejection;
	struct text body;
	uint32_t id;

	if (framing_read(value, RESULT_SIZE_MAX, &id, &body, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (use_schema(decoder, id, err) != 0)
		return -1;
	if (schedule_run_decode(
		decoder->reader, body, arena, run, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	return 0;
}

int
result_decoder_read(struct result_decoder *decoder,
    const struct kafka_record *record, struct arena *arena,
    struct schedule_run *run, struct error *err)
{
	if (decode(decoder, record->value, arena, run, err) == 0) {
		run->partition = record->partition;
		run->offset = record->offset;
		return 0;
	}
	error_prefix(err, "result %s [%d] at %lld", record->topic,
	    (int)record->partition, (long long)record->offset);
	return -1;
}
