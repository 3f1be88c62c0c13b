#ifndef SCHEDRUN_SCHEMAS_AVRO_REJECT_H
#define SCHEDRUN_SCHEMAS_AVRO_REJECT_H

/*
 * Why a record's bytes are not a message of ours: the reasons of
 * docs/faults.md, section 2, in its order.  A rejection is about this record
 * only.
 */
enum reject {
	REJECT_EMPTY,
	REJECT_TOO_LARGE,
	REJECT_TRUNCATED_HEADER,
	REJECT_BAD_MAGIC,
	REJECT_UNKNOWN_SCHEMA,
	REJECT_WRONG_SCHEMA,
	REJECT_BAD_SCHEMA,
	REJECT_MALFORMED,
	REJECT_TRAILING_BYTES,
	REJECT_INVALID_FIELD,
	REJECT_REASONS,
};

struct rejection {
	enum reject reason;
	char detail[160]; /* for people; no payload in it */
};

/* Sets both and returns -1. */
int reject(struct rejection *rejection, enum reject reason, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

#endif
