#ifndef SCHEDRUN_COMMON_JSON_INTERNAL_H
#define SCHEDRUN_COMMON_JSON_INTERNAL_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/json/node.h"

/*
 * What the parser makes and node.c looks at; nothing else includes this.  All
 * of a document is in one arena: the copy of its text, in which strings are
 * decoded where they stand, and the nodes, children side by side.
 */
struct json_object;

struct json {
	enum json_type type;
	bool truth; /* of a BOOL */
	size_t n;   /* bytes of a text, elements or members */
	union {
		const char *text; /* of a STRING, NUL after it; of a number */
		const struct json *items;
		const struct json_object *object;
	} is;
};

struct json_named {
	struct text name; /* a NUL after it */
	struct json value;
};

#define JSON_FEW 8 /* so many members are found by looking at each */

struct json_object {
	const struct json_named *members; /* as written */
	uint32_t *slots; /* numbers of members + 1 by hash; NULL if few */
	size_t mask;
};

struct json_document {
	struct arena *arena; /* holds this struct */
	struct json root;
};

/* The number of the member of this name among `n`, n if there is none. */
size_t json_find(const struct json_object *object, size_t n, struct text name);

#endif
