#include "common/json/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

#define PART_MIN ((size_t)4096) /* bytes of a member that is worth it */
#define MEMBERS_MAX 64          /* of a root that is seen so */
#define LEVELS 2                /* the root and its member, around an element */
#define FORGET ((size_t)8 << 20) /* bytes of a mapped text, at a time */

/* A large member: where each of its elements begins. */
struct part {
	struct json_maker maker; /* first: it is one */
	struct text text;        /* of the document */
	bool is_mapped;
	size_t kept_from; /* of the text, what may be in memory */
	bool is_object;
	size_t depth_max; /* of an element */
	uint32_t *starts;
	uint32_t *hashes; /* of names, until they are known to be unlike */
	size_t n, capacity;
	struct buffer copy; /* an object's element in brackets of its own */
	struct json_document *last;
	size_t last_index;
};

/* The root: each member is a document of its own. */
struct whole {
	struct json_maker maker; /* first: it is one */
	bool is_mapped;
	struct json_document *names[MEMBERS_MAX];
	struct json_document *values[MEMBERS_MAX];
	size_t n;
};

/* Where things end --------------------------------------------------------- */

struct scan {
	const char *at, *end;
};

static char
next_byte(const struct scan *scan)
{
	return scan->at < scan->end ? *scan->at : '\0';
}

static void
skip_blanks(struct scan *scan)
{
	while (scan->at < scan->end &&
	    (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' ||
		*scan->at == '\r'))
		scan->at++;
}

static bool
skip_string(struct scan *scan)
{
	if (next_byte(scan) != '"')
		return false;
	for (scan->at++; scan->at < scan->end; scan->at++) {
		if (*scan->at == '"') {
			scan->at++;
			return true;
		}
		if (*scan->at == '\\')
			scan->at++;
	}
	return false;
}

static bool
skip_container(struct scan *scan)
{
	size_t depth = 0;

	while (scan->at < scan->end) {
		char c = *scan->at;

		if (c == '"') {
			if (!skip_string(scan))
				return false;
			continue;
		}
		scan->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return true;
	}
	return false;
}

/*
 * To the end of a value, by its brackets and quotes alone: whether it is one,
 * the parser says.
 */
static bool
skip_value(struct scan *scan)
{
	const char *start = scan->at;
	char c = next_byte(scan);

	if (c == '{' || c == '[')
		return skip_container(scan);
	if (c == '"')
		return skip_string(scan);
	while ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' ||
	    c == '+' || c == '.' || c == 'E') {
		scan->at++;
		c = next_byte(scan);
	}
	return scan->at > start;
}

/* A name, its colon, and the blanks before the value. */
static bool
skip_name(struct scan *scan)
{
	if (!skip_string(scan))
		return false;
	skip_blanks(scan);
	if (next_byte(scan) != ':')
		return false;
	scan->at++;
	skip_blanks(scan);
	return true;
}

/* To the next element or, false, past the closing bracket. */
static bool
skip_comma(struct scan *scan, char closing, bool *is_sound)
{
	skip_blanks(scan);
	*is_sound = next_byte(scan) == ',' || next_byte(scan) == closing;
	if (!*is_sound || *scan->at++ == closing)
		return false;
	skip_blanks(scan);
	return true;
}

/* An element of a part ------------------------------------------------------
 */

/* What lies far behind: whoever wants it again has it from the file. */
static void
forget_before(struct part *part, size_t at)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t from, to;

	if (at < part->kept_from)
		part->kept_from = at;
	if (!part->is_mapped || at - part->kept_from < FORGET)
		return;
	from = (uintptr_t)(part->text.at + part->kept_from) & ~(page - 1);
	to = (uintptr_t)(part->text.at + at) & ~(page - 1);
	/* That it stays is no fault. */
	(void)madvise((void *)from, to - from, MADV_DONTNEED);
	part->kept_from = at;
}

static struct text
slice(const char *start, const struct scan *scan)
{
	return (struct text){ start, (size_t)(scan->at - start) };
}

/* The element that begins at `scan`, which goes to its end; NULL: a fault. */
static struct json_document *
parse_element(struct part *part, struct scan *scan)
{
	const char *start = scan->at;

	if ((part->is_object && !skip_name(scan)) || !skip_value(scan))
		return NULL;
	if (!part->is_object)
		return json_parse(slice(start, scan), part->depth_max, NULL);
	buffer_reset(&part->copy);
	buffer_byte(&part->copy, '{');
	buffer_append(&part->copy, slice(start, scan));
	buffer_byte(&part->copy, '}');
	return json_parse(buffer_text(&part->copy), part->depth_max + 1, NULL);
}

static const struct json *
look_at(const struct part *part, const struct json_document *element,
    struct text *name)
{
	struct json_member member = { 0 };

	if (element == NULL)
		return NULL;
	if (!part->is_object)
		return json_root(element);
	json_next(json_root(element), &member);
	*name = member.name;
	return member.value;
}

static const struct json *
part_child(struct json_maker *maker, size_t i, struct text *name)
{
	struct part *part = (struct part *)maker;
	struct scan scan = { part->text.at + part->starts[i],
		part->text.at + part->text.size };

	if (part->last == NULL || part->last_index != i) {
		json_destroy(part->last);
		forget_before(part, part->starts[i]);
		part->last = parse_element(part, &scan);
		part->last_index = i;
	}
	return look_at(part, part->last, name);
}

static void
part_destroy(struct json_maker *maker)
{
	struct part *part = (struct part *)maker;

	json_destroy(part->last);
	buffer_finish(&part->copy);
	free(part->starts);
	free(part->hashes);
	free(part);
}

/* Names that stand twice ----------------------------------------------------
 */

static bool
has_name(struct part *part, size_t i, size_t other)
{
	struct buffer copy = { 0 };
	struct text name = TEXT_NONE;
	bool same;

	part_child(&part->maker, i, &name);
	buffer_append(&copy, name);
	part_child(&part->maker, other, &name);
	same = text_equal(buffer_text(&copy), name) ||
	    (copy.size == 0 && name.size == 0);
	buffer_finish(&copy);
	return same;
}

static bool
has_no_repeats(struct part *part)
{
	size_t slots = 16, i, at;
	uint32_t *table;
	bool sound = true;

	while (slots < 2 * part->n)
		slots *= 2;
	table = memory_zalloc(slots, sizeof *table);
	for (i = 0; sound && i < part->n; i++) {
		at = part->hashes[i] & (slots - 1);
		for (; sound && table[at] != 0; at = (at + 1) & (slots - 1))
			sound =
			    part->hashes[table[at] - 1] != part->hashes[i] ||
			    !has_name(part, table[at] - 1, i);
		table[at] = (uint32_t)(i + 1);
	}
	free(table);
	return sound;
}

/* The first look ------------------------------------------------------------
 */

static void
note_element(struct part *part, const char *start, struct text name)
{
	if (part->n == part->capacity) {
		part->capacity = part->capacity > 0 ? 2 * part->capacity : 64;
		part->starts = memory_resize(
		    part->starts, part->capacity, sizeof *part->starts);
		if (part->is_object)
			part->hashes = memory_resize(
			    part->hashes, part->capacity, sizeof *part->hashes);
	}
	if (part->is_object)
		part->hashes[part->n] = (uint32_t)text_hash(name);
	part->starts[part->n++] = (uint32_t)(start - part->text.at);
}

/* All elements, each parsed once and forgotten; false: something is wrong. */
static bool
read_elements(struct part *part, struct scan *scan)
{
	const char closing = part->is_object ? '}' : ']';
	bool is_sound = true, more;

	scan->at++;
	skip_blanks(scan);
	more = next_byte(scan) != closing;
	if (!more)
		scan->at++;
	while (more && is_sound) {
		const char *start = scan->at;
		struct json_document *element = parse_element(part, scan);
		struct text name = TEXT_NONE;

		forget_before(part, (size_t)(start - part->text.at));

		if (element == NULL)
			return false;
		look_at(part, element, &name);
		note_element(part, start, name);
		json_destroy(element);
		more = skip_comma(scan, closing, &is_sound);
	}
	return is_sound && (!part->is_object || has_no_repeats(part));
}

static struct json_document *
parse_part(
    struct text text, bool is_mapped, struct scan *scan, size_t depth_max)
{
	struct part *part = memory_zalloc(1, sizeof *part);

	part->maker.child = part_child;
	part->maker.destroy = part_destroy;
	part->text = text;
	part->is_mapped = is_mapped;
	part->kept_from = (size_t)(scan->at - text.at);
	part->is_object = next_byte(scan) == '{';
	part->depth_max = depth_max;
	if (!read_elements(part, scan)) {
		part_destroy(&part->maker);
		return NULL;
	}
	free(part->hashes);
	part->hashes = NULL;
	return json_made(&part->maker,
	    part->is_object ? JSON_TYPE_OBJECT : JSON_TYPE_ARRAY, part->n);
}

/* The root ------------------------------------------------------------------
 */

static const struct json *
whole_child(struct json_maker *maker, size_t i, struct text *name)
{
	struct whole *whole = (struct whole *)maker;

	*name = json_text(json_root(whole->names[i]));
	return json_root(whole->values[i]);
}

static void
whole_destroy(struct json_maker *maker)
{
	struct whole *whole = (struct whole *)maker;
	size_t i;

	for (i = 0; i < whole->n; i++) {
		json_destroy(whole->names[i]);
		json_destroy(whole->values[i]);
	}
	free(whole);
}

static bool
is_new_name(const struct whole *whole, struct text name)
{
	size_t i;

	for (i = 0; i + 1 < whole->n; i++) {
		struct text other = json_text(json_root(whole->names[i]));

		if (other.size == name.size &&
		    memcmp(other.at, name.at, name.size) == 0)
			return false;
	}
	return true;
}

/* A container that doesn't end soon. */
static bool
is_large(const struct scan *scan)
{
	struct scan near = *scan;

	if (next_byte(scan) != '{' && next_byte(scan) != '[')
		return false;
	if ((size_t)(scan->end - scan->at) > PART_MIN)
		near.end = scan->at + PART_MIN;
	return !skip_value(&near);
}

static bool
read_member(
    struct whole *whole, struct text text, struct scan *scan, size_t depth_max)
{
	const char *start = scan->at;
	size_t i = whole->n;
	struct scan value;

	if (i == MEMBERS_MAX || !skip_string(scan))
		return false;
	whole->names[i] = json_parse(slice(start, scan), 1, NULL);
	if (whole->names[i] == NULL)
		return false;
	whole->n++;
	scan->at = start;
	if (!skip_name(scan) ||
	    !is_new_name(whole, json_text(json_root(whole->names[i]))))
		return false;
	value = *scan;
	if (is_large(&value)) {
		whole->values[i] = parse_part(
		    text, whole->is_mapped, scan, depth_max - LEVELS);
		return whole->values[i] != NULL;
	}
	if (!skip_value(scan))
		return false;
	whole->values[i] =
	    json_parse(slice(value.at, scan), depth_max - 1, NULL);
	return whole->values[i] != NULL;
}

/* Whether the text is one that can be seen so, and has no fault. */
static bool
read_root(struct whole *whole, struct text text, size_t depth_max)
{
	struct scan scan = { text.at, text.at + text.size };
	bool is_sound = true, more;

	if (depth_max <= LEVELS || text.size < PART_MIN ||
	    text.size >= UINT32_MAX)
		return false;
	skip_blanks(&scan);
	if (next_byte(&scan) != '{')
		return false;
	scan.at++;
	skip_blanks(&scan);
	do {
		if (!read_member(whole, text, &scan, depth_max))
			return false;
		more = skip_comma(&scan, '}', &is_sound);
	} while (more);
	skip_blanks(&scan);
	return is_sound && scan.at == scan.end;
}

/*
 * What can't be seen so is parsed whole, above all what has a fault: there is
 * one that tells of faults.
 */
struct json_document *
json_parse_large(
    struct text text, bool is_mapped, size_t depth_max, struct error *err)
{
	struct whole *whole = memory_zalloc(1, sizeof *whole);

	whole->maker.child = whole_child;
	whole->maker.destroy = whole_destroy;
	whole->is_mapped = is_mapped;
	if (read_root(whole, text_skip_mark(text), depth_max))
		return json_made(&whole->maker, JSON_TYPE_OBJECT, whole->n);
	whole_destroy(&whole->maker);
	return json_parse(text_skip_mark(text), depth_max, err);
}
