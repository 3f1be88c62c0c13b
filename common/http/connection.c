#include "common/http/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define TURN_REQUESTS 32     /* answered at once before others come in */
#define PIPELINE_MAX 65536   /* bytes kept of requests that wait their turn */
#define LINGER_BYTES 4194304 /* read and dropped before the cut */

static const struct text CONTINUE = { "HTTP/1.1 100 Continue\r\n\r\n", 25 };

void
http_request_free(struct http_request *request)
{
	if (request == NULL)
		return;
	buffer_finish(&request->body);
	free(request);
}

/* The connection is no more; whoever has the request hears of it. */
static void
orphan_request(struct http_connection *connection)
{
	struct http_request *request = connection->request;

	connection->request = NULL;
	if (request == NULL)
		return;
	if (connection->phase != PHASE_BUSY) {
		http_request_free(request);
		return;
	}
	connection->server->n_requests--;
	request->connection = NULL;
	if (request->gone != NULL)
		request->gone(request->gone_argument);
}

/*
 * The order matters: after tcp_close no callback comes, so whoever is told
 * below (a stream's or a request's owner) may do what it likes with the
 * connection's request.  While bytes are being looked at further up the stack
 * the struct must stay; http_connection_advance frees it when it comes back.
 */
void
http_connection_drop(struct http_connection *connection)
{
	if (connection->dead)
		return;
	connection->dead = true;
	tcp_close(connection->tcp);
	if (connection->stream != NULL)
		http_stream_orphan(connection->stream);
	orphan_request(connection);
	if (!connection->advancing)
		http_server_free(connection);
}

/*
 * The last answer has been written.  While the reader takes it the deadline is
 * that of a slow reader, then the short one of LINGER.
 */
void
http_connection_linger(struct http_connection *connection)
{
	bool unsent = tcp_unsent(connection->tcp) > 0;

	/* The peer sees the end as soon as it has the answer; it need not ask
	 * how long that is. */
	tcp_shutdown(connection->tcp);
	buffer_finish(&connection->in);
	connection->at = 0;
	connection->finishing = true;
	http_server_enter(connection, unsent ? PHASE_SENDING : PHASE_LINGER);
	http_server_account(connection);
	/* Nobody sends any more and all is sent: there is nothing to wait for.
	 */
	if (connection->ended && !unsent)
		http_connection_drop(connection);
	else
		tcp_resume(connection->tcp);
}

static struct text
unread(const struct http_connection *connection)
{
	return (struct text){ connection->in.at + connection->at,
		connection->in.size - connection->at };
}

/* Also of a request that couldn't be parsed: a HEAD is answered without a body
 * whatever it was refused for, or the next answer is read as its body. */
static bool
wants_head_only(const struct http_connection *connection)
{
	if (connection->request != NULL)
		return text_equal(
		    connection->request->head.method, TEXT("HEAD"));
	return text_starts_with(unread(connection), TEXT("HEAD "));
}

/* An answer that no handler gives, and the end. */
void
http_connection_refuse(struct http_connection *connection, int status)
{
	static const struct http_field retry = { { "Retry-After", 11 },
		{ "1", 1 } };
	struct http_server *server = connection->server;
	struct buffer body = { 0 };
	struct http_refusal refusal = { status, connection->body_max, &body };
	struct http_answer answer = {
		.status = status,
		.content_type = "application/json",
		.fields = &retry,
		.n_fields = status == 503,
	};
	bool head_only = wants_head_only(connection);

	if (connection->request != NULL) {
		http_request_free(connection->request);
		connection->request = NULL;
	}
	if (server->settings.refused != NULL)
		server->settings.refused(server->settings.context, &refusal);
	if (body.size == 0) {
		answer.content_type = "text/plain; charset=utf-8";
		buffer_format(&body, "refused: %d\n", status);
	}
	answer.body = buffer_text(&body);
	http_answer_write(connection, &answer, true, head_only);
	buffer_finish(&body);
	http_connection_linger(connection);
}

static struct text
moved(struct text text, const char *from, char *to)
{
	return (struct text){ to + (text.at - from), text.size };
}

/* A request of its own bytes: what has been read may move or be dropped. */
static struct http_request *
make_request(const struct http_head *head, struct text bytes)
{
	size_t fields = head->n_fields * sizeof *head->fields, i;
	size_t size = sizeof(struct http_request) + fields + bytes.size;
	struct http_request *request = memory_alloc(size);
	struct http_field *own;
	char *copy;

	memset(request, 0, sizeof *request);
	own = (struct http_field *)(void *)request->bytes;
	copy = request->bytes + fields;
	memcpy(copy, bytes.at, bytes.size);
	for (i = 0; i < head->n_fields; i++) {
		own[i].name = moved(head->fields[i].name, bytes.at, copy);
		own[i].value = moved(head->fields[i].value, bytes.at, copy);
	}
	request->head = *head;
	request->head.fields = own;
	request->head.method = moved(head->method, bytes.at, copy);
	request->head.target = moved(head->target, bytes.at, copy);
	request->size = size;
	request->left = head->body_size;
	return request;
}

/* The other methods' bodies are read, or the next request couldn't be found,
 * and dropped. */
static bool
has_use_for_body(struct text method)
{
	return text_equal(method, TEXT("POST")) ||
	    text_equal(method, TEXT("PUT")) ||
	    text_equal(method, TEXT("PATCH"));
}

/* A route may want less than the server takes, never more. */
static size_t
body_limit(const struct http_server *server, const struct http_head *head)
{
	size_t most = server->settings.body_max, limit = most;

	if (server->settings.body_limit != NULL)
		limit =
		    server->settings.body_limit(server->settings.context, head);
	return limit < most ? limit : most;
}

/* A head: scanned as it comes, parsed when it is complete. */
static bool
step_head(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	struct http_head head = { .fields = server->fields };
	struct text bytes = unread(connection);
	struct http_request *request;
	int size, status;

	if (bytes.size == 0)
		return false;
	/* From the first byte on: the deadline is of the whole head, so that a
	 * byte now and then doesn't keep it open. */
	if (connection->phase != PHASE_HEAD)
		http_server_enter(connection, PHASE_HEAD);
	size = http_head_scan(bytes, &connection->scanned);
	if (size == 0)
		return false;
	bytes.size = size > 0 ? (size_t)size : 0;
	status = size > 0 ? http_head_parse(bytes, &head) : -size;
	/* A length is refused before the body is sent, chunks as they come. */
	if (status == 0) {
		connection->body_max = body_limit(server, &head);
		if (head.body_size > (int64_t)connection->body_max)
			status = 413;
	}
	if (status != 0) {
		http_connection_refuse(connection, status);
		return false;
	}
	request = make_request(&head, bytes);
	request->connection = connection;
	request->drop_body = !has_use_for_body(request->head.method);
	connection->request = request;
	connection->at += bytes.size;
	connection->scanned = 0;
	/* Who has begun to send its body doesn't wait for leave. */
	if (head.expect_continue && unread(connection).size == 0)
		tcp_write(connection->tcp, CONTINUE, TEXT_NONE);
	http_server_enter(connection, PHASE_BODY);
	return true;
}

/* Bytes of a body that is dropped count as well: nobody sends for ever. */
static bool
keep_body(struct http_connection *connection, struct text data)
{
	struct http_request *request = connection->request;

	request->seen += data.size;
	if (request->seen > connection->body_max) {
		http_connection_refuse(connection, 413);
		return false;
	}
	if (!request->drop_body)
		buffer_append(&request->body, data);
	return true;
}

/* 0: more bytes are needed; 1: complete; -1: refused */
static int
read_chunks(struct http_connection *connection)
{
	struct text bytes = unread(connection), data;
	int rc;

	while ((rc = http_chunks_next(
		    &connection->request->chunks, &bytes, &data)) == 1)
		if (!keep_body(connection, data))
			return -1;
	connection->at = connection->in.size - bytes.size;
	if (rc < 0)
		http_connection_refuse(connection, 400);
	return rc < 0 ? -1 : rc == 2;
}

static int
read_sized(struct http_connection *connection)
{
	struct http_request *request = connection->request;
	struct text data = unread(connection);

	if ((int64_t)data.size > request->left)
		data.size = (size_t)request->left;
	connection->at += data.size;
	request->left -= (int64_t)data.size;
	if (data.size > 0 && !keep_body(connection, data))
		return -1;
	return request->left == 0;
}

static bool
step_body(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	int rc = connection->request->head.chunked ? read_chunks(connection)
						   : read_sized(connection);

	if (rc <= 0)
		return false;
	/* Before the handler, which may answer, and free, at once. */
	connection->served++;
	server->n_requests++;
	http_server_enter(connection, PHASE_BUSY);
	server->settings.handle(server->settings.context, connection->request);
	return true;
}

/* What is left to do when no step is possible. */
static void
settle(struct http_connection *connection)
{
	const struct http_server *server = connection->server;
	struct text rest = unread(connection);

	/* What has been used up goes: an idle connection holds nothing. */
	if (rest.size == 0) {
		buffer_finish(&connection->in);
	} else if (connection->at > 0) {
		memmove(connection->in.at, rest.at, rest.size);
		connection->in.size = rest.size;
	}
	connection->at = 0;
	http_server_account(connection);
	if (server->memory > server->settings.memory_max) {
		/*
		 * Heads, bodies and answers under way share a bound.  Who sends
		 * over it is refused, or, while an answer is owed, loses what
		 * it has pipelined.
		 */
		if (connection->phase >= PHASE_HEAD &&
		    connection->phase <= PHASE_READY) {
			http_connection_refuse(connection, 503);
		} else if (connection->phase == PHASE_BUSY &&
		    connection->in.size > 0) {
			connection->flooded = true;
			buffer_finish(&connection->in);
			tcp_pause(connection->tcp);
		}
		http_server_account(connection);
	} else if (connection->phase <= PHASE_BODY && connection->ended) {
		/* Half a request and then the end: nothing to answer. */
		http_connection_linger(connection);
	} else if (connection->phase > PHASE_BODY &&
	    connection->in.size > PIPELINE_MAX) {
		tcp_pause(connection->tcp);
	} else if (connection->phase <= PHASE_READY) {
		tcp_resume(connection->tcp);
	}
}

/*
 * Goes on as far as the bytes allow.  A handler that answers at once comes back
 * here from within; the loop of the outer call then goes on, so a long pipeline
 * doesn't grow the stack.
 */
void
http_connection_advance(struct http_connection *connection)
{
	unsigned first = connection->served;

	if (connection->advancing)
		return;
	connection->advancing = true;
	/* Whoever sends many requests at once lets others in between. */
	while (!connection->dead &&
	    (connection->phase <= PHASE_HEAD
		    ? step_head(connection)
		    : connection->phase == PHASE_BODY && step_body(connection)))
		if (!connection->dead && connection->phase == PHASE_IDLE &&
		    connection->served - first >= TURN_REQUESTS &&
		    connection->at < connection->in.size)
			http_server_queue(connection);
	if (!connection->dead)
		settle(connection);
	connection->advancing = false;
	if (connection->dead)
		http_server_free(connection);
}

static void
on_data(void *context, struct text bytes)
{
	struct http_connection *connection = context;

	/* Read on, or the peer's unread bytes reset what was answered; not for
	 * ever, or an answer of 413 is followed by the whole body. */
	if (connection->finishing) {
		connection->dropped += bytes.size;
		if (connection->dropped > LINGER_BYTES)
			http_connection_drop(connection);
		return;
	}
	if (connection->phase == PHASE_STREAM)
		return; /* nothing may follow; it isn't answered */
	buffer_append(&connection->in, bytes);
	http_connection_advance(connection);
}

static void
on_end(void *context, bool dead)
{
	struct http_connection *connection = context;
	struct http_request *request = connection->request;
	loop_call *gone;

	if (dead || connection->phase == PHASE_STREAM ||
	    connection->phase == PHASE_LINGER ||
	    connection->phase <= PHASE_BODY) {
		http_connection_drop(connection);
		return;
	}
	/* The peer may only have shut its sending side, as `nc -N` does: it is
	 * owed the answers to all that it asked. */
	connection->ended = true;
	if (request == NULL || request->gone == NULL)
		return;
	/* Once: the same owner must not hear it again when the rest dies. */
	gone = request->gone;
	request->gone = NULL;
	gone(request->gone_argument);
}

static void
on_sent(void *context)
{
	struct http_connection *connection = context;

	if (connection->finishing) {
		http_connection_linger(connection);
	} else if (connection->phase == PHASE_SENDING) {
		http_server_enter(connection, PHASE_IDLE);
		http_connection_advance(connection);
	}
}

static const struct tcp_events EVENTS = { on_data, on_end, on_sent };

void
http_connection_open(struct http_server *server, struct tcp *tcp)
{
	struct http_connection *connection =
	    memory_zalloc(1, sizeof *connection);

	connection->server = server;
	connection->tcp = tcp;
	connection->counted =
	    server->n_connections < server->settings.connections_max;
	if (connection->counted)
		server->n_connections++;
	else
		server->n_rejected++;
	/* In no phase's list yet, out of which it would be taken. */
	connection->phase = N_PHASES;
	http_server_enter(connection, PHASE_FRESH);
	tcp_start(tcp, &EVENTS, connection);
	/* Over the limit, but told so: a bare reset looks like an outage. */
	if (!connection->counted)
		http_connection_refuse(connection, 503);
}
