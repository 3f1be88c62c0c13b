/* A body under any schema: the schema's number, then the body. */
#include <string.h>

#include "schemas/avro/layout.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/random_avro.h"

#define NAME "schedrun.Any"

/* What the walk passes avro-c reads to its end. */
static void
compare(struct text schema, const struct layout *layout, struct text body)
{
	struct rejection rejection;
	struct avro_message message;
	bool is_read;

	if (layout_walk(layout, body, NULL, &rejection) != 0) {
		assert(strlen(rejection.detail) > 0);
		return;
	}
	is_read = avro_message_init(&message, schema) &&
	    avro_message_read(&message, body);
	assert(is_read);
	avro_message_finish(&message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text body = { (const char *)bytes, size };
	struct text number = fuzz_take(&body, 2);
	struct random random = { 0 };
	struct buffer schema = { 0 };
	struct rejection rejection;
	struct layout *layout;

	memcpy(&random.state, number.at, number.size);
	random_schema(&random, NAME, &schema);
	layout = layout_compile(buffer_text(&schema), NAME, &rejection);
	assert(layout != NULL);
	compare(buffer_text(&schema), layout, body);
	layout_destroy(layout);
	buffer_finish(&schema);
	return 0;
}
