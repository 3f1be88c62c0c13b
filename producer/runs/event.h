#ifndef SCHEDRUN_PRODUCER_RUNS_EVENT_H
#define SCHEDRUN_PRODUCER_RUNS_EVENT_H

#include <stddef.h>

#include "common/kafka/consumer.h"
#include "producer/runs/record.h"
#include "schemas/message/schedule_run.h"

/*
 * A result as it travels from the thread that reads the topic to the loop: one
 * piece of memory that holds the run and its texts.
 */
struct result_event {
	struct result_event *next; /* of a list; the owner's to use */
	size_t size;               /* bytes of this allocation */
	size_t hash;               /* text_hash of the scheduleRid */
	struct run_record record;  /* without its `why` */
	char bytes[];
};

/*
 * The run that a result tells of; texts are borrowed from `run`, `why` is left
 * out.  -1 with ERROR_INPUT: its rid is no run's.
 */
int result_record(const struct schedule_run *run,
    const struct kafka_record *place, struct run_record *record,
    struct error *err);

/* A copy of the record and its texts; to be freed by free(3). */
struct result_event *result_event_create(const struct run_record *record);

/* Frees a whole list. */
void result_events_free(struct result_event *first);

#endif
