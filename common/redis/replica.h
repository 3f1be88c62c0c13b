#ifndef SCHEDRUN_COMMON_REDIS_REPLICA_H
#define SCHEDRUN_COMMON_REDIS_REPLICA_H

#include "common/base/error.h"
#include "common/redis/pipeline.h"

/*
 * Waits up to a second until a replica, if there is one, has what was written:
 * a promoted replica must have it too, or what was answered for is lost.
 * Errors as of redis_receive; blocks for two round trips or more.
 */
int redis_wait_replica(struct redis *redis, struct error *err);

#endif
