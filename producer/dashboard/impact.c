#include "producer/dashboard/impact.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/stale.h"
#include "producer/dryrun/affected.h"
#include "producer/dryrun/live.h"
#include "producer/trigger/timetable.h"
#include "schemas/stored/document.h"

#define WALKED_MAX 5000
#define SLICE 100 /* schedules that are looked at together */
#define SCHEDULES_MAX 20000
#define CANDIDATES_MAX 200 /* that are told */
#define PLANNED_MAX 50
#define SCHEDULES_MS 1500 /* for them at least */
#define OUTPUTS_MAX 100   /* of a fired schedule, that others may wait for */

/* A schedule that has to do with the commit. */
struct candidate {
	struct text rid, name, trigger_cause, trigger_of;
	struct text version; /* JSON */
	bool paused;
	bool fires;          /* the commit satisfies a trigger of it */
	bool follows;        /* or what such a schedule has made does */
	bool is_listed;      /* by its targets */
	struct text outcome; /* JSON; none: it was not planned */
};

struct impact {
	struct catalogue_look *look;
	struct work_redis *redis;
	struct arena *arena;
	struct catalogue_walk walk;
	struct text dataset;
	uint8_t *below; /* by dataset: a job of the walk writes it */
	struct sweep *after, *before;
	struct sweep_question question;
	struct candidate candidates[CANDIDATES_MAX];
	size_t n_candidates;
	bool more; /* candidates than are told, or schedules than looked at */
};

static struct error *
error_of(const struct impact *impact)
{
	return &impact->look->call->job.error;
}

/* Jobs --------------------------------------------------------------------- */

static bool
has_job(const struct sweep *sweep, struct text key)
{
	size_t i;

	for (i = 0; i < sweep->n_jobs; i++)
		if (text_equal(sweep->jobs[i].key, key))
			return true;
	return false;
}

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

static struct candidate *
find_candidate(struct impact *impact, struct text rid)
{
	size_t i;

	for (i = 0; i < impact->n_candidates; i++)
		if (text_equal(impact->candidates[i].rid, rid))
			return &impact->candidates[i];
	return NULL;
}

/* NULL: there is no room. */
static struct candidate *
add_candidate(struct impact *impact, const struct schedule_access *schedule)
{
	struct candidate *candidate = find_candidate(impact, schedule->rid);

	if (candidate != NULL)
		return candidate;
	if (impact->n_candidates == CANDIDATES_MAX) {
		impact->more = true;
		return NULL;
	}
	candidate = &impact->candidates[impact->n_candidates++];
	*candidate = (struct candidate){
		.rid = text_copy(impact->arena, schedule->rid),
		.paused = schedule->head.paused,
	};
	if (schedule->about.display_name.at != NULL)
		candidate->name =
		    text_copy(impact->arena, schedule->about.display_name);
	if (schedule->version.at != NULL)
		candidate->version =
		    text_copy(impact->arena, schedule->version);
	return candidate;
}

/* Those of a slice that he may see, each judged by `judge`. */
typedef void judge_function(
    struct impact *impact, const struct schedule_access *schedule);

static int
judge_slice(struct impact *impact, const struct text *rids, size_t n,
    judge_function *judge)
{
	struct access access =
	    http_call_access(impact->look->call, impact->redis);
	struct schedule_access schedules[SLICE];
	size_t i;
	int rc;

	access.arena = arena_create(0);
	rc = access_read(&access, rids, n, true, schedules, error_of(impact));
	for (i = 0; rc == 0 && i < n; i++)
		if (schedules[i].exists && !schedules[i].head.deleted &&
		    schedules[i].right != RIGHT_NONE)
			judge(impact, &schedules[i]);
	arena_destroy(access.arena);
	return rc;
}

static int
judge_all(struct impact *impact, struct fields *names, judge_function *judge)
{
	const struct field *sorted = fields_sorted(names);
	size_t n = fields_size(names), at = 0, i;
	struct text rids[SLICE];
	int rc = 0;

	if (n > SCHEDULES_MAX) {
		impact->more = true;
		n = SCHEDULES_MAX;
	}
	while (rc == 0 && at < n) {
		for (i = 0; i < SLICE && at < n; i++, at++)
			rids[i] = sorted[at].name;
		rc = judge_slice(impact, rids, i, judge);
		if (clock_monotonic_ms() > impact->question.until_ms &&
		    at < n) {
			impact->more = true;
			break;
		}
	}
	return rc;
}

static void
judge_by_targets(struct impact *impact, const struct schedule_access *schedule)
{
	struct candidate *candidate;

	if (schedule->version.at == NULL ||
	    !builds_below(
		impact, schedule->version, schedule->head.current_version_rid))
		return;
	candidate = add_candidate(impact, schedule);
	if (candidate != NULL)
		candidate->is_listed = true;
}

static void
judge_fired(struct impact *impact, const struct schedule_access *schedule)
{
	struct candidate *candidate = add_candidate(impact, schedule);

	if (candidate != NULL)
		candidate->fires = true;
}

static void
judge_following(struct impact *impact, const struct schedule_access *schedule)
{
	struct candidate *candidate = add_candidate(impact, schedule);

	if (candidate != NULL)
		candidate->follows = true;
}

/* Who waits for an event, into `names`. */
static int
read_waiting(struct impact *impact, const char *kind, struct text rid,
    struct text branch, struct fields *names)
{
	struct buffer key = { 0 };
	int rc = fields_read(names, impact->redis->schedules,
	    keyspace_waiting(
		impact->look->call->app->keyspace, kind, rid, branch, &key),
	    error_of(impact));

	buffer_finish(&key);
	return rc;
}

static int
find_fired(struct impact *impact)
{
	struct fields *names = fields_create(impact->arena);
	int rc = read_waiting(impact, "datasetUpdated", impact->dataset,
	    impact->look->branch, names);

	if (rc == 0)
		rc = judge_all(impact, names, judge_fired);
	fields_destroy(names);
	return rc;
}

static int
find_by_targets(struct impact *impact)
{
	struct fields *heads = fields_create(impact->arena);
	int rc = fields_read(heads, impact->redis->schedules,
	    keyspace_key(impact->look->call->app->keyspace, KEY_HEADS),
	    error_of(impact));

	if (rc == 0)
		rc = judge_all(impact, heads, judge_by_targets);
	fields_destroy(heads);
	return rc;
}

/* Who waits for what a schedule that is fired would make. */
static int
find_following(struct impact *impact, struct text schedule,
    const struct text_list *outputs)
{
	struct fields *names = fields_create(impact->arena);
	struct text branch = impact->look->branch;
	size_t i;
	int rc = read_waiting(
	    impact, "scheduleSucceeded", schedule, TEXT_NONE, names);

	for (i = 0; rc == 0 && i < outputs->n && i < OUTPUTS_MAX; i++) {
		rc = read_waiting(
		    impact, "datasetUpdated", outputs->at[i], branch, names);
		if (rc == 0)
			rc = read_waiting(impact, "jobSucceeded",
			    outputs->at[i], branch, names);
	}
	if (rc == 0)
		rc = judge_all(impact, names, judge_following);
	fields_destroy(names);
	return rc;
}

/* What each would do ------------------------------------------------------- */

static void
put_next(const struct candidate *candidate, struct buffer *out)
{
	struct zones *zones = zones_create();
	struct timetable *table = NULL;
	struct due due;

	timetable_read(candidate->version, zones, &table, NULL);
	if (table != NULL &&
	    timetable_next(table, clock_wall_ms() / 1000, &due))
		json_member_time(out, "next", due.instant.at_s * 1000);
	timetable_destroy(table);
	zones_destroy(zones);
}

static struct text_list
list_outputs(const struct outcome *outcome, struct arena *arena)
{
	size_t n =
	    outcome->run.state == RUN_SUBMITTED ? outcome->build.n_jobs : 0;
	struct text *outputs;
	size_t i;

	if (n > OUTPUTS_MAX)
		n = OUTPUTS_MAX;
	outputs = arena_alloc(arena, (n + 1) * sizeof *outputs);
	for (i = 0; i < n; i++)
		outputs[i] =
		    text_copy(arena, outcome->build.jobs[i].spec->outputs[0]);
	return (struct text_list){ outputs, n };
}

static void
put_outcome(const struct impact *impact, const struct outcome *outcome,
    struct buffer *out)
{
	const struct schedule_run *run = &outcome->run;
	int64_t affected = 0;
	size_t i;

	json_open(out, '{');
	switch (run->state) {
	case RUN_SUBMITTED:
		for (i = 0; i < outcome->build.n_jobs; i++)
			affected += has_job(impact->after,
			    outcome->build.jobs[i].spec->outputs[0]);
		json_member_string(out, "type", "submitted");
		json_member_integer(
		    out, "running", (int64_t)outcome->build.n_jobs);
		json_member_integer(out, "affected", affected);
		break;
	case RUN_FAILED:
		json_member_string(out, "type", "error");
		json_member_string(
		    out, "errorName", run_error_name(run->error));
		json_member_text(out, "description", run->description);
		break;
	case RUN_PENDING:
	case RUN_IGNORED:
		json_member_string(out, "type", "ignored");
		json_member_text(out, "cause", run->why.cause);
		break;
	}
	json_close(out, '}');
}

/* Planned with the commit; what it would make leads on. */
static int
plan_candidate(struct impact *impact, struct candidate *candidate)
{
	const struct run_request request = { .request_id = TEXT("impact"),
		.schedule_rid = candidate->rid,
		.created_time_ms = clock_wall_ms() };
	struct buffer told = { 0 };
	const struct outcome *outcome =
	    live_plan_suppose(impact->redis->planner, &request,
		&(struct live_supposition){ .dataset = impact->dataset,
		    .branch = impact->look->branch },
		error_of(impact));
	struct text_list outputs;

	if (outcome == NULL)
		return -1;
	put_outcome(impact, outcome, &told);
	candidate->outcome = buffer_keep(&told, impact->arena);
	if (!candidate->fires || candidate->paused)
		return 0;
	outputs = list_outputs(outcome, impact->arena);
	return find_following(impact, candidate->rid, &outputs);
}

/* What it may make, since what it will depends on others. */
static int
follow_candidate(struct impact *impact, const struct candidate *candidate)
{
	struct text_list outputs;

	return affected_find(impact->redis->planner, candidate->rid,
		   impact->arena, &outputs, error_of(impact)) != 0
	    ? -1
	    : find_following(impact, candidate->rid, &outputs);
}

/* Those that follow are added meanwhile. */
static int
plan_candidates(struct impact *impact)
{
	size_t i, planned = 0;
	int rc = 0;

	for (i = 0; rc == 0 && i < impact->n_candidates; i++) {
		struct candidate *candidate = &impact->candidates[i];

		if (planned++ == PLANNED_MAX ||
		    clock_monotonic_ms() > impact->question.until_ms) {
			impact->more = true;
			break;
		}
		if (candidate->fires || candidate->is_listed)
			rc = plan_candidate(impact, candidate);
		if (rc == 0 && candidate->follows && !candidate->fires &&
		    !candidate->paused)
			rc = follow_candidate(impact, candidate);
	}
	return rc;
}

/* Its trigger as stored, for the page to say in words. */
static void
put_trigger(const struct candidate *candidate, struct buffer *out)
{
	struct json_document *document =
	    json_parse(candidate->version, DOCUMENT_DEPTH_MAX, NULL);
	const struct json *trigger =
	    document != NULL ? json_get(json_root(document), "trigger") : NULL;

	if (trigger != NULL) {
		json_name(out, "trigger");
		json_put_node(out, trigger);
	}
	json_destroy(document);
}

static void
put_candidate(const struct candidate *candidate, struct buffer *out)
{
	json_open(out, '{');
	json_member_text(out, "rid", candidate->rid);
	json_member_known(out, "displayName", candidate->name);
	json_member_bool(out, "paused", candidate->paused);
	json_member_bool(out, "fires", candidate->fires);
	json_member_bool(out, "follows", candidate->follows);
	if (candidate->version.at != NULL) {
		put_trigger(candidate, out);
		put_next(candidate, out);
	}
	if (candidate->outcome.at != NULL) {
		json_name(out, "outcome");
		buffer_append(out, candidate->outcome);
	}
	json_close(out, '}');
}

static int
compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	return b->fires != a->fires ? b->fires - a->fires
				    : text_compare(a->rid, b->rid);
}

static void
put_schedules(struct impact *impact, struct buffer *out)
{
	size_t i;
	int rc = find_fired(impact);

	if (rc == 0)
		rc = find_by_targets(impact);
	if (impact->n_candidates > 0)
		qsort(impact->candidates, impact->n_candidates,
		    sizeof impact->candidates[0], compare_candidates);
	if (rc == 0)
		rc = plan_candidates(impact);
	json_member_open(out, "schedules", '[');
	for (i = 0; rc == 0 && i < impact->n_candidates; i++)
		put_candidate(&impact->candidates[i], out);
	json_close(out, ']');
	json_member_bool(out, "moreSchedules", impact->more);
}

static void
answer_impact(struct impact *impact)
{
	struct http_call *call = impact->look->call;
	struct buffer *out = &call->answer.body;

	if (sweep_twice(impact) != 0)
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
	mark_below(impact);
	if (impact->question.until_ms < clock_monotonic_ms() + SCHEDULES_MS)
		impact->question.until_ms = clock_monotonic_ms() + SCHEDULES_MS;
	put_schedules(impact, out);
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
