#include "common/base/clock.h"
#include "producer/cli/run_table.h"
#include "producer/cli/submitter.h"
#include "producer/runs/results.h"
#include "producer/runs/submission.h"

#define POLL_MS 100

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
	int rc;

	if (command_open_catalogue(command, err) != 0)
		return -1;
	reply = redis_command(command->redis,
	    (struct text[]){
		TEXT("HGET"), keyspace_key(command->keyspace, KEY_HEADS), rid },
	    3, err);
	if (reply == NULL)
		return -1;
	rc = redis_reply_error(command->redis, reply, "HGET s", err);
	if (rc == 0 && redis_reply_text(reply).at == NULL)
		rc = error_fatal(err, EXIT_NOT_FOUND,
		    "schedule \"%.*s\" not found in %s; try: schedrun schedule "
		    "list",
		    TEXT_ARG(rid), redis_shown_url(command->redis));
	redis_reply_destroy(reply);
	return rc;
}

/* Waits for the run's result; returns the exit code. */
static int
wait_for_result(const struct submit *submit, struct results *results,
    const struct run_request *request)
{
	int64_t until = clock_monotonic_ms() + submit->wait_ms;
	struct schedule_run run;
	struct error err;
	int code;

	while (clock_monotonic_ms() < until) {
		if (results_next(results, POLL_MS, &run, &err) <= 0 ||
		    !text_equal(run.request_id, request->request_id) ||
		    !text_equal(run.schedule_rid, request->schedule_rid))
			continue;
		code = run_table_told(submit->command, &run);
		return run.state == RUN_FAILED ? EXIT_NO : code;
	}
	return command_say(submit->command, EXIT_NO_RESULT,
	    "accepted, but no result came in time; asking again with "
	    "--request-id %.*s is safe",
	    TEXT_ARG(request->request_id));
}

/* Sends it and, if asked to, waits; positions are taken before it is there. */
static int
send_and_wait(struct submit *submit, const struct run_request *request,
    const struct uuid *run)
{
	struct error err = { 0 };
	struct submitter *submitter =
	    submitter_create(submit->command, false, &err);
	struct results *results = NULL;
	int code;

	if (submitter != NULL && submit->wait_ms >= 0)
		results = results_open(command_config(submit->command),
		    KAFKA_FROM_END, 0, command_deadline(submit->command), &err);
	if (submitter == NULL || (submit->wait_ms >= 0 && results == NULL) ||
	    submitter_send(submitter, request, run, &err) != 0 ||
	    submitter_flush(submitter, &err) != 0)
		code = command_fail(submit->command, &err);
	else
		code = results != NULL
		    ? wait_for_result(submit, results, request)
		    : EXIT_DONE;
	results_close(results);
	submitter_destroy(submitter);
	return code;
}

static int
submit_one(struct submit *submit)
{
	struct run_request request = {
		.request_id = text_from(submit->request_id),
		.schedule_rid = text_from(submit->command->argument),
		.schedule_version_rid = text_from(submit->version),
		.created_time_ms = clock_wall_ms(),
		.created_by = text_from(submit->by),
		.trigger = text_from(submit->trigger),
	};
	struct error err = { 0 };
	struct uuid run;

	if (request.request_id.at == NULL)
		request.request_id = submission_new_id(submit->command->arena);
	if (submission_check(&request, &run, &err) != 0)
		return command_say(
		    submit->command, EXIT_WRONG_USAGE, "%s", err.message);
	if (look_up(submit->command, request.schedule_rid, &err) != 0)
		return command_fail(submit->command, &err);
	return send_and_wait(submit, &request, &run);
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
