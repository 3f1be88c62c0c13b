#include "producer/events/rights.h"

#include <string.h>

#include "producer/base/metrics.h"
#include "tests/unit/check.h"
#include "tests/unit/settings.h"
#include "tests/unit/stub_redis.h"

#define USER "f05f8da4-b84c-4fca-9c77-8af0b13d11de"
#define OTHER "6c0a4b52-5d1f-4a8e-9d43-0f5f1a2b3c4d"
#define S(letter) "ri.scheduler.main.schedule." letter
#define PROJECT "ri.compass.main.folder.p"

/* Rights on a loop, and the Redis where they are looked up. */
struct site {
	struct http_app app;
	struct stub_redis *redis;
	struct config *config;
	struct http_counters *counters;
	struct event_rights *rights;
	struct http_caller caller;
};

static void
on_changed(void *argument)
{
	struct site *site = argument;

	loop_stop(site->app.loop);
}

static void
say_schedule(struct site *site, const char *head, const char *about)
{
	struct schedule_head stored_head = { .current_version_rid =
						 TEXT("ri.a.b.c.d") };
	struct text projects[] = { TEXT(PROJECT) };
	struct schedule_about stored_about = {
		.created_by = TEXT(USER),
		.created_time = TEXT("2026-01-31T09:05:07.042Z"),
		.updated_by = TEXT(USER),
		.updated_time = TEXT("2026-01-31T09:05:07.042Z"),
		.projects = { projects, 1 },
		.projects_at = 7,
	};
	struct buffer out = { 0 };

	schedule_head_write(&stored_head, &out);
	stub_redis_say_string(site->redis, head, buffer_text(&out));
	buffer_reset(&out);
	schedule_about_write(&stored_about, &out);
	stub_redis_say_string(site->redis, about, buffer_text(&out));
	buffer_finish(&out);
}

static void
open_site(struct site *site)
{
	struct error err = { 0 };
	struct work_pool_settings pool = {
		.n_threads = 1, .queue_max = 100, .view_ttl_ms = 1000
	};

	memset(site, 0, sizeof *site);
	site->redis = stub_redis_start();
	stub_redis_say_string(site->redis, "GET t:g", TEXT("7"));
	stub_redis_say(site->redis, "HGET", TEXT("$-1\r\n"));
	say_schedule(site, "HGET t:s " S("a"), "HGET t:i " S("a"));
	say_schedule(site, "HGET t:s " S("b"), "HGET t:i " S("b"));
	stub_redis_say(site->redis, "EVAL_RO", TEXT("*1\r\n$1\r\nv\r\n"));
	site->config = settings_load("catalogue.poll = 60s\n", &err);
	REQUIRE(site->config != NULL);
	site->app.config = site->config;
	pool.schedules = pool.runs = (struct redis_settings){
		.url = stub_redis_url(site->redis),
		.connect_timeout_ms = 5000,
		.command_timeout_ms = 5000,
	};
	pool.config = site->config;
	pool.loop = site->app.loop = loop_create(&err);
	pool.keyspace = site->app.keyspace = keyspace_create("t:");
	site->app.metrics = metrics_create("0");
	site->counters = http_counters_create(site->app.metrics, 0);
	pool.metrics = site->app.metrics;
	site->app.pool = work_pool_create(&pool, &err);
	REQUIRE(site->app.pool != NULL);
	site->rights = event_rights_create(&site->app, on_changed, site);
	site->caller.known = true;
	memcpy(site->caller.user, USER, UUID_TEXT_SIZE);
}

static void
close_site(struct site *site)
{
	work_pool_stop(site->app.pool);
	loop_flush(site->app.loop);
	event_rights_destroy(site->rights);
	work_pool_destroy(site->app.pool);
	loop_destroy(site->app.loop);
	http_counters_destroy(site->counters);
	metrics_destroy(site->app.metrics);
	keyspace_destroy(site->app.keyspace);
	config_destroy(site->config);
	stub_redis_stop(site->redis);
}

static enum event_right
look(struct site *site, const char *rid)
{
	return event_rights_look(site->rights, &site->caller, text_from(rid),
	    text_hash(text_from(rid)));
}

/* What is wanted in one turn of the loop is asked together, and then known. */
static void
what_was_looked_up_is_remembered(void)
{
	struct site site;

	open_site(&site);
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	CHECK(look(&site, S("b")) == EVENT_UNKNOWN);
	CHECK(look(&site, S("c")) == EVENT_UNKNOWN);
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	loop_run(site.app.loop);
	CHECK(look(&site, S("a")) == EVENT_VISIBLE);
	CHECK(look(&site, S("b")) == EVENT_VISIBLE);
	CHECK(look(&site, S("c")) == EVENT_HIDDEN); /* there is none */
	CHECK(stub_redis_count(site.redis, "GET t:g") == 1);
	CHECK(stub_redis_count(site.redis, "HGET t:s") == 3);
	close_site(&site);
}

static void
each_caller_has_his_own_rights(void)
{
	struct site site;

	open_site(&site);
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	loop_run(site.app.loop);
	CHECK(look(&site, S("a")) == EVENT_VISIBLE);
	stub_redis_say(site.redis, "EVAL_RO", TEXT("*1\r\n$-1\r\n"));
	memcpy(site.caller.user, OTHER, UUID_TEXT_SIZE);
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	loop_run(site.app.loop);
	CHECK(look(&site, S("a")) == EVENT_HIDDEN);
	memcpy(site.caller.user, USER, UUID_TEXT_SIZE);
	CHECK(look(&site, S("a")) == EVENT_VISIBLE);
	/* Without tokens nobody's rights are looked at. */
	site.caller.known = false;
	CHECK(look(&site, S("nowhere")) == EVENT_VISIBLE);
	close_site(&site);
}

/* While there is no answer nothing becomes visible, and it is asked again. */
static void
no_answer_is_asked_for_again(void)
{
	struct site site;

	open_site(&site);
	stub_redis_say(site.redis, "GET t:g", TEXT("-LOADING wait\r\n"));
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	while (stub_redis_count(site.redis, "GET t:g") == 0)
		loop_flush(site.app.loop);
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	stub_redis_say_string(site.redis, "GET t:g", TEXT("7"));
	loop_run(site.app.loop);
	CHECK(look(&site, S("a")) == EVENT_VISIBLE);
	CHECK(stub_redis_count(site.redis, "GET t:g") == 2);
	close_site(&site);
}

/* One that is damaged hides itself, not its neighbours. */
static void
a_damaged_schedule_hides_itself(void)
{
	struct site site;

	open_site(&site);
	stub_redis_say_string(site.redis, "HGET t:s " S("b"), TEXT("{"));
	CHECK(look(&site, S("a")) == EVENT_UNKNOWN);
	CHECK(look(&site, S("b")) == EVENT_UNKNOWN);
	loop_run(site.app.loop);
	CHECK(look(&site, S("a")) == EVENT_VISIBLE);
	CHECK(look(&site, S("b")) == EVENT_HIDDEN);
	close_site(&site);
}

CU_TestInfo event_rights_tests[] = {
	{ "what was looked up is remembered",
	    what_was_looked_up_is_remembered },
	{ "each caller has his own rights", each_caller_has_his_own_rights },
	{ "no answer is asked for again", no_answer_is_asked_for_again },
	{ "a damaged schedule hides itself", a_damaged_schedule_hides_itself },
	CU_TEST_INFO_NULL,
};
