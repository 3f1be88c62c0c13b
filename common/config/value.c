#include "common/config/internal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define TEXT_SIZE_MAX 9000

static const struct unit {
	const char *name;
	int64_t factor;
} duration_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 3600 * 1000 },
	{ "d", 24 * 3600 * 1000 },
	{ NULL, 0 },
},
  size_units[] = {
	  { "", 1 },
	  { "k", 1024 },
	  { "K", 1024 },
	  { "M", 1024 * 1024 },
	  { "G", 1024 * 1024 * 1024 },
	  { NULL, 0 },
  };

/* A number of at most 12 digits, perhaps decimals, then one of the units. */
static bool
parse_unit(const char *text, const struct unit *units, int64_t *value)
{
	struct text rest = text_from(text);
	int64_t whole, thousandths = 0, ignored;
	size_t digits;

	if (!text_take_number(&rest, 12, &whole))
		return false;
	if (text_starts_with(rest, TEXT("."))) {
		rest.at++;
		digits = --rest.size;
		text_take_number(&rest, 3, &thousandths);
		for (digits -= rest.size; digits < 3; digits++)
			thousandths *= 10;
		text_take_number(&rest, 18, &ignored);
	}
	for (; units->name != NULL; units++) {
		if (!text_equal(rest, text_from(units->name)))
			continue;
		if (whole > INT64_MAX / 2 / units->factor)
			return false;
		*value =
		    whole * units->factor + thousandths * units->factor / 1000;
		return true;
	}
	return false;
}

bool
config_parse_duration(const char *text, int64_t *ms)
{
	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return true;
	}
	return parse_unit(text, duration_units, ms);
}

bool
config_parse_size(const char *text, int64_t *bytes)
{
	return parse_unit(text, size_units, bytes);
}

bool
config_parse_integer(const char *text, int64_t *value)
{
	static const struct unit plain[] = { { "", 1 }, { NULL, 0 } };

	return strchr(text, '.') == NULL && parse_unit(text, plain, value);
}

/* Whether `value` is one of the names between bars. */
static bool
is_choice(const char *choices, const char *value)
{
	size_t size = strlen(value);
	const char *at = choices;

	for (;;) {
		size_t n = strcspn(at, "|");

		if (n == size && memcmp(at, value, n) == 0)
			return true;
		if (at[n] == '\0')
			return false;
		at += n + 1;
	}
}

static const char *
allowed(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_DURATION:
		return "a duration such as 500ms, 10s or 24h";
	case CONFIG_SIZE:
		return "a size such as 64k or 8M";
	case CONFIG_INTEGER:
		return "a whole number";
	case CONFIG_SWITCH:
		return "on or off";
	case CONFIG_CHOICE:
		return key->choices;
	case CONFIG_TEXT:
		break;
	}
	return "text, not empty, without control characters";
}

static bool
parse_value(const struct config_key *key, const char *value, int64_t *number)
{
	struct text text = text_from(value);

	switch (key->type) {
	case CONFIG_DURATION:
		return config_parse_duration(value, number);
	case CONFIG_SIZE:
		return config_parse_size(value, number);
	case CONFIG_INTEGER:
		return config_parse_integer(value, number);
	case CONFIG_SWITCH:
		*number = strcmp(value, "on") == 0;
		return *number == 1 || strcmp(value, "off") == 0;
	case CONFIG_CHOICE:
		return is_choice(key->choices, value);
	case CONFIG_TEXT:
		break;
	}
	return text.size > 0 && text.size <= TEXT_SIZE_MAX &&
	    text_is_utf8(text) && !text_has_control(text);
}

/* A bound as people write it: the largest unit that divides it. */
static void
print_bound(const struct config_key *key, int64_t value, char out[32])
{
	static const struct unit none[] = { { "", 1 }, { NULL, 0 } };
	const struct unit *unit = none, *best;

	if (key->type == CONFIG_DURATION)
		unit = duration_units;
	if (key->type == CONFIG_SIZE)
		unit = size_units;
	for (best = unit; unit->name != NULL; unit++)
		if (unit->factor > best->factor && value % unit->factor == 0)
			best = unit;
	snprintf(out, 32, "%lld%s", (long long)(value / best->factor),
	    value == 0 ? "" : best->name);
}

/* Too much is hidden sooner than too little: up to the last @. */
const char *
config_value_shown(bool is_secret, const char *value, struct buffer *scratch)
{
	const char *start = strstr(value, "://");
	const char *end = start != NULL ? strrchr(start, '@') : NULL;

	if (is_secret)
		return "***";
	if (end != NULL) {
		start += strlen("://");
	} else {
		start = strstr(value, "password=");
		if (start == NULL)
			return value;
		start += strlen("password=");
		end = start + strlen(start);
	}
	buffer_reset(scratch);
	buffer_format(scratch, "%.*s***%s", (int)(start - value), value, end);
	buffer_byte(scratch, '\0');
	return scratch->at;
}

int
config_value_parse(const struct config_key *key, const char *value,
    const char *source, int64_t *number, struct error *err)
{
	char min[32], max[32];
	struct buffer scratch = { 0 };

	*number = 0;
	if (!parse_value(key, value, number)) {
		error_set(err, ERROR_FATAL,
		    "%s: %s: \"%.200s\" is not allowed (allowed: %s)", source,
		    key->name, config_value_shown(key->secret, value, &scratch),
		    allowed(key));
		buffer_finish(&scratch);
		return -1;
	}
	if ((key->min != 0 || key->max != 0) &&
	    (*number < key->min || *number > key->max)) {
		print_bound(key, key->min, min);
		print_bound(key, key->max, max);
		return error_set(err, ERROR_FATAL,
		    "%s: %s: \"%.200s\" is out of range (allowed: %s to %s)",
		    source, key->name, value, min, max);
	}
	return 0;
}
