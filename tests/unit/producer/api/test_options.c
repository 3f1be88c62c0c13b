#include "producer/api/options.h"

#include <string.h>

#include "tests/unit/check.h"

static char long_key[202]; /* ends with NUL */

static struct http_head
head_of(struct http_field *fields, const char *name, const char *value)
{
	struct http_head head = { .fields = fields };

	if (value != NULL)
		fields[head.n_fields++] =
		    (struct http_field){ text_from(name), text_from(value) };
	return head;
}

static int
request_id(
    struct arena *arena, const char *caller, const char *key, struct text *id)
{
	struct http_field fields[1];
	struct http_head head = head_of(fields, "Idempotency-Key", key);

	return run_options_request_id(
	    &head, text_from(caller), TEXT("ri.s"), arena, id);
}

static struct text
id_of(struct arena *arena, const char *caller, const char *key)
{
	struct text id = TEXT_NONE;

	request_id(arena, caller, key, &id);
	return id;
}

static void
reads_keys(void)
{
	static const struct {
		const char *value, *key; /* NULL: refused */
	} rows[] = {
		{ NULL, "" },
		{ "abc", "abc" },
		{ "\"abc\"", "abc" },
		{ "\"a\\\"b\"", "a\"b" },
		{ "a\"b", "a\"b" },
		{ "", NULL },
		{ "\"\"", NULL },
		{ "\"", NULL },
		{ "\"abc", NULL },
		{ "\"a\"b\"", NULL },
		{ "\"abc\\\"", NULL },
		{ "a b", NULL },
		{ "\"a b\"", NULL },
		{ "caf\xc3\xa9", NULL },
		{ "a\x01", NULL },
	};
	struct arena *arena = arena_create(0);
	struct http_field fields[2];
	struct text id;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int rc = request_id(arena, "u", rows[i].value, &id);

		CHECK_ROW(rows[i].value, (rc < 0) == (rows[i].key == NULL));
		CHECK_ROW(rows[i].value,
		    rc < 1 || text_equal(id, id_of(arena, "u", rows[i].key)));
	}
	memset(long_key, 'k', 201);
	CHECK(request_id(arena, "u", long_key, &id) == -1);
	long_key[200] = '\0';
	CHECK(request_id(arena, "u", long_key, &id) == 1);
	fields[0] = (struct http_field){ TEXT("Idempotency-Key"), TEXT("k") };
	fields[1] = fields[0];
	CHECK(run_options_request_id(
		  &(struct http_head){ .fields = fields, .n_fields = 2 },
		  TEXT("u"), TEXT("ri.s"), arena, &id) == -1);
	arena_destroy(arena);
}

static void
reads_preferences(void)
{
	static const struct {
		const char *value;
		int seconds;
	} rows[] = {
		{ NULL, -1 },
		{ "wait=5", 5 },
		{ "WAIT = 5", 5 },
		{ "respond-async, wait=10", 10 },
		{ "wait=10;x=y", 10 },
		{ "wait=60", 60 },
		{ "wait=61", 60 },
		{ "wait=99999999999999999999", 60 },
		{ "wait=0", 0 },
		{ "wait", -1 },
		{ "wait=", -1 },
		{ "wait=-1", -1 },
		{ "wait=1.5", -1 },
		{ "wait=x, wait=3", 3 },
		{ "await=5", -1 },
		{ "", -1 },
	};
	struct http_field fields[1];
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_head head =
		    head_of(fields, "Prefer", rows[i].value);

		CHECK_ROW(rows[i].value,
		    run_options_wait(&head, 60) == rows[i].seconds);
	}
}

static void
names_requests(void)
{
	struct arena *arena = arena_create(0);
	struct text one = id_of(arena, "u", "k");
	struct text random = id_of(arena, "u", NULL);

	CHECK(one.size == 69 && text_starts_with(one, TEXT("http:")));
	CHECK(text_equal(one, id_of(arena, "u", "k")));
	CHECK(!text_equal(one, id_of(arena, NULL, "k")));
	CHECK(!text_equal(one, id_of(arena, "u", "l")));
	CHECK(random.size == 41);
	CHECK(!text_equal(random, id_of(arena, "u", NULL)));
	arena_destroy(arena);
}

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void
copies_traces(void)
{
	static const struct {
		const char *name, *value;
		size_t n;
	} rows[] = {
		{ "traceparent", PARENT, 1 },
		{ "traceparent", "01" PARENT, 0 },
		{ "traceparent",
		    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		    0 },
		{ "traceparent",
		    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		    0 },
		{ "traceparent",
		    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		    0 },
		{ "tracestate", "a=b", 0 },
		{ "X-B3-TraceId", "463ac35c9f6413ad", 1 },
		{ "X-B3-TraceId", "463ac35c 9f6413ad", 0 },
		{ "X-B3-Sampled", "1", 1 },
	};
	struct trace_header headers[TRACE_HEADERS_MAX];
	struct http_field fields[2] = {
		{ TEXT("traceparent"), TEXT(PARENT) },
		{ TEXT("TraceState"), TEXT("a=b") },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_field one[1];
		struct http_head head =
		    head_of(one, rows[i].name, rows[i].value);

		CHECK_ROW(rows[i].value,
		    run_options_trace(&head, headers) == rows[i].n);
	}
	CHECK(run_options_trace(
		  &(struct http_head){ .fields = fields, .n_fields = 2 },
		  headers) == 2);
	CHECK(strcmp(headers[1].name, "tracestate") == 0);
}

CU_TestInfo run_options_tests[] = {
	{ "reads keys", reads_keys },
	{ "reads preferences", reads_preferences },
	{ "names requests", names_requests },
	{ "copies traces", copies_traces },
	CU_TEST_INFO_NULL,
};
