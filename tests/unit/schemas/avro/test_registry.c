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
			id == (uint32_t)i + 1);
		CHECK_ROW(message_name(message),
		    registry_schema(registry, id, &schema, &err) == 0 &&
			text_equal(schema, message_schema(message)));
	}
	CHECK(registry_schema(registry, 4, &schema, &err) == 0 &&
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
	    "{}" },
	{ "no such id", 404,
	    "{\"error_code\":40403,\"message\":\"Schema not found\"}", 0, 0, 0,
	    NULL },
	{ "a server in trouble", 500, "{}", -1, ERROR_RETRY, 0, NULL },
	{ "a gateway in trouble", 503, "<html>", -1, ERROR_RETRY, 0, NULL },
	{ "a redirect", 302, "", -1, ERROR_RETRY, 0, NULL },
	{ "no right", 401, "", -1, ERROR_FATAL, 77, NULL },
	{ "forbidden", 403, "", -1, ERROR_FATAL, 77, NULL },
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
	CHECK(registry_schema(f.registry, UINT32_MAX, &schema, &f.err) == 0);
	stub_http_last(f.stub, &last);
	/* One slash, although the URL was given with two at its end. */
	CHECK(strncmp(last.at, "GET /schemas/ids/4294967295 HTTP/1.1\r\n",
		  38) == 0);
	buffer_finish(&last);
	end(&f);
}

/* What is known is not asked for again; what was unknown is, after a while. */
static void
test_cache(void)
{
	struct fixture f;
	struct text schema;

	begin(&f);
	now_ms = 1000;
	stub_http_answer(f.stub, 200, TEXT("{\"schema\":\"a\"}"));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	stub_http_answer(f.stub, 404, TEXT("{}"));
	CHECK(registry_schema(f.registry, 2, &schema, &f.err) == 0);
	CHECK(schema.at == NULL);
	stub_http_answer(f.stub, 0, TEXT(""));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	CHECK(text_equal(schema, TEXT("a")));
	now_ms += 9000;
	CHECK(registry_schema(f.registry, 2, &schema, &f.err) == 0);
	CHECK(schema.at == NULL && stub_http_count(f.stub) == 2);
	now_ms += 2000;
	stub_http_answer(f.stub, 200, TEXT("{\"schema\":\"b\"}"));
	CHECK(registry_schema(f.registry, 2, &schema, &f.err) == 0);
	CHECK(text_equal(schema, TEXT("b")));
	now_ms += 1000000;
	CHECK(registry_schema(f.registry, 2, &schema, &f.err) == 0);
	CHECK(stub_http_count(f.stub) == 3);
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
	CHECK(text_equal(schema, TEXT("{}")));
	CHECK(registry_schema(f.registry, 1, &schema, &f.err) == 0);
	CHECK(stub_http_count(f.stub) == 1);
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
	{ "incompatible", 409, "{}", -1, ERROR_FATAL, 78, "another schema" },
	{ "refused", 422, "{}", -1, ERROR_FATAL, 78, "another schema" },
	{ "no right", 403, "{}", -1, ERROR_FATAL, 77, "schema.registry.auth" },
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
	{ "too large", test_too_large },
	{ "eviction", test_eviction },
	{ "registration", test_registration },
	{ "what is registered", test_what_is_registered },
	{ "away", test_away },
	CU_TEST_INFO_NULL,
};
