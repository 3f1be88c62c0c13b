#include "producer/dashboard/chain.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/stale.h"
#include "producer/dryrun/live.h"
#include "producer/trigger/satisfy.h"
#include "producer/trigger/timetable.h"
#include "schemas/stored/document.h"

#define SLICE 100 /* schedules that are looked at together */
#define SCHEDULES_MAX 20000
#define CANDIDATES_MAX 200 /* that are told */
#define PLANS_MAX 200
#define WAVES_MAX 50
#define FIRED_MAX 10  /* of one, then it is not followed */
#define FACTS_MAX 201 /* of a build: who waits for each is read */

/* Something that would happen. */
struct happening {
	struct happening *next;
	struct text schedule; /* whose run it is; none: the commit */
	struct facts facts;
};

/* A schedule that has to do with it. */
struct candidate {
	struct text rid, name;
	struct text version; /* JSON */
	bool paused;
	bool is_listed;
	int n_fired, n_submitted;
	int wave;             /* that fired it last; from 1 */
	int first_wave;       /* and first; 0: none has */
	bool is_partly;       /* an `and` of it lacks something yet */
	struct fact fact;     /* that fired it first, or satisfies a part */
	struct text after;    /* the schedule whose doing that is; or none */
	struct fields *parts; /* of `and`s: what they have; NULL: not read */
	struct text outcome;  /* JSON of the first that does something, or of
				 the last; none: it was not planned */
};

struct chain {
	struct http_call *call;
	struct work_redis *redis;
	struct arena *arena;
	int64_t until_ms;
	const struct sweep *affected;
	struct supposed now, later; /* as this wave finds it, and leaves it */
	struct happening *happenings, **last; /* of this wave */
	int wave, n_plans;
	struct candidate candidates[CANDIDATES_MAX];
	size_t n_candidates;
	bool more; /* than are told, or looked at */
};

static struct error *
error_of(const struct chain *chain)
{
	return &chain->call->job.error;
}

struct chain *
chain_create(struct http_call *call, struct work_redis *redis, int64_t until_ms,
    const struct sweep *affected)
{
	struct chain *chain = arena_zalloc(call->arena, 1, sizeof *chain);

	chain->call = call;
	chain->redis = redis;
	chain->arena = call->arena;
	chain->until_ms = until_ms;
	chain->affected = affected;
	chain->last = &chain->happenings;
	supposed_init(&chain->now, chain->arena);
	supposed_init(&chain->later, chain->arena);
	return chain;
}

static bool
is_over(struct chain *chain)
{
	if (clock_monotonic_ms() <= chain->until_ms)
		return false;
	chain->more = true;
	return true;
}

/* What happens ------------------------------------------------------------- */

static struct happening *
add_happening(struct chain *chain, struct text schedule)
{
	struct happening *happening =
	    arena_zalloc(chain->arena, 1, sizeof *happening);

	happening->schedule = schedule;
	happening->facts.at =
	    arena_alloc(chain->arena, FACTS_MAX * sizeof *happening->facts.at);
	*chain->last = happening;
	chain->last = &happening->next;
	return happening;
}

static void
add_fact(struct happening *happening, enum trigger_type type, struct text rid,
    struct text branch)
{
	happening->facts.at[happening->facts.n++] =
	    (struct fact){ type, rid, branch };
}

void
chain_commit(struct chain *chain, struct text dataset, struct text branch)
{
	supposed_commit(&chain->now, dataset, branch);
	chain->later.n_heads = chain->now.n_heads;
	add_fact(add_happening(chain, TEXT_NONE), TRIGGER_DATASET_UPDATED,
	    dataset, branch);
}

struct build_facts {
	struct chain *chain;
	struct happening *happening;
};

static void
note_made(void *opaque, const struct supposed_branch *branch)
{
	const struct build_facts *noting = opaque;

	if (noting->happening->facts.n + 2 > FACTS_MAX) {
		noting->chain->more = true;
		return;
	}
	add_fact(noting->happening, TRIGGER_DATASET_UPDATED, branch->dataset,
	    branch->branch);
	add_fact(noting->happening, TRIGGER_JOB_SUCCEEDED, branch->dataset,
	    branch->branch);
}

/* What a run of the schedule comes to, its build having been made. */
static void
add_outcome(
    struct chain *chain, struct text schedule, const struct outcome *outcome)
{
	struct build_facts noting = { .chain = chain };

	if (outcome->run.state == RUN_FAILED) {
		add_fact(add_happening(chain, schedule),
		    TRIGGER_SCHEDULE_FAILED, schedule, TEXT_NONE);
	} else if (outcome->run.state == RUN_SUBMITTED) {
		noting.happening = add_happening(chain, schedule);
		add_fact(noting.happening, TRIGGER_SCHEDULE_SUCCEEDED, schedule,
		    TEXT_NONE);
		if (!supposed_build(
			&chain->later, &outcome->build, note_made, &noting))
			chain->more = true;
	}
}

/* Schedules ---------------------------------------------------------------- */

static struct candidate *
find_candidate(struct chain *chain, struct text rid)
{
	size_t i;

	for (i = 0; i < chain->n_candidates; i++)
		if (text_equal(chain->candidates[i].rid, rid))
			return &chain->candidates[i];
	return NULL;
}

/* NULL: there is no room. */
static struct candidate *
add_candidate(struct chain *chain, const struct schedule_access *schedule)
{
	struct candidate *candidate = find_candidate(chain, schedule->rid);

	if (candidate != NULL)
		return candidate;
	if (chain->n_candidates == CANDIDATES_MAX) {
		chain->more = true;
		return NULL;
	}
	candidate = &chain->candidates[chain->n_candidates++];
	*candidate = (struct candidate){
		.rid = text_copy(chain->arena, schedule->rid),
		.paused = schedule->head.paused,
	};
	if (schedule->about.display_name.at != NULL)
		candidate->name =
		    text_copy(chain->arena, schedule->about.display_name);
	if (schedule->version.at != NULL)
		candidate->version = text_copy(chain->arena, schedule->version);
	return candidate;
}

void
chain_list(struct chain *chain, const struct schedule_access *schedule)
{
	struct candidate *candidate = add_candidate(chain, schedule);

	if (candidate != NULL)
		candidate->is_listed = true;
}

/* Those of a slice that he may view. */
static int
judge_slice(struct chain *chain, const struct text *rids, size_t n,
    chain_judge *judge, void *opaque)
{
	struct access access = http_call_access(chain->call, chain->redis);
	struct schedule_access schedules[SLICE];
	size_t i;
	int rc;

	access.arena = arena_create(0);
	rc = access_read(&access, rids, n, true, schedules, error_of(chain));
	for (i = 0; rc == 0 && i < n; i++)
		if (schedules[i].exists && !schedules[i].head.deleted &&
		    schedules[i].right != RIGHT_NONE)
			judge(opaque, &schedules[i]);
	arena_destroy(access.arena);
	return rc;
}

int
chain_judge_all(
    struct chain *chain, struct fields *names, chain_judge *judge, void *opaque)
{
	const struct field *sorted = fields_sorted(names);
	size_t n = fields_size(names), at = 0, i;
	struct text rids[SLICE];
	int rc = 0;

	if (n > SCHEDULES_MAX) {
		chain->more = true;
		n = SCHEDULES_MAX;
	}
	while (rc == 0 && at < n) {
		for (i = 0; i < SLICE && at < n; i++, at++)
			rids[i] = sorted[at].name;
		rc = judge_slice(chain, rids, i, judge, opaque);
		if (at < n && is_over(chain))
			break;
	}
	return rc;
}

/* Who is fired ------------------------------------------------------------- */

struct hearing {
	struct chain *chain;
	const struct happening *happening;
	struct fields *waiting; /* schedule -> the version by which it waits */
	int rc;
};

static struct text
part_name(
    const struct satisfied_and *satisfied, struct text leaf, struct buffer *out)
{
	buffer_format(out, "%zu:%.*s", satisfied->number, TEXT_ARG(leaf));
	return buffer_text(out);
}

/* Cuts "l3 " off: its letter and number. */
static bool
next_part(struct text *form, char *kind, struct text *number)
{
	struct text word;

	if (!text_take_word(form, " ", &word) || word.size < 2)
		return false;
	*kind = word.at[0];
	*number = (struct text){ word.at + 1, word.size - 1 };
	return true;
}

static bool
has_leaf(const struct fields *parts, const struct satisfied_and *satisfied,
    struct text leaf)
{
	struct buffer name = { 0 };
	bool has =
	    fields_get(parts, part_name(satisfied, leaf, &name)).at != NULL;

	buffer_finish(&name);
	return has;
}

/* As satisfy.lua judges it. */
static bool
is_whole(const struct fields *parts, const struct satisfied_and *satisfied,
    struct arena *arena)
{
	bool *stack = arena_zalloc(arena, satisfied->form.size + 1, 1);
	struct text form = satisfied->form, number;
	int64_t count;
	size_t n = 0;
	char kind;

	while (next_part(&form, &kind, &number)) {
		bool all, any = false;

		if (kind == 'l') {
			stack[n++] = has_leaf(parts, satisfied, number);
			continue;
		}
		if (!text_to_number(number, (int64_t)n, &count))
			return false;
		for (all = count > 0; count > 0; count--) {
			n--;
			all = all && stack[n];
			any = any || stack[n];
		}
		stack[n++] = kind == 'a' ? all : any;
	}
	return n > 0 && stack[0];
}

/* What Redis says that its `and`s have by now. */
static int
read_parts(
    struct chain *chain, struct candidate *candidate, struct text version)
{
	struct buffer key = { 0 };
	int rc = 0;

	if (candidate->parts == NULL) {
		candidate->parts = fields_create(chain->arena);
		rc = fields_read(candidate->parts, chain->redis->schedules,
		    keyspace_and(
			chain->call->app->keyspace, "and", version, &key),
		    error_of(chain));
	}
	buffer_finish(&key);
	return rc;
}

/* Whether the `and` fires by this; then it begins anew. */
static bool
tell_and(struct chain *chain, struct candidate *candidate,
    const struct satisfied_and *satisfied)
{
	struct text rest = satisfied->leaves, leaf;
	struct buffer name = { 0 };
	char kind;
	bool whole;

	while (text_take_word(&rest, " ", &leaf)) {
		fields_put(candidate->parts, part_name(satisfied, leaf, &name),
		    TEXT("1"));
		buffer_reset(&name);
	}
	whole = is_whole(candidate->parts, satisfied, chain->arena);
	rest = satisfied->form;
	while (whole && next_part(&rest, &kind, &leaf)) {
		fields_remove(
		    candidate->parts, part_name(satisfied, leaf, &name));
		buffer_reset(&name);
	}
	buffer_finish(&name);
	return whole;
}

/* The fact that fires it; NULL: none does, yet. */
static const struct fact *
firing_fact(struct hearing *hearing, struct candidate *candidate,
    struct text version, const struct satisfied *satisfied)
{
	const struct satisfied_and *part = satisfied->ands;
	const struct fact *fact = satisfied->alone;

	if (part != NULL && !candidate->paused)
		hearing->rc = read_parts(hearing->chain, candidate, version);
	for (; part != NULL && hearing->rc == 0 && !candidate->paused;
	     part = part->next) {
		if (tell_and(hearing->chain, candidate, part)) {
			if (fact == NULL)
				fact = part->fact;
		} else if (candidate->first_wave == 0) {
			candidate->is_partly = true;
			candidate->fact = *part->fact;
			candidate->after = hearing->happening->schedule;
		}
	}
	return fact;
}

static void
hear_happening(void *opaque, const struct schedule_access *schedule)
{
	struct hearing *hearing = opaque;
	struct chain *chain = hearing->chain;
	struct text version = schedule->head.current_version_rid;
	struct candidate *candidate;
	struct satisfied satisfied;
	const struct fact *fact;

	if (hearing->rc != 0 || schedule->version.at == NULL ||
	    !text_equal(fields_get(hearing->waiting, schedule->rid), version) ||
	    satisfy_read(schedule->version, &hearing->happening->facts,
		chain->arena, &satisfied, NULL) != 0 ||
	    (satisfied.alone == NULL && satisfied.ands == NULL))
		return;
	candidate = add_candidate(chain, schedule);
	if (candidate == NULL)
		return;
	fact = firing_fact(hearing, candidate, version, &satisfied);
	if (fact == NULL || candidate->wave == chain->wave)
		return;
	candidate->wave = chain->wave;
	candidate->n_fired++;
	if (candidate->first_wave == 0) {
		candidate->first_wave = chain->wave;
		candidate->is_partly = false;
		candidate->fact = *fact;
		candidate->after = hearing->happening->schedule;
	}
}

static int
read_waiting(struct chain *chain, const struct fact *fact, struct fields *names)
{
	struct buffer key = { 0 };
	int rc = fields_read(names, chain->redis->schedules,
	    keyspace_waiting(chain->call->app->keyspace,
		trigger_type_name(fact->type), fact->rid, fact->branch, &key),
	    error_of(chain));

	buffer_finish(&key);
	return rc;
}

static int
fire_waiting(struct chain *chain, const struct happening *happening)
{
	struct hearing hearing = { .chain = chain,
		.happening = happening,
		.waiting = fields_create(chain->arena) };
	int rc = 0;
	size_t i;

	for (i = 0;
	     rc == 0 && i < happening->facts.n && (i == 0 || !is_over(chain));
	     i++)
		rc = read_waiting(
		    chain, &happening->facts.at[i], hearing.waiting);
	if (rc == 0)
		rc = chain_judge_all(
		    chain, hearing.waiting, hear_happening, &hearing);
	fields_destroy(hearing.waiting);
	return rc == 0 ? hearing.rc : rc;
}

/* What each would do ------------------------------------------------------- */

static bool
is_affected(const struct chain *chain, struct text key)
{
	size_t i;

	for (i = 0; i < chain->affected->n_jobs; i++)
		if (text_equal(chain->affected->jobs[i].key, key))
			return true;
	return false;
}

static void
put_outcome(const struct chain *chain, const struct outcome *outcome,
    struct buffer *out)
{
	const struct schedule_run *run = &outcome->run;
	int64_t affected = 0;
	size_t i;

	json_open(out, '{');
	switch (run->state) {
	case RUN_SUBMITTED:
		json_member_string(out, "type", "submitted");
		json_member_integer(
		    out, "running", (int64_t)outcome->build.n_jobs);
		if (chain->affected == NULL)
			break;
		for (i = 0; i < outcome->build.n_jobs; i++)
			affected += is_affected(
			    chain, outcome->build.jobs[i].spec->outputs[0]);
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

/* `leads_on`: what it does fires others in the next wave. */
static int
plan_candidate(struct chain *chain, struct candidate *candidate, bool leads_on)
{
	const struct run_request request = { .request_id = TEXT("chain"),
		.schedule_rid = candidate->rid,
		.created_time_ms = clock_wall_ms() };
	const struct outcome *outcome;
	struct buffer told = { 0 };

	if (chain->n_plans++ == PLANS_MAX) {
		chain->more = true;
		return 0;
	}
	outcome = live_plan_suppose(chain->redis->planner, &request,
	    &(struct live_supposition){ .branches = chain->now.first },
	    error_of(chain));
	if (outcome == NULL)
		return -1;
	if (candidate->n_submitted == 0) {
		put_outcome(chain, outcome, &told);
		candidate->outcome = buffer_keep(&told, chain->arena);
	}
	candidate->n_submitted += outcome->run.state == RUN_SUBMITTED;
	if (leads_on && candidate->n_fired < FIRED_MAX)
		add_outcome(chain, candidate->rid, outcome);
	return 0;
}

static int
plan_wave(struct chain *chain)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < chain->n_candidates && !is_over(chain); i++)
		if (chain->candidates[i].wave == chain->wave)
			rc = plan_candidate(chain, &chain->candidates[i], true);
	supposed_merge(&chain->now, &chain->later);
	return rc;
}

int
chain_follow(struct chain *chain)
{
	int rc = 0;

	while (rc == 0 && chain->happenings != NULL && !is_over(chain)) {
		const struct happening *happening = chain->happenings;

		chain->happenings = NULL;
		chain->last = &chain->happenings;
		if (chain->wave++ == WAVES_MAX) {
			chain->more = true;
			break;
		}
		for (; rc == 0 && happening != NULL;
		     happening = happening->next)
			rc = fire_waiting(chain, happening);
		if (rc == 0)
			rc = plan_wave(chain);
	}
	return rc;
}

int
chain_plan_listed(struct chain *chain)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < chain->n_candidates && !is_over(chain);
	     i++) {
		struct candidate *candidate = &chain->candidates[i];

		if (candidate->is_listed && candidate->first_wave == 0)
			rc = plan_candidate(chain, candidate, false);
	}
	return rc;
}

/* How it is told ----------------------------------------------------------- */

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

/* By what it is fired, or an `and` of it gets a part. */
static void
put_cause(const struct candidate *candidate, struct buffer *out)
{
	json_member_open(out, "by", '{');
	json_member_string(
	    out, "type", trigger_type_name(candidate->fact.type));
	json_member_text(out, "rid", candidate->fact.rid);
	json_member_known(out, "branch", candidate->fact.branch);
	json_member_known(out, "after", candidate->after);
	json_close(out, '}');
}

static void
put_candidate(const struct candidate *candidate, struct buffer *out)
{
	json_open(out, '{');
	json_member_text(out, "rid", candidate->rid);
	json_member_known(out, "displayName", candidate->name);
	json_member_bool(out, "paused", candidate->paused);
	json_member_integer(out, "wave", candidate->first_wave);
	json_member_bool(out, "partly", candidate->is_partly);
	if (candidate->first_wave > 0 || candidate->is_partly)
		put_cause(candidate, out);
	json_member_integer(out, "runs", candidate->n_submitted);
	json_member_bool(out, "again", candidate->n_fired == FIRED_MAX);
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

void
chain_put(const struct chain *chain, struct buffer *out)
{
	size_t i;

	json_member_open(out, "schedules", '[');
	for (i = 0; i < chain->n_candidates; i++)
		put_candidate(&chain->candidates[i], out);
	json_close(out, ']');
	json_member_bool(out, "moreSchedules", chain->more);
}

/* Of a run ----------------------------------------------------------------- */

#define THEN_MS 2000

static void
answer_then(struct http_call *call, struct work_redis *redis)
{
	struct chain *chain =
	    chain_create(call, redis, clock_monotonic_ms() + THEN_MS, NULL);
	const struct run_request request = {
		.request_id = TEXT("then"),
		.schedule_rid = call->asked.rids[0],
		.created_time_ms = clock_wall_ms(),
		.created_by = http_caller_user(&call->asked.caller),
	};
	const struct outcome *outcome =
	    live_plan_run(redis->planner, &request, false, &call->job.error);

	if (outcome == NULL)
		return;
	add_outcome(chain, request.schedule_rid, outcome);
	supposed_merge(&chain->now, &chain->later);
	if (chain_follow(chain) != 0)
		return;
	json_open(&call->answer.body, '{');
	chain_put(chain, &call->answer.body);
	json_close(&call->answer.body, '}');
}

void
dashboard_then_get(struct http_call *call, struct work_redis *redis)
{
	struct access access = http_call_access(call, redis);
	struct text rid = call->asked.rids[0];
	struct schedule_access schedule;

	if (access_read(&access, &rid, 1, false, &schedule, &call->job.error) !=
	    0)
		return;
	if (!schedule.exists || schedule.head.deleted ||
	    schedule.right == RIGHT_NONE)
		http_call_refuse(call, API_SCHEDULE_NOT_FOUND, NULL,
		    (struct api_parameter[]){
			PARAMETER_T("scheduleRid", rid), PARAMETER_END });
	else if (stale_begin(call)) {
		answer_then(call, redis);
		stale_end(call);
	}
}
