#ifndef SCHEDRUN_COMMON_JSON_NODE_H
#define SCHEDRUN_COMMON_JSON_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"

/*
 * JSON from outside, parsed with caps (RFC 8259, RFC 7493): UTF-8, one
 * document, no duplicate member, no lone surrogate, no NaN, bounded depth.
 * The only place that parses JSON text, and not a library's parser, because a
 * document has parts that nobody looks into: there any number and any
 * character must pass, and be written again as it came.  It takes a third of
 * jansson's time and half its memory.  Nodes belong to the document.
 */
struct json_document;
struct json; /* a node; NULL where there is none */

enum json_type {
	JSON_TYPE_NULL,
	JSON_TYPE_BOOL,
	JSON_TYPE_INTEGER, /* no fraction, no exponent, and fits int64_t */
	JSON_TYPE_NUMBER,  /* any other number */
	JSON_TYPE_STRING,
	JSON_TYPE_ARRAY,
	JSON_TYPE_OBJECT,
};

/*
 * Parses `bytes`, behind a byte order mark if they begin with one (RFC 8259,
 * section 8.1, allows it), nested at most `depth_max` deep.  The caller has
 * capped the size.  Returns the document, to be destroyed by the caller, or
 * NULL with ERROR_INPUT naming line and column.
 */
struct json_document *json_parse(
    struct text bytes, size_t depth_max, struct error *err);
void json_destroy(struct json_document *document); /* NULL is fine */

/* The document's value; never NULL. */
const struct json *json_root(const struct json_document *document);

enum json_type json_type_of(const struct json *node); /* NULL: null */
/* What a node of another type hasn't got is false, 0, none. */
bool json_bool(const struct json *node);
int64_t json_int(const struct json *node);
double json_number(const struct json *node);      /* of an INTEGER or NUMBER */
struct text json_digits(const struct json *node); /* the same as written */
/* UTF-8; a NUL may be inside ("\u0000"), and one stands behind the end. */
struct text json_text(const struct json *node);
/* A string or an integer's digits, as ids come; none if it is neither, or "".
 */
struct text json_word(const struct json *node);
const char *json_type_name(enum json_type type); /* "string", for messages */

size_t json_size(const struct json *node); /* elements or members */
/* NULL: it is no array, or not so long. */
const struct json *json_at(const struct json *array, size_t i);
/* NULL: it is no object, or has no such member. */
const struct json *json_get(const struct json *object, const char *name);

/*
 * Walks an object's members in the order they were written:
 *   struct json_member m = {0};
 *   while (json_next(object, &m)) ... m.name, m.value ...
 */
struct json_member {
	struct text name;
	const struct json *value;
	size_t position;
};
bool json_next(const struct json *object, struct json_member *member);

/*
 * Who makes a container's children when they are asked for: `child` gives the
 * one at `i`, and sets its name if the container is an object; `destroy` ends
 * the maker.  The document of such a container, with `n` children, owns it.
 */
struct json_maker {
	const struct json *(*child)(
	    struct json_maker *maker, size_t i, struct text *name);
	void (*destroy)(struct json_maker *maker);
};
struct json_document *json_made(
    struct json_maker *maker, enum json_type type, size_t n);

#endif
