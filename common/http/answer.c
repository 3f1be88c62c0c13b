#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/http/internal.h"

/* What the kernel may hold of a stream for a reader that is slow. */
#define STREAM_UNREAD ((size_t)256 * 1024)

struct http_stream {
	struct http_connection *connection; /* NULL: it has ended */
	bool chunked;
	loop_call *gone;
	void *argument;
};

/* One chunk: "size CRLF data CRLF"; HTTP/1.0 gets the data alone. */
struct http_piece {
	size_t references;
	size_t *total;
	size_t data_at, data_size, size;
	char bytes[];
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 204, "No Content" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *
reason_of(int status)
{
	size_t i;

	for (i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* RFC 9110, section 5.6.7; the locale is C's, nobody sets another. */
static const char *
date_now(struct http_server *server)
{
	time_t now = time(NULL);
	struct tm tm;

	if ((int64_t)now != server->date_s && gmtime_r(&now, &tm) != NULL) {
		strftime(server->date, sizeof server->date,
		    "%a, %d %b %Y %H:%M:%S GMT", &tm);
		server->date_s = (int64_t)now;
	}
	return server->date;
}

static void
write_head(struct http_server *server, const struct http_answer *answer)
{
	struct buffer *out = &server->out;
	size_t i;

	buffer_reset(out);
	buffer_format(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", answer->status,
	    reason_of(answer->status), date_now(server));
	/* Who compresses a stream on its way keeps it back. */
	buffer_format(out, "Cache-Control: %s\r\n",
	    answer->cache != NULL  ? answer->cache
		: answer->streamed ? "no-store, no-transform"
				   : "no-store");
	buffer_append(out, TEXT("X-Content-Type-Options: nosniff\r\n"));
	if (answer->content_type != NULL)
		buffer_format(
		    out, "Content-Type: %s\r\n", answer->content_type);
	for (i = 0; i < answer->n_fields; i++) {
		struct text value = answer->fields[i].value;

		/* A value that breaks the line would be a second header: left
		 * out. */
		if (memchr(value.at, '\r', value.size) != NULL ||
		    memchr(value.at, '\n', value.size) != NULL ||
		    memchr(value.at, '\0', value.size) != NULL)
			continue;
		buffer_append(out, answer->fields[i].name);
		buffer_append(out, TEXT(": "));
		buffer_append(out, value);
		buffer_append(out, TEXT("\r\n"));
	}
}

/*
 * A 204 has neither body nor length, and a 304 may go without (RFC 9110,
 * section 8.6).
 */
static bool
has_length(const struct http_answer *answer)
{
	return answer->status != 204 && answer->status != 304;
}

void
http_answer_write(struct http_connection *connection,
    const struct http_answer *answer, bool close, bool head_only)
{
	struct http_server *server = connection->server;
	struct text body = answer->body;

	write_head(server, answer);
	if (answer->streamed)
		buffer_append(
		    &server->out, TEXT("Transfer-Encoding: chunked\r\n"));
	else if (has_length(answer))
		buffer_format(
		    &server->out, "Content-Length: %zu\r\n", body.size);
	if (close)
		buffer_append(&server->out, TEXT("Connection: close\r\n"));
	buffer_append(&server->out, TEXT("\r\n"));
	if (head_only || !has_length(answer))
		body = TEXT_NONE;
	tcp_write(connection->tcp, buffer_text(&server->out), body);
}

/* The request leaves its connection; NULL if that is gone already. */
static struct http_connection *
take_leave(struct http_request *request)
{
	struct http_connection *connection = request->connection;

	if (connection == NULL)
		return NULL;
	connection->request = NULL;
	connection->server->n_requests--;
	return connection;
}

void
http_respond(struct http_request *request, const struct http_answer *answer)
{
	struct http_connection *connection = take_leave(request);
	bool close, head_only;

	if (connection == NULL) {
		http_request_free(request);
		return;
	}
	close = answer->close || answer->streamed || request->head.close ||
	    connection->flooded || connection->server->draining ||
	    connection->served >= HTTP_REQUESTS_MAX;
	head_only = text_equal(request->head.method, TEXT("HEAD"));
	http_answer_write(connection, answer, close, head_only);
	http_request_free(request);
	if (close) {
		http_connection_linger(connection);
		return;
	}
	http_server_enter(connection,
	    tcp_unsent(connection->tcp) > 0 ? PHASE_SENDING : PHASE_IDLE);
	http_connection_advance(connection);
}

struct http_stream *
http_stream_start(struct http_request *request,
    const struct http_answer *answer, loop_call *gone, void *argument)
{
	struct http_connection *connection = take_leave(request);
	struct http_stream *stream = memory_zalloc(1, sizeof *stream);

	*stream = (struct http_stream){ connection, request->head.minor > 0,
		gone, argument };
	if (connection != NULL) {
		/* The head may repeat what stands in the request, which must be
		 * there yet. */
		write_head(connection->server, answer);
		if (stream->chunked)
			buffer_append(&connection->server->out,
			    TEXT("Transfer-Encoding: chunked\r\n"));
		buffer_append(&connection->server->out,
		    TEXT("Connection: close\r\n\r\n"));
		tcp_write(connection->tcp,
		    buffer_text(&connection->server->out), TEXT_NONE);
		connection->stream = stream;
		tcp_bound_unread(connection->tcp, STREAM_UNREAD);
		http_server_enter(connection, PHASE_STREAM);
		http_server_account(connection);
	}
	http_request_free(request);
	return stream;
}

struct http_piece *
http_piece_create(struct text bytes, size_t *total)
{
	struct http_piece *piece =
	    memory_alloc(sizeof *piece + bytes.size + 24);
	int head;

	head = sprintf(piece->bytes, "%zx\r\n", bytes.size);
	piece->references = 1;
	piece->data_at = (size_t)head;
	piece->data_size = bytes.size;
	memcpy(piece->bytes + head, bytes.at, bytes.size);
	memcpy(piece->bytes + (size_t)head + bytes.size, "\r\n", 2);
	piece->size = (size_t)head + bytes.size + 2;
	piece->total = total;
	if (total != NULL)
		*total += piece->size;
	return piece;
}

static void
release_piece(void *argument)
{
	struct http_piece *piece = argument;

	if (--piece->references > 0)
		return;
	if (piece->total != NULL)
		*piece->total -= piece->size;
	free(piece);
}

struct http_piece *
http_piece_share(struct http_piece *piece)
{
	piece->references++;
	return piece;
}

void
http_piece_release(struct http_piece *piece)
{
	release_piece(piece);
}

/* The connection is being cut: the owner is told once. */
void
http_stream_orphan(struct http_stream *stream)
{
	stream->connection->stream = NULL;
	stream->connection = NULL;
	if (stream->gone != NULL)
		stream->gone(stream->argument);
}

void
http_stream_send(struct http_stream *stream, struct http_piece *piece)
{
	struct text bytes = { piece->bytes, piece->size };

	if (stream->connection == NULL || piece->data_size == 0)
		return;
	if (!stream->chunked)
		bytes = (struct text){ piece->bytes + piece->data_at,
			piece->data_size };
	piece->references++;
	tcp_write_shared(stream->connection->tcp, bytes, release_piece, piece);
}

void
http_stream_set_gone(
    struct http_stream *stream, loop_call *gone, void *argument)
{
	stream->gone = gone;
	stream->argument = argument;
}

void
http_stream_cut(struct http_stream *stream)
{
	if (stream->connection != NULL)
		http_connection_drop(stream->connection);
}

size_t
http_stream_lag(const struct http_stream *stream)
{
	return stream->connection != NULL ? tcp_unsent(stream->connection->tcp)
					  : 0;
}

void
http_stream_end(struct http_stream *stream)
{
	struct http_connection *connection = stream->connection;

	if (connection != NULL) {
		connection->stream = NULL;
		if (stream->chunked)
			tcp_write(
			    connection->tcp, TEXT("0\r\n\r\n"), TEXT_NONE);
		http_connection_linger(connection);
	}
	free(stream);
}
