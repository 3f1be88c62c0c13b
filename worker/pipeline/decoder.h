#ifndef SCHEDRUN_WORKER_PIPELINE_DECODER_H
#define SCHEDRUN_WORKER_PIPELINE_DECODER_H

#include "common/base/error.h"
#include "schemas/avro/registry.h"
#include "worker/base/batch.h"

/*
 * Guard and decode: a Kafka record becomes a request, or a dead letter with its
 * reason.  Writers' schemas are compiled once per id.  Thread: stage A.
 */
struct decoder;

/* Never NULL; the registry is borrowed. */
struct decoder *decoder_create(struct registry *registry);
void decoder_destroy(struct decoder *decoder); /* NULL is fine */

/*
 * Decides record `i` of the batch: FATE_CLAIMED with its run's id, and its
 * claim, to be taken, behind those the batch has; or FATE_DEAD with reason and
 * detail.  The request borrows from the record.  -1 with ERROR_RETRY: the
 * registry does not say yet what `awaited`, its schema, is; nothing is decided.
 * Blocks for the registry only, as registry_schema does.
 */
int decoder_decode(struct decoder *decoder, struct batch *batch, size_t i,
    uint32_t *awaited, struct error *err);

/* Whether what a record by this schema is can be decided now.  Asks for it. */
bool decoder_is_told(struct decoder *decoder, uint32_t schema);

#endif
