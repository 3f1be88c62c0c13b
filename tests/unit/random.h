#ifndef SCHEDRUN_TESTS_UNIT_RANDOM_H
#define SCHEDRUN_TESTS_UNIT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/text.h"

/* Numbers for tests: the same ones in every run (SplitMix64). */
struct random {
	uint64_t state;
};

/*
 * How often a test of `n` random cases tries: where every instruction is
 * watched, which takes a hundred times as long, tests/sanitize has it do one of
 * UNIT_SHARE (of the environment).
 */
uint64_t random_rounds(uint64_t n);

uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t n); /* 0 to n - 1 */
bool random_bool(struct random *random);

/* Of any magnitude: small ones as likely as large ones. */
int64_t random_long(struct random *random);
int32_t random_int(struct random *random);

/* Valid UTF-8 of at most `max` bytes: of one to four a character. */
struct text random_text(struct random *random, struct arena *arena, size_t max);
struct text random_text_or_none(
    struct random *random, struct arena *arena, size_t max);

/* Any bytes. */
struct text random_bytes(
    struct random *random, struct arena *arena, size_t max);

#endif
