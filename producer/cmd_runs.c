#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json_write.h"
#include "common/kafka_producer.h"
#include "producer/command.h"
#include "producer/results.h"
#include "producer/submission.h"
#include "schemas/registry.h"

#define LINE_MAX_SIZE ((size_t)64 * 1024)
#define POLL_MS 100
#define PROGRESS_EVERY_MS 200

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
	struct kafka_producer *producer;
	uint32_t schema_id;
	const char *topic;
	struct buffer value;
	size_t sent, acknowledged, failed, rejected;
	char reason[256]; /* of the first failed delivery */
	int64_t progress_ms;
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
			argp_error(state,
			    "--wait %s: not a duration such as 30s", argument);
		return 0;
	case ARGP_KEY_ARG:
		if (submit->rid != NULL)
			argp_error(state, "too many arguments: %s", argument);
		submit->rid = argument;
		return 0;
	case ARGP_KEY_END:
		if ((submit->rid == NULL) == (submit->file == NULL))
			argp_error(state, "either a schedule's RID or -f FILE");
		if (submit->file != NULL && submit->wait_ms >= 0)
			argp_error(state, "--wait goes with one RID");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static void
delivered(void *opaque, const struct kafka_delivery *delivery)
{
	struct submit *submit = opaque;

	if (delivery->kind == ERROR_NONE) {
		submit->acknowledged++;
		return;
	}
	if (submit->failed++ == 0)
		snprintf(submit->reason, sizeof submit->reason, "%s",
		    delivery->reason);
}

static int
open_producer(struct submit *submit, struct error *err)
{
	const struct config *config = command_config(submit->command);
	const struct kafka_producer_options options = {
		.settings = { .config = config },
		.delivery_timeout_ms = (int)submit->command->options.timeout_ms,
		.linger_ms = submit->file != NULL ? 5 : 0,
		.delivered = delivered,
		.opaque = submit,
	};
	struct registry *registry = registry_create(config, err);
	int rc;

	if (registry == NULL)
		return -1;
	submit->topic = config_text(config, "topics.requests");
	rc = registry_id(registry, MESSAGE_RUN_REQUEST, submit->topic,
	    &submit->schema_id, err);
	registry_destroy(registry);
	if (rc != 0)
		return -1;
	submit->producer = kafka_producer_create(&options, err);
	if (submit->producer == NULL)
		return -1;
	return kafka_producer_probe(submit->producer, submit->topic,
	    (int)submit->command->options.timeout_ms, err);
}

/* Hands one request over, serving reports while the queue is full. */
static int
send_request(
    struct submit *submit, const struct run_request *request, struct error *err)
{
	struct kafka_message message = { .key = request->schedule_rid };

	buffer_reset(&submit->value);
	run_request_encode(request, submit->schema_id, &submit->value);
	message.value = buffer_text(&submit->value);
	while (kafka_producer_send(
		   submit->producer, submit->topic, &message, err) != 0) {
		if (err->kind != ERROR_RETRY)
			return -1;
		kafka_producer_poll(submit->producer, POLL_MS);
	}
	submit->sent++;
	kafka_producer_poll(submit->producer, 0);
	return 0;
}

static void
print_accepted(const struct run_request *request, const struct uuid *run)
{
	char rid[sizeof RID_RUN_PREFIX + UUID_TEXT_SIZE];
	struct buffer out = { 0 };

	json_open(&out, '{');
	json_name(&out, "requestId");
	json_put_text(&out, request->request_id);
	json_name(&out, "runRid");
	json_put_text(&out,
	    (struct text){ rid, rid_format(TEXT(RID_RUN_PREFIX), run, rid) });
	json_close(&out, '}');
	buffer_byte(&out, '\n');
	fwrite(out.at, 1, out.size, stdout);
	fflush(stdout);
	buffer_finish(&out);
}

static int
flush(struct submit *submit, struct error *err)
{
	if (kafka_producer_flush(submit->producer,
		(int)submit->command->options.timeout_ms, err) != 0)
		return -1;
	if (submit->failed > 0)
		return error_set(err, ERROR_RETRY,
		    "%zu of %zu requests were not acknowledged: %s",
		    submit->failed, submit->sent, submit->reason);
	return 0;
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
			    TEXT_ARG(rid), redis_address(redis));
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
		result_write_json(&run, &out);
		buffer_byte(&out, '\n');
		fwrite(out.at, 1, out.size, stdout);
		buffer_finish(&out);
		return run.result == RESULT_ERROR ? EXIT_NO : EXIT_DONE;
	}
	return command_say(submit->command, EXIT_NO_RESULT,
	    "accepted, but no result came in time; asking again with "
	    "--request-id %.*s is safe",
	    TEXT_ARG(request->request_id));
}

static int
submit_one(struct submit *submit, struct arena *arena)
{
	const struct config *config = command_config(submit->command);
	struct run_request request = {
		.request_id = text_from(submit->request_id),
		.schedule_rid = text_from(submit->rid),
		.schedule_version_rid = text_from(submit->version),
		.created_time_ms = clock_wall_ms(),
		.created_by = text_from(submit->by),
		.trigger = text_from(submit->trigger),
	};
	struct results *results = NULL;
	struct error err = { 0 };
	struct uuid run;
	int code = EXIT_DONE;

	if (request.request_id.at == NULL)
		request.request_id = submission_new_id(arena);
	if (submission_check(&request, &run, &err) != 0)
		return command_say(
		    submit->command, EXIT_WRONG_USAGE, "%s", err.message);
	if (look_up(submit, request.schedule_rid, &err) != 0 ||
	    open_producer(submit, &err) != 0)
		return command_fail(submit->command, &err);
	if (submit->wait_ms >= 0) {
		/* Positions are taken before the request is there. */
		results = results_open(config, KAFKA_FROM_END, 0,
		    command_deadline(submit->command), &err);
		if (results == NULL)
			return command_fail(submit->command, &err);
	}
	if (send_request(submit, &request, &err) != 0 ||
	    flush(submit, &err) != 0) {
		code = command_fail(submit->command, &err);
	} else {
		print_accepted(&request, &run);
		if (results != NULL)
			code = wait_for_result(submit, results, &request);
	}
	results_close(results);
	return code;
}

/* A line on a terminal that is written over and over. */
static void
show_progress(struct submit *submit, bool last)
{
	int64_t now = clock_monotonic_ms();

	if (!isatty(STDERR_FILENO) || submit->command->options.quiet ||
	    (!last && now < submit->progress_ms))
		return;
	submit->progress_ms = now + PROGRESS_EVERY_MS;
	fprintf(stderr, "\r%zu sent, %zu acknowledged, %zu rejected%s",
	    submit->sent, submit->acknowledged, submit->rejected,
	    last ? "\n" : "");
}

static int
submit_line(struct submit *submit, struct text line, size_t number,
    struct arena *arena, struct error *err)
{
	struct run_request request;
	struct uuid run;

	arena_reset(arena, LINE_MAX_SIZE);
	if (line.size == 0)
		return 0;
	if (line.size > LINE_MAX_SIZE)
		error_set(
		    err, ERROR_INPUT, "more than %zu bytes", LINE_MAX_SIZE);
	else if (submission_parse(
		     line, clock_wall_ms(), arena, &request, &run, err) == 0) {
		if (send_request(submit, &request, err) == 0) {
			print_accepted(&request, &run);
			return 0;
		}
	}
	if (err->kind != ERROR_INPUT)
		return -1;
	/* A bad line stops nothing: it is named and counted. */
	submit->rejected++;
	fprintf(stderr, "schedrun: submit: %s:%zu: %s\n", submit->file, number,
	    err->message);
	return 0;
}

static int
submit_lines(struct submit *submit, FILE *file, struct arena *arena)
{
	struct error err = { 0 };
	size_t capacity = 0, number = 0;
	char *line = NULL;
	ssize_t size;
	int rc = open_producer(submit, &err);

	while (rc == 0 && (size = getline(&line, &capacity, file)) >= 0) {
		while (size > 0 &&
		    (line[size - 1] == '\n' || line[size - 1] == '\r'))
			size--;
		rc = submit_line(submit, (struct text){ line, (size_t)size },
		    ++number, arena, &err);
		show_progress(submit, false);
	}
	free(line);
	if (rc == 0)
		rc = flush(submit, &err);
	show_progress(submit, true);
	if (rc != 0)
		return command_fail(submit->command, &err);
	if (submit->rejected == 0)
		return EXIT_DONE;
	return command_say(submit->command, EXIT_NO,
	    "%zu of %zu lines were rejected, %zu requests accepted",
	    submit->rejected, number, submit->acknowledged);
}

static int
submit_file(struct submit *submit, struct arena *arena)
{
	bool is_stdin = strcmp(submit->file, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(submit->file, "re");
	int code;

	if (file == NULL)
		return command_say(submit->command, EXIT_INVALID, "%s: %s",
		    submit->file, strerror(errno));
	code = submit_lines(submit, file, arena);
	if (!is_stdin)
		fclose(file);
	return code;
}

int
cmd_submit(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { submit_options, take_submit, NULL,
		NULL, NULL, NULL, NULL };
	struct submit submit = { .command = command, .wait_ms = -1 };
	struct arena *arena = arena_create(0);
	int code;

	command_parse(command, &argp, argc, argv, &submit);
	command_config(command);
	code = submit.file != NULL ? submit_file(&submit, arena)
				   : submit_one(&submit, arena);
	if (submit.producer != NULL)
		kafka_producer_destroy(submit.producer, 1000);
	buffer_finish(&submit.value);
	arena_destroy(arena);
	return code;
}
