#include "producer/dryrun/affected.h"

#include "producer/dryrun/live.h"
#include "schemas/stored/document.h"

static void
list_outputs(
    const struct build *build, struct arena *arena, struct text_list *datasets)
{
	struct text *all;
	size_t n = 0, i, j;

	for (i = 0; i < build->n_jobs; i++)
		n += build->jobs[i].spec->n_outputs;
	all = arena_alloc(arena, (n + 1) * sizeof *all);
	n = 0;
	for (i = 0; i < build->n_jobs; i++)
		for (j = 0; j < build->jobs[i].spec->n_outputs; j++)
			all[n++] =
			    text_copy(arena, build->jobs[i].spec->outputs[j]);
	*datasets = (struct text_list){ all, text_sort_unique(all, n) };
}

static void
list_targets(const struct schedule_version *version, struct arena *arena,
    struct text_list *datasets)
{
	size_t n = version->target_rids.n, i;
	struct text *all = arena_alloc(arena, (n + 1) * sizeof *all);

	for (i = 0; i < n; i++)
		all[i] = text_copy(arena, version->target_rids.at[i]);
	*datasets = (struct text_list){ all, n };
}

int
affected_find(struct live_plan *planner, struct text schedule_rid,
    struct arena *arena, struct text_list *datasets, struct error *err)
{
	const struct run_request request = {
		.request_id = TEXT("affected"),
		.schedule_rid = schedule_rid,
	};
	const struct outcome *outcome =
	    live_plan_run(planner, &request, true, err);
	const struct schedule_version *version = NULL;

	if (outcome == NULL)
		return -1;
	version = live_plan_version(planner);
	if (version == NULL)
		return error_fatal(err, 70,
		    "schedule %.*s: its version can't be read",
		    TEXT_ARG(schedule_rid));
	if (outcome->run.state == RUN_SUBMITTED)
		list_outputs(&outcome->build, arena, datasets);
	else
		list_targets(version, arena, datasets);
	return 0;
}
