#include "worker/commit/dead_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

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
write_detail(
    struct arena *arena, const struct batch_record *record, bool headers_fit)
{
	static const char note[] = "; its headers are too large to be copied";
	char *at = arena_alloc(arena, DETAIL_MAX);
	size_t size = 0, i;

	for (i = 0; i < record->detail.size && size < DETAIL_MAX; i++)
		at[size++] = record->detail.at[i];
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
put_ours(struct kafka_header *out, struct batch *batch, size_t i,
    int64_t now_ms, const struct cut *cut)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	const struct batch_record *record = &batch->records[i];
	const char *reason = dead_reason_text(record->reason);
	char *time = arena_alloc(batch->arena, CLOCK_TEXT_SIZE);
	struct arena *arena = batch->arena;
	size_t n = 0;

	clock_format(now_ms, time);
#define PUT(name_, value_)                                                     \
	out[n++] = (struct kafka_header){ TEXT(name_), (value_) }
	PUT(DEAD_TOPIC, text_from(kafka->topic));
	PUT(DEAD_PARTITION, print_number(arena, kafka->partition));
	PUT(DEAD_OFFSET, print_number(arena, kafka->offset));
	PUT(DEAD_STAGE, text_from(stage_of(record->reason)));
	PUT(DEAD_CLASS, text_from(reason));
	PUT(DEAD_MESSAGE, write_detail(arena, record, cut->n_left_out == 0));
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
dead_letter_add(struct batch *batch, size_t i, size_t max_size, int64_t now_ms)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	struct cut cut = cut_record(kafka, max_size);
	struct kafka_message *message = batch_message(batch, BATCH_DEAD);
	struct kafka_header *headers;
	size_t at;

	headers =
	    arena_alloc(batch->arena, (cut.n_headers + OURS) * sizeof *headers);
	for (at = 0; at < cut.n_headers; at++)
		kafka_record_header(kafka, at, &headers[at]);
	message->key = cut.key;
	message->value = cut.value;
	message->headers = headers;
	message->n_headers =
	    at + put_ours(headers + at, batch, i, now_ms, &cut);
	batch->counts.dead[batch->records[i].reason]++;
}

static void
log_buried(const struct batch *batch, size_t i)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	const char *reason = dead_reason_text(batch->records[i].reason);

	log_event(LOG_WARN, "worker", "record_buried",
	    "a record went to the dead letters", LOG_S("topic", kafka->topic),
	    LOG_I("partition", kafka->partition),
	    LOG_I("offset", kafka->offset), LOG_S("reason", reason), LOG_END);
}

static void
log_key(const struct batch *batch, size_t i)
{
	const struct kafka_record *kafka = &batch->kafka[i];

	log_event(LOG_WARN, "worker", "key_mismatch",
	    "a request's Kafka key is not its scheduleRid: it may be answered "
	    "out of its schedule's order",
	    LOG_S("topic", kafka->topic), LOG_I("partition", kafka->partition),
	    LOG_I("offset", kafka->offset), LOG_END);
}

void
dead_letter_log(const struct batch *batch)
{
	uint32_t left = batch->counts.key_mismatches;
	size_t i;

	for (i = 0; i < DEAD_REASONS; i++)
		left += batch->counts.dead[i];
	for (i = 0; left > 0 && i < batch->n; i++) {
		const struct batch_record *record = &batch->records[i];

		if (record->fate == FATE_DEAD || record->fate == FATE_CRASHED) {
			log_buried(batch, i);
			left--;
		}
		if (record->has_other_key) {
			log_key(batch, i);
			left--;
		}
	}
}
