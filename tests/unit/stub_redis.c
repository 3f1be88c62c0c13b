#include "tests/unit/stub_redis.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "tests/unit/check.h"

#define CLIENTS_MAX 16
#define ANSWERS_MAX 64
#define WORDS_MAX 65536

struct client {
	struct stub_redis *stub;
	int fd;
	pthread_t thread;
};

struct stub_redis {
	char url[128];
	struct sockaddr_un address;
	int listener;
	pthread_t thread;
	struct client clients[CLIENTS_MAX];
	size_t n_clients;
	pthread_mutex_t lock; /* of what follows */
	const char *words[ANSWERS_MAX];
	struct buffer answers[ANSWERS_MAX];
	size_t n_answers;
	struct buffer heard; /* each command's words, and a line break */
};

static bool
begins_with(const char *text, const char *words)
{
	size_t n = strlen(words);

	return strncmp(text, words, n) == 0 &&
	    (text[n] == '\0' || text[n] == ' ' || text[n] == '\n');
}

static void
answer_command(struct client *client, const char *said)
{
	struct stub_redis *stub = client->stub;
	struct text answer = TEXT("+OK\r\n");
	size_t i;

	pthread_mutex_lock(&stub->lock);
	for (i = 0; i < stub->n_answers; i++)
		if (begins_with(said, stub->words[i]))
			answer = buffer_text(&stub->answers[i]);
	buffer_append(&stub->heard, text_from(said));
	buffer_append(&stub->heard, TEXT("\n"));
	(void)!write(client->fd, answer.at, answer.size);
	pthread_mutex_unlock(&stub->lock);
}

/* Reads "$5\r\nHGET \r\n": a word, without what is no text. */
static bool
read_word(FILE *in, char *said, size_t *size)
{
	char line[32];
	size_t n;

	if (fgets(line, sizeof line, in) == NULL)
		return false;
	n = strtoul(line + 1, NULL, 10);
	if (*size + n + 4 > WORDS_MAX || fread(said + *size, 1, n, in) != n ||
	    fread(line, 1, 2, in) != 2)
		return false;
	*size += n;
	said[(*size)++] = ' ';
	return true;
}

static void *
serve_client(void *argument)
{
	struct client *client = argument;
	FILE *in = fdopen(dup(client->fd), "r");
	char *said = memory_zalloc(1, WORDS_MAX), line[32];

	while (fgets(line, sizeof line, in) != NULL) {
		unsigned long words = strtoul(line + 1, NULL, 10);
		size_t size = 0;

		while (words > 0 && read_word(in, said, &size))
			words--;
		if (size > 0)
			said[size - 1] = '\0';
		answer_command(client, said);
	}
	free(said);
	fclose(in);
	return NULL;
}

static void *
accept_clients(void *argument)
{
	struct stub_redis *stub = argument;
	int fd;

	while (stub->n_clients < CLIENTS_MAX &&
	    (fd = accept(stub->listener, NULL, NULL)) >= 0) {
		struct client *client = &stub->clients[stub->n_clients++];

		client->stub = stub;
		client->fd = fd;
		REQUIRE(pthread_create(
			    &client->thread, NULL, serve_client, client) == 0);
	}
	return NULL;
}

struct stub_redis *
stub_redis_start(void)
{
	static int number;
	struct stub_redis *stub = memory_zalloc(1, sizeof *stub);

	pthread_mutex_init(&stub->lock, NULL);
	stub->address.sun_family = AF_UNIX;
	snprintf(stub->address.sun_path, sizeof stub->address.sun_path,
	    "/tmp/schedrun-unit-%ld-%d.sock", (long)getpid(), number++);
	snprintf(
	    stub->url, sizeof stub->url, "unix://%s", stub->address.sun_path);
	stub->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	REQUIRE(bind(stub->listener, (struct sockaddr *)&stub->address,
		    sizeof stub->address) == 0);
	REQUIRE(listen(stub->listener, CLIENTS_MAX) == 0);
	stub_redis_say(
	    stub, "ROLE", TEXT("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"));
	stub_redis_say_string(
	    stub, "SCRIPT", TEXT("0123456789012345678901234567890123456789"));
	REQUIRE(pthread_create(&stub->thread, NULL, accept_clients, stub) == 0);
	return stub;
}

void
stub_redis_stop(struct stub_redis *stub)
{
	size_t i;

	if (stub == NULL)
		return;
	shutdown(stub->listener, SHUT_RDWR);
	pthread_join(stub->thread, NULL);
	for (i = 0; i < stub->n_clients; i++) {
		shutdown(stub->clients[i].fd, SHUT_RDWR);
		pthread_join(stub->clients[i].thread, NULL);
		close(stub->clients[i].fd);
	}
	close(stub->listener);
	unlink(stub->address.sun_path);
	for (i = 0; i < stub->n_answers; i++)
		buffer_finish(&stub->answers[i]);
	buffer_finish(&stub->heard);
	pthread_mutex_destroy(&stub->lock);
	free(stub);
}

const char *
stub_redis_url(const struct stub_redis *stub)
{
	return stub->url;
}

void
stub_redis_say(struct stub_redis *stub, const char *words, struct text answer)
{
	pthread_mutex_lock(&stub->lock);
	REQUIRE(stub->n_answers < ANSWERS_MAX);
	stub->words[stub->n_answers] = words;
	buffer_append(&stub->answers[stub->n_answers++], answer);
	pthread_mutex_unlock(&stub->lock);
}

void
stub_redis_say_string(
    struct stub_redis *stub, const char *words, struct text string)
{
	struct buffer out = { 0 };

	buffer_format(&out, "$%zu\r\n", string.size);
	buffer_append(&out, string);
	buffer_append(&out, TEXT("\r\n"));
	stub_redis_say(stub, words, buffer_text(&out));
	buffer_finish(&out);
}

size_t
stub_redis_count(struct stub_redis *stub, const char *words)
{
	const char *line;
	size_t n = 0;

	pthread_mutex_lock(&stub->lock);
	buffer_byte(&stub->heard, '\0');
	for (line = stub->heard.at; line != NULL && *line != '\0';) {
		n += begins_with(line, words);
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	stub->heard.size--;
	pthread_mutex_unlock(&stub->lock);
	return n;
}
