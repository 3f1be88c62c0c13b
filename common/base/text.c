#include "common/base/text.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/arena.h"

struct text
text_from(const char *string)
{
	if (string == NULL)
		return TEXT_NONE;
	return (struct text){ string, strlen(string) };
}

bool
text_equal(struct text left, struct text right)
{
	if (left.at == NULL || right.at == NULL)
		return left.at == right.at;
	return left.size == right.size &&
	    memcmp(left.at, right.at, left.size) == 0;
}

int
text_compare(struct text left, struct text right)
{
	size_t n = left.size < right.size ? left.size : right.size;
	int order = n > 0 ? memcmp(left.at, right.at, n) : 0;

	if (order != 0)
		return order;
	return (left.size > right.size) - (left.size < right.size);
}

bool
text_starts_with(struct text text, struct text prefix)
{
	return text.size >= prefix.size &&
	    (prefix.size == 0 || memcmp(text.at, prefix.at, prefix.size) == 0);
}

static int
lower_ascii(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter;
}

bool
text_has_part(struct text text, struct text part)
{
	size_t i, k;

	for (i = 0; text.at != NULL && i + part.size <= text.size; i++) {
		for (k = 0; k < part.size &&
		     lower_ascii(text.at[i + k]) == lower_ascii(part.at[k]);
		     k++)
			;
		if (k == part.size)
			return true;
	}
	return false;
}

bool
text_to_bounded(struct text text, int64_t max, int64_t *number)
{
	int64_t value = 0;
	size_t i;

	for (i = 0; i < text.size; i++) {
		int digit = text.at[i] - '0';

		if (digit < 0 || digit > 9)
			return false;
		value = value > (max - digit) / 10 ? max : value * 10 + digit;
	}
	*number = value;
	return text.size > 0;
}

bool
text_to_number(struct text text, int64_t max, int64_t *number)
{
	int64_t value = 0;
	size_t i;

	for (i = 0; i < text.size; i++) {
		int digit = text.at[i] - '0';

		if (digit < 0 || digit > 9 || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*number = value;
	return text.size > 0;
}

bool
text_take_number(struct text *rest, size_t digits, int64_t *number)
{
	struct text head = { rest->at, 0 };

	while (head.size < rest->size && head.size < digits &&
	    head.at[head.size] >= '0' && head.at[head.size] <= '9')
		head.size++;
	if (head.size == 0)
		return false;
	rest->at += head.size;
	rest->size -= head.size;
	return text_to_number(head, INT64_MAX, number);
}

bool
text_take_byte(struct text *rest, char byte)
{
	if (rest->size == 0 || rest->at[0] != byte)
		return false;
	rest->at++;
	rest->size--;
	return true;
}

struct text
text_of_number(int64_t number, char out[TEXT_NUMBER_SIZE])
{
	return (struct text){ out,
		(size_t)snprintf(
		    out, TEXT_NUMBER_SIZE, "%lld", (long long)number) };
}

int
text_hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

struct text
text_copy(struct arena *arena, struct text text)
{
	char *copy;

	if (text.at == NULL)
		return TEXT_NONE;
	copy = arena_alloc(arena, text.size + 1);
	memcpy(copy, text.at, text.size);
	copy[text.size] = '\0';
	return (struct text){ copy, text.size };
}

static uint64_t hash_seed;
static pthread_once_t hash_seeded = PTHREAD_ONCE_INIT;

static void
seed_hash(void)
{
	if (getrandom(&hash_seed, sizeof hash_seed, GRND_NONBLOCK) !=
	    (ssize_t)sizeof hash_seed)
		hash_seed = (uint64_t)(uintptr_t)&hash_seed;
}

__extension__ typedef unsigned __int128 wide;

/* 64 × 64 -> 128 bits folded: the mixing step of wyhash. */
static uint64_t
mix(uint64_t left, uint64_t right)
{
	wide product = (wide)left * right;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
load(const char *at, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, at, n);
	return word;
}

size_t
text_hash(struct text text)
{
	uint64_t hash;
	size_t i;

	pthread_once(&hash_seeded, seed_hash);
	hash = hash_seed ^ text.size;
	for (i = 0; text.size - i >= 16; i += 16)
		hash = mix(load(text.at + i, 8) ^ 0xa0761d6478bd642f,
		    load(text.at + i + 8, 8) ^ hash);
	if (text.size - i >= 8) {
		hash = mix(load(text.at + i, 8) ^ 0xe7037ed1a0b428db, hash);
		i += 8;
	}
	if (text.size > i)
		hash =
		    mix(load(text.at + i, text.size - i) ^ 0x8ebc6af09c88c6e3,
			hash);
	return (size_t)mix(hash ^ 0x589965cc75374cc3, 0xa0761d6478bd642f);
}

/* Bytes of the sequence that `at` begins, 0 if it is not valid (RFC 3629). */
static size_t
sequence_size(const unsigned char *at, size_t left)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t n, i;

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xC2 || at[0] > 0xF4)
		return 0;
	n = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
	if (left < n)
		return 0;
	if (at[0] == 0xE0)
		low = 0xA0;
	else if (at[0] == 0xED)
		high = 0x9F;
	else if (at[0] == 0xF0)
		low = 0x90;
	else if (at[0] == 0xF4)
		high = 0x8F;
	if (at[1] < low || at[1] > high)
		return 0;
	for (i = 2; i < n; i++)
		if (at[i] < 0x80 || at[i] > 0xBF)
			return 0;
	return n;
}

static bool
are_ascii(const char *at)
{
	return (load(at, 8) & 0x8080808080808080) == 0;
}

size_t
text_utf8_size(struct text text)
{
	size_t i = 0, n;

	while (i < text.size) {
		if (text.size - i >= 8 && are_ascii(text.at + i)) {
			i += 8;
			continue;
		}
		n = sequence_size(
		    (const unsigned char *)text.at + i, text.size - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

bool
text_is_utf8(struct text text)
{
	return text_utf8_size(text) == text.size;
}

struct text
text_skip_mark(struct text text)
{
	static const struct text mark = { "\xEF\xBB\xBF", 3 };

	if (!text_starts_with(text, mark))
		return text;
	return (struct text){ text.at + mark.size, text.size - mark.size };
}

struct text
text_cut(struct text text, size_t max)
{
	size_t n = max, back;

	if (text.size <= max)
		return text;
	/* A character has at most three bytes of the form 10xxxxxx. */
	for (back = 0; back < 3 && n > 0; back++, n--)
		if (((unsigned char)text.at[n] & 0xC0) != 0x80)
			break;
	return (struct text){ text.at, n };
}

static bool
is_control(char sign)
{
	unsigned char byte = (unsigned char)sign;

	return byte < 0x20 || byte == 0x7F;
}

bool
text_is_visible(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text.at[i] <= ' ' || text.at[i] > '~')
			return false;
	return text.size > 0;
}

bool
text_has_control(struct text text)
{
	const uint64_t ones = ~(uint64_t)0 / 255;
	size_t i;

	/* Eight at once: whether one is below a blank, or is DEL. */
	for (i = 0; text.size - i >= 8; i += 8) {
		uint64_t bytes = load(text.at + i, 8);
		uint64_t del = bytes ^ ones * 0x7f;

		if ((((bytes - ones * 0x20) & ~bytes) | ((del - ones) & ~del)) &
		    ones * 0x80)
			return true;
	}
	for (; i < text.size; i++)
		if (is_control(text.at[i]))
			return true;
	return false;
}

size_t
text_control_size(struct text text, size_t i)
{
	if (is_control(text.at[i]))
		return 1;
	return i + 1 < text.size && text.at[i] == '\xC2' &&
		(unsigned char)text.at[i + 1] < 0xA0
	    ? 2
	    : 0;
}

/* A NUL divides nothing. */
static bool
divides(char byte, const char *between)
{
	return byte != '\0' && strchr(between, byte) != NULL;
}

bool
text_take_word(struct text *rest, const char *between, struct text *word)
{
	size_t start = 0, end;

	while (start < rest->size && divides(rest->at[start], between))
		start++;
	end = start;
	while (end < rest->size && !divides(rest->at[end], between))
		end++;
	*word = (struct text){ rest->at + start, end - start };
	*rest = (struct text){ rest->at + end, rest->size - end };
	return word->size > 0;
}

struct text
text_trim(struct text text)
{
	while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.size--;
	}
	while (text.size > 0 &&
	    (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t'))
		text.size--;
	return text;
}

size_t
text_characters(struct text text)
{
	size_t i, n = 0;

	for (i = 0; i < text.size; i++)
		n += ((unsigned char)text.at[i] & 0xC0) != 0x80;
	return n;
}
