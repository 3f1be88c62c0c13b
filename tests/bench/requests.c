#include "tests/bench/requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/clients.h"

#define FRAME 5 /* zero byte and schema id */
#define RUN_REQUEST 1
#define SCHEDULE_RUN 2
#define BUILD_REQUESTED 7
#define REQUEST_ID_SIZE 36
#define USERS 1024
#define PINS 64 /* one of so many */
#define TEXT_SIZE 96

/* The finaliser of splitmix64: numbers that look random. */
static uint64_t
scatter(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static int
is_repeat(uint64_t i)
{
	return i % REQUEST_REPEATS == REQUEST_REPEATS - 1;
}

uint64_t
request_of_record(uint64_t i)
{
	uint64_t earlier;

	if (!is_repeat(i))
		return i;
	earlier = scatter(i) % i;
	return is_repeat(earlier) ? earlier - 1 : earlier;
}

uint64_t
requests_distinct(uint64_t n)
{
	return n - n / REQUEST_REPEATS;
}

struct mix
mix_parse(const char *text)
{
	const char *colon = strchr(text, ':');
	struct mix mix = { 0 };

	if (colon != NULL)
		mix.schedules = (uint32_t)strtoul(colon + 1, NULL, 10);
	if (mix.schedules == 0)
		die(text, "is no MIX:SCHEDULES");
	mix.is_once = strncmp(text, "once:", 5) == 0;
	mix.is_repeat = strncmp(text, "repeat:", 7) == 0;
	return mix;
}

/* Of once: a different one for each request, as no number has the prime in it.
 */
static uint32_t
schedule_number(uint64_t request, const struct mix *mix)
{
	const uint64_t prime = 4294967291;

	return (uint32_t)((mix->is_once ? request * prime : scatter(~request)) %
	    mix->schedules);
}

static void
write_schedule(uint64_t request, const struct mix *mix, const char *prefix,
    char out[TEXT_SIZE])
{
	uint32_t number = schedule_number(request, mix);

	snprintf(out, TEXT_SIZE, "%s%08" PRIx32 "-0000-4000-8000-%012" PRIx32,
	    prefix, number, number);
}

void
request_schedule(
    uint64_t request, const struct mix *mix, char out[SCHEDULE_SIZE + 1])
{
	char text[TEXT_SIZE];

	write_schedule(request, mix, "ri.scheduler.main.schedule.", text);
	memcpy(out, text, SCHEDULE_SIZE + 1);
}

/* Empty: it pins none. */
static void
write_pin(uint64_t request, const struct mix *mix, char out[TEXT_SIZE])
{
	out[0] = '\0';
	if (!mix->is_repeat && scatter(request ^ 1) % PINS == 0)
		write_schedule(
		    request, mix, "ri.scheduler.main.schedule-version.", out);
}

/* Empty: it is nobody's. */
static void
write_user(uint64_t request, const struct mix *mix, char out[TEXT_SIZE])
{
	uint64_t noise = scatter(request ^ 2);

	out[0] = '\0';
	if (!mix->is_repeat && noise % 4 > 0)
		snprintf(out, TEXT_SIZE, "00000000-0000-4000-8000-%012" PRIx64,
		    noise / 4 % USERS);
}

static void
write_trigger(uint64_t request, const struct mix *mix, char out[TEXT_SIZE])
{
	if (mix->is_repeat)
		strcpy(out, "bench");
	else
		snprintf(out, TEXT_SIZE, "new data, event %" PRIu64, request);
}

int
request_is_stale(uint64_t request, const struct mix *mix)
{
	return schedule_number(request, mix) % 2 == 0;
}

static void
write_id(uint64_t request, char out[REQUEST_ID_SIZE + 1])
{
	uint64_t noise = scatter(request);

	snprintf(out, REQUEST_ID_SIZE + 1, "%08x-%04x-4%03x-8%03x-%012" PRIx64,
	    (unsigned)(noise >> 32), (unsigned)(noise >> 16 & 0xffff),
	    (unsigned)(noise >> 4 & 0xfff), (unsigned)(noise & 0xfff), request);
}

static char *
put_long(char *at, int64_t value)
{
	uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

	for (; bits >= 0x80; bits >>= 7)
		*at++ = (char)(bits | 0x80);
	*at++ = (char)bits;
	return at;
}

static char *
put_string(char *at, const char *text, size_t size)
{
	at = put_long(at, (int64_t)size);
	memcpy(at, text, size);
	return at + size;
}

/* The union ["null", "string"]; empty is null. */
static char *
put_optional(char *at, const char *text)
{
	if (text[0] == '\0')
		return put_long(at, 0);
	return put_string(put_long(at, 1), text, strlen(text));
}

size_t
request_encode(uint64_t request, const struct mix *mix, int64_t now_ms,
    char out[REQUEST_SIZE_MAX])
{
	char id[REQUEST_ID_SIZE + 1], schedule[SCHEDULE_SIZE + 1];
	char text[TEXT_SIZE];
	char *at = out;

	write_id(request, id);
	request_schedule(request, mix, schedule);
	memcpy(at, "\0\0\0\0\1", FRAME);
	at = put_string(at + FRAME, id, REQUEST_ID_SIZE);
	at = put_long(at, 0); /* runRid */
	at = put_string(at, schedule, SCHEDULE_SIZE);
	write_pin(request, mix, text);
	at = put_optional(at, text);
	at = put_long(at, now_ms);
	write_user(request, mix, text);
	at = put_optional(at, text);
	write_trigger(request, mix, text);
	at = put_optional(at, text);
	return (size_t)(at - out);
}

struct reader {
	const char *at, *end; /* at NULL: it went wrong */
};

static int64_t
get_long(struct reader *reader)
{
	uint64_t bits = 0;
	int shift;

	for (shift = 0; reader->at != NULL && shift < 64; shift += 7) {
		if (reader->at == reader->end)
			break;
		bits |= (uint64_t)(*reader->at & 0x7f) << shift;
		if ((*reader->at++ & 0x80) == 0)
			return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
	}
	reader->at = NULL;
	return 0;
}

static const char *
get_string(struct reader *reader, size_t *size)
{
	int64_t n = get_long(reader);
	const char *start = reader->at;

	*size = 0;
	if (start == NULL || n < 0 || n > reader->end - start) {
		reader->at = NULL;
		return "";
	}
	*size = (size_t)n;
	reader->at += n;
	return start;
}

static void
skip_optional(struct reader *reader)
{
	size_t size;

	if (get_long(reader) == 1)
		get_string(reader, &size);
}

/* Whether the union ["null", "string"] is this text; empty is null. */
static int
is_optional(struct reader *reader, const char *text)
{
	const char *at;
	size_t size;

	if (get_long(reader) == 0)
		return reader->at != NULL && text[0] == '\0';
	at = get_string(reader, &size);
	return reader->at != NULL && size > 0 && size == strlen(text) &&
	    memcmp(at, text, size) == 0;
}

/* Of a ScheduleRun, what follows its schedule: -2 is not that request's. */
static int
read_result(struct reader *reader, uint64_t request, const struct mix *mix)
{
	char text[TEXT_SIZE];
	size_t size;

	write_schedule(
	    request, mix, "ri.scheduler.main.schedule-version.", text);
	if (!is_optional(reader, text))
		return -2;
	get_long(reader); /* createdTime */
	write_user(request, mix, text);
	if (!is_optional(reader, text))
		return -2;
	write_trigger(request, mix, text);
	if (!is_optional(reader, text))
		return -2;
	get_long(reader); /* finishedTime */
	switch (get_long(reader)) {
	case 0:
		return reader->at != NULL ? 0 : -1;
	case 1:
		get_string(reader, &size);
		return reader->at != NULL && size > 0 ? 1 : -1;
	default:
		return -1;
	}
}

/* The number that an id of ours ends with; UINT64_MAX: it is none of ours. */
static uint64_t
number_of_id(const char *id, size_t size)
{
	char text[REQUEST_ID_SIZE + 1];
	uint64_t request;

	if (size != REQUEST_ID_SIZE)
		return UINT64_MAX;
	memcpy(text, id + REQUEST_ID_SIZE - 12, 12);
	text[12] = '\0';
	if (sscanf(text, "%12" SCNx64, &request) != 1)
		return UINT64_MAX;
	write_id(request, text);
	return memcmp(id, text, REQUEST_ID_SIZE) == 0 ? request : UINT64_MAX;
}

uint64_t
request_read(
    const char *value, size_t size, const struct mix *mix, int *submitted)
{
	struct reader reader = { value + FRAME, value + size };
	const char *id, *schedule;
	char expected[SCHEDULE_SIZE + 1];
	uint64_t request;
	size_t n, i, rids;

	if (size < FRAME || value[0] != 0)
		return UINT64_MAX;
	rids = value[4] == SCHEDULE_RUN   ? 1
	    : value[4] == BUILD_REQUESTED ? 2
					  : 0;
	for (i = 0; i < rids; i++)
		get_string(&reader, &n);
	id = get_string(&reader, &n);
	request = number_of_id(id, n);
	if (request == UINT64_MAX)
		return UINT64_MAX;
	if (value[4] == RUN_REQUEST)
		skip_optional(&reader); /* runRid */
	schedule = get_string(&reader, &n);
	request_schedule(request, mix, expected);
	if (n != SCHEDULE_SIZE || memcmp(schedule, expected, n) != 0)
		return UINT64_MAX;
	*submitted = value[4] == SCHEDULE_RUN
	    ? read_result(&reader, request, mix)
	    : value[4] == BUILD_REQUESTED;
	return *submitted == -2 ? UINT64_MAX : request;
}
