/*
 * Runs a target without libFuzzer: over the files of its corpus, and over each
 * of them damaged again and again, the same way in every run.
 *
 *     build/fuzz/json tests/fuzz/corpus/json [ROUNDS]
 *
 * Closes with "N passed, M failed"; a target that finds something aborts.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/small_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/random.h"

#define FILE_MAX ((size_t)1 << 20)
#define ROUNDS 500

static unsigned runs;

/* In memory of its own, so that ASan sees a read beyond its end. */
static void
run(const struct buffer *input)
{
	uint8_t *copy = malloc(input->size > 0 ? input->size : 1);

	assert(copy != NULL);
	memcpy(copy, buffer_text(input).at, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
	runs++;
}

/* One change: another byte or bit, some bytes fewer, some of them again. */
static void
damage(struct random *random, struct buffer *input)
{
	size_t at = random_below(random, input->size + 1);
	size_t n = 1 + random_below(random, 8);

	if (at == input->size) {
		buffer_byte(input, (char)random_next(random));
		return;
	}
	if (n > input->size - at)
		n = input->size - at;
	switch (random_below(random, 4)) {
	case 0:
		input->at[at] = (char)random_next(random);
		break;
	case 1:
		input->at[at] ^= (char)(1 << random_below(random, 8));
		break;
	case 2:
		memmove(
		    input->at + at, input->at + at + n, input->size - at - n);
		input->size -= n;
		break;
	default:
		buffer_reserve(input, n);
		memmove(input->at + at + n, input->at + at, input->size - at);
		input->size += n;
		break;
	}
}

static void
run_file(const char *path, unsigned rounds, struct random *random)
{
	struct buffer seed = { 0 }, input = { 0 };
	struct error err;
	unsigned round;
	bool exposed;

	if (small_file_read(path, FILE_MAX, &seed, &exposed, &err) != 0) {
		fprintf(stderr, "replay: %s\n", err.message);
		exit(1);
	}
	run(&seed);
	for (round = 0; round < rounds; round++) {
		uint64_t changes = 1 + random_below(random, 6);

		buffer_reset(&input);
		buffer_append(&input, buffer_text(&seed));
		while (changes-- > 0)
			damage(random, &input);
		run(&input);
	}
	buffer_finish(&seed);
	buffer_finish(&input);
}

int
main(int argc, char **argv)
{
	struct random random = { 1 };
	struct dirent **names;
	unsigned rounds = ROUNDS;
	int n, i;

	if (argc < 2) {
		fprintf(stderr, "usage: %s DIRECTORY [ROUNDS]\n", argv[0]);
		return 64;
	}
	if (argc > 2)
		rounds = (unsigned)strtoul(argv[2], NULL, 10);
	n = scandir(argv[1], &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		char path[512];

		snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			run_file(path, rounds, &random);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	printf("%s: %u passed, %d failed\n", argv[1], runs, runs == 0);
	return runs == 0;
}
