#include "producer/runs/fold.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/consumer.h"
#include "producer/runs/decoder.h"
#include "producer/runs/fold_places.h"
#include "producer/runs/view.h"
#include "schemas/topics.h"

#define RECORDS 500 /* of one script */
#define POLL_MS 500
#define CLOSE_MS 3000
#define RETRY_MS 500
#define CALL_MS 3000
#define REFRESH_MS 10000 /* new partitions are folded after */
#define LOOK_MS 1000     /* a view that was flushed is noticed */
#define LAG_MAX_MS 10000
#define IDLE_MS 1000 /* without a record, until markers are passed */

struct view_fold {
	struct view_fold_settings settings;
	const char *topics[2]; /* results, builds */
	int64_t ttl_ms;
	pthread_t thread;
	atomic_bool stop;
	/* The fold's own: */
	struct kafka_consumer *consumer;
	struct redis *redis;
	struct run_view view;
	struct message_decoder *decoder;
	struct fold_places places;
	int64_t looked_ms; /* at the `f` in Redis */
	int64_t whole_ms;  /* when nothing was missing in the view; 0: never */
	int64_t folded_ms; /* when records last came */
	int64_t let_go_ms; /* what waits for the registry, last */
	bool is_registry_away;
	struct arena *arena;
};

/*
 * A run stays for view.ttl after its end, not after it was folded: to fold a
 * topic anew doesn't make old runs young.
 */
static int64_t
ttl_left(const struct view_fold *fold, int64_t since_ms)
{
	int64_t left = since_ms + fold->ttl_ms - clock_wall_ms();

	return left > 0 ? left : 0;
}

/*
 * A record's item; -1 with ERROR_INPUT if it is none.  A build's key names it,
 * and its value is kept as it is, not decoded: a build may have 100,000 jobs,
 * and few are ever looked at.
 */
static int
take_record(struct view_fold *fold, const struct kafka_record *kafka,
    struct fold_item *item, struct error *err)
{
	struct schedule_run *run;

	*item = (struct fold_item){ 0 };
	if (strcmp(kafka->topic, fold->topics[1]) == 0) {
		if (!rid_parse(
			kafka->key, TEXT(RID_BUILD_PREFIX), &item->build_id))
			return error_set(
			    err, ERROR_INPUT, "its key is no buildRid");
		item->build_event = kafka->value;
		item->ttl_ms = ttl_left(fold,
		    kafka->timestamp_ms >= 0 ? kafka->timestamp_ms
					     : clock_wall_ms());
		return 0;
	}
	run = arena_alloc(fold->arena, sizeof *run);
	if (decode_result(fold->decoder, kafka, fold->arena, run, err) != 0)
		return -1;
	item->run = run;
	item->ttl_ms = ttl_left(fold, run->finished_time_ms);
	return 0;
}

/* Its record's schema can't be had yet: it is tried again later, and the end
 * that was told behind it is none to go on to. */
static int
hold_place(struct view_fold *fold, struct fold_place *place, int64_t offset,
    struct error *err)
{
	const struct kafka_offset at = { place->partition, offset };

	place->end = -1;
	place->waits = true;
	if (kafka_consumer_hold(fold->consumer, place->topic, place->partition,
		true, err) != 0 ||
	    kafka_consumer_seek(
		fold->consumer, place->topic, at, CALL_MS, err) != 0)
		return -1;
	return 0;
}

/*
 * Folds a stretch of one partition.  1: done; 0: the view has lost what was
 * folded before.  Items and the offset behind them go in one script, so that a
 * crash between two stretches loses and doubles nothing.  A record that is none
 * of ours is passed over for good: waiting for it would stop the view for all.
 */
static int
fold_stretch(struct view_fold *fold, struct fold_place *place,
    const struct kafka_record *records, size_t n, struct error *err)
{
	struct fold_item *items = arena_zalloc(fold->arena, n, sizeof *items);
	struct fold_step step = { .topic = place->topic,
		.partition = place->partition,
		.folded = place->folded,
		.items = items };
	int64_t started_ms;
	bool waits = false;
	size_t i;
	int rc;

	for (i = 0; i < n && !waits; i++) {
		if (take_record(fold, &records[i], &items[step.n], err) == 0)
			step.n++;
		else if (err->kind == ERROR_RETRY)
			waits = true;
		else
			log_event(LOG_WARN, "http", "record_not_folded",
			    err->message, LOG_S("topic", records[i].topic),
			    LOG_I("partition", records[i].partition),
			    LOG_I("offset", records[i].offset), LOG_END);
	}
	if (waits && hold_place(fold, place, records[--i].offset, err) != 0)
		return -1;
	place->waits = waits;
	if (i == 0)
		return 1;
	step.next = records[i - 1].offset + 1;
	started_ms = clock_monotonic_ms();
	rc = run_view_fold(&fold->view, &step, err);
	metrics_observe(fold->settings.metrics, HTTP_REDIS, REDIS_OP_FOLD,
	    (double)(clock_monotonic_ms() - started_ms) / 1000.0, 1);
	if (rc == 1) {
		/* Only now: until Redis says so, `f` may not have moved. */
		place->folded = step.next;
		place->last_ms = records[i - 1].timestamp_ms;
	}
	return rc;
}

/*
 * Stops at the first stretch that can't be folded: 0 or -1 as above.  What was
 * polled behind it is dropped, and read again once the places are settled.
 * Records of a partition that was taken away meanwhile are another replica's.
 */
static int
fold_records(struct view_fold *fold, const struct kafka_record *records,
    size_t n, struct error *err)
{
	size_t start = 0, end;
	int rc = 1;

	arena_reset(fold->arena, (size_t)1 << 20);
	for (; rc == 1 && start < n; start = end) {
		struct fold_place *place = fold_places_find(&fold->places,
		    records[start].topic, records[start].partition);

		for (end = start + 1; end < n &&
		     records[end].partition == records[start].partition &&
		     strcmp(records[end].topic, records[start].topic) == 0;
		     end++)
			;
		if (place != NULL)
			rc = fold_stretch(
			    fold, place, records + start, end - start, err);
	}
	return rc;
}

/*
 * Nothing has come for a while: `f` goes on over markers of transactions to an
 * end, lest retention of these looks like a loss at the next start.  One place
 * each time, so that what comes meanwhile waits for no more.  1, 0 or -1 as
 * above.
 */
static int
pass_end(struct view_fold *fold, struct error *err)
{
	size_t i;
	int rc;

	if (clock_monotonic_ms() - fold->folded_ms < IDLE_MS)
		return 1;
	for (i = 0; i < fold->places.n; i++) {
		struct fold_place *place = &fold->places.at[i];
		const struct fold_step step = { .topic = place->topic,
			.partition = place->partition,
			.folded = place->folded,
			.next = place->end };

		if (place->waits || place->folded < 0 ||
		    place->end <= place->folded || place->restart_at >= 0)
			continue;
		rc = run_view_fold(&fold->view, &step, err);
		if (rc == 1)
			place->folded = place->end;
		return rc;
	}
	return 1;
}

/* The group and the log -------------------------------------------------- */

/* Fails the assignment: without an `f` nobody knows where to begin. */
static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct view_fold *fold = opaque;
	struct error err = { 0 };

	if (fold_places_assign(&fold->places, &fold->view, fold->consumer,
		positions, n, &err) == 0)
		return 0;
	health_bad(fold->settings.check, "%s", err.message);
	return -1;
}

/*
 * The log ends before, or begins behind, where we wanted to read.  A lower
 * offset means another topic of the same name: `f` must be taken back, or the
 * fold would wait for offsets that are long to come.
 */
static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct view_fold *fold = opaque;
	struct fold_place *place =
	    fold_places_find(&fold->places, topic, partition);

	if (place == NULL || offset >= place->folded)
		return;
	place->restart_at = offset;
	fold->places.unsettled = true;
}

/* What this poll returns is before the end, and is folded next. */
static void
on_ended(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct view_fold *fold = opaque;
	struct fold_place *place =
	    fold_places_find(&fold->places, topic, partition);

	if (place != NULL)
		place->end = offset;
}

static int
open_fold(struct view_fold *fold, struct error *err)
{
	const struct config *config = fold->settings.config;
	const struct kafka_consumer_options options = {
		.settings = { .config = config,
		    .health = fold->settings.kafka,
		    .client_id = "schedrun-http-fold" },
		.group = config_text(config, "http.group"),
		.accept_loss = true,
		.refresh_ms = REFRESH_MS,
		.end_wait_ms = KAFKA_LOOKING_WAIT_MS,
		.events = { .assigned = on_assigned,
		    .moved = on_moved,
		    .ended = on_ended,
		    .opaque = fold },
	};

	fold->redis = redis_create(&fold->settings.redis, err);
	fold->decoder =
	    message_decoder_create(MESSAGE_SCHEDULE_RUN, config, err);
	if (fold->redis == NULL || fold->decoder == NULL)
		return -1;
	run_view_init(
	    &fold->view, fold->redis, fold->settings.keyspace, fold->ttl_ms);
	message_decoder_start(fold->decoder);
	fold->consumer = kafka_consumer_create(&options, err);
	return fold->consumer != NULL ? 0 : -1;
}

/* The thread ------------------------------------------------------------- */

/* Without Kafka nobody is a member of a group. */
static void
say_not_joined(struct view_fold *fold)
{
	struct kafka_state state;

	kafka_health_read(fold->settings.kafka, LAG_MAX_MS, &state);
	if (state.up)
		health_bad(fold->settings.check,
		    "not a member of the group that folds the view");
	else
		health_bad(fold->settings.check, "Kafka does not answer: %s",
		    state.reason);
}

/*
 * Says how far the view is, in readiness and metrics.  Once it was whole it may
 * lag for 10 s: a rebalance, since another replica comes or goes, is no fault.
 */
static void
report_lag(struct view_fold *fold)
{
	struct health_check *check = fold->settings.check;
	const struct fold_place *behind =
	    fold_places_behind(&fold->places, LAG_MAX_MS);
	bool joined = kafka_consumer_is_joined(fold->consumer);
	bool whole = joined && behind == NULL;
	int64_t lag = fold_places_lag(&fold->places, fold->consumer);
	int64_t now = clock_monotonic_ms();
	struct error why;

	metrics_set(fold->settings.metrics, HTTP_VIEW_LAG, 0, (double)lag);
	if (whole)
		fold->whole_ms = now;
	if (kafka_consumer_lacks(fold->consumer, fold->topics, 2, &why))
		health_bad(check, "%s", why.message);
	else if (whole ||
	    (fold->whole_ms > 0 && now - fold->whole_ms < LAG_MAX_MS))
		health_ok(check);
	else if (!joined)
		say_not_joined(fold);
	else if (lag == 0)
		health_bad(check, "%s [%d] is not read to its end yet",
		    behind->topic, (int)behind->partition);
	else
		health_bad(check,
		    "the run view is %lld records behind, %s [%d] most of all",
		    (long long)lag, behind->topic, (int)behind->partition);
}

/* Whether reading may go on: it stands where the view ends. */
static bool
is_settled(struct view_fold *fold, struct error *err)
{
	int64_t now = clock_monotonic_ms();

	if (!fold->places.unsettled && now - fold->looked_ms >= LOOK_MS) {
		fold->looked_ms = now;
		if (fold_places_look(&fold->places, &fold->view, err) != 0)
			return false;
	}
	if (fold->places.unsettled &&
	    fold_places_settle(
		&fold->places, &fold->view, fold->consumer, err) != 0)
		return false;
	return kafka_consumer_resume(fold->consumer, err) == 0;
}

/*
 * Nothing can be folded now; meanwhile the membership is kept, by polling with
 * all partitions paused: to leave would move them to a replica that can't
 * either.  What was read and not folded is read again, hence `unsettled`.
 */
static void
wait_for_view(struct view_fold *fold, const struct error *cause)
{
	struct kafka_record record;
	struct error err;

	if (health_check_is_ok(fold->settings.check))
		log_event(LOG_WARN, "http", "view_not_folded", cause->message,
		    LOG_END);
	health_bad(fold->settings.check, "%s", cause->message);
	metrics_add(fold->settings.metrics, HTTP_REDIS_ERRORS,
	    cause->exit_code != 0, 1);
	fold->places.unsettled = true;
	kafka_consumer_pause(fold->consumer, &err);
	if (kafka_consumer_poll(fold->consumer, &record, 1, RETRY_MS, &err) > 0)
		kafka_records_release(&record, 1);
}

/* What waits for the registry is read again: it may be told by now. */
static void
let_waiting_go(struct view_fold *fold)
{
	int64_t now = clock_monotonic_ms();
	struct error ignored;
	size_t i;

	if (now - fold->let_go_ms < RETRY_MS)
		return;
	fold->let_go_ms = now;
	for (i = 0; i < fold->places.n; i++) {
		struct fold_place *place = &fold->places.at[i];

		if (place->waits)
			kafka_consumer_hold(fold->consumer, place->topic,
			    place->partition, false, &ignored);
	}
}

/* Of what the fold needs; the probe tells of what requests need. */
static void
report_registry(struct view_fold *fold)
{
	struct health_check *check = fold->settings.registry_check;
	bool was_away = fold->is_registry_away;
	enum registry_state state;
	struct error why;

	if (check == NULL)
		return;
	state = message_decoder_state(fold->decoder, &why);
	fold->is_registry_away = state == REGISTRY_AWAY;
	health_note(check, "%s", state == REGISTRY_LACKS ? why.message : "");
	if (fold->is_registry_away)
		health_bad(check, "%s", why.message);
	if (fold->is_registry_away && !was_away)
		log_event(LOG_WARN, "registry", "registry_not_ready",
		    why.message, LOG_END);
	if (!fold->is_registry_away && was_away) {
		health_ok(check);
		log_event(LOG_INFO, "registry", "registry_ready",
		    "the schema registry is there again", LOG_END);
	}
}

/*
 * First it is made sure that reading goes on behind `f`, then a poll, then its
 * fold: no record is folded that does not follow what Redis has.
 */
static void
fold_once(struct view_fold *fold)
{
	struct kafka_record records[RECORDS];
	struct error err = { 0 };
	int n, rc;

	report_registry(fold);
	let_waiting_go(fold);
	if (!is_settled(fold, &err)) {
		wait_for_view(fold, &err);
		return;
	}
	n = kafka_consumer_poll(
	    fold->consumer, records, RECORDS, POLL_MS, &err);
	if (n < 0) {
		health_bad(fold->settings.check, "%s", err.message);
		return;
	}
	if (n > 0)
		fold->folded_ms = clock_monotonic_ms();
	rc = n > 0 ? fold_records(fold, records, (size_t)n, &err)
		   : pass_end(fold, &err);
	kafka_records_release(records, (size_t)n);
	if (rc == 1)
		report_lag(fold);
	else if (rc == 0)
		fold->places.unsettled = true;
	else
		wait_for_view(fold, &err);
}

/*
 * Joins the group once both topics are there: an assignment that was made
 * without one of them stays until somebody looks again.
 */
static int
join(struct view_fold *fold, struct error *err)
{
	if (kafka_consumer_find(
		fold->consumer, fold->topics, 2, CALL_MS, err) != 0)
		return -1;
	return kafka_consumer_subscribe(fold->consumer, fold->topics, 2, err);
}

static void *
run_fold(void *argument)
{
	struct view_fold *fold = argument;
	struct error err = { 0 };

	while (!atomic_load(&fold->stop) && join(fold, &err) != 0) {
		health_bad(fold->settings.check, "%s", err.message);
		clock_wait(RETRY_MS);
	}
	while (!atomic_load(&fold->stop))
		fold_once(fold);
	kafka_consumer_close(fold->consumer, CLOSE_MS);
	return NULL;
}

static void
free_fold(struct view_fold *fold)
{
	fold_places_finish(&fold->places);
	message_decoder_destroy(fold->decoder);
	redis_destroy(fold->redis);
	arena_destroy(fold->arena);
	free(fold);
}

struct view_fold *
view_fold_start(const struct view_fold_settings *settings, struct error *err)
{
	struct view_fold *fold = memory_zalloc(1, sizeof *fold);

	fold->settings = *settings;
	fold->topics[0] = topic_name(settings->config, TOPIC_RESULTS);
	fold->topics[1] = topic_name(settings->config, TOPIC_BUILDS);
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
