#include "common/base/recent.h"

#include <string.h>

#include "tests/unit/check.h"

static const uint8_t *
key(unsigned head, unsigned tail)
{
	static uint8_t bytes[RECENT_KEY_SIZE];

	memset(bytes, 0, sizeof bytes);
	bytes[0] = (uint8_t)head; /* chooses the places */
	bytes[31] = (uint8_t)tail;
	return bytes;
}

static void
remembers(void)
{
	struct recent *recent = recent_create(64, sizeof(int));
	int *value;

	CHECK(recent_find(recent, key(1, 1)) == NULL);
	value = recent_put(recent, key(1, 1));
	CHECK(*value == 0);
	*value = 7;
	CHECK(recent_put(recent, key(1, 1)) == value);
	*(int *)recent_put(recent, key(1, 2)) = 8;
	CHECK(*(int *)recent_find(recent, key(1, 1)) == 7);
	CHECK(*(int *)recent_find(recent, key(1, 2)) == 8);
	recent_clear(recent);
	CHECK(recent_find(recent, key(1, 1)) == NULL);
	CHECK(*(int *)recent_put(recent, key(1, 1)) == 0);
	recent_destroy(recent);
}

static void
forgets_what_was_used_least_lately(void)
{
	struct recent *recent = recent_create(8, sizeof(unsigned));
	unsigned i;

	for (i = 0; i < 8; i++)
		*(unsigned *)recent_put(recent, key(i, i)) = i + 1;
	CHECK(recent_find(recent, key(0, 0)) != NULL); /* used again */
	CHECK(*(unsigned *)recent_put(recent, key(9, 9)) == 0);
	CHECK(recent_find(recent, key(1, 1)) == NULL);
	CHECK(*(unsigned *)recent_find(recent, key(0, 0)) == 1);
	CHECK(*(unsigned *)recent_find(recent, key(7, 7)) == 8);
	recent_destroy(recent);
}

CU_TestInfo recent_tests[] = {
	{ "remembers", remembers },
	{ "forgets what was used least lately",
	    forgets_what_was_used_least_lately },
	CU_TEST_INFO_NULL,
};
