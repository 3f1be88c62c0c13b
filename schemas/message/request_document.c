#include "schemas/message/request_document.h"

#include <stddef.h>

#include "common/base/clock.h"

/* The decimal of `n` digits at `at`, -1 if there are others. */
static int
digits(const char *at, size_t n)
{
	int value = 0;

	for (; n > 0; at++, n--) {
		if (*at < '0' || *at > '9')
			return -1;
		value = value * 10 + (*at - '0');
	}
	return value;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	int is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

/* Digits behind a dot, 1 to 9 of them, or nothing; then Z and the end. */
static bool
is_fraction(struct text rest)
{
	size_t n = rest.size;

	if (n == 0 || rest.at[n - 1] != 'Z')
		return false;
	if (n == 1)
		return true;
	return rest.at[0] == '.' && n >= 3 && n <= 11 &&
	    digits(rest.at + 1, n - 2) >= 0;
}

/* "2024-09-25T17:29:35.974Z": a moment of the calendar, in UTC. */
static bool
is_time(struct text text)
{
	static const char form[] = "0000-00-00T00:00:00";
	const char *at = text.at;
	int year, month, day;
	size_t i;

	if (text.size < sizeof form)
		return false;
	for (i = 0; i < sizeof form - 1; i++)
		if (form[i] != '0' && at[i] != form[i])
			return false;
	year = digits(at, 4);
	month = digits(at + 5, 2);
	day = digits(at + 8, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
	    day > days_of_month(year, month))
		return false;
	for (i = 11; i <= 17; i += 3) {
		int value = digits(at + i, 2);

		if (value < 0 || value > (i == 11 ? 23 : 59))
			return false;
	}
	return is_fraction((struct text){
	    at + sizeof form - 1, text.size - (sizeof form - 1) });
}

void
request_document_read(struct reader *reader, const struct place *place,
    const struct json *node, struct run_request *request,
    struct text *created_time)
{
	static const char *const known[] = { "*requestId", "*scheduleRid",
		"*createdTime", "scheduleVersionRid", "createdBy", NULL };
	struct place time_place = place_member(place, TEXT("createdTime"));

	*request = (struct run_request){ 0 };
	*created_time = TEXT_NONE;
	if (!read_object(reader, place, node, known))
		return;
	request->request_id = read_text(reader, place, node, "requestId");
	request->schedule_rid = read_rid(reader, place, node, "scheduleRid");
	request->schedule_version_rid =
	    read_rid_or_null(reader, place, node, "scheduleVersionRid");
	request->created_by =
	    read_text_or_null(reader, place, node, "createdBy");
	*created_time = read_text(reader, place, node, "createdTime");
	if (created_time->at == NULL)
		return;
	if (!is_time(*created_time))
		reader_fault(reader, &time_place,
		    "is not a time such as 2024-09-25T17:29:35.974Z");
	if (!clock_parse(*created_time, &request->created_time_ms))
		request->created_time_ms = 0;
}
