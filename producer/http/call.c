#include "producer/http/call.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/json/write.h"
#include "producer/base/metrics.h"

#define ARENA_BLOCK 4096
#define JSON_DEPTH_MAX 32

#define VARY "User-Agent, Fetch-User-Agent, Schedrun-Contract"

struct http_call *
http_call_create(struct http_app *app, struct http_request *request)
{
	struct http_call *call = memory_zalloc(1, sizeof *call);

	call->app = app;
	call->request = request;
	call->route_number = SIZE_MAX;
	call->pattern = "none";
	call->arena = arena_create(ARENA_BLOCK);
	call->started_ms = clock_monotonic_ms();
	return call;
}

static void
destroy(struct http_call *call)
{
	json_destroy(call->document);
	buffer_finish(&call->body);
	arena_destroy(call->arena);
	free(call);
}

static struct http_call *
call_of(struct work_job *job)
{
	return (struct http_call *)(void *)((char *)job -
	    offsetof(struct http_call, job));
}

static void
do_work(struct work_job *job, struct work_redis *redis)
{
	struct http_call *call = call_of(job);

	if (job->late)
		error_set(&call->error, ERROR_RETRY,
		    "the request waited too long for Redis");
	else
		call->work(call, redis);
	job->failed = call->error.kind == ERROR_RETRY;
}

static void
after_work(struct work_job *job)
{
	struct http_call *call = call_of(job);

	call->done(call);
}

static bool
ask_round(struct work_job *job, struct work_redis *redis)
{
	struct http_call *call = call_of(job);

	return !job->alone && call->error.kind == ERROR_NONE &&
	    call->rounds->ask(call, redis);
}

static void
hear_round(struct work_job *job, struct work_redis *redis)
{
	struct http_call *call = call_of(job);

	call->rounds->hear(call, redis);
	job->failed = call->error.kind == ERROR_RETRY;
}

static int
submit(struct http_call *call, call_work_function *work, call_function *done)
{
	call->work = work;
	call->done = done;
	call->job.work = do_work;
	call->job.done = after_work;
	return work_pool_submit(call->app->pool, &call->job);
}

int
http_call_try_work(
    struct http_call *call, call_work_function *work, call_function *done)
{
	call->job.rounds = NULL;
	return submit(call, work, done);
}

static void
refuse_work(struct http_call *call)
{
	http_call_error(call, API_UNAVAILABLE,
	    "Redis does not answer, or too many requests wait for it; "
	    "nothing was done.",
	    NULL);
}

void
http_call_work(
    struct http_call *call, call_work_function *work, call_function *done)
{
	call->error = (struct error){ 0 };
	if (http_call_try_work(call, work, done) != 0)
		refuse_work(call);
}

void
http_call_work_in_rounds(struct http_call *call,
    const struct call_rounds *rounds, call_function *done)
{
	static const struct work_rounds asking = { ask_round, hear_round };

	call->error = (struct error){ 0 };
	call->rounds = rounds;
	call->job.rounds = &asking;
	if (submit(call, rounds->work, done) != 0)
		refuse_work(call);
}

static void
finish(struct http_call *call)
{
	if (call->error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (call->refused)
		http_call_error(
		    call, call->refusal, call->description, call->parameters);
	else if (call->body.size > 0)
		http_call_json(call, 200, &call->body);
	else
		http_call_empty(call, 204);
}

void
http_call_do(struct http_call *call, call_work_function *work)
{
	http_call_work(call, work, finish);
}

void
http_call_refuse(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters)
{
	size_t n = 0;

	while (parameters != NULL && parameters[n].name != NULL)
		n++;
	call->parameters =
	    arena_zalloc(call->arena, n + 1, sizeof *call->parameters);
	if (n > 0)
		memcpy(
		    call->parameters, parameters, n * sizeof *call->parameters);
	call->refused = true;
	call->refusal = error;
	call->description = description;
}

struct access
http_call_access(struct http_call *call, struct work_redis *redis)
{
	return (struct access){ .store = &redis->store,
		.caller = &call->caller,
		.arena = call->arena };
}

void
http_call_field(struct http_call *call, const char *name, struct text value)
{
	if (call->n_fields < CALL_FIELDS_MAX)
		call->fields[call->n_fields++] =
		    (struct http_field){ text_from(name), value };
}

/* An origin of the list gets an answer that its page may read. */
static void
add_cors(struct http_call *call)
{
	const struct http_head *head = http_request_head(call->request);
	struct text origin = http_head_get(head, "origin");
	const char *at = call->app->cors_origins;
	size_t n;

	if (origin.at == NULL || at == NULL)
		return;
	for (; *at != '\0'; at += n) {
		at += strspn(at, ", ");
		n = strcspn(at, ", ");
		if (n == 0 || !text_equal(origin, (struct text){ at, n }))
			continue;
		http_call_field(call, "Access-Control-Allow-Origin", origin);
		http_call_field(call, "Access-Control-Expose-Headers",
		    TEXT("Location, Preference-Applied, Idempotency-Replayed, "
			 "Retry-After"));
		return;
	}
}

static void
add_vary(struct http_call *call)
{
	http_call_field(call, "Vary",
	    call->app->cors_origins[0] != '\0' ? TEXT(VARY ", Origin")
					       : TEXT(VARY));
}

static void
count(struct http_call *call, int status)
{
	const struct http_head *head = http_request_head(call->request);
	double seconds =
	    (double)(clock_monotonic_ms() - call->started_ms) / 1000.0;

	http_counters_answer(call->app->counters, call->route_number,
	    head->method, status, seconds);
	log_event(LOG_DEBUG, "http", "request_answered", "request answered",
	    LOG_S("route", call->pattern), LOG_T("method", head->method),
	    LOG_I("status", status),
	    LOG_I("duration_ms", clock_monotonic_ms() - call->started_ms),
	    LOG_END);
}

void
http_call_answer(struct http_call *call, const struct http_answer *answer)
{
	struct http_answer whole = *answer;

	add_cors(call);
	add_vary(call);
	whole.fields = call->fields;
	whole.n_fields = call->n_fields;
	whole.close |= call->close;
	count(call, answer->status);
	http_respond(call->request, &whole);
	destroy(call);
}

struct http_stream *
http_call_stream(struct http_call *call, loop_call *gone, void *argument)
{
	struct http_answer answer = { .status = 200,
		.content_type = "text/event-stream" };
	struct http_stream *stream;

	add_cors(call);
	add_vary(call);
	answer.fields = call->fields;
	answer.n_fields = call->n_fields;
	count(call, 200);
	stream = http_stream_start(call->request, &answer, gone, argument);
	destroy(call);
	return stream;
}

void
http_call_json(struct http_call *call, int status, const struct buffer *body)
{
	struct buffer harmless = { 0 };

	json_put_harmless(&harmless, buffer_text(body));
	http_call_answer(call,
	    &(struct http_answer){ .status = status,
		.content_type = "application/json",
		.body = buffer_text(&harmless) });
	buffer_finish(&harmless);
}

void
http_call_empty(struct http_call *call, int status)
{
	http_call_answer(call, &(struct http_answer){ .status = status });
}

static void
log_error(
    struct http_call *call, enum api_error error, const struct uuid *instance)
{
	char id[UUID_TEXT_SIZE];
	int status = api_error_status(error);

	uuid_format(instance, id);
	log_event(status >= 500 ? LOG_WARN : LOG_DEBUG, "http",
	    status >= 500 ? "request_failed" : "request_refused",
	    call->error.kind != ERROR_NONE ? call->error.message
					   : "request refused",
	    LOG_S("route", call->pattern),
	    LOG_S("error_name", api_error_name(error)),
	    LOG_T("error_instance_id", ((struct text){ id, sizeof id })),
	    LOG_END);
}

void
http_call_error(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters)
{
	struct uuid instance = uuid_random();
	struct buffer body = { 0 };

	if (error == API_UNAVAILABLE || error == API_RATE_LIMITED)
		http_call_field(call, "Retry-After", TEXT("1"));
	log_error(call, error, &instance);
	api_error_write(&body, error, &instance, description, parameters);
	http_call_json(call, api_error_status(error), &body);
	buffer_finish(&body);
}

void
http_call_invalid(struct http_call *call, const char *parameter,
    const char *reason, struct text value)
{
	struct api_parameter parameters[4] = {
		PARAMETER_T("parameter", text_from(parameter)),
		PARAMETER_T("reason", text_from(reason)),
		PARAMETER_END,
		PARAMETER_END,
	};

	if (value.at != NULL && text_is_utf8(value))
		parameters[2] = PARAMETER_T("value", value);
	http_call_error(call, API_INVALID_ARGUMENT, NULL, parameters);
}

void
http_call_failed(struct http_call *call)
{
	if (call->error.kind == ERROR_RETRY)
		http_call_error(call, API_UNAVAILABLE,
		    "A dependency does not answer; nothing was done.", NULL);
	else
		http_call_error(call, API_INTERNAL, NULL, NULL);
}

/* "application/json", whatever its parameters say. */
static bool
is_json(struct text type)
{
	static const char json[] = "application/json";
	size_t n = sizeof json - 1;

	return type.size >= n && strncasecmp(type.at, json, n) == 0 &&
	    (type.size == n || strchr("; \t", type.at[n]) != NULL);
}

static bool
parse_body(struct http_call *call)
{
	const struct http_head *head = http_request_head(call->request);
	struct text type = http_head_get(head, "content-type");
	struct error err = { 0 };

	if (http_head_count(head, "content-type") > 1 || !is_json(type)) {
		struct api_parameter parameters[] = {
			PARAMETER_T("contentType",
			    type.at != NULL && text_is_utf8(type) ? type
								  : TEXT("")),
			PARAMETER_END,
		};

		http_call_error(call, API_MEDIA_TYPE, NULL, parameters);
		return false;
	}
	call->document =
	    json_parse(http_request_body(call->request), JSON_DEPTH_MAX, &err);
	if (call->document != NULL)
		return true;
	http_call_invalid(call, "body", err.message, TEXT_NONE);
	return false;
}

const struct json *
http_call_body(struct http_call *call)
{
	const struct json *root;

	if (http_request_body(call->request).size == 0) {
		http_call_error(call, API_MISSING_POST_BODY, NULL, NULL);
		return NULL;
	}
	if (!parse_body(call))
		return NULL;
	root = json_root(call->document);
	return root;
}

bool
http_call_takes_no_body(struct http_call *call)
{
	const struct json *root;

	if (http_request_body(call->request).size == 0)
		return true;
	if (!parse_body(call))
		return false;
	root = json_root(call->document);
	if (json_type_of(root) == JSON_TYPE_NULL ||
	    (json_type_of(root) == JSON_TYPE_OBJECT && json_size(root) == 0))
		return true;
	http_call_invalid(call, "body", "no body is taken here", TEXT_NONE);
	return false;
}
