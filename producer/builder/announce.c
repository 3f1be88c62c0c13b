#include "producer/builder/announce.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "producer/catalogue/branch_store.h"
#include "producer/runs/event_sender.h"

#define SEND_MS 2000 /* leases are renewed by the thread that waits */
#define ARENA_KEPT ((size_t)64 * 1024)

struct announcer {
	const struct job_store *store;
	struct event_sender *sender;
	struct arena *arena; /* of one event */
};

struct announcer *
announcer_create(
    const struct kafka_settings *settings, const struct job_store *store)
{
	struct announcer *announcer = memory_zalloc(1, sizeof *announcer);

	announcer->store = store;
	announcer->sender = event_sender_create(settings, SEND_MS);
	announcer->arena = arena_create(0);
	return announcer;
}

void
announcer_destroy(struct announcer *announcer)
{
	if (announcer == NULL)
		return;
	event_sender_destroy(announcer->sender);
	arena_destroy(announcer->arena);
	free(announcer);
}

/* The outputs of jobs that have run and succeeded: others made nothing new. */
static void
list_made(const struct open_build *build, struct arena *arena,
    struct branch_view *view)
{
	const struct build *jobs = &build->event.build;
	size_t n = 0, i, k;

	for (i = 0; i < jobs->n_jobs; i++)
		n += jobs->jobs[i].spec->n_outputs;
	view->changes = arena_zalloc(arena, n + 1, sizeof *view->changes);
	view->n = 0;
	for (i = 0; i < jobs->n_jobs; i++)
		for (k = 0; build->jobs[i].state == JOB_SUCCEEDED &&
		     k < jobs->jobs[i].spec->n_outputs;
		     k++)
			view->changes[view->n++].dataset =
			    jobs->jobs[i].spec->outputs[k];
}

static int
compare_outputs(const void *left, const void *right)
{
	const struct event_output *x = left, *y = right;

	return text_compare(x->rid, y->rid);
}

/* What stands there now: of a dataset that is gone, or can't be read, nothing.
 */
static void
name_heads(const struct branch_view *view, struct text branch,
    struct arena *arena, struct schedule_event *event)
{
	struct event_output *outputs =
	    arena_zalloc(arena, view->n + 1, sizeof *outputs);
	size_t n = 0, i;

	for (i = 0; i < view->n; i++) {
		const struct branch_change *made = &view->changes[i];
		const struct branch *found = NULL;
		struct error ignored;

		if (made->exists &&
		    branch_value_get(
			made->seen, branch, arena, &found, &ignored) == 0 &&
		    found != NULL && found->head.size > 0)
			outputs[n++] =
			    (struct event_output){ made->dataset, found->head };
	}
	if (n > 0)
		qsort(outputs, n, sizeof *outputs, compare_outputs);
	event->outputs = outputs;
	event->n_outputs = n;
}

static int
name_outputs(const struct announcer *announcer, const struct open_build *build,
    struct schedule_event *event, struct error *err)
{
	const struct job_store *store = announcer->store;
	struct branch_view view = { 0 };

	list_made(build, announcer->arena, &view);
	if (view.n == 0)
		return 0;
	if (redis_connect(store->redis, err) != 0 ||
	    branch_store_read(store->redis, store->keyspace, announcer->arena,
		&view, err) != 0)
		return -1;
	name_heads(&view, build->event.build.version->branch_name,
	    announcer->arena, event);
	return 0;
}

int
announcer_tell(struct announcer *announcer, const struct open_build *build,
    struct error *err)
{
	struct schedule_event event = {
		.message = MESSAGE_BUILD_FINISHED,
		.time_ms = clock_wall_ms(),
		.build_id = build->id,
		.is_succeeded = !build->failed,
	};

	arena_reset(announcer->arena, ARENA_KEPT);
	if (name_outputs(announcer, build, &event, err) != 0)
		return -1;
	if (event_sender_send(announcer->sender, &event, err) == 0)
		return 1;
	if (err->kind != ERROR_INPUT || event.n_outputs == 0)
		return 0;
	/* Larger than the topic takes: the jobs' ends stand in Redis, too. */
	event.n_outputs = 0;
	return event_sender_send(announcer->sender, &event, err) == 0;
}
