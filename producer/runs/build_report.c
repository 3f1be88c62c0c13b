#include "producer/runs/build_report.h"

#include <stdlib.h>
#include <string.h>

#include "producer/catalogue/branch_store.h"
#include "producer/catalogue/fields.h"
#include "schemas/embedded.h"

#define ATTEMPTS_MAX 20
#define SUCCEEDED "SUCCEEDED"
#define FIELD_TO_TELL "n"

static struct redis_script mark_build = { .source = lua_mark_build };

/* One output of the build, with its place in the list of changes. */
struct output {
	struct text rid;
	const struct text *parent; /* of its new branch; NULL: it has one */
	size_t job;
};

struct work {
	struct build_report *report;
	const struct build_requested *event;
	struct output *outputs; /* ascending by RID */
	struct branch_view view;
};

/* Where a build stands; `was` is its state before, empty if it is new. */
static int
mark(struct build_report *report, struct redis *redis, const struct uuid *id,
    const char *state, struct text *was, struct error *err)
{
	enum { MARK_STATE, MARK_TTL, MARK_TELLS, MARK_ARGS };
	struct buffer out = { 0 };
	char ttl[TEXT_NUMBER_SIZE];
	const struct text key = keyspace_build(report->keyspace, id, &out);
	const struct text args[MARK_ARGS] = {
		[MARK_STATE] = text_from(state),
		[MARK_TTL] = text_of_number(report->view->ttl_ms, ttl),
		[MARK_TELLS] = report->tells && redis == report->redis
		    ? TEXT("1")
		    : TEXT(""),
	};
	struct redis_reply *reply = redis_ask_script(redis, &mark_build,
	    &(struct redis_arguments){ &key, 1, args, MARK_ARGS },
	    "build's state", err);
	int rc = reply != NULL ? 0 : -1;

	*was = text_copy(report->arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
	buffer_finish(&out);
	return rc;
}

/* Tells a run view that lives in a Redis of its own. */
static int
tell_view(struct build_report *report, const struct uuid *id, const char *state,
    struct error *err)
{
	struct text was;

	if (report->view->redis == report->redis)
		return 0;
	return mark(report, report->view->redis, id, state, &was, err);
}

static struct text
transaction_of(const struct build_report *report, const struct uuid *job,
    struct text output)
{
	const struct event_output *named =
	    event_output_find(report->named, report->n_named, output);
	struct uuid id;
	char *rid;

	if (named != NULL)
		return named->transaction_rid;
	id = rid_transaction(job, output);
	rid = arena_alloc(report->arena, RID_SIZE_MAX);
	return (struct text){ rid,
		rid_format(TEXT(RID_TRANSACTION_PREFIX), &id, rid) };
}

static int
compare_outputs(const void *left, const void *right)
{
	const struct output *x = left, *y = right;

	return text_compare(x->rid, y->rid);
}

/* All outputs in ascending order; each may be written once. */
static int
list_outputs(struct work *work, struct error *err)
{
	const struct build *build = &work->event->build;
	struct arena *arena = work->report->arena;
	size_t n = 0, i, k;

	for (i = 0; i < build->n_jobs; i++)
		n += build->jobs[i].spec->n_outputs;
	work->outputs = arena_zalloc(arena, n, sizeof *work->outputs);
	work->view.changes = arena_zalloc(arena, n, sizeof *work->view.changes);
	work->view.n = n;
	for (i = n = 0; i < build->n_jobs; i++)
		for (k = 0; k < build->jobs[i].spec->n_outputs; k++)
			work->outputs[n++] = (struct output){
				build->jobs[i].spec->outputs[k],
				job_new_branch(&build->jobs[i], k),
				i,
			};
	if (n > 0)
		qsort(work->outputs, n, sizeof *work->outputs, compare_outputs);
	for (i = 0; i < n; i++)
		work->view.changes[i].dataset = work->outputs[i].rid;
	for (i = 1; i < n; i++)
		if (compare_outputs(&work->outputs[i - 1], &work->outputs[i]) ==
		    0)
			return error_set(err, ERROR_INPUT,
			    "the build event names the output %.*s twice",
			    TEXT_ARG(work->outputs[i].rid));
	return 0;
}

static int
compare_inputs(const void *left, const void *right)
{
	const struct built_input *x = left, *y = right;

	return text_compare(x->key, y->key);
}

/* What the job read: of a producer in this build, what that has written. */
static const struct built *
built_of(const struct work *work, const struct job *job)
{
	const struct job_spec *spec = job->spec;
	struct arena *arena = work->report->arena;
	struct built *built = arena_zalloc(arena, 1, sizeof *built);
	struct built_input *inputs =
	    arena_zalloc(arena, spec->n_inputs, sizeof *inputs);
	size_t i;

	for (i = 0; i < spec->n_inputs; i++) {
		const struct job_input *input = &job->inputs[i];

		inputs[i].key = job_input_key(arena, &spec->inputs[i]);
		inputs[i].transaction = input->job >= 0
		    ? transaction_of(work->report,
			  &work->event->job_ids[input->job],
			  spec->inputs[i].rid)
		    : input->read->head;
	}
	if (spec->n_inputs > 0)
		qsort(inputs, spec->n_inputs, sizeof *inputs, compare_inputs);
	*built = (struct built){ spec->logic, inputs, spec->n_inputs };
	return built;
}

/* The output's new value; a branch that is there keeps its parent. */
static int
change_output(const struct work *work, size_t i, struct error *err)
{
	const struct output *output = &work->outputs[i];
	struct branch_change *change = &work->view.changes[i];
	struct arena *arena = work->report->arena;
	const struct build *build = &work->event->build;
	const struct branch branch = {
		.name = build->version->branch_name,
		.head = transaction_of(work->report,
		    &work->event->job_ids[output->job], change->dataset),
		.parent = output->parent != NULL ? *output->parent : TEXT_NONE,
		.built = built_of(work, &build->jobs[output->job]),
	};

	return branch_value_built(
	    change->seen, &branch, arena, &change->value, err);
}

/* All outputs' values; those of datasets that are gone stay as they are. */
static int
change_outputs(
    struct work *work, struct report_result *result, struct error *err)
{
	struct text *gone =
	    arena_alloc(work->report->arena, (work->view.n + 1) * sizeof *gone);
	size_t i;

	result->gone = gone;
	result->n_gone = 0;
	for (i = 0; i < work->view.n; i++) {
		struct branch_change *change = &work->view.changes[i];

		change->value = TEXT_NONE;
		if (!change->exists) {
			gone[result->n_gone++] = change->dataset;
		} else if (change_output(work, i, err) != 0) {
			error_prefix(err, "stored branches of %.*s",
			    TEXT_ARG(change->dataset));
			return -1;
		}
	}
	return 0;
}

/* One attempt: as of branch_store_write. */
static int
try_to_finish(struct work *work, const struct build_mark *build_mark,
    struct report_result *result, struct error *err)
{
	struct build_report *report = work->report;

	if (branch_store_read(report->redis, report->keyspace, report->arena,
		&work->view, err) != 0 ||
	    change_outputs(work, result, err) != 0)
		return -1;
	return branch_store_write(
	    report->redis, report->keyspace, &work->view, build_mark, err);
}

int
build_report_finish(struct build_report *report, const struct uuid *id,
    const struct build_requested *event, struct report_result *result,
    struct error *err)
{
	struct buffer buffer = { 0 };
	const struct text key = keyspace_build(report->keyspace, id, &buffer);
	const struct build_mark build_mark = {
		.keys = &key,
		.n_keys = 1,
		.field = TEXT("s"),
		.value = TEXT(SUCCEEDED),
		.ttl_ms = report->view->ttl_ms,
	};
	struct work work = { .report = report, .event = event };
	int attempts = 0, rc;

	*result = (struct report_result){ 0 };
	rc = list_outputs(&work, err);
	result->outputs = work.view.n;
	while (rc == 0 && attempts++ < ATTEMPTS_MAX)
		rc = try_to_finish(&work, &build_mark, result, err);
	buffer_finish(&buffer);
	if (rc == 0)
		return error_set(err, ERROR_RETRY,
		    "the outputs change again and again; try again");
	if (rc < 0)
		return -1;
	result->already = rc == 2;
	return tell_view(report, id, SUCCEEDED, err);
}

/* Whether the event of a state that was there before is due. */
static int
read_due(struct build_report *report, const struct uuid *id, struct text state,
    bool *is_due, struct error *err)
{
	struct buffer key = { 0 };
	struct redis_reply *reply = redis_ask(report->redis,
	    (const struct text[]){ TEXT("HGET"),
		keyspace_build(report->keyspace, id, &key),
		TEXT(FIELD_TO_TELL) },
	    3, "HGET", err);

	buffer_finish(&key);
	if (reply == NULL)
		return -1;
	*is_due = text_equal(redis_reply_text(reply), state);
	redis_reply_destroy(reply);
	return 0;
}

int
build_report_told(
    struct build_report *report, const struct uuid *id, struct error *err)
{
	struct buffer key = { 0 };
	int rc = redis_do(report->redis,
	    (const struct text[]){ TEXT("HSET"),
		keyspace_build(report->keyspace, id, &key), TEXT(FIELD_TO_TELL),
		TEXT("") },
	    4, "HSET", err);

	buffer_finish(&key);
	return rc;
}

int
build_report_state(struct build_report *report, const struct uuid *id,
    const char *state, struct report_result *result, struct error *err)
{
	struct text was;

	*result = (struct report_result){ 0 };
	if (mark(report, report->redis, id, state, &was, err) != 0)
		return -1;
	result->was = was;
	if (was.size > 0 && !text_equal(was, text_from(state)))
		return 0;
	result->already = was.size > 0;
	result->to_tell = report->tells;
	if (report->tells && result->already &&
	    read_due(report, id, was, &result->to_tell, err) != 0)
		return -1;
	return tell_view(report, id, state, err) == 0 ? 1 : -1;
}
