#include "producer/letters/letter.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"

#define REDRIVES_MAX 999999999 /* nine bytes, as the worker takes them */
#define RECORD_OVERHEAD 512    /* what Kafka adds to one; generously */
#define HEADER_OVERHEAD 16

const char *
letter_state_text(enum letter_state state)
{
	static const char *const texts[] = { "waiting", "redriven", "dropped" };

	return texts[state];
}

void
letter_message(const struct kafka_record *record, struct arena *arena,
    struct kafka_message *message)
{
	struct kafka_header header, *headers;
	size_t n = 0, i;

	while (kafka_record_header(record, n, &header))
		n++;
	headers = arena_zalloc(arena, n + 1, sizeof *headers);
	for (i = 0; i < n; i++)
		kafka_record_header(record, i, &headers[i]);
	*message = (struct kafka_message){ .key = record->key,
		.value = record->value,
		.headers = headers,
		.n_headers = n };
}

/* The value of the last header of this name from `first` on. */
static struct text
last_header(const struct kafka_message *message, size_t first, const char *name)
{
	size_t i;

	for (i = message->n_headers; i > first; i--)
		if (text_equal(message->headers[i - 1].name, text_from(name)))
			return message->headers[i - 1].value;
	return TEXT_NONE;
}

static int64_t
number_of(struct text text, int64_t max)
{
	int64_t value;

	return text_to_number(text, max, &value) ? value : -1;
}

bool
letter_place_read(struct text text, struct kafka_offset *place)
{
	int64_t partition;
	const char *colon =
	    text.at != NULL ? memchr(text.at, ':', text.size) : NULL;
	size_t size;

	if (colon == NULL)
		return false;
	size = (size_t)(colon - text.at);
	if (!text_to_number(
		(struct text){ text.at, size }, INT32_MAX - 1, &partition) ||
	    !text_to_number((struct text){ colon + 1, text.size - size - 1 },
		INT64_MAX - 1, &place->offset))
		return false;
	place->partition = (int32_t)partition;
	return true;
}

struct text
letter_place_write(struct kafka_offset place, char out[LETTER_PLACE_SIZE])
{
	return (struct text){ out,
		(size_t)snprintf(out, LETTER_PLACE_SIZE, "%d:%lld",
		    (int)place.partition, (long long)place.offset) };
}

/* Where ours begin: behind them nothing was brought. */
static size_t
find_ours(const struct kafka_message *message)
{
	size_t i;

	for (i = message->n_headers; i > 0; i--)
		if (text_equal(message->headers[i - 1].name, TEXT(DEAD_TOPIC)))
			return i - 1;
	return message->n_headers;
}

/* A letter's record may have brought the headers of a marker. */
static bool
read_marker(const struct kafka_message *message, struct letter *letter)
{
	size_t i;

	if (message->value.at != NULL ||
	    !letter_place_read(message->key, &letter->of))
		return false;
	for (i = 0; i < message->n_headers; i++) {
		struct text name = message->headers[i].name;

		if (text_equal(name, TEXT(DEAD_REDRIVEN)))
			letter->became = LETTER_REDRIVEN;
		else if (text_equal(name, TEXT(DEAD_DROPPED)))
			letter->became = LETTER_DROPPED;
		else if (text_equal(name, TEXT(DEAD_REASON)))
			return false;
	}
	return letter->became != LETTER_WAITS;
}

void
letter_read(const struct kafka_message *message, struct letter *letter)
{
	size_t ours = find_ours(message);
	int64_t redrives;

	*letter = (struct letter){
		.kind = LETTER_FOREIGN,
		.reason = DEAD_REASONS,
		.n_brought = ours,
		.reason_text = last_header(message, ours, DEAD_REASON),
	};
	if (letter->reason_text.at == NULL) {
		letter->n_brought = message->n_headers;
		if (read_marker(message, letter))
			letter->kind = LETTER_MARKER;
		return;
	}
	letter->kind = LETTER_BURIED;
	letter->reason = dead_reason_of(letter->reason_text);
	letter->message = last_header(message, ours, DEAD_MESSAGE);
	letter->time = last_header(message, ours, DEAD_TIME);
	letter->topic = last_header(message, ours, DEAD_TOPIC);
	letter->partition =
	    number_of(last_header(message, ours, DEAD_PARTITION), INT32_MAX);
	letter->offset =
	    number_of(last_header(message, ours, DEAD_OFFSET), INT64_MAX);
	letter->timestamp_ms =
	    number_of(last_header(message, ours, DEAD_TIMESTAMP), INT64_MAX);
	redrives =
	    number_of(last_header(message, ours, DEAD_REDRIVES), REDRIVES_MAX);
	letter->redrives = redrives > 0 ? redrives : 0;
	letter->cut = last_header(message, ours, DEAD_CUT);
	letter->cut_key = last_header(message, ours, DEAD_CUT_KEY);
	letter->cut_headers = last_header(message, ours, DEAD_CUT_HEADERS);
}

static int64_t
size_of(const struct kafka_message *message, size_t n_headers)
{
	size_t size = message->key.size + message->value.size + RECORD_OVERHEAD;
	size_t i;

	for (i = 0; i < n_headers; i++)
		size += message->headers[i].name.size +
		    message->headers[i].value.size + HEADER_OVERHEAD;
	return (int64_t)size;
}

/* What is left out of it, for people; empty: nothing. */
static void
describe_cut(const struct letter *letter, struct buffer *out)
{
	if (letter->cut.at != NULL)
		buffer_format(
		    out, " its value had %.*s bytes;", TEXT_ARG(letter->cut));
	if (letter->cut_key.at != NULL)
		buffer_format(
		    out, " its key had %.*s bytes;", TEXT_ARG(letter->cut_key));
	if (letter->cut_headers.at != NULL)
		buffer_format(out, " it had %.*s headers;",
		    TEXT_ARG(letter->cut_headers));
}

static const char *
refuse_cut(const struct letter *letter, struct arena *arena)
{
	struct buffer out = { 0 };

	buffer_format(&out, "the letter is cut:");
	describe_cut(letter, &out);
	out.size--; /* the last semicolon */
	return buffer_keep(&out, arena).at;
}

static const char *
refuse_topic(
    const struct letter *letter, const char *topic, struct arena *arena)
{
	struct buffer out = { 0 };

	buffer_format(&out, "its record stood in topic %.*s, not in %s",
	    TEXT_ARG(letter->topic), topic);
	return buffer_keep(&out, arena).at;
}

const char *
letter_refusal(const struct kafka_message *message, const struct letter *letter,
    const char *topic, int64_t max_size, struct arena *arena)
{
	if (letter->kind != LETTER_BURIED)
		return "it is no letter of schedrun's: it has no "
		       "header " DEAD_REASON;
	if (!text_equal(letter->topic, text_from(topic)))
		return refuse_topic(letter, topic, arena);
	if (letter->cut.at != NULL || letter->cut_key.at != NULL ||
	    letter->cut_headers.at != NULL)
		return refuse_cut(letter, arena);
	if (letter->reason == DEAD_CRASHED_WORKER)
		return "it has its result, so a copy is dropped as a "
		       "duplicate; schedrun submit asks anew";
	if (letter->reason == DEAD_EMPTY)
		return "it has no value: so has its copy";
	if (letter->reason == DEAD_TOO_LARGE)
		return "its value is over 64 KiB: so is its copy's";
	if (max_size >= 0 && size_of(message, letter->n_brought) > max_size)
		return "it is larger than topics.requests takes uncompressed "
		       "(max.message.bytes)";
	return NULL;
}

/* Names of ours, which a record may have brought: nobody else reads them. */
static bool
is_ours(struct text name)
{
	return text_starts_with(name, TEXT("__connect.errors.")) ||
	    text_starts_with(name, TEXT("schedrun.dlq."));
}

static struct text
print_number(int64_t value, struct arena *arena)
{
	char *out = arena_alloc(arena, TEXT_NUMBER_SIZE);

	return text_of_number(value, out);
}

void
letter_copy(const struct kafka_message *message, const struct letter *letter,
    struct arena *arena, struct kafka_message *copy)
{
	struct kafka_header *headers =
	    arena_alloc(arena, (letter->n_brought + 1) * sizeof *headers);
	int64_t redrives = letter->redrives + 1;
	size_t n = 0, i;

	for (i = 0; i < letter->n_brought; i++)
		if (!is_ours(message->headers[i].name))
			headers[n++] = message->headers[i];
	headers[n++] = (struct kafka_header){ TEXT(DEAD_REDRIVES),
		print_number(
		    redrives < REDRIVES_MAX ? redrives : REDRIVES_MAX, arena) };
	*copy = (struct kafka_message){ .key = message->key,
		.value = message->value,
		.headers = headers,
		.n_headers = n };
}

void
letter_mark(struct kafka_offset place, enum letter_state became, int64_t now_ms,
    struct arena *arena, struct kafka_message *marker)
{
	struct kafka_header *header = arena_alloc(arena, sizeof *header);
	char *key = arena_alloc(arena, LETTER_PLACE_SIZE);
	char *time = arena_alloc(arena, CLOCK_TEXT_SIZE);

	clock_format(now_ms, time);
	header->name = became == LETTER_REDRIVEN ? TEXT(DEAD_REDRIVEN)
						 : TEXT(DEAD_DROPPED);
	header->value = (struct text){ time, CLOCK_TEXT_SIZE };
	*marker = (struct kafka_message){
		.key = letter_place_write(place, key),
		.headers = header,
		.n_headers = 1,
		.pinned = place.partition + 1,
	};
}
