#include "producer/api/run_list.h"

#include "common/json/write.h"
#include "producer/api/page_token.h"
#include "producer/api/schedules.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define NUMBER_MAX INT64_C(1000000000000000)

/* A decimal with perhaps a sign; more than the largest is the largest. */
static bool
parse_number(struct text text, int64_t *number)
{
	bool negative = text.size > 0 && text.at[0] == '-';

	text.at += negative;
	text.size -= negative;
	if (!text_to_bounded(text, NUMBER_MAX, number))
		return false;
	if (negative)
		*number = -*number;
	return true;
}

static bool
refuse_query(struct http_call *call, const char *parameter, const char *reason,
    struct text value)
{
	http_call_refuse(call, API_INVALID_ARGUMENT, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("parameter", text_from(parameter)),
		PARAMETER_T("reason", text_from(reason)),
		PARAMETER_T("value", value), PARAMETER_END });
	return false;
}

static bool
read_size(struct http_call *call, size_t *size)
{
	struct text value = TEXT_NONE;
	int given = http_path_get(&call->asked.path, "pageSize", &value);
	int64_t number = PAGE_DEFAULT;

	if (given < 0)
		return refuse_query(
		    call, "pageSize", "must be given once", TEXT(""));
	if (given > 0 && !parse_number(value, &number))
		return refuse_query(
		    call, "pageSize", "must be an integer", value);
	if (number <= 0) {
		http_call_refuse(call, API_INVALID_PAGE_SIZE, NULL,
		    (struct api_parameter[]){
			PARAMETER_I("pageSize", number), PARAMETER_END });
		return false;
	}
	*size = number < PAGE_MAX ? (size_t)number : PAGE_MAX;
	return true;
}

/* The place behind which the page begins; none: the newest. */
static bool
read_token(struct http_call *call, const uint8_t key[PAGE_KEY_SIZE],
    char place[RUN_PLACE_SIZE], struct text *after)
{
	struct text token = TEXT_NONE;
	int given = http_path_get(&call->asked.path, "pageToken", &token);

	*after = TEXT_NONE;
	if (given < 0)
		return refuse_query(
		    call, "pageToken", "must be given once", TEXT(""));
	if (given == 0)
		return true;
	if (!page_token_read(key, call->asked.rids[0], token, place)) {
		http_call_refuse(call, API_INVALID_PAGE_TOKEN, NULL,
		    (struct api_parameter[]){
			PARAMETER_T("pageToken", token), PARAMETER_END });
		return false;
	}
	*after = (struct text){ place, RUN_PLACE_SIZE };
	return true;
}

static void
write_page(struct http_call *call, const struct run_page *page,
    const uint8_t key[PAGE_KEY_SIZE])
{
	struct buffer token = { 0 };
	size_t i;

	json_open(&call->answer.body, '{');
	json_member_open(&call->answer.body, "data", '[');
	for (i = 0; i < page->n; i++)
		http_profile_put_run(
		    call->asked.profile, &page->records[i], &call->answer.body);
	json_close(&call->answer.body, ']');
	if (page->more) {
		page_token_write(key, call->asked.rids[0], page->last, &token);
		json_member_text(
		    &call->answer.body, "nextPageToken", buffer_text(&token));
	}
	json_close(&call->answer.body, '}');
	buffer_finish(&token);
}

void
http_run_list(struct http_call *call, struct work_redis *redis)
{
	struct schedule_access schedule;
	uint8_t key[PAGE_KEY_SIZE];
	char place[RUN_PLACE_SIZE];
	struct run_page page;
	struct text after;
	size_t size;

	if (!read_size(call, &size) ||
	    run_view_page_key(&redis->view, key, &call->job.error) != 0 ||
	    !read_token(call, key, place, &after) ||
	    !http_schedules_find(call, redis, false, &schedule) ||
	    run_view_list(&redis->view,
		&(struct run_page_question){ call->asked.rids[0], after, size },
		call->arena, &page, &call->job.error) != 0)
		return;
	write_page(call, &page, key);
}
