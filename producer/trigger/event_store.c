#include "producer/trigger/event_store.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "producer/builder/said.h"
#include "producer/catalogue/commit.h"
#include "producer/catalogue/fields.h"
#include "producer/catalogue/logic.h"
#include "producer/runs/build_report.h"
#include "producer/runs/decoder.h"

struct event_store {
	struct redis *redis, *view_redis; /* the latter may be the former */
	const struct keyspace *keyspace;
	struct run_view view;
	struct message_decoder *decoder;
	int64_t keep_ms; /* that an event is known as applied */
};

struct event_store *
event_store_create(const struct config *config, struct redis *redis,
    const struct keyspace *keyspace, struct error *err)
{
	struct event_store *store = memory_zalloc(1, sizeof *store);
	const struct redis_settings own =
	    redis_settings_of(config, "redis.url", "schedrun-trigger");
	const struct redis_settings view =
	    redis_settings_of(config, "view.redis.url", "schedrun-trigger");

	store->redis = redis;
	store->keyspace = keyspace;
	store->keep_ms = config_number(config, "dedup.ttl");
	store->view_redis =
	    strcmp(own.url, view.url) == 0 ? redis : redis_create(&view, err);
	if (store->view_redis != NULL)
		store->decoder = message_decoder_create(
		    MESSAGE_BUILD_REQUESTED, config, err);
	if (store->decoder == NULL) {
		event_store_destroy(store);
		return NULL;
	}
	message_decoder_start(store->decoder);
	run_view_init(&store->view, store->view_redis, keyspace,
	    config_number(config, "view.ttl"));
	return store;
}

void
event_store_destroy(struct event_store *store)
{
	if (store == NULL)
		return;
	message_decoder_destroy(store->decoder);
	if (store->view_redis != store->redis)
		redis_destroy(store->view_redis);
	free(store);
}

/* An event that is being applied. */
struct application {
	const struct schedule_event *event;
	struct arena *arena;
	struct event_effect *effect;
};

/* What is at fault with the event alone is no failure of ours. */
static int
refuse_event(struct event_effect *effect, const struct error *err)
{
	if (err->kind != ERROR_INPUT)
		return -1;
	effect->outcome = OUTCOME_REFUSED;
	effect->why = *err;
	return 0;
}

static int
refuse_unknown(struct event_effect *effect, const char *what, struct text rid)
{
	effect->outcome = OUTCOME_REFUSED;
	error_set(&effect->why, ERROR_INPUT, "%s %.*s is not in the catalogue",
	    what, TEXT_ARG(rid));
	return 0;
}

/* The key that says that an event was applied. */
static struct text
key_of_done(const struct event_store *store, const struct schedule_event *event,
    struct arena *arena)
{
	struct buffer identity = { 0 }, key = { 0 };
	struct uuid id;

	schedule_event_identity(event, &identity);
	id = rid_firing(TEXT("applied"), buffer_text(&identity));
	buffer_finish(&identity);
	keyspace_done(store->keyspace, &id, &key);
	return buffer_keep(&key, arena);
}

static void
add_fact(struct facts *facts, enum trigger_type type, struct text rid,
    struct text branch)
{
	facts->at[facts->n++] = (struct fact){ type, rid, branch };
}

static void
make_facts(struct facts *facts, struct arena *arena, size_t max)
{
	*facts =
	    (struct facts){ arena_zalloc(arena, max, sizeof *facts->at), 0 };
}

/* Commits ----------------------------------------------------------------- */

static void
tell_commit(const struct schedule_event *event,
    const struct dataset_commit *commit, struct arena *arena,
    struct event_effect *effect)
{
	*effect = (struct event_effect){ .outcome = OUTCOME_APPLIED };
	if (commit->outcome == COMMIT_NO_DATASET) {
		refuse_unknown(effect, "dataset", event->dataset_rid);
		return;
	}
	if (commit->outcome == COMMIT_REFUSED) {
		effect->outcome = OUTCOME_REFUSED;
		effect->why = commit->why;
		return;
	}
	if (commit->outcome == COMMIT_MARKED)
		effect->outcome = OUTCOME_REPEATED;
	make_facts(&effect->facts, arena, 1);
	add_fact(&effect->facts, TRIGGER_DATASET_UPDATED, event->dataset_rid,
	    event->branch);
}

/* What can't be read of one dataset is the fault of its commits alone. */
static int
commit_each(struct event_store *store, struct dataset_commits *commits,
    struct arena *arena, struct error *err)
{
	struct dataset_commits one = { .n = 1,
		.mark_ttl_ms = commits->mark_ttl_ms };
	size_t i;

	for (i = 0; i < commits->n; i++) {
		one.at = &commits->at[i];
		if (dataset_commit(
			store->redis, store->keyspace, arena, &one, err) == 0)
			continue;
		if (err->kind != ERROR_INPUT)
			return -1;
		one.at->outcome = COMMIT_REFUSED;
		one.at->why = *err;
	}
	return 0;
}

int
event_store_commit(struct event_store *store,
    const struct schedule_event *events, size_t n, struct arena *arena,
    struct event_effect *effects, struct error *err)
{
	struct dataset_commits commits = { arena_zalloc(arena, n + 1,
					       sizeof *commits.at),
		n, store->keep_ms };
	size_t i;

	for (i = 0; i < n; i++)
		commits.at[i] = (struct dataset_commit){
			.dataset = events[i].dataset_rid,
			.branch = events[i].branch,
			.transaction = events[i].transaction_rid,
			.parent = events[i].parent,
			.mark = key_of_done(store, &events[i], arena),
		};
	if (dataset_commit(
		store->redis, store->keyspace, arena, &commits, err) != 0 &&
	    (err->kind != ERROR_INPUT ||
		commit_each(store, &commits, arena, err) != 0))
		return -1;
	for (i = 0; i < n; i++)
		tell_commit(&events[i], &commits.at[i], arena, &effects[i]);
	return 0;
}

/* Logic ------------------------------------------------------------------- */

/* 1: it was applied; it isn't again, also when others came after it. */
static int
is_done(struct event_store *store, struct text key, struct error *err)
{
	struct redis_reply *reply = redis_ask(store->redis,
	    (const struct text[]){ TEXT("EXISTS"), key }, 2, "EXISTS", err);
	int rc = reply != NULL ? (int)redis_reply_integer(reply) : -1;

	redis_reply_destroy(reply);
	return rc;
}

static int
note_done(struct event_store *store, struct text key, struct error *err)
{
	char ttl[TEXT_NUMBER_SIZE];

	return redis_do(store->redis,
	    (const struct text[]){ TEXT("SET"), key, TEXT("APPLIED"),
		TEXT("PX"), text_of_number(store->keep_ms, ttl) },
	    5, "SET", err);
}

/* All outputs of the spec have it. */
static void
list_logic(struct event_effect *effect, const struct job_spec *spec,
    struct arena *arena)
{
	size_t i;

	make_facts(&effect->facts, arena, spec->n_outputs);
	for (i = 0; i < spec->n_outputs; i++)
		add_fact(&effect->facts, TRIGGER_NEW_LOGIC, spec->outputs[i],
		    spec->branch);
}

static int
apply_logic(struct event_store *store, const struct application *task,
    struct error *err)
{
	struct text key = key_of_done(store, task->event, task->arena);
	struct logic_change change = {
		.job_spec = task->event->job_spec_rid,
		.branch = task->event->branch,
		.logic = task->event->logic,
		.dataset = task->event->dataset_rid,
	};
	int done = is_done(store, key, err), rc;

	if (done < 0)
		return -1;
	/* What it is now, so that a repeated one finds the outputs, too. */
	if (done == 1)
		rc = logic_read(
		    store->redis, store->keyspace, task->arena, &change, err);
	else
		rc = logic_publish(
		    store->redis, store->keyspace, task->arena, &change, err);
	if (rc < 0)
		return refuse_event(task->effect, err);
	if (rc == 0)
		return refuse_unknown(
		    task->effect, "job spec", task->event->job_spec_rid);
	if (done == 0 && note_done(store, key, err) != 0)
		return -1;
	task->effect->outcome = done == 1 ? OUTCOME_REPEATED : OUTCOME_APPLIED;
	list_logic(task->effect, &change.spec, task->arena);
	return 0;
}

/* Builds ------------------------------------------------------------------ */

/* What a builder has said of the jobs; of others' builds there is nothing. */
static struct fields *
read_jobs(struct event_store *store, const struct application *task,
    struct error *err)
{
	struct fields *said = fields_create(task->arena);
	struct buffer key = { 0 };
	int rc = fields_read(said, store->redis,
	    keyspace_jobs(store->keyspace, &task->event->build_id, &key), err);

	buffer_finish(&key);
	if (rc == 0)
		return said;
	fields_destroy(said);
	return NULL;
}

/*
 * Whether the build has made this output: what was up to date it has not, and
 * of a failed one it has what its event names, or whose job has succeeded.
 */
static bool
is_made(const struct schedule_event *event, struct text output,
    enum job_state state)
{
	if (event->is_succeeded)
		return state != JOB_UP_TO_DATE;
	return state == JOB_SUCCEEDED ||
	    event_output_find(event->outputs, event->n_outputs, output) != NULL;
}

static void
list_job(const struct application *task, const struct build_requested *build,
    size_t i, struct text stored)
{
	const struct job_spec *spec = build->build.jobs[i].spec;
	struct text branch = build->build.version->branch_name;
	struct facts *facts = &task->effect->facts;
	struct job_said said;
	size_t k;

	job_said_read(stored, &said);
	for (k = 0; k < spec->n_outputs; k++) {
		if (!is_made(task->event, spec->outputs[k], said.state))
			continue;
		add_fact(
		    facts, TRIGGER_DATASET_UPDATED, spec->outputs[k], branch);
		add_fact(
		    facts, TRIGGER_JOB_SUCCEEDED, spec->outputs[k], branch);
	}
}

static int
list_build(struct event_store *store, const struct application *task,
    const struct build_requested *build, struct error *err)
{
	const struct build *jobs = &build->build;
	struct fields *said = read_jobs(store, task, err);
	char number[TEXT_NUMBER_SIZE];
	size_t n = 1, i;

	if (said == NULL)
		return refuse_event(task->effect, err);
	for (i = 0; i < jobs->n_jobs; i++)
		n += 2 * jobs->jobs[i].spec->n_outputs;
	make_facts(&task->effect->facts, task->arena, n);
	add_fact(&task->effect->facts,
	    task->event->is_succeeded ? TRIGGER_SCHEDULE_SUCCEEDED
				      : TRIGGER_SCHEDULE_FAILED,
	    build->run.schedule_rid, TEXT_NONE);
	for (i = 0; i < jobs->n_jobs; i++)
		list_job(task, build, i,
		    fields_get(said, text_of_number((int64_t)i, number)));
	fields_destroy(said);
	return 0;
}

static int
report_build(struct event_store *store, const struct application *task,
    const struct build_requested *build, struct error *err)
{
	const struct schedule_event *event = task->event;
	struct build_report report = { store->redis, store->keyspace,
		&store->view, task->arena, event->outputs, event->n_outputs,
		false };
	struct report_result result;
	int rc;

	task->effect->outcome = OUTCOME_REPEATED;
	if (event->is_succeeded) {
		rc = build_report_finish(
		    &report, &event->build_id, build, &result, err);
	} else {
		rc = build_report_state(
		    &report, &event->build_id, "FAILED", &result, err);
		if (rc == 0) /* it has succeeded, which stays */
			return 0;
	}
	if (rc < 0)
		return refuse_event(task->effect, err);
	if (!result.already)
		task->effect->outcome = OUTCOME_APPLIED;
	return list_build(store, task, build, err);
}

static int
apply_build(struct event_store *store, const struct application *task,
    struct error *err)
{
	struct build_requested build;
	struct build_record record;
	int found = run_view_get_build(
	    &store->view, &task->event->build_id, task->arena, &record, err);

	if (found < 0)
		return -1;
	task->effect->outcome = OUTCOME_UNKNOWN;
	if (found == 0)
		return 0;
	if (decode_build(store->decoder, record.event, &task->event->build_id,
		task->arena, &build, err) != 0)
		return refuse_event(task->effect, err);
	return report_build(store, task, &build, err);
}

int
event_store_apply(struct event_store *store, const struct schedule_event *event,
    struct arena *arena, struct event_effect *effect, struct error *err)
{
	const struct application task = { event, arena, effect };

	*effect = (struct event_effect){ 0 };
	if (event->message == MESSAGE_LOGIC_PUBLISHED)
		return apply_logic(store, &task, err);
	return apply_build(store, &task, err);
}
