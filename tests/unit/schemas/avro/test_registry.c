#include <stdio.h>
#include <string.h>

#include "common/json/write.h"
#include "schemas/avro/registry.h"
#include "tests/unit/check.h"
#include "tests/unit/settings.h"
#include "tests/unit/stub_http.h"

/* A registry that answers as the stub is told; its clock is the test's. */
struct fixture {
	struct stub_http *stub;
	struct config *config;
	struct registry *registry;
	struct error err;
};

static int64_t now_ms;

static int64_t
now(void)
{
	return now_ms;
}

static struct config *
load(const char *url)
{
	struct error err = { 0 };
	char text[128] = "";
	struct config *config;

	if (url != NULL)
		snprintf(text, sizeof text, "schema.registry.url = %s\n", url);
	config = settings_load(text, &err);
	CHECK_ROW(err.message, config != NULL);
	return config;
}

static void
begin(struct fixture *f)
{
	char url[64];

	*f = (struct fixture){ .stub = stub_http_start() };
	now_ms = 1000;
	snprintf(
	    url, sizeof url, "http://127.0.0.1:%d//", stub_http_port(f->stub));
	f->config = load(url);
	REQUIRE(f->config != NULL);
	f->registry = registry_create(f->config, &f->err);
	REQUIRE(f->registry != NULL);
	registry_set_clock(f->registry, now);
}

static void
end(struct fixture *f)
{
	registry_destroy(f->registry);
	config_destroy(f->config);
	stub_http_stop(f->stub);
}

static void
test_shipped(void)
{
	struct config *config = load(NULL);
	struct error err;
	struct registry *registry = registry_create(config, &err);
	struct text schema;
	uint32_t id = 0;

	REQUIRE(registry != NULL);
	CHECK(!registry_is_remote(registry));
	for (int i = 0; i < MESSAGES; i++) {
		enum message message = (enum message)i;

		CHECK_ROW(message_name(message),
		    registry_id(registry, message, "t", &id, &err) == 0 &&
			id ==
			    (message == MESSAGE_BUILD_REQUESTED
				    ? 7
				    : (uint32_t)i + 1));
		CHECK_ROW(message_name(message),
		    registry_schema(registry, id, &schema, &err) == 0 &&
			text_equal(schema, message_schema(message)));
	}
	/* Builds of an older version, without fingerprints. */
	CHECK(registry_schema(registry, 3, &schema, &err) == 0 &&
	    schema.at != NULL &&
	    !text_equal(schema, message_schema(MESSAGE_BUILD_REQUESTED)));
	CHECK(registry_schema(registry, MESSAGES + 2, &schema, &err) == 0 &&
	    schema.at == NULL);
	registry_destroy(registry);
	config_destroy(config);
}

static void
test_bad_url(void)
{
	struct config *config = load("ftp://there");
	struct error err = { 0 };

	CHECK(registry_create(config, &err) == NULL);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 78);
	CHECK(strstr(err.message, "ftp://there") != NULL);
	config_destroy(config);
}

static const struct {
	const char *name;
	int status;
	const char *body;
	int rc;
	enum error_kind kind;
	int exit_code;
	const char *schema; /* NULL: unknown */
} lookups[] = {
	{ "a schema", 200, "{\"schema\":\"\\\"int\\\"\"}", 0, 0, 0, "\"int\"" },
	{ "an Avro schema", 200,
	    "{\"schemaType\":\"AVRO\",\"schema\":\"\\\"int\\\"\"}", 0, 0, 0,
	    "\"int\"" },
	{ "another kind of schema", 200,
	    "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax\"}", 0, 0, 0,
	    "{\"schemaType\":\"PROTOBUF\"}" },
	{ "no such id yet", 404,
	    "{\"error_code\":40403,\"message\":\"Schema not found\"}", -1,
	    ERROR_RETRY, 0, NULL },
	{ "a default backend", 404, "<html>default backend</html>", -1,
	    ERROR_RETRY, 0, NULL },
	{ "a 404 without a code", 404, "{}", -1, ERROR_RETRY, 0, NULL },
	{ "a 404 of another kind", 404, "{\"error_code\":40401}", -1,
	    ERROR_RETRY, 0, NULL },
	{ "a code that is no number", 404, "{\"error_code\":\"40403\"}", -1,
	    ERROR_RETRY, 0, NULL },
	{ "another status with that code", 500, "{\"error_code\":40403}", -1,
	    ERROR_RETRY, 0, NULL },
	{ "too many requests", 429, "", -1, ERROR_RETRY, 0, NULL },
	{ "a server in trouble", 500, "{}", -1, ERROR_RETRY, 0, NULL },
	{ "a gateway in trouble", 503, "<html>", -1, ERROR_RETRY, 0, NULL },
	{ "a redirect", 302, "", -1, ERROR_RETRY, 0, NULL },
	{ "no right", 401, "", -1, ERROR_RETRY, 77, NULL },
	{ "forbidden", 403, "", -1, ERROR_RETRY, 77, NULL },
	{ "an empty answer", 200, "", -1, ERROR_RETRY, 0, NULL },
	{ "HTML", 200, "<html>busy</html>", -1, ERROR_RETRY, 0, NULL },
	{ "JSON of another form", 200, "[1]", -1, ERROR_RETRY, 0, NULL },
	{ "no schema in it", 200, "{\"id\":1}", -1, ERROR_RETRY, 0, NULL },
	{ "a schema that is no text", 200, "{\"schema\":{}}", -1, ERROR_RETRY,
	    0, NULL },
	{ "a closed connection", 0, "", -1, ERROR_RETRY, 0, NULL },
};

static void
test_lookup(void)
{
	struct fixture f;

	begin(&f);
	CHECK(registry_is_remote(f.registry));
	for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++) {
		const char *name = lookups[i].name;
		struct text schema = TEXT_NONE;
		int rc;

		stub_http_answer(
		    f.stub, lookups[i].status, text_from(lookups[i].body));
		rc = registry_schema(
		    f.registry, (uint32_t)i + 100, &schema, &f.err);
		CHECK_ROW(name, rc == lookups[i].rc);
		CHECK_ROW(name, rc == 0 || f.err.kind == lookups[i].kind);
		CHECK_ROW(
		    name, rc == 0 || f.err.exit_code == lookups[i].exit_code);
		CHECK_ROW(name,
		    rc != 0 ||
			text_equal(schema, text_from(lookups[i].schema)));
		CHECK_ROW(name,
		    registry_is_away(f.registry) ==
			(rc != 0 && strstr(name, "yet") == NULL));
		/* The message says which server it was. */
		CHECK_ROW(name,
		    rc == 0 || strstr(f.err.message, "127.0.0.1") != NULL);
	}
	end(&f);
}

static void
test_request(void)
{
	struct fixture f;
	struct buffer last = { 0 };
	struct text schema;

	begin(&f);
	stub_http_answer(f.stub, 404, TEXT("{}"));
	CHECK(registry_schema(f.registry, UINT32_MAX, &schema, &f.err) == -1);
	stub_http_last(f.stub, &last);
	/* One slash, although the URL was given with two at its end. */
	CHECK(strncmp(last.at, "GET /schemas/ids/4294967295 HTTP/1.1\r\n",
		  38) == 0);
	buffer_finish(&last);
	end(&f);
}

#define LACKING TEXT("{\"error_code\":40403}")

/* What is known is not asked for again. */
static void
test_cache(void)
{
	struct fixture f;
	struct text schema;

	begin(&f);
	stub_http_answer(f.stub, 200, TEXT("{\"schema\":\"a\"}"));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	stub_http_answer(f.stub, 0, TEXT(""));
	now_ms += 1000000;
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	CHECK(text_equal(schema, TEXT("a")));
	CHECK(stub_http_count(f.stub) == 1);
	end(&f);
}

/* Asks for id 2 at `ms`: -1, it must wait; 0: unknown; 1: known. */
static int
ask_at(struct fixture *f, int64_t ms)
{
	struct text schema;

	now_ms = ms;
	if (registry_schema(f->registry, 2, &schema, &f->err) != 0) {
		CHECK(f->err.kind == ERROR_RETRY);
		return -1;
	}
	return schema.at != NULL;
}

/* An id is unknown once the registry has lacked it for registry.wait (30 s). */
static void
test_wait(void)
{
	struct fixture f;

	begin(&f);
	stub_http_answer(f.stub, 404, LACKING);
	CHECK(ask_at(&f, 1000) == -1);
	CHECK(strstr(f.err.message, "the id 2 yet") != NULL);
	CHECK(ask_at(&f, 1400) == -1);
	CHECK(stub_http_count(f.stub) == 1); /* not too often */
	CHECK(ask_at(&f, 1500) == -1);
	CHECK(stub_http_count(f.stub) == 2);
	CHECK(ask_at(&f, 10900) == -1);
	CHECK(ask_at(&f, 20800) == -1);
	CHECK(ask_at(&f, 30700) == -1);
	CHECK(ask_at(&f, 31000) == -1); /* what it said was said before */
	CHECK(ask_at(&f, 31200) == 0);
	CHECK(stub_http_count(f.stub) == 6);
	/* Who comes next waits no more, but it is asked for now and then. */
	CHECK(ask_at(&f, 32000) == 0);
	CHECK(stub_http_count(f.stub) == 6);
	CHECK(ask_at(&f, 33300) == 0);
	CHECK(stub_http_count(f.stub) == 7);
	stub_http_answer(f.stub, 200, TEXT("{\"schema\":\"b\"}"));
	CHECK(ask_at(&f, 35400) == 1);
	end(&f);
}

/* A lagging node that comes up behind an outage has the whole time again. */
static void
test_wait_begins_anew(void)
{
	struct fixture f;

	begin(&f);
	stub_http_answer(f.stub, 404, LACKING);
	CHECK(ask_at(&f, 1000) == -1);
	CHECK(ask_at(&f, 9000) == -1);
	stub_http_answer(f.stub, 503, TEXT(""));
	CHECK(ask_at(&f, 18000) == -1);
	stub_http_answer(f.stub, 404, LACKING);
	CHECK(ask_at(&f, 26000) == -1);
	CHECK(ask_at(&f, 35000) == -1);
	CHECK(ask_at(&f, 44000) == -1);
	CHECK(ask_at(&f, 53000) == -1);
	CHECK(ask_at(&f, 56500) == 0);
	/* Nobody wanted it for long: what comes now is looked at afresh. */
	CHECK(ask_at(&f, 70000) == -1);
	end(&f);
}

/* Who is asked what: of the ids that are wanted now. */
static void
test_state(void)
{
	struct fixture f;
	struct error why;
	struct text schema;

	begin(&f);
	CHECK(registry_state(f.registry, &why) == REGISTRY_FINE);
	stub_http_answer(f.stub, 404, LACKING);
	CHECK(ask_at(&f, 1000) == -1);
	CHECK(registry_state(f.registry, &why) == REGISTRY_LACKS);
	stub_http_answer(f.stub, 401, TEXT(""));
	CHECK(registry_schema(f.registry, 3, &schema, &f.err) == -1);
	CHECK(registry_state(f.registry, &why) == REGISTRY_AWAY);
	CHECK(strstr(why.message, "check schema.registry.auth") != NULL);
	now_ms += 2500; /* who wanted it is gone */
	CHECK(registry_state(f.registry, &why) == REGISTRY_FINE);
	end(&f);
}

/* By its own thread: an answer that comes soon is waited for. */
static void
test_thread(void)
{
	struct fixture f;
	struct text schema;
	int tries = 0;

	begin(&f);
	registry_start(f.registry);
	stub_http_answer(f.stub, 503, TEXT(""));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == -1);
	stub_http_answer(f.stub, 200, TEXT("{\"schema\":\"a\"}"));
	/* Who has failed is not waited for, but asked again. */
	do
		now_ms += 500;
	while (registry_schema(f.registry, 1, &schema, &f.err) != 0 &&
	    ++tries < 1000000);
	CHECK(text_equal(schema, TEXT("a")));
	CHECK(registry_schema(f.registry, 2, &schema, &f.err) == 0);
	end(&f);
}

/* An answer larger than any schema of ours is a schema that is refused. */
static void
test_too_large(void)
{
	struct fixture f;
	struct buffer answer = { 0 };
	struct text schema;

	begin(&f);
	buffer_append(&answer, TEXT("{\"schema\":\""));
	while (answer.size < 600 * 1024)
		buffer_append(&answer, TEXT("aaaaaaaa"));
	buffer_append(&answer, TEXT("\"}"));
	stub_http_answer(f.stub, 200, buffer_text(&answer));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	CHECK(text_equal(
	    schema, TEXT("{\"schemaType\":\"of a size over every bound\"}")));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	CHECK(stub_http_count(f.stub) == 1);
	/* But not what is large and comes from somebody else. */
	stub_http_answer(f.stub, 502, buffer_text(&answer));
	CHECK(registry_schema(f.registry, 2, &schema, &f.err) == -1);
	answer.at[0] = '<';
	stub_http_answer(f.stub, 200, buffer_text(&answer));
	CHECK(registry_schema(f.registry, 3, &schema, &f.err) == -1);
	CHECK(f.err.kind == ERROR_RETRY);
	buffer_finish(&answer);
	end(&f);
}

/* Large schemas push the least used out, not all memory. */
static void
test_eviction(void)
{
	struct fixture f;
	struct buffer answer = { 0 };
	struct text schema;
	uint32_t id;

	begin(&f);
	buffer_append(&answer, TEXT("{\"schema\":\""));
	while (answer.size < 400 * 1024)
		buffer_append(&answer, TEXT("aaaaaaaa"));
	buffer_append(&answer, TEXT("\"}"));
	stub_http_answer(f.stub, 200, buffer_text(&answer));
	for (id = 0; id < 60; id++) {
		CHECK(registry_schema(f.registry, id, &schema, &f.err) == 0);
		CHECK(registry_schema(f.registry, 0, &schema, &f.err) == 0);
	}
	CHECK(stub_http_count(f.stub) == 60); /* 0 is used all the time */
	CHECK(registry_schema(f.registry, 59, &schema, &f.err) == 0);
	CHECK(stub_http_count(f.stub) == 60);
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	CHECK(stub_http_count(f.stub) == 61);
	buffer_finish(&answer);
	end(&f);
}

static const struct {
	const char *name;
	int status;
	const char *body;
	int rc;
	enum error_kind kind;
	int exit_code;
	const char *message; /* part of it */
} registrations[] = {
	{ "an id", 200, "{\"id\":7}", 0, 0, 0, "" },
	{ "an id and more", 200, "{\"subject\":\"x\",\"version\":1,\"id\":7}",
	    0, 0, 0, "" },
	{ "not registered", 404, "{\"error_code\":40403}", -1, ERROR_RETRY, 0,
	    "run `schedrun init`" },
	{ "no such subject", 404, "{\"error_code\":40401}", -1, ERROR_RETRY, 0,
	    "run `schedrun init`" },
	{ "a default backend", 404, "<html>", -1, ERROR_RETRY, 0,
	    "answered 404" },
	{ "incompatible", 409, "{\"error_code\":409}", -1, ERROR_FATAL, 78,
	    "another schema" },
	{ "refused", 422, "{\"error_code\":42201}", -1, ERROR_FATAL, 78,
	    "another schema" },
	{ "a proxy's conflict", 409, "", -1, ERROR_RETRY, 0, "answered 409" },
	{ "no right", 403, "{}", -1, ERROR_RETRY, 77, "schema.registry.auth" },
	{ "in trouble", 500, "{}", -1, ERROR_RETRY, 0, "500" },
	{ "an id that is negative", 200, "{\"id\":-1}", -1, ERROR_RETRY, 0,
	    "no id" },
	{ "an id that is too large", 200, "{\"id\":4294967296}", -1,
	    ERROR_RETRY, 0, "no id" },
	{ "an id that is a text", 200, "{\"id\":\"7\"}", -1, ERROR_RETRY, 0,
	    "no id" },
	{ "garbage", 200, "id", -1, ERROR_RETRY, 0, "no id" },
};

static void
test_registration(void)
{
	struct fixture f;

	begin(&f);
	for (size_t i = 0; i < sizeof registrations / sizeof registrations[0];
	     i++) {
		const char *name = registrations[i].name;
		uint32_t id = 0;
		int rc;

		stub_http_answer(f.stub, registrations[i].status,
		    text_from(registrations[i].body));
		f.err = (struct error){ 0 };
		rc = registry_id(
		    f.registry, MESSAGE_RUN_REQUEST, "requests", &id, &f.err);
		CHECK_ROW(name, rc == registrations[i].rc);
		CHECK_ROW(name, rc != 0 || id == 7);
		CHECK_ROW(name, rc == 0 || f.err.kind == registrations[i].kind);
		CHECK_ROW(name,
		    rc == 0 || f.err.exit_code == registrations[i].exit_code);
		CHECK_ROW(name,
		    strstr(f.err.message, registrations[i].message) != NULL);
	}
	end(&f);
}

/* The shipped text itself goes out, its logical types with it. */
static void
test_what_is_registered(void)
{
	struct fixture f;
	struct buffer last = { 0 }, expected = { 0 };
	uint32_t id;

	begin(&f);
	stub_http_answer(f.stub, 200, TEXT("{\"id\":3}"));
	CHECK(registry_register(f.registry, MESSAGE_SCHEDULE_RUN, "results",
		  &id, &f.err) == 0);
	CHECK(id == 3);
	stub_http_last(f.stub, &last);
	CHECK(
	    strncmp(last.at,
		"POST /subjects/results-value/versions HTTP/1.1\r\n", 48) == 0);
	CHECK(
	    strstr(last.at, "application/vnd.schemaregistry.v1+json") != NULL);
	json_open(&expected, '{');
	json_name(&expected, "schema");
	json_put_text(&expected, message_schema(MESSAGE_SCHEDULE_RUN));
	json_close(&expected, '}');
	buffer_byte(&expected, '\0');
	CHECK(strstr(last.at, expected.at) != NULL);
	buffer_finish(&last);
	buffer_finish(&expected);
	end(&f);
}

static void
test_away(void)
{
	struct fixture f;
	struct text schema;

	begin(&f);
	stub_http_stop(f.stub);
	f.stub = NULL;
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == -1);
	CHECK(f.err.kind == ERROR_RETRY);
	CHECK(strstr(f.err.message, "/schemas/ids/1") != NULL);
	end(&f);
}

CU_TestInfo registry_tests[] = {
	{ "shipped ids", test_shipped },
	{ "bad URL", test_bad_url },
	{ "lookup", test_lookup },
	{ "request", test_request },
	{ "cache", test_cache },
	{ "wait", test_wait },
	{ "wait begins anew", test_wait_begins_anew },
	{ "state", test_state },
	{ "thread", test_thread },
	{ "too large", test_too_large },
	{ "eviction", test_eviction },
	{ "registration", test_registration },
	{ "what is registered", test_what_is_registered },
	{ "away", test_away },
	CU_TEST_INFO_NULL,
};
