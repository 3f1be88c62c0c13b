#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/http/server.h"
#include "common/http/tcp.h"
#include "tests/unit/check.h"

/*
 * What is said on one connection: a client in this process sends bytes, the
 * loop turns until the server has ended the connection.
 */
#define GIVE_UP_MS 5000

struct site {
	struct loop *loop;
	struct http_server *server;
	int client;
	const char *bytes;
	size_t size, sent, piece; /* `piece` bytes at a time; 0: all */
	struct buffer heard;
	int64_t until_ms;
	unsigned handled, gone;
	bool reset;                /* by the server */
	struct http_request *kept; /* for "/later" */
};

static void
on_gone(void *argument)
{
	struct site *site = argument;

	site->gone++;
}

/* "/later" is kept, "/end" is answered with the end, others by their body. */
static void
handle(void *context, struct http_request *request)
{
	struct site *site = context;
	const struct http_head *head = http_request_head(request);
	struct http_answer answer = { .status = 200,
		.content_type = "text/plain",
		.body = http_request_body(request),
		.close = text_equal(head->target, TEXT("/end")) };

	site->handled++;
	if (text_equal(head->target, TEXT("/later"))) {
		site->kept = request;
		http_request_set_gone(request, on_gone, site);
		return;
	}
	http_respond(request, &answer);
}

static void
send_some(struct site *site)
{
	size_t n = site->size - site->sent;
	ssize_t sent;

	if (site->piece > 0 && n > site->piece)
		n = site->piece;
	if (n == 0)
		return;
	sent = send(site->client, site->bytes + site->sent, n,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	site->sent += sent > 0 ? (size_t)sent : 0;
}

static void
on_turn(void *argument)
{
	struct site *site = argument;
	char bytes[4096];
	ssize_t n;

	send_some(site);
	while ((n = recv(site->client, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buffer_append(&site->heard, (struct text){ bytes, (size_t)n });
	site->reset = n < 0 && errno == ECONNRESET;
	if (n == 0 || site->reset || clock_monotonic_ms() > site->until_ms)
		loop_stop(site->loop);
}

static void
open_site(struct site *site)
{
	const struct http_server_settings settings = {
		.loop = loop_create(NULL),
		.address = "127.0.0.1:0",
		.body_max = 100,
		.handle = handle,
		.context = site,
	};
	struct sockaddr_in where = { .sin_family = AF_INET };

	memset(site, 0, sizeof *site);
	site->loop = settings.loop;
	site->server = http_server_create(&settings, NULL);
	REQUIRE(site->server != NULL);
	where.sin_port = htons((uint16_t)http_server_port(site->server));
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	site->client = socket(AF_INET, SOCK_STREAM, 0);
	REQUIRE(connect(site->client, (struct sockaddr *)&where,
		    sizeof where) == 0);
}

static void
close_site(struct site *site)
{
	close(site->client);
	http_server_destroy(site->server);
	loop_destroy(site->loop);
	buffer_finish(&site->heard);
}

/* Turns the loop until the server ends the connection. */
static void
run_site(struct site *site, struct text bytes, size_t piece)
{
	struct loop_timer *timer;

	site->bytes = bytes.at;
	site->size = bytes.size;
	site->sent = 0;
	site->piece = piece;
	site->until_ms = clock_monotonic_ms() + GIVE_UP_MS;
	timer = loop_timer_start(site->loop, 0, 1, on_turn, site);
	loop_run(site->loop);
	loop_timer_stop(timer);
	buffer_byte(&site->heard, '\0');
	CHECK(clock_monotonic_ms() <= site->until_ms);
}

/* "200:body 413:..." of all answers; bodies to the first line's end. */
static void
list_answers(const char *heard, char *out, size_t size)
{
	size_t used = 0;
	const char *at = heard;

	out[0] = '\0';
	while (strncmp(at, "HTTP/1.1 ", 9) == 0) {
		const char *end = strstr(at, "\r\n\r\n");
		const char *length = strstr(at, "Content-Length: ");
		size_t n = length != NULL && length < end
		    ? strtoul(length + 16, NULL, 10)
		    : 0;

		if (end == NULL)
			break;
		used += (size_t)snprintf(out + used, size - used, "%s%.3s:%.*s",
		    used > 0 ? " " : "", at + 9,
		    (int)strcspn(end + 4, "\n") < (int)n
			? (int)strcspn(end + 4, "\n")
			: (int)n,
		    end + 4);
		if (strncmp(at + 9, "100", 3) == 0)
			n = 0;
		at = end + 4 + n;
	}
}

#define HOST "Host: x\r\n"
#define END "GET /end HTTP/1.1\r\n" HOST "\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST

static const struct {
	const char *name, *bytes, *answers;
	unsigned handled;
} rows[] = {
	{ "one request", END, "200:", 1 },
	{ "two, pipelined", "GET / HTTP/1.1\r\n" HOST "\r\n" END,
	    "200: 200:", 2 },
	{ "a sized body", POST "Content-Length: 3\r\n\r\nabc" END,
	    "200:abc 200:", 2 },
	{ "chunks",
	    POST "Transfer-Encoding: chunked\r\n\r\n"
		 "2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n" END,
	    "200:abc 200:", 2 },
	{ "a blank line before", "\r\n" END, "200:", 1 },
	{ "1.0 ends by itself", "GET / HTTP/1.0\r\n\r\n" END, "200:", 1 },
	{ "nothing behind the end", END END, "200:", 1 },
	{ "a body as large as may be",
	    POST "Content-Length: 100\r\n\r\n"
		 "0123456789012345678901234567890123456789012345678"
		 "012345678901234567890123456789012345678901234567890" END,
	    "200:0123456789012345678901234567890123456789012345678"
	    "012345678901234567890123456789012345678901234567890 200:",
	    2 },
	{ "a larger one", POST "Content-Length: 101\r\n\r\n",
	    "413:refused: 413", 0 },
	{ "larger chunks",
	    POST "Transfer-Encoding: chunked\r\n\r\n65\r\n"
		 "0123456789012345678901234567890123456789012345678"
		 "0123456789012345678901234567890123456789012345678901",
	    "413:refused: 413", 0 },
	{ "a length twice",
	    POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
	    "400:refused: 400", 0 },
	{ "length and chunks",
	    POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "400:refused: 400", 0 },
	{ "a broken chunk", POST "Transfer-Encoding: chunked\r\n\r\nx\r\n",
	    "400:refused: 400", 0 },
	{ "no host", "GET / HTTP/1.1\r\n\r\n", "400:refused: 400", 0 },
	{ "no HTTP", "hello\r\n\r\n", "400:refused: 400", 0 },
	{ "what is before is answered",
	    "GET / HTTP/1.1\r\n" HOST "\r\nx\r\n\r\n", "200: 400:refused: 400",
	    1 },
};

static void
answers(size_t piece)
{
	struct site site;
	char out[800];
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		open_site(&site);
		run_site(&site, text_from(rows[i].bytes), piece);
		list_answers(site.heard.at, out, sizeof out);
		CHECK_ROW(rows[i].name, strcmp(out, rows[i].answers) == 0);
		CHECK_ROW(rows[i].name, site.handled == rows[i].handled);
		close_site(&site);
	}
}

static void
answers_what_comes_at_once(void)
{
	answers(0);
}

static void
answers_the_same_in_small_pieces(void)
{
	answers(7);
}

/* A socket that is closed with bytes unread resets what was answered. */
static void
reads_on_after_its_last_answer(void)
{
	static char bytes[200000];
	struct site site;
	size_t size = strlen(POST "Content-Length: 190000\r\n\r\n");

	memset(bytes, 'x', sizeof bytes);
	memcpy(bytes, POST "Content-Length: 190000\r\n\r\n", size);
	open_site(&site);
	run_site(&site, (struct text){ bytes, size + 190000 }, 0);
	CHECK(strncmp(site.heard.at, "HTTP/1.1 413", 12) == 0);
	CHECK(!site.reset);
	close_site(&site);
}

static void
stop_later(void *argument)
{
	struct site *site = argument;

	if (site->gone > 0 || clock_monotonic_ms() > site->until_ms)
		loop_stop(site->loop);
}

static void
tells_who_keeps_a_request_that_its_client_left(void)
{
	const struct http_answer answer = { .status = 200 };
	struct loop_timer *timer;
	struct site site;

	open_site(&site);
	CHECK(send(site.client, "GET /later HTTP/1.1\r\n" HOST "\r\n", 32, 0) ==
	    32);
	close(site.client);
	site.until_ms = clock_monotonic_ms() + GIVE_UP_MS;
	timer = loop_timer_start(site.loop, 0, 1, stop_later, &site);
	loop_run(site.loop);
	loop_timer_stop(timer);
	CHECK(site.handled == 1 && site.gone == 1);
	REQUIRE(site.kept != NULL);
	http_respond(site.kept, &answer); /* it goes nowhere */
	site.client = -1;
	close_site(&site);
}

/* Whether somebody listens there. */
static bool
connects(int family, unsigned port)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM, 0);
	bool done;

	REQUIRE(fd >= 0);
	done = family == AF_INET
	    ? connect(fd, (struct sockaddr *)&ipv4, sizeof ipv4) == 0
	    : connect(fd, (struct sockaddr *)&ipv6, sizeof ipv6) == 0;
	close(fd);
	return done;
}

static void
listens_on_all_addresses(void)
{
	static const struct {
		const char *address;
		bool ipv4, ipv6;
	} listens[] = {
		{ ":0", true, true },
		{ "[::]:0", true, true },
		{ "0.0.0.0:0", true, false },
		{ "127.0.0.1:0", true, false },
		{ "[::1]:0", false, true },
	};
	struct loop *loop = loop_create(NULL);
	struct error err;
	char again[32];
	size_t i;

	for (i = 0; i < sizeof listens / sizeof listens[0]; i++) {
		struct tcp_listener *listener =
		    tcp_listen(loop, listens[i].address, NULL, NULL, &err);
		unsigned port;

		REQUIRE(listener != NULL);
		port = tcp_listener_port(listener);
		CHECK_ROW(listens[i].address,
		    connects(AF_INET, port) == listens[i].ipv4 &&
			connects(AF_INET6, port) == listens[i].ipv6);
		snprintf(again, sizeof again, ":%u", port);
		CHECK_ROW(listens[i].address,
		    tcp_listen(loop, again, NULL, NULL, &err) == NULL);
		tcp_listener_close(listener);
		CHECK_ROW(listens[i].address,
		    !connects(AF_INET, port) && !connects(AF_INET6, port));
	}
	loop_destroy(loop);
}

CU_TestInfo http_connection_tests[] = {
	{ "answers what comes at once", answers_what_comes_at_once },
	{ "answers the same in small pieces",
	    answers_the_same_in_small_pieces },
	{ "reads on after its last answer", reads_on_after_its_last_answer },
	{ "tells who keeps a request that its client left",
	    tells_who_keeps_a_request_that_its_client_left },
	{ "listens on all addresses", listens_on_all_addresses },
	CU_TEST_INFO_NULL,
};
