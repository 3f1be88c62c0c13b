#include "schemas/stored/cron.h"

#include <string.h>
#include <strings.h>

#include "common/base/clock.h"

#define NAME_SIZE 3
#define NTH_MAX 5 /* a weekday comes at most five times a month */
#define WEEK 0x7f
#define DAY_MINUTES 1440
#define OFFSET_MAX_S (26 * 3600) /* of a zone */
#define YEARS_MAX 41 /* "1#5" of a February: 40 across the year 2100 */

struct field {
	const char *name, *values; /* as they are told */
	int low, high, top; /* top: the last that a star or a step comes to */
	const char *names;  /* three letters each; the first is `first_name` */
	int first_name;
	bool has_last, has_nth;
};

static const struct field fields[] = {
	{ "minute", "0 to 59", 0, 59, 59, "", 0, false, false },
	{ "hour", "0 to 23", 0, 23, 23, "", 0, false, false },
	{ "day of the month", "1 to 31, L", 1, 31, 31, "", 0, true, false },
	{ "month", "1 to 12, JAN to DEC", 1, 12, 12,
	    "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", 1, false, false },
	{ "day of the week", "0 to 7, SUN to SAT, 5L, 1#2", 0, 7, 6,
	    "SUNMONTUEWEDTHUFRISAT", 0, false, true },
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

/* A number of one to three digits, -1 if there is none. */
static int
take_number(struct text *rest)
{
	int64_t value;

	return text_take_number(rest, 3, &value) ? (int)value : -1;
}

static int
take_name(struct text *rest, const struct field *field)
{
	size_t i;

	if (rest->size < NAME_SIZE)
		return -1;
	for (i = 0; field->names[i] != '\0'; i += NAME_SIZE) {
		if (strncasecmp(rest->at, field->names + i, NAME_SIZE) != 0)
			continue;
		rest->at += NAME_SIZE;
		rest->size -= NAME_SIZE;
		return field->first_name + (int)(i / NAME_SIZE);
	}
	return -1;
}

/* A value within the field's bounds, -1 if there is none. */
static int
take_value(struct text *rest, const struct field *field)
{
	int value = take_number(rest);

	if (value < 0)
		value = take_name(rest, field);
	return value >= field->low && value <= field->high ? value : -1;
}

/* What may follow a value of the days of the week: "L" or "#n". */
static bool
take_suffix(struct text *rest, struct cron *cron, int value, bool *is_whole)
{
	uint8_t weekday = (uint8_t)(1 << value % 7);
	int nth;

	*is_whole = true;
	if (text_take_byte(rest, 'L')) {
		cron->last_weekdays |= weekday;
		return true;
	}
	if (!text_take_byte(rest, '#'))
		return false;
	nth = take_number(rest);
	*is_whole = nth >= 1 && nth <= NTH_MAX;
	if (*is_whole)
		cron->nth[nth - 1] |= weekday;
	return true;
}

/* "/n" behind a range or a star, 0 if it is none; nothing there is 1. */
static int
take_step(struct text *rest, bool *has_step)
{
	int step;

	*has_step = text_take_byte(rest, '/');
	step = *has_step ? take_number(rest) : 1;
	return step > 0 ? step : 0;
}

static uint64_t
every(int from, int to, int step)
{
	uint64_t set = 0;
	int i;

	for (i = from; i <= to; i += step)
		set |= UINT64_C(1) << i;
	return set;
}

/* "5", "1-5", "0-59/10"; "5/10" goes to the field's end. */
static bool
take_range(struct text item, const struct field *field, int from, uint64_t *set)
{
	int to = from, step;
	bool is_range = text_take_byte(&item, '-'), has_step;

	if (is_range)
		to = take_value(&item, field);
	step = take_step(&item, &has_step);
	if (!is_range && has_step)
		to = field->top;
	*set |= to >= from && step > 0 ? every(from, to, step) : 0;
	return (to >= from || !is_range) && step > 0 && item.size == 0;
}

static bool
read_item(struct text item, const struct field *field, struct cron *cron,
    uint64_t *set)
{
	bool is_whole, has_step;
	int from;

	if (text_take_byte(&item, '*')) {
		from = take_step(&item, &has_step);
		*set |= from > 0 ? every(field->low, field->top, from) : 0;
		return from > 0 && item.size == 0;
	}
	if (field->has_last && text_take_byte(&item, 'L')) {
		cron->last_day = true;
		return item.size == 0;
	}
	from = take_value(&item, field);
	if (from < 0)
		return false;
	if (field->has_nth && take_suffix(&item, cron, from, &is_whole))
		return is_whole && item.size == 0;
	return take_range(item, field, from, set);
}

/* Cuts what stands before `separator`, or all that is left. */
static struct text
cut_part(struct text *rest, char separator)
{
	const char *end =
	    rest->size > 0 ? memchr(rest->at, separator, rest->size) : NULL;
	size_t n = end != NULL ? (size_t)(end - rest->at) : rest->size;
	struct text part = { rest->at, n };

	rest->at += n;
	rest->size -= n;
	return part;
}

static int
read_field(struct text list, const struct field *field, struct cron *cron,
    uint64_t *set, struct error *err)
{
	*set = 0;
	do {
		struct text item = cut_part(&list, ',');

		if (!read_item(item, field, cron, set))
			return error_set(err, ERROR_INPUT,
			    "%s: \"%.*s\" is none of %s, nor a range 1-5 or a "
			    "step */2 of these",
			    field->name, TEXT_ARG(item), field->values);
	} while (text_take_byte(&list, ','));
	return 0;
}

static int
read_fields(struct text expression, struct cron *cron, uint64_t *sets,
    struct error *err)
{
	struct text parts[N_FIELDS];
	size_t n = 0, i;

	while (text_take_byte(&expression, ' '))
		;
	while (expression.size > 0) {
		struct text part = cut_part(&expression, ' ');

		if (n < N_FIELDS)
			parts[n] = part;
		n++;
		while (text_take_byte(&expression, ' '))
			;
	}
	if (n != N_FIELDS)
		return error_set(err, ERROR_INPUT,
		    "%zu fields for five: minute, hour, day of the month, "
		    "month, day of the week",
		    n);
	for (i = 0; i < n; i++)
		if (read_field(parts[i], &fields[i], cron, &sets[i], err) != 0)
			return -1;
	return 0;
}

int
cron_read(struct text expression, struct cron *cron, struct error *err)
{
	uint64_t sets[N_FIELDS] = { 0 };

	*cron = (struct cron){ 0 };
	if (expression.size > CRON_SIZE_MAX)
		return error_set(
		    err, ERROR_INPUT, "longer than %d bytes", CRON_SIZE_MAX);
	if (read_fields(expression, cron, sets, err) != 0)
		return -1;
	cron->minutes = sets[0];
	cron->hours = (uint32_t)sets[1];
	cron->days = (uint32_t)sets[2];
	cron->months = (uint32_t)sets[3];
	cron->weekdays = (uint8_t)((sets[4] | sets[4] >> 7) & WEEK);
	cron->every_hour = sets[1] == every(0, 23, 1);
	cron->every_day = sets[2] == every(1, 31, 1);
	cron->every_weekday = cron->weekdays == WEEK;
	return 0;
}

bool
cron_is_valid(struct text expression)
{
	struct cron cron;

	return cron_read(expression, &cron, NULL) == 0;
}

/* When it is due -------------------------------------------------------- */

/* A day, and what of it counts. */
struct day {
	int64_t number; /* since 1970 */
	int date[3];    /* year, month, day */
	int days;       /* of its month */
};

static struct day
day_of(int64_t number)
{
	struct day day = { .number = number };

	clock_date_of(number, day.date);
	day.days = clock_month_days(day.date[0], day.date[1]);
	return day;
}

static bool
is_weekday(const struct cron *cron, const struct day *day)
{
	/* 1970 began on a Thursday, 4. */
	int bit = 1 << (day->number + 4) % 7;

	return ((cron->weekdays | cron->nth[(day->date[2] - 1) / 7]) & bit) !=
	    0 ||
	    ((cron->last_weekdays & bit) != 0 && day->date[2] > day->days - 7);
}

/* As cron always did: where both days are narrowed, either is enough. */
static bool
is_day(const struct cron *cron, const struct day *day)
{
	bool fits = (cron->days >> day->date[2] & 1) != 0 ||
	    (cron->last_day && day->date[2] == day->days);

	if (cron->every_day)
		return is_weekday(cron, day);
	if (cron->every_weekday)
		return fits;
	return fits || is_weekday(cron, day);
}

/* The first day from this one on; false: none to be expected. */
static bool
next_day(const struct cron *cron, struct day *day)
{
	int year = day->date[0];

	while (day->date[0] <= year + YEARS_MAX) {
		if ((cron->months >> day->date[1] & 1) == 0)
			*day =
			    day_of(day->number + day->days - day->date[2] + 1);
		else if (is_day(cron, day))
			return true;
		else
			*day = day_of(day->number + 1);
	}
	return false;
}

/* The first minute of a day from this one on; -1: none. */
static int
next_minute(const struct cron *cron, int minute)
{
	for (; minute < DAY_MINUTES; minute++) {
		if ((cron->hours >> minute / 60 & 1) == 0)
			minute += 59 - minute % 60;
		else if ((cron->minutes >> minute % 60 & 1) != 0)
			return minute;
	}
	return -1;
}

/* The first local time after this one, as if clocks were never changed. */
static bool
next_local(const struct cron *cron, int64_t *local_s)
{
	int64_t minute = *local_s / 60 + 1;
	struct day day = day_of(minute / DAY_MINUTES);
	int64_t asked = day.number;
	int found = -1;

	while (next_day(cron, &day)) {
		found = next_minute(cron,
		    day.number == asked ? (int)(minute % DAY_MINUTES) : 0);
		if (found >= 0)
			break;
		day = day_of(day.number + 1);
	}
	if (found < 0)
		return false;
	*local_s = (day.number * DAY_MINUTES + found) * 60;
	return true;
}

bool
cron_is_ever_due(const struct cron *cron)
{
	int64_t local_s = 0;

	return next_local(cron, &local_s);
}

/* When clocks first show that local time, or the first that they do behind it.
 */
static void
place_local(const struct zone *zone, struct cron_instant *instant)
{
	int64_t local = instant->local_s;
	struct zone_span span = zone_span_at(zone, local - OFFSET_MAX_S);

	while (local - span.offset >= span.until)
		span = zone_span_at(zone, span.until);
	instant->how = CRON_PLAIN;
	instant->at_s = local - span.offset;
	if (instant->at_s < span.from) {
		instant->at_s = span.from;
		instant->how = CRON_SKIPPED;
	} else if (span.until < INT64_MAX &&
	    local - zone_span_at(zone, span.until).offset >= span.until) {
		instant->how = CRON_TWICE;
	}
}

/*
 * Of every hour: by the time that passes.  A clock that is set back must not
 * silence for an hour what is due each minute.
 */
static bool
next_by_time(const struct cron *cron, const struct zone *zone, int64_t after_s,
    struct cron_instant *instant)
{
	struct zone_span span = zone_span_at(zone, after_s);

	instant->local_s = after_s + span.offset;
	while (next_local(cron, &instant->local_s)) {
		instant->at_s = instant->local_s - span.offset;
		instant->how = CRON_PLAIN;
		if (instant->at_s < span.until)
			return true;
		/* Just before what clocks show from the change on. */
		after_s = span.until - 1;
		span = zone_span_at(zone, span.until);
		instant->local_s = after_s + span.offset;
	}
	return false;
}

/* Of some hours: by what clocks show. */
static bool
next_by_clock(const struct cron *cron, const struct zone *zone, int64_t after_s,
    struct cron_instant *instant)
{
	instant->local_s = after_s + zone_span_at(zone, after_s).offset;
	do {
		if (!next_local(cron, &instant->local_s))
			return false;
		place_local(zone, instant);
	} while (instant->at_s <= after_s);
	return true;
}

bool
cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s,
    struct cron_instant *instant)
{
	return cron->every_hour ? next_by_time(cron, zone, after_s, instant)
				: next_by_clock(cron, zone, after_s, instant);
}
