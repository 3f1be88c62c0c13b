#ifndef SCHEDRUN_COMMON_JSON_WRITE_H
#define SCHEDRUN_COMMON_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/json/node.h"

/*
 * Writes JSON into a buffer without spaces.  Canonical JSON (docs/semantics.md,
 * section 5) is this with members written in ascending order of their names:
 * strings are UTF-8, escaped only where JSON demands it.  Commas are placed by
 * the functions: a value after a value gets one.
 *
 *   json_open(b, '{'); json_member_text(b, "rid", rid); json_close(b, '}');
 */
void json_open(struct buffer *buffer, char bracket);
void json_close(struct buffer *buffer, char bracket);
void json_name(struct buffer *buffer, const char *name);
void json_name_text(struct buffer *buffer, struct text name);
void json_put_text(struct buffer *buffer, struct text text); /* none: null */
void json_put_string(struct buffer *buffer, const char *string);
void json_put_integer(struct buffer *buffer, int64_t value);
void json_put_bool(struct buffer *buffer, bool value);
void json_put_null(struct buffer *buffer);

/* A member; of one that is opened, what follows to json_close. */
void json_member_open(struct buffer *buffer, const char *name, char bracket);
void json_member_integer(
    struct buffer *buffer, const char *name, int64_t value);
void json_member_bool(struct buffer *buffer, const char *name, bool value);
void json_member_string(
    struct buffer *buffer, const char *name, const char *string);
/* Of a text; none is null, or left out by the second one. */
void json_member_text(
    struct buffer *buffer, const char *name, struct text text);
void json_member_known(
    struct buffer *buffer, const char *name, struct text text);
/* Milliseconds since 1970, as of clock_format. */
void json_member_time(struct buffer *buffer, const char *name, int64_t ms);

/*
 * A parsed node again: members in ascending order of their names, numbers as
 * they were written.  Recursive, as deep as the document was let be.
 */
void json_put_node(struct buffer *buffer, const struct json *node);

/*
 * Appends a JSON text with each "<" as its escape: the same document, but none
 * that a browser could take for a page.
 */
void json_put_harmless(struct buffer *buffer, struct text json);

#endif
