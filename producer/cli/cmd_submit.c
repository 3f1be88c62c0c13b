#include "common/base/clock.h"
#include "producer/cli/run_table.h"
#include "producer/cli/submitter.h"
#include "producer/runs/repeat.h"
#include "producer/runs/results.h"
#include "producer/runs/submission.h"
#include "schemas/topics.h"

#define POLL_MS 100
/* A result is written after its request, by another machine's clock maybe. */
#define CLOCKS_MS 60000

enum submit_option {
	OPTION_BY = 512,
	OPTION_REQUEST_ID,
	OPTION_VERSION,
	OPTION_TRIGGER,
	OPTION_WAIT,
};

struct submit {
	struct command *command;
	const char *file;
	const char *by, *request_id, *version, *trigger;
	int64_t wait_ms; /* -1: don't wait */
};

static const struct argp_option submit_options[] = {
	{ "file", 'f', "FILE", 0,
	    "Requests, a JSON object per line (-: standard input)", 0 },
	{ "by", OPTION_BY, "UUID", 0,
	    "The user who asks (default: nobody; the run counts as automatic, "
	    "and a paused schedule ignores it)",
	    0 },
	{ "request-id", OPTION_REQUEST_ID, "ID", 0,
	    "Idempotency key; the same one asks for the same run", 0 },
	{ "version", OPTION_VERSION, "RID", 0, "Pin this version", 0 },
	{ "trigger", OPTION_TRIGGER, "TEXT", 0, "What fired, for people", 0 },
	{ "wait", OPTION_WAIT, "DURATION", 0, "Wait for the result", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_submit(int key, char *argument, struct argp_state *state)
{
	struct submit *submit = state->input;

	switch (key) {
	case 'f':
		submit->file = argument;
		return 0;
	case OPTION_BY:
		submit->by = argument;
		return 0;
	case OPTION_REQUEST_ID:
		submit->request_id = argument;
		return 0;
	case OPTION_VERSION:
		submit->version = argument;
		return 0;
	case OPTION_TRIGGER:
		submit->trigger = argument;
		return 0;
	case OPTION_WAIT:
		if (!config_parse_duration(argument, &submit->wait_ms))
			usage_error(state,
			    "--wait %s: not a duration such as 30s", argument);
		return 0;
	case ARGP_KEY_END:
		if ((submit->command->argument == NULL) ==
		    (submit->file == NULL))
			usage_error(
			    state, "either a schedule's RID or -f FILE");
		if (submit->file != NULL && submit->wait_ms >= 0)
			usage_error(state, "--wait goes with one RID");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* Whether Redis knows the schedule: a typing error is found here. */
static int
look_up(struct command *command, struct text rid, struct error *err)
{
	struct redis_reply *reply;
	int rc = 0;

	if (command_open_catalogue(command, err) != 0)
		return -1;
	reply = redis_ask(command->redis,
	    (struct text[]){
		TEXT("HGET"), keyspace_key(command->keyspace, KEY_HEADS), rid },
	    3, "HGET s", err);
	if (reply == NULL)
		return -1;
	if (redis_reply_text(reply).at == NULL)
		rc = error_fatal(err, EXIT_NOT_FOUND,
		    "schedule \"%.*s\" not found in %s; try: schedrun schedule "
		    "list",
		    TEXT_ARG(rid), redis_shown_url(command->redis));
	redis_reply_destroy(reply);
	return rc;
}

/* A request on its way, and what is known of an earlier asking. */
struct asked {
	const struct submit *submit;
	struct run_request request;
	struct uuid run;
	bool is_repeat; /* a record has its claim already: */
	struct claim_value claim;
	bool was_damage; /* the answer to that one does not count */
};

/* What is to be done when no result came in time. */
static int
say_none(struct asked *asked)
{
	struct command *command = asked->submit->command;
	struct text id = asked->request.request_id;
	char rid[RID_SIZE_MAX];
	size_t size;

	if (asked->was_damage)
		return command_say(command, EXIT_NO,
		    "request %.*s was asked before, and its only answer is "
		    "about damage in the store: ask with a new --request-id",
		    TEXT_ARG(id));
	if (asked->is_repeat &&
	    repeat_is_decided(command->config, &asked->claim,
		(int)command->options.timeout_ms))
		return command_say(command, EXIT_NOT_FOUND,
		    "request %.*s was answered before, but its result was "
		    "neither in the run view nor, within --wait, in topic %s: "
		    "ask with a longer --wait, or with a new --request-id",
		    TEXT_ARG(id), topic_name(command->config, TOPIC_RESULTS));
	size = rid_format(TEXT(RID_RUN_PREFIX), &asked->run, rid);
	return command_say(command, EXIT_NO_RESULT,
	    "accepted, but no result came in time; asking again with "
	    "--request-id %.*s is safe, and is answered once there is one, as "
	    "is schedrun run get %.*s",
	    TEXT_ARG(id), (int)size, rid);
}

/* Whether it is the result that is waited for. */
static bool
is_answer(struct asked *asked, const struct schedule_run *run)
{
	if (!text_equal(run->request_id, asked->request.request_id) ||
	    !text_equal(run->schedule_rid, asked->request.schedule_rid))
		return false;
	/* What was mended meanwhile may be answered behind it. */
	asked->was_damage = asked->is_repeat && schedule_run_is_damage(run);
	return !asked->was_damage;
}

/* Waits for the run's result; returns the exit code. */
static int
wait_for_result(struct asked *asked, struct results *results)
{
	int64_t until = clock_monotonic_ms() + asked->submit->wait_ms;
	struct schedule_run run;
	struct error err;
	int code;

	command_wait(asked->submit->command, "waiting for the result");
	while (clock_monotonic_ms() < until) {
		if (results_next(results, POLL_MS, &run, &err) <= 0 ||
		    !is_answer(asked, &run))
			continue;
		code = run_table_told(
		    asked->submit->command, &run, asked->is_repeat);
		return run.state == RUN_FAILED ? EXIT_NO : code;
	}
	return say_none(asked);
}

/*
 * The results from now on; or, if a record has the claim already, from then on.
 * It is looked for once the topic's end is taken: a result that came before
 * that has its claim.
 */
static struct results *
open_results(struct asked *asked, struct error *err)
{
	const struct submit *submit = asked->submit;
	const struct config *config = command_config(submit->command);
	const struct repeat_store store = { submit->command->redis,
		submit->command->keyspace, config_number(config, "dedup.ttl") };
	int64_t deadline = command_deadline(submit->command);
	struct results *results =
	    results_open(config, KAFKA_FROM_END, 0, deadline, err);

	asked->is_repeat = results != NULL && submit->request_id != NULL &&
	    repeat_claim(&store, &asked->run, &asked->claim);
	if (!asked->is_repeat)
		return results;
	results_close(results);
	return results_open(config, KAFKA_FROM_TIME,
	    asked->claim.timestamp_ms - CLOCKS_MS, deadline, err);
}

static int
refuse_other(const struct asked *asked)
{
	return command_say(asked->submit->command, EXIT_NO,
	    "request %.*s is another one already, by another user or of "
	    "another "
	    "version: ask with a new --request-id",
	    TEXT_ARG(asked->request.request_id));
}

static bool
is_others_claim(const struct asked *asked)
{
	const struct run_request *request = &asked->request;

	return asked->is_repeat &&
	    asked->claim.fingerprint !=
	    claim_fingerprint(
		request->created_by, request->schedule_version_rid, false);
}

/* Sends it and, if asked to, waits; positions are taken before it is there. */
static int
send_and_wait(struct asked *asked)
{
	const struct submit *submit = asked->submit;
	struct error err = { 0 };
	struct submitter *submitter =
	    submitter_create(submit->command, false, &err);
	struct results *results = NULL;
	int code;

	command_wait(submit->command, "waiting for Kafka");
	if (submitter != NULL && submit->wait_ms >= 0)
		results = open_results(asked, &err);
	if (submitter != NULL && is_others_claim(asked))
		code = refuse_other(asked);
	else if (submitter == NULL ||
	    (submit->wait_ms >= 0 && results == NULL) ||
	    submitter_send(submitter, &asked->request, &asked->run, &err) !=
		0 ||
	    submitter_flush(submitter, &err) != 0)
		code = command_fail(submit->command, &err);
	else
		code = results != NULL ? wait_for_result(asked, results)
				       : EXIT_DONE;
	results_close(results);
	submitter_destroy(submitter);
	return code;
}

/* Looks into the view; the answer's texts lie in the command's arena. */
static enum repeat
find_answer(struct asked *asked, struct schedule_run *answer)
{
	struct command *command = asked->submit->command;
	struct error ignored = { 0 };

	if (asked->submit->request_id == NULL ||
	    command_open(command, COMMAND_VIEW, &ignored) != 0 ||
	    run_view_get(&command->view, &asked->run, command->arena, answer,
		&ignored) != 1)
		return REPEAT_UNKNOWN;
	return repeat_judge(answer, &asked->request);
}

/* Who gave the id may have asked before: the answer is told at once. */
static int
ask_once(struct asked *asked)
{
	const struct submit *submit = asked->submit;
	struct schedule_run answer;
	enum repeat repeat = find_answer(asked, &answer);
	int code;

	if (repeat == REPEAT_OTHER)
		return refuse_other(asked);
	if (repeat == REPEAT_UNKNOWN)
		return send_and_wait(asked);
	code = submitter_repeat(submit->command, &answer);
	return submit->wait_ms >= 0 && answer.state == RUN_FAILED ? EXIT_NO
								  : code;
}

static int
submit_one(struct submit *submit)
{
	struct asked asked = {
		.submit = submit,
		.request = {
			.request_id = text_from(submit->request_id),
			.schedule_rid = text_from(submit->command->argument),
			.schedule_version_rid = text_from(submit->version),
			.created_time_ms = clock_wall_ms(),
			.created_by = text_from(submit->by),
			.trigger = text_from(submit->trigger),
		},
	};
	struct run_request *request = &asked.request;
	struct error err = { 0 };

	if (request->request_id.at == NULL)
		request->request_id = submission_new_id(submit->command->arena);
	if (submission_check(request, &asked.run, &err) != 0)
		return command_say(
		    submit->command, EXIT_WRONG_USAGE, "%s", err.message);
	if (look_up(submit->command, request->schedule_rid, &err) != 0)
		return command_fail(submit->command, &err);
	return ask_once(&asked);
}

int
cmd_submit(struct command *command, int argc, char **argv)
{
	struct submit submit = { .command = command, .wait_ms = -1 };

	command_parse(
	    command, argc, argv, submit_options, take_submit, &submit);
	command_config(command);
	return submit.file != NULL ? submit_lines(command, submit.file)
				   : submit_one(&submit);
}
