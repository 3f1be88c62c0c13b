#include "producer/builder/look.h"

#include <stdlib.h>

#include "producer/catalogue/branch_store.h"

#define ATTEMPTS_MAX 20

/* Reads outputs, and then inputs. */
static int
read_branches(
    const struct job_ref *ref, struct branch_view *view, struct error *err)
{
	const struct job_store *store = ref->store;
	const struct job_spec *spec = job_of(ref)->spec;
	size_t n = 0, i;

	view->changes = arena_zalloc(ref->arena,
	    spec->n_outputs + spec->n_inputs, sizeof *view->changes);
	for (i = 0; i < spec->n_outputs; i++)
		view->changes[n++].dataset = spec->outputs[i];
	for (i = 0; i < spec->n_inputs; i++)
		view->changes[n++].dataset = spec->inputs[i].rid;
	view->n = n;
	if (redis_connect(store->redis, err) != 0)
		return -1;
	return branch_store_read(
	    store->redis, store->keyspace, ref->arena, view, err);
}

static int
find_branch(const struct job_ref *ref, const struct branch_change *change,
    struct text name, const struct branch **branch, struct error *err)
{
	*branch = NULL;
	if (name.at == NULL ||
	    branch_value_get(change->seen, name, ref->arena, branch, err) == 0)
		return 0;
	error_prefix(err, "stored branches of %.*s", TEXT_ARG(change->dataset));
	return -1;
}

static int
compare_inputs(const void *left, const void *right)
{
	const struct built_input *x = left, *y = right;

	return text_compare(x->key, y->key);
}

static struct text
build_branch(const struct job_ref *ref)
{
	return ref->event->build.version->branch_name;
}

/* What a producer in this build makes is on the build's own branch. */
static struct text
branch_to_read(const struct job_ref *ref, size_t i)
{
	const struct job_input *input = &job_of(ref)->inputs[i];

	if (input->job >= 0)
		return build_branch(ref);
	return input->read != NULL ? input->read->name : TEXT_NONE;
}

static int
look_at_inputs(const struct job_ref *ref, const struct branch_change *changes,
    struct job_look *look, struct error *err)
{
	const struct job_spec *spec = job_of(ref)->spec;
	size_t n = spec->n_inputs, i;
	struct built_input *inputs =
	    arena_zalloc(ref->arena, n + 1, sizeof *inputs);
	struct text *branches =
	    arena_zalloc(ref->arena, n + 1, sizeof *branches);
	struct text *heads = arena_zalloc(ref->arena, n + 1, sizeof *heads);

	for (i = 0; i < n; i++) {
		const struct branch *branch;

		branches[i] = branch_to_read(ref, i);
		if (find_branch(ref, &changes[i], branches[i], &branch, err) !=
		    0)
			return -1;
		heads[i] = branch != NULL ? branch->head : TEXT_NONE;
		inputs[i] = (struct built_input){
			job_input_key(ref->arena, &spec->inputs[i]), heads[i]
		};
	}
	qsort(inputs, n, sizeof *inputs, compare_inputs);
	look->built = (struct built){ spec->logic, inputs, n };
	look->branches = branches;
	look->transactions = heads;
	return 0;
}

static bool
is_built_so(const struct built *built, const struct built *wanted)
{
	size_t i;

	if (built == NULL || built->n_inputs != wanted->n_inputs ||
	    !text_equal(built->logic, wanted->logic))
		return false;
	for (i = 0; i < built->n_inputs; i++)
		if (!text_equal(built->inputs[i].key, wanted->inputs[i].key) ||
		    !text_equal(built->inputs[i].transaction,
			wanted->inputs[i].transaction))
			return false;
	return true;
}

/* Who is asked to run whatever there is does so. */
static int
look_at_outputs(const struct job_ref *ref, const struct branch_change *changes,
    struct job_look *look, struct error *err)
{
	const struct job *job = job_of(ref);
	size_t n = job->spec->n_outputs, i;
	struct text *heads = arena_zalloc(ref->arena, n + 1, sizeof *heads);
	struct text *projects =
	    arena_zalloc(ref->arena, n + 1, sizeof *projects);

	look->heads = heads;
	look->projects = projects;
	look->up_to_date =
	    job->reason != REASON_FORCED && job->reason != REASON_ALWAYS_STALE;
	for (i = 0; i < n; i++) {
		const struct branch *branch;

		if (find_branch(
			ref, &changes[i], build_branch(ref), &branch, err) != 0)
			return -1;
		if (branch != NULL)
			heads[i] = branch->head;
		projects[i] = changes[i].project;
		look->up_to_date = look->up_to_date && branch != NULL &&
		    is_built_so(branch->built, &look->built);
	}
	return 0;
}

int
job_look_now(
    const struct job_ref *ref, struct job_look *look, struct error *err)
{
	struct branch_view view;

	if (read_branches(ref, &view, err) != 0 ||
	    look_at_inputs(ref, view.changes + job_of(ref)->spec->n_outputs,
		look, err) != 0)
		return -1;
	return look_at_outputs(ref, view.changes, look, err);
}

/* One attempt: as of branch_store_write. */
static int
try_commit(
    const struct job_ref *ref, const struct job_end *end, struct error *err)
{
	const struct job *job = job_of(ref);
	const struct build_mark mark = {
		.keys = &end->lease->jobs,
		.n_keys = 1,
		.field = end->lease->field,
		.value = end->said,
		.ttl_ms = ref->store->ttl_ms,
		.leases = end->lease->keys,
		.n_leases = end->lease->n,
		.number = end->lease->number,
	};
	struct branch_view view;
	size_t i;

	if (read_branches(ref, &view, err) != 0)
		return -1;
	for (i = 0; i < job->spec->n_outputs; i++) {
		const struct text *parent = job_new_branch(job, i);
		const struct branch made = {
			.name = build_branch(ref),
			.head = end->transactions[i],
			.parent = parent != NULL ? *parent : TEXT_NONE,
			.built = &end->look->built,
		};

		if (view.changes[i].exists &&
		    branch_value_built(view.changes[i].seen, &made, ref->arena,
			&view.changes[i].value, err) != 0)
			return -1;
	}
	return branch_store_write(
	    ref->store->redis, ref->store->keyspace, &view, &mark, err);
}

int
job_look_commit(
    const struct job_ref *ref, const struct job_end *end, struct error *err)
{
	int attempts = 0, rc;

	do
		rc = try_commit(ref, end, err);
	while (rc == 0 && ++attempts < ATTEMPTS_MAX);
	if (rc == 0)
		return error_set(err, ERROR_RETRY,
		    "the outputs change again and again; try again");
	return rc < 0 ? -1 : rc != 3;
}
