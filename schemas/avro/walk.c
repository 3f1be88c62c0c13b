#include <string.h>

#include "schemas/avro/internal.h"

/*
 * The bytes are anybody's.  Lengths and counts are held against what is left
 * before anything is done by them; each step passes a byte at least (see
 * layout.c, compact_node), but for the items that have a cap below, so the time
 * is linear in the bytes; and depth has a cap, so the stack is bounded.
 */
#define LONG_SIZE_MAX 10
#define INT_SIZE_MAX 5
/* Items that take no byte: more of them in one block is an attack. */
#define EMPTY_ITEMS_MAX 65536
/* What the items of all lists together may weigh once avro-c reads them. */
#define WEIGHT_MAX (INT64_C(1) << 30)

/* What is left to be walked. */
struct walk {
	const struct layout *layout;
	const unsigned char *at, *end;
	int64_t weight;
	bool is_too_deep; /* why it was given up */
};

/* A composite value on the way: what of it comes next. */
struct frame {
	const struct node *node;
	uint32_t next; /* of a record: the next field */
	int64_t left;  /* of an array or map: items in the block */
	const unsigned char
	    *until; /* where a sized block ends; NULL: unsized */
};

/*
 * Avro's zig-zag varint; false if it is cut, has more bytes than the type may
 * have, or more than 64 bits.
 */
static inline bool
read_varint(struct walk *walk, unsigned size_max, int64_t *value)
{
	uint64_t bits = 0;
	unsigned i;

	if (walk->at < walk->end && *walk->at < 0x80) { /* nearly all of them */
		bits = *walk->at++;
		*value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
		return true;
	}
	for (i = 0; i < size_max && walk->at < walk->end; i++) {
		uint64_t byte = *walk->at++;

		/* Of the tenth byte one bit is left. */
		if (i == LONG_SIZE_MAX - 1 && byte > 1)
			return false;
		bits |= (byte & 0x7F) << (7 * i);
		if (byte < 0x80) {
			*value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
			return true;
		}
	}
	return false;
}

static bool
read_long(struct walk *walk, int64_t *value)
{
	return read_varint(walk, LONG_SIZE_MAX, value);
}

/* An int; so too the index of an enum's symbol or a union's branch. */
static bool
read_int(struct walk *walk, int64_t *value)
{
	return read_varint(walk, INT_SIZE_MAX, value) && *value >= INT32_MIN &&
	    *value <= INT32_MAX;
}

static bool
skip_bytes(struct walk *walk, int64_t size)
{
	if (size < 0 || size > walk->end - walk->at)
		return false;
	walk->at += size;
	return true;
}

/* Borrowed from the body. */
static bool
read_bytes(struct walk *walk, struct text *text)
{
	int64_t size;

	if (!read_long(walk, &size))
		return false;
	*text = (struct text){ (const char *)walk->at, (size_t)size };
	return skip_bytes(walk, size);
}

/* An index of `n` things. */
static bool
read_index(struct walk *walk, uint32_t n, int64_t *index)
{
	return read_int(walk, index) && *index >= 0 && *index < n;
}

/* A value that contains no other. */
static bool
skip_leaf(struct walk *walk, const struct node *node)
{
	struct text text;
	int64_t value;

	switch (node->type) {
	case NODE_NULL:
		return true;
	case NODE_BOOLEAN: /* avro-c is content with any byte */
		return walk->at < walk->end && *walk->at++ <= 1;
	case NODE_INT:
		return read_int(walk, &value);
	case NODE_LONG:
		return read_long(walk, &value);
	case NODE_FLOAT:
		return skip_bytes(walk, 4);
	case NODE_DOUBLE:
		return skip_bytes(walk, 8);
	case NODE_BYTES:
	case NODE_STRING:
		return read_bytes(walk, &text);
	case NODE_FIXED:
		return skip_bytes(walk, node->size);
	case NODE_ENUM:
		return read_index(walk, node->n, &value);
	case NODE_ARRAY:
	case NODE_MAP:
	case NODE_UNION:
	case NODE_RECORD:
		break;
	}
	return false;
}

/* The branch that a union's index names; NULL if it names none. */
static const struct node *
read_branch(struct walk *walk, const struct node *node)
{
	int64_t index;

	if (!read_index(walk, node->n, &index))
		return NULL;
	return layout_child(walk->layout, node, (uint32_t)index);
}

/*
 * Whether `count` items can still follow, and be held in memory: a few bytes
 * can promise 2^60 of them.  A key of a map takes a byte for its length.
 */
static bool
take_items(struct walk *walk, const struct node *node, int64_t count)
{
	const struct node *item = layout_child(walk->layout, node, 0);
	int64_t least = item->least + (node->type == NODE_MAP);
	int64_t max = EMPTY_ITEMS_MAX;

	if (least > 0)
		max = (walk->end - walk->at) / least;
	if (count > max)
		return false;
	walk->weight += count * item->weight;
	return walk->weight <= WEIGHT_MAX;
}

/*
 * One block's head: how many items, and where they end if it says so, which is
 * a negative count and a size.  That must be right: one reader passes a block
 * by its size and another by its items, and both must see the same message.
 */
static bool
read_block_head(struct walk *walk, struct frame *frame)
{
	int64_t count, size;

	if (frame->until != NULL && walk->at != frame->until)
		return false;
	frame->until = NULL;
	if (!read_long(walk, &count))
		return false;
	if (count < 0) {
		/* Which has no opposite. */
		if (count == INT64_MIN || !read_long(walk, &size) || size < 0 ||
		    size > walk->end - walk->at)
			return false;
		count = -count;
		frame->until = walk->at + size;
	}
	frame->left = count;
	return take_items(walk, frame->node, count);
}

/*
 * The next block that has items to walk; left = 0 at the value's end.  Items
 * that take no byte were counted with their block: nothing of them is walked.
 */
static bool
read_block(struct walk *walk, struct frame *frame)
{
	bool are_empty = frame->node->type == NODE_ARRAY &&
	    layout_child(walk->layout, frame->node, 0)->least == 0;

	do {
		if (!read_block_head(walk, frame))
			return false;
		if (frame->left == 0)
			return true;
	} while (are_empty);
	return true;
}

/*
 * The next value inside a frame; *done if there is none.  NULL and not done:
 * malformed.
 */
static const struct node *
next_value(struct walk *walk, struct frame *frame, bool *done)
{
	const struct node *node = frame->node;
	struct text key;

	*done = false;
	if (node->type == NODE_RECORD) {
		*done = frame->next == node->n;
		return *done ? NULL
			     : layout_child(walk->layout, node, frame->next++);
	}
	if (frame->left == 0) {
		if (!read_block(walk, frame))
			return NULL;
		if (frame->left == 0) {
			*done = true;
			return NULL;
		}
	}
	frame->left--;
	if (node->type == NODE_MAP && !read_bytes(walk, &key))
		return NULL;
	return layout_child(walk->layout, node, 0);
}

/* Through unions to the value's own type; NULL: malformed. */
static const struct node *
read_branches(struct walk *walk, const struct node *node)
{
	while (node != NULL && node->type == NODE_UNION)
		node = read_branch(walk, node);
	return node;
}

/*
 * Passes one value of any type, without recursion: down into a composite one,
 * and up again from each that has nothing more.  A union takes no frame.
 */
static bool
skip_value(struct walk *walk, const struct node *node)
{
	struct frame frames[VALUE_DEPTH_MAX];
	size_t depth = 0;
	bool done;

	node = read_branches(walk, node);
	for (;;) {
		if (node == NULL)
			return false;
		if (node->type == NODE_RECORD || node->type == NODE_ARRAY ||
		    node->type == NODE_MAP) {
			walk->is_too_deep = depth == VALUE_DEPTH_MAX;
			if (walk->is_too_deep)
				return false;
			frames[depth++] = (struct frame){ .node = node };
		} else if (!skip_leaf(walk, node)) {
			return false;
		}
		do {
			if (depth == 0)
				return true;
			node = next_value(walk, &frames[depth - 1], &done);
			if (done)
				depth--;
		} while (done);
		node = read_branches(walk, node);
	}
}

static int
refuse_field(
    const struct walk *walk, uint32_t field, struct rejection *rejection)
{
	const struct layout *layout = walk->layout;

	if (walk->is_too_deep)
		return reject(rejection, REJECT_MALFORMED,
		    "field %.60s is nested more than %d deep",
		    layout->names[field], VALUE_DEPTH_MAX);
	return reject(rejection, REJECT_MALFORMED, "field %.60s is malformed",
	    layout->names[field]);
}

/* A time in finer units, in milliseconds: the one that it lies in. */
static int64_t
scale(int64_t number, int64_t unit)
{
	int64_t ms = number / unit;

	return number % unit < 0 ? ms - 1 : ms;
}

/* Takes a wanted field's value; its union's branch is judged here. */
static int
take_value(struct walk *walk, uint32_t field, union field_value *value,
    struct rejection *rejection)
{
	const struct layout *layout = walk->layout;
	const struct wanted_field *wanted =
	    &layout->wanted[layout->slots[field]];
	const struct node *node =
	    read_branches(walk, layout_child(layout, &layout->nodes[0], field));
	bool is_text = wanted->wanted != WANTED_LONG;

	if (node == NULL)
		return refuse_field(walk, field, rejection);
	if (node->type == NODE_NULL && wanted->wanted == WANTED_TEXT_OR_NULL) {
		value->text = TEXT_NONE;
		return 0;
	}
	if (is_text && (node->type == NODE_BYTES || node->type == NODE_STRING))
		return read_bytes(walk, &value->text)
		    ? 0
		    : refuse_field(walk, field, rejection);
	if (!is_text && (node->type == NODE_INT || node->type == NODE_LONG)) {
		if (!(node->type == NODE_INT ? read_int(walk, &value->number)
					     : read_long(walk, &value->number)))
			return refuse_field(walk, field, rejection);
		value->number = scale(value->number, layout->units[field]);
		return 0;
	}
	return reject(rejection, REJECT_WRONG_SCHEMA,
	    "field %.60s has a type that can't be read", wanted->name);
}

int
layout_walk(const struct layout *layout, struct text body,
    union field_value *values, struct rejection *rejection)
{
	const unsigned char *at = (const unsigned char *)body.at;
	struct walk walk = { layout, at, at + body.size, 0, false };
	const struct node *root = &layout->nodes[0];
	uint32_t i;

	if (layout->n_wanted > 0)
		memset(values, 0, layout->n_wanted * sizeof *values);
	for (i = 0; i < root->n; i++) {
		if (layout->slots[i] >= 0) {
			if (take_value(&walk, i, &values[layout->slots[i]],
				rejection) != 0)
				return -1;
		} else if (!skip_value(&walk, layout_child(layout, root, i))) {
			return refuse_field(&walk, i, rejection);
		}
	}
	if (walk.at != walk.end)
		return reject(rejection, REJECT_TRAILING_BYTES,
		    "%zu bytes behind the record",
		    (size_t)(walk.end - walk.at));
	return 0;
}

static void
look_at(struct walk *walk, const struct node *node, struct layout_field *field)
{
	bool fine = node != NULL;

	field->kind = FIELD_IS_OTHER;
	if (fine && node->type == NODE_NULL) {
		field->kind = FIELD_IS_NULL;
	} else if (fine && node->type == NODE_STRING) {
		field->kind = FIELD_IS_TEXT;
		fine = read_bytes(walk, &field->text);
	} else if (fine &&
	    (node->type == NODE_INT || node->type == NODE_LONG)) {
		field->kind = FIELD_IS_NUMBER;
		fine = node->type == NODE_INT ? read_int(walk, &field->number)
					      : read_long(walk, &field->number);
	} else if (fine) {
		fine = skip_value(walk, node);
	}
	if (!fine)
		field->kind = FIELD_IS_BROKEN;
}

bool
layout_look(const struct layout *layout, struct text body, uint32_t i,
    struct layout_field *field)
{
	const unsigned char *at = (const unsigned char *)body.at;
	struct walk walk = { layout, at + field->to, at + body.size, 0, false };
	const struct node *root = &layout->nodes[0];

	if (i >= root->n)
		return false;
	*field = (struct layout_field){ .name = layout->names[i],
		.from = field->to };
	look_at(
	    &walk, read_branches(&walk, layout_child(layout, root, i)), field);
	field->to = (size_t)(walk.at - at);
	return true;
}
