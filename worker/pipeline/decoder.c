#include "worker/pipeline/decoder.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "schemas/avro/framing.h"
#include "worker/snapshot/snapshot.h"

/* Both enumerations have the reasons of docs/faults.md, section 2, in order. */
_Static_assert((int)REJECT_EMPTY == (int)DEAD_EMPTY, "same order");
_Static_assert(
    (int)REJECT_WRONG_SCHEMA == (int)DEAD_WRONG_SCHEMA, "same order");
_Static_assert((int)REJECT_MALFORMED == (int)DEAD_MALFORMED, "same order");
_Static_assert(
    (int)REJECT_INVALID_FIELD == (int)DEAD_INVALID_FIELD, "same order");

#define SCHEMAS_MAX 1000
#define SCHEMAS_SIZE_MAX ((size_t)32 * 1024 * 1024)

/* A writer's schema as compiled, or why it can't be. */
struct writer {
	uint32_t id;
	struct layout *layout; /* NULL: refused */
	struct rejection rejection;
};

struct decoder {
	struct registry *registry;
	struct writer *writers;
	size_t n, last; /* the one that the record before had */
	size_t size;    /* of all layouts */
};

struct decoder *
decoder_create(struct registry *registry)
{
	struct decoder *decoder = memory_zalloc(1, sizeof *decoder);

	decoder->registry = registry;
	return decoder;
}

static void
forget_writers(struct decoder *decoder)
{
	size_t i;

	for (i = 0; i < decoder->n; i++)
		layout_destroy(decoder->writers[i].layout);
	decoder->n = decoder->last = decoder->size = 0;
}

void
decoder_destroy(struct decoder *decoder)
{
	if (decoder == NULL)
		return;
	forget_writers(decoder);
	free(decoder->writers);
	free(decoder);
}

static struct writer *
add_writer(struct decoder *decoder, uint32_t id, struct text schema)
{
	struct writer *writer;

	if (decoder->n == SCHEMAS_MAX || decoder->size > SCHEMAS_SIZE_MAX)
		forget_writers(decoder);
	decoder->writers = memory_resize(
	    decoder->writers, decoder->n + 1, sizeof *decoder->writers);
	writer = &decoder->writers[decoder->n];
	*writer = (struct writer){ .id = id };
	writer->layout = run_request_layout(schema, &writer->rejection);
	if (writer->layout != NULL)
		decoder->size += layout_size(writer->layout);
	decoder->last = decoder->n++;
	return writer;
}

static struct writer *
known_writer(struct decoder *decoder, uint32_t id)
{
	size_t i;

	if (decoder->n > 0 && decoder->writers[decoder->last].id == id)
		return &decoder->writers[decoder->last];
	for (i = 0; i < decoder->n; i++)
		if (decoder->writers[i].id == id) {
			decoder->last = i;
			return &decoder->writers[i];
		}
	return NULL;
}

/*
 * The writer of an id: NULL and 0 if the id is unknown for good, which is not
 * remembered: it may be registered later.
 */
static int
find_writer(struct decoder *decoder, uint32_t id, struct writer **writer,
    struct error *err)
{
	struct text schema;

	*writer = known_writer(decoder, id);
	if (*writer != NULL)
		return 0;
	if (registry_schema(decoder->registry, id, &schema, err) != 0)
		return -1;
	if (schema.at != NULL)
		*writer = add_writer(decoder, id, schema);
	return 0;
}

/* Also what the value looks like, if it is a known mistake. */
static void
bury(struct batch *batch, size_t i, const struct rejection *rejection)
{
	struct batch_record *record = &batch->records[i];
	const char *guess = NULL;
	struct buffer detail = { 0 };

	if (rejection->reason == REJECT_BAD_MAGIC ||
	    rejection->reason == REJECT_UNKNOWN_SCHEMA ||
	    rejection->reason == REJECT_MALFORMED ||
	    rejection->reason == REJECT_TRAILING_BYTES)
		guess = framing_guess(batch->kafka[i].value);
	buffer_format(&detail, "%s%s%s", rejection->detail,
	    guess != NULL ? "; " : "", guess != NULL ? guess : "");
	record->fate = FATE_DEAD;
	record->reason = (enum dead_reason)rejection->reason;
	record->detail = buffer_keep(&detail, batch->arena);
}

/*
 * The schema's id and the body: by the header that names it, or the frame.
 * Where there are no headers librdkafka finds that out anew each time.
 */
static int
read_frame(const struct kafka_record *kafka, bool *has_headers, uint32_t *id,
    struct text *body, struct rejection *rejection)
{
	struct kafka_header header;
	size_t i;

	*has_headers = kafka_record_header(kafka, 0, &header);
	for (i = 0; *has_headers && kafka_record_header(kafka, i, &header); i++)
		if (text_equal(header.name, TEXT(FRAMING_HEADER)))
			return framing_read_header(header.value, kafka->value,
			    MESSAGE_SIZE_MAX, id, body, rejection);
	return framing_read(
	    kafka->value, MESSAGE_SIZE_MAX, id, body, rejection);
}

bool
decoder_is_told(struct decoder *decoder, uint32_t schema)
{
	struct text unused;
	struct error why;

	return known_writer(decoder, schema) != NULL ||
	    registry_schema(decoder->registry, schema, &unused, &why) == 0;
}

/* A clock of ours that is behind buries no request: the broker has one, too. */
static int64_t
time_of(const struct kafka_record *kafka)
{
	int64_t now = clock_wall_ms();

	return kafka->timestamp_ms > now ? kafka->timestamp_ms : now;
}

int
decoder_decode(struct decoder *decoder, struct batch *batch, size_t i,
    uint32_t *awaited, struct error *err)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	struct batch_record *record = &batch->records[i];
	const struct run_request *request = &record->request;
	struct rejection rejection;
	struct writer *writer = NULL;
	struct text body;
	uint32_t id;
	int rc;

	rc = read_frame(kafka, &record->has_headers, &id, &body, &rejection);
	if (rc == 0 && find_writer(decoder, id, &writer, err) != 0) {
		*awaited = id;
		return -1;
	}
	if (rc == 0 && writer == NULL) {
		rc = -1;
		reject(&rejection, REJECT_UNKNOWN_SCHEMA,
		    "no schema has the id %u", (unsigned)id);
	} else if (rc == 0 && writer->layout == NULL) {
		rc = -1;
		rejection = writer->rejection;
	} else if (rc == 0) {
		rc = run_request_decode(writer->layout, body, &record->request,
		    &record->run, &rejection);
		if (rc == 0)
			rc = run_request_check_time(
			    request, time_of(kafka), &rejection);
	}
	if (rc != 0) {
		bury(batch, i, &rejection);
		return 0;
	}
	record->has_other_key = !text_equal(kafka->key, request->schedule_rid);
	batch->counts.key_mismatches += record->has_other_key;
	record->schedule_hash = snapshot_hash(request->schedule_rid);
	record->fate = FATE_CLAIMED;
	batch->claims[batch->n_claims++] = (struct claim){
		.run = record->run,
		.value = {
			.partition = (uint32_t)kafka->partition,
			.offset = kafka->offset,
			.timestamp_ms = kafka->timestamp_ms,
			.fingerprint = claim_fingerprint(request->created_by,
			    request->schedule_version_rid,
			    request->run_rid.at != NULL),
		},
		.record = (uint32_t)i,
	};
	return 0;
}
