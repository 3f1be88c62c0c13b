#include "producer/api/page_token.h"

#include <string.h>

#include "tests/unit/check.h"

static const uint8_t key[PAGE_KEY_SIZE] = { 1, 2, 3 };
static const uint8_t other_key[PAGE_KEY_SIZE] = { 1, 2, 4 };
#define SCHEDULE TEXT("ri.scheduler.main.schedule.s")

static void
make(struct buffer *token, char place[RUN_PLACE_SIZE])
{
	size_t i;

	for (i = 0; i < RUN_PLACE_SIZE; i++)
		place[i] = (char)(i * 37 - 128); /* any bytes */
	page_token_write(key, SCHEDULE, place, token);
}

static void
reads_what_it_wrote(void)
{
	char place[RUN_PLACE_SIZE], read[RUN_PLACE_SIZE];
	struct buffer token = { 0 };
	size_t i;

	make(&token, place);
	CHECK(token.size == 54);
	for (i = 0; i < token.size; i++)
		CHECK(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
			     "uvwxyz0123456789-_",
			  token.at[i]) != NULL);
	CHECK(page_token_read(key, SCHEDULE, buffer_text(&token), read));
	CHECK(memcmp(place, read, sizeof place) == 0);
	buffer_finish(&token);
}

static void
refuses_others(void)
{
	char place[RUN_PLACE_SIZE], read[RUN_PLACE_SIZE];
	struct buffer token = { 0 };
	struct text text;
	size_t i;

	make(&token, place);
	text = buffer_text(&token);
	CHECK(!page_token_read(other_key, SCHEDULE, text, read));
	CHECK(!page_token_read(
	    key, TEXT("ri.scheduler.main.schedule.t"), text, read));
	for (i = 0; i < token.size; i++) {
		token.at[i] ^= 1;
		CHECK(!page_token_read(key, SCHEDULE, text, read));
		token.at[i] ^= 1;
		CHECK(!page_token_read(
		    key, SCHEDULE, (struct text){ text.at, i }, read));
	}
	buffer_byte(&token, 'A');
	CHECK(!page_token_read(key, SCHEDULE, buffer_text(&token), read));
	buffer_finish(&token);
}

CU_TestInfo page_token_tests[] = {
	{ "reads what it wrote", reads_what_it_wrote },
	{ "refuses others", refuses_others },
	CU_TEST_INFO_NULL,
};
