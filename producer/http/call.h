#ifndef SCHEDRUN_PRODUCER_HTTP_CALL_H
#define SCHEDRUN_PRODUCER_HTTP_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/http/path.h"
#include "common/http/server.h"
#include "common/json/node.h"
#include "common/trace/tracer.h"
#include "producer/auth/access.h"
#include "producer/auth/auth.h"
#include "producer/base/error.h"
#include "producer/base/profile.h"
#include "producer/http/app.h"
#include "producer/http/work_pool.h"

/*
 * A call: one request of the API from the routing to its answer.  It lives in
 * one place at a time: on the loop, or with a pool thread that does its job.
 * Every call is answered exactly once, which frees it.  What isn't said to be
 * for a pool thread is for the loop's.
 */
struct http_route;

/* What is asked, filled by the routing. */
struct call_request {
	struct http_request *request; /* for the answer */
	const struct http_head *head;
	struct http_path path;
	const struct http_route *route; /* NULL: none fits; of api/routes */
	size_t route_number;            /* for the counters; SIZE_MAX: none */
	const char *pattern;            /* for logs; "none" */
	enum http_profile profile;
	struct http_caller caller;
	struct jwt_wait wait; /* while the token's key is looked for */
	struct text rids[2];  /* of the path, checked for form */
	struct json_document *document; /* the body, if it was read */
	int64_t started_ms;             /* monotonic */
};

/* What it comes to; http_call_finish sends it. */
#define CALL_FIELDS_MAX 12
struct call_answer {
	struct http_field fields[CALL_FIELDS_MAX];
	size_t n_fields;
	bool close;       /* the connection, after the answer: a limit */
	unsigned retry_s; /* of Retry-After; 0: 1 */
	bool refused; /* by `refusal`; else it is 200 with the body, or 204 */
	enum api_error refusal;
	const char *description;
	struct api_parameter *parameters;
	struct buffer body; /* JSON */
};

/* Of a call that is traced. */
struct call_trace {
	struct trace_span span;
	struct text schedule_rid; /* borrowed until the answer */
	struct uuid run;
	char header[TRACE_PARENT_SIZE]; /* for what comes of it */
};

struct http_call {
	struct http_app *app;
	struct arena *arena; /* everything of the call */
	struct call_request asked;
	struct call_answer answer;
	struct call_trace *trace; /* NULL: it isn't */
	struct work_job job;      /* its error is the call's */
};

/* What a route does on a pool thread, between the checks and the answer. */
typedef void call_work_function(
    struct http_call *call, struct work_redis *redis);
typedef void call_function(struct http_call *call);

/* Takes a request over from the server. */
struct http_call *http_call_create(
    struct http_app *app, struct http_request *request);

/*
 * Begins the span of a call that asks for a run, below the caller's or at the
 * root of the run's trace; the answer ends it.
 */
void http_call_trace(
    struct http_call *call, struct text schedule_rid, const struct uuid *run);

/*
 * Hands call->job over to the pool, its slots set: at its `done` the call is on
 * the loop again.  If the pool takes none the call is answered by 503.
 */
void http_call_submit(struct http_call *call);

/*
 * Answers a call whose work has said how it ends: by call->job.error, or by
 * call->answer.  `call` is a struct http_call; a job's `done`.
 */
void http_call_finish(void *call);

/*
 * Within such work, on its thread: the call ends by this error.  Parameters are
 * copied, the texts in them and the description are borrowed until the answer.
 */
void http_call_refuse(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters);

/* To look up what the caller may do, on the thread of `redis`. */
struct access http_call_access(
    struct http_call *call, struct work_redis *redis);

/* A header of the answer; the value is borrowed until the answer. */
void http_call_field(
    struct http_call *call, const char *name, struct text value);

/*
 * The answers; the call is gone after each.  Of a body nothing is kept, `<` is
 * escaped in JSON.
 */
void http_call_json(
    struct http_call *call, int status, const struct buffer *body);
void http_call_empty(struct http_call *call, int status);
void http_call_answer(struct http_call *call, const struct http_answer *answer);

/*
 * Answers by an error of the API, and logs it with call->job.error if that is
 * set.  `description` and `parameters` may be NULL.
 */
void http_call_error(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters);

/*
 * Answers Default:InvalidArgument with parameter, reason and, if there is one,
 * value.
 */
void http_call_invalid(struct http_call *call, const char *parameter,
    const char *reason, struct text value);

/*
 * Answers a call that has failed by call->job.error: 503 for ERROR_RETRY
 * (nothing was published), 500 for the rest.
 */
void http_call_failed(struct http_call *call);

/*
 * The headers have been added and the call ends as a stream: gives its request
 * to `start`, counts the call and frees it.  `gone` as of http_stream_start.
 */
struct http_stream *http_call_stream(
    struct http_call *call, loop_call *gone, void *argument);

/*
 * Reads the body as JSON into asked.document.  False, and the call has been
 * answered: 415, or 400 for malformed JSON or (if it is empty) MissingPostBody.
 */
bool http_call_takes_body(struct http_call *call);

/* Whether the body is empty, {} or null; else it has been answered. */
bool http_call_takes_no_body(struct http_call *call);

#endif
