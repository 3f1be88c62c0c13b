#include "producer/runs/results.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/json/write.h"
#include "producer/runs/decoder.h"

#define CALL_MS 5000
#define ARENA_KEEP 65536

struct results {
	struct kafka_consumer *consumer;
	struct result_decoder *decoder;
	struct arena *arena;
};

/* What a call may take of the time that is left. */
static int
call_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_monotonic_ms();

	if (left < 1)
		return 1;
	return left < CALL_MS ? (int)left : CALL_MS;
}

static int
assign_all(struct results *results, const char *topic, int from, int64_t at_ms,
    int64_t deadline_ms, struct error *err)
{
	struct kafka_start *starts;
	int32_t n, i;
	int rc;

	do
		n = kafka_consumer_partitions(
		    results->consumer, topic, call_ms(deadline_ms), err);
	while (n < 0 && clock_monotonic_ms() < deadline_ms);
	if (n < 0)
		return -1;
	if (n == 0)
		return error_fatal(err, 3,
		    "topic %s does not exist; run schedrun init", topic);
	starts = memory_zalloc((size_t)n, sizeof *starts);
	for (i = 0; i < n; i++) {
		starts[i].topic = topic;
		starts[i].partition = i;
		starts[i].from = (enum kafka_from)from;
		starts[i].at = at_ms;
	}
	rc = kafka_consumer_assign(
	    results->consumer, starts, (size_t)n, call_ms(deadline_ms), err);
	free(starts);
	return rc;
}

struct results *
results_open(const struct config *config, int from, int64_t at_ms,
    int64_t deadline_ms, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = { .config = config },
	};
	struct results *results = memory_zalloc(1, sizeof *results);

	results->arena = arena_create(0);
	results->decoder = result_decoder_create(config, err);
	if (results->decoder != NULL)
		results->consumer = kafka_consumer_create(&options, err);
	if (results->consumer == NULL ||
	    assign_all(results, config_text(config, "topics.results"), from,
		at_ms, deadline_ms, err) != 0) {
		results_close(results);
		return NULL;
	}
	return results;
}

void
results_close(struct results *results)
{
	if (results == NULL)
		return;
	if (results->consumer != NULL)
		kafka_consumer_close(results->consumer, CALL_MS);
	result_decoder_destroy(results->decoder);
	arena_destroy(results->arena);
	free(results);
}

int
results_next(struct results *results, int timeout_ms, struct schedule_run *run,
    struct error *err)
{
	struct kafka_record record;
	int n =
	    kafka_consumer_poll(results->consumer, &record, 1, timeout_ms, err);

	if (n <= 0)
		return n;
	arena_reset(results->arena, ARENA_KEEP);
	if (result_decoder_read(
		results->decoder, &record, results->arena, run, err) != 0)
		n = -1;
	kafka_records_release(&record, 1);
	return n;
}

static void
put_time(struct buffer *out, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(ms, text);
	json_name(out, name);
	json_put_text(out, (struct text){ text, sizeof text });
}

static void
put_text(struct buffer *out, const char *name, struct text text)
{
	if (text.at == NULL)
		return;
	json_name(out, name);
	json_put_text(out, text);
}

static void
put_result(struct buffer *out, const struct schedule_run *run)
{
	json_name(out, "result");
	json_open(out, '{');
	switch (run->result) {
	case RESULT_IGNORED:
		put_text(out, "type", TEXT("ignored"));
		break;
	case RESULT_SUBMITTED:
		put_text(out, "type", TEXT("submitted"));
		put_text(out, "buildRid", run->build_rid);
		break;
	case RESULT_ERROR:
		put_text(out, "type", TEXT("error"));
		put_text(out, "errorName",
		    text_from(run_error_name(run->error_name)));
		put_text(out, "description", run->description);
		break;
	}
	json_close(out, '}');
}

static void
put_list(struct buffer *out, const char *name, const struct run_listing *list)
{
	size_t i;

	json_name(out, name);
	json_open(out, '{');
	json_name(out, "count");
	json_put_integer(out, list->count);
	json_name(out, "first");
	json_open(out, '[');
	for (i = 0; i < list->n_first; i++)
		json_put_text(out, list->first[i]);
	json_close(out, ']');
	json_close(out, '}');
}

void
result_write_why(const struct schedule_run *run, struct buffer *out)
{
	int i;

	json_open(out, '{');
	json_name(out, "phase");
	json_put_integer(out, run->phase);
	put_text(out, "cause", run->cause);
	json_name(out, "selected");
	json_put_integer(out, run->selected);
	json_name(out, "running");
	json_put_integer(out, run->running);
	json_name(out, "upToDate");
	json_put_integer(out, run->up_to_date);
	if (run->blocked > 0) {
		json_name(out, "blocked");
		json_put_integer(out, run->blocked);
	}
	for (i = 0; i < RUN_LISTS; i++)
		if (run->lists[i].count > 0)
			put_list(out, run_list_name((enum run_list)i),
			    &run->lists[i]);
	json_close(out, '}');
}

void
result_write_json(const struct schedule_run *run, struct buffer *out)
{
	json_open(out, '{');
	put_text(out, "rid", run->rid);
	put_text(out, "requestId", run->request_id);
	put_text(out, "scheduleRid", run->schedule_rid);
	put_text(out, "scheduleVersionRid", run->schedule_version_rid);
	put_time(out, "createdTime", run->created_time_ms);
	put_text(out, "createdBy", run->created_by);
	put_text(out, "trigger", run->trigger);
	put_time(out, "finishedTime", run->finished_time_ms);
	put_result(out, run);
	json_name(out, "why");
	result_write_why(run, out);
	json_close(out, '}');
}
