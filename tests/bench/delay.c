#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/clients.h"

/*
 * delay PORT MS: a proxy on a free port, which it prints; what comes in either
 * direction goes on MS milliseconds / 2 later, so that a round trip takes MS
 * longer, at any throughput.
 */
#define PIECE 65536
#define PIECES 4096 /* on their way in one direction */

struct piece {
	int64_t due_us;
	ssize_t size; /* 0: the end */
	char bytes[PIECE];
};

struct direction {
	int from, to;
	int64_t delay_us;
	struct piece *pieces;
	size_t first, n;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static void *
take_in(void *argument)
{
	struct direction *way = argument;
	struct piece *piece;

	do {
		pthread_mutex_lock(&way->lock);
		while (way->n == PIECES)
			pthread_cond_wait(&way->changed, &way->lock);
		piece = &way->pieces[(way->first + way->n) % PIECES];
		pthread_mutex_unlock(&way->lock);
		piece->size = read(way->from, piece->bytes, PIECE);
		piece->due_us = now_us() + way->delay_us;
		pthread_mutex_lock(&way->lock);
		way->n++;
		pthread_cond_broadcast(&way->changed);
		pthread_mutex_unlock(&way->lock);
	} while (piece->size > 0);
	return NULL;
}

static int
write_all(int fd, const char *at, ssize_t size)
{
	ssize_t n;

	for (; size > 0; at += n, size -= n) {
		n = write(fd, at, (size_t)size);
		if (n <= 0)
			return -1;
	}
	return 0;
}

static void *
give_out(void *argument)
{
	struct direction *way = argument;
	struct piece *piece;
	struct timespec at;

	for (;;) {
		pthread_mutex_lock(&way->lock);
		while (way->n == 0)
			pthread_cond_wait(&way->changed, &way->lock);
		piece = &way->pieces[way->first];
		pthread_mutex_unlock(&way->lock);
		at.tv_sec = piece->due_us / 1000000;
		at.tv_nsec = piece->due_us % 1000000 * 1000;
		clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL);
		if (piece->size <= 0 ||
		    write_all(way->to, piece->bytes, piece->size) != 0)
			break;
		pthread_mutex_lock(&way->lock);
		way->first = (way->first + 1) % PIECES;
		way->n--;
		pthread_cond_broadcast(&way->changed);
		pthread_mutex_unlock(&way->lock);
	}
	shutdown(way->from, SHUT_RDWR);
	shutdown(way->to, SHUT_RDWR);
	return NULL;
}

/* Its memory is kept: connections are few, and the process ends soon. */
static void
start_direction(int from, int to, int64_t delay_us)
{
	struct direction *way = calloc(1, sizeof *way);
	pthread_t in, out;

	way->from = from;
	way->to = to;
	way->delay_us = delay_us;
	way->pieces = malloc(PIECES * sizeof *way->pieces);
	pthread_mutex_init(&way->lock, NULL);
	pthread_cond_init(&way->changed, NULL);
	pthread_create(&in, NULL, take_in, way);
	pthread_create(&out, NULL, give_out, way);
	pthread_detach(in);
	pthread_detach(out);
}

static int
make_socket(struct sockaddr_in *address, int port)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	int listener, client, server, one = 1;
	int64_t delay_us;

	if (argc != 3)
		die("usage", "delay PORT MS");
	signal(SIGPIPE, SIG_IGN);
	delay_us = (int64_t)(strtod(argv[2], NULL) * 500);
	listener = make_socket(&address, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(listener, 16) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) != 0)
		die("listen", strerror(errno));
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		client = accept(listener, NULL, NULL);
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		server = make_socket(&address, atoi(argv[1]));
		if (connect(server, (struct sockaddr *)&address,
			sizeof address) != 0)
			die("connect", strerror(errno));
		start_direction(client, server, delay_us);
		start_direction(server, client, delay_us);
	}
}
