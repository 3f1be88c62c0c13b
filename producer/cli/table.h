#ifndef SCHEDRUN_PRODUCER_CLI_TABLE_H
#define SCHEDRUN_PRODUCER_CLI_TABLE_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

/*
 * What a command lists, in the form that -o asks for: columns under headings
 * for a person, an array of objects (json) or an object per line (jsonl) for a
 * program.  Cells are given row by row, from left to right.
 */
struct table;

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };

struct column {
	const char *heading; /* "LAG" */
	const char *member;  /* "lag"; NULL ends the columns */
};

/* `columns` must outlive the table. */
struct table *table_create(enum output output, const struct column *columns);
void table_destroy(struct table *table); /* NULL is fine */
const struct column *table_columns(const struct table *table);

/* The next cell, copied.  No text: "-" for a person, null for a program. */
void table_text(struct table *table, struct text text);
void table_string(struct table *table, const char *string);
void table_number(struct table *table, int64_t number);
void table_none(struct table *table);

/* A record's next line under FIELD and VALUE; without a value none. */
extern const struct column table_record[];
void table_field(struct table *table, const char *name, struct text value);

/*
 * Appends all rows and forgets them.  A person gets the headings the first time
 * alone, and columns that only grow: rows may come one after another.  Control
 * characters in a cell are never sent to a terminal: what stands in a topic
 * must not steer it.
 */
void table_write(struct table *table, struct buffer *out);

#endif
