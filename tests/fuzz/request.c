/* A record of the request topic: framed, in the shipped schema. */
#include "common/base/clock.h"
#include "schemas/avro/framing.h"
#include "schemas/embedded.h"
#include "schemas/message/run_request.h"
#include "tests/fuzz/fuzz.h"

/* What is passed on is what the planner and the keyspace may rely on. */
static void
check(const struct run_request *request)
{
	assert(
	    request->request_id.size >= 1 && request->request_id.size <= 200);
	assert(text_is_utf8(request->request_id));
	assert(!text_has_control(request->request_id));
	assert(rid_is_valid(request->schedule_rid));
	assert(request->schedule_version_rid.at == NULL ||
	    rid_is_valid(request->schedule_version_rid));
	assert(request->created_time_ms >= 0);
	assert(request->created_time_ms <= CLOCK_MAX_MS);
	assert(
	    request->created_by.at == NULL || request->created_by.size == 36);
	assert(text_is_utf8(request->trigger));
}

/* Encoded again it is the same request, in no more bytes. */
static void
check_again(
    const struct layout *layout, const struct run_request *request, size_t size)
{
	struct buffer out = { 0 };
	struct run_request again;
	struct rejection rejection;
	struct uuid run;
	int rc;

	run_request_encode(request, 1, &out);
	assert(out.size <= size);
	rc = run_request_decode(layout,
	    (struct text){ out.at + FRAMING_SIZE, out.size - FRAMING_SIZE },
	    &again, &run, &rejection);
	assert(rc == 0);
	assert(text_equal(again.request_id, request->request_id));
	assert(text_equal(again.trigger, request->trigger));
	assert(again.created_time_ms == request->created_time_ms);
	buffer_finish(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct layout *layout;
	struct run_request request;
	struct rejection rejection;
	struct text body;
	struct uuid run;
	uint32_t id;

	if (layout == NULL)
		layout = run_request_layout(
		    message_schema(MESSAGE_RUN_REQUEST), &rejection);
	if (framing_read((struct text){ (const char *)bytes, size },
		MESSAGE_SIZE_MAX, &id, &body, &rejection) != 0 ||
	    run_request_decode(layout, body, &request, &run, &rejection) != 0 ||
	    run_request_check_time(&request, clock_wall_ms(), &rejection) != 0)
		return 0;
	check(&request);
	check_again(layout, &request, size);
	return 0;
}
