#include "worker/pipeline/attempts.h"

#include "tests/unit/check.h"

static void
tries_of_batches(void)
{
	static const struct {
		const char *name;
		struct attempt noted;
		int64_t first, last;
		int32_t tries;
	} rows[] = {
		{ "no note: the second", { 0, 0 }, 70, 90, 2 },
		{ "a note that was taken back", { 70, 0 }, 70, 90, 2 },
		{ "the batch of the note", { 70, 2 }, 70, 90, 3 },
		{ "its killer in the midst", { 85, 4 }, 70, 90, 5 },
		{ "the last of them", { 90, 3 }, 70, 90, 4 },
		{ "the batch went by", { 69, 5 }, 70, 90, 2 },
		{ "the note is for a later one", { 91, 5 }, 70, 90, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    attempts_of_batch(rows[i].noted, rows[i].first,
			rows[i].last) == rows[i].tries);
}

static void
tries_of_records(void)
{
	static const struct {
		const char *name;
		struct attempt noted;
		int64_t offset;
		int32_t tries;
	} rows[] = {
		{ "the first of a batch that was noted", { 70, 2 }, 70, 3 },
		{ "one behind it", { 70, 2 }, 75, 3 },
		{ "noted by itself", { 75, 3 }, 75, 4 },
		{ "survived before", { 75, 3 }, 74, 0 },
		{ "not reached before", { 75, 5 }, 76, 3 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    attempts_of_record(rows[i].noted, rows[i].offset) ==
			rows[i].tries);
}

/* Each life of a worker plans offsets 70 to 99; the one at 85 kills it. */
static bool
live(struct attempt *note)
{
	const struct attempt found = *note;
	int32_t tries = attempts_of_batch(found, 70, 99);
	int64_t offset;

	if (tries == 2)
		*note = (struct attempt){ 70, 2 };
	if (tries < ATTEMPTS_CAREFUL)
		return false;
	for (offset = 70; offset <= 85; offset++) {
		tries = attempts_of_record(found, offset);
		if (tries > 0)
			*note = (struct attempt){ offset, tries };
	}
	return tries >= ATTEMPTS_MAX;
}

static void
a_killer_is_found_after_five_crashes(void)
{
	struct attempt note = { 0, 0 };
	int crashes = 1; /* the first, that had no claims of its own yet */

	while (crashes < 20 && !live(&note))
		crashes++;
	CHECK(crashes == 5);
	CHECK(note.offset == 85 && note.entries == ATTEMPTS_MAX);
}

CU_TestInfo attempts_tests[] = {
	{ "tries of batches", tries_of_batches },
	{ "tries of records", tries_of_records },
	{ "a killer is found", a_killer_is_found_after_five_crashes },
	CU_TEST_INFO_NULL,
};
