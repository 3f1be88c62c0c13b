#ifndef SCHEDRUN_COMMON_REDIS_PIPELINE_H
#define SCHEDRUN_COMMON_REDIS_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"

/*
 * Redis, pipelined: commands are queued, sent in one write and answered in
 * order.  One connection, one thread at a time.  Answers are untrusted: caps on
 * size and nesting are checked here (12 MiB, 8 levels), types by the caller.
 *
 * Any error leaves the connection closed: what was under way has an unknown
 * effect, and the next call of redis_connect starts anew (never a reconnect of
 * the old context: hiredis 0.14.1 forgets its time-out by it).
 */
struct redis;
struct redis_reply;

struct redis_settings {
	const char *url;      /* redis://h1:p,h2:p/db or unix:///path?db=0 */
	const char *username; /* NULL: none */
	const char *password; /* NULL: none; never logged */
	int connect_timeout_ms;
	int command_timeout_ms;
	const char *client_name; /* for CLIENT SETNAME; NULL: none */
};

/*
 * The configuration's settings; `url_key` is "redis.url" or "view.redis.url",
 * which is the former unless it is given.  Everything is borrowed of `config`.
 */
struct redis_settings redis_settings_of(
    const struct config *config, const char *url_key, const char *client_name);

/*
 * Checks the URL, opens nothing.  Copies the settings.  NULL: ERROR_FATAL,
 * 78.
 */
struct redis *redis_create(
    const struct redis_settings *settings, struct error *err);
void redis_destroy(struct redis *redis); /* NULL is fine */

/*
 * Connects to the first address of the URL's hosts that answers ROLE with
 * master, authenticates and selects the database.  A name is all its addresses,
 * asked for anew each time.  Does nothing if connected.
 *   ERROR_RETRY  nobody answers, LOADING, or nobody is master
 *   ERROR_FATAL  (exit code 77) wrong credentials, (78) no such database, or a
 *                node of a Redis Cluster
 */
int redis_connect(struct redis *redis, struct error *err);
bool redis_is_connected(const struct redis *redis);
/* Whether the last try to reach it failed; false while nobody has tried. */
bool redis_is_away(const struct redis *redis);

/*
 * Closes the connection, for a caller that gives up answers that are still to
 * come.
 */
void redis_disconnect(struct redis *redis);

/*
 * Closes the connection if the other side has closed it, for one that has been
 * idle: the next redis_connect starts anew instead of failing the first command
 * after a restart.  Only while no answer is awaited; does not block.
 */
void redis_drop_closed(struct redis *redis);

/* Where it is connected to, or the URL without credentials: for messages. */
const char *redis_address(const struct redis *redis);
/* The same as a URL: redis://host:port/db or unix:///path?db=0. */
const char *redis_shown_url(const struct redis *redis);

/*
 * Queues one command of `n` arguments; they are copied.  Not sent before
 * redis_send or redis_receive.
 */
void redis_append(struct redis *redis, const struct text *argv, size_t n);

/* Sends what is queued without waiting for answers. */
int redis_send(struct redis *redis, struct error *err);

/*
 * The next answer, in the order of the commands.  The reply is the caller's,
 * to be given back by redis_reply_destroy.  An answer of type error is not a
 * failure of the call: see redis_reply_error.
 *   ERROR_RETRY  time-out, closed connection, protocol error, over the caps
 */
struct redis_reply *redis_receive(struct redis *redis, struct error *err);

/* Whether what failed last was an answer over the cap on size. */
bool redis_answer_was_too_large(const struct redis *redis);

/* Append, send and receive of one command. */
struct redis_reply *redis_command(
    struct redis *redis, const struct text *argv, size_t n, struct error *err);

/*
 * The same; an answer that is an error is none: NULL.  `what` names the command
 * in the message.  Kinds as of redis_receive and redis_reply_error.
 */
struct redis_reply *redis_ask(struct redis *redis, const struct text *argv,
    size_t n, const char *what, struct error *err);

/* The same where only an error matters. */
int redis_do(struct redis *redis, const struct text *argv, size_t n,
    const char *what, struct error *err);

/* Redis's clock, in milliseconds since 1970.  Blocks; errors as of redis_do. */
int redis_clock(struct redis *redis, int64_t *now_ms, struct error *err);

/*
 * A script, run by EVALSHA, and by EVAL where the server answers NOSCRIPT.
 * `script` must stay valid for the life of `redis`.  redis_append_script queues
 * EVALSHA only: call redis_load_script before the first one, and again after
 * redis_reply_is_noscript, and repeat.
 */
struct redis_script {
	const char *source;
	char sha1[41]; /* as the server says when it is loaded */
};
struct redis_arguments {
	const struct text *keys; /* KEYS; borrowed for the call */
	size_t n_keys;
	const struct text *args; /* ARGV; borrowed too */
	size_t n_args;
};
struct redis_reply *redis_run_script(struct redis *redis,
    struct redis_script *script, const struct redis_arguments *with,
    struct error *err);
/* As redis_ask. */
struct redis_reply *redis_ask_script(struct redis *redis,
    struct redis_script *script, const struct redis_arguments *with,
    const char *what, struct error *err);
void redis_append_script(struct redis *redis, struct redis_script *script,
    const struct redis_arguments *with);
int redis_load_script(
    struct redis *redis, struct redis_script *script, struct error *err);

enum redis_type {
	REDIS_NIL,
	REDIS_STRING,
	REDIS_STATUS,
	REDIS_INTEGER,
	REDIS_ARRAY,
	REDIS_ERROR,
};

void redis_reply_destroy(struct redis_reply *reply); /* NULL is fine */
/* What a reply is, NULL as nil; what one of another type hasn't got is none or
 * 0. */
enum redis_type redis_reply_type(const struct redis_reply *reply);
struct text redis_reply_text(const struct redis_reply *reply); /* nil: none */
int64_t redis_reply_integer(const struct redis_reply *reply);  /* or 0 */
size_t redis_reply_size(const struct redis_reply *reply);      /* of an array */
/* An array's i-th, below its size; it belongs to the array. */
const struct redis_reply *redis_reply_at(
    const struct redis_reply *reply, size_t i);

/* The value behind "name:" on a line of INFO's text; none if it isn't there. */
struct text redis_info_value(struct text info, const char *name);

/* Whether the server has not the script that was called. */
bool redis_reply_is_noscript(const struct redis_reply *reply);

/*
 * If the reply is an error: sets `err` with the kind of its class and returns
 * -1, else 0.  LOADING, READONLY, MASTERDOWN, MISCONF, OOM, BUSY, TRYAGAIN,
 * CLUSTERDOWN, NOSCRIPT, too many clients: ERROR_RETRY (READONLY also closes
 * the connection, so that the master is looked for again); NOAUTH, WRONGPASS,
 * NOPERM, DENIED, a password where none is set: ERROR_FATAL, exit code 77;
 * MOVED: ERROR_FATAL, 78; anything else: ERROR_FATAL, 70.
 */
int redis_reply_error(struct redis *redis, const struct redis_reply *reply,
    const char *what, struct error *err);

/* Takes the reply, which may be NULL: gives it back unless it is an error. */
struct redis_reply *redis_reply_checked(struct redis *redis,
    struct redis_reply *reply, const char *what, struct error *err);

#endif
