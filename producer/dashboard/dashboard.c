#include "producer/dashboard/dashboard.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

struct dashboard *
dashboard_create(const struct config *config, struct error *err)
{
	struct dashboard *dashboard = memory_zalloc(1, sizeof *dashboard);

	dashboard->sampler = sampler_start(config, err);
	if (dashboard->sampler != NULL)
		return dashboard;
	free(dashboard);
	return NULL;
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
	free(dashboard);
}

void
dashboard_note(struct dashboard *dashboard, const struct schedule_run *run)
{
	if (dashboard != NULL)
		run_history_note(&dashboard->history, run, clock_wall_ms());
}
