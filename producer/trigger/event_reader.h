#ifndef SCHEDRUN_PRODUCER_TRIGGER_EVENT_READER_H
#define SCHEDRUN_PRODUCER_TRIGGER_EVENT_READER_H

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/kafka/consumer.h"
#include "schemas/message/schedule_event.h"

/*
 * Guard and decode: a record of the topic schedule-events becomes an event, or
 * is rejected for a reason.  Each is read by the schema that wrote it.  One
 * thread.
 */
struct event_reader;

#define EVENT_SIZE_MAX ((size_t)1024 * 1024)

/* NULL: ERROR_FATAL, the settings make no sense. */
struct event_reader *event_reader_create(
    const struct config *config, struct error *err);
void event_reader_destroy(struct event_reader *reader); /* NULL is fine */

/* What a record is; texts are in the arena of event_reader_read. */
struct event_reading {
	bool is_event;
	struct schedule_event event;
	struct rejection rejection; /* of what is none */
};

/*
 * 0, or -1 with ERROR_RETRY: the registry does not say yet by which schema it
 * was written.  Blocks for the registry, as registry_schema does.
 */
int event_reader_read(struct event_reader *reader,
    const struct kafka_record *record, struct arena *arena,
    struct event_reading *reading, struct error *err);

#endif
