#include "producer/runs/event.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define N_TEXTS 6

struct result_event *
result_event_create(const struct schedule_run *run)
{
	struct schedule_run copy = *run;
	struct text *texts[N_TEXTS];
	struct result_event *event;
	size_t size = sizeof *event, i;
	char *at;

	copy.why = (struct run_why){ 0 };
	copy.trigger = text_cut(run->trigger, RUN_TRIGGER_KEPT);
	texts[0] = &copy.request_id;
	texts[1] = &copy.schedule_rid;
	texts[2] = &copy.schedule_version_rid;
	texts[3] = &copy.created_by;
	texts[4] = &copy.description;
	texts[5] = &copy.trigger;
	for (i = 0; i < N_TEXTS; i++)
		size += texts[i]->size;
	event = memory_alloc(size);
	at = event->bytes;
	for (i = 0; i < N_TEXTS; i++) {
		if (texts[i]->at == NULL)
			continue;
		memcpy(at, texts[i]->at, texts[i]->size);
		texts[i]->at = at;
		at += texts[i]->size;
	}
	event->next = NULL;
	event->size = size;
	event->hash = text_hash(copy.schedule_rid);
	event->record = copy;
	return event;
}

void
result_events_free(struct result_event *first)
{
	struct result_event *next;

	for (; first != NULL; first = next) {
		next = first->next;
		free(first);
	}
}
