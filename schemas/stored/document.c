#include "schemas/stored/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/nearest.h"
#include "common/crypto/rid.h"
#include "schemas/stored/schedule.h"

#define SHOWN_MAX 100 /* bytes of a wrong value in a message */
#define DEPTH_SHOWN 16
#define KNOWN_MAX 16 /* members of the largest object */
#define NEAR_MAX 64  /* bytes of a name that may be a typo */

struct reader *
reader_create(struct arena *arena)
{
	struct reader *reader = arena_alloc(arena, sizeof *reader);

	*reader = (struct reader){ .arena = arena };
	return reader;
}

struct place
place_member(const struct place *parent, struct text name)
{
	return (struct place){ .parent = parent, .name = name };
}

struct place
place_index(const struct place *parent, size_t index)
{
	return (struct place){ .parent = parent, .index = index };
}

/* Whether a name can follow a dot; else it goes into brackets and quotes. */
static bool
is_simple(struct text name)
{
	size_t i;

	for (i = 0; i < name.size; i++) {
		char c = name.at[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return name.size > 0;
}

/* Control characters as \xHH, as is `quote`: a message is one line. */
static void
append_line(struct buffer *out, struct text text, char quote)
{
	size_t i;

	for (i = 0; i < text.size; i++) {
		size_t control = text_control_size(text, i);

		if (control > 1)
			i++; /* U+009B as \x9b */
		if (control > 0 || text.at[i] == quote)
			buffer_format(
			    out, "\\x%02x", (unsigned char)text.at[i]);
		else
			buffer_byte(out, text.at[i]);
	}
}

static void
append_shown(struct buffer *out, struct text text)
{
	struct text shown = text_cut(text, SHOWN_MAX);

	append_line(out, shown, '"');
	if (shown.size < text.size)
		buffer_append(out, TEXT("..."));
}

static void
append_step(struct buffer *out, const struct place *place)
{
	if (place->parent == NULL) {
		buffer_byte(out, '$');
	} else if (place->name.at == NULL) {
		buffer_format(out, "[%zu]", place->index);
	} else if (is_simple(place->name)) {
		buffer_byte(out, '.');
		append_shown(out, place->name);
	} else {
		buffer_append(out, TEXT("[\""));
		append_shown(out, place->name);
		buffer_append(out, TEXT("\"]"));
	}
}

static void
append_place(struct buffer *out, const struct place *place)
{
	const struct place *steps[DEPTH_SHOWN];
	size_t n = 0;

	for (; place != NULL && n < DEPTH_SHOWN; place = place->parent)
		steps[n++] = place;
	while (n > 0)
		append_step(out, steps[--n]);
}

struct text
place_path(struct reader *reader, const struct place *place)
{
	struct buffer path = { 0 };

	append_place(&path, place);
	return buffer_keep(&path, reader->arena);
}

__attribute__((format(printf, 3, 0))) static void
keep_fault(
    struct reader *reader, struct text path, const char *format, va_list args)
{
	struct buffer message = { 0 };
	char what[512];
	struct text text = { what, 0 };
	int size = vsnprintf(what, sizeof what, format, args);

	if (reader->faults == NULL)
		reader->faults = arena_zalloc(
		    reader->arena, FAULTS_KEPT_MAX, sizeof *reader->faults);
	text.size = size > 0 ? (size_t)size : 0;
	if (text.size >= sizeof what) {
		text.size = sizeof what - 1;
		text = text_cut(text, text.size - 1);
	}
	buffer_append(&message, path);
	buffer_append(&message, TEXT(": "));
	append_line(&message, text, '\0');
	reader->faults[reader->n_faults - 1] =
	    buffer_keep(&message, reader->arena);
}

void
reader_fault(
    struct reader *reader, const struct place *place, const char *format, ...)
{
	va_list args;

	if (reader->n_faults++ >= FAULTS_KEPT_MAX)
		return;
	va_start(args, format);
	keep_fault(reader, place_path(reader, place), format, args);
	va_end(args);
}

void
reader_fault_at(
    struct reader *reader, struct text path, const char *format, ...)
{
	va_list args;

	if (reader->n_faults++ >= FAULTS_KEPT_MAX)
		return;
	va_start(args, format);
	keep_fault(reader, path, format, args);
	va_end(args);
}

void
reader_adopt(struct reader *reader, const struct reader *from)
{
	size_t i;

	for (i = 0; i < from->n_faults; i++) {
		if (reader->n_faults++ >= FAULTS_KEPT_MAX)
			continue;
		if (reader->faults == NULL)
			reader->faults = arena_zalloc(reader->arena,
			    FAULTS_KEPT_MAX, sizeof *reader->faults);
		reader->faults[reader->n_faults - 1] =
		    text_copy(reader->arena, from->faults[i]);
	}
}

int
reader_result(const struct reader *reader, struct error *err)
{
	if (reader->n_faults == 0)
		return 0;
	if (reader->n_faults == 1)
		return error_set(
		    err, ERROR_INPUT, "%.*s", TEXT_ARG(reader->faults[0]));
	return error_set(err, ERROR_INPUT, "%.*s (and %zu more)",
	    TEXT_ARG(reader->faults[0]), reader->n_faults - 1);
}

/* A fault that shows the wrong text. */
static void
fault_text(struct reader *reader, const struct place *place, const char *what,
    struct text text)
{
	struct buffer shown = { 0 };

	append_shown(&shown, text);
	reader_fault(
	    reader, place, "%s: \"%.*s\"", what, TEXT_ARG(buffer_text(&shown)));
	buffer_finish(&shown);
}

bool
read_is(struct reader *reader, const struct place *place,
    const struct json *node, enum json_type type)
{
	enum json_type is = json_type_of(node);

	if (is == type)
		return true;
	reader_fault(reader, place, "must be of type %s, not %s",
	    json_type_name(type), json_type_name(is));
	return false;
}

/* A required one has a star before it. */
static const char *
name_of(const char *known)
{
	return known[0] == '*' ? known + 1 : known;
}

static bool
is_known(const char *const *known, struct text name)
{
	for (; *known != NULL; known++)
		if (text_equal(text_from(name_of(*known)), name))
			return true;
	return false;
}

/* A typo must not be skipped: the fault stands at the member's own place. */
static void
fault_unknown(struct reader *reader, const struct place *object,
    struct text name, const char *const *known)
{
	struct place place = place_member(object, name);
	const char *names[KNOWN_MAX] = { NULL };
	const char *near;
	size_t n = 0;

	for (; n < KNOWN_MAX && known[n] != NULL; n++)
		names[n] = name_of(known[n]);
	near = name.size <= NEAR_MAX
	    ? nearest_name(
		  text_copy(reader->arena, name).at, names, n, sizeof *names)
	    : NULL;
	if (near != NULL)
		reader_fault(
		    reader, &place, "unknown key; did you mean \"%s\"?", near);
	else
		reader_fault(reader, &place, "unknown key");
}

bool
read_object(struct reader *reader, const struct place *place,
    const struct json *node, const char *const *known)
{
	struct json_member member = { 0 };

	if (!read_is(reader, place, node, JSON_TYPE_OBJECT))
		return false;
	while (json_next(node, &member))
		if (!is_known(known, member.name))
			fault_unknown(reader, place, member.name, known);
	for (; *known != NULL; known++)
		if (**known == '*' && json_get(node, name_of(*known)) == NULL)
			reader_fault(reader, place, "\"%s\" is missing",
			    name_of(*known));
	return true;
}

static bool
check_text(struct reader *reader, const struct place *place, struct text text,
    size_t max)
{
	if (text.size == 0)
		reader_fault(reader, place, "is empty");
	else if (text.size > max)
		reader_fault(reader, place, "has %zu bytes, more than %zu",
		    text.size, max);
	else if (text_has_control(text))
		fault_text(reader, place, "has a control character", text);
	else
		return true;
	return false;
}

struct text
read_key(struct reader *reader, const struct place *place, struct text key,
    size_t max)
{
	check_text(reader, place, key, max);
	return text_copy(reader->arena, key);
}

struct text
read_rid_key(struct reader *reader, const struct place *place, struct text key)
{
	if (check_text(reader, place, key, DOCUMENT_TEXT_MAX) &&
	    !rid_is_valid(key))
		fault_text(reader, place, "is not a RID", key);
	return text_copy(reader->arena, key);
}

static struct text
read_text_node(
    struct reader *reader, const struct place *place, const struct json *node)
{
	if (!read_is(reader, place, node, JSON_TYPE_STRING))
		return TEXT_NONE;
	return read_key(reader, place, json_text(node), DOCUMENT_TEXT_MAX);
}

struct text
read_rid_node(
    struct reader *reader, const struct place *place, const struct json *node)
{
	if (!read_is(reader, place, node, JSON_TYPE_STRING))
		return TEXT_NONE;
	return read_rid_key(reader, place, json_text(node));
}

/* What a member may be; OR_NULL: null means the same as no member. */
enum { A_TEXT = 0, A_RID = 1 << 0, OR_NULL = 1 << 1 };

static struct text
read_member(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, unsigned what)
{
	const struct json *node = json_get(object, name);
	struct place place = place_member(parent, text_from(name));

	if (node == NULL ||
	    ((what & OR_NULL) != 0 && json_type_of(node) == JSON_TYPE_NULL))
		return TEXT_NONE;
	return (what & A_RID) != 0 ? read_rid_node(reader, &place, node)
				   : read_text_node(reader, &place, node);
}

struct text
read_text(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name)
{
	return read_member(reader, parent, object, name, A_TEXT);
}

struct text
read_text_or_null(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name)
{
	return read_member(reader, parent, object, name, A_TEXT | OR_NULL);
}

struct text
read_rid(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name)
{
	return read_member(reader, parent, object, name, A_RID);
}

struct text
read_rid_or_null(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name)
{
	return read_member(reader, parent, object, name, A_RID | OR_NULL);
}

bool
read_bool(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, bool fallback)
{
	const struct json *node = json_get(object, name);
	struct place place = place_member(parent, text_from(name));

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_BOOL))
		return fallback;
	return json_bool(node);
}

int32_t
read_int(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, int32_t fallback)
{
	const struct json *node = json_get(object, name);
	struct place place = place_member(parent, text_from(name));
	int64_t value;

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_INTEGER))
		return fallback;
	value = json_int(node);
	if (value >= 0 && value <= INT32_MAX)
		return (int32_t)value;
	reader_fault(reader, &place, "%lld is not in 0 to %d", (long long)value,
	    INT32_MAX);
	return fallback;
}

int
read_choice(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, const char *const *names,
    int fallback)
{
	const struct json *node = json_get(object, name);
	struct place place = place_member(parent, text_from(name));
	int i;

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_STRING))
		return fallback;
	for (i = 0; names[i] != NULL; i++)
		if (text_equal(json_text(node), text_from(names[i])))
			return i;
	fault_text(
	    reader, &place, "is none of the values allowed", json_text(node));
	return fallback;
}

/* A member's elements; none with a fault if it is no array. */
static size_t
read_list(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, bool are_rids,
    struct text **list)
{
	const struct json *node = json_get(object, name);
	struct place place = place_member(parent, text_from(name));
	size_t n, i;

	*list = NULL;
	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return 0;
	n = json_size(node);
	*list = arena_zalloc(reader->arena, n, sizeof **list);
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);
		const struct json *item = json_at(node, i);

		(*list)[i] = are_rids ? read_rid_node(reader, &at, item)
				      : read_text_node(reader, &at, item);
	}
	return n;
}

void
read_text_list(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, struct text_list *list)
{
	struct text *texts;

	list->n = read_list(reader, parent, object, name, false, &texts);
	list->at = texts;
}

size_t
read_rid_set(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, struct text_list *list)
{
	struct text *texts;
	size_t written = read_list(reader, parent, object, name, true, &texts);

	*list = (struct text_list){ texts, text_sort_unique(texts, written) };
	return written;
}

static int
compare_texts(const void *left, const void *right)
{
	return text_compare(
	    *(const struct text *)left, *(const struct text *)right);
}

size_t
text_sort_unique(struct text *texts, size_t n)
{
	size_t kept = 0, i;

	if (n == 0)
		return 0;
	qsort(texts, n, sizeof *texts, compare_texts);
	for (i = 1; i < n; i++)
		if (text_compare(texts[kept], texts[i]) != 0)
			texts[++kept] = texts[i];
	return kept + 1;
}
