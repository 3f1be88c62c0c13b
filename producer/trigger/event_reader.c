#include "producer/trigger/event_reader.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/registry.h"

#define DAY_MS (24 * INT64_C(3600000))
#define WRITERS_MAX 64 /* then all are forgotten */

/* A writer's schema as compiled, or why it can't be. */
struct writer {
	uint32_t id;
	struct message_reader *reader; /* NULL: refused */
	struct rejection rejection;
};

struct event_reader {
	struct registry *registry;
	struct writer writers[WRITERS_MAX];
	size_t n;
};

struct event_reader *
event_reader_create(const struct config *config, struct error *err)
{
	struct registry *registry = registry_create(config, err);
	struct event_reader *reader;

	if (registry == NULL)
		return NULL;
	reader = memory_zalloc(1, sizeof *reader);
	reader->registry = registry;
	registry_start(registry);
	return reader;
}

static void
forget_writers(struct event_reader *reader)
{
	while (reader->n > 0)
		message_reader_destroy(reader->writers[--reader->n].reader);
}

void
event_reader_destroy(struct event_reader *reader)
{
	if (reader == NULL)
		return;
	forget_writers(reader);
	registry_destroy(reader->registry);
	free(reader);
}

/* By the name of its record it is one of the three. */
static struct writer *
add_writer(struct event_reader *reader, uint32_t id, struct text schema)
{
	struct writer *writer;
	int message;

	if (reader->n == WRITERS_MAX)
		forget_writers(reader);
	writer = &reader->writers[reader->n++];
	*writer = (struct writer){ .id = id };
	for (message = MESSAGE_DATASET_COMMITTED;
	     writer->reader == NULL && message <= MESSAGE_LOGIC_PUBLISHED;
	     message++)
		writer->reader = message_reader_create(
		    (enum message)message, schema, &writer->rejection);
	if (writer->reader == NULL &&
	    writer->rejection.reason == REJECT_WRONG_SCHEMA)
		reject(&writer->rejection, REJECT_WRONG_SCHEMA,
		    "its record is none of DatasetCommitted, BuildFinished and "
		    "LogicPublished");
	return writer;
}

/* NULL and 0: the id is unknown for good, which is not remembered. */
static int
find_writer(struct event_reader *reader, uint32_t id, struct writer **writer,
    struct error *err)
{
	struct text schema;
	size_t i;

	for (i = 0; i < reader->n; i++)
		if (reader->writers[i].id == id) {
			*writer = &reader->writers[i];
			return 0;
		}
	*writer = NULL;
	if (registry_schema(reader->registry, id, &schema, err) != 0)
		return -1;
	if (schema.at != NULL)
		*writer = add_writer(reader, id, schema);
	return 0;
}

/* The schema's id and the body: by the header that names it, or the frame. */
static int
read_frame(const struct kafka_record *record, uint32_t *id, struct text *body,
    struct rejection *rejection)
{
	struct kafka_header header;
	size_t i;

	for (i = 0; kafka_record_header(record, i, &header); i++)
		if (text_equal(header.name, TEXT(FRAMING_HEADER)))
			return framing_read_header(header.value, record->value,
			    EVENT_SIZE_MAX, id, body, rejection);
	return framing_read(record->value, EVENT_SIZE_MAX, id, body, rejection);
}

/*
 * What is to happen tomorrow has not happened: a clock that is wrong, or
 * another unit.  A clock of ours that is behind buries nothing: the record has
 * a time of the broker's or its sender's, too.  Long ago is no fault.
 */
static bool
is_to_come(
    const struct kafka_record *record, const struct schedule_event *event)
{
	int64_t now_ms = clock_wall_ms();

	if (record->timestamp_ms > now_ms)
		now_ms = record->timestamp_ms;
	return event->time_ms - DAY_MS > now_ms;
}

int
event_reader_read(struct event_reader *reader,
    const struct kafka_record *record, struct arena *arena,
    struct event_reading *reading, struct error *err)
{
	struct rejection *rejection = &reading->rejection;
	struct writer *writer;
	struct text body;
	uint32_t id;

	*reading = (struct event_reading){ 0 };
	if (read_frame(record, &id, &body, rejection) != 0)
		return 0;
	if (find_writer(reader, id, &writer, err) != 0)
		return -1;
	if (writer == NULL)
		reject(rejection, REJECT_UNKNOWN_SCHEMA,
		    "no schema has the id %u", (unsigned)id);
	else if (writer->reader == NULL)
		*rejection = writer->rejection;
	else
		reading->is_event = schedule_event_decode(writer->reader, body,
					arena, &reading->event, rejection) == 0;
	if (reading->is_event && is_to_come(record, &reading->event)) {
		reading->is_event = false;
		reject(rejection, REJECT_INVALID_FIELD,
		    "time is more than a day to come");
	}
	return 0;
}
