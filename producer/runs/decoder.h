#ifndef SCHEDRUN_PRODUCER_RUNS_DECODER_H
#define SCHEDRUN_PRODUCER_RUNS_DECODER_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "common/kafka/consumer.h"
#include "schemas/message/schedule_run.h"

/*
 * Reads records of the results topic, each by the schema that wrote it.  One
 * thread at a time.
 */
struct result_decoder;

/* NULL: ERROR_FATAL, the settings make no sense. */
struct result_decoder *result_decoder_create(
    const struct config *config, struct error *err);
void result_decoder_destroy(struct result_decoder *decoder); /* NULL is fine */

/*
 * Decodes a record; texts are copied to `arena`, its place is set.
 *   ERROR_INPUT  it is no ScheduleRun; the message says where it stands
 *   ERROR_RETRY  the schema registry does not answer; try this one again
 */
int result_decoder_read(struct result_decoder *decoder,
    const struct kafka_record *record, struct arena *arena,
    struct schedule_run *run, struct error *err);

#endif
