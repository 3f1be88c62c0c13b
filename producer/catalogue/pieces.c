#include "producer/catalogue/pieces.h"

#include <stdlib.h>

#include "common/base/memory.h"

#define FIELDS_MAX ((size_t)1500) /* of a step: 2 to 4 ms of Redis's time */
#define FIELDS_MIN ((size_t)300)  /* half a ms, where it hardly gets any */
#define SLOW_MS 10
/* Of a step, but for one large schedule: */
#define BYTES_MAX ((size_t)1 << 20)

enum phase {
	PHASE_ALL, /* all at once */
	PHASE_NEW_BRANCHES,
	PHASE_LEFTOVERS,
	PHASE_PARTS,
	PHASE_BRANCHES,
	PHASE_SCHEDULES,
	PHASE_PRUNED,
	PHASE_REMOVED,
	PHASE_END
};
static const enum phase at_once[] = { PHASE_ALL, PHASE_END };
static const enum phase onto_another[] = { PHASE_NEW_BRANCHES, PHASE_LEFTOVERS,
	PHASE_PARTS, PHASE_BRANCHES, PHASE_SCHEDULES, PHASE_PRUNED,
	PHASE_REMOVED, PHASE_END };
static const enum phase first_load[] = { PHASE_NEW_BRANCHES, PHASE_LEFTOVERS,
	PHASE_SCHEDULES, PHASE_PRUNED, PHASE_PARTS, PHASE_END };

struct pieces {
	struct merge *merge;
	const struct catalogue_file *file;
	const struct fields *datasets; /* that are read before the first step */
	const enum phase *phase;
	size_t next; /* of what the phase walks */
	const struct field *branches, *removed, *pruned;
	struct arena *arena; /* of the step's tables */
	struct merge_changes step;
	size_t fields, bytes; /* of the step */
	size_t fields_max;
	size_t given;
};

static size_t
count_fields(const struct merge_changes *changes)
{
	return fields_size(changes->heads) + fields_size(changes->heads_seen) +
	    fields_size(changes->about) + fields_size(changes->versions) +
	    fields_size(changes->added_versions) + fields_size(changes->said) +
	    fields_size(changes->branches) +
	    fields_size(changes->branches_seen) +
	    fields_size(changes->branches_removed);
}

static size_t
count_bytes(struct fields *fields)
{
	const struct field *list = fields_list(fields);
	size_t bytes = 0, i, n = fields_size(fields);

	for (i = 0; i < n; i++)
		bytes += list[i].value.size;
	return bytes;
}

static bool
fits_at_once(const struct merge *merge)
{
	const struct merge_changes *moving = &merge->moving;

	return !merge->is_many && count_fields(moving) <= MERGE_ONE_STEP &&
	    count_bytes(moving->versions) + count_bytes(moving->branches) +
		count_bytes(moving->branches_seen) <=
	    MERGE_ONE_STEP_BYTES;
}

struct pieces *
pieces_create(struct merge *merge, const struct catalogue_file *file)
{
	struct pieces *pieces = memory_zalloc(1, sizeof *pieces);
	struct merge_changes *moving = &merge->moving;

	pieces->merge = merge;
	pieces->file = file;
	pieces->datasets = merge->datasets;
	pieces->phase = fits_at_once(merge) ? at_once
	    : merge->generation > 0         ? onto_another
					    : first_load;
	pieces->branches = fields_list(moving->branches);
	pieces->removed = fields_list(moving->branches_removed);
	pieces->pruned = fields_list(moving->pruned);
	pieces->arena = arena_create(0);
	pieces->fields_max = FIELDS_MAX;
	return pieces;
}

void
pieces_destroy(struct pieces *pieces)
{
	merge_changes_destroy(&pieces->step);
	arena_destroy(pieces->arena);
	free(pieces);
}

size_t
pieces_total(const struct pieces *pieces)
{
	const struct merge_changes *moving = &pieces->merge->moving;

	return (pieces->merge->is_many ? pieces->merge->n_said : 0) +
	    fields_size(moving->said) + fields_size(moving->branches) +
	    fields_size(moving->branches_removed);
}

size_t
pieces_given(const struct pieces *pieces)
{
	return pieces->given;
}

/* Takes the field of this name along, if the table has it. */
static void
share(struct pieces *pieces, struct fields *to, const struct fields *from,
    struct text name)
{
	struct text value = fields_get(from, name);

	if (value.at == NULL)
		return;
	fields_share(to, (struct field){ name, value });
	pieces->fields++;
	pieces->bytes += value.size;
}

static void
take_branches(struct pieces *pieces, struct text dataset)
{
	const struct merge_changes *moving = &pieces->merge->moving;
	struct merge_changes *step = &pieces->step;

	share(pieces, step->branches, moving->branches, dataset);
	share(pieces, step->branches_seen, moving->branches_seen, dataset);
	share(pieces, step->named, moving->named, dataset);
	pieces->given++;
}

static void
take_head(
    struct pieces *pieces, const struct merge_changes *moving, struct text rid)
{
	struct merge_changes *step = &pieces->step;

	share(pieces, step->heads, moving->heads, rid);
	share(pieces, step->heads_seen, moving->heads_seen, rid);
	share(pieces, step->said, moving->said, rid);
	share(pieces, step->named, moving->named, rid);
}

/* Of the file's schedules the one at `number`, whose window is there. */
static void
take_schedule(struct pieces *pieces, size_t number)
{
	const struct merge *merge = pieces->merge;
	const struct file_schedule *schedule =
	    &merge->window_schedules.at[number - merge->window_schedules.from];
	const struct merge_changes *moving = &merge->window;
	struct merge_changes *step = &pieces->step;
	size_t before = pieces->fields, i;

	take_head(pieces, moving, schedule->rid);
	share(pieces, step->about, moving->about, schedule->rid);
	share(pieces, step->added_versions, moving->added_versions,
	    schedule->rid);
	for (i = 0; i < schedule->n_versions; i++)
		share(pieces, step->versions, moving->versions,
		    schedule->versions[i].rid);
	pieces->given += pieces->fields > before;
}

static void
take_removed(struct pieces *pieces, struct text dataset)
{
	share(pieces, pieces->step.branches_removed,
	    pieces->merge->moving.branches_removed, dataset);
	pieces->given++;
}

/* Whether there is the dataset: its branches are read by now. */
static bool
is_read(const struct pieces *pieces, struct text dataset)
{
	return fields_get(pieces->datasets, dataset).at != NULL;
}

/* The phase's next thing; false: there is none. */
static bool
take_next(struct pieces *pieces)
{
	const struct merge_changes *moving = &pieces->merge->moving;
	enum phase phase = *pieces->phase;
	size_t i = pieces->next++;

	switch (phase) {
	case PHASE_NEW_BRANCHES:
	case PHASE_BRANCHES:
		if (i >= fields_size(moving->branches))
			return false;
		if (is_read(pieces, pieces->branches[i].name) ==
		    (phase == PHASE_BRANCHES))
			take_branches(pieces, pieces->branches[i].name);
		return true;
	case PHASE_LEFTOVERS:
	case PHASE_REMOVED:
		if (i >= fields_size(moving->branches_removed))
			return false;
		if (is_read(pieces, pieces->removed[i].name) ==
		    (phase == PHASE_REMOVED))
			take_removed(pieces, pieces->removed[i].name);
		return true;
	case PHASE_SCHEDULES:
		if (i >= pieces->file->n_schedules)
			return false;
		take_schedule(pieces, i);
		return true;
	case PHASE_PRUNED:
		if (i >= fields_size(moving->pruned))
			return false;
		take_head(pieces, moving, pieces->pruned[i].name);
		pieces->given++;
		return true;
	case PHASE_ALL:
	case PHASE_PARTS:
	case PHASE_END:
		break;
	}
	return false;
}

static void
begin_step(struct pieces *pieces)
{
	merge_changes_destroy(&pieces->step);
	arena_reset(pieces->arena, BYTES_MAX);
	merge_changes_create(&pieces->step, pieces->arena);
	pieces->fields = 0;
	pieces->bytes = 0;
}

void
pieces_pace(struct pieces *pieces, int64_t took_ms)
{
	if (took_ms > SLOW_MS)
		pieces->fields_max /= 2;
	else if (took_ms < SLOW_MS / 2)
		pieces->fields_max += pieces->fields_max / 4;
	if (pieces->fields_max < FIELDS_MIN)
		pieces->fields_max = FIELDS_MIN;
	if (pieces->fields_max > FIELDS_MAX)
		pieces->fields_max = FIELDS_MAX;
}

/* Windows that change nothing are passed by. */
static void
skip_windows(struct pieces *pieces)
{
	while (*pieces->phase == PHASE_SCHEDULES &&
	    pieces->next % MERGE_WINDOW == 0 &&
	    pieces->next < pieces->file->n_schedules &&
	    !merge_window_changes(pieces->merge, pieces->next))
		pieces->next += MERGE_WINDOW;
}

/* Whether the next thing is in a window that is not there. */
static bool
wants_window(const struct pieces *pieces)
{
	return *pieces->phase == PHASE_SCHEDULES &&
	    pieces->next < pieces->file->n_schedules &&
	    !merge_has_window(pieces->merge, pieces->next);
}

static int
read_window(struct pieces *pieces, struct error *err)
{
	if (merge_window(pieces->merge, pieces->file, pieces->next, err) != 0)
		return -1;
	return reader_result(pieces->merge->settings.reader, err);
}

/*
 * Fills the step from one phase; 0: nothing of it is left.  What a step has of
 * a window goes with it, so none has of two.
 */
static int
fill_step(struct pieces *pieces, struct error *err)
{
	while (
	    pieces->fields < pieces->fields_max && pieces->bytes < BYTES_MAX) {
		skip_windows(pieces);
		if (wants_window(pieces)) {
			if (pieces->fields > 0)
				return 1;
			if (read_window(pieces, err) != 0)
				return -1;
		}
		if (!take_next(pieces))
			return pieces->fields > 0;
	}
	return 1;
}

int
pieces_next(struct pieces *pieces, const struct merge_changes **step,
    bool *with_parts, struct error *err)
{
	int rc;

	begin_step(pieces);
	*step = &pieces->step;
	*with_parts = false;
	for (; *pieces->phase != PHASE_END; pieces->phase++, pieces->next = 0) {
		if (*pieces->phase == PHASE_ALL) {
			*step = &pieces->merge->moving;
			*with_parts = pieces->merge->world_changed;
			pieces->given = pieces_total(pieces);
			pieces->phase++;
			return 1;
		}
		if (*pieces->phase == PHASE_PARTS &&
		    pieces->merge->world_changed) {
			*with_parts = true;
			pieces->phase++;
			return 1;
		}
		rc = fill_step(pieces, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}
