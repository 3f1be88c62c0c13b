#include "producer/view_fold.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/kafka_consumer.h"
#include "common/log.h"
#include "common/memory.h"
#include "producer/result_decoder.h"
#include "producer/result_event.h"
#include "producer/results.h"
#include "producer/run_view.h"
#include "schemas/build_requested.h"

#define RECORDS 500 /* of one script */
#define POLL_MS 500
#define CLOSE_MS 3000
#define RETRY_MS 500

struct view_fold {
	struct view_fold_settings settings;
	const char *results_topic, *builds_topic;
	int64_t ttl_ms;
	pthread_t thread;
	atomic_bool stop;
	/* The fold's own: */
	struct kafka_consumer *consumer;
	struct redis *redis;
	struct run_view view;
	struct result_decoder *decoder;
	struct arena *arena;
};

static void
rest(void)
{
	const struct timespec time = { 0, RETRY_MS * 1000000 };

	nanosleep(&time, NULL);
}

static int64_t
ttl_left(const struct view_fold *fold, int64_t since_ms)
{
	int64_t left = since_ms + fold->ttl_ms - clock_wall_ms();

	return left > 0 ? left : 0;
}

/* A result's item; -1 with ERROR_INPUT if it is none. */
static int
take_result(struct view_fold *fold, const struct kafka_record *kafka,
    struct fold_item *item, struct error *err)
{
	struct run_record *record = arena_alloc(fold->arena, sizeof *record);
	struct schedule_run run;
	struct buffer why = { 0 };

	if (result_decoder_read(fold->decoder, kafka, fold->arena, &run, err) !=
		0 ||
	    result_record(&run, kafka, record, err) != 0)
		return -1;
	result_write_why(&run, &why);
	record->why = text_copy(fold->arena, buffer_text(&why));
	buffer_finish(&why);
	item->run = record;
	item->ttl_ms = ttl_left(fold, run.finished_time_ms);
	return 0;
}

/* A build's item: its key names it, its value is kept as it is. */
static int
take_build(struct view_fold *fold, const struct kafka_record *kafka,
    struct fold_item *item, struct error *err)
{
	const struct text prefix = TEXT(RID_BUILD_PREFIX);

	if (!text_starts_with(kafka->key, prefix) ||
	    !uuid_parse((struct text){ kafka->key.at + prefix.size,
			    kafka->key.size - prefix.size },
		&item->build_id))
		return error_set(err, ERROR_INPUT, "its key is no buildRid");
	item->build_event = kafka->value;
	item->ttl_ms = ttl_left(fold,
	    kafka->timestamp_ms >= 0 ? kafka->timestamp_ms : clock_wall_ms());
	return 0;
}

static int
take_record(struct view_fold *fold, const struct kafka_record *kafka,
    struct fold_item *item, struct error *err)
{
	*item = (struct fold_item){ 0 };
	if (strcmp(kafka->topic, fold->builds_topic) == 0)
		return take_build(fold, kafka, item, err);
	return take_result(fold, kafka, item, err);
}

/* Folds a stretch of one partition, again and again until Redis has it. */
static int
fold_stretch(struct view_fold *fold, const struct kafka_record *records,
    size_t n, struct error *err)
{
	struct fold_item *items = arena_zalloc(fold->arena, n, sizeof *items);
	size_t n_items = 0, i;

	for (i = 0; i < n; i++) {
		if (take_record(fold, &records[i], &items[n_items], err) == 0)
			n_items++;
		else if (err->kind != ERROR_INPUT)
			return -1;
		else
			log_event(LOG_WARN, "http", "record_not_folded",
			    err->message, LOG_S("topic", records[i].topic),
			    LOG_I("partition", records[i].partition),
			    LOG_I("offset", records[i].offset), LOG_END);
	}
	return run_view_fold(&fold->view, records[0].topic,
	    records[0].partition, items, n_items, records[n - 1].offset + 1,
	    err);
}

static bool
is_same_partition(const struct kafka_record *a, const struct kafka_record *b)
{
	return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

static int
fold_records(struct view_fold *fold, const struct kafka_record *records,
    size_t n, struct error *err)
{
	size_t start = 0, end;

	arena_reset(fold->arena, (size_t)1 << 20);
	for (; start < n; start = end) {
		for (end = start + 1; end < n &&
		     is_same_partition(&records[start], &records[end]);
		     end++)
			;
		if (fold_stretch(fold, records + start, end - start, err) != 0)
			return -1;
	}
	return 0;
}

/* Reading begins where Redis says, not where the group does. */
static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct view_fold *fold = opaque;
	struct error err = { 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		int64_t offset;

		if (redis_connect(fold->redis, &err) != 0 ||
		    run_view_position(&fold->view, positions[i].topic,
			positions[i].partition, &offset, &err) != 0) {
			health_bad(fold->settings.check, "%s", err.message);
			return -1;
		}
		positions[i].offset =
		    offset >= 0 ? offset : KAFKA_OFFSET_BEGINNING;
	}
	return 0;
}

static int
open_fold(struct view_fold *fold, struct error *err)
{
	const struct config *config = fold->settings.config;
	const char *const topics[] = { fold->results_topic,
		fold->builds_topic };
	const struct kafka_consumer_options options = {
		.settings = { .config = config,
		    .health = fold->settings.kafka,
		    .client_id = "schedrun-http-fold" },
		.group = config_text(config, "http.group"),
		.accept_loss = true,
		.events = { .assigned = on_assigned, .opaque = fold },
	};

	fold->redis = redis_create(&fold->settings.redis, err);
	fold->decoder = result_decoder_create(config, err);
	if (fold->redis == NULL || fold->decoder == NULL)
		return -1;
	run_view_init(&fold->view, fold->redis,
	    text_from(config_text(config, "redis.prefix")), fold->ttl_ms);
	fold->consumer = kafka_consumer_create(&options, err);
	if (fold->consumer == NULL)
		return -1;
	return kafka_consumer_subscribe(fold->consumer, topics, 2, err);
}

static void
fold_once(struct view_fold *fold)
{
	struct kafka_record records[RECORDS];
	struct error err = { 0 };
	int n = kafka_consumer_poll(
	    fold->consumer, records, RECORDS, POLL_MS, &err);

	if (n < 0) {
		health_bad(fold->settings.check, "%s", err.message);
		return;
	}
	while (n > 0 && !atomic_load(&fold->stop) &&
	    (redis_connect(fold->redis, &err) != 0 ||
		fold_records(fold, records, (size_t)n, &err) != 0)) {
		health_bad(fold->settings.check, "%s", err.message);
		rest();
	}
	kafka_records_release(records, (size_t)n);
	/* Fewer than asked for: what there was is folded. */
	if (n < RECORDS && kafka_consumer_is_joined(fold->consumer))
		health_ok(fold->settings.check);
}

static void *
run_fold(void *argument)
{
	struct view_fold *fold = argument;

	while (!atomic_load(&fold->stop))
		fold_once(fold);
	kafka_consumer_close(fold->consumer, CLOSE_MS);
	return NULL;
}

static void
free_fold(struct view_fold *fold)
{
	result_decoder_destroy(fold->decoder);
	redis_destroy(fold->redis);
	arena_destroy(fold->arena);
	free(fold);
}

struct view_fold *
view_fold_start(const struct view_fold_settings *settings, struct error *err)
{
	struct view_fold *fold = memory_zalloc(1, sizeof *fold);

	fold->settings = *settings;
	fold->results_topic = config_text(settings->config, "topics.results");
	fold->builds_topic = config_text(settings->config, "topics.builds");
	fold->ttl_ms = config_number(settings->config, "view.ttl");
	fold->arena = arena_create((size_t)1 << 18);
	if (open_fold(fold, err) != 0) {
		free_fold(fold);
		return NULL;
	}
	if (pthread_create(&fold->thread, NULL, run_fold, fold) != 0)
		memory_exhausted();
	return fold;
}

void
view_fold_stop(struct view_fold *fold)
{
	if (fold == NULL)
		return;
	atomic_store(&fold->stop, true);
	kafka_consumer_wake(fold->consumer);
	pthread_join(fold->thread, NULL);
	free_fold(fold);
}
