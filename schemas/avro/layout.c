#include <avro.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/json/node.h"
#include "schemas/avro/internal.h"

/*
 * From avro-c's tree to a table, in three steps: number what is met, breadth
 * first and a named type once (node_of, expand_node); find heights, sizes and
 * weights from the leaves up (measure_all); keep the root's names, by which a
 * reader finds his fields (layout_want).  Named types make it a graph: ten
 * records of two fields, each of the type before, are a dozen nodes here and
 * would be a thousand and more as a tree.
 */
#define VALUE_WEIGHT 64 /* of a value itself, whatever it holds */
#define NODES_FIRST 32

/* Schemas met and the nodes made of them: a named type is one node. */
struct compiler {
	struct layout *layout;
	avro_schema_t *schemas; /* of each node */
	size_t capacity, children_capacity;
	struct rejection *rejection;
};

static int
refuse_schema(struct compiler *compiler, const char *why)
{
	return reject(compiler->rejection, REJECT_BAD_SCHEMA, "%s", why);
}

/* avro-c keeps a use of a named type as a link to it. */
static avro_schema_t
follow_link(avro_schema_t schema)
{
	while (is_avro_link(schema))
		schema = avro_schema_link_target(schema);
	return schema;
}

static bool
is_named(avro_schema_t schema)
{
	return is_avro_record(schema) || is_avro_enum(schema) ||
	    is_avro_fixed(schema);
}

/*
 * The node of a schema, made if it is not a named type seen before; -1.  The
 * search is linear: a schema is compiled once, and has a bound.  Nodes may move
 * by this: whoever goes on has their numbers, not their places.
 */
static int64_t
node_of(struct compiler *compiler, avro_schema_t schema)
{
	struct layout *layout = compiler->layout;
	size_t i;

	schema = follow_link(schema);
	/* Not the root: what a reader asks of it is not for a use of it below.
	 */
	for (i = 1; is_named(schema) && i < layout->n_nodes; i++)
		if (compiler->schemas[i] == schema)
			return (int64_t)i;
	if (layout->n_nodes == SCHEMA_NODES_MAX)
		return refuse_schema(compiler, "the schema has too many parts");
	if (layout->n_nodes == compiler->capacity) {
		compiler->capacity *= 2;
		layout->nodes = memory_resize(
		    layout->nodes, compiler->capacity, sizeof *layout->nodes);
		compiler->schemas = memory_resize(compiler->schemas,
		    compiler->capacity, sizeof(avro_schema_t));
	}
	layout->nodes[layout->n_nodes] = (struct node){ 0 };
	compiler->schemas[layout->n_nodes] = schema;
	return (int64_t)layout->n_nodes++;
}

/*
 * A node's children lie side by side, so that a range names them: a node gets
 * all of its own before the next one is expanded.
 */
static int
add_child(struct compiler *compiler, size_t parent, avro_schema_t schema)
{
	struct layout *layout = compiler->layout;
	int64_t child = node_of(compiler, schema);

	if (child < 0)
		return -1;
	if (layout->n_children == compiler->children_capacity) {
		compiler->children_capacity =
		    compiler->children_capacity * 2 + 16;
		layout->children = memory_resize(layout->children,
		    compiler->children_capacity, sizeof *layout->children);
	}
	layout->children[layout->n_children++] = (uint32_t)child;
	layout->nodes[parent].n++;
	return 0;
}

/* A link was followed before; avro-c 1.12 has one more, AVRO_INVALID. */
static const enum node_type node_types[AVRO_LINK] = {
	[AVRO_STRING] = NODE_STRING,
	[AVRO_BYTES] = NODE_BYTES,
	[AVRO_INT32] = NODE_INT,
	[AVRO_INT64] = NODE_LONG,
	[AVRO_FLOAT] = NODE_FLOAT,
	[AVRO_DOUBLE] = NODE_DOUBLE,
	[AVRO_BOOLEAN] = NODE_BOOLEAN,
	[AVRO_NULL] = NODE_NULL,
	[AVRO_RECORD] = NODE_RECORD,
	[AVRO_ENUM] = NODE_ENUM,
	[AVRO_FIXED] = NODE_FIXED,
	[AVRO_MAP] = NODE_MAP,
	[AVRO_ARRAY] = NODE_ARRAY,
	[AVRO_UNION] = NODE_UNION,
};

/* Type and children of a node that was only numbered so far. */
static int
expand_node(struct compiler *compiler, size_t number)
{
	struct layout *layout = compiler->layout;
	avro_schema_t schema = compiler->schemas[number];
	int avro_type = (int)avro_typeof(schema);
	enum node_type type = avro_type >= 0 && avro_type < AVRO_LINK
	    ? node_types[avro_type]
	    : NODE_NULL;
	struct node *node = &layout->nodes[number];
	size_t i, n;

	node->type = type;
	node->first = (uint32_t)layout->n_children;
	if (type == NODE_ENUM)
		node->n = (uint32_t)avro_schema_enum_number_of_symbols(schema);
	if (type == NODE_FIXED) {
		/* avro-c hands on whatever number the schema says. */
		node->size = avro_schema_fixed_size(schema);
		if (node->size < 0 || node->size > INT32_MAX)
			return refuse_schema(
			    compiler, "a fixed of a size that none can have");
	}
	if (type == NODE_ARRAY)
		return add_child(
		    compiler, number, avro_schema_array_items(schema));
	if (type == NODE_MAP)
		return add_child(
		    compiler, number, avro_schema_map_values(schema));
	if (type != NODE_RECORD && type != NODE_UNION)
		return 0;
	n = type == NODE_RECORD ? avro_schema_record_size(schema)
				: avro_schema_union_size(schema);
	for (i = 0; i < n; i++)
		if (add_child(compiler, number,
			type == NODE_RECORD
			    ? avro_schema_record_field_get_by_index(
				  schema, (int)i)
			    : avro_schema_union_branch(schema, (int)i)) != 0)
			return -1;
	/* No index could name a branch of an empty union. */
	if (n == 0 && type == NODE_UNION)
		return refuse_schema(compiler, "a union without branches");
	return 0;
}

static bool
has_children(const struct node *node)
{
	return node->type == NODE_RECORD || node->type == NODE_UNION ||
	    node->type == NODE_ARRAY || node->type == NODE_MAP;
}

/* Sums are cut where they are over any cap: none can overflow. */
static int64_t
at_most(int64_t value, int64_t max)
{
	return value < max ? value : max;
}

/*
 * Bytes of the smallest value, the children's being known.  What is counted or
 * numbered takes a byte at least: a length, a union's or enum's index, the zero
 * that ends a list.
 */
static int64_t
least_size(const struct layout *layout, const struct node *node)
{
	int64_t sum = 0;
	uint32_t i;

	if (node->type == NODE_RECORD) {
		for (i = 0; i < node->n; i++)
			sum += layout_child(layout, node, i)->least;
		return at_most(sum, INT32_MAX);
	}
	return node->type == NODE_NULL  ? 0
	    : node->type == NODE_FLOAT  ? 4
	    : node->type == NODE_DOUBLE ? 8
	    : node->type == NODE_FIXED  ? node->size
					: 1;
}

/*
 * Memory of a value in avro-c, generously: a record holds its fields, a union
 * room for its largest branch, and what is in a list comes on top.
 */
static int64_t
weigh_node(const struct layout *layout, const struct node *node)
{
	int64_t sum = 0, most = 0;
	uint32_t i;

	for (i = 0; node->type == NODE_RECORD && i < node->n; i++)
		sum += layout_child(layout, node, i)->weight;
	for (i = 0; node->type == NODE_UNION && i < node->n; i++)
		if (layout_child(layout, node, i)->weight > most)
			most = layout_child(layout, node, i)->weight;
	return at_most(VALUE_WEIGHT + node->size + sum + most, INT32_MAX);
}

/*
 * Leaves out of a record what takes no bytes, and puts in the place of a record
 * in it that has one field left this field.  So each step of a walk passes
 * bytes: no schema makes it slow.  The root keeps its fields as they are, and a
 * union its branches, because a reader asks for their types.
 */
static void
compact_node(struct layout *layout, struct node *node)
{
	uint32_t *children, kept = 0, i;

	if (node == &layout->nodes[0] || node->type == NODE_UNION ||
	    node->n == 0)
		return;
	children = layout->children + node->first;
	for (i = 0; i < node->n; i++) {
		const struct node *child = layout_child(layout, node, i);

		if (node->type == NODE_RECORD && child->least == 0)
			continue;
		children[kept++] = child->type == NODE_RECORD && child->n == 1
		    ? layout->children[child->first]
		    : children[i];
	}
	node->n = kept;
}

/* Gives a node its height once all its children have theirs. */
static bool
measure_node(struct layout *layout, struct node *node)
{
	uint32_t height = 0, i;

	for (i = 0; has_children(node) && i < node->n; i++) {
		const struct node *child = layout_child(layout, node, i);

		if (child->height == 0)
			return false;
		if (child->height > height)
			height = child->height;
	}
	node->height = height + 1;
	node->least = least_size(layout, node);
	node->weight = weigh_node(layout, node);
	if (has_children(node))
		compact_node(layout, node);
	return true;
}

/*
 * Rounds from the end, until nothing more is measured: each one a level at
 * least, so that of the last one's nodes some are too high.
 */
static void
measure_rounds(struct layout *layout)
{
	size_t round, i, measured = 1;

	for (round = 0; round <= SCHEMA_DEPTH_MAX && measured > 0; round++)
		for (measured = 0, i = layout->n_nodes; i-- > 0;)
			measured += layout->nodes[i].height == 0 &&
			    measure_node(layout, &layout->nodes[i]);
}

static bool
is_too_high(const struct layout *layout)
{
	size_t i = 0;

	while (
	    i < layout->n_nodes && layout->nodes[i].height <= SCHEMA_DEPTH_MAX)
		i++;
	return i < layout->n_nodes;
}

/*
 * What is left without a height holds itself, or what does.  A value of it ends
 * only in a union's other branch or an empty list, each of which takes a byte,
 * whatever is below.  False: there is nothing of the kind.
 */
static bool
measure_recursive(struct layout *layout)
{
	bool found = false;
	size_t i;

	for (i = 0; i < layout->n_nodes; i++) {
		struct node *node = &layout->nodes[i];

		if (node->height != 0 || node->type == NODE_RECORD)
			continue;
		found = true;
		node->height = 1;
		node->least = 1;
		node->weight = VALUE_WEIGHT;
	}
	return found;
}

/*
 * Heights from the leaves up.  Children have higher numbers than their parents,
 * but for named types that were met before, so the first round from the end
 * measures nearly all, and each one a level at least.  Where a type is
 * recursive, the depth of a walk is bounded by the walk alone.
 */
static int
measure_all(struct compiler *compiler)
{
	struct layout *layout = compiler->layout;
	size_t i;

	measure_rounds(layout);
	layout->is_recursive =
	    !is_too_high(layout) && measure_recursive(layout);
	if (layout->is_recursive)
		measure_rounds(layout);
	if (is_too_high(layout))
		return refuse_schema(compiler, "the schema is nested too deep");
	for (i = 0; i < layout->n_nodes; i++)
		if (layout->nodes[i].height == 0)
			return refuse_schema(compiler,
			    "a record that holds itself, without an end");
	return 0;
}

bool
layout_is_recursive(const struct layout *layout)
{
	return layout->is_recursive;
}

/* Only the root's: a reader wants fields of the record itself. */
static void
keep_names(struct layout *layout, avro_schema_t schema)
{
	uint32_t i, n = layout->nodes[0].n;

	layout->names = memory_zalloc(n, sizeof *layout->names);
	layout->slots = memory_zalloc(n, sizeof *layout->slots);
	layout->units = memory_zalloc(n, sizeof *layout->units);
	for (i = 0; i < n; i++) {
		layout->units[i] = 1;
		layout->names[i] = memory_copy_string(
		    avro_schema_record_field_name(schema, (int)i));
		layout->slots[i] = -1;
	}
}

/* What a millisecond is in a field's type as its schema's text has it. */
static int64_t
unit_of(const struct json *type)
{
	/* A union's branches stand in an array, and are no unions. */
	bool is_union = json_type_of(type) == JSON_TYPE_ARRAY;
	size_t n = is_union ? json_size(type) : 1, i;

	for (i = 0; i < n; i++) {
		const struct json *branch = is_union ? json_at(type, i) : type;
		struct text name = json_text(json_get(branch, "logicalType"));

		if (text_equal(name, TEXT("timestamp-micros")))
			return 1000;
		if (text_equal(name, TEXT("timestamp-nanos")))
			return 1000000;
	}
	return 1;
}

/* avro-c passes over logical types. */
static void
keep_units(struct layout *layout, const struct json *schema)
{
	const struct json *fields = json_get(schema, "fields");
	uint32_t i;

	for (i = 0; i < layout->nodes[0].n; i++)
		layout->units[i] =
		    unit_of(json_get(json_at(fields, i), "type"));
}

/* Avro's resolution compares names without their namespaces. */
static int
check_name(
    struct compiler *compiler, avro_schema_t schema, const char *full_name)
{
	const char *dot = strrchr(full_name, '.');

	if (!is_avro_record(schema))
		return reject(compiler->rejection, REJECT_WRONG_SCHEMA,
		    "the schema is no record, not %s", full_name);
	if (strcmp(avro_schema_name(schema), dot + 1) != 0)
		return reject(compiler->rejection, REJECT_WRONG_SCHEMA,
		    "the schema's record is %.60s, not %s",
		    avro_schema_name(schema), dot + 1);
	return 0;
}

static int
compile_schema(
    struct compiler *compiler, avro_schema_t schema, const char *full_name)
{
	size_t i;

	if (check_name(compiler, schema, full_name) != 0 ||
	    node_of(compiler, schema) < 0)
		return -1;
	/* Each may number more, behind it. */
	for (i = 0; i < compiler->layout->n_nodes; i++)
		if (expand_node(compiler, i) != 0)
			return -1;
	if (measure_all(compiler) != 0)
		return -1;
	keep_names(compiler->layout, schema);
	return 0;
}

/*
 * avro-c parses recursively: the nesting is bounded before it does.  A level of
 * Avro's takes four of JSON's: type, list of fields, field, its type.
 */
static struct json_document *
parse_text(struct text schema, struct rejection *rejection)
{
	struct json_document *document;
	struct error err;

	if (schema.size > SCHEMA_SIZE_MAX) {
		reject(rejection, REJECT_BAD_SCHEMA,
		    "a schema of %zu bytes, more than %zu", schema.size,
		    SCHEMA_SIZE_MAX);
		return NULL;
	}
	document = json_parse(schema, (size_t)4 * SCHEMA_DEPTH_MAX, &err);
	if (document == NULL)
		reject(rejection, REJECT_BAD_SCHEMA,
		    "the schema is not JSON: %.100s", err.message);
	return document;
}

/* A registry's schema of another type comes as {"schemaType": "PROTOBUF"}. */
static void
refuse_text(const struct json *root, struct rejection *rejection)
{
	struct text type = json_text(json_get(root, "schemaType"));

	if (type.at != NULL && json_get(root, "type") == NULL)
		reject(rejection, REJECT_BAD_SCHEMA,
		    "the registry's schema is %.*s, not AVRO", TEXT_ARG(type));
	else
		reject(
		    rejection, REJECT_BAD_SCHEMA, "the schema is not Avro's");
}

struct layout *
layout_compile(
    struct text schema_text, const char *full_name, struct rejection *rejection)
{
	struct compiler compiler = { .capacity = NODES_FIRST,
		.rejection = rejection };
	struct json_document *document = parse_text(schema_text, rejection);
	avro_schema_t schema;
	int rc;

	if (document == NULL)
		return NULL;
	if (avro_schema_from_json_length(
		schema_text.at, schema_text.size, &schema) != 0) {
		refuse_text(json_root(document), rejection);
		json_destroy(document);
		return NULL;
	}
	compiler.layout = memory_zalloc(1, sizeof *compiler.layout);
	compiler.layout->nodes =
	    memory_zalloc(compiler.capacity, sizeof(struct node));
	compiler.schemas =
	    memory_zalloc(compiler.capacity, sizeof(avro_schema_t));
	rc = compile_schema(&compiler, schema, full_name);
	if (rc == 0)
		keep_units(compiler.layout, json_root(document));
	json_destroy(document);
	free(compiler.schemas);
	avro_schema_decref(schema);
	if (rc == 0)
		return compiler.layout;
	layout_destroy(compiler.layout);
	return NULL;
}

void
layout_destroy(struct layout *layout)
{
	uint32_t i;

	if (layout == NULL)
		return;
	for (i = 0; layout->names != NULL && i < layout->nodes[0].n; i++)
		free(layout->names[i]);
	free(layout->names);
	free(layout->slots);
	free(layout->units);
	free(layout->nodes);
	free(layout->children);
	free(layout);
}

size_t
layout_size(const struct layout *layout)
{
	size_t size = sizeof *layout + layout->n_nodes * sizeof(struct node) +
	    layout->n_children * sizeof(uint32_t);
	uint32_t i;

	for (i = 0; i < layout->nodes[0].n; i++)
		size += strlen(layout->names[i]) + 1 + sizeof(char *) +
		    sizeof(int32_t) + sizeof(int64_t);
	return size;
}

/* Whether a writer's type can become what the reader wants (Avro, "Schema
 * Resolution"); a union is judged by the branch that a record has. */
static bool
can_become(enum node_type type, enum wanted wanted)
{
	if (type == NODE_UNION)
		return true;
	if (wanted == WANTED_LONG)
		return type == NODE_INT || type == NODE_LONG;
	return type == NODE_STRING || type == NODE_BYTES ||
	    (type == NODE_NULL && wanted == WANTED_TEXT_OR_NULL);
}

/*
 * A field that the writer hasn't got gets no slot: its value stays zero, which
 * is the reader's default, null.
 */
static int
map_field(struct layout *layout, size_t slot, struct rejection *rejection)
{
	const struct wanted_field *field = &layout->wanted[slot];
	const struct node *root = &layout->nodes[0];
	uint32_t i;

	for (i = 0; i < root->n; i++)
		if (strcmp(layout->names[i], field->name) == 0)
			break;
	if (i == root->n)
		return field->has_default
		    ? 0
		    : reject(rejection, REJECT_WRONG_SCHEMA,
			  "the writer's schema has no field %s", field->name);
	if (!can_become(layout->nodes[layout->children[root->first + i]].type,
		field->wanted))
		return reject(rejection, REJECT_WRONG_SCHEMA,
		    "the writer's schema has another type for %s", field->name);
	layout->slots[i] = (int32_t)slot;
	return 0;
}

int
layout_want(struct layout *layout, const struct wanted_field *fields, size_t n,
    struct rejection *rejection)
{
	size_t i;

	layout->wanted = fields;
	layout->n_wanted = n;
	for (i = 0; i < n; i++)
		if (map_field(layout, i, rejection) != 0)
			return -1;
	return 0;
}
