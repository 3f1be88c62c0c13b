#include "producer/dashboard/redrive.h"

#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "producer/dashboard/dashboard.h"
#include "producer/letters/dealing.h"
#include "producer/letters/redriver.h"

#define LETTERS_MAX 200
#define STEP_MS 5000 /* of Kafka's answers */
#define TURN_MS 3000

struct redrive {
	struct http_call *call;
	struct work_redis *redis;
	const struct config *config;
	struct kafka_offset places[LETTERS_MAX];
	size_t n;
	bool dry_run;
	struct letters *letters;
	struct redriver *redriver; /* NULL: dry run */
	struct error err;
};

static bool
refuse_body(struct redrive *redrive, const char *what)
{
	http_call_refuse(redrive->call, API_INVALID_ARGUMENT, what,
	    (struct api_parameter[]){
		{ .name = "parameter", .text = TEXT("letters") },
		PARAMETER_END });
	return false;
}

static bool
read_body(struct redrive *redrive)
{
	const struct json *body = json_root(redrive->call->asked.document);
	const struct json *list = json_get(body, "letters");
	const struct json *dry_run = json_get(body, "dryRun");
	size_t i;

	if (json_type_of(list) != JSON_TYPE_ARRAY || json_size(list) == 0 ||
	    json_size(list) > LETTERS_MAX)
		return refuse_body(redrive, "letters has 1 to 200 of them.");
	for (i = 0; i < json_size(list); i++) {
		const struct json *place = json_at(list, i);

		if (json_type_of(place) != JSON_TYPE_STRING ||
		    !letter_place_read(json_text(place), &redrive->places[i]))
			return refuse_body(
			    redrive, "A letter is PARTITION:OFFSET.");
	}
	redrive->n = i;
	/* Whoever leaves it out only looks. */
	redrive->dry_run =
	    json_type_of(dry_run) != JSON_TYPE_BOOL || json_bool(dry_run);
	return true;
}

static void
put_result(struct redrive *redrive, struct kafka_offset place,
    const char *result, const char *note)
{
	struct buffer *out = &redrive->call->answer.body;
	char at[LETTER_PLACE_SIZE];

	json_open(out, '{');
	json_member_text(out, "letter", letter_place_write(place, at));
	json_member_string(out, "result", result);
	if (note != NULL)
		json_member_string(out, "note", note);
	json_close(out, '}');
}

/* The letters that are there, and wait. */
static void
choose(struct redrive *redrive)
{
	struct letter_entry *entry;
	struct error gone;
	size_t i;

	for (i = 0; i < redrive->n; i++) {
		entry =
		    letters_find(redrive->letters, redrive->places[i], &gone);
		if (entry == NULL)
			put_result(redrive, redrive->places[i], "gone",
			    "retention took it, or it is no letter");
		else if (entry->state != LETTER_WAITS)
			put_result(redrive, entry->place, "refused",
			    dealing_was_dealt(entry, redrive->call->arena));
		else
			entry->is_wanted = true;
	}
}

/* Why he may not: who can't run the schedule can't ask for it again. */
static int
judge_caller(struct redrive *redrive, const struct kafka_record *record,
    const char **why)
{
	struct access access = http_call_access(redrive->call, redrive->redis);
	struct schedule_access schedule;
	struct text rid = record->key;

	*why = NULL;
	if (!redrive->call->asked.caller.known)
		return 0;
	*why = "its key is no schedule that you may run";
	if (rid.at == NULL || !rid_is_valid(rid))
		return 0;
	if (access_read(&access, &rid, 1, false, &schedule,
		&redrive->call->job.error) != 0)
		return -1;
	if (schedule.exists && schedule.right == RIGHT_ACT)
		*why = NULL;
	return 0;
}

static int
commit_pending(struct redrive *redrive)
{
	struct letter_entry *const *done;
	size_t n, i;

	if (redrive->redriver == NULL ||
	    redriver_pending(redrive->redriver) == 0)
		return 0;
	if (redriver_commit(redrive->redriver, &redrive->err) != 0)
		return -1;
	done = redriver_done(redrive->redriver, &n);
	for (i = 0; i < n; i++)
		put_result(redrive, done[i]->place,
		    letter_state_text(done[i]->state), NULL);
	return redriver_is_suspect(redrive->redriver)
	    ? error_set(&redrive->err, ERROR_RETRY,
		  "Kafka's connection was lost: ask again for the rest")
	    : 0;
}

/* The record is passed on, or released. */
static int
deal_with(struct redrive *redrive, struct letter_entry *entry,
    struct kafka_record *record)
{
	const char *why;
	int rc = judge_caller(redrive, record, &why);

	if (rc == 0 && why == NULL)
		why = dealing_refusal(redrive->config, redrive->letters, record,
		    TOPIC_REQUESTS, redrive->call->arena);
	if (rc == 0 && why == NULL && redrive->redriver != NULL) {
		redriver_add(redrive->redriver, entry, record, LETTER_REDRIVEN);
		return redriver_is_full(redrive->redriver)
		    ? commit_pending(redrive)
		    : 0;
	}
	if (rc == 0)
		put_result(redrive, entry->place,
		    why != NULL ? "refused" : "would be redriven", why);
	kafka_records_release(record, 1);
	return rc;
}

static int
deal_with_all(struct redrive *redrive)
{
	struct letter_entry *entry;
	struct kafka_record record;
	int rc = letters_start(redrive->letters, &redrive->err);

	while (rc == 0 &&
	    (rc = letters_next(
		 redrive->letters, &entry, &record, &redrive->err)) == 1)
		rc = deal_with(redrive, entry, &record);
	return rc == 0 ? commit_pending(redrive) : -1;
}

static int
work_on(struct redrive *redrive)
{
	const struct letter_filter filter = { .reason = DEAD_REASONS,
		.partition = -1,
		.places = redrive->places,
		.n_places = redrive->n };

	redrive->letters =
	    letters_create(redrive->config, STEP_MS, &redrive->err);
	if (redrive->letters == NULL)
		return -1;
	if (!redrive->dry_run) {
		redrive->redriver = redriver_open(redrive->config,
		    redrive->letters, TOPIC_REQUESTS, STEP_MS, &redrive->err);
		if (redrive->redriver == NULL)
			return -1;
	}
	if (letters_index(redrive->letters, &filter, !redrive->dry_run, 0,
		&redrive->err) != 0)
		return -1;
	choose(redrive);
	return deal_with_all(redrive);
}

/* What is listed is done, whatever became of the rest. */
static void
answer_redrive(struct redrive *redrive)
{
	struct buffer *out = &redrive->call->answer.body;
	int rc;

	json_open(out, '{');
	json_member_bool(out, "dryRun", redrive->dry_run);
	json_member_open(out, "results", '[');
	rc = work_on(redrive);
	json_close(out, ']');
	if (rc != 0 && redrive->err.kind != ERROR_NONE)
		json_member_text(out, "error", text_from(redrive->err.message));
	json_close(out, '}');
	redriver_close(redrive->redriver);
	letters_destroy(redrive->letters);
}

void
dashboard_redrive(struct http_call *call, struct work_redis *redis)
{
	struct sweep_turn *turn = &call->app->dashboard->redrives;
	struct redrive *redrive = arena_zalloc(call->arena, 1, sizeof *redrive);

	redrive->call = call;
	redrive->redis = redis;
	redrive->config = call->app->config;
	if (!read_body(redrive))
		return;
	if (!sweep_turn_take(turn, TURN_MS)) {
		http_call_refuse(call, API_UNAVAILABLE,
		    "Somebody else redrives letters: come again.", NULL);
		return;
	}
	answer_redrive(redrive);
	sweep_turn_end(turn);
}
