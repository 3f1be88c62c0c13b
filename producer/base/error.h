#ifndef SCHEDRUN_PRODUCER_BASE_ERROR_H
#define SCHEDRUN_PRODUCER_BASE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"

/*
 * The errors of the API: status, errorCode and errorName of each, and the
 * envelope they travel in (docs/http.md, section 5).
 */
enum api_error {
	API_PREVIEW_ONLY,
	API_INVALID_PAGE_SIZE,
	API_INVALID_PAGE_TOKEN,
	API_MISSING_POST_BODY,
	API_MISSING_BATCH,
	API_BATCH_TOO_LARGE,
	API_MISSING_TARGETS,
	API_MISSING_INPUTS,
	API_INVALID_AND_TRIGGER,
	API_INVALID_OR_TRIGGER,
	API_INVALID_TIME_TRIGGER,
	API_INVALID_NAME,
	API_INVALID_DESCRIPTION,
	API_INVALID_ARGUMENT,
	API_MISSING_CREDENTIALS,
	API_UNAUTHORIZED,
	API_USAGE_DENIED,
	API_RUN_DENIED,
	API_PAUSE_DENIED,
	API_UNPAUSE_DENIED,
	API_REPLACE_DENIED,
	API_DELETE_DENIED,
	API_CREATE_DENIED,
	API_COMMIT_DENIED,
	API_CANCEL_DENIED,
	API_SCHEDULE_NOT_FOUND,
	API_VERSION_NOT_FOUND,
	API_BUILD_NOT_FOUND,
	API_TARGETS_NOT_FOUND,
	API_INPUTS_NOT_FOUND,
	API_RUN_NOT_FOUND,
	API_DATASET_NOT_FOUND,
	API_METHOD_NOT_ALLOWED,
	API_BODY_TOO_LARGE,
	API_MEDIA_TYPE,
	API_RATE_LIMITED,
	API_INTERNAL,
	API_TIMEOUT,
	API_UNAVAILABLE,
	N_API_ERRORS,
};

int api_error_status(enum api_error error);       /* its status, 400 to 599 */
const char *api_error_name(enum api_error error); /* its errorName */

/* A member of `parameters`; ended by a NULL name. */
struct api_parameter {
	const char *name;
	enum { PARAMETER_TEXT, PARAMETER_INTEGER, PARAMETER_LIST } type;
	struct text text; /* from a request: cut at 128 characters */
	int64_t integer;
	const struct text *list;
	size_t n;
};

#define PARAMETER_T(name_, text_)                                              \
	((struct api_parameter){                                               \
	    .name = (name_), .type = PARAMETER_TEXT, .text = (text_) })
#define PARAMETER_I(name_, integer_)                                           \
	((struct api_parameter){ .name = (name_),                              \
	    .type = PARAMETER_INTEGER,                                         \
	    .integer = (integer_) })
#define PARAMETER_END ((struct api_parameter){ .name = NULL })

/* The envelope.  `description` NULL: none. */
void api_error_write(struct buffer *out, enum api_error error,
    const struct uuid *instance, const char *description,
    const struct api_parameter *parameters);

#endif
