#ifndef SCHEDRUN_PRODUCER_CATALOGUE_FIELDS_H
#define SCHEDRUN_PRODUCER_CATALOGUE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"

/*
 * Fields and values of a Redis hash in memory: what `apply` merges and `export`
 * prints.  Texts are copied to the table's arena.  One thread at a time.
 */
struct fields;

struct field {
	struct text name;
	struct text value;
};

/* Empty; `arena` is borrowed and must outlive it, and its reset ends it. */
struct fields *fields_create(struct arena *arena);
void fields_destroy(struct fields *fields); /* NULL is fine */

/* How many there are, and the arena that their texts are copied to. */
size_t fields_size(const struct fields *fields);
struct arena *fields_arena(const struct fields *fields);
/* The value, or no text. */
struct text fields_get(const struct fields *fields, struct text name);
/* The name as the table has it, or no text. */
struct text fields_name(const struct fields *fields, struct text name);
void fields_put(struct fields *fields, struct text name, struct text value);
/* The same without a copy: the texts must outlive the table. */
void fields_share(struct fields *fields, struct field field);
void fields_remove(struct fields *fields, struct text name);

/*
 * All fields, fields_size of them: the table's own, in no order and valid until
 * it changes or is destroyed, or those of now in the arena, ascending by name.
 */
const struct field *fields_list(const struct fields *fields);
const struct field *fields_sorted(const struct fields *fields);

/*
 * Reads a whole hash, by HSCAN: it may be larger than one answer.  A key that
 * is not there is empty.  Errors as of redis_receive and redis_reply_error,
 * naming the key; ERROR_INPUT: a value over REDIS_VALUE_MAX.
 */
int fields_read(struct fields *fields, struct redis *redis, struct text key,
    struct error *err);

#define FIELDS_CURSOR_SIZE 32
/*
 * A step of that: some hundred fields, from the cursor on, which is "0" at
 * first and again behind the last step.
 */
int fields_scan(struct fields *fields, struct redis *redis, struct text key,
    char cursor[FIELDS_CURSOR_SIZE], struct error *err);

/* Writes `n` of a list to a hash, pipelined.  Errors as of fields_read. */
int fields_write(struct redis *redis, struct text key, const struct field *list,
    size_t n, struct error *err);

/* Reads only these names, in pieces.  Those not there stay out. */
int fields_read_some(struct fields *fields, struct redis *redis,
    struct text key, const struct text *names, size_t n, struct error *err);

/*
 * The same in steps, for who shares his round trips: queues one command for the
 * first of the names, as many as fit; then hears how many those were (-1:
 * failed), to ask for the rest.
 */
void fields_ask_some(
    struct redis *redis, struct text key, const struct text *names, size_t n);
int fields_hear_some(struct fields *fields, struct redis *redis,
    struct text key, const struct text *names, size_t n, struct error *err);

#endif
