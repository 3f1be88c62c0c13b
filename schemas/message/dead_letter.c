#include "schemas/message/dead_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

#define COPIED_MAX ((size_t)32 * 1024) /* of the record's own headers */
#define KEY_MAX ((size_t)32 * 1024)    /* of the key, if the letter is cut */
#define HEADER_COST 16                 /* of one, beyond its bytes */
#define DETAIL_MAX 200
#define OURS 13
/* Our headers together, and what Kafka's record and batch add; generously. */
#define OVERHEAD ((size_t)3 * 1024)

/* Decoding failed, or what was decoded can't be carried out. */
static const char *
stage_of(enum dead_reason reason)
{
	return reason < DEAD_CONFLICT ? "VALUE_CONVERTER" : "TASK_PUT";
}

/* The record's own headers: how many, and what they take in a letter. */
static size_t
measure_headers(const struct kafka_record *record, size_t *n)
{
	struct kafka_header header;
	size_t size = 0;

	for (*n = 0; kafka_record_header(record, *n, &header); (*n)++)
		size += header.name.size + header.value.size + HEADER_COST;
	return size;
}

static struct text
print_number(struct arena *arena, int64_t value)
{
	char *at = arena_alloc(arena, 24);

	return (struct text){ at, (size_t)snprintf(at, 24, "%" PRId64, value) };
}

/* At most 200 printable bytes. */
static struct text
write_detail(struct arena *arena, struct text detail, bool headers_fit)
{
	static const char note[] = "; its headers are too large to be copied";
	char *at = arena_alloc(arena, DETAIL_MAX);
	size_t size = 0, i;

	for (i = 0; i < detail.size && size < DETAIL_MAX; i++)
		at[size++] = detail.at[i];
	if (!headers_fit) {
		if (size > DETAIL_MAX - (sizeof note - 1))
			size = DETAIL_MAX - (sizeof note - 1);
		memcpy(at + size, note, sizeof note - 1);
		size += sizeof note - 1;
	}
	for (i = 0; i < size; i++)
		if ((unsigned char)at[i] < 0x20 || (unsigned char)at[i] > 0x7e)
			at[i] = '?';
	return (struct text){ at, size };
}

/* Redrives so far: the record's own last header of that name. */
static struct text
redrives_of(const struct kafka_record *record)
{
	struct kafka_header header;
	struct text found = TEXT("0");
	size_t i;

	for (i = 0; kafka_record_header(record, i, &header); i++)
		if (text_equal(header.name, TEXT(DEAD_REDRIVES)) &&
		    header.value.at != NULL && header.value.size <= 9)
			found = header.value;
	return found;
}

/* What is left of a record in its letter. */
struct cut {
	struct text key, value;
	size_t n_headers; /* of its own: all, or none */
	size_t n_left_out;
};

static struct text
shorten_note(struct text text, size_t size)
{
	return text.size > size ? (struct text){ text.at, size } : text;
}

/*
 * Compressed, a record may have fitted its topic whatever its size: what a
 * letter can't hold is left out, headers first, then the ends of key and value.
 */
static struct cut
cut_record(const struct kafka_record *record, size_t max_size)
{
	struct cut cut = { .key = record->key, .value = record->value };
	size_t room = max_size > OVERHEAD ? max_size - OVERHEAD : 0;
	size_t headers = measure_headers(record, &cut.n_headers);

	if (headers > COPIED_MAX || headers > room / 4) {
		cut.n_left_out = cut.n_headers;
		cut.n_headers = headers = 0;
	}
	room -= headers;
	if (cut.key.size > room || cut.value.size > room - cut.key.size)
		cut.key = shorten_note(
		    cut.key, room / 4 < KEY_MAX ? room / 4 : KEY_MAX);
	cut.value = shorten_note(cut.value, room - cut.key.size);
	return cut;
}

static size_t
put_ours(struct kafka_header *out, const struct dead_letter *letter,
    int64_t now_ms, const struct cut *cut, struct arena *arena)
{
	const struct kafka_record *kafka = letter->record;
	const char *reason = dead_reason_text(letter->reason);
	char *time = arena_alloc(arena, CLOCK_TEXT_SIZE);
	size_t n = 0;

	clock_format(now_ms, time);
#define PUT(name_, value_)                                                     \
	out[n++] = (struct kafka_header){ TEXT(name_), (value_) }
	PUT(DEAD_TOPIC, text_from(kafka->topic));
	PUT(DEAD_PARTITION, print_number(arena, kafka->partition));
	PUT(DEAD_OFFSET, print_number(arena, kafka->offset));
	PUT(DEAD_STAGE, text_from(stage_of(letter->reason)));
	PUT(DEAD_CLASS, text_from(reason));
	PUT(DEAD_MESSAGE,
	    write_detail(arena, letter->detail, cut->n_left_out == 0));
	PUT(DEAD_REASON, text_from(reason));
	PUT(DEAD_TIME, ((struct text){ time, CLOCK_TEXT_SIZE }));
	PUT(DEAD_TIMESTAMP, print_number(arena, kafka->timestamp_ms));
	PUT(DEAD_REDRIVES, redrives_of(kafka));
	if (cut->value.size < kafka->value.size)
		PUT(DEAD_CUT, print_number(arena, (int64_t)kafka->value.size));
	if (cut->key.size < kafka->key.size)
		PUT(DEAD_CUT_KEY,
		    print_number(arena, (int64_t)kafka->key.size));
	if (cut->n_left_out > 0)
		PUT(DEAD_CUT_HEADERS,
		    print_number(arena, (int64_t)cut->n_left_out));
#undef PUT
	return n;
}

void
dead_letter_write(const struct dead_letter *letter, size_t max_size,
    int64_t now_ms, struct arena *arena, struct kafka_message *message)
{
	const struct kafka_record *kafka = letter->record;
	struct cut cut = cut_record(kafka, max_size);
	struct kafka_header *headers =
	    arena_alloc(arena, (cut.n_headers + OURS) * sizeof *headers);
	size_t at;

	for (at = 0; at < cut.n_headers; at++)
		kafka_record_header(kafka, at, &headers[at]);
	*message = (struct kafka_message){ .key = cut.key,
		.value = cut.value,
		.headers = headers,
		.n_headers =
		    at + put_ours(headers + at, letter, now_ms, &cut, arena) };
}
