#include "common/redis/pipeline.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/redis/url.h"

#define EX_CONFIG 78
#define ADDRESSES_MAX 16 /* of a name, that are tried */
#define ADDRESS_SIZE 64  /* INET6_ADDRSTRLEN and its zone */
#define REPLY_SIZE_MAX ((size_t)12 * 1024 * 1024)
/* Each element of an answer takes 4 bytes or more of it. */
#define REPLY_ELEMENTS_MAX (REPLY_SIZE_MAX / 4)
#define REPLY_DEPTH_MAX 8

struct redis {
	struct redis_url *url;
	char *username, *password, *client_name;
	struct timeval connect_timeout, command_timeout;
	redisContext *context; /* NULL: not connected */
	struct buffer out;     /* queued, not yet sent */
	char address[240];
	char shown_url[280];
	bool was_too_large;   /* the answer that was received last */
	bool away;            /* whoever tried last had no answer */
	struct arena *answer; /* that is being received; its own */
};

static struct timeval
timeval_of(int ms)
{
	return (struct timeval){ ms / 1000, (ms % 1000) * 1000 };
}

struct redis_settings
redis_settings_of(
    const struct config *config, const char *url_key, const char *client_name)
{
	const char *url = config_text(config, url_key);

	return (struct redis_settings){
		.url = url != NULL ? url : config_text(config, "redis.url"),
		.username = config_text(config, "redis.username"),
		.password = config_text(config, "redis.password"),
		.connect_timeout_ms =
		    (int)config_number(config, "redis.timeout.connect"),
		.command_timeout_ms =
		    (int)config_number(config, "redis.timeout.command"),
		.client_name = client_name,
	};
}

struct redis *
redis_create(const struct redis_settings *settings, struct error *err)
{
	struct redis_url *url = redis_url_parse(settings->url, err);
	struct redis *redis;

	if (url == NULL)
		return NULL;
	redis = memory_zalloc(1, sizeof *redis);
	redis->url = url;
	redis->username = memory_copy_string(settings->username);
	redis->password = memory_copy_string(settings->password);
	redis->client_name = memory_copy_string(settings->client_name);
	redis->connect_timeout = timeval_of(settings->connect_timeout_ms);
	redis->command_timeout = timeval_of(settings->command_timeout_ms);
	redis_url_print(url, redis->address, sizeof redis->address);
	return redis;
}

void
redis_disconnect(struct redis *redis)
{
	if (redis->context != NULL)
		redisFree(redis->context);
	redis->context = NULL;
	buffer_reset(&redis->out);
}

void
redis_destroy(struct redis *redis)
{
	if (redis == NULL)
		return;
	redis_disconnect(redis);
	buffer_finish(&redis->out);
	redis_url_destroy(redis->url);
	if (redis->password != NULL)
		explicit_bzero(redis->password, strlen(redis->password));
	free(redis->username);
	free(redis->password);
	free(redis->client_name);
	free(redis);
}

bool
redis_is_connected(const struct redis *redis)
{
	return redis->context != NULL;
}

bool
redis_is_away(const struct redis *redis)
{
	return redis->away;
}

void
redis_drop_closed(struct redis *redis)
{
	char byte;
	ssize_t n;

	if (redis->context == NULL)
		return;
	n = recv(redis->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		redis_disconnect(redis);
}

const char *
redis_address(const struct redis *redis)
{
	return redis->address;
}

const char *
redis_shown_url(const struct redis *redis)
{
	return redis->shown_url[0] != '\0' ? redis->shown_url : redis->address;
}

/* Any error kills the context: what was under way has an unknown effect. */
static int
fail_connection(struct redis *redis, struct error *err, const char *doing)
{
	const char *reason = "closed";

	if (redis->context != NULL && redis->context->err != 0)
		reason = redis->context->errstr;
	error_set(err, ERROR_RETRY, "redis %s: %s: %s", redis->address, doing,
	    reason);
	redis_disconnect(redis);
	redis->away = true;
	return -1;
}

/* What hiredis 1.0 has changed. */
#if HIREDIS_MAJOR > 0
typedef size_t array_size;
#else
typedef int array_size;
#endif

/*
 * An answer with all its elements is in one arena, where hiredis would make two
 * allocations an element.  Of RESP2 within the caps: anything else is refused.
 */
struct redis_reply {
	enum redis_type type;
	size_t size; /* of a text, or elements */
	union {
		const char *text; /* a NUL after it */
		struct redis_reply **items;
		int64_t integer;
	} is;
	struct arena *arena; /* holds this struct; of the outermost alone */
};

#define REPLY_BLOCK ((size_t)65536) /* of long arrays */
#define ELEMENT_SIZE 80 /* of others, more or less, with a short text */

/* Put where it belongs; `elements` are to come. */
static struct redis_reply *
make_reply(const redisReadTask *task, enum redis_type type, size_t elements)
{
	struct redis *redis = task->privdata;
	struct redis_reply *reply, *outer;
	bool is_outermost = task->parent == NULL;

	if (is_outermost)
		redis->answer =
		    arena_create(elements < REPLY_BLOCK / ELEMENT_SIZE - 2
			    ? (elements + 2) * ELEMENT_SIZE
			    : REPLY_BLOCK);
	reply = arena_alloc(redis->answer, sizeof *reply);
	*reply = (struct redis_reply){ .type = type };
	if (is_outermost) {
		reply->arena = redis->answer;
	} else {
		outer = task->parent->obj;
		outer->is.items[task->idx] = reply;
	}
	return reply;
}

static void *
make_array(const redisReadTask *task, array_size elements)
{
	const redisReadTask *outer = task->parent;
	struct redis_reply *reply;
	size_t depth = 1;

	for (; outer != NULL && depth <= REPLY_DEPTH_MAX; outer = outer->parent)
		depth++;
	if (task->type != REDIS_REPLY_ARRAY || depth > REPLY_DEPTH_MAX ||
	    (size_t)elements > REPLY_ELEMENTS_MAX)
		return NULL;
	reply = make_reply(task, REDIS_ARRAY, (size_t)elements);
	reply->size = (size_t)elements;
	reply->is.items = arena_alloc(((struct redis *)task->privdata)->answer,
	    reply->size * sizeof(struct redis_reply *));
	return reply;
}

static void *
make_string(const redisReadTask *task, char *at, size_t size)
{
	struct redis *redis = task->privdata;
	struct redis_reply *reply;
	enum redis_type type;

	if (task->type == REDIS_REPLY_STRING)
		type = REDIS_STRING;
	else if (task->type == REDIS_REPLY_STATUS)
		type = REDIS_STATUS;
	else if (task->type == REDIS_REPLY_ERROR)
		type = REDIS_ERROR;
	else
		return NULL;
	reply = make_reply(task, type, 0);
	reply->size = size;
	reply->is.text = text_copy(redis->answer, (struct text){ at, size }).at;
	return reply;
}

static void *
make_integer(const redisReadTask *task, long long value)
{
	struct redis_reply *reply = make_reply(task, REDIS_INTEGER, 0);

	reply->is.integer = value;
	return reply;
}

static void *
make_nil(const redisReadTask *task)
{
	return make_reply(task, REDIS_NIL, 0);
}

/* hiredis gives back what was begun: the outermost. */
static void
drop_reply(void *reply)
{
	redis_reply_destroy(reply);
}

#if HIREDIS_MAJOR > 0
static void *
refuse_double(const redisReadTask *task, double value, char *at, size_t size)
{
	(void)task, (void)value, (void)at, (void)size;
	return NULL;
}

static void *
refuse_boolean(const redisReadTask *task, int value)
{
	(void)task, (void)value;
	return NULL;
}
#endif

static redisReplyObjectFunctions reply_makers = {
	.createString = make_string,
	.createArray = make_array,
	.createInteger = make_integer,
	.createNil = make_nil,
	.freeObject = drop_reply,
#if HIREDIS_MAJOR > 0
	.createDouble = refuse_double,
	.createBool = refuse_boolean,
#endif
};

/* As redis_do, which is built on this file. */
static int
greet_by(struct redis *redis, const struct text *argv, size_t n,
    const char *what, struct error *err)
{
	struct redis_reply *reply = redis_command(redis, argv, n, err);
	int rc =
	    reply != NULL ? redis_reply_error(redis, reply, what, err) : -1;

	redis_reply_destroy(reply);
	return rc;
}

/* AUTH, CLIENT SETNAME, SELECT, as far as they are configured. */
static int
greet(struct redis *redis, struct error *err)
{
	struct text auth[3] = { TEXT("AUTH") }, name[3], select[2];
	char database[16];
	size_t n = 1;

	if (redis->password != NULL) {
		if (redis->username != NULL)
			auth[n++] = text_from(redis->username);
		auth[n++] = text_from(redis->password);
		if (greet_by(redis, auth, n, "AUTH", err) != 0)
			return -1;
	}
	if (redis->client_name != NULL) {
		name[0] = TEXT("CLIENT");
		name[1] = TEXT("SETNAME");
		name[2] = text_from(redis->client_name);
		if (greet_by(redis, name, 3, "CLIENT SETNAME", err) != 0)
			return -1;
	}
	if (redis_url_database(redis->url) == 0)
		return 0;
	snprintf(
	    database, sizeof database, "%d", redis_url_database(redis->url));
	select[0] = TEXT("SELECT");
	select[1] = text_from(database);
	if (greet_by(redis, select, 2, "SELECT", err) != 0) {
		if (err != NULL && err->kind == ERROR_FATAL)
			err->exit_code = EX_CONFIG;
		return -1;
	}
	return 0;
}

/* Whether this server says that it is a master: writes go nowhere else. */
static int
check_role(struct redis *redis, struct error *err)
{
	const struct text role = TEXT("ROLE");
	struct redis_reply *reply = redis_command(redis, &role, 1, err);
	int rc = -1;

	if (reply == NULL)
		return -1;
	if (redis_reply_error(redis, reply, "ROLE", err) == 0) {
		if (redis_reply_size(reply) > 0 &&
		    text_equal(redis_reply_text(redis_reply_at(reply, 0)),
			TEXT("master")))
			rc = 0;
		else
			error_set(err, ERROR_RETRY, "redis %s: is not a master",
			    redis->address);
	}
	redis_reply_destroy(reply);
	return rc;
}

/*
 * A cluster's node refuses a script whose keys lie in several slots, which is
 * nearly each of ours: after half of the work.  Who may not ask finds it then.
 */
static int
check_single(struct redis *redis, struct error *err)
{
	const struct text ask[] = { TEXT("INFO"), TEXT("cluster") };
	struct redis_reply *reply = redis_command(redis, ask, 2, err);
	bool is_cluster;

	if (reply == NULL)
		return -1;
	is_cluster = text_equal(
	    redis_info_value(redis_reply_text(reply), "cluster_enabled"),
	    TEXT("1"));
	redis_reply_destroy(reply);
	if (!is_cluster)
		return 0;
	return error_fatal(err, EX_CONFIG,
	    "redis %s: is a node of a Redis Cluster, which isn't supported "
	    "under any redis.prefix: give one master, with replicas or without "
	    "(cluster-enabled no)",
	    redis->address);
}

/* From a fresh context on: the settings of the connection, and who it is. */
static int
begin_connection(struct redis *redis, redisContext *context, struct error *err)
{
	redis->context = context;
	if (context == NULL || context->err != 0)
		return fail_connection(redis, err, "connect");
	if (redisSetTimeout(context, redis->command_timeout) != REDIS_OK)
		return fail_connection(redis, err, "set the time-out");
	if (context->connection_type == REDIS_CONN_TCP &&
	    redisEnableKeepAlive(context) != REDIS_OK)
		return fail_connection(redis, err, "set keepalive");
	context->reader->fn = &reply_makers;
	context->reader->privdata = redis;
	redis->away = greet(redis, err) != 0 || check_role(redis, err) != 0 ||
	    check_single(redis, err) != 0;
	if (!redis->away)
		return 0;
	redis_disconnect(redis);
	return -1;
}

static int
connect_socket(
    struct redis *redis, const struct redis_host *host, struct error *err)
{
	snprintf(redis->address, sizeof redis->address, "%s", host->name);
	snprintf(redis->shown_url, sizeof redis->shown_url, "unix://%s?db=%d",
	    host->name, redis_url_database(redis->url));
	return begin_connection(redis,
	    redisConnectUnixWithTimeout(host->name, redis->connect_timeout),
	    err);
}

/* Each address of a name, in the resolver's order: one of them is the master.
 */
static int
connect_addresses(struct redis *redis, const struct redis_host *host,
    const struct addrinfo *at, struct error *err)
{
	bool is_one = at->ai_next == NULL;
	char number[ADDRESS_SIZE];
	int tries = 0;

	for (; at != NULL && tries < ADDRESSES_MAX; at = at->ai_next, tries++) {
		if (getnameinfo(at->ai_addr, at->ai_addrlen, number,
			sizeof number, NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		if (!is_one)
			snprintf(redis->address, sizeof redis->address,
			    "%s:%d (%s)", host->name, host->port, number);
		if (begin_connection(redis,
			redisConnectWithTimeout(
			    number, host->port, redis->connect_timeout),
			err) == 0)
			return 0;
		if (err != NULL && err->kind == ERROR_FATAL)
			return -1;
	}
	return -1;
}

static int
connect_host(
    struct redis *redis, const struct redis_host *host, struct error *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int rc;

	if (host->is_socket)
		return connect_socket(redis, host, err);
	snprintf(redis->address, sizeof redis->address, "%s:%d", host->name,
	    host->port);
	snprintf(redis->shown_url, sizeof redis->shown_url, "redis://%s/%d",
	    redis->address, redis_url_database(redis->url));
	rc = getaddrinfo(host->name, NULL, &hints, &found);
	if (rc != 0) {
		redis->away = true;
		return error_set(err, ERROR_RETRY, "redis %s: find it: %s",
		    redis->address, gai_strerror(rc));
	}
	rc = connect_addresses(redis, host, found, err);
	freeaddrinfo(found);
	return rc;
}

int
redis_connect(struct redis *redis, struct error *err)
{
	size_t i;

	if (redis->context != NULL)
		return 0;
	buffer_reset(&redis->out);
	for (i = 0; i < redis_url_size(redis->url); i++) {
		if (connect_host(redis, redis_url_at(redis->url, i), err) == 0)
			return 0;
		if (err != NULL && err->kind == ERROR_FATAL)
			return -1;
	}
	return -1;
}

static void
append_number(struct buffer *out, char kind, size_t number)
{
	char digits[24];
	size_t i = sizeof digits;

	digits[--i] = '\n';
	digits[--i] = '\r';
	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	digits[--i] = kind;
	buffer_append(out, (struct text){ digits + i, sizeof digits - i });
}

static void
append_argument(struct buffer *out, struct text argument)
{
	append_number(out, '$', argument.size);
	buffer_append(out, argument);
	buffer_append(out, TEXT("\r\n"));
}

void
redis_append(struct redis *redis, const struct text *argv, size_t n)
{
	size_t i;

	append_number(&redis->out, '*', n);
	for (i = 0; i < n; i++)
		append_argument(&redis->out, argv[i]);
}

int
redis_send(struct redis *redis, struct error *err)
{
	int done = 0;

	if (redis->context == NULL)
		return error_set(err, ERROR_RETRY, "redis %s: not connected",
		    redis->address);
	if (redis->out.size == 0)
		return 0;
	if (redisAppendFormattedCommand(
		redis->context, redis->out.at, redis->out.size) != REDIS_OK)
		return fail_connection(redis, err, "queue");
	buffer_reset(&redis->out);
	while (!done)
		if (redisBufferWrite(redis->context, &done) != REDIS_OK)
			return fail_connection(redis, err, "send");
	return 0;
}

/* What has arrived for the answer that is being read. */
static size_t
unread_bytes(const redisReader *reader)
{
	return reader->len - reader->pos;
}

struct redis_reply *
redis_receive(struct redis *redis, struct error *err)
{
	void *reply = NULL;
	size_t received;

	redis->was_too_large = false;
	if (redis_send(redis, err) != 0)
		return NULL;
	received = unread_bytes(redis->context->reader);
	for (;;) {
		size_t before;

		if (redisReaderGetReply(redis->context->reader, &reply) !=
		    REDIS_OK) {
			/* hiredis takes what a maker refuses for a lack of
			 * memory. */
			error_set(err, ERROR_RETRY, "redis %s: answer: %s",
			    redis->address,
			    redis->context->reader->err == REDIS_ERR_OOM
				? "not of RESP2, or over the caps on elements "
				  "and depth"
				: redis->context->reader->errstr);
			redis_disconnect(redis);
			redis->away = true;
			return NULL;
		}
		if (reply != NULL)
			return reply;
		before = unread_bytes(redis->context->reader);
		if (redisBufferRead(redis->context) != REDIS_OK) {
			fail_connection(redis, err, "wait for an answer");
			return NULL;
		}
		received += unread_bytes(redis->context->reader) - before;
		if (received > REPLY_SIZE_MAX) {
			redis->was_too_large = true;
			error_set(err, ERROR_RETRY,
			    "redis %s: an answer of more than %zu bytes",
			    redis->address, REPLY_SIZE_MAX);
			redis_disconnect(redis);
			return NULL;
		}
	}
}

bool
redis_answer_was_too_large(const struct redis *redis)
{
	return redis->was_too_large;
}

struct redis_reply *
redis_command(
    struct redis *redis, const struct text *argv, size_t n, struct error *err)
{
	redis_append(redis, argv, n);
	return redis_receive(redis, err);
}

int
redis_load_script(
    struct redis *redis, struct redis_script *script, struct error *err)
{
	const struct text load[3] = { TEXT("SCRIPT"), TEXT("LOAD"),
		text_from(script->source) };
	struct redis_reply *reply = redis_command(redis, load, 3, err);
	struct text sha1;
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(redis, reply, "SCRIPT LOAD", err);
	sha1 = redis_reply_text(reply);
	if (rc == 0 &&
	    (sha1.at == NULL || sha1.size != sizeof script->sha1 - 1))
		rc = error_set(err, ERROR_RETRY,
		    "redis %s: SCRIPT LOAD answered no digest", redis->address);
	else if (rc == 0) {
		memcpy(script->sha1, sha1.at, sha1.size);
		script->sha1[sha1.size] = '\0';
	}
	redis_reply_destroy(reply);
	return rc;
}

/* EVALSHA or EVAL, keys and arguments. */
static void
append_eval(struct redis *redis, const char *how, const char *what,
    const struct redis_arguments *with)
{
	char number[24];
	size_t i;

	append_number(&redis->out, '*', 3 + with->n_keys + with->n_args);
	append_argument(&redis->out, text_from(how));
	append_argument(&redis->out, text_from(what));
	snprintf(number, sizeof number, "%zu", with->n_keys);
	append_argument(&redis->out, text_from(number));
	for (i = 0; i < with->n_keys; i++)
		append_argument(&redis->out, with->keys[i]);
	for (i = 0; i < with->n_args; i++)
		append_argument(&redis->out, with->args[i]);
}

void
redis_append_script(struct redis *redis, struct redis_script *script,
    const struct redis_arguments *with)
{
	append_eval(redis, "EVALSHA", script->sha1, with);
}

struct redis_reply *
redis_run_script(struct redis *redis, struct redis_script *script,
    const struct redis_arguments *with, struct error *err)
{
	struct redis_reply *reply;

	if (script->sha1[0] == '\0' &&
	    redis_load_script(redis, script, err) != 0)
		return NULL;
	append_eval(redis, "EVALSHA", script->sha1, with);
	reply = redis_receive(redis, err);
	if (reply == NULL || !redis_reply_is_noscript(reply))
		return reply;
	redis_reply_destroy(reply);
	append_eval(redis, "EVAL", script->source, with);
	return redis_receive(redis, err);
}

/* Answers ---------------------------------------------------------------- */

void
redis_reply_destroy(struct redis_reply *reply)
{
	if (reply != NULL)
		arena_destroy(reply->arena);
}

enum redis_type
redis_reply_type(const struct redis_reply *reply)
{
	return reply != NULL ? reply->type : REDIS_NIL;
}

struct text
redis_reply_text(const struct redis_reply *reply)
{
	enum redis_type type = redis_reply_type(reply);

	if (type == REDIS_STRING || type == REDIS_STATUS || type == REDIS_ERROR)
		return (struct text){ reply->is.text, reply->size };
	return TEXT_NONE;
}

int64_t
redis_reply_integer(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_INTEGER ? reply->is.integer : 0;
}

size_t
redis_reply_size(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_ARRAY ? reply->size : 0;
}

const struct redis_reply *
redis_reply_at(const struct redis_reply *reply, size_t i)
{
	return reply->is.items[i];
}

bool
redis_reply_is_noscript(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_ERROR &&
	    text_starts_with(redis_reply_text(reply), TEXT("NOSCRIPT"));
}

struct text
redis_info_value(struct text info, const char *name)
{
	size_t size = strlen(name), i;

	for (i = 0; i + size < info.size; i++) {
		const char *at = info.at + i;
		const char *end;

		if ((i > 0 && at[-1] != '\n') || memcmp(at, name, size) != 0 ||
		    at[size] != ':')
			continue;
		at += size + 1;
		end = memchr(at, '\r', info.size - (size_t)(at - info.at));
		if (end != NULL)
			return (struct text){ at, (size_t)(end - at) };
	}
	return TEXT_NONE;
}

/* What an error answer's first word asks the caller to do. */
static const struct error_class {
	const char *word;
	enum error_kind kind;
	int exit_code;
} error_classes[] = {
	{ "LOADING", ERROR_RETRY, 0 }, { "READONLY", ERROR_RETRY, 0 },
	{ "MASTERDOWN", ERROR_RETRY, 0 }, { "MISCONF", ERROR_RETRY, 0 },
	{ "NOREPLICAS", ERROR_RETRY, 0 }, { "OOM", ERROR_RETRY, 0 },
	{ "BUSY", ERROR_RETRY, 0 }, { "TRYAGAIN", ERROR_RETRY, 0 },
	{ "CLUSTERDOWN", ERROR_RETRY, 0 }, { "NOSCRIPT", ERROR_RETRY, 0 },
	{ "ERR max number of clients", ERROR_RETRY, 0 },
	{ "ERR AUTH", ERROR_FATAL, 77 }, /* a password where none is set */
	{ "DENIED", ERROR_FATAL, 77 },   /* protected mode */
	{ "NOAUTH", ERROR_FATAL, 77 }, { "WRONGPASS", ERROR_FATAL, 77 },
	{ "NOPERM", ERROR_FATAL, 77 }, { "MOVED", ERROR_FATAL, EX_CONFIG },
	{ "WRONGTYPE", ERROR_RETRY, 0 },
	{ "", ERROR_FATAL, 70 }, /* any other */
};

int
redis_reply_error(struct redis *redis, const struct redis_reply *reply,
    const char *what, struct error *err)
{
	struct text answer = redis_reply_text(reply);
	const struct error_class *class = error_classes;

	if (redis_reply_type(reply) != REDIS_ERROR)
		return 0;
	while (!text_starts_with(answer, text_from(class->word)))
		class ++;
	error_set(err, class->kind, "redis %s: %s: %.*s", redis_address(redis),
	    what, TEXT_ARG(answer));
	if (err != NULL)
		err->exit_code = class->exit_code;
	if (text_starts_with(answer, TEXT("READONLY")))
		redis_disconnect(redis);
	return -1;
}
