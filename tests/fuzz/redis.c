/* What a Redis answers, from the first byte of the connection on. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/redis/pipeline.h"
#include "tests/fuzz/fuzz.h"

#define ANSWERS 8

/* The server: says the input to whoever connects, and nothing more. */
static struct server {
	char path[64];
	int listener;
	pthread_mutex_t lock;
	size_t size;
	uint8_t bytes[65536]; /* a copy: the input may be gone by then */
} server = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *
serve(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = accept(server.listener, NULL, NULL)) >= 0) {
		char asked[4096];

		pthread_mutex_lock(&server.lock);
		(void)!send(fd, server.bytes, server.size, MSG_NOSIGNAL);
		pthread_mutex_unlock(&server.lock);
		shutdown(fd, SHUT_WR);
		while (read(fd, asked, sizeof asked) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void
remove_socket(void)
{
	unlink(server.path);
}

static void
start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;
	int rc;

	snprintf(server.path, sizeof server.path, "/tmp/schedrun-fuzz-%ld.sock",
	    (long)getpid());
	memcpy(address.sun_path, server.path, sizeof server.path);
	unlink(server.path);
	server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	rc = bind(server.listener, (struct sockaddr *)&address, sizeof address);
	assert(rc == 0);
	rc = listen(server.listener, 8);
	assert(rc == 0);
	rc = pthread_create(&thread, NULL, serve, NULL);
	assert(rc == 0);
	atexit(remove_socket);
}

/* All that is in a reply is looked at. */
static void
look(struct redis *redis, const struct redis_reply *reply, int depth,
    struct error *err)
{
	size_t i;

	assert(depth <= 8);
	redis_reply_text(reply);
	redis_reply_integer(reply);
	redis_reply_error(redis, reply, "FUZZ", err);
	for (i = 0; i < redis_reply_size(reply); i++)
		look(redis, redis_reply_at(reply, i), depth + 1, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct text ping = TEXT("PING");
	struct redis_settings settings = {
		.connect_timeout_ms = 1000,
		.command_timeout_ms = 1000,
	};
	struct error err = { 0 };
	struct redis *redis;
	char url[80];
	int i;

	if (server.listener == 0)
		start();
	pthread_mutex_lock(&server.lock);
	server.size = size < sizeof server.bytes ? size : sizeof server.bytes;
	memcpy(server.bytes, bytes, server.size);
	pthread_mutex_unlock(&server.lock);
	snprintf(url, sizeof url, "unix://%s", server.path);
	settings.url = url;
	redis = redis_create(&settings, &err);
	assert(redis != NULL);
	if (redis_connect(redis, &err) == 0)
		for (i = 0; i < ANSWERS && redis_is_connected(redis); i++) {
			struct redis_reply *reply =
			    redis_command(redis, &ping, 1, &err);

			if (reply != NULL)
				look(redis, reply, 0, &err);
			redis_reply_destroy(reply);
		}
	assert(redis_is_connected(redis) || err.message[0] != '\0');
	redis_destroy(redis);
	return 0;
}
