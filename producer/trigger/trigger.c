#include "producer/trigger/trigger.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/rights.h"
#include "producer/runs/repeat.h"
#include "producer/trigger/book.h"
#include "producer/trigger/firing.h"
#include "producer/trigger/lapse.h"
#include "producer/trigger/metrics.h"
#include "producer/trigger/parts.h"
#include "producer/trigger/replicas.h"
#include "producer/trigger/watch.h"
#include "schemas/keyspace.h"
#include "schemas/stored/schedule.h"
#include "schemas/topics.h"

#define BATCH 4000 /* schedules that are fired together */
#define MISSED_ALL                                                             \
	100 /* instants of one schedule, with trigger.catchup=all              \
	     */
#define ON_TIME_S                                                              \
	60 /* with trigger.catchup=none, what is later is not fired            \
	    */
#define LOOK_MS 1000
#define MEET_MS 1000
#define PROBE_MS 2000
#define RIGHT_MS 3000
#define FRESH_MS 10000
#define STAND_S 30 /* where nothing is fired, this often */
#define AGAIN_MS 250
#define EX_CONFIG 78

struct trigger {
	const struct config *config;
	struct metrics *metrics;
	struct health_check *kafka_check, *redis_check, *schedules_check;
	struct health_check *registry_check; /* NULL: none is configured */
	struct kafka_health *kafka;
	struct keyspace *keyspace;
	struct redis *redis;
	struct zones *zones;
	struct book *book;
	struct watch *watch;
	struct firing *firing;
	struct parts *parts; /* times of `and`s */
	struct replicas *replicas;
	size_t missed_max;  /* of one schedule's instants, the newest */
	int64_t on_time_s;  /* 0: however late */
	int64_t grace_s;    /* trigger.grace; 0: nothing is left to others */
	int64_t left_s;     /* the last instant that was */
	struct entry **due; /* of a batch, and of one of them its instants */
	struct due *missed;
	struct order *orders; /* of a batch */
	size_t n_orders, room;
	int64_t looked_ms, probed_ms, met_ms; /* monotonic */
	int64_t ours_ms; /* when Redis was last seen to be ours */
	bool is_kafka_fine, may_write;
	int64_t stood_s; /* as last written */
	int64_t fired_s; /* when something was fired last */
};

static void
create_checks(struct trigger *trigger, struct health *health)
{
	trigger->kafka_check = health_check(health, "kafka", FRESH_MS);
	trigger->redis_check = health_check(health, "redis", FRESH_MS);
	trigger->schedules_check = health_check(health, "schedules", 0);
	trigger->kafka = kafka_health_create();
	kafka_health_on_error(
	    trigger->kafka, trigger_count_kafka_error, trigger->metrics);
	if (config_text(trigger->config, "schema.registry.url") != NULL)
		trigger->registry_check = health_check(health, "registry", 0);
	else
		metrics_hide(trigger->metrics, TRIGGER_DEPENDENCIES,
		    TRIGGER_NEEDS_REGISTRY);
}

/* trigger.catchup */
static void
read_catchup(struct trigger *trigger)
{
	const char *catchup = config_text(trigger->config, "trigger.catchup");

	trigger->missed_max = strcmp(catchup, "all") == 0 ? MISSED_ALL : 1;
	trigger->on_time_s = strcmp(catchup, "none") == 0 ? ON_TIME_S : 0;
}

struct trigger *
trigger_create(const struct config *config, struct metrics *metrics,
    struct health *health, struct error *err)
{
	struct trigger *trigger = memory_zalloc(1, sizeof *trigger);
	const struct redis_settings redis =
	    redis_settings_of(config, "redis.url", "schedrun-trigger");

	trigger->config = config;
	trigger->metrics = metrics;
	create_checks(trigger, health);
	read_catchup(trigger);
	trigger->grace_s =
	    (config_number(config, "trigger.grace") + 999) / 1000;
	trigger->keyspace =
	    keyspace_create(config_text(config, "redis.prefix"));
	trigger->zones = zones_create();
	trigger->book = book_create();
	trigger->due = memory_zalloc(BATCH, sizeof(struct entry *));
	trigger->missed =
	    memory_zalloc(trigger->missed_max, sizeof *trigger->missed);
	trigger->redis = redis_create(&redis, err);
	if (trigger->redis != NULL)
		trigger->firing =
		    firing_create(config, trigger->kafka, metrics, err);
	if (trigger->firing == NULL) {
		trigger_destroy(trigger);
		return NULL;
	}
	trigger->parts = parts_create(trigger->redis, trigger->keyspace,
	    trigger->firing, config_number(config, "dedup.ttl"));
	trigger->replicas = replicas_create(trigger->redis, trigger->keyspace);
	trigger->watch = watch_create(
	    trigger->redis, trigger->keyspace, trigger->book, trigger->zones);
	return trigger;
}

void
trigger_destroy(struct trigger *trigger)
{
	if (trigger == NULL)
		return;
	replicas_destroy(trigger->replicas);
	firing_destroy(trigger->firing);
	watch_destroy(trigger->watch);
	book_destroy(trigger->book);
	zones_destroy(trigger->zones);
	redis_destroy(trigger->redis);
	keyspace_destroy(trigger->keyspace);
	kafka_health_destroy(trigger->kafka);
	parts_destroy(trigger->parts);
	free(trigger->orders);
	free(trigger->missed);
	free(trigger->due);
	free(trigger);
}

/* What it needs --------------------------------------------------------- */

static int
open_redis(struct trigger *trigger, struct error *err)
{
	char cluster[KEYSPACE_NAME_MAX];

	firing_cluster(trigger->firing, cluster, sizeof cluster);
	return keyspace_open_ours(
	    trigger->redis, trigger->keyspace, cluster, &trigger->ours_ms, err);
}

/* Tells a dependency's state; `err` NULL: all is well.  Returns that. */
static bool
note_dependency(struct trigger *trigger, struct health_check *check,
    enum trigger_dependency dependency, const struct error *err)
{
	metrics_set(
	    trigger->metrics, TRIGGER_DEPENDENCIES, dependency, err == NULL);
	if (err == NULL) {
		health_ok(check);
		return true;
	}
	if (health_check_is_ok(check))
		log_event(LOG_WARN, "trigger", "dependency_lost", err->message,
		    LOG_END);
	health_bad(check, "%s", err->message);
	return false;
}

/* What lacks for the first request is told before there is one. */
static int
ask_right(struct trigger *trigger, struct error *err)
{
	const struct kafka_settings settings = { .config = trigger->config,
		.client_id = "schedrun-trigger" };
	const char *topic = topic_name(trigger->config, TOPIC_REQUESTS);

	if (!trigger->may_write &&
	    kafka_rights_to_write(&settings, &topic, 1, RIGHT_MS, err) != 0)
		return -1;
	trigger->may_write = true;
	return 0;
}

/* Kafka and the registry, from time to time; ERROR_FATAL: not the right one. */
static int
probe_kafka(struct trigger *trigger, struct error *err)
{
	bool knows = firing_learn(trigger->firing, err) == 0;

	trigger->probed_ms = clock_monotonic_ms();
	if (trigger->registry_check != NULL)
		note_dependency(trigger, trigger->registry_check,
		    TRIGGER_NEEDS_REGISTRY, knows ? NULL : err);
	if (!knows && err->kind == ERROR_FATAL)
		return -1;
	trigger->is_kafka_fine =
	    note_dependency(trigger, trigger->kafka_check, TRIGGER_NEEDS_KAFKA,
		firing_probe(trigger->firing, err) == 0 &&
			ask_right(trigger, err) == 0
		    ? NULL
		    : err) &&
	    knows;
	return 0;
}

int
trigger_check(struct trigger *trigger, struct error *err)
{
	if (firing_learn(trigger->firing, err) != 0 ||
	    firing_probe(trigger->firing, err) != 0 ||
	    ask_right(trigger, err) != 0)
		return -1;
	return open_redis(trigger, err);
}

/* Firing ------------------------------------------------------------------- */

/*
 * What another trigger has is left to it for trigger.grace, and then asked for
 * here unless a worker has it by then: whoever saw wrong, or has died, delays
 * it and no more.  Returns how many of the list are to be asked for here, which
 * stand first.
 */
static size_t
leave_some(struct trigger *trigger, size_t n, int64_t now_s)
{
	size_t kept = 0, i;

	for (i = 0; i < n; i++) {
		struct entry *entry = trigger->due[i];
		int64_t until_s = entry->next_s + trigger->grace_s;

		if (until_s <= now_s ||
		    replicas_owns(trigger->replicas, entry_rid(entry))) {
			trigger->due[kept++] = entry;
			continue;
		}
		book_leave(trigger->book, entry, until_s);
		if (entry->next_s > trigger->left_s)
			trigger->left_s = entry->next_s;
	}
	return kept;
}

static bool
is_left(const struct trigger *trigger, const struct entry *entry)
{
	return entry->wake_s > entry->next_s ||
	    !replicas_owns(trigger->replicas, entry_rid(entry));
}

/* An instant of a schedule that is to be asked for. */
struct order {
	struct text schedule_rid, version_rid; /* of the entry */
	struct due due;
	const struct timetable *parts; /* NULL: it fires alone */
	bool was_left;                 /* to another trigger, which may have */
};

static void
add_order(struct trigger *trigger, const struct order *order)
{
	if (trigger->n_orders == trigger->room) {
		trigger->room = 2 * trigger->room + 64;
		trigger->orders = memory_resize(
		    trigger->orders, trigger->room, sizeof *trigger->orders);
	}
	trigger->orders[trigger->n_orders++] = *order;
}

/* The instants of one schedule up to now. */
static int
list_entry(struct trigger *trigger, const struct entry *entry, int64_t now_s,
    struct error *err)
{
	bool has_parts = timetable_has_parts(entry->times);
	struct schedule_head head;
	size_t i, n;

	if (schedule_head_parse(entry_head(entry), &head, err) != 0)
		return -1;
	n = timetable_missed(entry->times, entry->next_s - 1, now_s,
	    trigger->missed, trigger->missed_max);
	for (i = 0; i < n; i++)
		if (trigger->on_time_s == 0 ||
		    now_s - trigger->missed[i].instant.at_s <=
			trigger->on_time_s)
			add_order(trigger,
			    &(struct order){ .schedule_rid = entry_rid(entry),
				.version_rid = head.current_version_rid,
				.due = trigger->missed[i],
				.parts = has_parts ? entry->times : NULL,
				.was_left = is_left(trigger, entry) });
	return 0;
}

static void
tell_not_fired(struct text schedule_rid, const struct error *err)
{
	log_event(LOG_ERROR, "trigger", "not_fired", err->message,
	    LOG_T("schedule_rid", schedule_rid), LOG_END);
}

static void
list_orders(struct trigger *trigger, size_t n, int64_t now_s)
{
	struct error err;
	size_t i;

	trigger->n_orders = 0;
	for (i = 0; i < n; i++)
		if (trigger->due[i] != NULL &&
		    list_entry(trigger, trigger->due[i], now_s, &err) != 0)
			tell_not_fired(entry_rid(trigger->due[i]), &err);
}

/* Of what was left to others only that is asked for that no worker has seen. */
static int
drop_claimed(struct trigger *trigger, struct error *err)
{
	const struct repeat_store store = { trigger->redis, trigger->keyspace,
		config_number(trigger->config, "dedup.ttl") };
	struct uuid *runs = memory_zalloc(trigger->n_orders + 1, sizeof *runs);
	bool *claimed = memory_zalloc(trigger->n_orders + 1, sizeof *claimed);
	size_t n = 0, kept = 0, i;
	int rc;

	for (i = 0; i < trigger->n_orders; i++)
		if (trigger->orders[i].was_left)
			runs[n++] =
			    firing_run_due(trigger->orders[i].schedule_rid,
				trigger->orders[i].version_rid,
				trigger->orders[i].due.instant.at_s);
	rc = repeat_are_claimed(&store, runs, n, claimed, err);
	for (i = n = 0; rc == 0 && i < trigger->n_orders; i++)
		if (!trigger->orders[i].was_left || !claimed[n++])
			trigger->orders[kept++] = trigger->orders[i];
	if (rc == 0) {
		metrics_add(trigger->metrics, TRIGGER_LEFT, 0,
		    trigger->n_orders - kept);
		trigger->n_orders = kept;
	}
	free(claimed);
	free(runs);
	return rc;
}

/* One that can't be asked for is left alone, for good. */
static int
send_orders(struct trigger *trigger, struct error *err)
{
	size_t i;

	parts_forget(trigger->parts);
	for (i = 0; i < trigger->n_orders; i++) {
		const struct order *order = &trigger->orders[i];

		if (order->parts != NULL) {
			parts_add(trigger->parts,
			    &(const struct part_due){ order->schedule_rid,
				order->version_rid, order->parts,
				order->due.instant.at_s });
			continue;
		}
		if (firing_send_due(trigger->firing, order->schedule_rid,
			order->version_rid, &order->due, err) == 0)
			continue;
		if (err->kind != ERROR_INPUT)
			return -1;
		tell_not_fired(order->schedule_rid, err);
	}
	return 0;
}

static void
move_entry(struct trigger *trigger, struct entry *entry, int64_t now_s)
{
	struct due due;

	book_move(trigger->book, entry,
	    timetable_next(entry->times, now_s, &due) ? due.instant.at_s
						      : INT64_MAX);
}

/*
 * Fires what is due, as much as goes at once.  Only when the brokers have all
 * of it is any of it due later: what fails is asked for again, under the same
 * ids. Returns how many schedules it were, -1: see the error.
 */
static int
fire_batch(struct trigger *trigger, int64_t now_s, struct error *err)
{
	size_t n = book_due(trigger->book, now_s, trigger->due, BATCH);
	size_t n_here = leave_some(trigger, n, now_s), i;
	struct error refused = { 0 };
	int rc, told = 0;

	if (n_here == 0)
		return (int)n;
	if (watch_confirm(trigger->watch, trigger->due, n_here, err) != 0)
		return -1;
	list_orders(trigger, n_here, now_s);
	if (drop_claimed(trigger, err) != 0)
		return -1;
	rc = send_orders(trigger, err);
	if (rc == 0)
		told = parts_fire(trigger->parts, err);
	if (firing_settle(
		trigger->firing, rc == 0 && told == 0 ? err : &refused) != 0 ||
	    rc != 0) {
		if (told != 0)
			*err = refused;
		trigger->is_kafka_fine = note_dependency(
		    trigger, trigger->kafka_check, TRIGGER_NEEDS_KAFKA, err);
		return -1;
	}
	if (told != 0)
		return -1;
	for (i = 0; i < n_here; i++)
		if (trigger->due[i] != NULL)
			move_entry(trigger, trigger->due[i], now_s);
	return (int)n;
}

/* Up to when nothing is left to be done: what waits for others is. */
static int64_t
done_s(const struct trigger *trigger, int64_t now_s)
{
	return trigger->left_s + trigger->grace_s > now_s
	    ? now_s - trigger->grace_s
	    : now_s;
}

/* Notes that nothing is due any more, soon if something was. */
static int
note_stood(struct trigger *trigger, int64_t now_s, struct error *err)
{
	int64_t stood_s;

	if (!watch_is_complete(trigger->watch) ||
	    (trigger->stood_s >= trigger->fired_s &&
		now_s - trigger->stood_s < STAND_S))
		return 0;
	stood_s = watch_stand(trigger->watch, done_s(trigger, now_s), err);
	if (stood_s < 0)
		return -1;
	trigger->stood_s = stood_s;
	metrics_set(trigger->metrics, TRIGGER_STOOD, 0, (double)stood_s);
	return 0;
}

/* A batch in a turn, so that a turn has an end. */
static int
fire_due(struct trigger *trigger, int64_t now_s, struct error *err)
{
	int n = fire_batch(trigger, now_s, err);

	if (n > 0)
		trigger->fired_s = now_s;
	return n == 0 ? note_stood(trigger, now_s, err) : n < 0 ? -1 : 0;
}

/* Turns -------------------------------------------------------------------- */

/* Who doesn't fire isn't met, so that nothing is left to him. */
static int
meet_replicas(struct trigger *trigger, struct error *err)
{
	if (trigger->grace_s == 0 ||
	    clock_monotonic_ms() - trigger->met_ms < MEET_MS)
		return 0;
	if (replicas_meet(trigger->replicas, err) != 0)
		return -1;
	trigger->met_ms = clock_monotonic_ms();
	metrics_set(trigger->metrics, TRIGGER_REPLICAS, 0,
	    (double)replicas_count(trigger->replicas));
	return 0;
}

static int
look(struct trigger *trigger, int64_t now_s, struct error *err)
{
	if (clock_monotonic_ms() - trigger->looked_ms < LOOK_MS)
		return 0;
	if (watch_look(trigger->watch, now_s, err) != 0)
		return -1;
	trigger->looked_ms = clock_monotonic_ms();
	return 0;
}

/* All that Redis is asked in a turn. */
static int
turn_with_redis(struct trigger *trigger, struct error *err)
{
	int64_t now_s = lapse_now_ms() / 1000;

	if (open_redis(trigger, err) != 0 || look(trigger, now_s, err) != 0 ||
	    watch_step(trigger->watch, now_s, err) != 0)
		return -1;
	if (watch_is_complete(trigger->watch))
		health_ok(trigger->schedules_check);
	else
		health_bad(trigger->schedules_check,
		    "the schedules are being read for the first time");
	metrics_set(trigger->metrics, TRIGGER_SCHEDULES, 0,
	    (double)book_size(trigger->book));
	if (!trigger->is_kafka_fine)
		return 0;
	if (watch_is_complete(trigger->watch) &&
	    meet_replicas(trigger, err) != 0)
		return -1;
	return fire_due(trigger, now_s, err);
}

/* Until something is due, or the next look. */
static int
rest_of(const struct trigger *trigger)
{
	const struct entry *first = book_first(trigger->book);
	int64_t rest = trigger->looked_ms + LOOK_MS - clock_monotonic_ms();

	if (watch_is_behind(trigger->watch))
		return 0;
	if (!trigger->is_kafka_fine)
		return AGAIN_MS;
	if (first != NULL && lapse_until_ms(first->wake_s * 1000) < rest)
		rest = lapse_until_ms(first->wake_s * 1000);
	return rest > 0 ? (int)rest : 0;
}

int
trigger_turn(struct trigger *trigger, struct error *err)
{
	bool was_fine;

	if (clock_monotonic_ms() - trigger->probed_ms >=
		(trigger->is_kafka_fine ? PROBE_MS : AGAIN_MS) &&
	    probe_kafka(trigger, err) != 0)
		return -1;
	was_fine = trigger->is_kafka_fine;
	if (turn_with_redis(trigger, err) == 0) {
		note_dependency(
		    trigger, trigger->redis_check, TRIGGER_NEEDS_REDIS, NULL);
		return rest_of(trigger);
	}
	if (err->kind == ERROR_FATAL && err->exit_code == EX_CONFIG)
		return -1;
	/* What failed on Kafka has been told there. */
	if (trigger->is_kafka_fine == was_fine)
		note_dependency(
		    trigger, trigger->redis_check, TRIGGER_NEEDS_REDIS, err);
	return AGAIN_MS;
}
