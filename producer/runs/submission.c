#include "producer/runs/submission.h"

#include "common/base/clock.h"
#include "schemas/stored/document.h"

struct text
submission_new_id(struct arena *arena)
{
	struct uuid uuid = uuid_random();
	char *at = arena_alloc(arena, UUID_TEXT_SIZE);

	uuid_format(&uuid, at);
	return (struct text){ at, UUID_TEXT_SIZE };
}

int
submission_check(
    const struct run_request *request, struct uuid *run, struct error *err)
{
	struct rejection rejection;

	if (run_request_check(request, run, &rejection) == 0 &&
	    run_request_check_time(request, clock_wall_ms(), &rejection) == 0)
		return 0;
	return error_set(err, ERROR_INPUT, "%s", rejection.detail);
}

static void
read_fields(struct reader *reader, const struct json *node, int64_t now_ms,
    struct run_request *request)
{
	static const char *const known[] = { "*scheduleRid", "requestId",
		"scheduleVersionRid", "createdTime", "createdBy", "trigger",
		NULL };
	const struct place root = { .parent = NULL };
	const struct place time_place =
	    place_member(&root, TEXT("createdTime"));
	struct text time;

	*request = (struct run_request){ .created_time_ms = now_ms };
	if (!read_object(reader, &root, node, known))
		return;
	request->schedule_rid = read_rid(reader, &root, node, "scheduleRid");
	request->request_id =
	    read_text_or_null(reader, &root, node, "requestId");
	request->schedule_version_rid =
	    read_rid_or_null(reader, &root, node, "scheduleVersionRid");
	request->created_by =
	    read_text_or_null(reader, &root, node, "createdBy");
	request->trigger = read_text_or_null(reader, &root, node, "trigger");
	time = read_text_or_null(reader, &root, node, "createdTime");
	if (time.at != NULL && !clock_parse(time, &request->created_time_ms))
		reader_fault(reader, &time_place,
		    "is not a time such as 2024-09-25T17:29:35.974Z");
}

int
submission_parse(struct text line, int64_t now_ms, struct arena *arena,
    struct run_request *request, struct uuid *run, struct error *err)
{
	struct reader *reader = reader_create(arena);
	struct json_document *document =
	    json_parse(line, DOCUMENT_DEPTH_MAX, err);
	bool has_id;

	if (document == NULL)
		return -1;
	read_fields(reader, json_root(document), now_ms, request);
	json_destroy(document);
	if (reader_result(reader, err) != 0)
		return -1;
	has_id = request->request_id.at != NULL;
	if (!has_id)
		request->request_id = submission_new_id(arena);
	return submission_check(request, run, err) == 0 ? has_id : -1;
}
