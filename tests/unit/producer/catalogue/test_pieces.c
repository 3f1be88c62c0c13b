#include "producer/catalogue/pieces.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

/* The order of steps: what comes before the new generation, and what after. */
#define MANY 2000

struct bench {
	struct arena *arena;
	struct merge merge;
	struct catalogue_file file;
};

/* `n` schedules, which are one window, and `n` datasets that come, half of
 * which are stored already. */
static void
begin(struct bench *bench, size_t n, int64_t generation)
{
	const struct merge_settings settings = { 0 };
	struct merge_changes *moving, *window;
	struct text rid;
	char name[32];
	size_t i;

	*bench = (struct bench){ .arena = arena_create(0) };
	merge_init(&bench->merge, &settings, generation);
	bench->merge.world_changed = true;
	moving = &bench->merge.moving;
	window = &bench->merge.window;
	bench->merge.window_schedules.at = arena_zalloc(
	    bench->arena, n, sizeof *bench->merge.window_schedules.at);
	bench->merge.window_changes =
	    arena_zalloc(bench->arena, 1, sizeof *bench->merge.window_changes);
	bench->merge.window_changes[0] = true;
	bench->merge.has_window = true;
	bench->file.n_schedules = n;
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "%zu", i);
		rid = text_copy(bench->arena, text_from(name));
		bench->merge.window_schedules.at[i].rid = rid;
		fields_put(moving->heads, rid, TEXT("h"));
		fields_put(moving->said, rid, TEXT("a"));
		fields_put(window->heads, rid, TEXT("h"));
		fields_put(window->said, rid, TEXT("a"));
		fields_put(moving->branches, text_from(name), TEXT("b"));
		if (generation > 0 && i % 2 == 0)
			fields_put(bench->merge.stored[HASH_DATASETS],
			    text_from(name), TEXT("p"));
	}
}

static void
end(struct bench *bench)
{
	merge_finish(&bench->merge);
	arena_destroy(bench->arena);
}

/* A letter for each step: b branches, s schedules, g with the generation. */
static const char *
order(struct bench *bench, size_t *given)
{
	static char out[64];
	struct pieces *pieces = pieces_create(&bench->merge, &bench->file);
	const struct merge_changes *step;
	bool with_parts;
	size_t n = 0;
	char last = '\0', now;

	while (pieces_next(pieces, &step, &with_parts, NULL) > 0) {
		now = with_parts                   ? 'g'
		    : fields_size(step->heads) > 0 ? 's'
						   : 'b';
		CHECK(fields_size(step->heads) + fields_size(step->branches) <=
		    MANY);
		if (now != last && n + 1 < sizeof out)
			out[n++] = now;
		last = now;
	}
	out[n] = '\0';
	*given = pieces_given(pieces);
	pieces_destroy(pieces);
	return out;
}

static void
puts_steps_in_order(void)
{
	static const struct {
		const char *name;
		size_t n;
		int64_t generation;
		const char *order;
	} rows[] = {
		{ "small: all at once", 10, 1, "g" },
		{ "large: a generation between the branches", MANY + 500, 1,
		    "bgbs" },
		{ "a first load ends by its generation", MANY + 500, 0, "bsg" },
	};
	struct bench bench;
	size_t given, i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(&bench, rows[i].n, rows[i].generation);
		CHECK_ROW(rows[i].name,
		    strcmp(order(&bench, &given), rows[i].order) == 0);
		CHECK_ROW(rows[i].name, given == 2 * rows[i].n);
		end(&bench);
	}
}

/* Fields of the next step. */
static size_t
next_size(struct pieces *pieces)
{
	const struct merge_changes *step;
	bool with_parts;

	REQUIRE(pieces_next(pieces, &step, &with_parts, NULL) == 1);
	return fields_size(step->branches);
}

static void
goes_as_redis_can_bear(void)
{
	struct bench bench;
	struct pieces *pieces;
	size_t usual, i;

	begin(&bench, 2 * MANY + 500, 0);
	pieces = pieces_create(&bench.merge, &bench.file);
	usual = next_size(pieces);
	pieces_pace(pieces, 100);
	CHECK(next_size(pieces) == usual / 2);
	for (i = 0; i < 20; i++)
		pieces_pace(pieces, 100);
	CHECK(next_size(pieces) > 0); /* it goes on */
	for (i = 0; i < 20; i++)
		pieces_pace(pieces, 1);
	CHECK(next_size(pieces) == usual);
	pieces_destroy(pieces);
	end(&bench);
}

CU_TestInfo catalogue_pieces_tests[] = {
	{ "puts steps in order", puts_steps_in_order },
	{ "goes as Redis can bear", goes_as_redis_can_bear },
	CU_TEST_INFO_NULL,
};
