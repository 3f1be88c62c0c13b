/* Results and builds as the adapter and the command line read them. */
#include "schemas/avro/reader.h"
#include "schemas/embedded.h"
#include "schemas/message/build_requested.h"
#include "schemas/message/schedule_run.h"
#include "tests/fuzz/fuzz.h"

static void
read_build(struct message_reader *reader, struct text body, struct arena *arena)
{
	struct build_requested build;
	struct rejection rejection;

	build_requested_decode(reader, body, arena, &build, &rejection);
}

static void
read_run(struct message_reader *reader, struct text body, struct arena *arena)
{
	struct rejection rejection;
	struct schedule_run run;

	if (schedule_run_decode(reader, body, arena, &run, &rejection) != 0)
		return;
	assert(run.state != RUN_PENDING && run.why.cause.at != NULL);
	assert(run.state != RUN_FAILED || run.error < RUN_ERRORS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text body = { (const char *)bytes, size };
	struct text kind = fuzz_take(&body, 1);
	bool is_build = kind.size == 1 && kind.at[0] == 'b';
	enum message message =
	    is_build ? MESSAGE_BUILD_REQUESTED : MESSAGE_SCHEDULE_RUN;
	struct arena *arena = arena_create(0);
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(message, message_schema(message), &rejection);

	assert(reader != NULL);
	if (is_build)
		read_build(reader, body, arena);
	else
		read_run(reader, body, arena);
	message_reader_destroy(reader);
	arena_destroy(arena);
	return 0;
}
