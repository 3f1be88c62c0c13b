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
#include "producer/results.h"
#include "producer/run_view.h"
#include "schemas/build_requested.h"
#include "schemas/framing.h"
#include "schemas/message_reader.h"
#include "schemas/registry.h"

#define RECORDS 500 /* of one script */
#define POLL_MS 500
#define CLOSE_MS 3000
#define RETRY_MS 500
#define MESSAGE_MAX ((size_t)64 * 1024 * 1024)

struct view_fold {
	struct view_fold_settings settings;
	const char *results_topic, *builds_topic;
	int64_t ttl_ms;
	pthread_t fold_thread, fan_thread;
	atomic_bool stop;
	/* The fold's own: */
	struct kafka_consumer *consumer;
	struct redis *redis;
	struct run_view view;
	struct registry *registry;
	struct message_reader *reader; /* of results */
	uint32_t reader_id;
	struct arena *arena;
};

static void
rest(void)
{
	const struct timespec time = { 0, RETRY_MS * 1000000 };

	nanosleep(&time, NULL);
}

/* A result as the view keeps it; texts are the run's, `why` the arena's. */
static int
record_of(const struct schedule_run *run, struct arena *arena,
    struct run_record *record)
{
	static const enum run_state states[] = {
		[RESULT_IGNORED] = RUN_IGNORED,
		[RESULT_SUBMITTED] = RUN_SUBMITTED,
		[RESULT_ERROR] = RUN_FAILED,
	};
	const struct text prefix = TEXT(RID_RUN_PREFIX);
	struct buffer why = { 0 };

	*record = (struct run_record){
		.request_id = run->request_id,
		.schedule_rid = run->schedule_rid,
		.schedule_version_rid = run->schedule_version_rid,
		.created_time_ms = run->created_time_ms,
		.created_by = run->created_by,
		.state = states[run->result],
		.build_rid = run->build_rid,
		.error_name = text_from(run_error_name(run->error_name)),
		.description = run->description,
		.finished_time_ms = run->finished_time_ms,
	};
	if (run->result != RESULT_ERROR)
		record->error_name = TEXT_NONE;
	if (!text_starts_with(run->rid, prefix) ||
	    !uuid_parse((struct text){ run->rid.at + prefix.size,
			    run->rid.size - prefix.size },
		&record->id))
		return -1;
	result_write_why(run, &why);
	record->why = text_copy(arena, buffer_text(&why));
	buffer_finish(&why);
	return 0;
}

static int
use_schema(struct view_fold *fold, uint32_t id, struct error *err)
{
	struct rejection rejection;
	struct text schema;

	if (fold->reader != NULL && fold->reader_id == id)
		return 0;
	if (registry_schema(fold->registry, id, &schema, err) != 0)
		return -1;
	message_reader_destroy(fold->reader);
	fold->reader = schema.at != NULL
	    ? message_reader_create(MESSAGE_SCHEDULE_RUN, schema, &rejection)
	    : NULL;
	fold->reader_id = id;
	if (fold->reader == NULL)
		return error_set(err, ERROR_INPUT,
		    "no result is written by schema %u", (unsigned)id);
	return 0;
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
    struct text body, struct fold_item *item, struct error *err)
{
	struct run_record *record = arena_alloc(fold->arena, sizeof *record);
	struct rejection rejection;
	struct schedule_run run;

	if (schedule_run_decode(
		fold->reader, body, fold->arena, &run, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (record_of(&run, fold->arena, record) != 0)
		return error_set(err, ERROR_INPUT, "its rid is no run's");
	record->partition = kafka->partition;
	record->offset = kafka->offset;
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
	struct rejection rejection;
	struct text body;
	uint32_t id;

	*item = (struct fold_item){ 0 };
	if (framing_read(kafka->value, MESSAGE_MAX, &id, &body, &rejection) !=
	    0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	if (strcmp(kafka->topic, fold->builds_topic) == 0)
		return take_build(fold, kafka, item, err);
	if (use_schema(fold, id, err) != 0)
		return -1;
	return take_result(fold, kafka, body, item, err);
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
	fold->registry = registry_create(config, err);
	if (fold->redis == NULL || fold->registry == NULL)
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

/* A result on its way to the loop. */
struct told {
	struct view_fold *fold;
	struct arena *arena;
	struct run_record record;
};

static void
tell(void *argument)
{
	struct told *told = argument;

	told->fold->settings.result(
	    told->fold->settings.argument, &told->record);
	arena_destroy(told->arena);
	free(told);
}

static void
post_result(struct view_fold *fold, const struct schedule_run *run)
{
	struct told *told = memory_zalloc(1, sizeof *told);
	struct run_record *r = &told->record;

	told->fold = fold;
	told->arena = arena_create(2048);
	if (record_of(run, told->arena, r) != 0) {
		arena_destroy(told->arena);
		free(told);
		return;
	}
	r->request_id = text_copy(told->arena, r->request_id);
	r->schedule_rid = text_copy(told->arena, r->schedule_rid);
	r->schedule_version_rid =
	    text_copy(told->arena, r->schedule_version_rid);
	r->created_by = text_copy(told->arena, r->created_by);
	r->build_rid = text_copy(told->arena, r->build_rid);
	r->description = text_copy(told->arena, r->description);
	loop_post(fold->settings.loop, tell, told);
}

static void *
run_fan(void *argument)
{
	struct view_fold *fold = argument;
	struct results *results = NULL;
	struct schedule_run run;
	struct error err;

	while (!atomic_load(&fold->stop)) {
		if (results == NULL)
			results = results_open(
			    fold->settings.config, KAFKA_FROM_END, 0, 0, &err);
		if (results == NULL)
			rest();
		else if (results_next(results, POLL_MS, &run, &err) > 0)
			post_result(fold, &run);
	}
	results_close(results);
	return NULL;
}

static void
free_fold(struct view_fold *fold)
{
	message_reader_destroy(fold->reader);
	registry_destroy(fold->registry);
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
	if (pthread_create(&fold->fold_thread, NULL, run_fold, fold) != 0 ||
	    pthread_create(&fold->fan_thread, NULL, run_fan, fold) != 0)
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
	pthread_join(fold->fold_thread, NULL);
	pthread_join(fold->fan_thread, NULL);
	free_fold(fold);
}
