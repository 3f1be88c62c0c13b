/* A configuration file: its form. */
#include <string.h>

#include "common/config/file.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct config_line lines[CONFIG_LINES_MAX];
	struct text text = { (const char *)bytes, size };
	struct error err = { 0 };
	int n = config_file_parse("f", text, lines, &err), i;

	assert(n >= 0 ? n <= CONFIG_LINES_MAX : err.message[0] != '\0');
	for (i = 0; i < n; i++) {
		assert(lines[i].key.size > 0);
		assert(memchr(lines[i].key.at, '=', lines[i].key.size) == NULL);
		assert(memchr(lines[i].value.at, '\n', lines[i].value.size) ==
		    NULL);
		assert(lines[i].key.at >= text.at &&
		    lines[i].value.at + lines[i].value.size <=
			text.at + text.size);
	}
	return 0;
}
