#ifndef SCHEDRUN_PRODUCER_BUILDER_BUILDER_H
#define SCHEDRUN_PRODUCER_BUILDER_BUILDER_H

#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/http/health.h"

/*
 * Carries builds out: reads the builds topic as a member of builder.group, runs
 * the jobs of open builds, and moves the group's offset behind a build once it
 * has ended (docs/builder.md).  One thread, but for those of the jobs'
 * processes; killed at any moment, the builds go on where they stood.
 */
struct builder;

struct builder_settings {
	const struct config *config; /* all three are borrowed */
	struct metrics *metrics;
	struct health *health;
};

/* NULL with ERROR_FATAL (78): a setting that makes no sense. */
struct builder *builder_create(
    const struct builder_settings *settings, struct error *err);
void builder_destroy(struct builder *builder); /* NULL is fine */

/* The part of builder_create that needs nothing but the settings. */
int builder_check_settings(const struct config *config, struct error *err);

/* Connects to Redis and Kafka once, and says what is missing. */
int builder_check(struct builder *builder, struct error *err);

/*
 * Until builder_stop, and then until no job runs: builder.drain is left to
 * those, then they are killed.  -1 with ERROR_FATAL: this can't go on; (78)
 * Redis belongs to another Kafka.
 */
int builder_run(struct builder *builder, struct error *err);

/* The first time an orderly end, the second time without waiting for jobs.  Any
 * thread. */
void builder_stop(struct builder *builder);

#endif
