#include "producer/api/routes.h"

#include <stdio.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "producer/api/builds.h"
#include "producer/api/changes.h"
#include "producer/api/commits.h"
#include "producer/api/events.h"
#include "producer/api/openapi.h"
#include "producer/api/run_list.h"
#include "producer/api/runs.h"
#include "producer/api/schedules.h"
#include "producer/auth/refusal.h"
#include "producer/base/metrics.h"
#include "producer/dashboard/agenda.h"
#include "producer/dashboard/builds.h"
#include "producer/dashboard/catalogue.h"
#include "producer/dashboard/chain.h"
#include "producer/dashboard/detail.h"
#include "producer/dashboard/impact.h"
#include "producer/dashboard/letters.h"
#include "producer/dashboard/overview.h"
#include "producer/dashboard/page.h"
#include "producer/dashboard/redrive.h"
#include "producer/dashboard/schedules.h"
#include "producer/dashboard/stale.h"
#include "producer/http/call.h"

enum preview { PREVIEW_NEVER, PREVIEW_IN_DOC, PREVIEW_ALWAYS };
enum body_use { BODY_IGNORED, BODY_NONE, BODY_JSON };

/*
 * The rids that a path may name, and the parameter of errors about them; NULL:
 * it is the name of a file, which has no form.
 */
static const struct {
	const char *variable, *parameter;
} objects[] = {
	{ "{scheduleRid}", "scheduleRid" },
	{ "{scheduleVersionRid}", "scheduleVersionRid" },
	{ "{buildRid}", "buildRid" },
	{ "{runRid}", "scheduleRunRid" },
	{ "{datasetRid}", "datasetRid" },
	{ "{file}", NULL },
};
#define N_OBJECTS (sizeof objects / sizeof objects[0])

struct http_route {
	const char *method;  /* NULL: the path is not served */
	const char *pattern; /* below http.base.path; one per path in a row */
	enum http_scope scope;
	enum preview preview;
	enum body_use body;
	call_function *handle;    /* on the loop; or NULL and */
	call_work_function *work; /* on a pool thread */
};

#define API "/api/v2/orchestration"
/* The dashboard's: for its page alone, not part of the API. */
#define PAGE_FILES "/page/"
#define PAGE_DATA "/dashboard/"
#define PAGE_REDRIVE PAGE_DATA "letters/redrive"

/* What is read, and what clients and tracers send by themselves beside it. */
#define SENT_BY_PAGES                                                          \
	"Attribution, Authorization, B3, Baggage, Cache-Control, "             \
	"Content-Type, Fetch-User-Agent, Idempotency-Key, Last-Event-ID, "     \
	"Prefer, Schedrun-Contract, Traceparent, Tracestate, X-B3-Flags, "     \
	"X-B3-ParentSpanId, X-B3-Sampled, X-B3-SpanId, X-B3-TraceId"

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
	{ "GET", "/", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    dashboard_page_get, NULL },
	{ "GET", PAGE_FILES "{file}", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    dashboard_file_get, NULL },
	{ "GET", PAGE_DATA "overview", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    dashboard_overview_get, NULL },
	{ "GET", PAGE_DATA "history", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    dashboard_history_get, NULL },
	{ "GET", PAGE_DATA "letters", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, dashboard_letters_get },
	{ "POST", PAGE_REDRIVE, SCOPE_WRITE, PREVIEW_NEVER, BODY_JSON, NULL,
	    dashboard_redrive },
	{ "GET", PAGE_DATA "runs/{runRid}", SCOPE_READ, PREVIEW_NEVER,
	    BODY_IGNORED, NULL, dashboard_run_get },
	{ "GET", PAGE_DATA "schedules", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, dashboard_schedules_get },
	{ "GET", PAGE_DATA "schedules/{scheduleRid}", SCOPE_READ, PREVIEW_NEVER,
	    BODY_IGNORED, NULL, dashboard_schedule_get },
	{ "POST", PAGE_DATA "schedules/{scheduleRid}/plan", SCOPE_READ,
	    PREVIEW_NEVER, BODY_NONE, NULL, dashboard_plan },
	{ "GET", PAGE_DATA "schedules/{scheduleRid}/then", SCOPE_READ,
	    PREVIEW_NEVER, BODY_IGNORED, NULL, dashboard_then_get },
	{ "GET", PAGE_DATA "builds", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, dashboard_builds_get },
	{ "GET", PAGE_DATA "due", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED, NULL,
	    dashboard_due_get },
	{ "GET", PAGE_DATA "datasets", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, dashboard_datasets_get },
	{ "GET", PAGE_DATA "datasets/{datasetRid}", SCOPE_READ, PREVIEW_NEVER,
	    BODY_IGNORED, NULL, dashboard_dataset_get },
	{ "GET", PAGE_DATA "datasets/{datasetRid}/state", SCOPE_READ,
	    PREVIEW_NEVER, BODY_IGNORED, NULL, dashboard_state_get },
	{ "GET", PAGE_DATA "datasets/{datasetRid}/impact", SCOPE_READ,
	    PREVIEW_NEVER, BODY_IGNORED, NULL, dashboard_impact_get },
	{ "GET", PAGE_DATA "stale", SCOPE_READ, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, dashboard_stale_get },
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
	{ "POST", API "/datasets/{datasetRid}/commits", SCOPE_WRITE,
	    PREVIEW_NEVER, BODY_JSON, http_commits_post, NULL },
	{ "POST", API "/builds/getBatch", SCOPE_READ, PREVIEW_NEVER, BODY_JSON,
	    NULL, http_builds_get_batch },
	/* The build system's, not ours: "create" is no malformed rid. */
	{ NULL, API "/builds/create", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, NULL },
	{ NULL, API "/builds/search", SCOPE_NONE, PREVIEW_NEVER, BODY_IGNORED,
	    NULL, NULL },
	{ "GET", API "/builds/{buildRid}", SCOPE_READ, PREVIEW_NEVER,
	    BODY_IGNORED, NULL, http_builds_get },
	{ "POST", API "/builds/{buildRid}/cancel", SCOPE_WRITE, PREVIEW_NEVER,
	    BODY_NONE, NULL, http_builds_cancel },
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
	for (i = JWT_OK + 1; i < JWT_VERDICTS; i++)
		http_counters_reason(
		    app->counters, jwt_reason((enum jwt_verdict)i));
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

/* With http.page=off these are as if they weren't there. */
static bool
is_of_page(const char *pattern)
{
	return strcmp(pattern, "/") == 0 ||
	    strncmp(pattern, PAGE_FILES, strlen(PAGE_FILES)) == 0 ||
	    strncmp(pattern, PAGE_DATA, strlen(PAGE_DATA)) == 0;
}

static bool
is_served(const struct http_app *app, const struct http_route *route)
{
	/* What the page could change, only where it may. */
	if (strcmp(route->pattern, PAGE_REDRIVE) == 0 &&
	    strcmp(config_text(app->config, "http.page"), "write") != 0)
		return false;
	return route->method != NULL &&
	    (app->dashboard != NULL || !is_of_page(route->pattern));
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
			return is_served(app, &routes[i]) ? &routes[i] : NULL;
	return NULL;
}

static bool
is_same_path(const struct http_route *left, const struct http_route *right)
{
	return right < routes + N_ROUTES &&
	    strcmp(left->pattern, right->pattern) == 0;
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
		http_call_field(
		    call, "Access-Control-Allow-Headers", TEXT(SENT_BY_PAGES));
		http_call_field(call, "Access-Control-Max-Age", TEXT("600"));
	}
	http_call_empty(call, 204);
}

/* "*" is the server as a whole, and only to be asked what it can. */
static void
answer_asterisk(struct http_call *call)
{
	if (!text_equal(call->asked.head->method, TEXT("OPTIONS"))) {
		http_call_invalid(call, "path", "not a path", TEXT_NONE);
		return;
	}
	http_call_field(
	    call, "Allow", TEXT("GET, HEAD, POST, PUT, DELETE, OPTIONS"));
	http_call_empty(call, 204);
}

/* The checks that all routes share: false, the call has been answered ------ */

static void
take_route(struct http_call *call, const struct http_route *route)
{
	call->asked.route = route;
	call->asked.route_number = (size_t)(route - routes);
	call->asked.pattern = route->pattern;
}

static bool
has_route(struct http_call *call)
{
	struct text method = call->asked.head->method;
	const struct http_route *route =
	    find_pattern(call->app, &call->asked.path, call->asked.rids);

	if (route == NULL) {
		http_call_empty(call, 404);
		return false;
	}
	take_route(call, route);
	if (text_equal(method, TEXT("OPTIONS"))) {
		answer_options(call, route);
		return false;
	}
	route = find_method(route, method);
	if (route != NULL) {
		take_route(call, route);
		return true;
	}
	http_call_field(
	    call, "Allow", allowed_methods(call, call->asked.route));
	http_call_error(call, API_METHOD_NOT_ALLOWED, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("method", method), PARAMETER_END });
	return false;
}

static bool
refuse_caller(struct http_call *call, const struct auth_refusal *refusal)
{
	if (refusal->reason != NULL)
		http_counters_auth_failure(
		    call->app->counters, refusal->reason);
	if (refusal->challenge[0] != '\0')
		http_call_field(
		    call, "WWW-Authenticate", text_from(refusal->challenge));
	http_call_error(
	    call, refusal->error, refusal->description, refusal->parameters);
	return false;
}

static void check_call(void *call);

/*
 * A token, and one of the scope.  False also if the call waits for a key; then
 * it comes to check_call again.
 */
static bool
has_caller(struct http_call *call)
{
	struct call_request *asked = &call->asked;
	const char *reason = NULL;
	struct auth_refusal refusal;
	enum http_verdict verdict;

	asked->wait.again = check_call;
	asked->wait.argument = call;
	verdict = http_auth_check(call->app->auth, asked->head, &asked->caller,
	    &asked->wait, &reason);
	if (verdict == VERDICT_WAIT)
		return false;
	call->answer.retry_s = asked->wait.retry_s;
	if (verdict != VERDICT_OK)
		auth_refuse_token(&refusal, verdict, reason);
	else if ((asked->caller.scopes & asked->route->scope) == 0)
		auth_refuse_scope(&refusal, asked->route->scope);
	else
		return true;
	return refuse_caller(call, &refusal);
}

static bool
has_preview(struct http_call *call)
{
	enum preview wanted = call->asked.route->preview;
	struct text value = TEXT_NONE;
	int n = http_path_get(&call->asked.path, "preview", &value);
	bool is_true = n == 1 && text_equal(value, TEXT("true"));
	bool is_false = n == 1 && text_equal(value, TEXT("false"));

	if (n < 0 || (n == 1 && !is_true && !is_false)) {
		http_call_invalid(call, "preview",
		    n < 0 ? "must be given once" : "must be true or false",
		    value);
		return false;
	}
	if (is_true || wanted == PREVIEW_NEVER ||
	    (wanted == PREVIEW_IN_DOC && call->asked.profile != PROFILE_DOC))
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
has_rids(struct http_call *call)
{
	const char *pattern = call->asked.pattern;
	struct text segment;
	size_t n = 0;

	while (next_segment(&pattern, &segment)) {
		int object = object_of(segment);
		struct text rid;

		if (object < 0)
			continue;
		rid = call->asked.rids[n++];
		if (objects[object].parameter == NULL || rid_is_valid(rid))
			continue;
		http_call_invalid(call, objects[object].parameter,
		    "not a resource identifier", rid);
		return false;
	}
	return true;
}

/* On a pool thread. */
static void
do_work(void *owner, struct work_redis *redis)
{
	struct http_call *call = owner;

	call->asked.route->work(call, redis);
}

/*
 * All that comes before a route's own part, in the contract's order
 * (docs/http.md, section 3).  From the start again if the token's key was
 * unknown: what has been read is read as before.
 */
static void
check_call(void *argument)
{
	struct http_call *call = argument;
	struct call_request *asked = &call->asked;
	const struct http_head *head = asked->head;
	const struct http_route *route;
	const char *reason;

	if (http_path_parse(head->target, call->arena, &asked->path, &reason) !=
	    0) {
		http_call_invalid(call, "path", reason, TEXT_NONE);
		return;
	}
	if (asked->path.n_segments == 0) {
		answer_asterisk(call);
		return;
	}
	if (!has_route(call))
		return;
	route = asked->route;
	if (route->scope != SCOPE_NONE &&
	    !http_profile_choose(head, call->app->profile, &asked->profile)) {
		http_call_invalid(call, "Schedrun-Contract",
		    "must be one of doc, ga, ga-upper",
		    http_head_get(head, "schedrun-contract"));
		return;
	}
	if (route->scope != SCOPE_NONE &&
	    (!has_caller(call) || !has_preview(call)))
		return;
	if (!has_rids(call) ||
	    (route->body == BODY_NONE && !http_call_takes_no_body(call)) ||
	    (route->body == BODY_JSON && !http_call_takes_body(call)))
		return;
	if (route->handle != NULL) {
		route->handle(call);
		return;
	}
	call->job.owner = call;
	call->job.work = do_work;
	call->job.done = http_call_finish;
	http_call_submit(call);
}

void
http_routes_handle(void *context, struct http_request *request)
{
	check_call(http_call_create(context, request));
}
