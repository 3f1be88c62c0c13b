#include "producer/base/error.h"

#include "common/json/write.h"

#define TEXT_MAX 128 /* characters of a request's value that are repeated */

static const struct {
	int status;
	const char *code, *name;
} errors[N_API_ERRORS] = {
	[API_PREVIEW_ONLY] = { 400, "INVALID_ARGUMENT",
	    "ApiFeaturePreviewUsageOnly" },
	[API_INVALID_PAGE_SIZE] = { 400, "INVALID_ARGUMENT",
	    "InvalidPageSize" },
	[API_INVALID_PAGE_TOKEN] = { 400, "INVALID_ARGUMENT",
	    "InvalidPageToken" },
	[API_MISSING_POST_BODY] = { 400, "INVALID_ARGUMENT",
	    "MissingPostBody" },
	[API_MISSING_BATCH] = { 400, "INVALID_ARGUMENT",
	    "MissingBatchRequest" },
	[API_BATCH_TOO_LARGE] = { 400, "INVALID_ARGUMENT",
	    "BatchRequestSizeExceededLimit" },
	[API_MISSING_TARGETS] = { 400, "INVALID_ARGUMENT",
	    "MissingBuildTargets" },
	[API_MISSING_INPUTS] = { 400, "INVALID_ARGUMENT",
	    "MissingConnectingBuildInputs" },
	[API_INVALID_AND_TRIGGER] = { 400, "INVALID_ARGUMENT",
	    "InvalidAndTrigger" },
	[API_INVALID_OR_TRIGGER] = { 400, "INVALID_ARGUMENT",
	    "InvalidOrTrigger" },
	[API_INVALID_TIME_TRIGGER] = { 400, "INVALID_ARGUMENT",
	    "InvalidTimeTrigger" },
	[API_INVALID_NAME] = { 400, "INVALID_ARGUMENT", "InvalidScheduleName" },
	[API_INVALID_DESCRIPTION] = { 400, "INVALID_ARGUMENT",
	    "InvalidScheduleDescription" },
	[API_INVALID_ARGUMENT] = { 400, "INVALID_ARGUMENT",
	    "Default:InvalidArgument" },
	[API_MISSING_CREDENTIALS] = { 401, "UNAUTHORIZED",
	    "MissingCredentials" },
	[API_UNAUTHORIZED] = { 401, "UNAUTHORIZED", "Default:Unauthorized" },
	[API_USAGE_DENIED] = { 403, "PERMISSION_DENIED", "ApiUsageDenied" },
	[API_RUN_DENIED] = { 403, "PERMISSION_DENIED",
	    "RunSchedulePermissionDenied" },
	[API_PAUSE_DENIED] = { 403, "PERMISSION_DENIED",
	    "PauseSchedulePermissionDenied" },
	[API_UNPAUSE_DENIED] = { 403, "PERMISSION_DENIED",
	    "UnpauseSchedulePermissionDenied" },
	[API_REPLACE_DENIED] = { 403, "PERMISSION_DENIED",
	    "ReplaceSchedulePermissionDenied" },
	[API_DELETE_DENIED] = { 403, "PERMISSION_DENIED",
	    "DeleteSchedulePermissionDenied" },
	[API_CREATE_DENIED] = { 403, "PERMISSION_DENIED",
	    "CreateSchedulePermissionDenied" },
	[API_COMMIT_DENIED] = { 403, "PERMISSION_DENIED",
	    "CommitDatasetPermissionDenied" },
	[API_CANCEL_DENIED] = { 403, "PERMISSION_DENIED",
	    "CancelBuildPermissionDenied" },
	[API_SCHEDULE_NOT_FOUND] = { 404, "NOT_FOUND", "ScheduleNotFound" },
	[API_VERSION_NOT_FOUND] = { 404, "NOT_FOUND",
	    "ScheduleVersionNotFound" },
	[API_BUILD_NOT_FOUND] = { 404, "NOT_FOUND", "BuildNotFound" },
	[API_TARGETS_NOT_FOUND] = { 404, "NOT_FOUND", "BuildTargetsNotFound" },
	[API_INPUTS_NOT_FOUND] = { 404, "NOT_FOUND", "BuildInputsNotFound" },
	[API_RUN_NOT_FOUND] = { 404, "NOT_FOUND", "ScheduleRunNotFound" },
	[API_DATASET_NOT_FOUND] = { 404, "NOT_FOUND", "DatasetNotFound" },
	[API_METHOD_NOT_ALLOWED] = { 405, "INVALID_ARGUMENT",
	    "Default:MethodNotAllowed" },
	[API_BODY_TOO_LARGE] = { 413, "REQUEST_ENTITY_TOO_LARGE",
	    "Default:RequestEntityTooLarge" },
	[API_MEDIA_TYPE] = { 415, "INVALID_ARGUMENT",
	    "Default:UnsupportedMediaType" },
	[API_RATE_LIMITED] = { 429, "CUSTOM_CLIENT", "Default:RateLimited" },
	[API_INTERNAL] = { 500, "INTERNAL", "Default:Internal" },
	[API_TIMEOUT] = { 500, "TIMEOUT", "Default:Timeout" },
	[API_UNAVAILABLE] = { 503, "INTERNAL", "Default:ServiceUnavailable" },
};

int
api_error_status(enum api_error error)
{
	return errors[error].status;
}

const char *
api_error_name(enum api_error error)
{
	return errors[error].name;
}

/* At most TEXT_MAX characters, cut between two of them. */
static struct text
shorten(struct text text)
{
	size_t i, n = 0;

	for (i = 0; i < text.size; i++) {
		bool starts = ((unsigned char)text.at[i] & 0xc0) != 0x80;

		if (starts && n++ == TEXT_MAX)
			return (struct text){ text.at, i };
	}
	return text;
}

static void
write_parameter(struct buffer *out, const struct api_parameter *parameter)
{
	size_t i;

	json_name(out, parameter->name);
	switch (parameter->type) {
	case PARAMETER_TEXT:
		json_put_text(out, shorten(parameter->text));
		break;
	case PARAMETER_INTEGER:
		json_put_integer(out, parameter->integer);
		break;
	case PARAMETER_LIST:
		json_open(out, '[');
		for (i = 0; i < parameter->n; i++)
			json_put_text(out, parameter->list[i]);
		json_close(out, ']');
		break;
	}
}

void
api_error_write(struct buffer *out, enum api_error error,
    const struct uuid *instance, const char *description,
    const struct api_parameter *parameters)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(instance, id);
	json_open(out, '{');
	json_member_string(out, "errorCode", errors[error].code);
	json_member_string(out, "errorName", errors[error].name);
	json_member_text(
	    out, "errorInstanceId", (struct text){ id, sizeof id });
	if (description != NULL) {
		json_member_string(out, "errorDescription", description);
	}
	json_member_open(out, "parameters", '{');
	for (; parameters != NULL && parameters->name != NULL; parameters++)
		write_parameter(out, parameters);
	json_close(out, '}');
	json_close(out, '}');
}
