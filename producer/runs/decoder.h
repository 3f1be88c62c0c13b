#ifndef SCHEDRUN_PRODUCER_RUNS_DECODER_H
#define SCHEDRUN_PRODUCER_RUNS_DECODER_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "common/crypto/rid.h"
#include "common/kafka/consumer.h"
#include "schemas/avro/registry.h"
#include "schemas/embedded.h"
#include "schemas/message/schedule_run.h"

/*
 * Reads results, or build events, each by the schema that wrote it, which is
 * kept for the next.  One thread at a time; may block where the registry must
 * be asked.
 */
struct message_decoder;

/* Of one kind of message.  NULL: ERROR_FATAL, the settings make no sense. */
struct message_decoder *message_decoder_create(
    enum message message, const struct config *config, struct error *err);
/*
 * From now on an id is asked for by a thread, and waited for 200 ms at most:
 * see registry_start.
 */
void message_decoder_start(struct message_decoder *decoder);
/* Whether what it needed lately the registry does not tell: registry_state. */
enum registry_state message_decoder_state(
    struct message_decoder *decoder, struct error *why);
void message_decoder_destroy(
    struct message_decoder *decoder); /* NULL is fine */

/*
 * Decodes a record of the results topic, by a decoder of MESSAGE_SCHEDULE_RUN;
 * texts are copied to `arena`, its place is set.
 *   ERROR_INPUT  it is no ScheduleRun; the message says where it stands
 *   ERROR_RETRY  the schema registry does not answer; try this one again
 */
int decode_result(struct message_decoder *decoder,
    const struct kafka_record *record, struct arena *arena,
    struct schedule_run *run, struct error *err);

/*
 * Decodes a build event, the value as on the topic, which the run view keeps as
 * well (`b`, field `e`), by a decoder of MESSAGE_BUILD_REQUESTED, and checks
 * it: it is the build's, each job has an output, every position of a job is
 * inside the list, and what a job waits for comes before it.  Everything goes
 * to `arena`. ERROR_INPUT  it is malformed, or its schema is unknown
 *   ERROR_RETRY  the registry does not answer
 */
struct build_requested;
int decode_build(struct message_decoder *decoder, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err);

/* The same of a single one, by a decoder made for it. */
int decode_build_once(const struct config *config, struct text event,
    const struct uuid *build, struct arena *arena, struct build_requested *out,
    struct error *err);

#endif
