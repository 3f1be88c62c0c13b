#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static int64_t
read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_monotonic_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct timespec
clock_after(int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

void
clock_wait(int64_t ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Eras of 400 years, years beginning in March. */
void
clock_date_of(int64_t days, int date[3])
{
	int64_t era, day_of_era, year_of_era, day_of_year, month;

	days += 719468;
	era = days / 146097;
	day_of_era = days - era * 146097;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			  day_of_era / 146096) /
	    365;
	day_of_year = day_of_era -
	    (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	date[2] = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	date[1] = (int)(month < 10 ? month + 3 : month - 9);
	date[0] = (int)(year_of_era + era * 400 + (date[1] <= 2));
}

int64_t
clock_days_to(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = y / 400, year_of_era = y - era * 400;
	int64_t shifted = month > 2 ? month - 3 : month + 9;
	int64_t day_of_year = (153 * shifted + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 -
	    year_of_era / 100 + day_of_year - 719468;
}

static void
put_digits(char *out, int value, int n)
{
	while (n-- > 0) {
		out[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
clock_format(int64_t wall_ms, char out[CLOCK_TEXT_SIZE])
{
	int date[3], ms;

	if (wall_ms < 0)
		wall_ms = 0;
	if (wall_ms > CLOCK_MAX_MS)
		wall_ms = CLOCK_MAX_MS;
	clock_date_of(wall_ms / DAY_MS, date);
	ms = (int)(wall_ms % DAY_MS);
	memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_TEXT_SIZE);
	put_digits(out, date[0], 4);
	put_digits(out + 5, date[1], 2);
	put_digits(out + 8, date[2], 2);
	put_digits(out + 11, ms / 3600000, 2);
	put_digits(out + 14, ms / 60000 % 60, 2);
	put_digits(out + 17, ms / 1000 % 60, 2);
	put_digits(out + 20, ms % 1000, 3);
}

/* A number of exactly `digits` digits, and the sign behind it unless it is 0.
 */
static bool
take_field(struct text *rest, size_t digits, char sign, int *value)
{
	size_t before = rest->size;
	int64_t number;

	if (!text_take_number(rest, digits, &number) ||
	    before - rest->size != digits)
		return false;
	*value = (int)number;
	return sign == 0 || text_take_byte(rest, sign);
}

/* ".042Z" or "Z"; digits behind the third count for nothing. */
static bool
take_fraction(struct text rest, int *ms)
{
	int64_t digits, scale = 1;
	size_t n = rest.size;

	*ms = 0;
	if (text_equal(rest, TEXT("Z")))
		return true;
	if (n < 3 || n > 11 || rest.at[0] != '.' || rest.at[n - 1] != 'Z' ||
	    !text_to_number(
		(struct text){ rest.at + 1, n - 2 }, INT64_MAX, &digits))
		return false;
	for (n -= 2; n < 3; n++)
		digits *= 10;
	for (; n > 3; n--)
		scale *= 10;
	*ms = (int)(digits / scale);
	return true;
}

int
clock_month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

struct moment {
	int year, month, day, hour, minute, second, ms;
};

static bool
read_moment(struct text text, struct moment *moment)
{
	return take_field(&text, 4, '-', &moment->year) &&
	    take_field(&text, 2, '-', &moment->month) &&
	    take_field(&text, 2, 'T', &moment->day) &&
	    take_field(&text, 2, ':', &moment->hour) &&
	    take_field(&text, 2, ':', &moment->minute) &&
	    take_field(&text, 2, 0, &moment->second) &&
	    take_fraction(text, &moment->ms) && moment->year >= 1 &&
	    moment->month >= 1 && moment->month <= 12 && moment->day >= 1 &&
	    moment->day <= clock_month_days(moment->year, moment->month) &&
	    moment->hour <= 23 && moment->minute <= 59 && moment->second <= 59;
}

bool
clock_is_time(struct text text)
{
	struct moment moment;

	return read_moment(text, &moment);
}

bool
clock_parse(struct text text, int64_t *wall_ms)
{
	struct moment m;

	if (!read_moment(text, &m) || m.year < 1970)
		return false;
	*wall_ms = clock_days_to(m.year, m.month, m.day) * DAY_MS +
	    ((m.hour * 60 + m.minute) * 60 + m.second) * INT64_C(1000) + m.ms;
	return true;
}
