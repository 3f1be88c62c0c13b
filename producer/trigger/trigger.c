#include "producer/trigger/trigger.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "producer/trigger/book.h"
#include "producer/trigger/firing.h"
#include "producer/trigger/lapse.h"
#include "producer/trigger/metrics.h"
#include "producer/trigger/parts.h"
#include "producer/trigger/watch.h"
#include "schemas/keyspace.h"
#include "schemas/stored/schedule.h"

#define BATCH 4000 /* schedules that are fired together */
#define MISSED_ALL                                                             \
	100 /* instants of one schedule, with trigger.catchup=all              \
	     */
#define ON_TIME_S                                                              \
	60 /* with trigger.catchup=none, what is later is not fired            \
	    */
#define LOOK_MS 1000
#define PROBE_MS 2000
#define FRESH_MS 10000
#define STAND_S 30 /* where nothing is fired, this often */
#define AGAIN_MS 250
#define EX_CONFIG 78
#define META_MS 5000 /* whether Redis is still ours is asked so often */

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
	size_t missed_max;   /* of one schedule's instants, the newest */
	int64_t on_time_s;   /* 0: however late */
	struct entry **due;  /* of a batch, and their instants */
	struct due *missed;
	int64_t looked_ms, probed_ms; /* monotonic */
	int64_t ours_ms;              /* when Redis was last seen to be ours */
	bool is_kafka_fine;
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
	trigger->watch = watch_create(
	    trigger->redis, trigger->keyspace, trigger->book, trigger->zones);
	return trigger;
}

void
trigger_destroy(struct trigger *trigger)
{
	if (trigger == NULL)
		return;
	firing_destroy(trigger->firing);
	watch_destroy(trigger->watch);
	book_destroy(trigger->book);
	zones_destroy(trigger->zones);
	redis_destroy(trigger->redis);
	keyspace_destroy(trigger->keyspace);
	kafka_health_destroy(trigger->kafka);
	parts_destroy(trigger->parts);
	free(trigger->missed);
	free(trigger->due);
	free(trigger);
}

/* What it needs --------------------------------------------------------- */

/* Redis is prepared, of our format, and belongs to this Kafka. */
static int
check_meta(struct trigger *trigger, struct error *err)
{
	char cluster[KEYSPACE_NAME_MAX];
	struct keyspace_meta meta;

	firing_cluster(trigger->firing, cluster, sizeof cluster);
	return keyspace_check_ours(
	    trigger->redis, trigger->keyspace, cluster, &meta, err);
}

static int
open_redis(struct trigger *trigger, struct error *err)
{
	redis_drop_closed(trigger->redis);
	/* One may be emptied, or taken over, behind a connection that stays. */
	if (redis_is_connected(trigger->redis) &&
	    clock_monotonic_ms() - trigger->ours_ms < META_MS)
		return 0;
	if (redis_connect(trigger->redis, err) != 0)
		return -1;
	if (check_meta(trigger, err) == 0) {
		trigger->ours_ms = clock_monotonic_ms();
		return 0;
	}
	/* It is looked at again with the next connection. */
	redis_disconnect(trigger->redis);
	return -1;
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
		firing_probe(trigger->firing, err) == 0 ? NULL : err) &&
	    knows;
	return 0;
}

int
trigger_check(struct trigger *trigger, struct error *err)
{
	if (firing_learn(trigger->firing, err) != 0 ||
	    firing_probe(trigger->firing, err) != 0)
		return -1;
	return open_redis(trigger, err);
}

/* Firing ------------------------------------------------------------------- */

/* Asks for the runs of one schedule's instants up to now. */
static int
fire_entry(struct trigger *trigger, const struct entry *entry, int64_t now_s,
    struct error *err)
{
	bool has_parts = timetable_has_parts(entry->times);
	struct schedule_head head;
	size_t i, n;

	if (schedule_head_parse(entry_head(entry), &head, err) != 0)
		return -1;
	n = timetable_missed(entry->times, entry->next_s - 1, now_s,
	    trigger->missed, trigger->missed_max);
	for (i = 0; i < n; i++) {
		int64_t at_s = trigger->missed[i].instant.at_s;

		if (trigger->on_time_s > 0 && now_s - at_s > trigger->on_time_s)
			continue;
		if (has_parts)
			parts_add(trigger->parts,
			    &(const struct part_due){ entry_rid(entry),
				head.current_version_rid, entry->times, at_s });
		else if (firing_send_due(trigger->firing, entry_rid(entry),
			     head.current_version_rid, &trigger->missed[i],
			     err) != 0)
			return -1;
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

/* One that can't be asked for is left alone, for good. */
static int
ask_batch(struct trigger *trigger, size_t n, int64_t now_s, struct error *err)
{
	size_t i;

	parts_forget(trigger->parts);
	for (i = 0; i < n; i++) {
		if (trigger->due[i] == NULL ||
		    fire_entry(trigger, trigger->due[i], now_s, err) == 0)
			continue;
		if (err->kind != ERROR_INPUT)
			return -1;
		log_event(LOG_ERROR, "trigger", "not_fired", err->message,
		    LOG_T("schedule_rid", entry_rid(trigger->due[i])), LOG_END);
	}
	return 0;
}

/*
 * Fires what is due, as much as goes at once.  Only when the brokers have all
 * of it is any of it due later: what fails is asked for again, under the same
 * ids. Returns how many schedules it were, -1: see the error.
 */
static int
fire_batch(struct trigger *trigger, int64_t now_s, struct error *err)
{
	size_t n = book_due(trigger->book, now_s, trigger->due, BATCH), i;
	struct error refused = { 0 };
	int rc, told = 0;

	if (n == 0)
		return 0;
	if (watch_confirm(trigger->watch, trigger->due, n, err) != 0)
		return -1;
	rc = ask_batch(trigger, n, now_s, err);
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
	for (i = 0; i < n; i++)
		if (trigger->due[i] != NULL)
			move_entry(trigger, trigger->due[i], now_s);
	return (int)n;
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
	stood_s = watch_stand(trigger->watch, now_s, err);
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
	return trigger->is_kafka_fine ? fire_due(trigger, now_s, err) : 0;
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
	if (first != NULL && lapse_until_ms(first->next_s * 1000) < rest)
		rest = lapse_until_ms(first->next_s * 1000);
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
