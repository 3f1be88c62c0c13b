#ifndef SCHEDRUN_PRODUCER_RUNS_EVENT_SENDER_H
#define SCHEDRUN_PRODUCER_RUNS_EVENT_SENDER_H

#include "common/base/error.h"
#include "common/kafka/client.h"
#include "schemas/message/schedule_event.h"

/*
 * Writes events to the topic schedule-events, each once the brokers have it.
 * Any thread: one sends at a time.
 */
struct event_sender;

/*
 * Connects with the first event, nothing before.  What a send may take is
 * `timeout_ms`.  Never NULL; the settings are borrowed.
 */
struct event_sender *event_sender_create(
    const struct kafka_settings *settings, int timeout_ms);
void event_sender_destroy(struct event_sender *sender); /* NULL is fine */

/*
 * Makes ready to send such a message; nothing is sent.  ERROR_RETRY: Kafka or
 * the registry does not answer; ERROR_INPUT: there is no such topic; else as
 * below.
 */
int event_sender_ready(
    struct event_sender *sender, enum message message, struct error *err);

/*
 * Checks and sends it, and waits for the brokers' word.
 *   ERROR_INPUT  a field is none, or it is too large: nothing was sent
 *   ERROR_RETRY  Kafka or the registry does not answer in time: it may be there
 *                nevertheless, and sending it again does no harm
 *   ERROR_FATAL  credentials or rights (77), another schema in the registry
 */
int event_sender_send(struct event_sender *sender,
    const struct schedule_event *event, struct error *err);

#endif
