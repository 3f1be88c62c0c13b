#include "producer/trigger/timetable.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/json/node.h"
#include "schemas/stored/document.h"
#include "schemas/stored/trigger.h"

#define MINUTE_S 60
#define WINDOW_FACTOR 16

struct timetable {
	size_t n;
	bool has_parts;
	struct time_trigger triggers[]; /* their expressions stand behind */
};

/* Reading ------------------------------------------------------------------ */

/* The trigger, or those of `or`s and `and`s, at any depth. */
struct found {
	struct found_node {
		const struct json *node;
		bool is_part; /* of an `and` */
	} * nodes;            /* to be walked, and walked */
	size_t n;
};

static void
find_node(struct found *found, const struct json *node, bool is_part)
{
	found->nodes =
	    memory_resize(found->nodes, found->n + 1, sizeof *found->nodes);
	found->nodes[found->n++] = (struct found_node){ node, is_part };
}

/* Leaves the time triggers alone. */
static void
find_times(struct found *found, const struct json *trigger)
{
	size_t i, j, n = 0;

	find_node(found, trigger, false);
	for (i = 0; i < found->n; i++) {
		const struct found_node of = found->nodes[i];
		const struct json *list = json_get(of.node, "triggers");
		bool is_and = trigger_is(of.node, TRIGGER_AND);

		if (is_and || trigger_is(of.node, TRIGGER_OR))
			for (j = 0; j < json_size(list); j++)
				find_node(found, json_at(list, j),
				    of.is_part || is_and);
		else if (trigger_is(of.node, TRIGGER_TIME))
			found->nodes[n++] = of;
	}
	found->n = n;
}

static int
read_time(struct time_trigger *trigger, const struct json *node,
    struct zones *zones, struct error *err)
{
	struct text expression = json_text(json_get(node, "cronExpression"));
	struct text name = json_text(json_get(node, "timeZone"));
	const struct named_zone *zone;

	if (cron_read(expression, &trigger->cron, err) != 0) {
		error_prefix(err, "cron expression \"%.*s\"",
		    TEXT_ARG(text_cut(expression, CRON_SIZE_MAX)));
		return -1;
	}
	zone = zones_find(zones, name, err);
	if (zone == NULL)
		return -1;
	trigger->zone = zone->zone;
	trigger->zone_name = zone->name;
	trigger->expression = expression;
	return 0;
}

/* Those that can be read; `*flaw` is the first one's that can't. */
static struct timetable *
read_times(const struct found *found, struct zones *zones, struct error *flaw)
{
	struct timetable *table = memory_alloc(sizeof *table +
	    found->n * (sizeof table->triggers[0] + CRON_SIZE_MAX));
	char *texts = (char *)&table->triggers[found->n];
	struct error err;
	size_t i;

	table->n = 0;
	table->has_parts = false;
	for (i = 0; i < found->n; i++) {
		struct time_trigger *trigger = &table->triggers[table->n];

		if (read_time(trigger, found->nodes[i].node, zones, &err) !=
		    0) {
			if (flaw->kind == ERROR_NONE)
				*flaw = err;
			continue;
		}
		memcpy(texts, trigger->expression.at, trigger->expression.size);
		texts += trigger->expression.size;
		trigger->is_part = found->nodes[i].is_part;
		table->has_parts = table->has_parts || trigger->is_part;
		table->n++;
	}
	table = memory_resize(table, 1, (size_t)(texts - (char *)table));
	/* The texts stand behind the triggers, and may have moved with them. */
	texts = (char *)&table->triggers[found->n];
	for (i = 0; i < table->n; i++) {
		table->triggers[i].expression.at = texts;
		texts += table->triggers[i].expression.size;
	}
	return table;
}

int
timetable_read(struct text version, struct zones *zones,
    struct timetable **table, struct error *err)
{
	struct json_document *document =
	    json_parse(version, DOCUMENT_DEPTH_MAX, err);
	struct error flaw = { 0 };
	struct found found = { 0 };

	*table = NULL;
	if (document == NULL)
		return -1;
	find_times(&found, json_get(json_root(document), "trigger"));
	if (found.n > 0)
		*table = read_times(&found, zones, &flaw);
	if (*table != NULL && (*table)->n == 0) {
		free(*table);
		*table = NULL;
	}
	free(found.nodes);
	json_destroy(document);
	if (flaw.kind == ERROR_NONE)
		return 0;
	if (err != NULL)
		*err = flaw;
	return -1;
}

void
timetable_destroy(struct timetable *table)
{
	free(table);
}

/* When --------------------------------------------------------------------- */

bool
timetable_next(const struct timetable *table, int64_t after_s, struct due *due)
{
	struct cron_instant instant;
	bool is_found = false;
	size_t i;

	for (i = 0; i < table->n; i++) {
		const struct time_trigger *trigger = &table->triggers[i];

		if (!cron_next(
			&trigger->cron, trigger->zone, after_s, &instant) ||
		    (is_found && instant.at_s > due->instant.at_s) ||
		    (is_found && instant.at_s == due->instant.at_s &&
			(trigger->is_part || !due->trigger->is_part)))
			continue;
		*due = (struct due){ instant, trigger };
		is_found = true;
	}
	return is_found;
}

size_t
timetable_size(const struct timetable *table)
{
	return table->n;
}

bool
timetable_has_parts(const struct timetable *table)
{
	return table->has_parts;
}

void
timetable_each_due(const struct timetable *table, int64_t at_s,
    void (*each)(void *opaque, const struct time_trigger *trigger),
    void *opaque)
{
	struct cron_instant instant;
	size_t i;

	for (i = 0; i < table->n; i++) {
		const struct time_trigger *trigger = &table->triggers[i];

		if (cron_next(
			&trigger->cron, trigger->zone, at_s - 1, &instant) &&
		    instant.at_s == at_s)
			each(opaque, trigger);
	}
}

/* Of those after `after_s`, the newest: the list is a ring of `max`. */
static size_t
count_missed(const struct timetable *table, int64_t after_s, int64_t now_s,
    struct due *ring, size_t max)
{
	struct due due;
	size_t n = 0;

	while (
	    timetable_next(table, after_s, &due) && due.instant.at_s <= now_s) {
		ring[n++ % max] = due;
		after_s = due.instant.at_s;
	}
	return n;
}

static int
compare_due(const void *one, const void *other)
{
	const struct due *a = one, *b = other;

	return (a->instant.at_s > b->instant.at_s) -
	    (a->instant.at_s < b->instant.at_s);
}

size_t
timetable_missed(const struct timetable *table, int64_t after_s, int64_t now_s,
    struct due *list, size_t max)
{
	int64_t window = (int64_t)max * MINUTE_S;
	size_t n;

	/* Wider and wider, so that a year of minutes isn't walked. */
	for (;; window *= WINDOW_FACTOR) {
		int64_t from =
		    now_s - window > after_s ? now_s - window : after_s;

		n = count_missed(table, from, now_s, list, max);
		if (n >= max || from == after_s)
			break;
	}
	if (n > max)
		n = max;
	qsort(list, n, sizeof *list, compare_due);
	return n;
}
