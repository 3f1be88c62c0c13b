#ifndef SCHEDRUN_COMMON_HTTP_SERVER_H
#define SCHEDRUN_COMMON_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/http/head.h"
#include "common/http/loop.h"

/*
 * An HTTP/1.1 server on a loop: framing, limits, deadlines, keep-alive and
 * pipelining of docs/http.md, section 10.  A request is handed over when it is
 * complete; whoever has it answers at once or keeps it as long as it likes (no
 * thread waits) and answers later.  All calls are made on the loop's thread.
 *
 * Our own, since what the front proxy and we read differently is a way around
 * the proxy: libmicrohttpd 0.9.75, at its strictest, accepts a blank before the
 * colon, folded lines, NUL and bare CR.  And a time-out of its is one of being
 * idle: a peer that sent a byte every 0.4 s was not cut within 8 s.
 */
struct http_server;
struct http_request;
struct http_stream;

struct http_refusal {
	int status;
	size_t body_max; /* that was exceeded, with 413 */
	struct buffer *json;
};

struct http_server_settings {
	struct loop *loop;   /* borrowed for the server's life */
	const char *address; /* "host:port", "[::1]:port"; port 0: any free */
	size_t connections_max; /* over it: 503, close; 0: 10,000 */
	size_t body_max;        /* bytes, over it: 413, close; 0: 1 MiB */
	size_t memory_max; /* of requests under way, over it 503; 0: 128 MiB */
	int64_t head_ms, body_ms, idle_ms; /* 0: 10,000, 10,000, 75,000 */
	/*
	 * A complete request: answer it exactly once, now or later.  Until then
	 * it, its texts and its body stay valid.
	 */
	void (*handle)(void *context, struct http_request *request);
	/*
	 * How much body a request may have whose head has been read, if it is
	 * less than body_max; NULL: body_max for all.
	 */
	size_t (*body_limit)(void *context, const struct http_head *head);
	/*
	 * An answer that the server gives by itself (400, 408, 413, 431 …).
	 * What is written to `refusal->json` becomes its body, else it is a
	 * line of text.  NULL: not told.
	 */
	void (*refused)(void *context, const struct http_refusal *refusal);
	/*
	 * When there are connections_max, the one that has waited longest for a
	 * request makes room for a new one; else that gets the 503.
	 */
	bool make_room;
	void *context;
};

/* Binds and listens.  NULL: ERROR_FATAL, exit code 78. */
struct http_server *http_server_create(
    const struct http_server_settings *settings, struct error *err);
unsigned http_server_port(const struct http_server *server);
size_t http_server_connections(const struct http_server *server);
size_t http_server_requests(const struct http_server *server); /* under way */

/* From now on every answer says `Connection: close`. */
void http_server_drain(struct http_server *server);
/*
 * No new connections, idle ones are closed; `done` is called when the last
 * connection has ended.
 */
void http_server_close(struct http_server *server, loop_call *done, void *arg);
/* Cuts whatever is left.  After the loop has ended.  NULL is fine. */
void http_server_destroy(struct http_server *server);

/* The request. */
const struct http_head *http_request_head(const struct http_request *request);
struct text http_request_body(const struct http_request *request);

/*
 * What the one who keeps a request wants to carry along, and what to call if
 * the client goes away meanwhile: `gone` may answer at once, in case only the
 * sending side was closed, or drop the request later by http_respond as usual
 * (the answer then goes nowhere).
 */
void http_request_set_gone(
    struct http_request *request, loop_call *gone, void *argument);

/*
 * The answer.  Content-Length, Date, Cache-Control: no-store (of a stream also
 * no-transform),
 * X-Content-Type-Options: nosniff and Connection are added.  Everything is
 * copied.  The request is gone after the call.
 */
struct http_answer {
	int status;
	const char *content_type; /* NULL: no body, no type */
	const char *cache; /* Cache-Control; NULL: no-store, as said above */
	const struct http_field
	    *fields; /* further headers; without CR and LF */
	size_t n_fields;
	struct text body; /* left out on HEAD, its size is still told */
	bool streamed;    /* a stream's, or to its HEAD: no size, and the end */
	bool close;       /* end the connection after it */
};
void http_respond(
    struct http_request *request, const struct http_answer *answer);

/*
 * An answer without an end: 200 and a body that is written piece by piece
 * (server-sent events).  `gone` is called once when the client has left or the
 * stream was cut.
 */
struct http_stream *http_stream_start(struct http_request *request,
    const struct http_answer *answer, loop_call *gone, void *argument);

/*
 * Bytes that many streams send: counted references, one loop.  `total` (NULL:
 * nobody asks) is the sum of the sizes of all pieces that live.
 */
struct http_piece;
struct http_piece *http_piece_create(struct text bytes, size_t *total);
struct http_piece *http_piece_share(struct http_piece *piece); /* one more */
void http_piece_release(struct http_piece *piece);

/*
 * Sends a piece (a reference is taken).  After `gone` it does nothing.  How
 * much may wait is the caller's to bound, by the lag.
 */
void http_stream_send(struct http_stream *stream, struct http_piece *piece);
size_t http_stream_lag(const struct http_stream *stream); /* bytes unsent */
/* Whom to call instead, from now on; NULL: nobody. */
void http_stream_set_gone(
    struct http_stream *stream, loop_call *gone, void *argument);
/* Drops the connection with what is unsent; `gone` is called from within. */
void http_stream_cut(struct http_stream *stream);
/*
 * Ends the stream and the connection without a `gone` call; the pointer is gone
 * after it.  Owed exactly once for each stream, after `gone` as well (it may be
 * called from within).
 */
void http_stream_end(struct http_stream *stream);

#endif
