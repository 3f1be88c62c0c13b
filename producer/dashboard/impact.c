#include "producer/dashboard/impact.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/chain.h"
#include "producer/dashboard/stale.h"

#define WALKED_MAX 5000
#define SCHEDULES_MS 1500 /* for them at least */

struct impact {
	struct catalogue_look *look;
	struct work_redis *redis;
	struct arena *arena;
	struct catalogue_walk walk;
	struct text dataset;
	uint8_t *below; /* by dataset: a job of the walk writes it */
	struct sweep *after, *before;
	struct sweep_question question;
	struct chain *chain;
};

static struct error *
error_of(const struct impact *impact)
{
	return &impact->look->call->job.error;
}

/* Jobs --------------------------------------------------------------------- */

static int
sweep_twice(struct impact *impact)
{
	struct catalogue_look *look = impact->look;
	struct arena *arena = impact->arena;
	struct sweep_question *question = &impact->question;

	*question = (struct sweep_question){
		.branch = look->branch,
		.projects = look->projects,
		.targets =
		    stale_targets(look, impact->walk.jobs, impact->walk.n),
		.changed = impact->dataset,
		.until_ms = clock_monotonic_ms() + STALE_MS,
	};
	impact->after = arena_alloc(arena, sizeof *impact->after);
	impact->before = arena_alloc(arena, sizeof *impact->before);
	if (sweep_run(impact->redis->planner, question, arena, impact->after,
		error_of(impact)) != 0)
		return -1;
	question->changed = TEXT_NONE;
	return sweep_run(impact->redis->planner, question, arena,
	    impact->before, error_of(impact));
}

static int
compare_keys(const void *left, const void *right)
{
	return text_compare(
	    *(const struct text *)left, ((const struct sweep_job *)right)->key);
}

static int
order_jobs(const void *left, const void *right)
{
	return text_compare(((const struct sweep_job *)left)->key,
	    ((const struct sweep_job *)right)->key);
}

static void
put_jobs(const struct impact *impact, struct buffer *out)
{
	const struct stale_list list = { .look = impact->look,
		.sweep = impact->after };
	struct sweep *before = impact->before;
	int64_t anyway = 0;
	size_t i;

	if (before->n_jobs > 0)
		qsort(before->jobs, before->n_jobs, sizeof *before->jobs,
		    order_jobs);
	json_member_integer(out, "count", (int64_t)impact->after->n_jobs);
	json_member_open(out, "jobs", '[');
	for (i = 0; i < impact->after->n_jobs; i++) {
		bool is_stale = before->n_jobs > 0 &&
		    bsearch(&impact->after->jobs[i].key, before->jobs,
			before->n_jobs, sizeof *before->jobs,
			compare_keys) != NULL;

		anyway += is_stale;
		if (i >= STALE_LISTED_MAX)
			continue;
		json_open(out, '{');
		stale_put_job(out, &list, i);
		json_member_bool(out, "anyway", is_stale);
		json_close(out, '}');
	}
	json_close(out, ']');
	json_member_integer(out, "anyway", anyway);
}

/* Schedules ---------------------------------------------------------------- */

static void
mark_below(struct impact *impact)
{
	const struct lineage *lineage = impact->look->lineage;
	size_t i, k;

	impact->below = arena_zalloc(impact->arena, lineage->n_datasets + 1, 1);
	for (i = 0; i < impact->walk.n; i++) {
		const struct lineage_job *job =
		    &lineage->jobs[impact->walk.jobs[i]];

		for (k = 0; k < job->spec.n_outputs; k++)
			if (job->outputs[k] != LINEAGE_NONE)
				impact->below[job->outputs[k]] = 1;
	}
}

static bool
has_branch(const struct schedule_version *version, struct text branch)
{
	size_t i;

	for (i = 0; i < version->fallback_branches.n; i++)
		if (text_equal(version->fallback_branches.at[i], branch))
			return true;
	return text_equal(version->branch_name, branch);
}

/* Whether a target lies below the dataset. */
static bool
builds_below(const struct impact *impact, struct text json, struct text rid)
{
	struct arena *arena = arena_create(0);
	struct schedule_version version;
	bool builds = false;
	uint32_t dataset;
	size_t i;

	if (schedule_version_parse(json, rid, arena, &version, NULL) == 0 &&
	    has_branch(&version, impact->look->branch))
		for (i = 0; i < version.target_rids.n && !builds; i++) {
			dataset = lineage_find(
			    impact->look->lineage, version.target_rids.at[i]);
			builds = dataset != LINEAGE_NONE &&
			    impact->below[dataset] != 0;
		}
	arena_destroy(arena);
	return builds;
}

static void
judge_by_targets(void *opaque, const struct schedule_access *schedule)
{
	struct impact *impact = opaque;

	if (schedule->version.at != NULL &&
	    builds_below(
		impact, schedule->version, schedule->head.current_version_rid))
		chain_list(impact->chain, schedule);
}

static int
list_by_targets(struct impact *impact)
{
	struct fields *heads = fields_create(impact->arena);
	int rc = fields_read(heads, impact->redis->schedules,
	    keyspace_key(impact->look->call->app->keyspace, KEY_HEADS),
	    error_of(impact));

	if (rc == 0)
		rc = chain_judge_all(
		    impact->chain, heads, judge_by_targets, impact);
	fields_destroy(heads);
	return rc;
}

/* Whom it fires first, since of the others there may be too many. */
static int
follow_commit(struct impact *impact)
{
	int64_t until_ms = clock_monotonic_ms() + SCHEDULES_MS;

	if (until_ms < impact->question.until_ms)
		until_ms = impact->question.until_ms;
	mark_below(impact);
	impact->chain = chain_create(
	    impact->look->call, impact->redis, until_ms, impact->after);
	chain_commit(impact->chain, impact->dataset, impact->look->branch);
	return chain_follow(impact->chain) != 0 || list_by_targets(impact) != 0
	    ? -1
	    : chain_plan_listed(impact->chain);
}

static void
answer_impact(struct impact *impact)
{
	struct http_call *call = impact->look->call;
	struct buffer *out = &call->answer.body;

	if (sweep_twice(impact) != 0 || follow_commit(impact) != 0)
		return;
	json_open(out, '{');
	json_member_text(out, "branch", impact->look->branch);
	json_member_bool(out, "isPart",
	    impact->walk.is_part ||
		impact->after->n_judged < impact->question.targets.n ||
		impact->before->n_judged < impact->question.targets.n);
	json_member_integer(out, "hidden", (int64_t)impact->walk.n_hidden);
	stale_put_faults(out, &impact->question, impact->after);
	put_jobs(impact, out);
	chain_put(impact->chain, out);
	json_close(out, '}');
}

void
dashboard_impact_get(struct http_call *call, struct work_redis *redis)
{
	struct impact *impact = arena_zalloc(call->arena, 1, sizeof *impact);
	struct catalogue_look look;
	uint32_t dataset;

	if (!catalogue_look_open(call, redis, &look))
		return;
	if (catalogue_look_at(&look, &dataset) && stale_begin(call)) {
		impact->look = &look;
		impact->redis = redis;
		impact->arena = call->arena;
		impact->dataset = call->asked.rids[0];
		catalogue_walk(&look, dataset, true, WALKED_MAX, &impact->walk);
		answer_impact(impact);
		stale_end(call);
	}
	catalogue_look_close(&look);
}
