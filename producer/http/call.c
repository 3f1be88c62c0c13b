#include "producer/http/call.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "producer/auth/origins.h"
#include "producer/base/metrics.h"

#define ARENA_BLOCK 4096
#define JSON_DEPTH_MAX 32

#define VARY "User-Agent, Fetch-User-Agent, Schedrun-Contract"

struct http_call *
http_call_create(struct http_app *app, struct http_request *request)
{
	struct http_call *call = memory_zalloc(1, sizeof *call);

	call->app = app;
	call->arena = arena_create(ARENA_BLOCK);
	call->asked.request = request;
	call->asked.head = http_request_head(request);
	call->asked.route_number = SIZE_MAX;
	call->asked.pattern = "none";
	call->asked.started_ms = clock_monotonic_ms();
	return call;
}

static void
destroy_call(struct http_call *call)
{
	json_destroy(call->asked.document);
	buffer_finish(&call->answer.body);
	arena_destroy(call->arena);
	free(call);
}

void
http_call_submit(struct http_call *call)
{
	if (work_pool_submit(call->app->pool, &call->job) != 0)
		http_call_error(call, API_UNAVAILABLE,
		    "Redis does not answer, or too many requests wait for it; "
		    "nothing was done.",
		    NULL);
}

void
http_call_finish(void *argument)
{
	struct http_call *call = argument;
	const struct call_answer *answer = &call->answer;

	if (call->job.error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (answer->refused)
		http_call_error(call, answer->refusal, answer->description,
		    answer->parameters);
	else if (answer->body.size > 0)
		http_call_json(call, 200, &answer->body);
	else
		http_call_empty(call, 204);
}

void
http_call_refuse(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters)
{
	struct call_answer *answer = &call->answer;
	size_t n = 0;

	while (parameters != NULL && parameters[n].name != NULL)
		n++;
	answer->parameters =
	    arena_zalloc(call->arena, n + 1, sizeof *answer->parameters);
	if (n > 0)
		memcpy(answer->parameters, parameters,
		    n * sizeof *answer->parameters);
	answer->refused = true;
	answer->refusal = error;
	answer->description = description;
}

struct access
http_call_access(struct http_call *call, struct work_redis *redis)
{
	return (struct access){ .store = &redis->store,
		.caller = &call->asked.caller,
		.arena = call->arena,
		.roles = redis->roles };
}

void
http_call_field(struct http_call *call, const char *name, struct text value)
{
	struct call_answer *answer = &call->answer;

	if (answer->n_fields < CALL_FIELDS_MAX)
		answer->fields[answer->n_fields++] =
		    (struct http_field){ text_from(name), value };
}

/* An origin of the list gets an answer that its page may read. */
static void
add_cors(struct http_call *call)
{
	struct text origin = http_head_get(call->asked.head, "origin");

	if (!origins_have(call->app->cors_origins, origin))
		return;
	http_call_field(call, "Access-Control-Allow-Origin", origin);
	http_call_field(call, "Access-Control-Expose-Headers",
	    TEXT("Allow, Idempotency-Replayed, Location, Preference-Applied, "
		 "Retry-After, WWW-Authenticate"));
}

static void
add_vary(struct http_call *call)
{
	http_call_field(call, "Vary",
	    call->app->cors_origins[0] != '\0' ? TEXT(VARY ", Origin")
					       : TEXT(VARY));
}

void
http_call_trace(
    struct http_call *call, struct text schedule_rid, const struct uuid *run)
{
	const struct call_request *asked = &call->asked;
	struct text header = http_head_get(asked->head, "traceparent");
	struct trace_span span;
	struct buffer name = { 0 };
	struct call_trace *trace;

	/* Of two, none is believed. */
	if (http_head_count(asked->head, "traceparent") != 1)
		header = TEXT_NONE;
	if (!tracer_begin(header, run, "receive", &span))
		return;
	trace = arena_alloc(call->arena, sizeof *trace);
	*trace = (struct call_trace){
		.span = span, .schedule_rid = schedule_rid, .run = *run
	};
	buffer_format(
	    &name, "%.*s %s", TEXT_ARG(asked->head->method), asked->pattern);
	trace->span.name = buffer_keep(&name, call->arena).at;
	trace->span.kind = TRACE_SERVER;
	trace->span.begun_ns -=
	    (clock_monotonic_ms() - asked->started_ms) * 1000000;
	trace_context_write(&span.own, trace->header);
	call->trace = trace;
}

static void
end_trace(const struct http_call *call, int status)
{
	const struct call_trace *trace = call->trace;
	struct trace_span span = trace->span;
	char run[RID_SIZE_MAX];
	const struct trace_attribute attributes[] = {
		{ "http.request.method", call->asked.head->method, 0 },
		{ "http.route", text_from(call->asked.pattern), 0 },
		{ "http.response.status_code", TEXT_NONE, status },
		{ "schedrun.schedule", trace->schedule_rid, 0 },
		{ "schedrun.run",
		    { run, rid_format(TEXT(RID_RUN_PREFIX), &trace->run, run) },
		    0 },
		{ NULL, TEXT_NONE, 0 },
	};

	span.ended_ns = trace_now_ns();
	span.failure = status >= 500 ? "the call failed" : NULL;
	tracer_add(&span, attributes);
}

static void
count_answer(struct http_call *call, int status)
{
	const struct call_request *asked = &call->asked;
	int64_t ms = clock_monotonic_ms() - asked->started_ms;

	http_counters_answer(call->app->counters, asked->route_number,
	    asked->head->method, status, (double)ms / 1000.0);
	log_event(LOG_DEBUG, "http", "request_answered", "request answered",
	    LOG_S("route", asked->pattern),
	    LOG_T("method", asked->head->method), LOG_I("status", status),
	    LOG_I("duration_ms", ms), LOG_END);
	if (call->trace != NULL)
		end_trace(call, status);
}

/* What all answers have, and the headers that were added. */
static void
complete_answer(struct http_call *call, struct http_answer *answer)
{
	add_cors(call);
	add_vary(call);
	answer->fields = call->answer.fields;
	answer->n_fields = call->answer.n_fields;
	answer->close |= call->answer.close;
	count_answer(call, answer->status);
}

void
http_call_answer(struct http_call *call, const struct http_answer *answer)
{
	struct http_answer whole = *answer;

	complete_answer(call, &whole);
	http_respond(call->asked.request, &whole);
	destroy_call(call);
}

struct http_stream *
http_call_stream(struct http_call *call, loop_call *gone, void *argument)
{
	struct http_answer answer = { .status = 200,
		.content_type = "text/event-stream",
		.streamed = true };
	struct http_stream *stream;

	complete_answer(call, &answer);
	stream =
	    http_stream_start(call->asked.request, &answer, gone, argument);
	destroy_call(call);
	return stream;
}

void
http_call_json(struct http_call *call, int status, const struct buffer *body)
{
	struct http_answer answer = { .status = status,
		.content_type = "application/json" };
	struct buffer harmless = { 0 };

	json_put_harmless(&harmless, buffer_text(body));
	answer.body = buffer_text(&harmless);
	complete_answer(call, &answer);
	http_respond(call->asked.request, &answer);
	destroy_call(call);
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
	    call->job.error.kind != ERROR_NONE ? call->job.error.message
					       : "request refused",
	    LOG_S("route", call->asked.pattern),
	    LOG_S("error_name", api_error_name(error)),
	    LOG_T("error_instance_id", ((struct text){ id, sizeof id })),
	    LOG_END);
}

static void
add_retry(struct http_call *call)
{
	unsigned seconds = call->answer.retry_s;
	char digits[TEXT_NUMBER_SIZE];

	http_call_field(call, "Retry-After",
	    text_copy(call->arena,
		text_of_number(seconds > 0 ? seconds : 1, digits)));
}

void
http_call_error(struct http_call *call, enum api_error error,
    const char *description, const struct api_parameter *parameters)
{
	struct uuid instance = uuid_random();
	struct buffer body = { 0 };

	if (error == API_UNAVAILABLE || error == API_RATE_LIMITED)
		add_retry(call);
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
	if (call->job.error.kind == ERROR_RETRY)
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

/* `name`: of the parameter that shows the field's value. */
static bool
refuse_media(struct http_call *call, const char *name, struct text value,
    const char *description)
{
	struct api_parameter parameters[] = {
		PARAMETER_T(name,
		    value.at != NULL && text_is_utf8(value) ? value : TEXT("")),
		PARAMETER_END,
	};

	http_call_error(call, API_MEDIA_TYPE, description, parameters);
	return false;
}

/* Read as it came, a compressed body would be called no JSON. */
static bool
is_encoded(const struct http_head *head)
{
	struct text coding = http_head_get(head, "content-encoding");

	return http_head_count(head, "content-encoding") > 1 ||
	    (coding.size > 0 &&
		(coding.size != strlen("identity") ||
		    strncasecmp(coding.at, "identity", coding.size) != 0));
}

static bool
parse_body(struct http_call *call)
{
	const struct http_head *head = call->asked.head;
	struct text type = http_head_get(head, "content-type");
	struct error err = { 0 };

	if (is_encoded(head))
		return refuse_media(call, "contentEncoding",
		    http_head_get(head, "content-encoding"),
		    "A body is taken as it is, not encoded: send it without "
		    "Content-Encoding.");
	if (http_head_count(head, "content-type") > 1 || !is_json(type))
		return refuse_media(call, "contentType", type, NULL);
	call->asked.document = json_parse(
	    http_request_body(call->asked.request), JSON_DEPTH_MAX, &err);
	if (call->asked.document != NULL)
		return true;
	http_call_invalid(call, "body", err.message, TEXT_NONE);
	return false;
}

bool
http_call_takes_body(struct http_call *call)
{
	if (http_request_body(call->asked.request).size > 0)
		return parse_body(call);
	http_call_error(call, API_MISSING_POST_BODY, NULL, NULL);
	return false;
}

bool
http_call_takes_no_body(struct http_call *call)
{
	const struct json *root;

	if (http_request_body(call->asked.request).size == 0)
		return true;
	if (!parse_body(call))
		return false;
	root = json_root(call->asked.document);
	if (json_type_of(root) == JSON_TYPE_NULL ||
	    (json_type_of(root) == JSON_TYPE_OBJECT && json_size(root) == 0))
		return true;
	http_call_invalid(call, "body", "no body is taken here", TEXT_NONE);
	return false;
}
