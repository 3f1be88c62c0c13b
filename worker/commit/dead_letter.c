#include "worker/commit/dead_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

#define COPIED_MAX ((size_t)32 * 1024) /* of the record's own headers */
#define DETAIL_MAX 200
#define OURS 9

/* Decoding failed, or what was decoded can't be carried out. */
static const char *
stage_of(enum dead_reason reason)
{
	return reason < DEAD_CONFLICT ? "VALUE_CONVERTER" : "TASK_PUT";
}

/* How many headers there are, and whether they are small enough to copy. */
static size_t
count_headers(const struct kafka_record *record, bool *fits)
{
	struct kafka_header header;
	size_t n, size = 0;

	for (n = 0; kafka_record_header(record, n, &header); n++)
		size += header.name.size + header.value.size;
	*fits = size <= COPIED_MAX;
	return n;
}

static struct text
print(struct arena *arena, int64_t value)
{
	char *at = arena_alloc(arena, 24);

	return (struct text){ at, (size_t)snprintf(at, 24, "%" PRId64, value) };
}

/* At most 200 printable bytes. */
static struct text
write_detail(
    struct arena *arena, const struct batch_record *record, bool headers_fit)
{
	static const char note[] = "; headers over 32 KiB were not copied";
	char *at = arena_alloc(arena, DETAIL_MAX);
	size_t size = 0, i;

	for (i = 0; i < record->detail.size && size < DETAIL_MAX; i++)
		at[size++] = record->detail.at[i];
	if (!headers_fit) {
		if (size > DETAIL_MAX - (sizeof(note) - 1))
			size = DETAIL_MAX - (sizeof(note) - 1);
		memcpy(at + size, note, sizeof(note) - 1);
		size += sizeof(note) - 1;
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
	static const struct text name = { "schedrun.dlq.redrives", 21 };
	struct kafka_header header;
	struct text found = TEXT("0");
	size_t i;

	for (i = 0; kafka_record_header(record, i, &header); i++)
		if (text_equal(header.name, name) && header.value.at != NULL &&
		    header.value.size <= 9)
			found = header.value;
	return found;
}

static size_t
put_ours(struct kafka_header *out, struct batch *batch, size_t i,
    int64_t now_ms, bool headers_fit)
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
	PUT("__connect.errors.topic", text_from(kafka->topic));
	PUT("__connect.errors.partition", print(arena, kafka->partition));
	PUT("__connect.errors.offset", print(arena, kafka->offset));
	PUT("__connect.errors.stage", text_from(stage_of(record->reason)));
	PUT("__connect.errors.exception.class.name", text_from(reason));
	PUT("__connect.errors.exception.message",
	    write_detail(arena, record, headers_fit));
	PUT("schedrun.dlq.reason", text_from(reason));
	PUT("schedrun.dlq.time", ((struct text){ time, CLOCK_TEXT_SIZE }));
	PUT("schedrun.dlq.redrives", redrives_of(kafka));
#undef PUT
	return n;
}

void
dead_letter_add(struct batch *batch, size_t i, int64_t now_ms)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	struct kafka_message *message;
	struct kafka_header *headers;
	size_t n, at;
	bool fits;

	n = count_headers(kafka, &fits);
	if (!fits)
		n = 0;
	headers = arena_alloc(batch->arena, (n + OURS) * sizeof *headers);
	for (at = 0; at < n; at++)
		kafka_record_header(kafka, at, &headers[at]);
	n += put_ours(headers + n, batch, i, now_ms, fits);
	message = batch_message(batch, BATCH_DEAD);
	message->key = kafka->key;
	message->value = kafka->value;
	message->headers = headers;
	message->n_headers = n;
	message->timestamp_ms =
	    kafka->timestamp_ms > 0 ? kafka->timestamp_ms : 0;
	batch->counts.dead[batch->records[i].reason]++;
}
