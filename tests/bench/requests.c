#include "tests/bench/requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FRAME 5 /* zero byte and schema id */
#define RUN_REQUEST 1
#define SCHEDULE_RUN 2
#define BUILD_REQUESTED 3
#define REQUEST_ID_SIZE 36

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

static uint32_t
schedule_number(uint64_t request, uint32_t schedules)
{
	return (uint32_t)(scatter(~request) % schedules);
}

void
request_schedule(
    uint64_t request, uint32_t schedules, char out[SCHEDULE_SIZE + 1])
{
	uint32_t number = schedule_number(request, schedules);

	snprintf(out, SCHEDULE_SIZE + 1,
	    "ri.scheduler.main.schedule.%08" PRIx32
	    "-0000-4000-8000-%012" PRIx32,
	    number, number);
}

int
request_is_stale(uint64_t request, uint32_t schedules)
{
	return schedule_number(request, schedules) % 2 == 0;
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

size_t
request_encode(uint64_t request, uint32_t schedules, int64_t now_ms,
    char out[REQUEST_SIZE_MAX])
{
	char id[REQUEST_ID_SIZE + 1], schedule[SCHEDULE_SIZE + 1];
	char *at = out;

	write_id(request, id);
	request_schedule(request, schedules, schedule);
	memcpy(at, "\0\0\0\0\1", FRAME);
	at = put_string(at + FRAME, id, REQUEST_ID_SIZE);
	at = put_long(at, 0); /* runRid */
	at = put_string(at, schedule, SCHEDULE_SIZE);
	at = put_long(at, 0); /* scheduleVersionRid */
	at = put_long(at, now_ms);
	at = put_long(at, 0); /* createdBy */
	at = put_long(at, 1);
	at = put_string(at, "bench", 5);
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

/* The union ["null", "string"]. */
static void
skip_optional(struct reader *reader)
{
	size_t size;

	if (get_long(reader) == 1)
		get_string(reader, &size);
}

static int
read_result(struct reader *reader)
{
	size_t size;

	skip_optional(reader); /* scheduleVersionRid */
	get_long(reader);      /* createdTime */
	skip_optional(reader); /* createdBy */
	skip_optional(reader); /* trigger */
	get_long(reader);      /* finishedTime */
	switch (get_long(reader)) {
	case 0:
		return 0;
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
request_read(const char *value, size_t size, uint32_t schedules, int *submitted)
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
	request_schedule(request, schedules, expected);
	if (n != SCHEDULE_SIZE || memcmp(schedule, expected, n) != 0)
		return UINT64_MAX;
	*submitted = value[4] == SCHEDULE_RUN ? read_result(&reader)
					      : value[4] == BUILD_REQUESTED;
	return request;
}
