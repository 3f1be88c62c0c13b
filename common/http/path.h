#ifndef SCHEDRUN_COMMON_HTTP_PATH_H
#define SCHEDRUN_COMMON_HTTP_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/text.h"

/*
 * A request's target: cut at '/' first, then each segment percent-decoded once,
 * strictly; the result must be UTF-8 without control characters.  %2F never
 * separates, and nothing is normalised: "//", "." and "..", a slash at the end
 * are segments like others (docs/http.md, section 10).
 */
#define HTTP_SEGMENTS_MAX 32
#define HTTP_PARAMETERS_MAX 1200

struct http_parameter {
	struct text name, value; /* decoded, '+' is a blank */
};

struct http_path {
	struct text
	    segments[HTTP_SEGMENTS_MAX]; /* "/a/b" is two; "/" is one, "" */
	size_t n_segments;
	struct http_parameter *parameters; /* of the query, in their order */
	size_t n_parameters;
};

/*
 * Reads "/path?query", "http://host/path?query" or "*" (no segments).  Decoded
 * texts live in `arena`.  Returns 0, or -1 if it is malformed; `*reason` is
 * then a literal that says how.
 */
int http_path_parse(struct text target, struct arena *arena,
    struct http_path *path, const char **reason);

/*
 * The value of a parameter that may be given once.  Returns 0 if it is not
 * there, 1 if it is, -1 if it is there more than once.
 */
int http_path_get(
    const struct http_path *path, const char *name, struct text *value);

#endif
