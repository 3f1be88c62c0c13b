#include "producer/api/batch.h"

#include <stdio.h>

#include "producer/api/draft.h"
#include "schemas/stored/document.h"

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

static bool
refuse_size(struct http_call *call, size_t n, size_t max)
{
	if (n == 0)
		http_call_refuse(call, API_MISSING_BATCH, NULL, NULL);
	else
		http_call_refuse(call, API_BATCH_TOO_LARGE, NULL,
		    (struct api_parameter[]){
			PARAMETER_I("maximumBatchSize", (int64_t)max),
			PARAMETER_I("providedBatchSize", (int64_t)n),
			PARAMETER_END });
	return false;
}

static void
read_elements(struct reader *reader, const struct json *array,
    const char *member, struct text *rids)
{
	const struct place root = { .parent = NULL };
	char required[32];
	const char *known[] = { required, NULL };
	size_t i, n = json_size(array);

	snprintf(required, sizeof required, "*%s", member);
	for (i = 0; i < n; i++) {
		struct place place = place_index(&root, i);
		const struct json *element = json_at(array, i);

		if (read_object(reader, &place, element, known))
			rids[i] = read_rid(reader, &place, element, member);
	}
}

bool
http_batch_read(struct http_call *call, const char *member, size_t max,
    struct text_list *rids)
{
	const struct json *array = json_root(call->asked.document);
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(call->arena);
	struct draft_refusal refusal;
	struct text *found;
	size_t n;

	if (read_is(reader, &root, array, JSON_TYPE_ARRAY)) {
		n = json_size(array);
		if (n == 0 || n > max)
			return refuse_size(call, n, max);
		found = arena_zalloc(call->arena, n, sizeof *found);
		read_elements(reader, array, member, found);
		if (reader->n_faults == 0) {
			*rids = (struct text_list){ found,
				text_sort_unique(found, n) };
			return true;
		}
	}
	draft_refuse_fault(reader, &refusal);
	http_call_refuse(call, refusal.error, NULL, refusal.parameters);
	return false;
}

bool
http_batch_has_room(struct http_call *call)
{
	if (call->answer.body.size <= ANSWER_MAX)
		return true;
	http_call_refuse(call, API_BODY_TOO_LARGE,
	    "The answer would be too large: ask for fewer at once.",
	    (struct api_parameter[]){
		PARAMETER_I("maximumBytes", (int64_t)ANSWER_MAX),
		PARAMETER_END });
	return false;
}
