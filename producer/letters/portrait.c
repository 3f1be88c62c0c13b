#include "producer/letters/portrait.h"

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/letters/reading.h"

#define HEX_MAX 512 /* bytes for people; an object has them all */
#define NAME_WIDTH "%-14s  "

/* What is shown, as it was read. */
struct portrait {
	const struct letter_entry *entry;
	struct kafka_message message;
	struct letter letter;
	struct reading reading;
	struct buffer *out;
};

static void
put_hex(struct buffer *out, struct text bytes)
{
	size_t i;

	for (i = 0; i < bytes.size; i++)
		buffer_format(out, "%02x", (unsigned char)bytes.at[i]);
}

static struct text
rest_of(const struct portrait *portrait)
{
	struct text value = portrait->message.value;
	size_t from = portrait->reading.rest_from;

	return value.at == NULL
	    ? TEXT_NONE
	    : (struct text){ value.at + from, value.size - from };
}

static const char *
verdict_of(const struct portrait *portrait)
{
	const char *detail = portrait->reading.now.detail;

	return detail[0] != '\0' ? detail : "it can be read, and is valid";
}

/* For programs ----------------------------------------------------------- */

/* "key": "text", or "keyHex": "ff00". */
static void
put_member(struct buffer *out, const char *name, const char *hex_name,
    struct text bytes)
{
	struct buffer hex = { 0 };

	if (bytes.at == NULL || text_is_utf8(bytes)) {
		json_member_text(out, name, bytes);
		return;
	}
	put_hex(&hex, bytes);
	json_member_text(out, hex_name, buffer_text(&hex));
	buffer_finish(&hex);
}

static void
put_field(struct buffer *out, const struct layout_field *field)
{
	json_open(out, '{');
	json_member_string(out, "name", field->name);
	json_member_integer(out, "from", (int64_t)field->from);
	json_member_integer(out, "to", (int64_t)field->to);
	if (field->kind == FIELD_IS_NUMBER)
		json_member_integer(out, "value", field->number);
	else if (field->kind == FIELD_IS_TEXT)
		put_member(out, "value", "valueHex", field->text);
	else if (field->kind == FIELD_IS_NULL)
		json_member_text(out, "value", TEXT_NONE);
	else if (field->kind == FIELD_IS_BROKEN)
		json_member_bool(out, "broken", true);
	json_close(out, '}');
}

static void
put_value(const struct portrait *portrait)
{
	const struct reading *reading = &portrait->reading;
	struct buffer *out = portrait->out, hex = { 0 };
	size_t size = portrait->message.value.size, i;

	json_member_open(out, "value", '{');
	json_member_integer(out, "size", (int64_t)size);
	if (reading->is_framed)
		json_member_integer(out, "schemaId", reading->schema_id);
	json_member_open(out, "fields", '[');
	for (i = 0; i < reading->n_fields; i++)
		put_field(out, &reading->fields[i]);
	json_close(out, ']');
	if (reading->fault_at < size)
		json_member_integer(out, "faultAt", (int64_t)reading->fault_at);
	put_hex(&hex, rest_of(portrait));
	json_member_text(out, "restHex", buffer_text(&hex));
	buffer_finish(&hex);
	json_member_bool(out, "valid", portrait->reading.now.detail[0] == '\0');
	json_member_string(out, "now", verdict_of(portrait));
	json_close(out, '}');
}

static void
put_burial(struct buffer *out, const struct letter *letter)
{
	if (letter->kind != LETTER_BURIED)
		return;
	put_member(out, "reason", "reasonHex", letter->reason_text);
	put_member(out, "message", "messageHex", letter->message);
	put_member(out, "topic", "topicHex", letter->topic);
	json_member_integer(out, "partition", letter->partition);
	json_member_integer(out, "offset", letter->offset);
	if (letter->timestamp_ms >= 0)
		json_member_time(out, "recordTime", letter->timestamp_ms);
	json_member_integer(out, "redrives", letter->redrives);
	json_member_bool(out, "cut",
	    letter->cut.at != NULL || letter->cut_key.at != NULL ||
		letter->cut_headers.at != NULL);
}

static void
put_object(const struct portrait *portrait)
{
	const struct kafka_message *message = &portrait->message;
	const struct letter_entry *entry = portrait->entry;
	struct buffer *out = portrait->out;
	char place[LETTER_PLACE_SIZE];
	size_t i;

	json_open(out, '{');
	json_member_text(
	    out, "letter", letter_place_write(entry->place, place));
	json_member_string(out, "state", letter_state_text(entry->state));
	if (entry->state != LETTER_WAITS)
		json_member_time(out, "stateTime", entry->state_ms);
	json_member_time(out, "buriedTime", entry->time_ms);
	put_burial(out, &portrait->letter);
	put_member(out, "key", "keyHex", message->key);
	json_member_open(out, "headers", '[');
	for (i = 0; i < message->n_headers; i++) {
		json_open(out, '{');
		put_member(out, "name", "nameHex", message->headers[i].name);
		put_member(out, "value", "valueHex", message->headers[i].value);
		json_close(out, '}');
	}
	json_close(out, ']');
	put_value(portrait);
	json_close(out, '}');
	buffer_byte(out, '\n');
}

/* For people ------------------------------------------------------------- */

/* Text as it is, but for what could steer a terminal; else hexadecimal. */
static void
put_bytes(struct buffer *out, struct text bytes)
{
	if (bytes.at == NULL) {
		buffer_byte(out, '-');
	} else if (text_is_utf8(bytes)) {
		buffer_append_shown(out, bytes);
	} else {
		buffer_append(out, TEXT("0x"));
		put_hex(out, bytes);
	}
	buffer_byte(out, '\n');
}

static void
put_line(struct buffer *out, const char *name, struct text bytes)
{
	buffer_format(out, NAME_WIDTH, name);
	put_bytes(out, bytes);
}

static void
put_time_line(struct buffer *out, const char *name, int64_t ms)
{
	char time[CLOCK_TEXT_SIZE];

	clock_format(ms, time);
	put_line(out, name, (struct text){ time, CLOCK_TEXT_SIZE });
}

static void
put_field_line(struct buffer *out, const struct layout_field *field)
{
	char number[TEXT_NUMBER_SIZE];

	switch (field->kind) {
	case FIELD_IS_TEXT:
		put_line(out, field->name, field->text);
		return;
	case FIELD_IS_NUMBER:
		put_line(
		    out, field->name, text_of_number(field->number, number));
		return;
	case FIELD_IS_NULL:
		put_line(out, field->name, TEXT("null"));
		return;
	case FIELD_IS_OTHER:
	case FIELD_IS_BROKEN:
		break;
	}
	buffer_format(out, NAME_WIDTH "%s: bytes %zu to %zu\n", field->name,
	    field->kind == FIELD_IS_BROKEN ? "broken" : "not shown",
	    field->from, field->to);
}

static void
put_rest_line(const struct portrait *portrait)
{
	struct text rest = rest_of(portrait);
	struct buffer *out = portrait->out;
	size_t more = rest.size > HEX_MAX ? rest.size - HEX_MAX : 0;

	if (rest.size == 0)
		return;
	rest.size -= more;
	buffer_format(out, NAME_WIDTH "from byte %zu: 0x", "rest",
	    portrait->reading.rest_from);
	put_hex(out, rest);
	if (more > 0)
		buffer_format(out, ", and %zu bytes more: -o json", more);
	buffer_byte(out, '\n');
}

static void
put_value_lines(const struct portrait *portrait)
{
	const struct reading *reading = &portrait->reading;
	struct buffer *out = portrait->out;
	size_t size = portrait->message.value.size, i;

	if (portrait->message.value.at == NULL)
		put_line(out, "value", TEXT_NONE);
	else
		buffer_format(out, NAME_WIDTH "%zu bytes\n", "value", size);
	if (reading->is_framed)
		buffer_format(out, NAME_WIDTH "%u\n", "schema id",
		    (unsigned)reading->schema_id);
	for (i = 0; i < reading->n_fields; i++)
		put_field_line(out, &reading->fields[i]);
	if (reading->fault_at < size)
		buffer_format(out, NAME_WIDTH "byte %zu\n", "fault at",
		    reading->fault_at);
	put_line(out, "now", text_from(verdict_of(portrait)));
	put_rest_line(portrait);
}

static void
put_lines(const struct portrait *portrait)
{
	const struct letter *letter = &portrait->letter;
	const struct letter_entry *entry = portrait->entry;
	struct buffer *out = portrait->out;
	char place[LETTER_PLACE_SIZE];
	size_t i;

	put_line(out, "letter", letter_place_write(entry->place, place));
	put_line(out, "state", text_from(letter_state_text(entry->state)));
	if (entry->state != LETTER_WAITS)
		put_time_line(out, "since", entry->state_ms);
	put_time_line(out, "buried", entry->time_ms);
	if (letter->kind == LETTER_BURIED) {
		put_line(out, "reason", letter->reason_text);
		put_line(out, "message", letter->message);
		put_line(out, "topic", letter->topic);
		buffer_format(out, NAME_WIDTH "%lld:%lld\n", "record",
		    (long long)letter->partition, (long long)letter->offset);
	}
	put_line(out, "key", portrait->message.key);
	put_value_lines(portrait);
	for (i = 0; i < portrait->message.n_headers; i++) {
		buffer_format(out, NAME_WIDTH, "header");
		buffer_append_shown(out, portrait->message.headers[i].name);
		buffer_append(out, TEXT(" = "));
		put_bytes(out, portrait->message.headers[i].value);
	}
}

void
portrait_put(const struct letter_entry *entry,
    const struct kafka_record *record, struct registry *registry,
    bool for_people, struct buffer *out)
{
	struct arena *arena = arena_create(0);
	struct portrait portrait = { .entry = entry, .out = out };

	letter_message(record, arena, &portrait.message);
	letter_read(&portrait.message, &portrait.letter);
	reading_make(&portrait.message, portrait.letter.n_brought, registry,
	    arena, &portrait.reading);
	if (for_people)
		put_lines(&portrait);
	else
		put_object(&portrait);
	arena_destroy(arena);
}
