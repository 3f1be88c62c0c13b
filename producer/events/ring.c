#include "producer/events/ring.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/json/write.h"

#define N_PROFILES (PROFILE_GA_UPPER + 1)

struct entry {
	struct result_event *event;
	uint64_t before;               /* bytes of all events before it */
	struct text id;                /* ours: the place behind it */
	struct text texts[N_PROFILES]; /* ours; made when first asked for */
};

struct event_ring {
	struct entry *entries; /* number % capacity */
	size_t capacity;       /* a power of two */
	uint64_t first, end;
	size_t bytes, bytes_max;
	uint64_t passed; /* bytes of all events that ever were */
	struct event_position start, head;
	struct buffer scratch;
};

struct event_ring *
event_ring_create(size_t bytes_max)
{
	struct event_ring *ring = memory_zalloc(1, sizeof *ring);

	ring->bytes_max = bytes_max;
	ring->capacity = 1024;
	ring->entries = memory_zalloc(ring->capacity, sizeof *ring->entries);
	ring->first = ring->end = 1;
	return ring;
}

static struct entry *
entry_at(const struct event_ring *ring, uint64_t number)
{
	return &ring->entries[number & (ring->capacity - 1)];
}

static size_t
entry_size(const struct entry *entry)
{
	size_t size = sizeof *entry + entry->event->size + entry->id.size, i;

	for (i = 0; i < N_PROFILES; i++)
		size += entry->texts[i].size;
	return size;
}

static void
free_text(struct text text)
{
	char *bytes;

	memcpy(&bytes, &text.at, sizeof bytes); /* ours, so not const */
	free(bytes);
}

static void
drop_first(struct event_ring *ring)
{
	struct entry *entry = entry_at(ring, ring->first++);
	const struct schedule_run *record = &entry->event->record;
	size_t i;

	ring->bytes -= entry_size(entry);
	event_position_pass(
	    &ring->start, record->partition, record->offset + 1);
	free(entry->event);
	free_text(entry->id);
	for (i = 0; i < N_PROFILES; i++)
		free_text(entry->texts[i]);
}

static void
drop_all(struct event_ring *ring)
{
	while (ring->first < ring->end)
		drop_first(ring);
}

void
event_ring_destroy(struct event_ring *ring)
{
	if (ring == NULL)
		return;
	drop_all(ring);
	event_position_finish(&ring->start);
	event_position_finish(&ring->head);
	buffer_finish(&ring->scratch);
	free(ring->entries);
	free(ring);
}

void
event_ring_restart(
    struct event_ring *ring, const struct event_position *position)
{
	drop_all(ring);
	event_position_copy(&ring->start, position);
	event_position_copy(&ring->head, position);
}

/* A copy of what the scratch buffer holds. */
static struct text
keep_scratch(struct event_ring *ring)
{
	char *copy = memory_alloc(ring->scratch.size);

	memcpy(copy, ring->scratch.at, ring->scratch.size);
	return (struct text){ copy, ring->scratch.size };
}

void
event_ring_append(struct event_ring *ring, struct result_event *event)
{
	const struct schedule_run *record = &event->record;
	struct entry *entry;
	size_t capacity;
	struct entry *entries;
	uint64_t i;

	if (ring->end - ring->first == ring->capacity) {
		capacity = ring->capacity * 2;
		entries = memory_zalloc(capacity, sizeof *entries);
		for (i = ring->first; i < ring->end; i++)
			entries[i & (capacity - 1)] = *entry_at(ring, i);
		free(ring->entries);
		ring->entries = entries;
		ring->capacity = capacity;
	}
	event_position_pass(&ring->head, record->partition, record->offset + 1);
	buffer_reset(&ring->scratch);
	event_position_write(&ring->head, &ring->scratch);
	entry = entry_at(ring, ring->end++);
	*entry =
	    (struct entry){ event, ring->passed, .id = keep_scratch(ring) };
	ring->passed += event->size;
	ring->bytes += entry_size(entry);
	while (ring->bytes > ring->bytes_max && ring->first + 1 < ring->end)
		drop_first(ring);
}

void
event_ring_pass(struct event_ring *ring, int32_t partition, int64_t next)
{
	event_position_pass(&ring->head, partition, next);
}

const struct event_position *
event_ring_start(const struct event_ring *ring)
{
	return &ring->start;
}

const struct event_position *
event_ring_head(const struct event_ring *ring)
{
	return &ring->head;
}

uint64_t
event_ring_first(const struct event_ring *ring)
{
	return ring->first;
}

uint64_t
event_ring_end(const struct event_ring *ring)
{
	return ring->end;
}

const struct result_event *
event_ring_at(const struct event_ring *ring, uint64_t number)
{
	return entry_at(ring, number)->event;
}

void
event_ring_position(const struct event_ring *ring, uint64_t number,
    struct event_position *position)
{
	if (number > ring->first)
		event_position_read(position, entry_at(ring, number - 1)->id);
	else
		event_position_copy(position, &ring->start);
}

size_t
event_ring_bytes(const struct event_ring *ring, uint64_t number)
{
	if (number < ring->first)
		number = ring->first;
	if (number >= ring->end)
		return 0;
	return (size_t)(ring->passed - entry_at(ring, number)->before);
}

static void
write_event(const struct schedule_run *record, struct text id,
    enum http_profile profile, struct buffer *out)
{
	struct buffer json = { 0 };

	buffer_append(out, TEXT("id: "));
	buffer_append(out, id);
	/* Beside the run, whose form is others': who doesn't know the field
	 * passes it over. */
	if (record->trigger.size > 0) {
		json_put_text(
		    &json, text_cut(record->trigger, RUN_TRIGGER_KEPT));
		buffer_append(out, TEXT("\ntrigger: "));
		buffer_append(out, buffer_text(&json));
		buffer_reset(&json);
	}
	http_profile_put_run(profile, record, &json);
	buffer_append(out, TEXT("\nevent: scheduleRun\ndata: "));
	buffer_append(out, buffer_text(&json));
	buffer_append(out, TEXT("\n\n"));
	buffer_finish(&json);
}

struct text
event_ring_text(
    struct event_ring *ring, uint64_t number, enum http_profile profile)
{
	struct entry *entry = entry_at(ring, number);
	struct text *text = &entry->texts[profile];

	if (text->at != NULL)
		return *text;
	buffer_reset(&ring->scratch);
	write_event(&entry->event->record, entry->id, profile, &ring->scratch);
	*text = keep_scratch(ring);
	ring->bytes += text->size;
	return *text;
}

void
event_write(const struct schedule_run *record,
    const struct event_position *position, enum http_profile profile,
    struct buffer *out)
{
	struct buffer id = { 0 };

	event_position_write(position, &id);
	write_event(record, buffer_text(&id), profile, out);
	buffer_finish(&id);
}
