#ifndef SCHEDRUN_SCHEMAS_AVRO_REGISTRY_H
#define SCHEDRUN_SCHEMAS_AVRO_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "schemas/embedded.h"

/*
 * Schema ids: from a Confluent schema registry if schema.registry.url is set,
 * else those of the shipped ids file.  Answers are cached, the least used let
 * go: an id never gets another schema, but one that is unknown may become known
 * (it is asked for again after 10 s).  One thread at a time.
 */
struct registry;

/* NULL with ERROR_FATAL: the settings make no sense. */
struct registry *registry_create(
    const struct config *config, struct error *err);
void registry_destroy(struct registry *registry); /* NULL is fine */

/*
 * The writer's schema of an id, valid until the next call; no text: the id is
 * unknown; what is no schema (too large, not Avro) is "{}".  -1 with
 * ERROR_RETRY: the registry did not answer (an id must wait, it is no dead
 * letter yet); ERROR_FATAL (77): it refuses us.
 */
int registry_schema(struct registry *registry, uint32_t id, struct text *schema,
    struct error *err);

/*
 * The id under which this message is written.  With a registry the shipped
 * schema is looked up in the subject "<topic>-value"; ERROR_RETRY also if it is
 * not registered yet ("run schedrun init").
 */
int registry_id(struct registry *registry, enum message message,
    const char *topic, uint32_t *id, struct error *err);

/* Registers the shipped schema; does nothing without a registry. */
int registry_register(struct registry *registry, enum message message,
    const char *topic, uint32_t *id, struct error *err);

/* Another clock than clock_monotonic_ms: for tests. */
void registry_set_clock(struct registry *registry, int64_t (*now)(void));

/* Whether there is a registry: else ids are the shipped ones. */
bool registry_is_remote(const struct registry *registry);

#endif
