#ifndef SCHEDRUN_SCHEMAS_REGISTRY_H
#define SCHEDRUN_SCHEMAS_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/error.h"
#include "common/text.h"
#include "schemas/embedded.h"

/*
 * Schema ids: from a Confluent schema registry if schema.registry.url is set,
 * else those of the shipped ids file.  Answers are cached: an id never gets
 * another schema.  One thread at a time.
 */
struct registry;

/* NULL with ERROR_FATAL: the settings make no sense. */
struct registry *registry_create(
    const struct config *config, struct error *err);
void registry_destroy(struct registry *registry); /* NULL is fine */

/*
 * The writer's schema of an id, valid until the registry is destroyed; no text:
 * the id is unknown.  -1 with ERROR_RETRY: the registry did not answer (an
 * unknown id must wait, it is not a dead letter yet).
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

/* Whether there is a registry: else ids are the shipped ones. */
bool registry_is_remote(const struct registry *registry);

#endif
