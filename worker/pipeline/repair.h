#ifndef SCHEDRUN_WORKER_PIPELINE_REPAIR_H
#define SCHEDRUN_WORKER_PIPELINE_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/client.h"
#include "worker/pipeline/intake.h"

/*
 * Redis went back in time: the claims above a partition's mark are lost.  They
 * are taken again, in order, from the request topic, which lost nothing: no
 * produce, no commit.  The script moves the mark along, so a crash resumes.
 * Source: docs/delivery.md, section 3.
 */
struct repair;

struct repair_settings {
	struct kafka_settings kafka;
	int64_t ttl_ms; /* dedup.ttl */
};

/* Connects in the background.  NULL with ERROR_FATAL: Kafka's settings. */
struct repair *repair_create(
    const struct repair_settings *settings, struct error *err);
void repair_destroy(struct repair *repair); /* NULL is fine */

/*
 * Begins with a partition whose mark says `mark` (-1: missing) where the
 * owner's `expected` was expected.  -1: as repair_step, and ERROR_ABORT, the
 * partition is not assigned any more.  Blocks for Kafka and Redis.
 */
int repair_start(struct repair *repair, struct intake *intake,
    int32_t partition, int64_t mark, struct error *err);

/*
 * Claims what is there, for up to about half a second, so that the caller can
 * poll its group meanwhile; goes on with the next partition whose mark is too
 * low.  Returns 1 when all marks are where they must be, 0 to be called again,
 * -1 with ERROR_RETRY (Redis, Kafka) or ERROR_FATAL.
 */
int repair_step(
    struct repair *repair, struct intake *intake, struct error *err);

/* Its consumer, which fetches nothing while there is nothing to repair: a
 * question to it waits behind no fetch. */
struct kafka_consumer *repair_reader(struct repair *repair);

/* Whether the last -1 was Redis's fault, not Kafka's. */
bool repair_store_failed(const struct repair *repair);

#endif
