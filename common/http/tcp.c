#include "common/http/tcp.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "common/base/address.h"
#include "common/base/memory.h"

#define BACKLOG 4096
#define READ_SIZE 65536
#define PORT_TRIES 16 /* to find one that is free at all addresses */

/* One address that is listened on. */
struct bound {
	uv_tcp_t uv;
	struct tcp_listener *listener;
	struct bound *next;
};

struct tcp_listener {
	struct loop *loop;
	void (*accept)(void *context, struct tcp *tcp);
	void *context;
	struct bound *first;
};

struct tcp {
	uv_tcp_t uv;
	const struct tcp_events *events; /* NULL once it is closed */
	void *context;
	uv_shutdown_t shutdown;
	bool reading, at_end;
};

struct write {
	uv_write_t uv;
	void (*release)(void *argument);
	void *argument;
	char bytes[];
};

/* Reads are handled before the next one, so one buffer serves a thread. */
static _Thread_local char read_buffer[READ_SIZE];

static void
free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

/* All addresses of a name, to be freed; NULL: ERROR_FATAL. */
static struct addrinfo *
resolve(const char *text, struct error *err)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	struct address parts = { 0 };
	int rc;

	if (address_read(text_from(text), &parts, err) != 0) {
		error_prefix(err, "listen on %s", text);
		return NULL;
	}
	rc = getaddrinfo(parts.host[0] != '\0' ? parts.host : NULL, parts.port,
	    &hints, &found);
	if (rc != 0)
		error_fatal(
		    err, 78, "listen on %s: %s", text, gai_strerror(rc));
	return rc == 0 ? found : NULL;
}

static void
on_connection(uv_stream_t *stream, int status)
{
	struct tcp_listener *listener =
	    ((struct bound *)stream->data)->listener;
	struct tcp *tcp;

	if (status != 0)
		return;
	tcp = memory_zalloc(1, sizeof *tcp);
	uv_tcp_init(stream->loop, &tcp->uv);
	tcp->uv.data = tcp;
	if (uv_accept(stream, (uv_stream_t *)&tcp->uv) != 0) {
		uv_close((uv_handle_t *)&tcp->uv, free_handle);
		return;
	}
	uv_tcp_nodelay(&tcp->uv, 1);
	listener->accept(listener->context, tcp);
}

/* Where a port stands in an address. */
static in_port_t *
port_of(struct sockaddr_storage *where)
{
	return where->ss_family == AF_INET6
	    ? &((struct sockaddr_in6 *)where)->sin6_port
	    : &((struct sockaddr_in *)where)->sin_port;
}

/* Port 0 is the one of the addresses before.  0, or libuv's code. */
static int
listen_at(struct tcp_listener *listener, const struct addrinfo *at, bool alone)
{
	struct bound *bound = memory_zalloc(1, sizeof *bound);
	struct sockaddr_storage where = { 0 };
	unsigned flags =
	    at->ai_family == AF_INET6 && !alone ? UV_TCP_IPV6ONLY : 0;
	int rc;

	memcpy(&where, at->ai_addr, at->ai_addrlen);
	if (*port_of(&where) == 0 && listener->first != NULL)
		*port_of(&where) = htons((uint16_t)tcp_listener_port(listener));
	bound->listener = listener;
	bound->uv.data = bound;
	uv_tcp_init(loop_handle(listener->loop), &bound->uv);
	rc = uv_tcp_bind(&bound->uv, (struct sockaddr *)&where, flags);
	if (rc == 0)
		rc = uv_listen(
		    (uv_stream_t *)&bound->uv, BACKLOG, on_connection);
	if (rc != 0) {
		uv_close((uv_handle_t *)&bound->uv, free_handle);
		return rc;
	}
	bound->next = listener->first;
	listener->first = bound;
	return 0;
}

/* A hosts file may name an address twice. */
static bool
is_repeated(const struct addrinfo *found, const struct addrinfo *at)
{
	for (; found != at; found = found->ai_next)
		if (found->ai_addrlen == at->ai_addrlen &&
		    memcmp(found->ai_addr, at->ai_addr, at->ai_addrlen) == 0)
			return true;
	return false;
}

static void
close_all(struct tcp_listener *listener)
{
	struct bound *bound;

	while ((bound = listener->first) != NULL) {
		listener->first = bound->next;
		uv_close((uv_handle_t *)&bound->uv, free_handle);
	}
}

/*
 * But for those that this machine doesn't have, as ::1 where IPv6 is off, if it
 * has another one.  0, or libuv's code and none is listened on.
 */
static int
listen_at_all(struct tcp_listener *listener, const struct addrinfo *found)
{
	const struct addrinfo *at;
	int rc = 0, lacking = 0;

	for (at = found; at != NULL && rc == 0; at = at->ai_next) {
		if (is_repeated(found, at))
			continue;
		rc = listen_at(listener, at, found->ai_next == NULL);
		if (rc == UV_EADDRNOTAVAIL || rc == UV_EAFNOSUPPORT) {
			lacking = rc;
			rc = 0;
		}
	}
	if (rc == 0 && listener->first == NULL)
		rc = lacking;
	if (rc != 0)
		close_all(listener);
	return rc;
}

struct tcp_listener *
tcp_listen(struct loop *loop, const char *address,
    void (*accept)(void *context, struct tcp *tcp), void *context,
    struct error *err)
{
	struct addrinfo *found = resolve(address, err);
	struct tcp_listener *listener;
	int rc = UV_EADDRINUSE, tries = PORT_TRIES;

	if (found == NULL)
		return NULL;
	listener = memory_zalloc(1, sizeof *listener);
	*listener = (struct tcp_listener){ loop, accept, context, NULL };
	while (rc == UV_EADDRINUSE && tries-- > 0)
		rc = listen_at_all(listener, found);
	freeaddrinfo(found);
	if (rc == 0)
		return listener;
	error_fatal(err, 78, "listen on %s: %s%s", address, uv_strerror(rc),
	    rc == UV_EADDRINUSE ? "; port 0 takes one that is free" : "");
	free(listener);
	return NULL;
}

unsigned
tcp_listener_port(const struct tcp_listener *listener)
{
	struct sockaddr_storage where;
	int size = sizeof where;

	if (uv_tcp_getsockname(
		&listener->first->uv, (struct sockaddr *)&where, &size) != 0)
		return 0;
	return ntohs(*port_of(&where));
}

void
tcp_listener_close(struct tcp_listener *listener)
{
	if (listener == NULL)
		return;
	close_all(listener);
	free(listener);
}

static void
lend_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
	(void)handle;
	(void)wanted;
	*buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct tcp *tcp = stream->data;

	if (n == 0 || tcp->events == NULL)
		return;
	if (n > 0) {
		tcp->events->data(
		    tcp->context, (struct text){ buffer->base, (size_t)n });
		return;
	}
	tcp_pause(tcp);
	tcp->at_end = true;
	tcp->events->end(tcp->context, n != UV_EOF);
}

void
tcp_start(struct tcp *tcp, const struct tcp_events *events, void *context)
{
	tcp->events = events;
	tcp->context = context;
	tcp_resume(tcp);
}

void
tcp_pause(struct tcp *tcp)
{
	if (tcp->reading)
		uv_read_stop((uv_stream_t *)&tcp->uv);
	tcp->reading = false;
}

void
tcp_resume(struct tcp *tcp)
{
	if (tcp->reading || tcp->at_end)
		return;
	tcp->reading =
	    uv_read_start((uv_stream_t *)&tcp->uv, lend_buffer, on_read) == 0;
}

static void
on_written(uv_write_t *uv, int status)
{
	struct write *write = uv->data;
	struct tcp *tcp = uv->handle->data;

	if (write->release != NULL)
		write->release(write->argument);
	free(write);
	if (tcp->events == NULL)
		return;
	if (status != 0)
		tcp->events->end(tcp->context, true);
	else if (tcp_unsent(tcp) == 0)
		tcp->events->sent(tcp->context);
}

/* What the kernel takes now; only if nothing waits before it. */
static size_t
write_now(struct tcp *tcp, const uv_buf_t *bufs, unsigned n)
{
	int rc;

	if (tcp_unsent(tcp) > 0)
		return 0;
	rc = uv_try_write((uv_stream_t *)&tcp->uv, bufs, n);
	return rc > 0 ? (size_t)rc : 0;
}

static void
write_later(struct tcp *tcp, struct write *write, struct text rest)
{
	char *base;
	uv_buf_t buf;

	/* uv_buf_t has no const; the bytes are only read */
	memcpy(&base, &rest.at, sizeof base);
	buf = uv_buf_init(base, (unsigned)rest.size);
	write->uv.data = write;
	if (uv_write(&write->uv, (uv_stream_t *)&tcp->uv, &buf, 1,
		on_written) != 0) {
		if (write->release != NULL)
			write->release(write->argument);
		free(write);
	}
}

static uv_buf_t
as_buf(struct text text)
{
	char *base;

	memcpy(&base, &text.at, sizeof base);
	return uv_buf_init(base, (unsigned)text.size);
}

void
tcp_write(struct tcp *tcp, struct text first, struct text second)
{
	uv_buf_t bufs[2] = { as_buf(first), as_buf(second) };
	size_t done = write_now(tcp, bufs, second.size > 0 ? 2 : 1);
	size_t left = first.size + second.size - done, skip;
	struct write *write;

	if (left == 0)
		return;
	write = memory_zalloc(1, sizeof *write + left);
	skip = done < first.size ? done : first.size;
	memcpy(write->bytes, first.at + skip, first.size - skip);
	if (second.size > 0)
		memcpy(write->bytes + first.size - skip,
		    second.at + (done - skip), second.size - (done - skip));
	write_later(tcp, write, (struct text){ write->bytes, left });
}

void
tcp_write_shared(struct tcp *tcp, struct text bytes,
    void (*release)(void *argument), void *argument)
{
	uv_buf_t buf = as_buf(bytes);
	size_t done = write_now(tcp, &buf, 1);
	struct write *write;

	if (done == bytes.size) {
		release(argument);
		return;
	}
	write = memory_zalloc(1, sizeof *write);
	write->release = release;
	write->argument = argument;
	write_later(
	    tcp, write, (struct text){ bytes.at + done, bytes.size - done });
}

size_t
tcp_unsent(const struct tcp *tcp)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&tcp->uv);
}

void
tcp_bound_unread(struct tcp *tcp, size_t size)
{
	int bytes = (int)size;

	uv_send_buffer_size((uv_handle_t *)&tcp->uv, &bytes);
}

static void
on_shutdown(uv_shutdown_t *shutdown, int status)
{
	(void)shutdown;
	(void)status;
}

void
tcp_shutdown(struct tcp *tcp)
{
	if (tcp->shutdown.handle == NULL)
		uv_shutdown(
		    &tcp->shutdown, (uv_stream_t *)&tcp->uv, on_shutdown);
}

void
tcp_close(struct tcp *tcp)
{
	if (tcp->events == NULL && uv_is_closing((uv_handle_t *)&tcp->uv))
		return;
	tcp->events = NULL;
	uv_close((uv_handle_t *)&tcp->uv, free_handle);
}
