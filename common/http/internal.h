#ifndef SCHEDRUN_COMMON_HTTP_INTERNAL_H
#define SCHEDRUN_COMMON_HTTP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http/head.h"
#include "common/http/server.h"
#include "common/http/tcp.h"

/*
 * What the three files of the HTTP server share: server.c (listening,
 * deadlines, counting), connection.c (bytes to requests), answer.c (answers to
 * bytes).  Not for others.
 *
 *               accept          first byte       head complete
 *   ┌──────────┐       ┌──────┐          ┌──────┐ body? ┌──────┐
 *   │          ├──────>│ IDLE ├─────────>│ HEAD ├──────>│ BODY │
 *   └──────────┘       └──┬───┘          └──┬───┘       └──┬───┘
 *                         ^  sent           v   complete   v
 *                     ┌───┴─────┐ respond ┌──────┐     ┌────────┐
 *                     │ SENDING │<────────┤ BUSY ├────>│ STREAM │
 *                     └───┬─────┘         └──────┘     └───┬────┘
 *                         v  close                         v
 *                     ┌───┴────────────────────────────────┴──┐
 *                     │ LINGER: our side is shut, reads on    │
 *                     └───────────────────────────────────────┘
 * From SENDING a connection with more bytes goes on at once; after many answers
 * in a row it waits in READY until others had their turn.
 * LINGER exists because closing a socket with unread bytes resets it, and the
 * reset destroys the answer that is on its way (RFC 9112, section 9.6).
 */
#define HTTP_REQUESTS_MAX 10000 /* of one connection */

enum http_phase {
	PHASE_FRESH, /* IDLE, but nothing was ever asked: the head's deadline */
	PHASE_IDLE,
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_READY, /* IDLE, but more is there: waits for its turn */
	PHASE_BUSY,
	PHASE_SENDING,
	PHASE_STREAM,
	PHASE_LINGER,
	N_PHASES,
};

struct http_connection {
	struct http_server *server;
	struct tcp *tcp;
	struct http_connection *prev, *next; /* in the phase's list */
	enum http_phase phase;
	int64_t since_ms; /* when the phase began */
	struct buffer in; /* bytes not yet understood; none while idle */
	size_t at;        /* how far `in` has been used */
	size_t scanned;   /* how far the head in it has been looked at */
	size_t accounted; /* bytes of memory that the server counts for us */
	struct http_request *request; /* BODY and BUSY */
	struct http_stream *stream;   /* STREAM */
	size_t dropped;               /* bytes read in LINGER */
	size_t body_max;              /* of the request in BODY */
	unsigned served;
	bool ended;     /* the peer sends no more */
	bool advancing; /* in http_connection_advance */
	bool dead;      /* to be freed when advancing ends */
	bool finishing; /* the last answer is written */
	bool counted;   /* within connections_max */
	bool flooded; /* what was pipelined has been dropped: ends after BUSY */
};

struct http_request {
	struct http_connection *connection; /* NULL: it is gone */
	struct http_head head;
	struct http_chunks chunks;
	struct buffer body;
	int64_t left; /* of a body with Content-Length */
	size_t seen;  /* bytes of body, kept or not */
	bool drop_body;
	loop_call *gone;
	void *gone_argument;
	size_t size; /* of this allocation */
	char bytes[];
};

struct http_list {
	struct http_connection *first, *last;
};

/* On its way through the loop, which may outlive the server. */
struct http_turn {
	struct http_server *server; /* NULL: it is gone */
};

struct http_server {
	struct http_server_settings settings;
	struct tcp_listener *listener;
	struct loop_timer *sweeper;
	struct http_turn *turn; /* of those in READY; NULL: there are none */
	struct http_list lists[N_PHASES]; /* oldest first */
	size_t n_connections, n_requests, n_rejected;
	size_t memory; /* of all connections' buffers and requests */
	bool draining, closing;
	loop_call *closed;
	void *closed_argument;
	struct buffer out; /* heads are written here; reused */
	int64_t date_s;
	char date[40];
	struct http_field fields[HTTP_HEADERS_MAX]; /* of the head being read */
};

/* server.c */
void http_server_enter(
    struct http_connection *connection, enum http_phase phase);
void http_server_account(struct http_connection *connection);
void http_server_queue(struct http_connection *connection); /* to READY */
void http_server_free(struct http_connection *connection);

/* connection.c */
void http_connection_open(struct http_server *server, struct tcp *tcp);
void http_connection_advance(struct http_connection *connection);
void http_connection_refuse(struct http_connection *connection, int status);
void http_connection_linger(struct http_connection *connection);
/* Cuts it at once; a request under way is told by its `gone`. */
void http_connection_drop(struct http_connection *connection);
void http_request_free(struct http_request *request);

/* answer.c */
void http_answer_write(struct http_connection *connection,
    const struct http_answer *answer, bool close, bool head_only);
void http_stream_orphan(struct http_stream *stream);

#endif
