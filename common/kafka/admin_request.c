#include "common/kafka/admin_request.h"

#include <librdkafka/rdkafka.h>

#include "common/base/clock.h"

/* librdkafka's most: it never gives up before us, as workarounds.h has it. */
#define REQUEST_MS 3600000

int
kafka_admin_fail(struct kafka_admin *admin, int code, struct error *err,
    const char *what, const char *detail)
{
	/* Credentials that were refused are told by the error callback. */
	rd_kafka_poll(admin->handle, 0);
	return kafka_client_fail(&admin->client, KAFKA_CALL_QUERY,
	    (struct kafka_failure){ .code = code }, err, what, detail);
}

struct rd_kafka_AdminOptions_s *
kafka_admin_options(struct kafka_admin *admin, int operation)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(
	    admin->handle, (rd_kafka_admin_op_t)operation);
	char text[256];

	rd_kafka_AdminOptions_set_request_timeout(
	    options, REQUEST_MS, text, sizeof text);
	return options;
}

struct rd_kafka_op_s *
kafka_admin_answer(
    struct kafka_admin *admin, const char *what, struct error *err)
{
	rd_kafka_event_t *event =
	    rd_kafka_queue_poll(admin->answers, admin->timeout_ms);

	if (event == NULL) {
		/* A late answer must not be taken for the next one's. */
		rd_kafka_queue_destroy(admin->answers);
		admin->answers = rd_kafka_queue_new(admin->handle);
		kafka_admin_fail(
		    admin, RD_KAFKA_RESP_ERR__TIMED_OUT, err, what, NULL);
		return NULL;
	}
	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_admin_fail(admin, rd_kafka_event_error(event), err, what,
		    rd_kafka_event_error_string(event));
		rd_kafka_event_destroy(event);
		return NULL;
	}
	kafka_client_answered(&admin->client);
	return event;
}

bool
kafka_admin_rest(struct kafka_admin *admin, int64_t until)
{
	if (clock_monotonic_ms() >= until)
		return false;
	rd_kafka_poll(admin->handle, 10);
	return true;
}

bool
kafka_admin_again(
    struct kafka_admin *admin, int rc, int64_t until, const struct error *err)
{
	return rc != 0 && err->kind == ERROR_RETRY &&
	    kafka_admin_rest(admin, until);
}

int
kafka_admin_range(struct kafka_admin *admin, struct kafka_partition of,
    struct kafka_range *range, int64_t until, struct error *err)
{
	int rc;

	do {
		int64_t left = until - clock_monotonic_ms();
		rc = kafka_query_range(&admin->client, admin->handle, of, range,
		    left > 1 ? (int)left : 1, err);
	} while (kafka_admin_again(admin, rc, until, err));
	return rc;
}
