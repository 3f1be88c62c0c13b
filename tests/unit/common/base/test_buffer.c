#include "common/base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

static bool
holds(const struct buffer *buffer, struct text text)
{
	return text_equal(buffer_text(buffer), text);
}

static void
grows_at_the_end(void)
{
	struct buffer buffer = { 0 };
	size_t i;

	CHECK(holds(&buffer, TEXT("")));
	buffer_append(&buffer, TEXT("a"));
	buffer_append(&buffer, TEXT_NONE);
	buffer_byte(&buffer, '\0');
	buffer_format(&buffer, "%s-%d", "b", 7);
	buffer_format(&buffer, "%s", "");
	CHECK(holds(&buffer, TEXT("a\0b-7")));
	for (i = 0; i < 10000; i++)
		buffer_byte(&buffer, (char)i);
	CHECK(buffer.size == 10005 && buffer.capacity >= buffer.size);
	CHECK(buffer.at[4] == '7' && buffer.at[10004] == (char)9999);
	buffer_finish(&buffer);
	CHECK(buffer.at == NULL && buffer.size == 0 && buffer.capacity == 0);
}

/* What is formatted may end just where the room does: the NUL needs one. */
static void
formats_up_to_any_end(void)
{
	size_t n;

	for (n = 250; n < 260; n++) {
		struct buffer buffer = { 0 };

		buffer_format(&buffer, "%0*d", (int)n, 7);
		CHECK(buffer.size == n && buffer.at[n - 1] == '7');
		CHECK(buffer.capacity > n);
		buffer_finish(&buffer);
	}
}

static void
keeps_its_memory_when_reset(void)
{
	struct buffer buffer = { 0 };
	char *at = buffer_reserve(&buffer, 1000);

	CHECK(at != NULL && buffer.size == 0 && buffer.capacity >= 1000);
	buffer_format(&buffer, "%0900d", 1);
	CHECK(buffer.at == at);
	buffer_reset(&buffer);
	CHECK(buffer.size == 0 && buffer.at == at);
	buffer_append(&buffer, TEXT("x"));
	CHECK(holds(&buffer, TEXT("x")));
	buffer_finish(&buffer);
}

static void
shows_control_characters_as_question_marks(void)
{
	struct buffer buffer = { 0 };

	buffer_append_shown(&buffer, TEXT("a\x1B[1m\n\xC2\x9B\xC3\xA4\x7F"));
	CHECK(holds(&buffer, TEXT("a?[1m??\xC3\xA4?")));
	buffer_finish(&buffer);
}

CU_TestInfo buffer_tests[] = {
	{ "grows at the end", grows_at_the_end },
	{ "formats up to any end", formats_up_to_any_end },
	{ "keeps its memory when reset", keeps_its_memory_when_reset },
	{ "shows control characters as question marks",
	    shows_control_characters_as_question_marks },
	CU_TEST_INFO_NULL,
};
