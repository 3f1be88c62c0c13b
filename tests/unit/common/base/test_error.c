#include "common/base/error.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/check.h"

#define MESSAGE_MAX (sizeof((struct error *)0)->message - 1)

static void
sets_kind_and_message(void)
{
	struct error err = { .kind = ERROR_ABORT, .exit_code = 77 };

	CHECK(error_set(&err, ERROR_RETRY, "%s: %d", "x", 3) == -1);
	CHECK(err.kind == ERROR_RETRY && err.exit_code == 0);
	CHECK(strcmp(err.message, "x: 3") == 0);
	CHECK(error_fatal(&err, 78, "y") == -1);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 78);
	error_prefix(&err, "%s", "where");
	CHECK(strcmp(err.message, "where: y") == 0);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 78);
	CHECK(error_set(NULL, ERROR_INPUT, "z") == -1);
	error_prefix(NULL, "w");
}

/* A message goes into JSON: where it is cut, no half character is left. */
static void
cuts_between_characters(void)
{
	char text[MESSAGE_MAX + 10];
	struct error err;
	size_t lead;

	for (lead = 0; lead < 4; lead++) {
		memset(text, 'x', sizeof text);
		for (size_t i = lead; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xE2\x82\xAC", 3);
		text[sizeof text - 1] = '\0';
		error_set(&err, ERROR_INPUT, "%s", text);
		CHECK(text_is_utf8(text_from(err.message)));
		CHECK(strlen(err.message) > MESSAGE_MAX - 4);
		error_prefix(&err, "in front");
		CHECK(text_is_utf8(text_from(err.message)));
		CHECK(strncmp(err.message, "in front: x", 10) == 0);
	}
}

CU_TestInfo error_tests[] = {
	{ "sets kind and message", sets_kind_and_message },
	{ "cuts between characters", cuts_between_characters },
	CU_TEST_INFO_NULL,
};
