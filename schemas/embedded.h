#ifndef SCHEDRUN_SCHEMAS_EMBEDDED_H
#define SCHEDRUN_SCHEMAS_EMBEDDED_H

#include <stdint.h>

#include "common/base/text.h"

/*
 * The message schemas as shipped, and the file of their ids, inside the
 * programs: the .avsc texts themselves, because avro-c 1.11.1 drops
 * logicalType when it prints a parsed schema.
 */
enum message {
	MESSAGE_RUN_REQUEST,
	MESSAGE_SCHEDULE_RUN,
	MESSAGE_BUILD_REQUESTED,
	MESSAGES,
};

struct text message_schema(enum message message);
const char *message_name(enum message message); /* "schedrun.RunRequest" */

/* The id of the ids file, used where no registry is configured. */
uint32_t message_shipped_id(enum message message);

#endif
