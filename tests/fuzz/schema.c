/* Any text as a writer's schema, and zeros as a record of it. */
#include <string.h>

#include "schemas/message/run_request.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char zeros[64];
	struct text schema = { (const char *)bytes, size };
	struct rejection rejection = { 0 };
	struct layout *layout = run_request_layout(schema, &rejection);
	struct run_request request;
	struct uuid run;

	assert(layout != NULL || strlen(rejection.detail) > 0);
	if (layout != NULL)
		run_request_decode(layout, (struct text){ zeros, sizeof zeros },
		    &request, &run, &rejection);
	layout_destroy(layout);
	return 0;
}
