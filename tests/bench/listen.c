#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * listen PORT STREAMS EVENTS SECONDS <request: opens streams of server-sent
 * events on 127.0.0.1 and reads until each has had EVENTS events or the time is
 * up.  Says "open" when all streams have begun, then prints a line of JSON.
 *
 * An event is three lines and an empty one, a chunk's framing and the head have
 * as many CR as LF, the greeting is two lines and an empty one; so the number
 * of events is (LF - CR - 3) / 4, which costs a look at each byte and no more.
 */
#define REQUEST_MAX 16384
#define READ_SIZE 262144

struct stream {
	int fd;
	int64_t lf, cr;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "listen: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int
open_stream(int port, const char *request, size_t size)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		die("connect");
	if (write(fd, request, size) != (ssize_t)size)
		die("send");
	return fd;
}

static int64_t
events_of(const struct stream *stream)
{
	int64_t lines = stream->lf - stream->cr - 3;

	return lines >= 0 ? lines / 4 : -1;
}

/* Counted eight bytes a step at least: a plain loop that gcc makes wide. */
static void
count(struct stream *stream, const unsigned char *bytes, size_t n)
{
	size_t i, end;

	while (n > 0) {
		unsigned char lf = 0, cr = 0;

		end = n < 255 ? n : 255;
		for (i = 0; i < end; i++) {
			lf = (unsigned char)(lf + (bytes[i] == '\n'));
			cr = (unsigned char)(cr + (bytes[i] == '\r'));
		}
		stream->lf += lf;
		stream->cr += cr;
		bytes += end;
		n -= end;
	}
}

static uint64_t received;

/* Whether it has had all of its events by this. */
static int
read_stream(struct stream *stream, int64_t wanted)
{
	static unsigned char bytes[READ_SIZE];
	int64_t before = events_of(stream);
	ssize_t n = read(stream->fd, bytes, sizeof bytes);

	if (n < 0)
		die("read");
	if (n == 0) {
		fprintf(
		    stderr, "listen: cut after %" PRId64 " events\n", before);
		exit(1);
	}
	received += (uint64_t)n;
	count(stream, bytes, (size_t)n);
	if (before < 0 && events_of(stream) >= 0)
		return -1;
	return before < wanted && events_of(stream) >= wanted;
}

static void
print(const struct stream *streams, int n, double seconds)
{
	int64_t least = INT64_MAX, most = 0;
	int i;

	for (i = 0; i < n; i++) {
		int64_t events = events_of(&streams[i]);

		least = events < least ? events : least;
		most = events > most ? events : most;
	}
	printf("{\"streams\":%d,\"least\":%" PRId64 ",\"most\":%" PRId64
	       ",\"megabytes\":%.1f,\"seconds\":%.2f}\n",
	    n, least, most, (double)received / 1e6, seconds);
}

int
main(int argc, char **argv)
{
	struct rlimit files = { 20000, 20000 };
	struct epoll_event ready[256];
	static char request[REQUEST_MAX];
	size_t size;
	int64_t wanted, start, first = 0, end;
	struct stream *streams;
	int n, i, poll = epoll_create1(0), done = 0, begun = 0, got;

	if (argc != 5) {
		fprintf(stderr,
		    "usage: listen PORT STREAMS EVENTS SECONDS <request\n");
		return 64;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	n = atoi(argv[2]);
	wanted = atoll(argv[3]);
	size = fread(request, 1, sizeof request, stdin);
	streams = calloc((size_t)n, sizeof *streams);
	for (i = 0; i < n; i++) {
		struct epoll_event event = { .events = EPOLLIN,
			.data.ptr = &streams[i] };

		streams[i].fd = open_stream(atoi(argv[1]), request, size);
		if (epoll_ctl(poll, EPOLL_CTL_ADD, streams[i].fd, &event) != 0)
			die("epoll");
	}
	start = now_us();
	end = start + atoll(argv[4]) * 1000000;
	while (done < n && now_us() < end) {
		got = epoll_wait(poll, ready, 256, 100);
		for (i = 0; i < got; i++) {
			int what = read_stream(ready[i].data.ptr, wanted);

			done += what > 0;
			begun += what < 0;
			if (what < 0 && begun == n) {
				printf("open\n");
				fflush(stdout);
			}
			if (first == 0 && begun == n && what == 0)
				first = now_us();
		}
	}
	print(
	    streams, n, (double)(now_us() - (first > 0 ? first : start)) / 1e6);
	return done < n;
}
