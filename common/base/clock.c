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

/* Days since 1970 to a date; eras of 400 years, years beginning in March. */
static void
civil_from_days(int64_t days, int date[3])
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

static int64_t
days_from_civil(int year, int month, int day)
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
	civil_from_days(wall_ms / DAY_MS, date);
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

/* Digits and the characters between them, as in `pattern` ('0': a digit). */
static bool
fits(struct text text, const char *pattern)
{
	size_t i;

	if (text.size < strlen(pattern))
		return false;
	for (i = 0; pattern[i] != '\0'; i++) {
		char c = text.at[i];

		if (pattern[i] == '0' ? c < '0' || c > '9' : c != pattern[i])
			return false;
	}
	return true;
}

static int
get_digits(const char *at, int n)
{
	int value = 0;

	while (n-- > 0)
		value = value * 10 + (*at++ - '0');
	return value;
}

/* ".042Z" or "Z" */
static bool
parse_fraction(struct text rest, int *ms)
{
	size_t i, digits;

	*ms = 0;
	if (text_equal(rest, TEXT("Z")))
		return true;
	if (rest.size < 3 || rest.size > 11 || rest.at[0] != '.' ||
	    rest.at[rest.size - 1] != 'Z')
		return false;
	digits = rest.size - 2;
	for (i = 0; i < digits; i++)
		if (rest.at[1 + i] < '0' || rest.at[1 + i] > '9')
			return false;
	for (i = 0; i < 3; i++)
		*ms = *ms * 10 + (i < digits ? rest.at[1 + i] - '0' : 0);
	return true;
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

bool
clock_parse(struct text text, int64_t *wall_ms)
{
	int year, month, day, hour, minute, second, ms;

	if (!fits(text, "0000-00-00T00:00:00"))
		return false;
	year = get_digits(text.at, 4);
	month = get_digits(text.at + 5, 2);
	day = get_digits(text.at + 8, 2);
	hour = get_digits(text.at + 11, 2);
	minute = get_digits(text.at + 14, 2);
	second = get_digits(text.at + 17, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month))
		return false;
	if (hour > 23 || minute > 59 || second > 59 ||
	    !parse_fraction((struct text){ text.at + 19, text.size - 19 }, &ms))
		return false;
	*wall_ms = days_from_civil(year, month, day) * DAY_MS +
	    ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + ms;
	return true;
}
