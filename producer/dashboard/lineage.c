#include "producer/dashboard/lineage.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "producer/catalogue/fields.h"
#include "producer/catalogue/hashes.h"
#include "schemas/stored/canonical.h"
#include "schemas/stored/catalogue.h"
#include "schemas/stored/document.h"

#define BYTES_MAX ((size_t)256 * 1024 * 1024)

/* What is kept, with who looks at it. */
struct lineage_kept {
	struct lineage lineage;
	struct arena *arena;
	size_t users;
};

struct lineage_shelf {
	pthread_mutex_t lock;
	struct lineage_kept *current; /* NULL: none was read yet */
	bool is_reading;
};

/* As it is read. */
struct reading_lineage {
	struct lineage_kept *kept;
	struct redis *redis;
	struct lineage_dataset *datasets;
	struct lineage_job *jobs;
	size_t n_datasets, n_jobs, room_datasets, room_jobs;
};

static bool
is_full(const struct reading_lineage *reading)
{
	return reading->n_datasets == LINEAGE_DATASETS_MAX ||
	    reading->n_jobs == LINEAGE_JOBS_MAX ||
	    arena_used(reading->kept->arena) > BYTES_MAX;
}

static void
add_dataset(struct reading_lineage *reading, const struct field *field)
{
	struct arena *arena = reading->kept->arena;

	if (reading->n_datasets == reading->room_datasets) {
		reading->room_datasets = 2 * reading->room_datasets + 1024;
		reading->datasets = memory_resize(reading->datasets,
		    reading->room_datasets, sizeof *reading->datasets);
	}
	reading->datasets[reading->n_datasets++] = (struct lineage_dataset){
		.rid = text_copy(arena, field->name),
		.stored = text_copy(arena, field->value),
	};
}

/* At the other outputs stands a reference; what can't be read is left out: the
 * planner says what is wrong with it. */
static void
add_job(struct reading_lineage *reading, const struct field *field)
{
	struct arena *arena = reading->kept->arena;
	struct job_spec spec;
	struct text stored;

	if (text_starts_with(field->value, TEXT("=")))
		return;
	stored = text_copy(arena, field->value);
	if ((!canonical_job_spec(stored, arena, &spec) &&
		job_spec_parse(stored, arena, &spec, NULL) != 0) ||
	    spec.n_outputs == 0)
		return;
	if (reading->n_jobs == reading->room_jobs) {
		reading->room_jobs = 2 * reading->room_jobs + 1024;
		reading->jobs = memory_resize(
		    reading->jobs, reading->room_jobs, sizeof *reading->jobs);
	}
	reading->jobs[reading->n_jobs++] = (struct lineage_job){ .spec = spec };
}

typedef void add_function(
    struct reading_lineage *reading, const struct field *field);

/* A hash of the generation in steps, so that it never stands there twice. */
static int
read_part(struct reading_lineage *reading, struct text key, add_function *add,
    struct error *err)
{
	struct arena *arena = arena_create(0);
	char cursor[FIELDS_CURSOR_SIZE] = "0";
	int rc;

	do {
		struct fields *fields = fields_create(arena);
		const struct field *list;
		size_t i;

		rc = fields_scan(fields, reading->redis, key, cursor, err);
		list = fields_list(fields);
		for (i = 0; rc == 0 && i < fields_size(fields); i++)
			if (!is_full(reading))
				add(reading, &list[i]);
		fields_destroy(fields);
		arena_reset(arena, BYTES_MAX);
	} while (rc == 0 && strcmp(cursor, "0") != 0 && !is_full(reading));
	arena_destroy(arena);
	return rc;
}

/* Order -------------------------------------------------------------------- */

static int
compare_datasets(const void *left, const void *right)
{
	const struct lineage_dataset *a = left, *b = right;

	return text_compare(a->rid, b->rid);
}

static int
compare_jobs(const void *left, const void *right)
{
	const struct lineage_job *a = left, *b = right;
	int order = text_compare(a->spec.outputs[0], b->spec.outputs[0]);

	return order != 0 ? order
			  : text_compare(a->spec.branch, b->spec.branch);
}

/* HSCAN may tell of one twice. */
static size_t
sort_unique(void *list, size_t n, size_t size,
    int (*compare)(const void *, const void *))
{
	char *at = list;
	size_t kept = 0, i;

	if (n > 0)
		qsort(list, n, size, compare);
	for (i = 0; i < n; i++) {
		if (kept > 0 &&
		    compare(at + (kept - 1) * size, at + i * size) == 0)
			continue;
		memmove(at + kept++ * size, at + i * size, size);
	}
	return kept;
}

static uint32_t
find_text(const struct text *list, size_t n, struct text text)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;
		int order = text_compare(list[middle], text);

		if (order == 0)
			return (uint32_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return LINEAGE_NONE;
}

/* Each dataset's project as a number; an entry that can't be read has none. */
static void
number_projects(struct reading_lineage *reading)
{
	struct lineage *lineage = &reading->kept->lineage;
	struct arena *arena = reading->kept->arena;
	struct text *projects =
	    arena_alloc(arena, (reading->n_datasets + 1) * sizeof *projects);
	size_t i, n = 0;

	for (i = 0; i < reading->n_datasets; i++) {
		struct lineage_dataset *dataset = &reading->datasets[i];

		if (dataset_parse(dataset->stored, &dataset->trashed,
			&projects[n], NULL) != 0)
			dataset->stored = TEXT_NONE;
		else
			n++;
	}
	lineage->n_projects = text_sort_unique(projects, n);
	lineage->projects = projects;
	for (i = 0; i < reading->n_datasets; i++) {
		struct lineage_dataset *dataset = &reading->datasets[i];
		struct text project;

		dataset->project = LINEAGE_NONE;
		if (dataset->stored.at != NULL &&
		    dataset_parse(dataset->stored, &dataset->trashed, &project,
			NULL) == 0)
			dataset->project =
			    find_text(projects, lineage->n_projects, project);
	}
}

static int
compare_texts(const void *left, const void *right)
{
	return text_compare(
	    *(const struct text *)left, *(const struct text *)right);
}

/* The longest stretch of one text, once they are in order. */
static void
note_usual(struct lineage *lineage, struct text *branches, size_t n)
{
	size_t from, to, most = 0;

	if (n > 0)
		qsort(branches, n, sizeof *branches, compare_texts);
	for (from = 0; from < n; from = to) {
		for (to = from + 1;
		     to < n && text_equal(branches[to], branches[from]); to++)
			;
		if (to - from > most) {
			most = to - from;
			lineage->usual_branch = branches[from];
		}
	}
}

static void
number_branches(struct reading_lineage *reading)
{
	struct lineage *lineage = &reading->kept->lineage;
	struct text *branches = arena_alloc(
	    reading->kept->arena, (reading->n_jobs + 1) * sizeof *branches);
	size_t i;

	for (i = 0; i < reading->n_jobs; i++)
		branches[i] = reading->jobs[i].spec.branch;
	note_usual(lineage, branches, reading->n_jobs);
	lineage->n_branches = text_sort_unique(branches, reading->n_jobs);
	lineage->branches = branches;
}

uint32_t
lineage_find(const struct lineage *lineage, struct text rid)
{
	const struct lineage_dataset wanted = { .rid = rid };
	const struct lineage_dataset *found = lineage->n_datasets > 0
	    ? bsearch(&wanted, lineage->datasets, lineage->n_datasets,
		  sizeof wanted, compare_datasets)
	    : NULL;

	return found != NULL ? (uint32_t)(found - lineage->datasets)
			     : LINEAGE_NONE;
}

/* Who writes and who reads each: counted, then filled. */
static void
link_jobs(struct reading_lineage *reading)
{
	const struct lineage *lineage = &reading->kept->lineage;
	struct arena *arena = reading->kept->arena;
	size_t i, k;

	for (i = 0; i < reading->n_jobs; i++) {
		struct lineage_job *job = &reading->jobs[i];
		uint32_t *outputs = arena_alloc(
		    arena, (job->spec.n_outputs + 1) * sizeof *outputs);
		uint32_t *inputs = arena_alloc(
		    arena, (job->spec.n_inputs + 1) * sizeof *inputs);

		for (k = 0; k < job->spec.n_outputs; k++) {
			outputs[k] =
			    lineage_find(lineage, job->spec.outputs[k]);
			if (outputs[k] != LINEAGE_NONE)
				reading->datasets[outputs[k]].writers.n++;
		}
		for (k = 0; k < job->spec.n_inputs; k++) {
			inputs[k] =
			    lineage_find(lineage, job->spec.inputs[k].rid);
			if (inputs[k] != LINEAGE_NONE)
				reading->datasets[inputs[k]].readers.n++;
		}
		job->outputs = outputs;
		job->inputs = inputs;
	}
}

/* Room for a list that was counted; it is counted anew as it is filled. */
static void
open_list(struct lineage_list *list, struct arena *arena)
{
	list->at = arena_alloc(arena, (list->n + 1) * sizeof *list->at);
	list->n = 0;
}

static void
put_in(struct lineage_list *list, size_t job)
{
	if (list->n == 0 || list->at[list->n - 1] != job)
		list->at[list->n++] = (uint32_t)job;
}

static void
fill_lists(struct reading_lineage *reading)
{
	struct lineage_dataset *datasets = reading->datasets;
	size_t i, k;

	for (i = 0; i < reading->n_datasets; i++) {
		open_list(&datasets[i].writers, reading->kept->arena);
		open_list(&datasets[i].readers, reading->kept->arena);
	}
	for (i = 0; i < reading->n_jobs; i++) {
		const struct lineage_job *job = &reading->jobs[i];

		for (k = 0; k < job->spec.n_outputs; k++)
			if (job->outputs[k] != LINEAGE_NONE)
				put_in(&datasets[job->outputs[k]].writers, i);
		for (k = 0; k < job->spec.n_inputs; k++)
			if (job->inputs[k] != LINEAGE_NONE)
				put_in(&datasets[job->inputs[k]].readers, i);
	}
}

static int
read_parts(struct reading_lineage *reading, const struct keyspace *keyspace,
    struct error *err)
{
	int64_t generation = reading->kept->lineage.generation;
	struct buffer key = { 0 };
	int rc = read_part(reading,
	    keyspace_part(keyspace, generation, PART_DATASETS, &key),
	    add_dataset, err);

	key.size = 0;
	if (rc == 0)
		rc = read_part(reading,
		    keyspace_part(keyspace, generation, PART_JOB_SPECS, &key),
		    add_job, err);
	buffer_finish(&key);
	return rc;
}

static void
put_in_order(struct reading_lineage *reading)
{
	struct lineage *lineage = &reading->kept->lineage;

	lineage->is_part = is_full(reading);
	reading->n_datasets = sort_unique(reading->datasets,
	    reading->n_datasets, sizeof *reading->datasets, compare_datasets);
	reading->n_jobs = sort_unique(reading->jobs, reading->n_jobs,
	    sizeof *reading->jobs, compare_jobs);
	lineage->datasets = reading->datasets;
	lineage->n_datasets = reading->n_datasets;
	lineage->jobs = reading->jobs;
	lineage->n_jobs = reading->n_jobs;
	number_projects(reading);
	number_branches(reading);
	link_jobs(reading);
	fill_lists(reading);
}

/* The shelf ---------------------------------------------------------------- */

static void
free_kept(struct lineage_kept *kept)
{
	free(kept->lineage.datasets);
	free(kept->lineage.jobs);
	arena_destroy(kept->arena);
	free(kept);
}

static struct lineage_kept *
read_kept(int64_t generation, struct redis *redis,
    const struct keyspace *keyspace, struct error *err)
{
	struct lineage_kept *kept = memory_zalloc(1, sizeof *kept);
	struct reading_lineage reading = { .kept = kept, .redis = redis };
	int rc;

	kept->arena = arena_create((size_t)1 << 20);
	kept->lineage.generation = generation;
	kept->lineage.kept = kept;
	rc = read_parts(&reading, keyspace, err);
	if (rc == 0) {
		put_in_order(&reading);
		return kept;
	}
	kept->lineage.datasets = reading.datasets;
	kept->lineage.jobs = reading.jobs;
	free_kept(kept);
	return NULL;
}

struct lineage_shelf *
lineage_shelf_create(void)
{
	struct lineage_shelf *shelf = memory_zalloc(1, sizeof *shelf);

	pthread_mutex_init(&shelf->lock, NULL);
	return shelf;
}

void
lineage_shelf_destroy(struct lineage_shelf *shelf)
{
	if (shelf == NULL)
		return;
	if (shelf->current != NULL)
		free_kept(shelf->current);
	pthread_mutex_destroy(&shelf->lock);
	free(shelf);
}

/* Whether the shelf has it, to be used; else who asks is to read it, or to
 * come again. */
static bool
take_kept(struct lineage_shelf *shelf, int64_t generation,
    struct lineage_kept **kept, bool *is_ours)
{
	pthread_mutex_lock(&shelf->lock);
	*kept = shelf->current;
	if (*kept != NULL && (*kept)->lineage.generation != generation)
		*kept = NULL;
	if (*kept != NULL)
		(*kept)->users++;
	*is_ours = *kept == NULL && !shelf->is_reading;
	shelf->is_reading |= *is_ours;
	pthread_mutex_unlock(&shelf->lock);
	return *kept != NULL;
}

static void
put_kept(struct lineage_shelf *shelf, struct lineage_kept *kept)
{
	struct lineage_kept *old = NULL;

	pthread_mutex_lock(&shelf->lock);
	shelf->is_reading = false;
	if (kept != NULL) {
		old = shelf->current;
		shelf->current = kept;
		kept->users++;
	}
	if (old != NULL && old->users > 0)
		old = NULL; /* by who uses it last */
	pthread_mutex_unlock(&shelf->lock);
	if (old != NULL)
		free_kept(old);
}

const struct lineage *
lineage_take(struct lineage_shelf *shelf, struct redis *redis,
    const struct keyspace *keyspace, struct error *err)
{
	struct lineage_kept *kept;
	int64_t generation;
	bool is_ours;

	if (redis_connect(redis, err) != 0 ||
	    catalogue_generation(redis, keyspace, &generation, err) != 0)
		return NULL;
	if (generation == 0) {
		error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue: run schedrun init and apply",
		    redis_address(redis));
		return NULL;
	}
	if (take_kept(shelf, generation, &kept, &is_ours))
		return &kept->lineage;
	if (!is_ours)
		return NULL;
	kept = read_kept(generation, redis, keyspace, err);
	put_kept(shelf, kept);
	return kept != NULL ? &kept->lineage : NULL;
}

void
lineage_release(struct lineage_shelf *shelf, const struct lineage *lineage)
{
	struct lineage_kept *kept;
	bool is_last;

	if (lineage == NULL)
		return;
	kept = lineage->kept;
	pthread_mutex_lock(&shelf->lock);
	is_last = --kept->users == 0 && kept != shelf->current;
	pthread_mutex_unlock(&shelf->lock);
	if (is_last)
		free_kept(kept);
}
