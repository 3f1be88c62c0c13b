#ifndef SCHEDRUN_COMMON_HTTP_HEAD_H
#define SCHEDRUN_COMMON_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"

/*
 * The strict look over a request's head: RFC 9112 with everything refused that
 * two programs could read differently (docs/http.md, section 10).  Pure: bytes
 * in, verdict out.
 */
#define HTTP_LINE_MAX 8192   /* the request line, bytes */
#define HTTP_HEAD_MAX 32768  /* the header block, bytes */
#define HTTP_HEADERS_MAX 100 /* header fields */

struct http_field {
	struct text name, value; /* value without the blanks around it */
};

struct http_head {
	struct text method, target;
	int minor;                 /* of HTTP/1.x */
	struct http_field *fields; /* in: room for HTTP_HEADERS_MAX */
	size_t n_fields;
	bool chunked;         /* the body is chunked */
	int64_t body_size;    /* Content-Length; 0 if there is none */
	bool close;           /* the connection ends after the answer */
	bool expect_continue; /* Expect: 100-continue */
};

/*
 * Scans bytes as they arrive.  `*scanned` is how far earlier calls came (0 at
 * first).  Returns 0 if more is needed, the size of the head with its last
 * empty line if it is complete, or a negative status: -400, -414, -431.
 */
int http_head_scan(struct text bytes, size_t *scanned);

/*
 * Reads a complete head.  Texts are borrowed from `bytes`.  Returns 0 or a
 * status to answer before the connection is closed: 400, 417, 431, 501, 505.
 */
int http_head_parse(struct text bytes, struct http_head *head);

/* A field's value, names compared without case; none if it isn't there. */
struct text http_head_get(const struct http_head *head, const char *name);
size_t http_head_count(const struct http_head *head, const char *name);

/*
 * A chunked body, read step by step; `{0}` at its start.  Strict: CRLF
 * everywhere, sizes of at most 8 hexadecimal digits, nothing after a chunk's
 * data, extensions only of visible characters, trailers dropped.
 */
struct http_chunks {
	int state;
	uint32_t left;   /* of this chunk, or the size so far */
	uint32_t digits; /* of the size */
	size_t extra;    /* bytes of extensions and trailers, bounded */
};

/*
 * Takes from `*bytes` (moved along).  Returns 0: more needed; 1: `*data` is the
 * next piece of the body; 2: the body is complete; -1: malformed.
 */
int http_chunks_next(
    struct http_chunks *chunks, struct text *bytes, struct text *data);

#endif
