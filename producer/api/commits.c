#include "producer/api/commits.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/write.h"
#include "producer/api/draft.h"
#include "producer/api/runs.h"
#include "producer/runs/event_sender.h"
#include "schemas/stored/document.h"

#define DAY_MS (24 * INT64_C(3600000))

/* Wall-clock time of the sender, or now. */
static int64_t
read_time(
    struct reader *reader, const struct place *root, const struct json *body)
{
	struct place place = place_member(root, TEXT("time"));
	struct text text = read_text_or_null(reader, root, body, "time");
	int64_t wall_ms = clock_wall_ms();

	if (text.at != NULL && !clock_parse(text, &wall_ms))
		reader_fault(
		    reader, &place, "is no time such as 2026-01-31T09:00:00Z");
	else if (wall_ms - DAY_MS > clock_wall_ms())
		reader_fault(reader, &place, "is more than a day to come");
	return wall_ms;
}

static bool
read_commit(struct http_call *call, struct schedule_event *event)
{
	static const char *const known[] = { "*branch", "*transactionRid",
		"parent", "time", NULL };
	static const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(call->arena);
	const struct json *body = json_root(call->asked.document);
	struct draft_refusal refusal;

	*event = (struct schedule_event){
		.message = MESSAGE_DATASET_COMMITTED,
		.dataset_rid = call->asked.rids[0],
	};
	if (read_object(reader, &root, body, known)) {
		event->branch = read_text(reader, &root, body, "branch");
		event->transaction_rid =
		    read_rid(reader, &root, body, "transactionRid");
		event->parent =
		    read_text_or_null(reader, &root, body, "parent");
		event->time_ms = read_time(reader, &root, body);
	}
	if (reader->n_faults == 0)
		return true;
	draft_refuse_fault(reader, &refusal);
	http_call_refuse(call, refusal.error, NULL, refusal.parameters);
	return false;
}

static bool
refuse_commit(
    struct http_call *call, enum api_error error, const char *description)
{
	http_call_refuse(call, error, description,
	    (struct api_parameter[]){
		PARAMETER_T("datasetRid", call->asked.rids[0]),
		PARAMETER_END });
	return false;
}

/* The right that he would need over a schedule that builds it. */
static bool
may_commit(struct http_call *call, struct work_redis *redis)
{
	struct access access = http_call_access(call, redis);
	const struct schedule_version version = {
		.target_type = TARGET_MANUAL,
		.target_rids = { &call->asked.rids[0], 1 },
	};
	struct draft_access judged;

	if (access_judge(&access, &version, &judged, &call->job.error) != 0)
		return false;
	if (judged.targets.n > 0)
		return refuse_commit(call, API_DATASET_NOT_FOUND, NULL);
	return judged.right == RIGHT_ACT ||
	    refuse_commit(call, API_COMMIT_DENIED, NULL);
}

static void
put_commit(struct buffer *out, const struct schedule_event *event)
{
	struct buffer identity = { 0 };

	json_open(out, '{');
	json_member_text(out, "datasetRid", event->dataset_rid);
	json_member_text(out, "branch", event->branch);
	json_member_text(out, "transactionRid", event->transaction_rid);
	json_member_time(out, "time", event->time_ms);
	schedule_event_identity(event, &identity);
	json_member_text(out, "event", buffer_text(&identity));
	json_close(out, '}');
	buffer_finish(&identity);
}

static void
send_commit(struct http_call *call, const struct schedule_event *event)
{
	struct event_sender *sender = call->app->sender;
	struct error err = { 0 };

	if (event_sender_ready(sender, event->message, &err) != 0) {
		log_event(
		    LOG_WARN, "http", "commit_unsent", err.message, LOG_END);
		http_call_refuse(call, API_UNAVAILABLE, NULL, NULL);
	} else if (event_sender_send(sender, event, &err) == 0) {
		put_commit(&call->answer.body, event);
	} else if (err.kind == ERROR_RETRY) {
		log_event(
		    LOG_WARN, "http", "commit_unknown", err.message, LOG_END);
		refuse_commit(call, API_TIMEOUT,
		    "The broker did not answer in time; the event may be "
		    "there.  Sending it again does no harm.");
	} else {
		call->job.error = err;
	}
}

/* On a pool thread. */
static void
work_commit(void *owner, struct work_redis *redis)
{
	struct http_call *call = owner;
	struct schedule_event event;

	if (read_commit(call, &event) && may_commit(call, redis))
		send_commit(call, &event);
}

void
http_commits_post(struct http_call *call)
{
	struct rate_limit *rate = call->app->runs->rate;

	if (rate != NULL &&
	    !rate_limit_take(rate, &call->asked.caller, clock_monotonic_ms())) {
		http_call_error(call, API_RATE_LIMITED,
		    "More runs and commits a second than a caller may send.",
		    NULL);
		return;
	}
	call->job = (struct work_job){
		.owner = call, .work = work_commit, .done = http_call_finish
	};
	http_call_submit(call);
}
