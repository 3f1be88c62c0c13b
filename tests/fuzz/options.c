/* A request's head: what its fields ask of a run. */
#include "producer/api/options.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text all = { (const char *)bytes, size };
	struct http_field fields[HTTP_HEADERS_MAX];
	struct http_head head = { .fields = fields };
	struct trace_header trace[TRACE_HEADERS_MAX];
	struct arena *arena = arena_create(0);
	struct text id;
	size_t scanned = 0, n, i;
	int rc = http_head_scan(all, &scanned);

	if (rc > 0 &&
	    http_head_parse((struct text){ all.at, (size_t)rc }, &head) == 0) {
		rc = run_options_request_id(&head, TEXT("caller"),
		    TEXT("ri.scheduler.main.schedule.1"), arena, &id);
		assert(rc >= -1 && rc <= 1);
		assert(rc < 0 || (id.size > 0 && id.size <= 200));
		rc = run_options_wait(&head, 60);
		assert(rc >= -1 && rc <= 60);
		n = run_options_trace(&head, trace);
		assert(n <= TRACE_HEADERS_MAX);
		for (i = 0; i < n; i++)
			assert(!text_has_control(trace[i].value));
	}
	arena_destroy(arena);
	return 0;
}
