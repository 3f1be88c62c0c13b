#include "producer/runs/event.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

int
result_record(const struct schedule_run *run, const struct kafka_record *place,
    struct run_record *record, struct error *err)
{
	static const enum run_state states[] = {
		[RESULT_IGNORED] = RUN_IGNORED,
		[RESULT_SUBMITTED] = RUN_SUBMITTED,
		[RESULT_ERROR] = RUN_FAILED,
	};

	*record = (struct run_record){
		.request_id = run->request_id,
		.schedule_rid = run->schedule_rid,
		.schedule_version_rid = run->schedule_version_rid,
		.created_time_ms = run->created_time_ms,
		.created_by = run->created_by,
		.state = states[run->result],
		.build_rid = run->build_rid,
		.description = run->description,
		.finished_time_ms = run->finished_time_ms,
		.partition = place->partition,
		.offset = place->offset,
	};
	if (run->result == RESULT_ERROR)
		record->error_name = text_from(run_error_name(run->error_name));
	if (rid_parse(run->rid, TEXT(RID_RUN_PREFIX), &record->id))
		return 0;
	return error_set(err, ERROR_INPUT,
	    "result %s [%d] at %lld: its rid is "
	    "no run's",
	    place->topic, (int)place->partition, (long long)place->offset);
}

#define N_TEXTS 7

static void
list_texts(struct run_record *record, struct text *out[N_TEXTS])
{
	out[0] = &record->request_id;
	out[1] = &record->schedule_rid;
	out[2] = &record->schedule_version_rid;
	out[3] = &record->created_by;
	out[4] = &record->build_rid;
	out[5] = &record->error_name;
	out[6] = &record->description;
}

struct result_event *
result_event_create(const struct run_record *record)
{
	struct run_record copy = *record;
	struct text *texts[N_TEXTS];
	struct result_event *event;
	size_t size = sizeof *event, i;
	char *at;

	list_texts(&copy, texts);
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
	copy.why = TEXT_NONE;
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
