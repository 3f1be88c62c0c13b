#ifndef SCHEDRUN_PRODUCER_CLI_TABLE_H
#define SCHEDRUN_PRODUCER_CLI_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "common/base/text.h"
#include "producer/cli/command.h"

/*
 * What a command lists, in the form that -o asks for: columns under headings
 * for a person, an array of objects (json) or an object per line (jsonl) for a
 * program.  Cells are given row by row, from left to right.
 */
struct table;

struct column {
	const char *heading; /* "LAG" */
	const char *member;  /* "lag"; NULL ends the columns */
};

/* `columns` must outlive the table. */
struct table *table_create(enum output output, const struct column *columns);
void table_destroy(struct table *table); /* NULL is fine */

/* The next cell, copied.  No text: "-" for a person, null for a program. */
void table_text(struct table *table, struct text text);
void table_string(struct table *table, const char *string);
void table_number(struct table *table, int64_t number);
void table_none(struct table *table);

/*
 * Prints all rows to `out` and forgets them.  Control characters in a cell are
 * never sent to a terminal: what stands in a topic must not steer it.
 */
void table_print(struct table *table, FILE *out);

#endif
