#ifndef SCHEDRUN_PRODUCER_AUTH_ROLE_CACHE_H
#define SCHEDRUN_PRODUCER_AUTH_ROLE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/text.h"

/*
 * What users may do in projects, of one generation of the catalogue.  A
 * generation never changes once it is published (docs/keyspace.md, section 3),
 * so what is remembered of it is true as long as it is the current one, which
 * the caller has just read.  Bounded; one thread.
 */
struct role_cache;

enum right { RIGHT_NONE, RIGHT_VIEW, RIGHT_ACT };

/* Takes all its memory. */
struct role_cache *role_cache_create(void);
void role_cache_destroy(struct role_cache *cache); /* NULL is fine */

/*
 * Whether it is known what `user` may do in `project`; `*right` is written only
 * then.  Another generation than the last one forgets all.
 */
bool role_cache_get(struct role_cache *cache, int64_t generation,
    struct text user, struct text project, enum right *right);

/* Remembers it; what was used least lately may be forgotten for it. */
void role_cache_put(struct role_cache *cache, int64_t generation,
    struct text user, struct text project, enum right right);

#endif
