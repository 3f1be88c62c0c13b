#include "common/kafka/oauth.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/http/fetch.h"
#include "common/kafka/client.h"

#define ANSWER_MAX ((size_t)64 * 1024)
#define ASK_MS 5000
#define EXTENSIONS_MAX 32

static void
put_encoded(struct buffer *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text != '\0'; text++)
		if (strchr(plain, *text) != NULL)
			buffer_byte(out, *text);
		else
			buffer_format(out, "%%%02X", (unsigned char)*text);
}

static int
ask_endpoint(const struct kafka_oauth *oauth, struct arena *arena,
    struct kafka_token *token, struct error *err)
{
	struct buffer body = { 0 }, credentials = { 0 }, answer = { 0 };
	long status = 0;
	int rc;

	buffer_append(&body, TEXT("grant_type=client_credentials"));
	if (oauth->scope != NULL) {
		buffer_append(&body, TEXT("&scope="));
		put_encoded(&body, oauth->scope);
	}
	buffer_byte(&body, '\0');
	buffer_reserve(&credentials,
	    strlen(oauth->client_id) + strlen(oauth->client_secret) + 2);
	buffer_append(&credentials, text_from(oauth->client_id));
	buffer_byte(&credentials, ':');
	buffer_append(&credentials, text_from(oauth->client_secret));
	buffer_byte(&credentials, '\0');
	buffer_reserve(&answer, ANSWER_MAX + 1); /* no copies are left behind */
	rc = fetch(
	    &(struct fetch_request){
		.url = oauth->endpoint,
		.body = body.at,
		.content_type = "application/x-www-form-urlencoded",
		.credentials = credentials.at,
		.ca_file = oauth->authority,
		.timeout_ms = ASK_MS,
		.size_max = ANSWER_MAX,
	    },
	    &status, &answer, err);
	if (rc == 0)
		rc = kafka_token_read(
		    status, buffer_text(&answer), arena, token, err);
	explicit_bzero(credentials.at, credentials.size);
	explicit_bzero(answer.at, answer.size);
	buffer_finish(&credentials);
	buffer_finish(&answer);
	buffer_finish(&body);
	return rc;
}

/* On librdkafka's background thread, which has nothing else to do. */
static void
refresh_token(rd_kafka_t *rk, const char *unused, void *opaque)
{
	struct kafka_client *client = opaque;
	struct kafka_oauth *oauth = &client->oauth;
	struct arena *arena = arena_create(ANSWER_MAX);
	struct kafka_token token = { 0 };
	const char *extensions[2 * EXTENSIONS_MAX];
	struct error err = { 0 };
	char text[256];

	(void)unused;
	if (ask_endpoint(oauth, arena, &token, &err) != 0) {
		atomic_store(&oauth->is_away, err.kind != ERROR_FATAL);
		rd_kafka_oauthbearer_set_token_failure(rk, err.message);
	} else if (rd_kafka_oauthbearer_set_token(rk, token.value,
		       clock_wall_ms() + token.lifetime_ms, oauth->client_id,
		       extensions,
		       kafka_token_extensions(oauth->extensions, arena,
			   extensions, (size_t)2 * EXTENSIONS_MAX),
		       text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		atomic_store(&oauth->is_away, false);
		rd_kafka_oauthbearer_set_token_failure(rk, text);
	}
	if (token.value != NULL)
		explicit_bzero(token.value, strlen(token.value));
	arena_destroy(arena);
}

void
kafka_oauth_prepare(struct rd_kafka_conf_s *conf)
{
	rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh_token);
	rd_kafka_conf_enable_sasl_queue(conf, 1);
}

int
kafka_oauth_serve(struct rd_kafka_s *handle, struct error *err)
{
	rd_kafka_error_t *cause =
	    rd_kafka_sasl_background_callbacks_enable(handle);

	if (cause == NULL)
		return 0;
	error_fatal(err, 71, "kafka tokens: %s", rd_kafka_error_string(cause));
	rd_kafka_error_destroy(cause);
	return -1;
}
