/* Events: 'd', 'b' or 'l' for the message, and a body behind its frame. */
#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/embedded.h"
#include "schemas/message/schedule_event.h"
#include "tests/fuzz/fuzz.h"

static enum message
message_of(struct text kind)
{
	if (kind.size == 1 && kind.at[0] == 'b')
		return MESSAGE_BUILD_FINISHED;
	if (kind.size == 1 && kind.at[0] == 'l')
		return MESSAGE_LOGIC_PUBLISHED;
	return MESSAGE_DATASET_COMMITTED;
}

/* What was read is written as what reads the same. */
static void
read_again(struct message_reader *reader, const struct schedule_event *event,
    struct arena *arena)
{
	struct buffer out = { 0 }, one = { 0 }, other = { 0 };
	struct rejection rejection;
	struct schedule_event again;
	uint32_t id;
	struct text body;
	char key[RID_SIZE_MAX];
	int rc;

	assert(schedule_event_check(event, &rejection) == 0);
	assert(schedule_event_key(event, key).size <= RID_SIZE_MAX);
	schedule_event_encode(event, 7, &out);
	rc = framing_read(
	    buffer_text(&out), out.size + 1, &id, &body, &rejection);
	assert(rc == 0 && id == 7);
	rc = schedule_event_decode(reader, body, arena, &again, &rejection);
	assert(rc == 0);
	schedule_event_identity(event, &one);
	schedule_event_identity(&again, &other);
	assert(text_equal(buffer_text(&one), buffer_text(&other)));
	buffer_finish(&out);
	buffer_finish(&one);
	buffer_finish(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text body = { (const char *)bytes, size };
	enum message message = message_of(fuzz_take(&body, 1));
	struct arena *arena = arena_create(0);
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(message, message_schema(message), &rejection);
	struct schedule_event event = { .message = message };

	assert(reader != NULL);
	if (schedule_event_decode(reader, body, arena, &event, &rejection) == 0)
		read_again(reader, &event, arena);
	message_reader_destroy(reader);
	arena_destroy(arena);
	return 0;
}
