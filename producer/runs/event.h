#ifndef SCHEDRUN_PRODUCER_RUNS_EVENT_H
#define SCHEDRUN_PRODUCER_RUNS_EVENT_H

#include <stddef.h>

#include "schemas/message/schedule_run.h"

/*
 * A result as it travels from the thread that reads the topic to the loop: one
 * piece of memory that holds the run and its texts.
 */
struct result_event {
	struct result_event *next;  /* of a list; the owner's to use */
	size_t size;                /* bytes of this allocation */
	size_t hash;                /* text_hash of the scheduleRid */
	struct schedule_run record; /* without `why` */
	char bytes[];
};

/* A copy of the run and its texts; to be freed by result_events_free. */
struct result_event *result_event_create(const struct schedule_run *run);

/* Frees a whole list. */
void result_events_free(struct result_event *first);

#endif
