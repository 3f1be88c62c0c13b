#include "producer/dashboard/catalogue.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/json/write.h"
#include "producer/catalogue/branch_store.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/dashboard.h"
#include "schemas/stored/catalogue.h"

#define LISTED_MAX 200
#define WALKED_MAX 500
#define BRANCHES_MAX 200
#define NEIGHBOURS_MAX 200 /* outputs and inputs of a job */
#define PROJECTS_MAX 10000 /* whose rights are asked for */

/* What one may see --------------------------------------------------------- */

static struct lineage_shelf *
shelf_of(const struct http_call *call)
{
	return call->app->dashboard->lineages;
}

static bool
read_rights(struct catalogue_look *look, struct work_redis *redis)
{
	struct http_call *call = look->call;
	struct access access = http_call_access(call, redis);
	struct text_list all = { look->lineage->projects,
		look->lineage->n_projects };
	enum right *rights =
	    arena_zalloc(call->arena, all.n + 1, sizeof *rights);
	struct text *seen = arena_zalloc(call->arena, all.n + 1, sizeof *seen);
	size_t i;

	look->sees_all = !call->asked.caller.known;
	look->sees = arena_zalloc(call->arena, all.n + 1, sizeof *look->sees);
	if (!look->sees_all && all.n > PROJECTS_MAX)
		all.n = PROJECTS_MAX;
	if (access_projects(&access, look->lineage->generation, &all, rights,
		&call->job.error) != 0)
		return false;
	for (i = 0; i < all.n; i++)
		if (rights[i] != RIGHT_NONE) {
			look->sees[i] = true;
			seen[look->projects.n++] = all.at[i];
		}
	look->projects.at = seen;
	return true;
}

bool
catalogue_look_open(struct http_call *call, struct work_redis *redis,
    struct catalogue_look *look)
{
	*look = (struct catalogue_look){ .call = call };
	look->lineage = lineage_take(shelf_of(call), redis->schedules,
	    call->app->keyspace, &call->job.error);
	if (look->lineage == NULL) {
		if (call->job.error.kind == ERROR_NONE)
			http_call_refuse(call, API_UNAVAILABLE,
			    "The catalogue is being read: come again.", NULL);
		return false;
	}
	if (read_rights(look, redis))
		return true;
	catalogue_look_close(look);
	return false;
}

void
catalogue_look_close(struct catalogue_look *look)
{
	lineage_release(shelf_of(look->call), look->lineage);
}

static bool
sees_dataset(const struct catalogue_look *look, uint32_t dataset)
{
	uint32_t project;

	if (look->sees_all || dataset == LINEAGE_NONE)
		return true;
	project = look->lineage->datasets[dataset].project;
	return project != LINEAGE_NONE && look->sees[project];
}

bool
catalogue_sees_job(const struct catalogue_look *look, uint32_t number)
{
	const struct lineage_job *job = &look->lineage->jobs[number];
	size_t i;

	for (i = 0; i < job->spec.n_outputs; i++)
		if (!sees_dataset(look, job->outputs[i]))
			return false;
	return true;
}

/* The first branch that it is written on, else read on, else of any job. */
static struct text
likely_branch(const struct lineage *lineage, const struct lineage_dataset *of)
{
	if (of != NULL && of->writers.n > 0)
		return lineage->jobs[of->writers.at[0]].spec.branch;
	if (of != NULL && of->readers.n > 0)
		return lineage->jobs[of->readers.at[0]].spec.branch;
	return lineage->n_branches > 0 ? lineage->branches[0] : TEXT("master");
}

bool
catalogue_look_at(struct catalogue_look *look, uint32_t *dataset)
{
	struct http_call *call = look->call;

	*dataset = lineage_find(look->lineage, call->asked.rids[0]);
	if (*dataset == LINEAGE_NONE || !sees_dataset(look, *dataset)) {
		http_call_refuse(call, API_DATASET_NOT_FOUND, NULL,
		    (struct api_parameter[]){
			PARAMETER_T("datasetRid", call->asked.rids[0]),
			PARAMETER_END });
		return false;
	}
	if (http_path_get(&call->asked.path, "branch", &look->branch) != 1 ||
	    look->branch.size == 0)
		look->branch = likely_branch(
		    look->lineage, &look->lineage->datasets[*dataset]);
	return true;
}

/* Walks -------------------------------------------------------------------- */

struct walking {
	const struct catalogue_look *look;
	struct catalogue_walk *walk;
	uint8_t *met; /* by number of the job */
};

static void
meet_job(struct walking *walking, uint32_t number, uint32_t distance)
{
	struct catalogue_walk *walk = walking->walk;

	if (walking->met[number])
		return;
	walking->met[number] = 1;
	if (!catalogue_sees_job(walking->look, number)) {
		walk->n_hidden++;
	} else if (walk->n == walk->max) {
		walk->is_part = true;
	} else {
		walk->jobs[walk->n] = number;
		walk->distance[walk->n++] = distance;
	}
}

static bool
is_on_branch(const struct walking *walking, uint32_t number)
{
	return text_equal(walking->look->lineage->jobs[number].spec.branch,
	    walking->look->branch);
}

/* Whether the job's input of this dataset makes an edge. */
static bool
reads_on_branch(const struct lineage_job *job, uint32_t dataset)
{
	size_t i;

	for (i = 0; i < job->spec.n_inputs; i++)
		if (job->inputs[i] == dataset && lineage_is_edge(job, i))
			return true;
	return false;
}

static void
meet_neighbours(
    struct walking *walking, uint32_t dataset, bool down, uint32_t distance)
{
	const struct lineage *lineage = walking->look->lineage;
	const struct lineage_list *list;
	size_t i;

	if (dataset == LINEAGE_NONE)
		return;
	list = down ? &lineage->datasets[dataset].readers
		    : &lineage->datasets[dataset].writers;
	for (i = 0; i < list->n; i++)
		if (is_on_branch(walking, list->at[i]) &&
		    (!down ||
			reads_on_branch(&lineage->jobs[list->at[i]], dataset)))
			meet_job(walking, list->at[i], distance);
}

void
catalogue_walk(const struct catalogue_look *look, uint32_t dataset, bool down,
    size_t max, struct catalogue_walk *walk)
{
	struct arena *arena = look->call->arena;
	struct walking walking = { .look = look,
		.walk = walk,
		.met = memory_zalloc(look->lineage->n_jobs + 1, 1) };
	size_t at, i;

	*walk = (struct catalogue_walk){ .max = max };
	walk->jobs = arena_alloc(arena, (max + 1) * sizeof *walk->jobs);
	walk->distance = arena_alloc(arena, (max + 1) * sizeof *walk->distance);
	meet_neighbours(&walking, dataset, down, 1);
	for (at = 0; at < walk->n && !walk->is_part; at++) {
		const struct lineage_job *job =
		    &look->lineage->jobs[walk->jobs[at]];
		size_t n = down ? job->spec.n_outputs : job->spec.n_inputs;

		for (i = 0; i < n; i++)
			if (down || lineage_is_edge(job, i))
				meet_neighbours(&walking,
				    down ? job->outputs[i] : job->inputs[i],
				    down, walk->distance[at] + 1);
	}
	free(walking.met);
}

/* The list ----------------------------------------------------------------- */

static void
put_texts(
    struct buffer *out, const char *name, const struct text *list, size_t n)
{
	size_t i;

	json_member_open(out, name, '[');
	for (i = 0; i < n; i++)
		json_put_text(out, list[i]);
	json_close(out, ']');
}

void
catalogue_put_branches(const struct catalogue_look *look)
{
	size_t n = look->lineage->n_branches;

	put_texts(&look->call->answer.body, "branches", look->lineage->branches,
	    n < BRANCHES_MAX ? n : BRANCHES_MAX);
}

static void
put_listed(struct buffer *out, const struct lineage *lineage,
    const struct lineage_dataset *dataset)
{
	json_open(out, '{');
	json_member_text(out, "rid", dataset->rid);
	if (dataset->project != LINEAGE_NONE)
		json_member_text(
		    out, "project", lineage->projects[dataset->project]);
	json_member_bool(out, "trashed", dataset->trashed);
	json_member_integer(out, "writers", (int64_t)dataset->writers.n);
	json_member_integer(out, "readers", (int64_t)dataset->readers.n);
	json_close(out, '}');
}

static void
put_list(const struct catalogue_look *look, struct text part)
{
	const struct lineage *lineage = look->lineage;
	struct buffer *out = &look->call->answer.body;
	size_t i, n = 0, total = 0; /* of those that he sees */

	json_open(out, '{');
	json_member_time(out, "generation", lineage->generation);
	json_member_bool(out, "isPart", lineage->is_part);
	catalogue_put_branches(look);
	json_member_open(out, "datasets", '[');
	for (i = 0; i < lineage->n_datasets; i++) {
		if (!sees_dataset(look, (uint32_t)i))
			continue;
		total++;
		if (text_has_part(lineage->datasets[i].rid, part) &&
		    n++ < LISTED_MAX)
			put_listed(out, lineage, &lineage->datasets[i]);
	}
	json_close(out, ']');
	json_member_integer(out, "total", (int64_t)total);
	json_member_bool(out, "more", n > LISTED_MAX);
	json_close(out, '}');
}

void
dashboard_datasets_get(struct http_call *call, struct work_redis *redis)
{
	struct catalogue_look look;
	struct text part = TEXT("");

	http_path_get(&call->asked.path, "text", &part);
	if (!catalogue_look_open(call, redis, &look))
		return;
	put_list(&look, part);
	catalogue_look_close(&look);
}

/* One ---------------------------------------------------------------------- */

static void
put_built(struct buffer *out, const struct built *built)
{
	size_t i;

	json_member_open(out, "built", '{');
	json_member_text(out, "logic", built->logic);
	json_member_open(out, "inputs", '[');
	for (i = 0; i < built->n_inputs && i < BRANCHES_MAX; i++) {
		json_open(out, '{');
		json_member_text(out, "key", built->inputs[i].key);
		json_member_text(
		    out, "transaction", built->inputs[i].transaction);
		json_close(out, '}');
	}
	json_close(out, ']');
	json_close(out, '}');
}

/* What is stored of its heads, and of when they moved. */
struct stored_heads {
	struct branch_list list;
	struct fields *moves;
	struct text *names; /* of each in `moves` */
	struct error unread;
};

static int
read_heads(const struct catalogue_look *look, struct work_redis *redis,
    struct text rid, struct stored_heads *heads)
{
	struct http_call *call = look->call;
	struct fields *found = heads->moves;
	struct text stored;
	size_t i;

	if (fields_read_some(found, redis->schedules,
		keyspace_key(call->app->keyspace, KEY_BRANCHES), &rid, 1,
		&call->job.error) != 0)
		return -1;
	stored = fields_get(found, rid);
	if (stored.at != NULL &&
	    branches_parse(stored, call->arena, &heads->list, &heads->unread) !=
		0)
		heads->list.n = 0;
	heads->names =
	    arena_zalloc(call->arena, heads->list.n + 1, sizeof *heads->names);
	for (i = 0; i < heads->list.n; i++) {
		struct buffer field = { 0 };

		keyspace_field(rid, heads->list.at[i].name, &field);
		heads->names[i] = buffer_keep(&field, call->arena);
	}
	return fields_read_some(found, redis->schedules,
	    keyspace_key(call->app->keyspace, KEY_MOVED), heads->names,
	    heads->list.n < BRANCHES_MAX ? heads->list.n : BRANCHES_MAX,
	    &call->job.error);
}

static void
put_branch(struct buffer *out, const struct stored_heads *heads, size_t i)
{
	const struct branch *branch = &heads->list.at[i];
	int64_t moved_ms = branch_moved_ms(
	    fields_get(heads->moves, heads->names[i]), branch->head);

	json_open(out, '{');
	json_member_text(out, "name", branch->name);
	json_member_text(out, "head", branch->head);
	json_member_known(out, "parent", branch->parent);
	if (moved_ms > 0)
		json_member_time(out, "moved", moved_ms);
	if (branch->built != NULL)
		put_built(out, branch->built);
	json_close(out, '}');
}

/* Those that can't be read are told as that. */
static int
put_branches(const struct catalogue_look *look, struct work_redis *redis,
    const struct lineage_dataset *dataset)
{
	struct buffer *out = &look->call->answer.body;
	struct stored_heads heads = { .moves =
					  fields_create(look->call->arena) };
	size_t i;
	int rc = read_heads(look, redis, dataset->rid, &heads);

	if (heads.unread.kind != ERROR_NONE)
		json_member_text(
		    out, "branchesError", text_from(heads.unread.message));
	json_member_integer(out, "branchCount", (int64_t)heads.list.n);
	json_member_open(out, "branches", '[');
	for (i = 0; rc == 0 && i < heads.list.n && i < BRANCHES_MAX; i++)
		put_branch(out, &heads, i);
	json_close(out, ']');
	fields_destroy(heads.moves);
	return rc;
}

/* Whether a job of the branch writes what is read there. */
static bool
is_made(const struct catalogue_look *look, const struct lineage_job *job,
    size_t input)
{
	const struct lineage *lineage = look->lineage;
	const struct lineage_list *writers;
	size_t i;

	if (job->inputs[input] == LINEAGE_NONE || !lineage_is_edge(job, input))
		return false;
	writers = &lineage->datasets[job->inputs[input]].writers;
	for (i = 0; i < writers->n; i++)
		if (text_equal(lineage->jobs[writers->at[i]].spec.branch,
			job->spec.branch))
			return true;
	return false;
}

/* An input that he may not see is counted, not named. */
static void
put_inputs(struct buffer *out, const struct catalogue_look *look,
    const struct lineage_job *job)
{
	int64_t hidden = 0;
	size_t i, n = 0;

	json_member_open(out, "inputs", '[');
	for (i = 0; i < job->spec.n_inputs && n < NEIGHBOURS_MAX; i++) {
		if (!sees_dataset(look, job->inputs[i])) {
			hidden++;
			continue;
		}
		n++;
		json_open(out, '{');
		json_member_text(out, "rid", job->spec.inputs[i].rid);
		json_member_known(out, "branch", job->spec.inputs[i].branch);
		json_member_bool(out, "made", is_made(look, job, i));
		json_close(out, '}');
	}
	json_close(out, ']');
	json_member_integer(out, "hiddenInputs", hidden);
	json_member_integer(
	    out, "moreInputs", (int64_t)(job->spec.n_inputs - i));
}

static void
put_job(struct buffer *out, const struct catalogue_look *look, uint32_t number,
    int64_t distance)
{
	const struct lineage_job *job = &look->lineage->jobs[number];

	json_open(out, '{');
	json_member_text(out, "key", job->spec.outputs[0]);
	json_member_integer(out, "distance", distance);
	json_member_text(out, "jobSpecRid", job->spec.rid);
	json_member_text(out, "logic", job->spec.logic);
	json_member_string(
	    out, "staleness", staleness_names[job->spec.staleness]);
	put_texts(out, "outputs", job->spec.outputs,
	    job->spec.n_outputs < NEIGHBOURS_MAX ? job->spec.n_outputs
						 : NEIGHBOURS_MAX);
	put_inputs(out, look, job);
	json_close(out, '}');
}

/* Up is negative: the job that writes it is at -1, those that read it at 1. */
static void
put_lineage(const struct catalogue_look *look, uint32_t dataset)
{
	struct buffer *out = &look->call->answer.body;
	struct catalogue_walk up, down;
	size_t i;

	catalogue_walk(look, dataset, false, WALKED_MAX, &up);
	catalogue_walk(look, dataset, true, WALKED_MAX, &down);
	json_member_open(out, "jobs", '[');
	for (i = up.n; i > 0; i--)
		put_job(
		    out, look, up.jobs[i - 1], -(int64_t)up.distance[i - 1]);
	for (i = 0; i < down.n; i++)
		put_job(out, look, down.jobs[i], down.distance[i]);
	json_close(out, ']');
	json_member_integer(out, "up", (int64_t)up.n);
	json_member_integer(out, "down", (int64_t)down.n);
	json_member_bool(out, "more", up.is_part || down.is_part);
	json_member_integer(
	    out, "hidden", (int64_t)(up.n_hidden + down.n_hidden));
}

/* On which other branches there are job specs that write or read it. */
static void
put_elsewhere(
    const struct catalogue_look *look, const struct lineage_dataset *dataset)
{
	const struct lineage *lineage = look->lineage;
	size_t n = dataset->writers.n + dataset->readers.n, i;
	struct text *branches =
	    arena_alloc(look->call->arena, (n + 1) * sizeof *branches);

	for (n = 0, i = 0; i < dataset->writers.n; i++)
		branches[n++] =
		    lineage->jobs[dataset->writers.at[i]].spec.branch;
	for (i = 0; i < dataset->readers.n; i++)
		branches[n++] =
		    lineage->jobs[dataset->readers.at[i]].spec.branch;
	n = text_sort_unique(branches, n);
	put_texts(&look->call->answer.body, "specBranches", branches,
	    n < BRANCHES_MAX ? n : BRANCHES_MAX);
}

static void
put_dataset(
    struct catalogue_look *look, struct work_redis *redis, uint32_t number)
{
	const struct lineage_dataset *dataset =
	    &look->lineage->datasets[number];
	struct buffer *out = &look->call->answer.body;

	json_open(out, '{');
	json_member_text(out, "rid", dataset->rid);
	if (dataset->project != LINEAGE_NONE)
		json_member_text(
		    out, "project", look->lineage->projects[dataset->project]);
	json_member_bool(out, "trashed", dataset->trashed);
	json_member_text(out, "branch", look->branch);
	json_member_time(out, "generation", look->lineage->generation);
	put_elsewhere(look, dataset);
	put_lineage(look, number);
	if (put_branches(look, redis, dataset) == 0)
		json_close(out, '}');
}

void
dashboard_dataset_get(struct http_call *call, struct work_redis *redis)
{
	struct catalogue_look look;
	uint32_t dataset;

	if (!catalogue_look_open(call, redis, &look))
		return;
	if (catalogue_look_at(&look, &dataset))
		put_dataset(&look, redis, dataset);
	catalogue_look_close(&look);
}
