#include "common/trace/context.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

/* What is read, written again; "" if it is none. */
static const char *
again(const char *header)
{
	static char out[TRACE_PARENT_SIZE + 1];
	struct trace_context context;

	out[0] = '\0';
	if (trace_context_read(text_from(header), &context))
		trace_context_write(&context, out);
	return out;
}

static void
reads_what_is_a_traceparent(void)
{
	static const char *const rows[][2] = {
		{ "00-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-01" },
		{ "00-" TRACE "-" SPAN "-00", "00-" TRACE "-" SPAN "-00" },
		/* Flags that aren't ours don't go on. */
		{ "00-" TRACE "-" SPAN "-fe", "00-" TRACE "-" SPAN "-00" },
		{ "00-" TRACE "-" SPAN "-ff", "00-" TRACE "-" SPAN "-01" },
		{ "01-" TRACE "-" SPAN "-01", "" },
		{ "ff-" TRACE "-" SPAN "-01", "" },
		{ "00-" TRACE "-" SPAN "-0g", "" },
		{ "00-" TRACE "-" SPAN "-0A", "" },
		{ "00-" TRACE "-" SPAN "-01-", "" },
		{ "00-" TRACE "-" SPAN "-0", "" },
		{ "00-" TRACE "." SPAN "-01", "" },
		{ "00-0AF7651916cd43dd8448eb211c80319c-" SPAN "-01", "" },
		{ "00-00000000000000000000000000000000-" SPAN "-01", "" },
		{ "00-" TRACE "-0000000000000000-01", "" },
		{ "", "" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(
		    rows[i][0], strcmp(again(rows[i][0]), rows[i][1]) == 0);
}

static void
span_ids_are_functions_of_what_they_are_of(void)
{
	const struct uuid run = { { 1 } }, other = { { 2 } };
	uint8_t ids[5][8];
	size_t i, k;

	trace_span_id(&run, "plan", 0, ids[0]);
	trace_span_id(&run, "commit", 0, ids[1]);
	trace_span_id(&other, "plan", 0, ids[2]);
	trace_span_id(&run, "plan", 1, ids[3]);
	trace_span_id(&run, "plan", 0, ids[4]);
	CHECK(memcmp(ids[0], ids[4], 8) == 0);
	for (i = 0; i < 4; i++)
		for (k = 0; k < i; k++)
			CHECK(memcmp(ids[i], ids[k], 8) != 0);
}

CU_TestInfo trace_context_tests[] = {
	{ "reads what is a traceparent", reads_what_is_a_traceparent },
	{ "span ids are functions of what they are of",
	    span_ids_are_functions_of_what_they_are_of },
	CU_TEST_INFO_NULL,
};
