#include "common/base/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/small_file.h"

#define FOLDER "/usr/share/zoneinfo"
#define FILE_MAX (256 * 1024) /* the largest has 4 KiB */
#define NAME_MAX_SIZE 100
#define HEAD_SIZE 44
#define DAY_S 86400
#define HOUR_S 3600
#define OFFSET_MAX (26 * HOUR_S) /* RFC 8536: -25 to 26 hours */
#define RULE_HOUR_MAX 167        /* of a change: may be days off its day */
#define YEARS_AROUND 3

/* When clocks are changed, each year. */
struct change {
	enum { CHANGE_WEEKDAY, CHANGE_NO_LEAP_DAY, CHANGE_DAY } kind;
	int month, week, day; /* the day of the week, or of the year */
	int32_t time_s;
};

struct rule {
	int32_t standard, summer; /* offsets */
	bool has_summer;
	struct change to_summer, to_standard;
};

struct zone {
	size_t n;         /* changes in the table */
	int64_t *at;      /* ascending */
	int32_t *offsets; /* n + 1: the first one holds before them all */
	bool has_rule;    /* for what is behind them */
	struct rule rule;
};

/* The file -------------------------------------------------------------- */

enum count { IS_UT, IS_STANDARD, LEAPS, TIMES, TYPES, NAME_BYTES, COUNTS };

static int64_t
read_big_endian(const char *at, size_t n)
{
	uint64_t value = (unsigned char)at[0] & 0x80 ? UINT64_MAX : 0;
	size_t i;

	for (i = 0; i < n; i++)
		value = value << 8 | (unsigned char)at[i];
	return (int64_t)value;
}

/* Cuts a head off; false: there is none. */
static bool
take_head(struct text *rest, size_t counts[COUNTS], char *version)
{
	size_t i;

	if (rest->size < HEAD_SIZE || memcmp(rest->at, "TZif", 4) != 0)
		return false;
	*version = rest->at[4];
	for (i = 0; i < COUNTS; i++) {
		int64_t count = read_big_endian(rest->at + 20 + 4 * i, 4);

		if (count < 0 || count > FILE_MAX)
			return false;
		counts[i] = (size_t)count;
	}
	rest->at += HEAD_SIZE;
	rest->size -= HEAD_SIZE;
	return true;
}

/* Cuts the data behind a head off, with times of so many bytes each. */
static bool
take_data(struct text *rest, const size_t counts[COUNTS], size_t time_size,
    struct text *data)
{
	size_t size = counts[TIMES] * (time_size + 1) + counts[TYPES] * 6 +
	    counts[NAME_BYTES] + counts[LEAPS] * (time_size + 4) +
	    counts[IS_STANDARD] + counts[IS_UT];

	if (rest->size < size)
		return false;
	*data = (struct text){ rest->at, size };
	rest->at += size;
	rest->size -= size;
	return true;
}

/* An offset of the type; false: there is no such type, or no such offset. */
static bool
read_offset(const char *types, size_t n_types, size_t type, int32_t *offset)
{
	int64_t value;

	if (type >= n_types)
		return false;
	value = read_big_endian(types + 6 * type, 4);
	*offset = (int32_t)value;
	return value > -OFFSET_MAX && value < OFFSET_MAX;
}

static bool
read_table(struct zone *zone, const size_t counts[COUNTS], struct text data)
{
	size_t i, n = counts[TIMES];
	const char *kinds = data.at + 8 * n, *types = kinds + n;

	zone->at = memory_alloc((n + 1) * sizeof *zone->at);
	zone->offsets = memory_alloc((n + 1) * sizeof *zone->offsets);
	zone->n = n;
	if (!read_offset(types, counts[TYPES], 0, &zone->offsets[0]))
		return false;
	for (i = 0; i < n; i++) {
		zone->at[i] = read_big_endian(data.at + 8 * i, 8);
		if ((i > 0 && zone->at[i] <= zone->at[i - 1]) ||
		    !read_offset(types, counts[TYPES], (unsigned char)kinds[i],
			&zone->offsets[i + 1]))
			return false;
	}
	return true;
}

/* The rule at its end: "CET-1CEST,M3.5.0,M10.5.0/3" ------------------------ */

static bool
take_whole(struct text *rest, int64_t least, int64_t most, int *value)
{
	int64_t number;

	if (!text_take_number(rest, 3, &number) || number < least ||
	    number > most)
		return false;
	*value = (int)number;
	return true;
}

/* "CET", or "<+0330>". */
static bool
take_name(struct text *rest)
{
	bool is_quoted = text_take_byte(rest, '<');
	size_t n = 0;

	while (n < rest->size &&
	    (is_quoted ? rest->at[n] != '>'
		       : strchr("+-,/0123456789", rest->at[n]) == NULL))
		n++;
	rest->at += n;
	rest->size -= n;
	return n > 0 && (!is_quoted || text_take_byte(rest, '>'));
}

/* "-1", "3:30", "+05:45:00": in seconds. */
static bool
take_time(struct text *rest, int hours_max, int32_t *seconds)
{
	bool is_negative = text_take_byte(rest, '-');
	int part[3] = { 0 };

	if (!is_negative)
		text_take_byte(rest, '+');
	if (!take_whole(rest, 0, hours_max, &part[0]) ||
	    (text_take_byte(rest, ':') && !take_whole(rest, 0, 59, &part[1])) ||
	    (text_take_byte(rest, ':') && !take_whole(rest, 0, 59, &part[2])))
		return false;
	*seconds = (part[0] * 60 + part[1]) * 60 + part[2];
	if (is_negative)
		*seconds = -*seconds;
	return true;
}

static bool
take_day(struct text *rest, struct change *change)
{
	if (text_take_byte(rest, 'M')) {
		change->kind = CHANGE_WEEKDAY;
		return take_whole(rest, 1, 12, &change->month) &&
		    text_take_byte(rest, '.') &&
		    take_whole(rest, 1, 5, &change->week) &&
		    text_take_byte(rest, '.') &&
		    take_whole(rest, 0, 6, &change->day);
	}
	if (text_take_byte(rest, 'J')) {
		change->kind = CHANGE_NO_LEAP_DAY;
		return take_whole(rest, 1, 365, &change->day);
	}
	change->kind = CHANGE_DAY;
	return take_whole(rest, 0, 365, &change->day);
}

static bool
take_change(struct text *rest, struct change *change)
{
	change->time_s = 2 * HOUR_S;
	return text_take_byte(rest, ',') && take_day(rest, change) &&
	    (!text_take_byte(rest, '/') ||
		take_time(rest, RULE_HOUR_MAX, &change->time_s));
}

static bool
read_rule(struct text rest, struct rule *rule)
{
	int32_t west;

	if (!take_name(&rest) || !take_time(&rest, 24, &west))
		return false;
	rule->standard = -west;
	rule->summer = -west + HOUR_S;
	if (rest.size == 0)
		return true;
	rule->has_summer = true;
	if (!take_name(&rest))
		return false;
	if (rest.size > 0 && rest.at[0] != ',') {
		if (!take_time(&rest, 24, &west))
			return false;
		rule->summer = -west;
	}
	return take_change(&rest, &rule->to_summer) &&
	    take_change(&rest, &rule->to_standard) && rest.size == 0;
}

/* What is behind the data: a line break, the rule or nothing, a line break. */
static bool
read_end(struct zone *zone, struct text rest)
{
	if (rest.size < 2 || rest.at[0] != '\n' ||
	    rest.at[rest.size - 1] != '\n')
		return false;
	zone->has_rule = rest.size > 2;
	return !zone->has_rule ||
	    read_rule((struct text){ rest.at + 1, rest.size - 2 }, &zone->rule);
}

static bool
read_zone(struct zone *zone, struct text rest)
{
	size_t counts[COUNTS];
	struct text data;
	char version;

	return take_head(&rest, counts, &version) && version >= '2' &&
	    take_data(&rest, counts, 4, &data) &&
	    take_head(&rest, counts, &version) &&
	    take_data(&rest, counts, 8, &data) && counts[LEAPS] == 0 &&
	    read_table(zone, counts, data) && read_end(zone, rest);
}

/* No way out of the folder: letters, digits, "_+-", and "/" between them. */
static bool
is_name(struct text name)
{
	size_t i;

	if (name.size == 0 || name.size > NAME_MAX_SIZE)
		return false;
	for (i = 0; i < name.size; i++) {
		char byte = name.at[i];
		bool is_slash = byte == '/';

		if (is_slash ? i == 0 || name.at[i - 1] == '/'
			     : (byte < 'A' || byte > 'Z') &&
			    (byte < 'a' || byte > 'z') &&
			    (byte < '0' || byte > '9') &&
			    strchr("_+-", byte) == NULL)
			return false;
	}
	return name.at[name.size - 1] != '/';
}

static const char *
folder_of_zones(void)
{
	const char *folder = getenv("TZDIR");

	return folder != NULL ? folder : FOLDER;
}

bool
zone_is_any(void)
{
	return access(folder_of_zones(), X_OK) == 0;
}

struct zone *
zone_load(struct text name, struct error *err)
{
	struct buffer path = { 0 }, bytes = { 0 };
	struct zone *zone = NULL;
	bool exposed;

	if (!is_name(name)) {
		error_set(err, ERROR_INPUT,
		    "\"%.*s\" is no name of a time zone: write it as "
		    "Europe/Berlin or UTC",
		    TEXT_ARG(name));
		return NULL;
	}
	buffer_append(&path, text_from(folder_of_zones()));
	buffer_byte(&path, '/');
	buffer_append(&path, name);
	buffer_byte(&path, '\0');
	if (small_file_read(path.at, FILE_MAX, &bytes, &exposed, err) == 0) {
		zone = memory_zalloc(1, sizeof *zone);
		if (!read_zone(zone, buffer_text(&bytes))) {
			zone_destroy(zone);
			zone = NULL;
			error_set(err, ERROR_INPUT,
			    "%s is no file of a time zone (TZif, version 2 or "
			    "up, without leap seconds)",
			    path.at);
		}
	} else {
		error_prefix(err, "no time zone %.*s", TEXT_ARG(name));
	}
	buffer_finish(&path);
	buffer_finish(&bytes);
	return zone;
}

void
zone_destroy(struct zone *zone)
{
	if (zone == NULL)
		return;
	free(zone->at);
	free(zone->offsets);
	free(zone);
}

/* A moment's span ---------------------------------------------------------- */

/* The day of a change in this year, since 1970. */
static int64_t
day_of_change(const struct change *change, int year)
{
	int64_t day = clock_days_to(year, 1, 1);
	int64_t first, last;

	if (change->kind == CHANGE_DAY)
		return day + change->day;
	if (change->kind == CHANGE_NO_LEAP_DAY)
		return day + change->day - 1 +
		    (change->day >= 60 && clock_month_days(year, 2) == 29);
	first = clock_days_to(year, change->month, 1);
	last = first + clock_month_days(year, change->month) - 1;
	/* 1970 began on a Thursday, 4. */
	day = first + ((change->day - (first + 4)) % 7 + 7) % 7 +
	    (int64_t)7 * (change->week - 1);
	return day > last ? day - 7 : day;
}

/* By one change, to `offset`, before the moment or behind it. */
static void
narrow_span(
    struct zone_span *span, int64_t moment_s, int64_t at_s, int32_t offset)
{
	if (at_s <= moment_s && at_s >= span->from) {
		span->from = at_s;
		span->offset = offset;
	} else if (at_s > moment_s && at_s < span->until) {
		span->until = at_s;
	}
}

/* Behind the table: by the changes of the years around it. */
static struct zone_span
span_of_rule(const struct rule *rule, int64_t at_s)
{
	struct zone_span span = { INT64_MIN, INT64_MAX, rule->standard };
	int date[3], year;

	if (!rule->has_summer)
		return span;
	clock_date_of(at_s / DAY_S, date);
	for (year = date[0] - 1; year < date[0] - 1 + YEARS_AROUND; year++) {
		const int64_t at[2] = {
			day_of_change(&rule->to_standard, year) * DAY_S +
			    rule->to_standard.time_s - rule->summer,
			day_of_change(&rule->to_summer, year) * DAY_S +
			    rule->to_summer.time_s - rule->standard,
		};

		/* Summer all year: its end is where the next begins. */
		narrow_span(&span, at_s, at[0], rule->standard);
		narrow_span(&span, at_s, at[1], rule->summer);
	}
	return span;
}

struct zone_span
zone_span_at(const struct zone *zone, int64_t at_s)
{
	struct zone_span span = { INT64_MIN, INT64_MAX, 0 };
	size_t low = 0, high = zone->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zone->at[middle] <= at_s)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone->n && zone->has_rule)
		span = span_of_rule(&zone->rule, at_s);
	else
		span.offset = zone->offsets[low];
	if (low > 0 && zone->at[low - 1] > span.from)
		span.from = zone->at[low - 1];
	if (low < zone->n)
		span.until = zone->at[low];
	return span;
}
