#ifndef SCHEDRUN_COMMON_JSON_LARGE_H
#define SCHEDRUN_COMMON_JSON_LARGE_H

#include <stdbool.h>

#include "common/base/text.h"
#include "common/json/node.h"

/*
 * As json_parse, for documents of hundreds of megabytes whose root is an object
 * with a few large members, such as a catalogue: what is accepted, what is seen
 * and what is said of a fault are the same, but the memory is that of the text
 * and four bytes for each element of those members.  An element's nodes are
 * made when it is asked for, and only those of the last one are kept: what
 * json_at or json_next give of a large member, and its name, is valid until
 * the next of the same member.  Looking for a name in one walks it.  Each look
 * costs the element's parse, about 4 ns a byte.
 *
 * `text` is borrowed until the document is destroyed.  `is_mapped`: from a file
 * and read-only, so that memory has of it what was read last, 16 MiB or less.
 * An element that is no longer what it was, since somebody writes to that file,
 * is null.
 */
struct json_document *json_parse_large(
    struct text text, bool is_mapped, size_t depth_max, struct error *err);

#endif
