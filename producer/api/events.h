#ifndef SCHEDRUN_PRODUCER_API_EVENTS_H
#define SCHEDRUN_PRODUCER_API_EVENTS_H

#include "producer/http/app.h"
#include "producer/runs/feed.h"

/*
 * GET …/runEvents: each finished run as a server-sent event (docs/http.md,
 * section 9), resumable at any replica.
 *
 *   result_feed ─> http_events_news ─> ring ─┬─> audiences ─> streams
 *                                            │      ^
 *   the log ─> event_replay ─────────────────┴──────┘ those who resume
 */
struct http_call;
struct http_events;

#define STREAMS_MAX 2000 /* over it 503 */

/* On the loop of `app`, which is borrowed; streams begin when news have come.
 */
struct http_events *http_events_create(
    struct http_app *app, struct kafka_health *kafka);
/* Ends its threads; what they posted must be run (loop_flush) after it. */
void http_events_stop(struct http_events *events); /* NULL is fine */
void http_events_destroy(struct http_events *events);

/* What the feed brings; takes the events over. */
void http_events_news(struct http_events *events, const struct feed_news *news);

/* Ends all streams: the process drains. */
void http_events_drain(struct http_events *events);

/* GET …/runEvents */
void http_events_get(struct http_call *call);

#endif
