#include "schemas/stored/time_unit.h"

const char *const time_unit_names[] = { "MILLISECONDS", "SECONDS", "MINUTES",
	"HOURS", "DAYS", "WEEKS", "MONTHS", "YEARS", NULL };
#define TIME_UNITS 8

int32_t
time_unit_index(struct text name)
{
	int32_t i;

	for (i = 0; i < TIME_UNITS; i++)
		if (text_equal(text_from(time_unit_names[i]), name))
			return i;
	return -1;
}

struct text
time_unit_text(int64_t index)
{
	if (index < 0 || index >= TIME_UNITS)
		return TEXT_NONE;
	return text_from(time_unit_names[index]);
}
