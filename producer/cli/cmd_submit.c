#include <stdio.h>

#include "common/base/clock.h"
#include "producer/cli/command.h"
#include "producer/cli/submission.h"
#include "producer/cli/submitter.h"
#include "producer/runs/results.h"
#include "schemas/message/run_json.h"

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
	const char *rid, *file;
	const char *by, *request_id, *version, *trigger;
	int64_t wait_ms; /* -1: don't wait */
};

static const struct argp_option submit_options[] = {
	{ "file", 'f', "FILE", 0,
	    "Requests, a JSON object per line (-: standard input)", 0 },
	{ "by", OPTION_BY, "UUID", 0, "The user who asks", 0 },
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
	case ARGP_KEY_ARG:
		if (submit->rid != NULL)
			usage_error(state, "too many arguments: %s", argument);
		submit->rid = argument;
		return 0;
	case ARGP_KEY_END:
		if ((submit->rid == NULL) == (submit->file == NULL))
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
look_up(struct submit *submit, struct text rid, struct error *err)
{
	struct redis *redis = command_redis(submit->command, "redis.url", err);
	struct keyspace *keyspace;
	struct redis_reply *reply;
	int rc = -1;

	if (redis == NULL)
		return -1;
	keyspace = command_keyspace(submit->command);
	reply = redis_command(redis,
	    (struct text[]){
		TEXT("HGET"), keyspace_key(keyspace, KEY_HEADS), rid },
	    3, err);
	if (reply != NULL &&
	    redis_reply_error(redis, reply, "HGET s", err) == 0) {
		rc = 0;
		if (redis_reply_text(reply).at == NULL)
			rc = error_fatal(err, EXIT_NOT_FOUND,
			    "schedule \"%.*s\" not found in %s; try: schedrun "
			    "schedule list",
			    TEXT_ARG(rid), redis_url(redis));
	}
	redis_reply_destroy(reply);
	keyspace_destroy(keyspace);
	redis_destroy(redis);
	return rc;
}

/* Waits for the run's result; returns the exit code. */
static int
wait_for_result(struct submit *submit, struct results *results,
    const struct run_request *request)
{
	int64_t until = clock_monotonic_ms() + submit->wait_ms;
	struct schedule_run run;
	struct error err;

	while (clock_monotonic_ms() < until) {
		struct buffer out = { 0 };

		if (results_next(results, POLL_MS, &run, &err) <= 0 ||
		    !text_equal(run.request_id, request->request_id) ||
		    !text_equal(run.schedule_rid, request->schedule_rid))
			continue;
		run_json_tell(&run, &out);
		buffer_byte(&out, '\n');
		fwrite(out.at, 1, out.size, stdout);
		buffer_finish(&out);
		return run.state == RUN_FAILED ? EXIT_NO : EXIT_DONE;
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
submit_one(struct submit *submit, struct arena *arena)
{
	struct run_request request = {
		.request_id = text_from(submit->request_id),
		.schedule_rid = text_from(submit->rid),
		.schedule_version_rid = text_from(submit->version),
		.created_time_ms = clock_wall_ms(),
		.created_by = text_from(submit->by),
		.trigger = text_from(submit->trigger),
	};
	struct error err = { 0 };
	struct uuid run;

	if (request.request_id.at == NULL)
		request.request_id = submission_new_id(arena);
	if (submission_check(&request, &run, &err) != 0)
		return command_say(
		    submit->command, EXIT_WRONG_USAGE, "%s", err.message);
	if (look_up(submit, request.schedule_rid, &err) != 0)
		return command_fail(submit->command, &err);
	return send_and_wait(submit, &request, &run);
}

int
cmd_submit(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { submit_options, take_submit, NULL,
		NULL, NULL, NULL, NULL };
	struct submit submit = { .command = command, .wait_ms = -1 };
	struct arena *arena;
	int code;

	command_parse(command, &argp, argc, argv, &submit);
	command_config(command);
	if (submit.file != NULL)
		return submit_lines(command, submit.file);
	arena = arena_create(0);
	code = submit_one(&submit, arena);
	arena_destroy(arena);
	return code;
}
