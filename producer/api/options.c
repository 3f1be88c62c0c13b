#include "producer/api/options.h"

#include <string.h>
#include <strings.h>

#include "common/crypto/digest.h"
#include "common/crypto/rid.h"
#include "common/trace/context.h"

#define KEY_MAX 200
#define STATE_MAX 512

static bool
is_visible(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text.at[i] < '!' || text.at[i] > '~')
			return false;
	return true;
}

/* A quoted string of RFC 9110: its escapes are removed. */
static bool
unquote(struct text *key, struct arena *arena)
{
	char *out = arena_alloc(arena, key->size);
	size_t i, n = 0;

	if (key->size < 2 || key->at[key->size - 1] != '"')
		return false;
	for (i = 1; i + 1 < key->size; i++) {
		char c = key->at[i];

		if (c == '"')
			return false;
		if (c == '\\') {
			if (i + 2 >= key->size)
				return false;
			c = key->at[++i];
		}
		out[n++] = c;
	}
	*key = (struct text){ out, n };
	return true;
}

int
run_options_request_id(const struct http_head *head, struct text caller,
    struct text schedule_rid, struct arena *arena, struct text *id)
{
	size_t n = http_head_count(head, "idempotency-key");
	struct text key = http_head_get(head, "idempotency-key");
	char *out = arena_alloc(arena, 5 + 2 * SHA256_SIZE);
	uint8_t digest[SHA256_SIZE];
	struct buffer bytes = { 0 };
	struct uuid random;

	memcpy(out, "http:", 5);
	if (n == 0) {
		random = uuid_random();
		uuid_format(&random, out + 5);
		*id = (struct text){ out, 5 + UUID_TEXT_SIZE };
		return 0;
	}
	if (n > 1 || key.size == 0 ||
	    (key.at[0] == '"' && !unquote(&key, arena)) || key.size == 0 ||
	    key.size > KEY_MAX || !is_visible(key))
		return -1;
	length_prefixed(&bytes, caller);
	length_prefixed(&bytes, schedule_rid);
	length_prefixed(&bytes, key);
	sha256(buffer_text(&bytes), digest);
	buffer_finish(&bytes);
	hex_write(digest, sizeof digest, out + 5);
	*id = (struct text){ out, 5 + 2 * SHA256_SIZE };
	return 1;
}

/* "wait=5", blanks around "=" and parameters behind ";" allowed; else -1. */
static int
read_wait(struct text preference, int max)
{
	const char *end = memchr(preference.at, ';', preference.size);
	const char *equals;
	struct text name, value;
	int64_t seconds;

	if (end != NULL)
		preference.size = (size_t)(end - preference.at);
	equals = memchr(preference.at, '=', preference.size);
	if (equals == NULL)
		return -1;
	name = text_trim(
	    (struct text){ preference.at, (size_t)(equals - preference.at) });
	value = text_trim((struct text){ equals + 1,
	    preference.size - (size_t)(equals - preference.at) - 1 });
	if (name.size != 4 || strncasecmp(name.at, "wait", 4) != 0 ||
	    !text_to_bounded(value, max, &seconds))
		return -1;
	return (int)seconds;
}

static int
find_wait(struct text value, int max)
{
	while (value.size > 0) {
		const char *comma = memchr(value.at, ',', value.size);
		size_t n =
		    comma != NULL ? (size_t)(comma - value.at) : value.size;
		int seconds = read_wait((struct text){ value.at, n }, max);

		if (seconds >= 0)
			return seconds;
		n += comma != NULL;
		value.at += n;
		value.size -= n;
	}
	return -1;
}

/* The first one counts (RFC 7240, section 2). */
int
run_options_wait(const struct http_head *head, int max)
{
	size_t i;

	for (i = 0; i < head->n_fields; i++) {
		struct text name = head->fields[i].name;
		int seconds;

		if (name.size != 6 || strncasecmp(name.at, "prefer", 6) != 0)
			continue;
		seconds = find_wait(head->fields[i].value, max);
		if (seconds >= 0)
			return seconds;
	}
	return -1;
}

static bool
is_traceparent(struct text text)
{
	struct trace_context ignored;

	return trace_context_read(text, &ignored);
}

static bool
is_state(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text.at[i] < ' ' || text.at[i] > '~')
			return false;
	return text.size > 0 && text.size <= STATE_MAX;
}

static bool
is_b3_id(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text.at[i] == '\0' ||
		    strchr("0123456789abcdefABCDEF", text.at[i]) == NULL)
			return false;
	return text.size > 0 && text.size <= 32;
}

size_t
run_options_trace(const struct http_head *head,
    struct trace_header headers[TRACE_HEADERS_MAX])
{
	static const struct {
		const char *name;
		bool (*is)(struct text text);
		bool with_parent;
	} known[] = {
		{ "traceparent", is_traceparent, false },
		{ "tracestate", is_state, true },
		{ "x-b3-traceid", is_b3_id, false },
		{ "x-b3-spanid", is_b3_id, false },
		{ "x-b3-sampled", is_b3_id, false },
	};
	size_t i, n = 0;

	for (i = 0; i < sizeof known / sizeof known[0]; i++) {
		struct text value = http_head_get(head, known[i].name);

		if (http_head_count(head, known[i].name) != 1 ||
		    !known[i].is(value) || (known[i].with_parent && n == 0))
			continue;
		headers[n++] = (struct trace_header){ known[i].name, value };
	}
	return n;
}
