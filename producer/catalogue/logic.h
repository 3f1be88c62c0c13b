#ifndef SCHEDRUN_PRODUCER_CATALOGUE_LOGIC_H
#define SCHEDRUN_PRODUCER_CATALOGUE_LOGIC_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/stored/world.h"

/* New logic of a job spec: an apply of that spec alone. */
struct logic_change {
	/* in: */
	struct text job_spec, branch, logic;
	struct text dataset; /* one of its outputs */
	/* out: */
	struct text stored;   /* its JSON, in the arena; none: no such spec */
	struct job_spec spec; /* that */
};

/*
 * 1: published, as a new generation; 2: it has that logic; 0: the catalogue has
 * no such spec of that dataset on the branch.  Blocks as an apply does.  -1:
 *   ERROR_INPUT  what is stored is malformed
 *   ERROR_RETRY  Redis does not answer, or another apply holds the lock
 *   ERROR_FATAL  as of catalogue_apply
 */
int logic_publish(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct logic_change *change, struct error *err);

/* The spec alone, nothing is published: 1, 0 or -1. */
int logic_read(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct logic_change *change, struct error *err);

#endif
