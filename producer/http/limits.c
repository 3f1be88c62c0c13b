#include "producer/http/limits.h"

#include <stdint.h>

#include "common/base/log.h"
#include "producer/base/error.h"
#include "producer/base/metrics.h"
#include "producer/http/app.h"

static const struct {
	int status;
	enum api_error error;
	const char *reason;
} refusals[] = {
	{ 400, API_INVALID_ARGUMENT, "malformed, or not framed clearly" },
	{ 408, API_INVALID_ARGUMENT, "did not arrive in time" },
	{ 413, API_BODY_TOO_LARGE, NULL },
	{ 414, API_INVALID_ARGUMENT, "the request line is over 8 KiB" },
	{ 417, API_INVALID_ARGUMENT, "only Expect: 100-continue is known" },
	{ 431, API_INVALID_ARGUMENT,
	    "the header is over 32 KiB or 100 fields" },
	{ 501, API_INVALID_ARGUMENT,
	    "only Transfer-Encoding: chunked is known" },
	{ 503, API_UNAVAILABLE, NULL },
	{ 505, API_INVALID_ARGUMENT, "only HTTP/1.0 and 1.1 are spoken" },
};

static void
fill_parameters(const struct http_refusal *refusal, const char *reason,
    struct api_parameter parameters[3])
{
	if (reason != NULL) {
		parameters[0] = PARAMETER_T("parameter", TEXT("request"));
		parameters[1] = PARAMETER_T("reason", text_from(reason));
	} else if (refusal->status == 413) {
		parameters[0] =
		    PARAMETER_I("maximumBytes", (int64_t)refusal->body_max);
	}
}

static void
log_refusal(const struct http_refusal *refusal, const struct uuid *instance)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(instance, id);
	log_event(refusal->status == 503 ? LOG_WARN : LOG_DEBUG, "http",
	    "request_not_taken", "a request was refused before its route",
	    LOG_I("status", refusal->status),
	    LOG_T("error_instance_id", ((struct text){ id, sizeof id })),
	    LOG_END);
}

void
http_refused(void *context, const struct http_refusal *refusal)
{
	struct http_app *app = context;
	struct api_parameter parameters[3] = { PARAMETER_END, PARAMETER_END,
		PARAMETER_END };
	struct uuid instance = uuid_random();
	size_t i;

	http_counters_answer(
	    app->counters, SIZE_MAX, TEXT("other"), refusal->status, 0.0);
	log_refusal(refusal, &instance);
	for (i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		if (refusals[i].status != refusal->status)
			continue;
		fill_parameters(refusal, refusals[i].reason, parameters);
		api_error_write(refusal->json, refusals[i].error, &instance,
		    NULL, parameters);
	}
}
