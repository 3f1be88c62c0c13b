#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * ask PORT CONNECTIONS SECONDS RATE <requests: sends the requests (a NUL
 * between two), one after the other, again and again over kept connections to
 * 127.0.0.1.  RATE 0: each connection asks as soon as it has its answer.  Else
 * an open loop: RATE per second, whether or not answers come, and each latency
 * counts from the time the request was due.  The first tenth of the time warms
 * up.  Prints one line of JSON.
 */
#define INPUT_MAX 4194304
#define REQUESTS_MAX 10000
#define ANSWER_MAX 16384
#define LATENCIES_MAX 4000000

struct connection {
	int fd;
	int64_t due_us; /* of the request under way; 0: none is */
	size_t size;
	char answer[ANSWER_MAX + 1];
	struct connection *next_idle;
};

static struct {
	char input[INPUT_MAX];
	struct {
		const char *at;
		size_t size;
	} requests[REQUESTS_MAX];
	size_t n_requests;
	struct connection *connections, *idle;
	int n, poll;
	int64_t start_us, warm_us, end_us;
	double rate;
	uint64_t sent, failed;
	int64_t *latencies;
	size_t n_latencies;
} ask;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "ask: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
open_connection(struct connection *connection, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN,
		.data.ptr = connection };
	int one = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (struct sockaddr *)&address,
		sizeof address) != 0)
		die("connect");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (epoll_ctl(ask.poll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		die("epoll");
	connection->next_idle = ask.idle;
	ask.idle = connection;
}

static void
send_request(struct connection *connection, int64_t due_us)
{
	size_t i = ask.sent % ask.n_requests;

	if (write(connection->fd, ask.requests[i].at, ask.requests[i].size) !=
	    (ssize_t)ask.requests[i].size)
		die("send");
	connection->due_us = due_us;
	connection->size = 0;
	ask.sent++;
}

/* Whether the answer is whole: its head and as many bytes as that says. */
static int
is_whole(const struct connection *connection)
{
	const char *end = strstr(connection->answer, "\r\n\r\n");
	const char *length = strstr(connection->answer, "Content-Length: ");

	if (end == NULL || length == NULL || length > end)
		return 0;
	return connection->size >= (size_t)(end + 4 - connection->answer) +
	    strtoul(length + 16, NULL, 10);
}

static void
take_answer(struct connection *connection)
{
	int64_t now = now_us();

	if (strncmp(connection->answer, "HTTP/1.1 200", 12) != 0) {
		if (ask.failed++ == 0)
			fprintf(stderr, "ask: %s\n", connection->answer);
	} else if (now >= ask.warm_us && ask.n_latencies < LATENCIES_MAX) {
		ask.latencies[ask.n_latencies++] = now - connection->due_us;
	}
	connection->due_us = 0;
	connection->next_idle = ask.idle;
	ask.idle = connection;
}

static void
receive(struct connection *connection)
{
	ssize_t n = read(connection->fd, connection->answer + connection->size,
	    ANSWER_MAX - connection->size);

	if (n <= 0)
		die("the connection has ended");
	connection->size += (size_t)n;
	connection->answer[connection->size] = '\0';
	if (is_whole(connection))
		take_answer(connection);
}

/* When the next request is due. */
static int64_t
next_due(int64_t now)
{
	if (ask.rate == 0)
		return now;
	return ask.start_us + (int64_t)((double)ask.sent * 1e6 / ask.rate);
}

static void
send_due(void)
{
	int64_t now = now_us();

	while (ask.idle != NULL && now < ask.end_us && next_due(now) <= now) {
		struct connection *connection = ask.idle;

		ask.idle = connection->next_idle;
		send_request(connection, next_due(now));
	}
}

static int
wait_ms(void)
{
	int64_t now = now_us(), due = next_due(now);

	if (now >= ask.end_us)
		return 1000;
	if (ask.idle == NULL)
		return 100;
	return due > now ? (int)((due - now) / 1000) : 0;
}

static void
run(void)
{
	struct epoll_event events[256];
	int64_t give_up = ask.end_us + 15000000;
	int busy = 0, n, i;

	do {
		send_due();
		n = epoll_wait(ask.poll, events, 256, wait_ms());
		for (i = 0; i < n; i++)
			receive(events[i].data.ptr);
		for (busy = 0, i = 0; now_us() >= ask.end_us && i < ask.n; i++)
			busy += ask.connections[i].due_us != 0;
	} while (now_us() < ask.end_us || (busy > 0 && now_us() < give_up));
	ask.failed += (uint64_t)busy;
}

static void
read_requests(void)
{
	size_t size = fread(ask.input, 1, sizeof ask.input - 1, stdin);
	const char *at = ask.input, *end = ask.input + size;

	while (at < end && ask.n_requests < REQUESTS_MAX) {
		size_t n = strlen(at);

		ask.requests[ask.n_requests].at = at;
		ask.requests[ask.n_requests++].size = n;
		at += n + 1;
	}
	if (ask.n_requests == 0)
		die("no request");
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t
quantile(double q)
{
	if (ask.n_latencies == 0)
		return -1;
	return ask.latencies[(size_t)((double)(ask.n_latencies - 1) * q)];
}

int
main(int argc, char **argv)
{
	double seconds;
	int i;

	if (argc != 5) {
		fprintf(stderr,
		    "usage: ask PORT CONNECTIONS SECONDS RATE <requests\n");
		return 64;
	}
	ask.n = atoi(argv[2]);
	seconds = atof(argv[3]);
	ask.rate = atof(argv[4]);
	read_requests();
	ask.poll = epoll_create1(0);
	ask.connections = calloc((size_t)ask.n, sizeof *ask.connections);
	ask.latencies = malloc(LATENCIES_MAX * sizeof *ask.latencies);
	if (ask.connections == NULL || ask.latencies == NULL)
		die("memory");
	for (i = 0; i < ask.n; i++)
		open_connection(&ask.connections[i], atoi(argv[1]));
	ask.start_us = now_us();
	ask.warm_us = ask.start_us + (int64_t)(seconds * 1e5);
	ask.end_us = ask.start_us + (int64_t)(seconds * 1e6);
	run();
	qsort(ask.latencies, ask.n_latencies, sizeof *ask.latencies, compare);
	printf("{\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
	       ",\"per_second\":%.0f,\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64
	       "}\n",
	    ask.sent, ask.failed, (double)ask.n_latencies / (seconds * 0.9),
	    quantile(0.5), quantile(0.99));
	return ask.failed > 0;
}
