#ifndef SCHEDRUN_PRODUCER_DASHBOARD_DASHBOARD_H
#define SCHEDRUN_PRODUCER_DASHBOARD_DASHBOARD_H

#include "common/base/error.h"
#include "common/config/config.h"
#include "producer/dashboard/agenda.h"
#include "producer/dashboard/builds.h"
#include "producer/dashboard/history.h"
#include "producer/dashboard/lineage.h"
#include "producer/dashboard/sampler.h"
#include "producer/dashboard/sweep_turn.h"

/*
 * What the page is told that the API lacks (docs/http.md, section 13): the
 * parts that live as long as the adapter.  On the loop's thread.
 */
struct dashboard {
	struct sampler *sampler;
	struct run_history history;
	struct recent_builds builds; /* any thread, as what follows */
	struct lineage_shelf *lineages;
	struct agenda *agenda;
	struct sweep_turn sweeps;   /* of the planner */
	struct sweep_turn redrives; /* of dead letters */
};

/* Starts the sampler; `config` is borrowed.  NULL: ERROR_FATAL. */
struct dashboard *dashboard_create(
    const struct config *config, struct error *err);
void dashboard_stop(struct dashboard *dashboard);    /* NULL is fine */
void dashboard_destroy(struct dashboard *dashboard); /* NULL is fine */

/* A result has come; without a dashboard (NULL) nobody notes it. */
void dashboard_note(
    struct dashboard *dashboard, const struct schedule_run *run);

#endif
