#include "producer/dashboard/stale.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/branch_store.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/dashboard.h"
#include "schemas/stored/document.h"

#define WALKED_MAX 500

bool
stale_begin(struct http_call *call)
{
	if (sweep_turn_take(&call->app->dashboard->sweeps, 2 * STALE_MS))
		return true;
	http_call_refuse(call, API_UNAVAILABLE,
	    "Another look at what is stale is under way: come again.", NULL);
	return false;
}

void
stale_end(struct http_call *call)
{
	sweep_turn_end(&call->app->dashboard->sweeps);
}

/* Which --------------------------------------------------------------------
 */

struct text_list
stale_targets(const struct catalogue_look *look, const uint32_t *jobs, size_t n)
{
	struct text *keys =
	    arena_alloc(look->call->arena, (n + 1) * sizeof *keys);
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		const struct lineage_job *job = &look->lineage->jobs[jobs[i]];

		if (job->outputs[0] != LINEAGE_NONE)
			keys[kept++] = job->spec.outputs[0];
	}
	return (struct text_list){ keys, text_sort_unique(keys, kept) };
}

/* All jobs of the branch that he sees, whose output has the text. */
static struct text_list
list_targets(const struct catalogue_look *look, struct text part, bool *is_part)
{
	const struct lineage *lineage = look->lineage;
	uint32_t *jobs =
	    arena_alloc(look->call->arena, STALE_TARGETS_MAX * sizeof *jobs);
	size_t i, n = 0;

	for (i = 0; i < lineage->n_jobs && n < STALE_TARGETS_MAX; i++)
		if (text_equal(lineage->jobs[i].spec.branch, look->branch) &&
		    text_has_part(lineage->jobs[i].spec.outputs[0], part) &&
		    catalogue_sees_job(look, (uint32_t)i))
			jobs[n++] = (uint32_t)i;
	*is_part = i < lineage->n_jobs || lineage->is_part;
	return stale_targets(look, jobs, n);
}

/* When they came ----------------------------------------------------------- */

static struct text
moved_field(struct arena *arena, const struct sweep_input *input)
{
	struct buffer field = { 0 };

	keyspace_field(input->dataset, input->branch, &field);
	return buffer_keep(&field, arena);
}

/* The fields of `h:at` of all inputs that have changed. */
static size_t
list_moves(const struct stale_list *list, struct text *names)
{
	struct arena *arena = list->look->call->arena;
	size_t n = 0, i, k;

	for (i = 0; i < list->sweep->n_jobs && i < STALE_LISTED_MAX; i++)
		for (k = 0; k < list->sweep->jobs[i].n_changed; k++)
			names[n++] = moved_field(
			    arena, &list->sweep->jobs[i].changed[k]);
	return n;
}

static int
read_times(struct stale_list *list, struct work_redis *redis)
{
	struct http_call *call = list->look->call;
	struct arena *arena = call->arena;
	struct fields *moves = fields_create(arena);
	struct text *names = arena_alloc(
	    arena, (SWEEP_CHANGED_MAX * STALE_LISTED_MAX + 1) * sizeof *names);
	int64_t *since = arena_zalloc(arena, STALE_LISTED_MAX, sizeof *since);
	size_t n = list_moves(list, names), at = 0, i, k;
	int rc = fields_read_some(moves, redis->schedules,
	    keyspace_key(call->app->keyspace, KEY_MOVED), names, n,
	    &call->job.error);

	for (i = 0; rc == 0 && i < list->sweep->n_jobs && i < STALE_LISTED_MAX;
	     i++) {
		const struct sweep_job *job = &list->sweep->jobs[i];

		for (k = 0; k < job->n_changed; k++, at++) {
			int64_t ms = branch_moved_ms(
			    fields_get(moves, names[at]), job->changed[k].head);

			if (ms > 0 && (since[i] == 0 || ms < since[i]))
				since[i] = ms;
		}
	}
	list->since = since;
	fields_destroy(moves);
	return rc;
}

/* How it is told ----------------------------------------------------------- */

void
stale_put_faults(struct buffer *out, const struct sweep_question *question,
    const struct sweep *sweep)
{
	size_t i;

	json_member_integer(out, "targets", (int64_t)question->targets.n);
	json_member_integer(out, "judged", (int64_t)sweep->n_judged);
	json_member_integer(out, "faultCount", (int64_t)sweep->n_faults);
	json_member_open(out, "faults", '[');
	for (i = 0; i < sweep->n_faults && i < SWEEP_FAULTS_MAX; i++) {
		const struct sweep_fault *fault = &sweep->faults[i];

		json_open(out, '{');
		json_member_text(out, "target", fault->target);
		json_member_text(out, "errorName", fault->error);
		json_member_text(out, "description", fault->description);
		json_close(out, '}');
	}
	json_close(out, ']');
}

void
stale_put_job(struct buffer *out, const struct stale_list *list, size_t i)
{
	const struct sweep_job *job = &list->sweep->jobs[i];

	json_member_text(out, "key", job->key);
	json_name(out, "reason");
	buffer_append(out, job->reason);
	if (list->since != NULL && i < STALE_LISTED_MAX && list->since[i] > 0)
		json_member_time(out, "since", list->since[i]);
}

static void
put_jobs(struct buffer *out, const struct stale_list *list)
{
	size_t i;

	json_member_integer(out, "count", (int64_t)list->sweep->n_jobs);
	json_member_open(out, "stale", '[');
	for (i = 0; i < list->sweep->n_jobs && i < STALE_LISTED_MAX; i++) {
		json_open(out, '{');
		stale_put_job(out, list, i);
		json_close(out, '}');
	}
	json_close(out, ']');
}

/* Asks the planner, and tells what it says. */
static void
answer_sweep(const struct catalogue_look *look, struct work_redis *redis,
    struct text_list targets, bool is_part)
{
	struct http_call *call = look->call;
	struct buffer *out = &call->answer.body;
	struct sweep *sweep = arena_alloc(call->arena, sizeof *sweep);
	const struct sweep_question question = {
		.branch = look->branch,
		.projects = look->projects,
		.targets = targets,
		.until_ms = clock_monotonic_ms() + STALE_MS,
	};
	struct stale_list list = { .look = look, .sweep = sweep };

	if (sweep_run(redis->planner, &question, call->arena, sweep,
		&call->job.error) != 0 ||
	    read_times(&list, redis) != 0)
		return;
	json_open(out, '{');
	json_member_text(out, "branch", look->branch);
	json_member_time(out, "generation", look->lineage->generation);
	json_member_bool(out, "isPart", is_part || sweep->n_judged < targets.n);
	catalogue_put_branches(look);
	stale_put_faults(out, &question, sweep);
	put_jobs(out, &list);
	json_close(out, '}');
}

void
dashboard_stale_get(struct http_call *call, struct work_redis *redis)
{
	struct catalogue_look look;
	struct text part = TEXT("");
	struct text_list targets;
	bool is_part;

	http_path_get(&call->asked.path, "text", &part);
	if (!catalogue_look_open(call, redis, &look))
		return;
	if (http_path_get(&call->asked.path, "branch", &look.branch) != 1 ||
	    look.branch.size == 0)
		look.branch = look.lineage->usual_branch.at != NULL
		    ? look.lineage->usual_branch
		    : TEXT("master");
	if (stale_begin(call)) {
		targets = list_targets(&look, part, &is_part);
		answer_sweep(&look, redis, targets, is_part);
		stale_end(call);
	}
	catalogue_look_close(&look);
}

void
dashboard_state_get(struct http_call *call, struct work_redis *redis)
{
	struct catalogue_walk up, down;
	struct catalogue_look look;
	uint32_t dataset, *jobs;

	if (!catalogue_look_open(call, redis, &look))
		return;
	if (catalogue_look_at(&look, &dataset) && stale_begin(call)) {
		catalogue_walk(&look, dataset, false, WALKED_MAX, &up);
		catalogue_walk(&look, dataset, true, WALKED_MAX, &down);
		jobs = arena_alloc(
		    call->arena, (up.n + down.n) * sizeof *jobs + 1);
		memcpy(jobs, up.jobs, up.n * sizeof *jobs);
		memcpy(jobs + up.n, down.jobs, down.n * sizeof *jobs);
		answer_sweep(&look, redis,
		    stale_targets(&look, jobs, up.n + down.n),
		    up.is_part || down.is_part);
		stale_end(call);
	}
	catalogue_look_close(&look);
}
