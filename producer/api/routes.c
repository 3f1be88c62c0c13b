#include "producer/api/routes.h"

#include <stdio.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "producer/api/builds.h"
#include "producer/api/changes.h"
#include "producer/api/events.h"
#include "producer/api/openapi.h"
#include "producer/api/run_list.h"
#include "producer/api/runs.h"
#include "producer/api/schedules.h"
#include "producer/base/metrics.h"
#include "producer/http/call.h"

enum preview { PREVIEW_NEVER, PREVIEW_IN_DOC, PREVIEW_ALWAYS };
enum body_use { BODY_IGNORED, BODY_NONE, BODY_JSON };

/* The rids that a path may name, and the parameter of errors about them. */
static const struct {
	const char *variable, *parameter;
} objects[] = {
	{ "{scheduleRid}", "scheduleRid" },
	{ "{scheduleVersionRid}", "scheduleVersionRid" },
	{ "{buildRid}", "buildRid" },
	{ "{runRid}", "scheduleRunRid" },
};
#define N_OBJECTS (sizeof objects / sizeof objects[0])

struct http_route {
	const char *method;  /* NULL: the path is not served */
	const char *pattern; /* below http.base.path; one per path in a row */
	enum http_scope scope;
	enum preview preview;
	enum body_use body;
	call_function *handle;    /* on the loop; or NULL and */
	call_work_function *work; /* on a pool thread, by http_call_do */
};

#define API "/api/v2/orchestration"

#define BODY_MAX ((size_t)1024 * 1024)
#define NO_BODY_MAX 1024 /* where none is taken, but some is sent */

static void
answer_alive(struct http_call *call)
{
	http_call_answer(call,
	    &(struct http_answer){ .status = 200,
		.content_type = "text/plain; charset=utf-8",
		.body = TEXT("ok\n") });
}

/*
 * Rows of one path stand together; paths with a literal segment stand before
 * those with a variable there.
 */
static const struct http_route routes[] = {
	{ "GET", "/healthz", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    answer_alive, NULL },
	{ "GET", "/openapi.json", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    http_openapi_get, NULL },
	{ "POST", API "/schedules", SCOPE_WRITE, PREVIEW_ALWAYS, BODY_JSON,
	    NULL, http_schedules_create },
	{ "POST", API "/schedules/getBatch", SCOPE_READ, PREVIEW_ALWAYS,
	    BODY_JSON, NULL, http_schedules_get_batch },
	{ "GET", API "/schedules/{scheduleRid}", SCOPE_READ, PREVIEW_ALWAYS,
	    BODY_IGNORED, NULL, http_schedules_get },
	{ "PUT", API "/schedules/{scheduleRid}", SCOPE_WRITE, PREVIEW_ALWAYS,
	    BODY_JSON, NULL, http_schedules_replace },
	{ "DELETE", API "/schedules/{scheduleRid}", SCOPE_WRITE, PREVIEW_IN_DOC,
	    BODY_IGNORED, NULL, http_schedules_delete },
	{ "POST", API "/schedules/{scheduleRid}/run", SCOPE_WRITE,
	    PREVIEW_IN_DOC, BODY_NONE, http_runs_post, NULL },
	{ "POST", API "/schedules/{scheduleRid}/pause", SCOPE_WRITE,
	    PREVIEW_IN_DOC, BODY_NONE, NULL, http_schedules_pause },
	{ "POST", API "/schedules/{scheduleRid}/unpause", SCOPE_WRITE,
	    PREVIEW_IN_DOC, BODY_NONE, NULL, http_schedules_unpause },
	{ "POST", API "/schedules/{scheduleRid}/getAffectedResources",
	    SCOPE_READ, PREVIEW_ALWAYS, BODY_NONE, NULL,
	    http_schedules_affected },
	{ "GET", API "/schedules/{scheduleRid}/runs", SCOPE_READ,
	    PREVIEW_IN_DOC, BODY_IGNORED, NULL, http_run_list },
	{ "GET", API "/schedules/{scheduleRid}/runs/{runRid}", SCOPE_READ,
	    PREVIEW_NEVER, BODY_IGNORED, http_runs_get, NULL },
	{ "GET", API "/runEvents", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    http_events_get, NULL },
	{ "GET", API "/scheduleVersions/{scheduleVersionRid}", SCOPE_READ,
	    PREVIEW_ALWAYS, BODY_IGNORED, NULL, http_versions_get },
	{ "GET", API "/scheduleVersions/{scheduleVersionRid}/schedule",
	    SCOPE_READ, PREVIEW_ALWAYS, BODY_IGNORED, NULL,
	    http_versions_schedule },
	{ "POST", API "/builds/getBatch", SCOPE_READ, PREVIEW_NEVER, BODY_JSON,
	    NULL, http_builds_get_batch },
	/* The build system's, not ours: "create" is no malformed rid. */
	{ NULL, API "/builds/create", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, NULL },
	{ NULL, API "/builds/search", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, NULL },
	{ "GET", API "/builds/{buildRid}", SCOPE_READ, PREVIEW_NEVER,
	    BODY_IGNORED, NULL, http_builds_get },
};
#define N_ROUTES (sizeof routes / sizeof routes[0])

size_t
http_routes_count(void)
{
	return N_ROUTES;
}

void
http_routes_register(struct http_app *app)
{
	size_t i;

	for (i = 0; i < N_ROUTES; i++)
		if (routes[i].method != NULL)
			http_counters_route(app->counters, i, routes[i].pattern,
			    routes[i].method);
}

/* The object that a pattern's segment stands for, or NULL for a literal. */
static int
object_of(struct text segment)
{
	size_t i;

	for (i = 0; i < N_OBJECTS; i++)
		if (text_equal(segment, text_from(objects[i].variable)))
			return (int)i;
	return -1;
}

static bool
next_segment(const char **pattern, struct text *segment)
{
	if (**pattern != '/')
		return false;
	segment->at = *pattern + 1;
	segment->size = strcspn(segment->at, "/");
	*pattern = segment->at + segment->size;
	return true;
}

/* How many segments of the path a fixed prefix takes; -1: it doesn't fit. */
static int
match_prefix(const struct http_path *path, struct text prefix)
{
	const char *at = prefix.at;
	struct text segment;
	int n = 0;

	while (prefix.size > 0 && next_segment(&at, &segment)) {
		if ((size_t)n >= path->n_segments ||
		    !text_equal(path->segments[n], segment))
			return -1;
		n++;
	}
	return n;
}

static bool
matches(const struct http_path *path, size_t start, const char *pattern,
    struct text *rids)
{
	struct text segment;
	size_t i = start, n = 0;

	while (next_segment(&pattern, &segment)) {
		if (i >= path->n_segments)
			return false;
		if (object_of(segment) < 0) {
			if (!text_equal(path->segments[i], segment))
				return false;
		} else if (path->segments[i].size == 0) {
			return false;
		} else {
			rids[n++] = path->segments[i];
		}
		i++;
	}
	return i == path->n_segments;
}

/* The first route of the path's pattern, whatever its method. */
static const struct http_route *
find_pattern(const struct http_app *app, const struct http_path *path,
    struct text rids[2])
{
	int start = match_prefix(path, app->base_path);
	size_t i;

	if (start < 0)
		return NULL;
	for (i = 0; i < N_ROUTES; i++)
		if (matches(path, (size_t)start, routes[i].pattern, rids))
			return routes[i].method != NULL ? &routes[i] : NULL;
	return NULL;
}

static bool
is_same_path(const struct http_route *a, const struct http_route *b)
{
	return b < routes + N_ROUTES && strcmp(a->pattern, b->pattern) == 0;
}

static const struct http_route *
find_method(const struct http_route *first, struct text method)
{
	const struct http_route *route;

	if (text_equal(method, TEXT("HEAD")))
		method = TEXT("GET");
	for (route = first; is_same_path(first, route); route++)
		if (text_equal(method, text_from(route->method)))
			return route;
	return NULL;
}

size_t
http_routes_body_limit(void *context, const struct http_head *head)
{
	const struct http_route *route = NULL;
	struct arena *arena;
	struct http_path path;
	struct text rids[2];
	const char *reason;

	/* Most have none: they needn't be matched twice. */
	if (!head->chunked && head->body_size <= NO_BODY_MAX)
		return BODY_MAX;
	arena = arena_create(4096);
	if (http_path_parse(head->target, arena, &path, &reason) == 0)
		route = find_pattern(context, &path, rids);
	if (route != NULL)
		route = find_method(route, head->method);
	arena_destroy(arena);
	return route != NULL && route->body == BODY_NONE ? NO_BODY_MAX
							 : BODY_MAX;
}

static struct text
allowed_methods(struct http_call *call, const struct http_route *first)
{
	char *out = arena_alloc(call->arena, 80);
	const struct http_route *route;
	size_t n = 0;

	for (route = first; is_same_path(first, route); route++)
		n += (size_t)snprintf(out + n, 80 - n, "%s%s, ", route->method,
		    strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
	n += (size_t)snprintf(out + n, 80 - n, "OPTIONS");
	return (struct text){ out, n };
}

/* A page of another origin asks first what it may send (WHATWG Fetch). */
static void
answer_options(struct http_call *call, const struct http_route *first)
{
	struct text allow = allowed_methods(call, first);

	http_call_field(call, "Allow", allow);
	if (call->app->cors_origins[0] != '\0') {
		http_call_field(call, "Access-Control-Allow-Methods", allow);
		http_call_field(call, "Access-Control-Allow-Headers",
		    TEXT("Authorization, Content-Type, Fetch-User-Agent, "
			 "Idempotency-Key, Last-Event-ID, Prefer, "
			 "Schedrun-Contract"));
		http_call_field(call, "Access-Control-Max-Age", TEXT("600"));
	}
	http_call_empty(call, 204);
}

/* "*" is the server as a whole, and only to be asked what it can. */
static void
answer_asterisk(struct http_call *call)
{
	if (!text_equal(
		http_request_head(call->request)->method, TEXT("OPTIONS"))) {
		http_call_invalid(call, "path", "not a path", TEXT_NONE);
		return;
	}
	http_call_field(
	    call, "Allow", TEXT("GET, HEAD, POST, PUT, DELETE, OPTIONS"));
	http_call_empty(call, 204);
}

static void
refuse_method(struct http_call *call, const struct http_route *first)
{
	struct text method = http_request_head(call->request)->method;

	http_call_field(call, "Allow", allowed_methods(call, first));
	http_call_error(call, API_METHOD_NOT_ALLOWED, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("method", method), PARAMETER_END });
}

static void
take_route(struct http_call *call, const struct http_route *route)
{
	call->route = route;
	call->route_number = (size_t)(route - routes);
	call->pattern = route->pattern;
}

static bool
check_route(struct http_call *call)
{
	struct text method = http_request_head(call->request)->method;
	const struct http_route *first =
	    find_pattern(call->app, &call->path, call->rids);

	if (first == NULL) {
		http_call_empty(call, 404);
		return false;
	}
	take_route(call, first);
	if (text_equal(method, TEXT("OPTIONS"))) {
		answer_options(call, first);
		return false;
	}
	if (find_method(first, method) == NULL) {
		refuse_method(call, first);
		return false;
	}
	take_route(call, find_method(first, method));
	return true;
}

static bool
check_profile(struct http_call *call)
{
	const struct http_head *head = http_request_head(call->request);

	if (http_profile_choose(head, call->app->profile, &call->profile))
		return true;
	http_call_invalid(call, "Schedrun-Contract",
	    "must be one of doc, ga, ga-upper",
	    http_head_get(head, "schedrun-contract"));
	return false;
}

static void go_on(void *argument);

#define REALM "Bearer realm=\"schedrun\""

static void
refuse_token(struct http_call *call, const char *reason)
{
	char *challenge = arena_alloc(call->arena, 120);
	int n = snprintf(challenge, 120,
	    REALM ", error=\"invalid_token\", error_description=\"%s\"",
	    reason);

	http_counters_auth_failure(call->app->counters, reason);
	http_call_field(
	    call, "WWW-Authenticate", (struct text){ challenge, (size_t)n });
	http_call_error(call, API_UNAUTHORIZED, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("error", text_from(reason)), PARAMETER_END });
}

/* False: the call has been answered, or waits and comes back here. */
static bool
check_token(struct http_call *call)
{
	const char *reason = "MALFORMED";

	call->wait.again = go_on;
	call->wait.argument = call;
	switch (
	    http_auth_check(call->app->auth, http_request_head(call->request),
		&call->caller, &call->wait, &reason)) {
	case VERDICT_OK:
		return true;
	case VERDICT_MISSING:
		http_counters_auth_failure(call->app->counters, "MISSING");
		http_call_field(call, "WWW-Authenticate", TEXT(REALM));
		http_call_error(call, API_MISSING_CREDENTIALS, NULL, NULL);
		break;
	case VERDICT_REFUSED:
		refuse_token(call, reason);
		break;
	case VERDICT_MALFORMED:
		http_call_invalid(
		    call, "Authorization", "must be given once", TEXT_NONE);
		break;
	case VERDICT_WAIT:
		break;
	case VERDICT_NO_KEYS:
		http_call_error(call, API_UNAVAILABLE,
		    "There are no keys to judge tokens by yet.", NULL);
		break;
	}
	return false;
}

static bool
check_scope(struct http_call *call)
{
	const char *missing = http_scope_name(call->route->scope);
	char *challenge;
	int n;

	if ((call->caller.scopes & call->route->scope) != 0)
		return true;
	challenge = arena_alloc(call->arena, 120);
	n = snprintf(challenge, 120,
	    REALM ", error=\"insufficient_scope\", scope=\"%s\"", missing);
	http_counters_auth_failure(call->app->counters, "SCOPE");
	http_call_field(
	    call, "WWW-Authenticate", (struct text){ challenge, (size_t)n });
	http_call_error(call, API_USAGE_DENIED, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("missingScope", text_from(missing)),
		PARAMETER_END });
	return false;
}

static bool
check_preview(struct http_call *call)
{
	enum preview wanted = call->route->preview;
	struct text value = TEXT_NONE;
	int n = http_path_get(&call->path, "preview", &value);
	bool is_true = n == 1 && text_equal(value, TEXT("true"));
	bool is_false = n == 1 && text_equal(value, TEXT("false"));

	if (n < 0 || (n == 1 && !is_true && !is_false)) {
		http_call_invalid(call, "preview",
		    n < 0 ? "must be given once" : "must be true or false",
		    value);
		return false;
	}
	if (is_true || wanted == PREVIEW_NEVER ||
	    (wanted == PREVIEW_IN_DOC && call->profile != PROFILE_DOC))
		return true;
	http_call_error(call, API_PREVIEW_ONLY,
	    "This endpoint is in preview: add preview=true.", NULL);
	return false;
}

/*
 * Only their form: a rid of another type names nothing of ours, and is looked
 * for in vain like any other.
 */
static bool
check_rids(struct http_call *call)
{
	const char *pattern = call->route->pattern;
	struct text segment;
	size_t n = 0;

	while (next_segment(&pattern, &segment)) {
		int object = object_of(segment);
		struct text rid;

		if (object < 0)
			continue;
		rid = call->rids[n++];
		if (rid_is_valid(rid))
			continue;
		http_call_invalid(call, objects[object].parameter,
		    "not a resource identifier", rid);
		return false;
	}
	return true;
}

static bool
check_body(struct http_call *call)
{
	switch (call->route->body) {
	case BODY_IGNORED:
		return true;
	case BODY_NONE:
		return http_call_takes_no_body(call);
	case BODY_JSON:
		return http_call_body(call) != NULL;
	}
	return false;
}

static bool
check_access(struct http_call *call)
{
	if (call->route->scope == SCOPE_NONE)
		return true;
	return check_token(call) && check_scope(call) && check_preview(call);
}

/* What follows on routing; once more from the token on if its key was unknown.
 */
static void
go_on(void *argument)
{
	struct http_call *call = argument;

	if (!check_access(call) || !check_rids(call) || !check_body(call))
		return;
	if (call->route->handle != NULL)
		call->route->handle(call);
	else
		http_call_do(call, call->route->work);
}

void
http_routes_handle(void *context, struct http_request *request)
{
	struct http_call *call = http_call_create(context, request);
	const char *reason;

	if (http_path_parse(http_request_head(request)->target, call->arena,
		&call->path, &reason) != 0) {
		http_call_invalid(call, "path", reason, TEXT_NONE);
		return;
	}
	if (call->path.n_segments == 0) {
		answer_asterisk(call);
		return;
	}
	if (!check_route(call))
		return;
	if (call->route->scope == SCOPE_NONE || check_profile(call))
		go_on(call);
}
