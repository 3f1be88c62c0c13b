/* A record of the DLQ: its key, its value and its headers, a line for each. */
#include <string.h>

#include "producer/letters/letter.h"
#include "tests/fuzz/fuzz.h"

#define HEADERS_MAX 64

static bool
begins(struct text text, const char *with)
{
	return text.size >= strlen(with) &&
	    memcmp(text.at, with, strlen(with)) == 0;
}

/* A copy is a record that was never here, but for how often it was. */
static void
check_copy(const struct kafka_message *message, const struct letter *letter,
    struct arena *arena)
{
	struct kafka_message copy = { 0 };
	struct letter again;
	size_t i, redrives = 0;

	letter_refusal(message, letter, "t", 1000, arena);
	letter_copy(message, letter, arena, &copy);
	for (i = 0; i < copy.n_headers; i++) {
		struct text name = copy.headers[i].name;

		assert(!begins(name, "__connect.errors."));
		if (begins(name, "schedrun.dlq."))
			redrives++;
	}
	assert(redrives == 1);
	letter_read(&copy, &again);
	assert(again.kind == LETTER_FOREIGN);
}

static void
check_place(struct text text)
{
	struct kafka_offset place, again;
	char out[LETTER_PLACE_SIZE];

	if (!letter_place_read(text, &place))
		return;
	assert(place.partition >= 0 && place.offset >= 0);
	assert(letter_place_read(letter_place_write(place, out), &again));
	assert(again.partition == place.partition);
	assert(again.offset == place.offset);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text rest = { (const char *)bytes, size };
	struct kafka_header headers[HEADERS_MAX];
	struct arena *arena = arena_create(0);
	struct kafka_message message = { .headers = headers };
	struct letter letter;

	message.key = fuzz_take_until(&rest, '\n');
	message.value = fuzz_take_until(&rest, '\n');
	while (rest.size > 0 && message.n_headers < HEADERS_MAX) {
		struct kafka_header *header = &headers[message.n_headers++];

		header->value = fuzz_take_until(&rest, '\n');
		header->name = fuzz_take_until(&header->value, '=');
	}
	letter_read(&message, &letter);
	if (letter.kind == LETTER_BURIED)
		check_copy(&message, &letter, arena);
	check_place(message.key);
	arena_destroy(arena);
	return 0;
}
