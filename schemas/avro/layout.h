#ifndef SCHEDRUN_SCHEMAS_AVRO_LAYOUT_H
#define SCHEDRUN_SCHEMAS_AVRO_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"
#include "schemas/avro/reject.h"

/*
 * A writer's schema, compiled once for walking its bytes: bounds-checked, not
 * recursive, in time linear in the bytes.  avro-c parses the schema; no byte of
 * a record reaches avro-c that a walk has not passed, because avro-c 1.11.1
 * allocates what a length says and keeps it when it fails, and accepts enum
 * indexes, booleans and trailing bytes that Avro's specification does not.
 *
 * A layout may be walked by any number of threads.
 */
#define SCHEMA_SIZE_MAX ((size_t)256 * 1024)
#define SCHEMA_DEPTH_MAX 32
#define SCHEMA_NODES_MAX 8192
/* Records and lists within each other in a value: types may be recursive. */
#define VALUE_DEPTH_MAX 256

struct layout;

/*
 * Compiles a record's schema.  NULL with REJECT_BAD_SCHEMA: not a schema, over
 * the caps, or a record without an end; REJECT_WRONG_SCHEMA: not the record
 * `full_name`, whose namespace doesn't count.
 */
struct layout *layout_compile(
    struct text schema, const char *full_name, struct rejection *rejection);
void layout_destroy(struct layout *layout); /* NULL is fine */
/* Whether a type holds itself: no schema then says how much a value takes. */
bool layout_is_recursive(const struct layout *layout);
/* About how much memory it takes. */
size_t layout_size(const struct layout *layout);

/* How a reader wants a field: what the writer's types are turned into. */
enum wanted {
	WANTED_TEXT,         /* string; also of bytes */
	WANTED_TEXT_OR_NULL, /* the same, or null: TEXT_NONE */
	WANTED_LONG,         /* long; also of int; a time in milliseconds,
				also of timestamp-micros and -nanos */
};

struct wanted_field {
	const char *name;
	enum wanted wanted;
	bool has_default; /* may be missing: null */
};

union field_value {
	struct text text;
	int64_t number;
};

/*
 * Maps the reader's fields onto the writer's by name.  0, or -1 with
 * REJECT_WRONG_SCHEMA: one without default is missing, or its type can't become
 * the reader's.  `fields` must live as long as the layout.
 */
int layout_want(struct layout *layout, const struct wanted_field *fields,
    size_t n, struct rejection *rejection);

/*
 * Walks a body to its last byte and hands out the wanted fields, texts borrowed
 * from the body.  `values` has one for each wanted field (may be NULL if none
 * are).  0, or -1 with REJECT_MALFORMED, REJECT_TRAILING_BYTES, or
 * REJECT_WRONG_SCHEMA where a union holds a type that the reader can't have.
 */
int layout_walk(const struct layout *layout, struct text body,
    union field_value *values, struct rejection *rejection);

/* One of the writer's fields as it stands in a body, for people's eyes. */
struct layout_field {
	const char *name; /* the layout's */
	size_t from, to;  /* its bytes; of a broken one up to the fault */
	enum {
		FIELD_IS_NULL,
		FIELD_IS_TEXT,
		FIELD_IS_NUMBER,
		FIELD_IS_OTHER, /* known by its bytes only */
		FIELD_IS_BROKEN,
	} kind;
	struct text text; /* borrowed from the body */
	int64_t number;
};

/*
 * Reads the i-th field from `field->to` on, which is where the one before it
 * ended (the first: 0).  False: there are no more.
 */
bool layout_look(const struct layout *layout, struct text body, uint32_t i,
    struct layout_field *field);

#endif
