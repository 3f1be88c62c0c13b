#ifndef SCHEDRUN_SCHEMAS_STORED_TRIGGER_H
#define SCHEDRUN_SCHEMAS_STORED_TRIGGER_H

#include <stdbool.h>

#include "common/base/text.h"
#include "common/base/zones.h"
#include "common/json/node.h"
#include "schemas/stored/document.h"

/*
 * Triggers: when a schedule runs by itself (docs/http.md, section 4).  The API
 * takes and shows only well-formed ones; what is due by time is found by
 * producer/trigger.  `and` and `or` nest.
 */
enum trigger_type {
	TRIGGER_TIME,
	TRIGGER_AND,
	TRIGGER_OR,
	TRIGGER_DATASET_UPDATED,
	TRIGGER_NEW_LOGIC,
	TRIGGER_JOB_SUCCEEDED,
	TRIGGER_TABLE_UPDATED,
	TRIGGER_MEDIA_SET_UPDATED,
	TRIGGER_SCHEDULE_SUCCEEDED,
	TRIGGER_SCHEDULE_FAILED,
	TRIGGER_MANUAL,
	TRIGGER_TYPES,
};

const char *trigger_type_name(enum trigger_type type); /* "datasetUpdated" */
/* Whether a trigger's document, which may be anything, is of this type. */
bool trigger_is(const struct json *node, enum trigger_type type);

/* What is wrong in a way that the API has a name for; the first one found. */
enum trigger_flaw {
	TRIGGER_FINE,
	TRIGGER_EMPTY_AND,
	TRIGGER_EMPTY_OR,
	TRIGGER_BAD_CRON,
};

struct trigger {
	bool has[TRIGGER_TYPES]; /* types in it, at any depth */
	enum trigger_flaw flaw;
	struct text cron; /* of TRIGGER_BAD_CRON, in the reader's arena */
};

/*
 * Reads it whole; faults that have no flaw's name are the reader's.  `zones`:
 * where time zones are looked for, which blocks for the disk; NULL: any will
 * do.
 */
void trigger_read(struct reader *reader, const struct place *place,
    const struct json *node, struct zones *zones, struct trigger *trigger);

#endif
