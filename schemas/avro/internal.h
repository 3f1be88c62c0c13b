#ifndef SCHEDRUN_SCHEMAS_AVRO_INTERNAL_H
#define SCHEDRUN_SCHEMAS_AVRO_INTERNAL_H

#include "schemas/avro/layout.h"

/* A compiled schema's inside: what layout.c makes and walk.c walks. */
enum node_type {
	NODE_NULL,
	NODE_BOOLEAN,
	NODE_INT,
	NODE_LONG,
	NODE_FLOAT,
	NODE_DOUBLE,
	NODE_BYTES,
	NODE_STRING,
	NODE_FIXED,
	NODE_ENUM,
	NODE_ARRAY,
	NODE_MAP,
	NODE_UNION,
	NODE_RECORD,
};

struct node {
	enum node_type type;
	uint32_t first;  /* of its children in layout.children */
	uint32_t n;      /* children; symbols of an enum */
	uint32_t height; /* 1 + that of its highest child; 1 if it holds itself
			  */
	int64_t size;    /* of a fixed */
	int64_t least;   /* bytes that a value takes at least; 0: always 0 */
	int64_t weight;  /* bytes of memory that avro-c takes for one */
};

struct layout {
	struct node *nodes;
	size_t n_nodes;
	uint32_t *children; /* indexes into nodes */
	size_t n_children;
	bool is_recursive;
	char **names;   /* of the root record's fields */
	int32_t *slots; /* for each of them the wanted field, or -1 */
	int64_t *units; /* for each what a millisecond is: 1, 1000, 1000000 */
	const struct wanted_field *wanted;
	size_t n_wanted;
};

/* The i-th child of a node that has so many. */
static inline struct node *
layout_child(const struct layout *layout, const struct node *node, uint32_t i)
{
	return &layout->nodes[layout->children[node->first + i]];
}

#endif
