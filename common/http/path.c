#include "common/http/path.h"

#include <string.h>
#include <strings.h>

/* The byte that "%xy" stands for, or -1. */
static int
read_escape(struct text rest)
{
	int high = rest.size >= 3 ? text_hex_digit(rest.at[1]) : -1;
	int low = high >= 0 ? text_hex_digit(rest.at[2]) : -1;

	return low >= 0 ? high * 16 + low : -1;
}

static bool
has_control(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text_control_size(text, i) > 0)
			return true;
	return false;
}

/* One percent-decoding, into the arena; none with a reason if malformed. */
static struct text
decode(struct text raw, bool plus_is_blank, struct arena *arena,
    const char **reason)
{
	char *out = arena_alloc(arena, raw.size + 1);
	struct text text = { out, 0 };
	size_t i;

	for (i = 0; i < raw.size; i++) {
		int c = (unsigned char)raw.at[i];

		if (c == '%') {
			c = read_escape(
			    (struct text){ raw.at + i, raw.size - i });
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if (c < 0) {
			*reason = "malformed percent-encoding";
			return TEXT_NONE;
		}
		out[text.size++] = (char)c;
	}
	out[text.size] = '\0';
	if (text_is_utf8(text) && !has_control(text))
		return text;
	*reason = "not UTF-8 without control characters";
	return TEXT_NONE;
}

/* The path and query of a target in origin or absolute form. */
static struct text
without_authority(struct text target)
{
	size_t scheme = 0, host = 0;

	if (target.size >= 7 && strncasecmp(target.at, "http://", 7) == 0)
		scheme = 7;
	if (target.size >= 8 && strncasecmp(target.at, "https://", 8) == 0)
		scheme = 8;
	if (scheme == 0)
		return target;
	target.at += scheme;
	target.size -= scheme;
	while (target.size > 0 && strchr("/?#", target.at[0]) == NULL) {
		if (strchr("@\\<>\"^`{|}", target.at[0]) != NULL)
			return TEXT_NONE; /* no host has these */
		target.at++;
		target.size--;
		host++;
	}
	return host > 0 ? target : TEXT_NONE;
}

/* Takes what stands before `separator`; false when nothing is left. */
static bool
cut(struct text *rest, char separator, struct text *part)
{
	const char *end;

	if (rest->at == NULL)
		return false;
	end = memchr(rest->at, separator, rest->size);
	*part = *rest;
	if (end == NULL) {
		*rest = TEXT_NONE;
		return true;
	}
	part->size = (size_t)(end - rest->at);
	rest->at += part->size + 1;
	rest->size -= part->size + 1;
	return true;
}

static int
parse_segments(struct text path, struct arena *arena, struct http_path *out,
    const char **reason)
{
	struct text rest = { path.at + 1, path.size - 1 }, part;

	while (cut(&rest, '/', &part)) {
		struct text segment = decode(part, false, arena, reason);

		if (segment.at == NULL)
			return -1;
		/* no route has so many: what comes after needs no keeping */
		if (out->n_segments < HTTP_SEGMENTS_MAX)
			out->segments[out->n_segments++] = segment;
	}
	return 0;
}

static size_t
count_parameters(struct text query)
{
	size_t n = 1, i;

	for (i = 0; i < query.size; i++)
		n += query.at[i] == '&';
	return n;
}

static int
parse_query(struct text query, struct arena *arena, struct http_path *out,
    const char **reason)
{
	size_t n = count_parameters(query);
	struct text rest = query, part;

	if (n > HTTP_PARAMETERS_MAX) {
		*reason = "too many query parameters";
		return -1;
	}
	out->parameters = arena_zalloc(arena, n, sizeof *out->parameters);
	while (cut(&rest, '&', &part)) {
		struct http_parameter *parameter =
		    &out->parameters[out->n_parameters];
		struct text name;

		if (part.size == 0)
			continue;
		cut(&part, '=', &name);
		parameter->name = decode(name, true, arena, reason);
		if (part.at == NULL)
			part = TEXT("");
		parameter->value = decode(part, true, arena, reason);
		if (parameter->name.at == NULL || parameter->value.at == NULL)
			return -1;
		out->n_parameters++;
	}
	return 0;
}

int
http_path_parse(struct text target, struct arena *arena, struct http_path *path,
    const char **reason)
{
	struct text rest = without_authority(target), before;

	path->n_segments = path->n_parameters = 0;
	path->parameters = NULL;
	*reason = NULL;
	if (text_equal(rest, TEXT("*")))
		return 0;
	if (rest.at == NULL ||
	    (rest.at == target.at && !text_starts_with(rest, TEXT("/")))) {
		*reason = "not a path";
		return -1;
	}
	if (memchr(rest.at, '#', rest.size) != NULL) {
		*reason = "a fragment in the request target";
		return -1;
	}
	cut(&rest, '?', &before);
	if (before.size == 0)
		before = TEXT("/"); /* "http://host" (RFC 9110, 4.2.3) */
	if (parse_segments(before, arena, path, reason) != 0)
		return -1;
	return rest.at != NULL ? parse_query(rest, arena, path, reason) : 0;
}

int
http_path_get(
    const struct http_path *path, const char *name, struct text *value)
{
	struct text wanted = text_from(name);
	int found = 0;
	size_t i;

	for (i = 0; i < path->n_parameters; i++) {
		if (!text_equal(path->parameters[i].name, wanted))
			continue;
		if (found++ > 0)
			return -1;
		*value = path->parameters[i].value;
	}
	return found;
}
