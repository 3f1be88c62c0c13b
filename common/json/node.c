#include "common/json/node.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/memory.h"

/*
 * All of a document is in one arena: the copy of its text, in which strings are
 * decoded where they stand, and the nodes, children side by side.
 */
struct json_object;

struct json {
	enum json_type type;
	bool truth;   /* of a BOOL */
	bool is_made; /* a container whose children a maker has */
	size_t n;     /* bytes of a text, elements or members */
	union {
		const char *text; /* of a STRING, NUL after it; of a number */
		const struct json *items;
		const struct json_object *object;
		struct json_maker *maker;
	} is;
};

struct json_named {
	struct text name; /* a NUL after it */
	struct json value;
};

#define JSON_FEW 8 /* so many members are found by looking at each */

struct json_object {
	const struct json_named *members; /* as written */
	/*
	 * Numbers of members + 1 by hash; NULL if few.  By hand: four bytes a
	 * slot, where one of an entry_table has sixteen.
	 */
	uint32_t *slots;
	size_t mask;
};

struct json_document {
	struct arena *arena; /* holds this struct */
	struct json root;
};

static bool
is_named(const struct json_named *member, struct text name)
{
	return member->name.size == name.size &&
	    memcmp(member->name.at, name.at, name.size) == 0;
}

/* The number of the member of this name among `n`, n if there is none. */
static size_t
find_member(const struct json_object *object, size_t n, struct text name)
{
	size_t i;

	if (object->slots == NULL) {
		for (i = 0; i < n; i++)
			if (is_named(&object->members[i], name))
				break;
		return i;
	}
	i = text_hash(name) & object->mask;
	for (; object->slots[i] != 0; i = (i + 1) & object->mask)
		if (is_named(&object->members[object->slots[i] - 1], name))
			return object->slots[i] - 1;
	return n;
}

/* Parsing ---------------------------------------------------------------- */

/*
 * The parser: one pass over a copy of the text, without recursion.  Values
 * whose container is still open wait on a stack; when it closes they move to
 * the arena side by side.
 */
struct frame {            /* a container that is open */
	struct text name; /* under which it will be put into its own */
	size_t first;     /* of its children on the stack */
	bool is_object;
};

/* Most documents are done with by what stands on the caller's stack. */
#define DEPTH_FEW 64
#define NODES_FEW 48

struct parser {
	struct arena *arena;
	char *start, *at; /* the copy, ended by a NUL, and the place in it */
	struct text name; /* of the member that comes next */
	struct json_named *stack;
	size_t n, capacity;
	struct frame *frames;
	size_t depth, depth_max;
	const char *fault; /* what is wrong at `at` */
	bool too_deep;
	struct json_named few_nodes[NODES_FEW];
	struct frame few_frames[DEPTH_FEW + 1];
};

static bool
fail_parser(struct parser *parser, const char *fault)
{
	if (parser->fault == NULL)
		parser->fault = fault;
	return false;
}

static void
skip_space(struct parser *parser)
{
	char c = *parser->at;

	while (c == ' ' || c == '\n' || c == '\t' || c == '\r')
		c = *++parser->at;
}

static void
grow_stack(struct parser *parser)
{
	bool was_few = parser->stack == parser->few_nodes;

	parser->capacity *= 2;
	parser->stack = memory_resize(was_few ? NULL : parser->stack,
	    parser->capacity, sizeof *parser->stack);
	if (was_few)
		memcpy(
		    parser->stack, parser->few_nodes, sizeof parser->few_nodes);
}

static void
push(struct parser *parser, struct json value)
{
	if (parser->n == parser->capacity)
		grow_stack(parser);
	parser->stack[parser->n++] = (struct json_named){ parser->name, value };
	parser->name = TEXT_NONE;
}

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool
skip_digits(struct parser *parser)
{
	if (!is_digit(*parser->at))
		return fail_parser(parser, "a digit is missing");
	while (is_digit(*parser->at))
		parser->at++;
	return true;
}

/* Whether an integer as written, with its sign, is in int64_t. */
static bool
fits_int64(const char *at, size_t size)
{
	static const char max[] = "9223372036854775808";
	bool negative = at[0] == '-';
	int order;

	at += negative;
	size -= negative;
	if (size != sizeof max - 1)
		return size < sizeof max - 1;
	order = memcmp(at, max, size);
	return negative ? order <= 0 : order < 0;
}

static bool
take_number(struct parser *parser)
{
	const char *start = parser->at;
	struct json node = { .type = JSON_TYPE_INTEGER, .is.text = start };

	if (*parser->at == '-')
		parser->at++;
	if (*parser->at == '0')
		parser->at++;
	else if (!skip_digits(parser))
		return false;
	if (!fits_int64(start, (size_t)(parser->at - start)))
		node.type = JSON_TYPE_NUMBER;
	if (*parser->at == '.') {
		node.type = JSON_TYPE_NUMBER;
		parser->at++;
		if (!skip_digits(parser))
			return false;
	}
	if (*parser->at == 'e' || *parser->at == 'E') {
		node.type = JSON_TYPE_NUMBER;
		parser->at++;
		if (*parser->at == '+' || *parser->at == '-')
			parser->at++;
		if (!skip_digits(parser))
			return false;
	}
	node.n = (size_t)(parser->at - start);
	push(parser, node);
	return true;
}

static bool
take_word(struct parser *parser, const char *word, struct json node)
{
	size_t size = strlen(word);

	if (strncmp(parser->at, word, size) != 0)
		return fail_parser(parser, "a value is missing");
	parser->at += size;
	push(parser, node);
	return true;
}

/* Four hexadecimal digits; -1 if they aren't. */
static int
take_unit(struct parser *parser)
{
	int unit = 0, i, digit;

	for (i = 0; i < 4; i++) {
		digit = text_hex_digit(*parser->at);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
		parser->at++;
	}
	return unit;
}

/* The code point behind "\u"; a surrogate must have its other half. */
static bool
take_code_point(struct parser *parser, int *point)
{
	int low;

	*point = take_unit(parser);
	if (*point < 0)
		return fail_parser(parser, "\\u needs four hexadecimal digits");
	if (*point < 0xD800 || *point > 0xDFFF)
		return true;
	if (*point > 0xDBFF || parser->at[0] != '\\' || parser->at[1] != 'u')
		return fail_parser(parser, "half a surrogate pair");
	parser->at += 2;
	low = take_unit(parser);
	if (low < 0xDC00 || low > 0xDFFF)
		return fail_parser(parser, "half a surrogate pair");
	*point = 0x10000 + ((*point - 0xD800) << 10) + (low - 0xDC00);
	return true;
}

/* Writes a code point as UTF-8, which is shorter than its escape. */
static char *
put_code_point(char *to, int point)
{
	if (point < 0x80) {
		*to++ = (char)point;
	} else if (point < 0x800) {
		*to++ = (char)(0xC0 | point >> 6);
		*to++ = (char)(0x80 | (point & 0x3F));
	} else if (point < 0x10000) {
		*to++ = (char)(0xE0 | point >> 12);
		*to++ = (char)(0x80 | (point >> 6 & 0x3F));
		*to++ = (char)(0x80 | (point & 0x3F));
	} else {
		*to++ = (char)(0xF0 | point >> 18);
		*to++ = (char)(0x80 | (point >> 12 & 0x3F));
		*to++ = (char)(0x80 | (point >> 6 & 0x3F));
		*to++ = (char)(0x80 | (point & 0x3F));
	}
	return to;
}

/* What stands behind a backslash, decoded to `to`; NULL if it is nothing. */
static char *
take_escape(struct parser *parser, char *to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *found;
	int point;

	if (*parser->at == 'u') {
		parser->at++;
		return take_code_point(parser, &point)
		    ? put_code_point(to, point)
		    : NULL;
	}
	found = *parser->at != '\0' ? strchr(from, *parser->at) : NULL;
	if (found == NULL) {
		fail_parser(parser, "no such escape");
		return NULL;
	}
	parser->at++;
	*to = into[found - from];
	return to + 1;
}

static bool
is_plain(char byte)
{
	return (unsigned char)byte >= 0x20 && byte != '"' && byte != '\\';
}

/* A string from its opening quote on, decoded in place, a NUL for its end. */
static bool
take_text(struct parser *parser, struct text *text)
{
	char *start = ++parser->at, *to;

	while (is_plain(*parser->at))
		parser->at++;
	to = parser->at;
	while (*parser->at == '\\') {
		parser->at++;
		to = take_escape(parser, to);
		if (to == NULL)
			return false;
		while (is_plain(*parser->at))
			*to++ = *parser->at++;
	}
	if (*parser->at != '"')
		return fail_parser(parser, "a string that does not end");
	*to = '\0';
	parser->at++;
	*text = (struct text){ start, (size_t)(to - start) };
	return true;
}

static bool
take_name(struct parser *parser)
{
	skip_space(parser);
	if (*parser->at != '"')
		return fail_parser(parser, "a member's name is missing");
	if (!take_text(parser, &parser->name))
		return false;
	skip_space(parser);
	if (*parser->at != ':')
		return fail_parser(parser, "a colon is missing");
	parser->at++;
	return true;
}

static bool
open_container(struct parser *parser, bool is_object)
{
	if (parser->depth == parser->depth_max) {
		parser->too_deep = true;
		return fail_parser(parser, "nested too deep");
	}
	parser->frames[parser->depth++] =
	    (struct frame){ parser->name, parser->n, is_object };
	parser->name = TEXT_NONE;
	parser->at++;
	return true;
}

static struct json
close_array(struct parser *parser, const struct json_named *children, size_t n)
{
	struct json *items = arena_alloc(parser->arena, n * sizeof *items);
	size_t i;

	for (i = 0; i < n; i++)
		items[i] = children[i].value;
	return (
	    struct json){ .type = JSON_TYPE_ARRAY, .n = n, .is.items = items };
}

/* Makes many members findable; false if one stands there twice. */
static bool
index_members(struct parser *parser, struct json_object *object, size_t n)
{
	size_t slots = 4 * JSON_FEW, i, at;

	while (slots < 2 * n)
		slots *= 2;
	object->mask = slots - 1;
	object->slots =
	    arena_zalloc(parser->arena, slots, sizeof *object->slots);
	for (i = 0; i < n; i++) {
		if (find_member(object, i, object->members[i].name) < i)
			return false;
		at = text_hash(object->members[i].name) & object->mask;
		while (object->slots[at] != 0)
			at = (at + 1) & object->mask;
		object->slots[at] = (uint32_t)(i + 1);
	}
	return true;
}

static bool
has_no_repeats(const struct json_object *object, size_t n)
{
	size_t i;

	for (i = 1; i < n; i++)
		if (find_member(object, i, object->members[i].name) < i)
			return false;
	return true;
}

static struct json
close_object(struct parser *parser, const struct json_named *children, size_t n)
{
	struct json_object *object =
	    arena_zalloc(parser->arena, 1, sizeof *object);
	struct json_named *members =
	    arena_alloc(parser->arena, n * sizeof *members);

	if (n > 0)
		memcpy(members, children, n * sizeof *members);
	object->members = members;
	if (n >= UINT32_MAX / 4)
		memory_exhausted();
	if (n > JSON_FEW ? !index_members(parser, object, n)
			 : !has_no_repeats(object, n))
		fail_parser(parser, "an object with a member twice");
	return (struct json){
		.type = JSON_TYPE_OBJECT, .n = n, .is.object = object
	};
}

static bool
close_container(struct parser *parser)
{
	struct frame *frame = &parser->frames[parser->depth - 1];
	size_t n = parser->n - frame->first;
	const struct json_named *children =
	    n > 0 ? parser->stack + frame->first : NULL;
	struct json node;

	if (*parser->at != (frame->is_object ? '}' : ']'))
		return fail_parser(
		    parser, "a comma or the closing bracket is missing");
	node = frame->is_object ? close_object(parser, children, n)
				: close_array(parser, children, n);
	if (parser->fault != NULL)
		return false;
	parser->at++;
	parser->depth--;
	parser->n = frame->first;
	parser->name = frame->name;
	push(parser, node);
	return true;
}

/* A scalar whole, or a container's opening. */
static bool
begin_value(struct parser *parser)
{
	const struct json yes = { .type = JSON_TYPE_BOOL, .truth = true };
	const struct json no = { .type = JSON_TYPE_BOOL };
	const struct json null = { .type = JSON_TYPE_NULL };
	struct text text;

	switch (*parser->at) {
	case '{':
	case '[':
		return open_container(parser, *parser->at == '{');
	case '"':
		if (!take_text(parser, &text))
			return false;
		push(parser,
		    (struct json){ .type = JSON_TYPE_STRING,
			.n = text.size,
			.is.text = text.at });
		return true;
	case 't':
		return take_word(parser, "true", yes);
	case 'f':
		return take_word(parser, "false", no);
	case 'n':
		return take_word(parser, "null", null);
	default:
		break;
	}
	if (*parser->at == '-' || is_digit(*parser->at))
		return take_number(parser);
	return fail_parser(parser, "a value is missing");
}

/* Up to where the next value begins, or to the end of the root. */
static bool
go_on(struct parser *parser, bool opened)
{
	skip_space(parser);
	/* Whether the container that has just been opened has nothing in it. */
	if (opened &&
	    !(parser->n == parser->frames[parser->depth - 1].first &&
		(*parser->at == '}' || *parser->at == ']')))
		return !parser->frames[parser->depth - 1].is_object ||
		    take_name(parser);
	while (parser->depth > 0 && *parser->at != ',') {
		if (!close_container(parser))
			return false;
		skip_space(parser);
	}
	if (parser->depth == 0)
		return true;
	parser->at++;
	return !parser->frames[parser->depth - 1].is_object ||
	    take_name(parser);
}

static bool
parse(struct parser *parser)
{
	size_t depth;

	do {
		depth = parser->depth;
		skip_space(parser);
		if (!begin_value(parser) ||
		    !go_on(parser, parser->depth > depth))
			return false;
	} while (parser->depth > 0);
	return true;
}

/* Says where: lines and characters are counted in the text as it came. */
static void
explain(const struct parser *parser, struct text bytes, struct error *err)
{
	size_t offset = (size_t)(parser->at - parser->start), i;
	size_t line = 1, column = 1;

	if (parser->too_deep) {
		error_set(err, ERROR_INPUT,
		    "JSON nested more than %zu levels deep", parser->depth_max);
		return;
	}
	for (i = 0; i < offset && i < bytes.size; i++) {
		if (bytes.at[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)bytes.at[i] & 0xC0) != 0x80) {
			column++;
		}
	}
	error_set(err, ERROR_INPUT, "line %zu, column %zu: %s", line, column,
	    parser->fault);
}

/* Whether the text is UTF-8, one value, and nothing after it. */
static bool
parse_whole(struct parser *parser, struct text bytes)
{
	size_t sound = text_utf8_size(bytes);

	if (sound < bytes.size) {
		parser->at = parser->start + sound;
		return fail_parser(parser, "not UTF-8");
	}
	if (!parse(parser))
		return false;
	if (parser->at != parser->start + bytes.size)
		return fail_parser(parser, "more than one value");
	return true;
}

/* Member by member: what it has room for is not to be cleared each time. */
static void
begin_parser(struct parser *parser, struct arena *arena, size_t depth_max)
{
	parser->arena = arena;
	parser->name = TEXT_NONE;
	parser->stack = parser->few_nodes;
	parser->n = 0;
	parser->capacity = NODES_FEW;
	parser->frames = depth_max <= DEPTH_FEW
	    ? parser->few_frames
	    : memory_zalloc(depth_max + 1, sizeof *parser->frames);
	parser->depth = 0;
	parser->depth_max = depth_max;
	parser->fault = NULL;
	parser->too_deep = false;
}

struct json_document *
json_parse(struct text bytes, size_t depth_max, struct error *err)
{
	struct arena *arena;
	struct parser parser;
	struct json_document *document = NULL;

	bytes = text_skip_mark(bytes);
	if (bytes.size == 0) {
		error_set(err, ERROR_INPUT, "empty, not a JSON document");
		return NULL;
	}
	arena = arena_create(2 * bytes.size + 512);
	begin_parser(&parser, arena, depth_max);
	parser.start = parser.at = arena_alloc(arena, bytes.size + 1);
	memcpy(parser.start, bytes.at, bytes.size);
	parser.start[bytes.size] = '\0';
	if (parse_whole(&parser, bytes)) {
		document = arena_alloc(arena, sizeof *document);
		*document =
		    (struct json_document){ arena, parser.stack[0].value };
	} else {
		explain(&parser, bytes, err);
		arena_destroy(arena);
	}
	if (parser.frames != parser.few_frames)
		free(parser.frames);
	if (parser.stack != parser.few_nodes)
		free(parser.stack);
	return document;
}

/* Looking ---------------------------------------------------------------- */

void
json_destroy(struct json_document *document)
{
	if (document == NULL)
		return;
	if (document->root.is_made)
		document->root.is.maker->destroy(document->root.is.maker);
	arena_destroy(document->arena);
}

struct json_document *
json_made(struct json_maker *maker, enum json_type type, size_t n)
{
	struct arena *arena = arena_create(sizeof(struct json_document));
	struct json_document *document = arena_alloc(arena, sizeof *document);

	*document = (struct json_document){ arena,
		{ .type = type, .is_made = true, .n = n, .is.maker = maker } };
	return document;
}

static const struct json *
make_child(const struct json *node, size_t i, struct text *name)
{
	return node->is.maker->child(node->is.maker, i, name);
}

/* Walks: whoever makes children has no names to look at. */
static const struct json *
find_made(const struct json *object, struct text name)
{
	size_t i;

	for (i = 0; i < object->n; i++) {
		struct text is = TEXT_NONE;
		const struct json *child = make_child(object, i, &is);

		if (!text_equal(is, name))
			continue;
		/* It has nothing of `is`. */
		/* cppcheck-suppress returnDanglingLifetime */
		return child;
	}
	return NULL;
}

const struct json *
json_root(const struct json_document *document)
{
	return &document->root;
}

enum json_type
json_type_of(const struct json *node)
{
	return node != NULL ? node->type : JSON_TYPE_NULL;
}

struct text
json_word(const struct json *node)
{
	struct text word = json_type_of(node) == JSON_TYPE_INTEGER
	    ? json_digits(node)
	    : json_text(node);

	return word.size > 0 ? word : TEXT_NONE;
}

const char *
json_type_name(enum json_type type)
{
	static const char *const names[] = {
		[JSON_TYPE_NULL] = "null",
		[JSON_TYPE_BOOL] = "boolean",
		[JSON_TYPE_INTEGER] = "integer",
		[JSON_TYPE_NUMBER] = "number",
		[JSON_TYPE_STRING] = "string",
		[JSON_TYPE_ARRAY] = "array",
		[JSON_TYPE_OBJECT] = "object",
	};

	return names[type];
}

bool
json_bool(const struct json *node)
{
	return json_type_of(node) == JSON_TYPE_BOOL && node->truth;
}

/* The parser has seen to it that the digits are some, and that they fit. */
int64_t
json_int(const struct json *node)
{
	bool negative;
	int64_t value = 0;
	size_t i;

	if (json_type_of(node) != JSON_TYPE_INTEGER)
		return 0;
	negative = node->is.text[0] == '-';
	for (i = negative; i < node->n; i++)
		value = value * 10 - (node->is.text[i] - '0');
	return negative ? value : -value;
}

static bool
is_number(const struct json *node)
{
	return json_type_of(node) == JSON_TYPE_INTEGER ||
	    json_type_of(node) == JSON_TYPE_NUMBER;
}

double
json_number(const struct json *node)
{
	/* What follows a number in the text does not go on with it. */
	return is_number(node) ? strtod(node->is.text, NULL) : 0;
}

struct text
json_digits(const struct json *node)
{
	if (!is_number(node))
		return TEXT_NONE;
	return (struct text){ node->is.text, node->n };
}

struct text
json_text(const struct json *node)
{
	if (json_type_of(node) != JSON_TYPE_STRING)
		return TEXT_NONE;
	return (struct text){ node->is.text, node->n };
}

size_t
json_size(const struct json *node)
{
	enum json_type type = json_type_of(node);

	return type == JSON_TYPE_ARRAY || type == JSON_TYPE_OBJECT ? node->n
								   : 0;
}

const struct json *
json_at(const struct json *array, size_t i)
{
	if (json_type_of(array) != JSON_TYPE_ARRAY || i >= array->n)
		return NULL;
	return array->is_made ? make_child(array, i, &(struct text){ NULL, 0 })
			      : &array->is.items[i];
}

const struct json *
json_get(const struct json *object, const char *name)
{
	size_t i;

	if (json_type_of(object) != JSON_TYPE_OBJECT)
		return NULL;
	if (object->is_made)
		return find_made(object, text_from(name));
	i = find_member(object->is.object, object->n, text_from(name));
	return i < object->n ? &object->is.object->members[i].value : NULL;
}

bool
json_next(const struct json *object, struct json_member *member)
{
	const struct json_named *named;

	if (json_size(object) == 0 || object->type != JSON_TYPE_OBJECT ||
	    member->position == object->n)
		return false;
	if (object->is_made) {
		member->value =
		    make_child(object, member->position++, &member->name);
		return true;
	}
	named = &object->is.object->members[member->position++];
	member->name = named->name;
	member->value = &named->value;
	return true;
}
