#include "schemas/message/request_document.h"

#include "common/base/clock.h"

void
request_document_read(struct reader *reader, const struct place *place,
    const struct json *node, struct run_request *request,
    struct text *created_time)
{
	static const char *const known[] = { "*requestId", "*scheduleRid",
		"*createdTime", "scheduleVersionRid", "createdBy", NULL };
	struct place time_place = place_member(place, TEXT("createdTime"));

	*request = (struct run_request){ 0 };
	*created_time = TEXT_NONE;
	if (!read_object(reader, place, node, known))
		return;
	request->request_id = read_text(reader, place, node, "requestId");
	request->schedule_rid = read_rid(reader, place, node, "scheduleRid");
	request->schedule_version_rid =
	    read_rid_or_null(reader, place, node, "scheduleVersionRid");
	request->created_by =
	    read_text_or_null(reader, place, node, "createdBy");
	*created_time = read_text(reader, place, node, "createdTime");
	if (created_time->at == NULL)
		return;
	if (!clock_is_time(*created_time))
		reader_fault(reader, &time_place,
		    "is not a time such as 2024-09-25T17:29:35.974Z");
	if (!clock_parse(*created_time, &request->created_time_ms))
		request->created_time_ms = 0;
}
