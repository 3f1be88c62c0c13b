#ifndef SCHEDRUN_PRODUCER_HTTP_CALL_H
#define SCHEDRUN_PRODUCER_HTTP_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/http/path.h"
#include "common/http/server.h"
#include "common/json/node.h"
#include "producer/auth/access.h"
#include "producer/auth/auth.h"
#include "producer/base/profile.h"
#include "producer/http/app.h"
#include "producer/http/error.h"
#include "producer/http/work_pool.h"

/*
 * A call: one request of the API from the routing to its answer.  It lives in
 * one place at a time: on the loop, or with a pool thread that does its work.
 * Every call is answered exactly once, which frees it.
 */
struct http_route;
struct http_call;
struct call_rounds;

typedef void call_work_function(
    struct http_call *call, struct work_redis *redis);
typedef void call_function(struct http_call *call);

#define CALL_FIELDS_MAX 12

struct http_call {
	struct work_job job; /* a call is its own job */
	call_work_function *work;
	const struct call_rounds *rounds;
	call_function *done;
	struct http_app *app;
	struct http_request *request;
	struct arena *arena; /* everything of the call */
	struct http_path path;
	const struct http_route *route; /* NULL: none fits; of api/routes */
	size_t route_number;            /* for the counters; SIZE_MAX: none */
	const char *pattern;            /* for logs; "none" */
	enum http_profile profile;
	struct http_caller caller;
	struct jwt_wait wait; /* while the token's key is looked for */
	struct text rids[2];  /* of the path, checked for form */
	int64_t started_ms;   /* monotonic */
	struct json_document *document;
	struct http_field fields[CALL_FIELDS_MAX]; /* of the answer */
	size_t n_fields;
	void *state; /* the handler's, in the arena */
	/* What the work ended with: an error, a refusal, or a body. */
	struct error error;
	bool close; /* the connection, after the answer: a limit */
	bool refused;
	enum api_error refusal;
	const char *description;
	struct api_parameter *parameters;
	struct buffer body; /* JSON; empty: 204 */
};

struct http_call *http_call_create(
    struct http_app *app, struct http_request *request);

/*
 * Work on a pool thread, then `done` on the loop.  If the queue is full the
 * call is answered with 503 instead.
 */
void http_call_work(
    struct http_call *call, call_work_function *work, call_function *done);

/*
 * The same in rounds that many calls share: `ask` queues commands (false: there
 * is nothing more to ask), `hear` takes their answers; what is not of the
 * common kind sets call->job.alone and `work` does it anew.
 */
struct call_rounds {
	bool (*ask)(struct http_call *call, struct work_redis *redis);
	void (*hear)(struct http_call *call, struct work_redis *redis);
	call_work_function *work;
};
void http_call_work_in_rounds(struct http_call *call,
    const struct call_rounds *rounds, call_function *done);

/* The same, but -1 if the queue is full: nothing has happened. */
int http_call_try_work(
    struct http_call *call, call_work_function *work, call_function *done);

/*
 * The same for work that says by itself how the call ends: `error` set, a
 * refusal, a body, or nothing, which is 204.
 */
void http_call_do(struct http_call *call, call_work_function *work);

/*
 * Within such work: the call ends by this error.  Parameters are copied, the
 * texts in them are borrowed until the answer.
 */
void http_call_refuse(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters);

/* What the caller may do, looked up by the thread that has the call. */
struct access http_call_access(
    struct http_call *call, struct work_redis *redis);

/* A header of the answer; the value is borrowed until the answer. */
void http_call_field(
    struct http_call *call, const char *name, struct text value);

/* The answers; the call is gone after each. */
void http_call_json(
    struct http_call *call, int status, const struct buffer *body);
void http_call_empty(struct http_call *call, int status);
void http_call_answer(struct http_call *call, const struct http_answer *answer);
void http_call_error(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters);

/* Default:InvalidArgument with parameter, reason and, if there is one, value.
 */
void http_call_invalid(struct http_call *call, const char *parameter,
    const char *reason, struct text value);

/*
 * The answer to a failed work: 503 for ERROR_RETRY (nothing was published),
 * 500 for the rest; logged here.
 */
void http_call_failed(struct http_call *call);

/*
 * The headers have been added and the call ends as a stream: gives its request
 * to `start`, counts the call and frees it.
 */
struct http_stream *http_call_stream(
    struct http_call *call, loop_call *gone, void *argument);

/*
 * The body as JSON; or NULL, and the call has been answered: 415, or 400 for
 * malformed JSON or (if it is empty) MissingPostBody.
 */
const struct json *http_call_body(struct http_call *call);

/* Whether the body is empty, {} or null; else it has been answered. */
bool http_call_takes_no_body(struct http_call *call);

#endif
