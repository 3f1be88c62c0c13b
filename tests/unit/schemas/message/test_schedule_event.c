#include <string.h>

#include "schemas/avro/framing.h"
#include "schemas/message/schedule_event.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/check.h"

#define UUID "d2a5e9c6-298d-4788-a71d-42885d7bebb3"
#define DATASET "ri.foundry.main.dataset.orders"
#define TRANSACTION "ri.foundry.main.transaction.orders-2"
#define SPEC "ri.foundry.main.jobspec.report"
#define TIME_MS INT64_C(1727285375974)

static const struct event_output outputs[] = {
	{ { "ri.a.b.c.d", 10 }, { "ri.a.b.c.t", 10 } },
	{ { "ri.a.b.c.e", 10 }, { "ri.a.b.c.u", 10 } },
};

static struct schedule_event
good_event(enum message message)
{
	struct schedule_event event = { .message = message,
		.time_ms = TIME_MS };

	if (message == MESSAGE_BUILD_FINISHED) {
		event.is_succeeded = true;
		event.outputs = outputs;
		event.n_outputs = 2;
		uuid_parse(TEXT(UUID), &event.build_id);
		return event;
	}
	event.dataset_rid = TEXT(DATASET);
	event.branch = TEXT("master");
	if (message == MESSAGE_LOGIC_PUBLISHED) {
		event.job_spec_rid = TEXT(SPEC);
		event.logic = TEXT("v2");
	} else {
		event.transaction_rid = TEXT(TRANSACTION);
		event.parent = TEXT("develop");
	}
	return event;
}

/* What avro-c writes of it. */
static void
fill(const struct avro_message *message, const struct schedule_event *event)
{
	const avro_value_t *root = &message->value;
	avro_value_t map, value;
	size_t i;

	avro_set_long(root, "time", event->time_ms);
	if (event->message != MESSAGE_BUILD_FINISHED) {
		avro_set_text(root, "datasetRid", event->dataset_rid);
		avro_set_text(root, "branch", event->branch);
	}
	if (event->message == MESSAGE_DATASET_COMMITTED) {
		avro_set_text(root, "transactionRid", event->transaction_rid);
		avro_set_text_or_null(root, "parent", event->parent);
	} else if (event->message == MESSAGE_LOGIC_PUBLISHED) {
		avro_set_text(root, "jobSpecRid", event->job_spec_rid);
		avro_set_text(root, "logic", event->logic);
	} else {
		avro_set_text(root, "buildRid", TEXT(RID_BUILD_PREFIX UUID));
		value = avro_field(root, "state");
		avro_value_set_enum(&value, event->is_succeeded ? 0 : 1);
		map = avro_field(root, "transactions");
		for (i = 0; i < event->n_outputs; i++) {
			value = avro_put(&map, event->outputs[i].rid.at);
			avro_value_set_string(
			    &value, event->outputs[i].transaction_rid.at);
		}
	}
}

static int
decode(enum message message, struct text body, struct arena *arena,
    struct schedule_event *event)
{
	struct rejection rejection = { 0 };
	struct message_reader *reader =
	    message_reader_create(message, message_schema(message), &rejection);
	int rc = schedule_event_decode(reader, body, arena, event, &rejection);

	message_reader_destroy(reader);
	return rc;
}

static void
check_message(enum message message)
{
	const char *name = message_name(message);
	struct schedule_event event = good_event(message), read;
	struct buffer ours = { 0 }, theirs = { 0 };
	struct arena *arena = arena_create(0);
	struct avro_message avro;
	struct text body;
	size_t size;

	REQUIRE(avro_message_init(&avro, message_schema(message)));
	fill(&avro, &event);
	avro_message_write(&avro, &theirs);
	schedule_event_encode(&event, message_shipped_id(message), &ours);
	body =
	    (struct text){ ours.at + FRAMING_SIZE, ours.size - FRAMING_SIZE };
	CHECK_ROW(name, text_equal(body, buffer_text(&theirs)));
	CHECK_ROW(name, decode(message, body, arena, &read) == 0);
	buffer_reset(&theirs);
	schedule_event_encode(&read, message_shipped_id(message), &theirs);
	CHECK_ROW(name, text_equal(buffer_text(&ours), buffer_text(&theirs)));
	for (size = 0; size < body.size; size++)
		CHECK_ROW(name,
		    decode(message, (struct text){ body.at, size }, arena,
			&read) != 0);
	avro_message_finish(&avro);
	arena_destroy(arena);
	buffer_finish(&ours);
	buffer_finish(&theirs);
}

static void
test_bytes(void)
{
	check_message(MESSAGE_DATASET_COMMITTED);
	check_message(MESSAGE_BUILD_FINISHED);
	check_message(MESSAGE_LOGIC_PUBLISHED);
}

static void
check_bad(const char *name, struct schedule_event event)
{
	struct rejection rejection = { 0 };

	CHECK_ROW(name, schedule_event_check(&event, &rejection) != 0);
	CHECK_ROW(name, rejection.reason == REJECT_INVALID_FIELD);
}

static void
test_fields(void)
{
	static const struct event_output twice[] = {
		{ { "ri.a.b.c.d", 10 }, { "ri.a.b.c.t", 10 } },
		{ { "ri.a.b.c.d", 10 }, { "ri.a.b.c.u", 10 } },
	};
	struct schedule_event event = good_event(MESSAGE_DATASET_COMMITTED);
	struct rejection rejection;

	event.parent = TEXT_NONE;
	CHECK(schedule_event_check(&event, &rejection) == 0);
	event.branch = TEXT("a\nb");
	check_bad("branch of two lines", event);
	event.branch = TEXT("");
	check_bad("branch without a name", event);
	event = good_event(MESSAGE_DATASET_COMMITTED);
	event.parent = TEXT("\xff");
	check_bad("parent that is no UTF-8", event);
	event = good_event(MESSAGE_DATASET_COMMITTED);
	event.dataset_rid = TEXT("orders");
	check_bad("dataset", event);
	event = good_event(MESSAGE_DATASET_COMMITTED);
	event.transaction_rid = TEXT("");
	check_bad("transaction", event);
	event = good_event(MESSAGE_LOGIC_PUBLISHED);
	event.job_spec_rid = TEXT("spec");
	check_bad("spec", event);
	event = good_event(MESSAGE_LOGIC_PUBLISHED);
	event.logic = TEXT("");
	check_bad("logic", event);
	event = good_event(MESSAGE_BUILD_FINISHED);
	event.outputs = twice;
	check_bad("output named twice", event);
}

static bool
are_same(const struct schedule_event *one, const struct schedule_event *other)
{
	struct buffer left = { 0 }, right = { 0 };
	bool same;

	schedule_event_identity(one, &left);
	schedule_event_identity(other, &right);
	same = text_equal(buffer_text(&left), buffer_text(&right));
	buffer_finish(&left);
	buffer_finish(&right);
	return same;
}

static void
test_identity(void)
{
	struct schedule_event one = good_event(MESSAGE_DATASET_COMMITTED);
	struct schedule_event other = one;

	other.time_ms++;
	CHECK(are_same(&one, &other));
	other.branch = TEXT("main");
	CHECK(!are_same(&one, &other));
	one = other = good_event(MESSAGE_BUILD_FINISHED);
	other.n_outputs = 0;
	CHECK(are_same(&one, &other));
	other.is_succeeded = false;
	CHECK(!are_same(&one, &other));
	one = other = good_event(MESSAGE_LOGIC_PUBLISHED);
	other.time_ms++;
	CHECK(!are_same(&one, &other));
	other.time_ms = one.time_ms;
	one.branch = TEXT("a, logic b");
	one.logic = TEXT("c");
	other.branch = TEXT("a");
	other.logic = TEXT("b, logic c");
	CHECK(!are_same(&one, &other));
}

CU_TestInfo schedule_event_tests[] = {
	{ "bytes as avro-c's, cut at every byte", test_bytes },
	{ "fields", test_fields },
	{ "identity", test_identity },
	CU_TEST_INFO_NULL,
};
