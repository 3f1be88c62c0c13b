#include "producer/runs/feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/consumer.h"
#include "producer/runs/decoder.h"
#include "producer/runs/follow.h"
#include "schemas/topics.h"

#define RECORDS 500
#define POLL_MS 200
#define CALL_MS 5000
#define RETRY_MS 500
#define LOOK_MS 60000 /* for new partitions */

/* Records before the end that a fresh replica reads for those who resume. */
#define WARM_RECORDS 5000
/* Events that the loop may have before it; then reading waits. */
#define AHEAD_MAX ((size_t)8 * 1024 * 1024)

struct result_feed {
	struct result_feed_settings settings;
	const char *topic;
	pthread_t thread;
	atomic_bool stop;
	/* The thread's own: */
	struct kafka_consumer *consumer;
	struct message_decoder *decoder;
	struct arena *arena;
	struct view_follow *follow;
	struct event_position position; /* read up to here */
	struct event_position target;   /* ready when it is reached */
	bool ready;
	bool lost;   /* records are gone that the loop has not heard of */
	bool passed; /* `position` has moved without a record */
	bool astray; /* the consumer stands elsewhere than `position` */
	int64_t looked_ms, let_go_ms;
	/* Of both threads: */
	pthread_mutex_t lock;
	pthread_cond_t taken;
	size_t ahead; /* bytes of events posted and not yet taken */
};

/* What is posted to the loop. */
struct post {
	struct result_feed *feed;
	struct feed_news news;
	size_t bytes;
};

static void
deliver_post(void *argument)
{
	struct post *post = argument;
	struct result_feed *feed = post->feed;

	feed->settings.news(feed->settings.argument, &post->news);
	if (post->news.ready)
		health_ok(feed->settings.check);
	pthread_mutex_lock(&feed->lock);
	feed->ahead -= post->bytes;
	pthread_cond_signal(&feed->taken);
	pthread_mutex_unlock(&feed->lock);
	event_position_finish(&post->news.position);
	free(post);
}

static struct post *
make_post(struct result_feed *feed)
{
	struct post *post = memory_zalloc(1, sizeof *post);

	post->feed = feed;
	return post;
}

static void
send_post(struct post *post)
{
	struct result_feed *feed = post->feed;

	if (!feed->ready &&
	    event_position_covers(&feed->position, &feed->target))
		feed->ready = post->news.ready = true;
	event_position_copy(&post->news.position, &feed->position);
	pthread_mutex_lock(&feed->lock);
	feed->ahead += post->bytes;
	pthread_mutex_unlock(&feed->lock);
	loop_post(feed->settings.loop, deliver_post, post);
}

static void
post_restart(struct result_feed *feed)
{
	struct post *post = make_post(feed);

	post->news.restarted = true;
	post->news.lost = feed->lost;
	feed->lost = false;
	send_post(post);
}

/* Opening ---------------------------------------------------------------- */

static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct result_feed *feed = opaque;

	(void)topic;
	feed->lost = true;
	feed->position.next[partition] = offset;
}

static void
on_ended(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct result_feed *feed = opaque;

	(void)topic;
	feed->passed |= offset > feed->position.next[partition];
	event_position_pass(&feed->position, partition, offset);
}

/* Where the first reading begins, and the ends that it must reach. */
static int
find_places(struct result_feed *feed, int32_t n, struct error *err)
{
	int64_t warm = WARM_RECORDS / n;
	struct kafka_range range;
	int32_t i;

	event_position_resize(&feed->position, n);
	event_position_resize(&feed->target, n);
	for (i = 0; i < n; i++) {
		if (kafka_consumer_range(feed->consumer,
			(struct kafka_partition){ feed->topic, i }, &range,
			CALL_MS, err) != 0)
			return -1;
		feed->target.next[i] = range.end;
		feed->position.next[i] = range.end - range.start > warm
		    ? range.end - warm
		    : range.start;
	}
	return 0;
}

static int
assign_places(struct result_feed *feed, struct error *err)
{
	int32_t n = feed->position.n, i;
	struct kafka_start *starts = memory_zalloc((size_t)n, sizeof *starts);
	int rc;

	for (i = 0; i < n; i++)
		starts[i] = (struct kafka_start){ feed->topic, i,
			KAFKA_FROM_OFFSET, feed->position.next[i] };
	rc = kafka_consumer_assign(
	    feed->consumer, starts, (size_t)n, CALL_MS, err);
	free(starts);
	return rc;
}

/* Nothing is known of the topic, or it has become another one. */
static int
start_anew(struct result_feed *feed, int32_t n, struct error *err)
{
	feed->lost |= feed->position.n > 0;
	event_position_resize(&feed->position, 0);
	if (find_places(feed, n, err) != 0 || assign_places(feed, err) != 0) {
		event_position_resize(&feed->position, 0);
		return -1;
	}
	post_restart(feed);
	return 0;
}

/* Reads the topic with all its partitions; `assigned`: it is being read. */
static int
read_topic(struct result_feed *feed, bool assigned, struct error *err)
{
	int32_t n = kafka_consumer_partitions(
	    feed->consumer, feed->topic, CALL_MS, err);

	feed->looked_ms = clock_monotonic_ms();
	if (n < 0)
		return -1;
	if (n == 0)
		return error_set(err, ERROR_RETRY,
		    "topic %s does not exist; run schedrun init", feed->topic);
	if (feed->position.n == 0 || n < feed->position.n)
		return start_anew(feed, n, err);
	if (n == feed->position.n && assigned)
		return 0;
	event_position_resize(&feed->position, n);
	return assign_places(feed, err);
}

/* The consumer is of no more use; another one goes on from the same place. */
static void
close_consumer(struct result_feed *feed)
{
	kafka_consumer_close(feed->consumer, CALL_MS);
	feed->consumer = NULL;
}

static int
open_feed(struct result_feed *feed, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = { .config = feed->settings.config,
		    .health = feed->settings.kafka,
		    .client_id = "schedrun-http-feed" },
		.accept_loss = true,
		.events = { .moved = on_moved,
		    .ended = on_ended,
		    .opaque = feed },
	};

	feed->consumer = kafka_consumer_create(&options, err);
	if (feed->consumer == NULL)
		return -1;
	if (read_topic(feed, false, err) == 0)
		return 0;
	close_consumer(feed);
	return -1;
}

/* Reading ---------------------------------------------------------------- */

/*
 * Reads a partition no further than a record whose schema the registry does not
 * tell; the others go on.  The end of its log may have been told already.
 */
static void
hold_partition(struct result_feed *feed, const struct kafka_record *record)
{
	const struct kafka_offset place = { record->partition, record->offset };
	struct error err;

	feed->position.next[record->partition] = record->offset;
	if (kafka_consumer_hold(feed->consumer, feed->topic, record->partition,
		true, &err) == 0 &&
	    kafka_consumer_seek(
		feed->consumer, feed->topic, place, CALL_MS, &err) == 0)
		return;
	/* Another consumer begins where the position is. */
	log_event(LOG_WARN, "http", "feed_broken", err.message, LOG_END);
	feed->astray = true;
}

/* What is held may be told by now. */
static void
let_partitions_go(struct result_feed *feed)
{
	int64_t now = clock_monotonic_ms();
	struct error ignored;
	int32_t i;

	if (now - feed->let_go_ms < RETRY_MS)
		return;
	feed->let_go_ms = now;
	for (i = 0; i < feed->position.n; i++)
		kafka_consumer_hold(
		    feed->consumer, feed->topic, i, false, &ignored);
}

static bool
is_among(const int32_t *partitions, size_t n, int32_t partition)
{
	while (n > 0 && partitions[n - 1] != partition)
		n--;
	return n > 0;
}

/*
 * Decodes the records; those that must wait are released, the others move up,
 * each with its event, which is NULL if it is no result.  How many they are.
 */
static size_t
read_records(struct result_feed *feed, struct kafka_record *records, size_t n,
    struct result_event **events)
{
	int32_t held[RECORDS] = { 0 };
	size_t n_held = 0, kept = 0, i;

	for (i = 0; i < n; i++) {
		struct error err = { 0 };
		struct schedule_run run;
		bool waits = is_among(held, n_held, records[i].partition);
		int rc = 0;

		arena_reset(feed->arena, 65536);
		if (!waits)
			rc = decode_result(feed->decoder, &records[i],
			    feed->arena, &run, &err);
		if (rc != 0 && err.kind == ERROR_RETRY) {
			held[n_held++] = records[i].partition;
			hold_partition(feed, &records[i]);
			waits = true;
		} else if (rc != 0) {
			log_event(LOG_WARN, "http", "result_not_read",
			    err.message, LOG_END);
		}
		if (waits) {
			kafka_records_release(&records[i], 1);
			continue;
		}
		events[kept] = rc == 0 ? result_event_create(&run) : NULL;
		records[kept++] = records[i];
	}
	return kept;
}

static void
post_records(struct result_feed *feed, const struct kafka_record *records,
    struct result_event *const *events, size_t n, bool in_view)
{
	struct post *post = make_post(feed);
	struct result_event **last = &post->news.events;
	size_t i;

	post->news.in_view = in_view;
	for (i = 0; i < n; i++) {
		event_position_pass(&feed->position, records[i].partition,
		    records[i].offset + 1);
		if (events[i] == NULL)
			continue;
		post->bytes += events[i]->size;
		*last = events[i];
		last = &events[i]->next;
	}
	send_post(post);
}

/* Until the view holds them too, as far as one can wait for that. */
static bool
follow_fold(
    struct result_feed *feed, const struct kafka_record *records, size_t n)
{
	struct fold_position places[RECORDS];
	size_t n_places = 0, i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < n_places &&
		     places[j].partition != records[i].partition;
		     j++)
			;
		n_places += j == n_places;
		places[j] = (struct fold_position){ feed->topic,
			records[i].partition, records[i].offset + 1 };
	}
	return view_follow_wait(feed->follow, places, n_places);
}

static void
read_once(struct result_feed *feed)
{
	struct kafka_record records[RECORDS];
	struct result_event *events[RECORDS];
	struct error err = { 0 };
	size_t kept = 0;
	bool in_view = false;
	int n;

	let_partitions_go(feed);
	n = kafka_consumer_poll(
	    feed->consumer, records, RECORDS, POLL_MS, &err);

	if (n < 0 && err.kind == ERROR_FATAL) {
		log_event(
		    LOG_WARN, "http", "feed_broken", err.message, LOG_END);
		close_consumer(feed);
		clock_wait(RETRY_MS);
		return;
	}
	if (feed->lost)
		post_restart(feed);
	if (n > 0)
		kept = read_records(feed, records, (size_t)n, events);
	if (kept > 0)
		in_view = follow_fold(feed, records, kept);
	if (kept > 0 || feed->passed)
		post_records(feed, records, events, kept, in_view);
	feed->passed = false;
	kafka_records_release(records, kept);
	if (feed->astray) {
		feed->astray = false;
		close_consumer(feed);
		return;
	}
	if (clock_monotonic_ms() - feed->looked_ms > LOOK_MS)
		read_topic(feed, true, &err);
	/* A slow loop slows the reading, not the memory. */
	pthread_mutex_lock(&feed->lock);
	while (feed->ahead > AHEAD_MAX && !atomic_load(&feed->stop))
		pthread_cond_wait(&feed->taken, &feed->lock);
	pthread_mutex_unlock(&feed->lock);
}

static void *
run_feed(void *argument)
{
	struct result_feed *feed = argument;
	struct error err = { 0 };

	while (!atomic_load(&feed->stop)) {
		if (feed->consumer != NULL) {
			read_once(feed);
		} else if (open_feed(feed, &err) != 0) {
			health_bad(feed->settings.check, "%s", err.message);
			log_event(LOG_WARN, "http", "feed_waits", err.message,
			    LOG_END);
			clock_wait(RETRY_MS);
		} else if (feed->ready) {
			health_ok(feed->settings.check);
		}
	}
	if (feed->consumer != NULL)
		close_consumer(feed);
	return NULL;
}

struct result_feed *
result_feed_start(
    const struct result_feed_settings *settings, struct error *err)
{
	struct result_feed *feed = memory_zalloc(1, sizeof *feed);

	feed->settings = *settings;
	feed->topic = topic_name(settings->config, TOPIC_RESULTS);
	health_bad(settings->check, "topic %s has not been read to its end yet",
	    feed->topic);
	feed->arena = arena_create(0);
	pthread_mutex_init(&feed->lock, NULL);
	pthread_cond_init(&feed->taken, NULL);
	feed->decoder =
	    message_decoder_create(MESSAGE_SCHEDULE_RUN, settings->config, err);
	if (feed->decoder != NULL) {
		message_decoder_start(feed->decoder);
		feed->follow = view_follow_create(settings->config,
		    &settings->redis, settings->keyspace, err);
	}
	if (feed->follow == NULL) {
		result_feed_destroy(feed);
		return NULL;
	}
	if (pthread_create(&feed->thread, NULL, run_feed, feed) != 0)
		memory_exhausted();
	return feed;
}

void
result_feed_stop(struct result_feed *feed)
{
	if (feed == NULL)
		return;
	pthread_mutex_lock(&feed->lock);
	atomic_store(&feed->stop, true);
	pthread_cond_signal(&feed->taken);
	pthread_mutex_unlock(&feed->lock);
	pthread_join(feed->thread, NULL);
}

void
result_feed_destroy(struct result_feed *feed)
{
	if (feed == NULL)
		return;
	view_follow_destroy(feed->follow);
	message_decoder_destroy(feed->decoder);
	arena_destroy(feed->arena);
	event_position_finish(&feed->position);
	event_position_finish(&feed->target);
	pthread_cond_destroy(&feed->taken);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}
