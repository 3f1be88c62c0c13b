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
 * go: an id never gets another schema.  Only a registry that says so, by 404
 * with error_code 40403, makes an id unknown, and that only once it has said so
 * for registry.wait: a node may lag.  Whatever else comes instead of an answer
 * is an outage.  One thread at a time.
 */
struct registry;

/* NULL with ERROR_FATAL: the settings make no sense. */
struct registry *registry_create(
    const struct config *config, struct error *err);
void registry_destroy(struct registry *registry); /* NULL is fine */

/*
 * From now on ids are asked for by a thread of the registry's own, and
 * registry_schema blocks for 200 ms at most: for whoever has others to serve.
 */
void registry_start(struct registry *registry);

/*
 * The writer's schema of an id, valid until the next call; no text: the id is
 * unknown; what is no schema (too large, not Avro) is "{}".  -1 with
 * ERROR_RETRY: the registry is away, or lacks it for less than registry.wait
 * (an id must wait, it is no dead letter yet); exit_code 77 if it refuses us.
 * To be called again then: it asks as often as is right.  Blocks for up to 5 s.
 */
int registry_schema(struct registry *registry, uint32_t id, struct text *schema,
    struct error *err);

/*
 * Of the ids that were wanted within the last 2 s: whether one can't be had as
 * the registry is away, or lacks it yet; `why` then says so.
 */
enum registry_state { REGISTRY_FINE, REGISTRY_LACKS, REGISTRY_AWAY };
enum registry_state registry_state(
    struct registry *registry, struct error *why);

/* Whether the last question got no answer that is a registry's. */
bool registry_is_away(const struct registry *registry);

/*
 * The id under which this message is written.  With a registry the shipped
 * schema is looked up in the subject "<topic>-value"; ERROR_RETRY also if it is
 * not registered yet ("run schedrun init").  Blocks for up to 5 s.
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
