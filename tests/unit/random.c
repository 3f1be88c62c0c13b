#include "tests/unit/random.h"

#include <stdlib.h>
#include <string.h>

uint64_t
random_rounds(uint64_t n)
{
	const char *share = getenv("UNIT_SHARE");
	uint64_t divisor = share != NULL ? strtoull(share, NULL, 10) : 1;

	return divisor > 1 && divisor < n ? n / divisor : n;
}

uint64_t
random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t
random_below(struct random *random, uint64_t n)
{
	return random_next(random) % n;
}

bool
random_bool(struct random *random)
{
	return (random_next(random) & 1) != 0;
}

int64_t
random_long(struct random *random)
{
	uint64_t bits = random_next(random) >> random_below(random, 64);

	return random_bool(random) ? (int64_t)bits : -(int64_t)(bits >> 1) - 1;
}

int32_t
random_int(struct random *random)
{
	uint32_t bits =
	    (uint32_t)random_next(random) >> random_below(random, 32);

	return random_bool(random) ? (int32_t)(bits >> 1)
				   : -(int32_t)(bits >> 1) - 1;
}

struct text
random_text(struct random *random, struct arena *arena, size_t max)
{
	static const char *const characters[] = { "a", "Z", "0", " ", "\"",
		"\n", "\x7f", "\xc3\xa4", "\xe2\x82\xac", "\xef\xbf\xbf",
		"\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf" };
	size_t size = random_below(random, max + 1), at = 0;
	char *out = arena_alloc(arena, max + 4);

	while (at < size) {
		const char *c = characters[random_below(
		    random, sizeof characters / sizeof characters[0])];

		if (at + strlen(c) > size)
			c = "x";
		memcpy(out + at, c, strlen(c));
		at += strlen(c);
	}
	return (struct text){ out, at };
}

struct text
random_text_or_none(struct random *random, struct arena *arena, size_t max)
{
	if (random_bool(random))
		return TEXT_NONE;
	return random_text(random, arena, max);
}

struct text
random_bytes(struct random *random, struct arena *arena, size_t max)
{
	size_t size = random_below(random, max + 1), i;
	char *out = arena_alloc(arena, size + 1);

	for (i = 0; i < size; i++)
		out[i] = (char)random_next(random);
	return (struct text){ out, size };
}
