#include "producer/letters/reading.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "schemas/message/run_request.h"

#define FIELDS_MAX 64 /* that are shown; a request has seven */

/* As the worker does it. */
static int
read_frame(const struct kafka_message *message, size_t n_brought,
    struct reading *reading, struct text *body)
{
	size_t i;

	for (i = 0; i < n_brought; i++)
		if (text_equal(message->headers[i].name, TEXT(FRAMING_HEADER)))
			return framing_read_header(message->headers[i].value,
			    message->value, MESSAGE_SIZE_MAX,
			    &reading->schema_id, body, &reading->now);
	return framing_read(message->value, MESSAGE_SIZE_MAX,
	    &reading->schema_id, body, &reading->now);
}

/* NULL: there is none, and `now` says why. */
static struct layout *
find_layout(struct reading *reading, struct registry *registry)
{
	struct text schema;
	struct error err;

	if (registry_schema(registry, reading->schema_id, &schema, &err) != 0) {
		reject(&reading->now, REJECT_UNKNOWN_SCHEMA, "%.150s",
		    err.message);
		return NULL;
	}
	if (schema.at == NULL) {
		reject(&reading->now, REJECT_UNKNOWN_SCHEMA,
		    "no schema has the id %u", (unsigned)reading->schema_id);
		return NULL;
	}
	return run_request_layout(schema, &reading->now);
}

static void
read_fields(struct reading *reading, const struct layout *layout,
    struct text body, struct arena *arena)
{
	struct layout_field field = { 0 };
	uint32_t i;

	reading->fields = arena_alloc(arena, FIELDS_MAX * sizeof field);
	for (i = 0; i < FIELDS_MAX && layout_look(layout, body, i, &field);
	     i++) {
		reading->fields[reading->n_fields] = field;
		reading->fields[reading->n_fields++].name =
		    text_copy(arena, text_from(field.name)).at;
		if (field.kind == FIELD_IS_BROKEN)
			break;
	}
}

/* The field that the worker's word begins with; NULL: none. */
static const struct layout_field *
find_invalid(const struct reading *reading)
{
	size_t i, size;

	for (i = 0; i < reading->n_fields; i++) {
		size = strlen(reading->fields[i].name);
		if (strncmp(reading->now.detail, reading->fields[i].name,
			size) == 0 &&
		    reading->now.detail[size] == ' ')
			return &reading->fields[i];
	}
	return NULL;
}

/* Makes the places the value's, and finds the one of the fault. */
static void
place_fault(struct reading *reading, size_t body_at, size_t size)
{
	const struct layout_field *last = NULL, *invalid;
	size_t i;

	for (i = 0; i < reading->n_fields; i++) {
		last = &reading->fields[i];
		reading->fields[i].from += body_at;
		reading->fields[i].to += body_at;
	}
	reading->fault_at = size;
	if (last == NULL)
		return;
	reading->rest_from =
	    last->kind == FIELD_IS_BROKEN ? last->from : last->to;
	if (reading->now.detail[0] == '\0')
		return;
	invalid = find_invalid(reading);
	reading->fault_at = invalid != NULL ? invalid->from : last->to;
}

void
reading_make(const struct kafka_message *message, size_t n_brought,
    struct registry *registry, struct arena *arena, struct reading *reading)
{
	struct run_request request;
	struct layout *layout;
	struct uuid run;
	struct text body;

	*reading = (struct reading){ 0 };
	if (read_frame(message, n_brought, reading, &body) != 0)
		return;
	reading->is_framed = true;
	reading->rest_from = message->value.size - body.size;
	reading->fault_at = body.size < message->value.size; /* the id */
	layout = find_layout(reading, registry);
	if (layout == NULL)
		return;
	read_fields(reading, layout, body, arena);
	if (run_request_decode(layout, body, &request, &run, &reading->now) ==
	    0)
		run_request_check_time(
		    &request, clock_wall_ms(), &reading->now);
	place_fault(
	    reading, message->value.size - body.size, message->value.size);
	layout_destroy(layout);
}
