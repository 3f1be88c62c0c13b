#include "tests/unit/stub_http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"

struct stub_http {
	pthread_t thread;
	pthread_mutex_t lock;
	int listener, port;
	int status;
	struct buffer body;
	unsigned count;
	struct buffer last;
};

static size_t
content_length(const struct buffer *request)
{
	const char *at = strstr(request->at, "Content-Length: ");

	return at != NULL ? strtoul(at + 16, NULL, 10) : 0;
}

/* Reads one request whole; it ends by what its length says. */
static void
read_request(int fd, struct buffer *request)
{
	const char *end = NULL;
	ssize_t n;

	do {
		n = read(fd, buffer_reserve(request, 65536), 65535);
		if (n <= 0)
			return;
		request->size += (size_t)n;
		request->at[request->size] = '\0';
		end = strstr(request->at, "\r\n\r\n");
	} while (end == NULL ||
	    request->size - (size_t)(end + 4 - request->at) <
		content_length(request));
}

static void
send_all(int fd, struct text text)
{
	while (text.size > 0) {
		ssize_t n = send(fd, text.at, text.size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text.at += n;
		text.size -= (size_t)n;
	}
}

static void
serve(struct stub_http *stub, int fd)
{
	struct buffer request = { 0 }, answer = { 0 };
	int status;

	read_request(fd, &request);
	pthread_mutex_lock(&stub->lock);
	status = stub->status;
	stub->count++;
	buffer_reset(&stub->last);
	buffer_append(&stub->last, buffer_text(&request));
	buffer_format(&answer,
	    "HTTP/1.1 %d Stub\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n",
	    status, stub->body.size);
	buffer_append(&answer, buffer_text(&stub->body));
	pthread_mutex_unlock(&stub->lock);
	if (status != 0)
		send_all(fd, buffer_text(&answer));
	buffer_finish(&request);
	buffer_finish(&answer);
}

static void *
run(void *argument)
{
	struct stub_http *stub = argument;
	int fd;

	while ((fd = accept(stub->listener, NULL, NULL)) >= 0) {
		serve(stub, fd);
		close(fd);
	}
	return NULL;
}

struct stub_http *
stub_http_start(void)
{
	struct stub_http *stub = memory_zalloc(1, sizeof *stub);
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof address;
	int rc;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	stub->listener = socket(AF_INET, SOCK_STREAM, 0);
	rc = bind(stub->listener, (struct sockaddr *)&address, size);
	assert(rc == 0);
	rc = listen(stub->listener, 8);
	assert(rc == 0);
	rc = getsockname(stub->listener, (struct sockaddr *)&address, &size);
	assert(rc == 0);
	stub->port = ntohs(address.sin_port);
	pthread_mutex_init(&stub->lock, NULL);
	rc = pthread_create(&stub->thread, NULL, run, stub);
	assert(rc == 0);
	return stub;
}

void
stub_http_stop(struct stub_http *stub)
{
	if (stub == NULL)
		return;
	shutdown(stub->listener, SHUT_RDWR); /* accept ends */
	pthread_join(stub->thread, NULL);
	close(stub->listener);
	pthread_mutex_destroy(&stub->lock);
	buffer_finish(&stub->body);
	buffer_finish(&stub->last);
	free(stub);
}

int
stub_http_port(const struct stub_http *stub)
{
	return stub->port;
}

void
stub_http_answer(struct stub_http *stub, int status, struct text body)
{
	pthread_mutex_lock(&stub->lock);
	stub->status = status;
	buffer_reset(&stub->body);
	buffer_append(&stub->body, body);
	pthread_mutex_unlock(&stub->lock);
}

unsigned
stub_http_count(struct stub_http *stub)
{
	unsigned count;

	pthread_mutex_lock(&stub->lock);
	count = stub->count;
	pthread_mutex_unlock(&stub->lock);
	return count;
}

void
stub_http_last(struct stub_http *stub, struct buffer *out)
{
	pthread_mutex_lock(&stub->lock);
	buffer_reset(out);
	buffer_append(out, buffer_text(&stub->last));
	buffer_byte(out, '\0');
	pthread_mutex_unlock(&stub->lock);
}
