#include "common/kafka/token.h"

#include <string.h>

#include "tests/unit/check.h"

#define OF(name) "sasl.oauthbearer." name
#define MAX 8

static const struct config_property whole[] = {
	{ "client.id", "c" },
	{ OF("method"), "OIDC" },
	{ OF("client.id"), "worker" },
	{ OF("client.secret"), "s3cret" },
	{ OF("token.endpoint.url"), "https://issuer/token" },
	{ OF("scope"), "a b" },
};
#define WHOLE (sizeof whole / sizeof whole[0])

static void
takes_what_is_its(void)
{
	struct config_property all[MAX];
	struct kafka_oauth oauth = { 0 };
	struct error err = { 0 };

	memcpy(all, whole, sizeof whole);
	CHECK(kafka_oauth_take(&oauth, all, WHOLE, &err) == 1);
	CHECK(strcmp(all[0].name, "client.id") == 0);
	CHECK(strcmp(oauth.client_id, "worker") == 0);
	CHECK(strcmp(oauth.client_secret, "s3cret") == 0);
	CHECK(strcmp(oauth.scope, "a b") == 0 && oauth.extensions == NULL);
}

/* What is librdkafka's own stays as it is. */
static void
leaves_other_ways_alone(void)
{
	static const struct config_property rows[][2] = {
		{ { OF("method"), "default" }, { OF("config"), "x" } },
		{ { OF("scope"), "a" }, { OF("client.id"), "b" } },
		{ { OF("method"), "oidc" },
		    { OF("grant.type"),
			"urn:ietf:params:oauth:grant-type:jwt-bearer" } },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config_property all[2] = { rows[i][0], rows[i][1] };
		struct kafka_oauth oauth = { 0 };
		struct error err = { 0 };

		CHECK_ROW(rows[i][1].name,
		    kafka_oauth_take(&oauth, all, 2, &err) == 2);
		CHECK_ROW(rows[i][1].name, oauth.endpoint == NULL);
	}
}

static void
names_what_is_missing(void)
{
	size_t i;

	for (i = 2; i < 5; i++) {
		struct config_property all[MAX];
		struct kafka_oauth oauth = { 0 };
		struct error err = { 0 };

		memcpy(all, whole, sizeof whole);
		all[i] = all[WHOLE - 1];
		CHECK_ROW(whole[i].name,
		    kafka_oauth_take(&oauth, all, WHOLE - 1, &err) == -1);
		CHECK_ROW(whole[i].name, err.exit_code == 78);
		CHECK_ROW(
		    whole[i].name, strstr(err.message, whole[i].name) != NULL);
		CHECK_ROW(whole[i].name, strstr(err.message, "s3cret") == NULL);
	}
}

static void
judges_answers(void)
{
	static const struct {
		long status;
		const char *answer;
		enum error_kind kind;
		int64_t lifetime_ms;
	} rows[] = {
		{ 200, "{\"access_token\":\"a.b\",\"expires_in\":60}",
		    ERROR_NONE, 60000 },
		{ 200, "{\"access_token\":\"a.b\"}", ERROR_NONE, 300000 },
		{ 200, "{\"access_token\":\"a.b\",\"expires_in\":0}",
		    ERROR_RETRY, 0 },
		{ 200, "{\"access_token\":\"a.b\",\"expires_in\":\"60\"}",
		    ERROR_RETRY, 0 },
		{ 200, "{\"access_token\":\"a.b\",\"expires_in\":1e99}",
		    ERROR_RETRY, 0 },
		{ 200, "{\"access_token\":\"\"}", ERROR_RETRY, 0 },
		{ 200, "{\"access_token\":\"a\\u0001auth=b\"}", ERROR_RETRY,
		    0 },
		{ 200, "{\"access_token\":7}", ERROR_RETRY, 0 },
		{ 200, "[]", ERROR_RETRY, 0 },
		{ 200, "<html>", ERROR_RETRY, 0 },
		{ 200, "", ERROR_RETRY, 0 },
		{ 401, "{\"error\":\"invalid_client\"}", ERROR_FATAL, 0 },
		{ 400, "{\"error\":\"invalid_scope\"}", ERROR_FATAL, 0 },
		{ 403, "no", ERROR_FATAL, 0 },
		{ 302, "", ERROR_RETRY, 0 },
		{ 429, "{\"error\":\"slow down\"}", ERROR_RETRY, 0 },
		{ 500, "{}", ERROR_RETRY, 0 },
	};
	struct arena *arena = arena_create(0);
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct kafka_token token = { 0 };
		struct error err = { 0 };
		int rc = kafka_token_read(rows[i].status,
		    text_from(rows[i].answer), arena, &token, &err);

		CHECK_ROW(rows[i].answer, err.kind == rows[i].kind);
		CHECK_ROW(
		    rows[i].answer, (rc == 0) == (rows[i].kind == ERROR_NONE));
		CHECK_ROW(
		    rows[i].answer, token.lifetime_ms == rows[i].lifetime_ms);
		CHECK_ROW(
		    rows[i].answer, rc != 0 || strcmp(token.value, "a.b") == 0);
	}
	arena_destroy(arena);
}

/* Its words are an issuer's: nothing of them may write a log's lines. */
static void
shows_a_refusal_by_what_can_be_shown(void)
{
	struct arena *arena = arena_create(0);
	struct kafka_token token = { 0 };
	struct error err = { 0 };

	kafka_token_read(
	    401, TEXT("{\"error\":\"a\\nb\\u00e4 c\"}"), arena, &token, &err);
	CHECK(strstr(err.message, "a?b??") != NULL);
	CHECK(err.exit_code == 77);
	arena_destroy(arena);
}

static void
cuts_extensions(void)
{
	struct arena *arena = arena_create(0);
	const char *out[4] = { NULL };

	CHECK(kafka_token_extensions(NULL, arena, out, 4) == 0);
	CHECK(kafka_token_extensions("a=b=c, d=,e", arena, out, 4) == 4);
	CHECK(strcmp(out[0], "a") == 0 && strcmp(out[1], "b=c") == 0);
	CHECK(strcmp(out[2], "d") == 0 && strcmp(out[3], "") == 0);
	CHECK(kafka_token_extensions("a=b,c=d,e=f", arena, out, 4) == 4);
	arena_destroy(arena);
}

CU_TestInfo kafka_token_tests[] = {
	{ "takes its properties", takes_what_is_its },
	{ "leaves other ways alone", leaves_other_ways_alone },
	{ "names what is missing", names_what_is_missing },
	{ "judges an endpoint's answers", judges_answers },
	{ "shows a refusal", shows_a_refusal_by_what_can_be_shown },
	{ "cuts extensions", cuts_extensions },
	CU_TEST_INFO_NULL,
};
