#ifndef SCHEDRUN_SCHEMAS_AVRO_READER_H
#define SCHEDRUN_SCHEMAS_AVRO_READER_H

#include "common/base/text.h"
#include "schemas/avro/reject.h"
#include "schemas/embedded.h"

/*
 * A writer's schema made ready for reading whole messages through avro-c: for
 * programs that read results and builds, not for the worker's path.  Bytes are
 * walked before avro-c sees them.  One thread at a time.
 */
struct message_reader;

/* NULL with REJECT_BAD_SCHEMA or REJECT_WRONG_SCHEMA (another message). */
struct message_reader *message_reader_create(
    enum message message, struct text schema, struct rejection *rejection);
void message_reader_destroy(struct message_reader *reader); /* NULL is fine */

#endif
