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

static void
test_header(void)
{
	static const struct {
		const char *name;
		struct text header, value;
		int rc;
		enum reject reason;
	} rows[] = {
		{ "an id", { "\0\0\0\0\7", 5 }, { "body", 4 }, 0, 0 },
		{ "no value", { "\0\0\0\0\7", 5 }, { "", 0 }, -1,
		    REJECT_EMPTY },
		{ "a GUID",
		    { "\1"
		      "0123456789abcdef",
			17 },
		    { "body", 4 }, -1, REJECT_BAD_MAGIC },
		{ "null", { NULL, 0 }, { "body", 4 }, -1, REJECT_BAD_MAGIC },
		{ "empty", { "", 0 }, { "body", 4 }, -1, REJECT_BAD_MAGIC },
		{ "a number as text", { "00007", 5 }, { "body", 4 }, -1,
		    REJECT_BAD_MAGIC },
		{ "an id of 8 bytes", { "\0\0\0\0\0\0\0\0\7", 9 },
		    { "body", 4 }, -1, REJECT_BAD_MAGIC },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rejection rejection = { 0 };
		struct text body = TEXT_NONE;
		uint32_t id = 0;
		int rc = framing_read_header(rows[i].header, rows[i].value,
		    MESSAGE_SIZE_MAX, &id, &body, &rejection);

		CHECK_ROW(rows[i].name, rc == rows[i].rc);
		CHECK_ROW(rows[i].name,
		    rc == 0 ? id == 7 && text_equal(body, rows[i].value)
			    : rejection.reason == rows[i].reason);
		CHECK_ROW(rows[i].name,
		    rows[i].header.size != 17 ||
			strstr(rejection.detail, "GUID") != NULL);
	}
}

static void
test_guess(void)
{
	static const struct {
		const char *says; /* NULL: nothing */
		struct text value;
	} rows[] = {
		{ NULL, { NULL, 0 } },
		{ NULL, { "\0\0\0\0\1\6r-1", 9 } },
		{ "looks like JSON", { "{\"requestId\":1}", 15 } },
		{ "JSON behind the frame", { "\0\0\0\0\1{\"r\":1}", 12 } },
		{ "an id of 8 bytes", { "\0\0\0\0\0\0\0\0\1\6r-1", 13 } },
		{ "container file", { "Obj\1\4", 5 } },
		{ "single-object", { "\xc3\1abc", 5 } },
		{ "gzip", { "\x1f\x8b\x08", 3 } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *guess = framing_guess(rows[i].value);

		CHECK_ROW(rows[i].says != NULL ? rows[i].says : "nothing",
		    rows[i].says == NULL
			? guess == NULL
			: guess != NULL && strstr(guess, rows[i].says) != NULL);
	}
}

CU_TestInfo framing_tests[] = {
	{ "header", test_header },
	{ "guess", test_guess },
	{ "cut", test_cut },
	{ "id", test_id },
	CU_TEST_INFO_NULL,
};
