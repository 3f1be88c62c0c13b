#include "tests/unit/scripted_redis.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/check.h"

#define BYTES_MAX ((size_t)1 << 20)

/* Takes one connection and says that it is the master. */
static void *
greet(void *argument)
{
	/* To ROLE, and to INFO cluster. */
	static const char role[] = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
			  none[] = "$0\r\n\r\n";
	int *fd = argument, listener = *fd;
	char asked[256];

	*fd = accept(listener, NULL, NULL);
	close(listener);
	if (read(*fd, asked, sizeof asked) > 0)
		(void)!write(*fd, role, sizeof role - 1);
	if (read(*fd, asked, sizeof asked) > 0)
		(void)!write(*fd, none, sizeof none - 1);
	return NULL;
}

void
scripted_redis_open(struct scripted_redis *script)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct redis_settings settings = { .connect_timeout_ms = 5000,
		.command_timeout_ms = 5000 };
	struct error err = { 0 };
	pthread_t thread;
	char url[128];

	*script = (struct scripted_redis){ .bytes = malloc(BYTES_MAX) };
	snprintf(address.sun_path, sizeof address.sun_path,
	    "/tmp/schedrun-unit-%ld.sock", (long)getpid());
	unlink(address.sun_path);
	script->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	REQUIRE(
	    bind(script->fd, (struct sockaddr *)&address, sizeof address) == 0);
	REQUIRE(listen(script->fd, 1) == 0);
	REQUIRE(pthread_create(&thread, NULL, greet, &script->fd) == 0);
	snprintf(url, sizeof url, "unix://%s", address.sun_path);
	settings.url = url;
	script->redis = redis_create(&settings, &err);
	REQUIRE(redis_connect(script->redis, &err) == 0);
	pthread_join(thread, NULL);
	unlink(address.sun_path);
}

void
scripted_redis_close(struct scripted_redis *script)
{
	redis_destroy(script->redis);
	close(script->fd);
	free(script->bytes);
}

void
scripted_redis_say(struct scripted_redis *script, struct text bytes)
{
	REQUIRE(write(script->fd, bytes.at, bytes.size) == (ssize_t)bytes.size);
}

void
scripted_redis_say_string(struct scripted_redis *script, struct text string)
{
	char head[32];

	snprintf(head, sizeof head, "$%zu\r\n", string.size);
	scripted_redis_say(script, text_from(head));
	scripted_redis_say(script, string);
	SAY(script, "\r\n");
}

/* "*12\r\n", "$5\r\n": the number. */
static size_t
take_number(struct scripted_redis *script)
{
	char *end = NULL;
	size_t number = strtoul(script->bytes + script->at + 1, &end, 10);

	script->at = (size_t)(end - script->bytes) + 2;
	return number;
}

struct heard
scripted_redis_heard(struct scripted_redis *script)
{
	struct heard heard = { .n = 0 };
	size_t i, n;
	ssize_t got;

	while (script->size < BYTES_MAX - 1 &&
	    (got = recv(script->fd, script->bytes + script->size,
		 BYTES_MAX - 1 - script->size, MSG_DONTWAIT)) > 0)
		script->size += (size_t)got;
	script->bytes[script->size] = '\0';
	if (script->at == script->size)
		return heard;
	n = take_number(script);
	REQUIRE(n <= HEARD_MAX);
	for (i = 0; i < n; i++) {
		size_t size = take_number(script);

		heard.args[heard.n++] =
		    (struct text){ script->bytes + script->at, size };
		script->at += size + 2;
	}
	return heard;
}

bool
heard_is(const struct heard *heard, const char *words)
{
	char said[4096] = "";
	size_t i, size = 0;

	for (i = 0; i < heard->n; i++)
		size += (size_t)snprintf(said + size, sizeof said - size,
		    i == 0 ? "%.*s" : " %.*s", TEXT_ARG(heard->args[i]));
	if (strcmp(said, words) == 0)
		return true;
	fprintf(stderr, "heard \"%s\"\n", said);
	return false;
}
