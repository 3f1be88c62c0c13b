#include "schemas/stored/cron.h"

#include <string.h>
#include <strings.h>

#define NAME_SIZE 3
#define NTH_MAX 5 /* a weekday comes at most five times a month */

struct field {
	int low, high;
	const char *names; /* three letters each; the first is `first_name` */
	int first_name;
	bool has_last, has_nth;
};

static const struct field fields[] = {
	{ 0, 59, "", 0, false, false },
	{ 0, 23, "", 0, false, false },
	{ 1, 31, "", 0, true, false },
	{ 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", 1, false, false },
	{ 0, 7, "SUNMONTUEWEDTHUFRISAT", 0, false, true },
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static bool
take_byte(struct text *rest, char byte)
{
	if (rest->size == 0 || rest->at[0] != byte)
		return false;
	rest->at++;
	rest->size--;
	return true;
}

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
take_suffix(struct text *rest, const struct field *field, bool *fine)
{
	int nth;

	*fine = true;
	if (!field->has_nth)
		return false;
	if (take_byte(rest, 'L'))
		return true;
	if (!take_byte(rest, '#'))
		return false;
	nth = take_number(rest);
	*fine = nth >= 1 && nth <= NTH_MAX;
	return true;
}

/* "/n" behind a range or a star; nothing there is fine too. */
static bool
take_step(struct text *rest)
{
	return !take_byte(rest, '/') || take_number(rest) > 0;
}

static bool
is_item(struct text item, const struct field *field)
{
	int from, to;
	bool fine;

	if (take_byte(&item, '*'))
		return take_step(&item) && item.size == 0;
	if (field->has_last && take_byte(&item, 'L'))
		return item.size == 0;
	from = take_value(&item, field);
	if (from < 0)
		return false;
	if (take_suffix(&item, field, &fine))
		return fine && item.size == 0;
	if (!take_byte(&item, '-'))
		return take_step(&item) && item.size == 0;
	to = take_value(&item, field);
	return to >= from && take_step(&item) && item.size == 0;
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

static bool
is_field(struct text list, const struct field *field)
{
	do {
		if (!is_item(cut_part(&list, ','), field))
			return false;
	} while (take_byte(&list, ','));
	return true;
}

bool
cron_is_valid(struct text expression)
{
	size_t i;

	if (expression.size > CRON_SIZE_MAX)
		return false;
	while (take_byte(&expression, ' '))
		;
	for (i = 0; i < N_FIELDS; i++) {
		if (!is_field(cut_part(&expression, ' '), &fields[i]))
			return false;
		while (take_byte(&expression, ' '))
			;
	}
	return expression.size == 0;
}
