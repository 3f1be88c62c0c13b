#include "producer/runs/results.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "producer/runs/decoder.h"
#include "schemas/topics.h"

#define CALL_MS 5000
#define ARENA_KEEP 65536

struct results {
	struct kafka_consumer *consumer;
	struct message_decoder *decoder;
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
	results->decoder =
	    message_decoder_create(MESSAGE_SCHEDULE_RUN, config, err);
	if (results->decoder != NULL)
		results->consumer = kafka_consumer_create(&options, err);
	if (results->consumer == NULL ||
	    assign_all(results, topic_name(config, TOPIC_RESULTS), from, at_ms,
		deadline_ms, err) != 0) {
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
	message_decoder_destroy(results->decoder);
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
	if (decode_result(
		results->decoder, &record, results->arena, run, err) != 0)
		n = -1;
	kafka_records_release(&record, 1);
	return n;
}
