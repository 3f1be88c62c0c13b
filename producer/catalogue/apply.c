#include "producer/catalogue/apply.h"

#include "common/redis/replica.h"
#include "producer/catalogue/lock.h"
#include "producer/catalogue/merge.h"
#include "producer/catalogue/pieces.h"
#include "producer/catalogue/publish.h"

#define ATTEMPTS_MAX 100 /* against commits in between */

/*
 * A load of any size, against a store that others write to meanwhile.  What a
 * file holds is of two kinds: the structure (datasets, job specs, users,
 * projects, limits), which only an apply writes and the lock keeps, is merged
 * once and switched as a generation; what moves (branches, schedules) is merged
 * again whenever somebody else was faster, and goes in pieces, each of which
 * Redis can run without holding up the others.  Each piece leaves a catalogue
 * that holds together, so a load that ends in the midst is gone on with by the
 * same load again.
 */
struct apply {
	const struct apply_settings *settings;
	const struct catalogue_file *file;
	struct apply_report *report;
	struct catalogue_lock lock;
	struct merge merge;
	struct publication publication;
	bool has_parts; /* the new generation is written */
};

static bool
is_empty(const struct merge *merge)
{
	const struct merge_changes *moving = &merge->moving;

	return !merge->world_changed && !merge->is_many &&
	    fields_size(moving->heads) == 0 &&
	    fields_size(moving->about) == 0 &&
	    fields_size(moving->versions) == 0 &&
	    fields_size(moving->added_versions) == 0 &&
	    fields_size(moving->said) == 0 &&
	    fields_size(moving->branches) == 0 &&
	    fields_size(moving->branches_removed) == 0;
}

/*
 * The lines of what a step has set back: told once it is, as nobody else knows
 * what stood there before.
 */
static void
tell_named(const struct apply *apply, const struct merge_changes *step)
{
	const struct field *sorted = fields_sorted(step->named);
	size_t i, n = fields_size(step->named);

	for (i = 0; i < n; i++)
		buffer_append(apply->settings->notes, sorted[i].value);
}

/*
 * The structure, once: only this process may publish a new one.  The number is
 * taken for any load: what is staged is named by it.
 */
static int
write_structure(struct apply *apply, struct error *err)
{
	if (apply->publication.number == 0 &&
	    publication_number(&apply->publication, err) != 0)
		return -1;
	if (apply->has_parts || !apply->merge.world_changed)
		return 0;
	apply->has_parts = true;
	return publication_write_parts(&apply->publication, &apply->merge, err);
}

static int
publish_step(struct apply *apply, const struct merge_changes *step,
    bool with_parts, struct error *err)
{
	int rc = publication_step(&apply->publication, step, with_parts, err);

	if (rc != 1)
		return rc;
	apply->report->is_published = true;
	tell_named(apply, step);
	return 1;
}

/* Merged again, the new generation is no change any more. */
static void
note_parts(struct apply *apply)
{
	apply->merge.world_changed = false;
	apply->merge.datasets = apply->merge.merged[HASH_DATASETS];
	apply->report->generation = apply->publication.generation;
}

/*
 * All steps: 1 done, 0 somebody wrote in between, -1 failed.  What was done
 * before that stays done: the next look finds it stored, and has so much less
 * to do.
 */
static int
publish_pieces(struct apply *apply, struct error *err)
{
	struct pieces *pieces = pieces_create(&apply->merge, apply->file);
	const size_t before = apply->report->done;
	const struct merge_changes *step;
	bool with_parts;
	int rc = 1, next = 1;

	apply->report->total = before + pieces_total(pieces);
	while (rc == 1 && next == 1) {
		next = pieces_next(pieces, &step, &with_parts, err);
		if (next != 1)
			break;
		rc = publish_step(apply, step, with_parts, err);
		pieces_pace(pieces, apply->publication.took_ms);
		if (rc == 1 && with_parts)
			note_parts(apply);
		if (rc == 1)
			apply->report->done = before + pieces_given(pieces);
		apply_progress_tell(&apply->settings->progress,
		    "schedules and datasets", apply->report->done,
		    apply->report->total);
	}
	pieces_destroy(pieces);
	return next < 0 ? -1 : rc;
}

/* What the file says against what moves now; the file's faults by then. */
static int
merge_now(struct apply *apply, struct error *err)
{
	if (merge_moving(&apply->merge, apply->file, err) != 0)
		return -1;
	return reader_result(apply->settings->reader, err);
}

/* What the first look finds is what is told; a later one has less to do. */
static void
note_counts(struct apply *apply)
{
	merge_count(&apply->merge, apply->report->counts);
	apply->report->kept_heads = apply->merge.moving.kept_heads;
	apply->report->kept_schedules = apply->merge.moving.kept_schedules;
}

/*
 * One look at what moves, and the try to publish on it: 1 done, 0 again, -1
 * failed.
 */
static int
attempt_load(struct apply *apply, struct error *err)
{
	if (merge_now(apply, err) != 0)
		return -1;
	if (!apply->report->is_published)
		note_counts(apply);
	if (apply->settings->dry_run)
		tell_named(apply, &apply->merge.moving);
	if (apply->settings->dry_run || is_empty(&apply->merge))
		return 1;
	if (catalogue_lock_renew(&apply->lock, err) != 0 ||
	    write_structure(apply, err) != 0)
		return -1;
	return publish_pieces(apply, err);
}

/* Where the lock had lapsed, another apply may have come and gone. */
static int
check_generation(struct apply *apply, struct error *err)
{
	int64_t now;

	if (catalogue_generation(apply->settings->redis,
		apply->settings->keyspace, &now, err) != 0)
		return -1;
	if (now == apply->publication.generation)
		return 0;
	return error_set(err, ERROR_RETRY,
	    "another apply was faster while this one stood still; try again");
}

static int
attempt_until_done(struct apply *apply, struct error *err)
{
	int attempts = 0, rc = 0;

	while (rc == 0 && attempts++ < ATTEMPTS_MAX) {
		rc = attempt_load(apply, err);
		if (rc == 0)
			rc = check_generation(apply, err);
	}
	if (rc != 0)
		return rc;
	return error_set(err, ERROR_RETRY,
	    "schedules or datasets changed while the file was loaded, %d "
	    "times; try again",
	    ATTEMPTS_MAX);
}

static int
load_catalogue(struct apply *apply, struct error *err)
{
	const struct apply_settings *settings = apply->settings;
	const struct merge_settings merging = {
		.redis = settings->redis,
		.keyspace = settings->keyspace,
		.reader = settings->reader,
		.prune = settings->prune,
		.missing = settings->missing,
		.heads = settings->heads,
		.notes = settings->notes,
		.progress = &settings->progress,
		.now_ms = settings->now_ms,
	};
	int64_t *generation = &apply->report->generation;
	int rc;

	if (catalogue_generation(
		settings->redis, settings->keyspace, generation, err) != 0)
		return -1;
	apply->publication.generation = *generation;
	merge_init(&apply->merge, &merging, *generation);
	rc = merge_world(&apply->merge, apply->file, err);
	if (rc == 0)
		rc = attempt_until_done(apply, err);
	merge_finish(&apply->merge);
	return rc < 0 ? -1 : 0;
}

int
catalogue_apply(const struct apply_settings *settings,
    const struct catalogue_file *file, struct apply_report *report,
    struct error *err)
{
	struct apply apply = {
		.settings = settings,
		.file = file,
		.report = report,
		.lock = { .redis = settings->redis,
		    .keyspace = settings->keyspace },
		.publication = { .redis = settings->redis,
		    .keyspace = settings->keyspace,
		    .progress = &settings->progress },
	};
	int rc;

	apply.publication.lock = &apply.lock;
	if (settings->dry_run)
		return load_catalogue(&apply, err);
	if (catalogue_lock_take(&apply.lock, settings->deadline_ms, err) != 0)
		return -1;
	rc = load_catalogue(&apply, err);
	catalogue_lock_release(&apply.lock);
	/* It is applied: that no replica says so in time makes it no failure.
	 */
	if (rc == 0)
		report->is_unconfirmed =
		    redis_wait_replica(settings->redis, NULL) != 0;
	return rc;
}
