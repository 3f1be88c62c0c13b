#include "producer/dashboard/dashboard.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

struct dashboard *
dashboard_create(const struct config *config, struct error *err)
{
	struct dashboard *dashboard = memory_zalloc(1, sizeof *dashboard);

	dashboard->sampler = sampler_start(config, err);
	if (dashboard->sampler == NULL) {
		free(dashboard);
		return NULL;
	}
	dashboard->lineages = lineage_shelf_create();
	dashboard->agenda = agenda_create();
	recent_builds_init(&dashboard->builds);
	sweep_turn_init(&dashboard->sweeps);
	sweep_turn_init(&dashboard->redrives);
	return dashboard;
}

void
dashboard_stop(struct dashboard *dashboard)
{
	if (dashboard != NULL)
		sampler_stop(dashboard->sampler);
}

void
dashboard_destroy(struct dashboard *dashboard)
{
	if (dashboard == NULL)
		return;
	sampler_destroy(dashboard->sampler);
	lineage_shelf_destroy(dashboard->lineages);
	agenda_destroy(dashboard->agenda);
	recent_builds_finish(&dashboard->builds);
	sweep_turn_finish(&dashboard->sweeps);
	sweep_turn_finish(&dashboard->redrives);
	free(dashboard);
}

void
dashboard_note(struct dashboard *dashboard, const struct schedule_run *run)
{
	if (dashboard == NULL)
		return;
	run_history_note(&dashboard->history, run, clock_wall_ms());
	recent_builds_note(&dashboard->builds, run);
}
