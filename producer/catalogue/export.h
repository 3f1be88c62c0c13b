#ifndef SCHEDRUN_PRODUCER_CATALOGUE_EXPORT_H
#define SCHEDRUN_PRODUCER_CATALOGUE_EXPORT_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"

/*
 * Appends what is stored as a Catalogue document that `apply` reads back: one
 * generation of the catalogue, heads and schedules as they are read, deleted
 * schedules left out.  The same content gives the same bytes; no generation, no
 * bytes of it.  Blocks for Redis.
 *   ERROR_RETRY  no answer of Redis, or it was replaced again and again
 *   ERROR_INPUT  an entry is malformed (named)
 */
int catalogue_export(struct redis *redis, const struct keyspace *keyspace,
    struct buffer *out, struct error *err);

#endif
