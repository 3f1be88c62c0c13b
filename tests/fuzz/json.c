/* Any text as JSON; what is printed is parsed again to the same print. */
#include "common/json/node.h"
#include "common/json/write.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH 32

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct error err = { 0 };
	struct json_document *document =
	    json_parse((struct text){ (const char *)bytes, size }, DEPTH, &err);
	struct buffer first = { 0 }, second = { 0 };

	if (document == NULL) {
		assert(err.kind == ERROR_INPUT && err.message[0] != '\0');
		return 0;
	}
	json_put_node(&first, json_root(document));
	json_destroy(document);
	assert(text_is_utf8(buffer_text(&first)));
	document = json_parse(buffer_text(&first), DEPTH, &err);
	assert(document != NULL);
	json_put_node(&second, json_root(document));
	assert(text_equal(buffer_text(&first), buffer_text(&second)));
	json_destroy(document);
	buffer_finish(&first);
	buffer_finish(&second);
	return 0;
}
