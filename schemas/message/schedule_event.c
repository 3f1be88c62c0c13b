#include "schemas/message/schedule_event.h"

#include <stdlib.h>

#include "schemas/avro/bytes.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/value.h"
#include "schemas/stored/document.h"

static const struct text states[] = { { "SUCCEEDED", 9 }, { "FAILED", 6 } };

/* Checks ------------------------------------------------------------------ */

static int
check_rid(const char *name, struct text rid, struct rejection *rejection)
{
	if (rid_is_valid(rid))
		return 0;
	return reject(rejection, REJECT_INVALID_FIELD,
	    "%s is no RID of at most %d bytes", name, RID_SIZE_MAX);
}

static int
check_text(const char *name, struct text text, struct rejection *rejection)
{
	if (text.size >= 1 && text.size <= DOCUMENT_TEXT_MAX &&
	    text_is_utf8(text) && !text_has_control(text))
		return 0;
	return reject(rejection, REJECT_INVALID_FIELD,
	    "%s has not 1 to %d bytes of UTF-8 without control characters",
	    name, DOCUMENT_TEXT_MAX);
}

static int
check_outputs(const struct schedule_event *event, struct rejection *rejection)
{
	size_t i;

	for (i = 0; i < event->n_outputs; i++) {
		if (check_rid("an output", event->outputs[i].rid, rejection) !=
			0 ||
		    check_rid("an output's transaction",
			event->outputs[i].transaction_rid, rejection) != 0)
			return -1;
		if (i > 0 &&
		    text_equal(
			event->outputs[i - 1].rid, event->outputs[i].rid))
			return reject(rejection, REJECT_INVALID_FIELD,
			    "an output is named twice");
	}
	return 0;
}

int
schedule_event_check(
    const struct schedule_event *event, struct rejection *rejection)
{
	if (event->message == MESSAGE_BUILD_FINISHED)
		return check_outputs(event, rejection);
	if (check_rid("datasetRid", event->dataset_rid, rejection) != 0 ||
	    check_text("branch", event->branch, rejection) != 0)
		return -1;
	if (event->message == MESSAGE_LOGIC_PUBLISHED)
		return check_rid(
			   "jobSpecRid", event->job_spec_rid, rejection) == 0
		    ? check_text("logic", event->logic, rejection)
		    : -1;
	if (event->parent.at != NULL &&
	    check_text("parent", event->parent, rejection) != 0)
		return -1;
	return check_rid("transactionRid", event->transaction_rid, rejection);
}

/* Reading ----------------------------------------------------------------- */

static int
compare_outputs(const void *left, const void *right)
{
	const struct event_output *one = left, *other = right;

	return text_compare(one->rid, other->rid);
}

static void
read_outputs(struct message_reader *reader, struct schedule_event *event)
{
	struct event_output *outputs;
	avro_value_t map, value;
	size_t n =
	    value_size_or_none(reader, &reader->value, "transactions", &map);
	size_t i;

	outputs = arena_zalloc(reader->arena, n, sizeof *outputs);
	for (i = 0; i < n; i++) {
		const char *key = NULL;

		if (!value_at(reader, &map, i, &key, &value))
			return;
		outputs[i].rid = text_copy(reader->arena, text_from(key));
		outputs[i].transaction_rid = value_text_at(reader, &map, i);
	}
	if (n > 0)
		qsort(outputs, n, sizeof *outputs, compare_outputs);
	event->outputs = outputs;
	event->n_outputs = n;
}

static void
read_build(struct message_reader *reader, struct schedule_event *event)
{
	const avro_value_t *root = &reader->value;
	struct text state = value_symbol(reader, root, "state");

	event->build_id =
	    value_rid(reader, root, "buildRid", TEXT(RID_BUILD_PREFIX));
	event->is_succeeded = text_equal(state, states[0]);
	if (!event->is_succeeded && !text_equal(state, states[1]))
		value_unfit(reader, "state");
	read_outputs(reader, event);
}

int
schedule_event_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct schedule_event *event,
    struct rejection *rejection)
{
	const avro_value_t *root = &reader->value;

	enum message message = reader->message;

	*event = (struct schedule_event){ .message = message };
	if (message_read(reader, body, arena, rejection) != 0)
		return -1;
	event->time_ms = value_long(reader, root, "time");
	if (message == MESSAGE_BUILD_FINISHED) {
		read_build(reader, event);
	} else {
		event->dataset_rid = value_text(reader, root, "datasetRid");
		event->branch = value_text(reader, root, "branch");
	}
	if (message == MESSAGE_DATASET_COMMITTED) {
		event->transaction_rid =
		    value_text(reader, root, "transactionRid");
		event->parent = value_text_or_none(reader, root, "parent");
	} else if (message == MESSAGE_LOGIC_PUBLISHED) {
		event->job_spec_rid = value_text(reader, root, "jobSpecRid");
		event->logic = value_text(reader, root, "logic");
	}
	if (message_result(reader, rejection) != 0)
		return -1;
	return schedule_event_check(event, rejection);
}

/* Writing ----------------------------------------------------------------- */

static void
put_build(const struct schedule_event *event, struct buffer *out)
{
	size_t i;

	avro_put_rid(out, TEXT(RID_BUILD_PREFIX), &event->build_id);
	avro_put_long(out, event->is_succeeded ? 0 : 1);
	avro_put_long(out, event->time_ms);
	avro_put_items(out, event->n_outputs);
	for (i = 0; i < event->n_outputs; i++) {
		avro_put_text(out, event->outputs[i].rid);
		avro_put_text(out, event->outputs[i].transaction_rid);
	}
	avro_put_end(out);
}

void
schedule_event_encode(
    const struct schedule_event *event, uint32_t schema_id, struct buffer *out)
{
	framing_write(schema_id, out);
	if (event->message == MESSAGE_BUILD_FINISHED) {
		put_build(event, out);
		return;
	}
	avro_put_text(out, event->dataset_rid);
	if (event->message == MESSAGE_LOGIC_PUBLISHED) {
		avro_put_text(out, event->job_spec_rid);
		avro_put_text(out, event->branch);
		avro_put_text(out, event->logic);
	} else {
		avro_put_text(out, event->branch);
		avro_put_text(out, event->transaction_rid);
		avro_put_optional(out, event->parent);
	}
	avro_put_long(out, event->time_ms);
}

static int
compare_name(const void *rid, const void *output)
{
	return text_compare(*(const struct text *)rid,
	    ((const struct event_output *)output)->rid);
}

const struct event_output *
event_output_find(const struct event_output *list, size_t n, struct text rid)
{
	return n == 0 ? NULL
		      : bsearch(&rid, list, n, sizeof *list, compare_name);
}

/* Names ------------------------------------------------------------------- */

struct text
schedule_event_key(const struct schedule_event *event, char out[RID_SIZE_MAX])
{
	if (event->message != MESSAGE_BUILD_FINISHED)
		return event->dataset_rid;
	return (struct text){ out,
		rid_format(TEXT(RID_BUILD_PREFIX), &event->build_id, out) };
}

void
schedule_event_identity(const struct schedule_event *event, struct buffer *out)
{
	char rid[RID_SIZE_MAX];

	if (event->message == MESSAGE_DATASET_COMMITTED)
		buffer_format(out, "%.*s@%.*s, transaction %.*s",
		    TEXT_ARG(event->dataset_rid), TEXT_ARG(event->branch),
		    TEXT_ARG(event->transaction_rid));
	else if (event->message == MESSAGE_LOGIC_PUBLISHED)
		/* Branch and logic may have any signs in them. */
		buffer_format(out, "%.*s@%.*s, logic %.*s\n%zu %lld",
		    TEXT_ARG(event->job_spec_rid), TEXT_ARG(event->branch),
		    TEXT_ARG(event->logic), event->branch.size,
		    (long long)event->time_ms);
	else
		buffer_format(out, "%.*s %.*s",
		    TEXT_ARG(schedule_event_key(event, rid)),
		    TEXT_ARG(states[event->is_succeeded ? 0 : 1]));
}
