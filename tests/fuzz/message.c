/* Results and builds as the adapter and the command line read them. */
#include "schemas/build_requested.h"
#include "schemas/embedded.h"
#include "schemas/message_reader.h"
#include "schemas/schedule_run.h"
#include "tests/fuzz/fuzz.h"

static struct message_reader *
reader_of(enum message message)
{
	static struct message_reader *readers[MESSAGES];
	struct rejection rejection;

	if (readers[message] == NULL)
		readers[message] = message_reader_create(
		    message, message_schema(message), &rejection);
	return readers[message];
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text body = { (const char *)bytes, size };
	struct text kind = fuzz_take(&body, 1);
	struct arena *arena = arena_create(0);
	struct build_requested build;
	struct rejection rejection;
	struct schedule_run run;

	if (kind.size == 1 && kind.at[0] == 'b') {
		build_requested_decode(reader_of(MESSAGE_BUILD_REQUESTED), body,
		    arena, &build, &rejection);
	} else if (schedule_run_decode(reader_of(MESSAGE_SCHEDULE_RUN), body,
		       arena, &run, &rejection) == 0) {
		assert(run.rid.at != NULL && run.cause.at != NULL);
		assert(run.result != RESULT_ERROR ||
		    run_error_name(run.error_name) != NULL);
	}
	arena_destroy(arena);
	return 0;
}
