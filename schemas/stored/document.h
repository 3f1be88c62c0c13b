#ifndef SCHEDRUN_SCHEMAS_STORED_DOCUMENT_H
#define SCHEDRUN_SCHEMAS_STORED_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/json/node.h"

/*
 * Reading documents: each value is checked where it stands, every fault is kept
 * with its JSON path, and reading goes on, so that a person sees all of them at
 * once.  After the last read a document is good if and only if it has no fault.
 * Rules: docs/semantics.md, section 5.
 */
#define DOCUMENT_DEPTH_MAX 64
#define DOCUMENT_TEXT_MAX 200
#define FAULTS_KEPT_MAX 1000

/* Where a value stands: a chain on the callers' stacks, printed on a fault. */
struct place {
	const struct place *parent; /* NULL: the document's root */
	struct text name;           /* of a member; none: an element */
	size_t index;
};

/* What was read goes to `arena`; faults are kept there too. */
struct reader {
	struct arena *arena;
	struct text *faults; /* "$.a.b[3]: what"; NULL before the first */
	size_t n_faults;     /* all, kept or not */
};

/* In the arena, without faults. */
struct reader *reader_create(struct arena *arena);

/* Where a member or an element is; `parent` and `name` are borrowed. */
struct place place_member(const struct place *parent, struct text name);
/* The same of an element, counted from 0. */
struct place place_index(const struct place *parent, size_t index);

/* Notes one, with its path; of the 1,001st on they are only counted. */
void reader_fault(struct reader *reader, const struct place *place,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Where it is as a text in the arena, for a fault that shows later. */
struct text place_path(struct reader *reader, const struct place *place);
/* As reader_fault, at a place_path. */
void reader_fault_at(struct reader *reader, struct text path,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Takes over the faults of another reader, with their texts. */
void reader_adopt(struct reader *reader, const struct reader *from);

/* 0, or -1 with ERROR_INPUT: the first fault, and how many more there are. */
int reader_result(const struct reader *reader, struct error *err);

/*
 * Whether it is an object; faults for members that `known` (ended by NULL)
 * hasn't got, and for a known one marked "*name" that is missing.
 */
bool read_object(struct reader *reader, const struct place *place,
    const struct json *node, const char *const *known);
/* Whether it is of this type; a fault if not. */
bool read_is(struct reader *reader, const struct place *place,
    const struct json *node, enum json_type type);

/*
 * A member of an object that read_object has passed; `fallback` if it is not
 * there.  Texts are copied to the arena: 1 to 200 bytes without control
 * characters.  `_or_null` takes null as TEXT_NONE.
 */
struct text read_text(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name);
struct text read_text_or_null(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name);
struct text read_rid(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name);
struct text read_rid_or_null(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name);
bool read_bool(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, bool fallback);
int32_t read_int(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, int32_t fallback);
/* Index of the member's text in `names` (ended by NULL). */
int read_choice(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, const char *const *names,
    int fallback);

/* The node itself, or an object's key. */
struct text read_rid_node(
    struct reader *reader, const struct place *place, const struct json *node);
struct text read_key(struct reader *reader, const struct place *place,
    struct text key, size_t max);
struct text read_rid_key(
    struct reader *reader, const struct place *place, struct text key);

/* A list of texts in the order and with the repeats written. */
struct text_list;
void read_text_list(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, struct text_list *list);

/* The same as a set: ascending, once each.  Returns how many were written. */
size_t read_rid_set(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, struct text_list *list);

/* Sorts by bytes and drops repeats, in place; returns how many are left. */
size_t text_sort_unique(struct text *texts, size_t n);

#endif
