#include "producer/dashboard/overview.h"

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/dashboard/dashboard.h"

static void
answer_object(struct http_call *call, struct buffer *out)
{
	json_close(out, '}');
	http_call_json(call, 200, out);
	buffer_finish(out);
}

static void
put_scopes(struct buffer *out, const struct http_caller *caller)
{
	static const enum http_scope all[] = { SCOPE_READ, SCOPE_WRITE };
	size_t i;

	json_member_open(out, "scopes", '[');
	for (i = 0; i < sizeof all / sizeof all[0]; i++)
		if (!caller->known || (caller->scopes & all[i]) != 0)
			json_put_string(out, http_scope_name(all[i]));
	json_close(out, ']');
}

void
dashboard_overview_get(struct http_call *call)
{
	const struct http_app *app = call->app;
	struct buffer out = { 0 };

	json_open(&out, '{');
	json_member_time(&out, "time", clock_wall_ms());
	json_member_string(&out, "version", SCHEDRUN_VERSION);
	json_member_string(&out, "page", config_text(app->config, "http.page"));
	json_member_known(&out, "user", http_caller_user(&call->asked.caller));
	put_scopes(&out, &call->asked.caller);
	json_name(&out, "health");
	health_write_json(app->health, &out);
	sampler_write(app->dashboard->sampler, &out);
	answer_object(call, &out);
}

void
dashboard_history_get(struct http_call *call)
{
	struct dashboard *dashboard = call->app->dashboard;
	struct buffer out = { 0 };

	json_open(&out, '{');
	json_name(&out, "runs");
	run_history_write(&dashboard->history, clock_wall_ms(), &out);
	json_name(&out, "lag");
	sampler_write_history(dashboard->sampler, &out);
	answer_object(call, &out);
}
