#include "producer/events/internal.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

/* What was there between is gone; `first_ms`: the time of what follows. */
void
audience_send_gap(struct audience *audience,
    const struct event_position *position, int64_t first_ms)
{
	struct buffer out = { 0 };
	char time[CLOCK_TEXT_SIZE];

	clock_format(first_ms, time);
	buffer_append(&out, TEXT("id: "));
	event_position_write(position, &out);
	buffer_append(&out, TEXT("\nevent: gap\ndata: {\"resumedAt\":\""));
	buffer_append(&out, (struct text){ time, sizeof time });
	buffer_append(&out, TEXT("\"}\n\n"));
	audience_send_text(audience, buffer_text(&out), 0);
	buffer_finish(&out);
}

static void
take_slice(struct audience *audience, struct replay_slice *slice)
{
	audience->outside = false;
	event_position_copy(&audience->position, &slice->from);
	if (slice->gap)
		audience_send_gap(audience, &audience->position,
		    slice->events != NULL
			? slice->events->record.finished_time_ms
			: clock_wall_ms());
	audience->got = slice;
}

static void
on_slice(struct replay_slice *slice)
{
	struct audience *audience = slice->owner;

	if (audience == NULL) {
		replay_slice_free(slice);
		return;
	}
	audience->asked = NULL;
	if (slice->failed || audience->outside != slice->first)
		replay_slice_free(slice);
	else
		take_slice(audience, slice);
}

static void
ask_slice(struct audience *audience)
{
	struct event_hub *hub = audience->hub;
	struct replay_slice *slice = memory_zalloc(1, sizeof *slice);

	event_position_copy(&slice->from, &audience->position);
	event_position_copy(&slice->until, event_ring_start(hub->ring));
	slice->first = audience->outside;
	slice->done = on_slice;
	slice->owner = audience;
	audience->asked = slice;
	event_replay_ask(hub->replay, slice);
}

/* Sends what a slice brought; false: a right is not known yet. */
static bool
send_slice(struct audience *audience)
{
	struct replay_slice *slice = audience->got;
	struct result_event *event;
	struct buffer out = { 0 };
	enum event_right right = EVENT_VISIBLE;
	size_t most = audience_chunk(audience), n = 0;

	while ((event = slice->events) != NULL && out.size < most) {
		const struct schedule_run *record = &event->record;

		right = audience_look(audience, event);
		if (right == EVENT_UNKNOWN)
			break;
		event_position_pass(
		    &audience->position, record->partition, record->offset + 1);
		if (right == EVENT_VISIBLE && ++n > 0)
			event_write(record, &audience->position,
			    audience->key.profile, &out);
		slice->events = event->next;
		free(event);
	}
	for (; right == EVENT_UNKNOWN && event != NULL; event = event->next)
		audience_look(audience, event);
	audience_send_text(audience, buffer_text(&out), n);
	buffer_finish(&out);
	return right != EVENT_UNKNOWN;
}

bool
audience_needs_log(const struct audience *audience)
{
	return audience->got != NULL || audience->outside ||
	    !event_position_covers(
		&audience->position, event_ring_start(audience->hub->ring));
}

bool
audience_pump_log(struct audience *audience)
{
	if (audience->got != NULL) {
		if (!send_slice(audience))
			return false;
		if (audience->got->events != NULL)
			return true;
		event_position_copy(
		    &audience->position, &audience->got->position);
		replay_slice_free(audience->got);
		audience->got = NULL;
	}
	if (!audience_needs_log(audience))
		return true;
	ask_slice(audience);
	return false;
}
