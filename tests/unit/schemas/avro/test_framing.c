#include <string.h>

#include "schemas/avro/framing.h"
#include "tests/unit/check.h"

static void
test_cut(void)
{
	static char large[MESSAGE_SIZE_MAX + 1];
	const struct {
		const char *name;
		struct text value;
		int rc;
		enum reject reason;
	} rows[] = {
		{ "no value", TEXT_NONE, -1, REJECT_EMPTY },
		{ "an empty value", TEXT(""), -1, REJECT_EMPTY },
		{ "the largest value", { large, MESSAGE_SIZE_MAX }, 0, 0 },
		{ "a byte more", { large, MESSAGE_SIZE_MAX + 1 }, -1,
		    REJECT_TOO_LARGE },
		{ "1 byte", TEXT("\0"), -1, REJECT_TRUNCATED_HEADER },
		{ "4 bytes", TEXT("\0\0\0\1"), -1, REJECT_TRUNCATED_HEADER },
		{ "JSON", TEXT("{\"requestId\":1}"), -1, REJECT_BAD_MAGIC },
		{ "bare Avro",
		    TEXT("\x06"
			 "r-1"),
		    -1, REJECT_BAD_MAGIC },
		{ "a frame and no body", TEXT("\0\0\0\0\1"), 0, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rejection rejection;
		struct text body;
		uint32_t id;
		int rc = framing_read(
		    rows[i].value, MESSAGE_SIZE_MAX, &id, &body, &rejection);

		CHECK_ROW(rows[i].name, rc == rows[i].rc);
		CHECK_ROW(rows[i].name,
		    rc == 0 || rejection.reason == rows[i].reason);
		CHECK_ROW(rows[i].name,
		    rc != 0 ||
			(body.at == rows[i].value.at + FRAMING_SIZE &&
			    body.size == rows[i].value.size - FRAMING_SIZE));
	}
}

static void
test_id(void)
{
	static const uint32_t ids[] = { 0, 1, 0x80, 0x01020304, INT32_MAX,
		UINT32_MAX };
	struct buffer out = { 0 };

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct rejection rejection;
		struct text body;
		uint32_t id = 7;

		buffer_reset(&out);
		framing_write(ids[i], &out);
		CHECK(out.size == FRAMING_SIZE);
		CHECK(framing_read(
			  buffer_text(&out), 100, &id, &body, &rejection) == 0);
		CHECK(id == ids[i] && body.size == 0);
	}
	buffer_reset(&out);
	framing_write(0x01020304, &out);
	CHECK(memcmp(out.at, "\0\1\2\3\4", FRAMING_SIZE) == 0);
	buffer_finish(&out);
}

CU_TestInfo framing_tests[] = {
	{ "cut", test_cut },
	{ "id", test_id },
	CU_TEST_INFO_NULL,
};
