#include "schemas/stored/trigger.h"

#include "common/crypto/rid.h"
#include "schemas/stored/cron.h"

/* Each type's members; the one that holds a RID. */
static const struct {
	const char *name, *rid;
	const char *members[4];
} types[TRIGGER_TYPES] = {
	[TRIGGER_TIME] = { "time", NULL,
	    { "*type", "*cronExpression", "*timeZone", NULL } },
	[TRIGGER_AND] = { "and", NULL, { "*type", "*triggers", NULL } },
	[TRIGGER_OR] = { "or", NULL, { "*type", "*triggers", NULL } },
	[TRIGGER_DATASET_UPDATED] = { "datasetUpdated", "datasetRid",
	    { "*type", "*datasetRid", "*branchName", NULL } },
	[TRIGGER_NEW_LOGIC] = { "newLogic", "datasetRid",
	    { "*type", "*datasetRid", "*branchName", NULL } },
	[TRIGGER_JOB_SUCCEEDED] = { "jobSucceeded", "datasetRid",
	    { "*type", "*datasetRid", "*branchName", NULL } },
	[TRIGGER_TABLE_UPDATED] = { "tableUpdated", "tableRid",
	    { "*type", "*tableRid", "*branchName", NULL } },
	[TRIGGER_MEDIA_SET_UPDATED] = { "mediaSetUpdated", "mediaSetRid",
	    { "*type", "*mediaSetRid", "*branchName", NULL } },
	[TRIGGER_SCHEDULE_SUCCEEDED] = { "scheduleSucceeded", "scheduleRid",
	    { "*type", "*scheduleRid", NULL } },
	[TRIGGER_SCHEDULE_FAILED] = { "scheduleFailed", "scheduleRid",
	    { "*type", "*scheduleRid", NULL } },
	[TRIGGER_MANUAL] = { "manual", NULL, { "*type", NULL } },
};

/* A list that is being walked, with the place of the trigger it is of. */
struct level {
	struct place trigger, list;
	const struct json *nodes;
	size_t next;
};

struct walk {
	struct reader *reader;
	struct zones *zones; /* or NULL */
	struct trigger *trigger;
	struct level levels[DOCUMENT_DEPTH_MAX];
	size_t depth;
};

const char *
trigger_type_name(enum trigger_type type)
{
	return types[type].name;
}

bool
trigger_is(const struct json *node, enum trigger_type type)
{
	return text_equal(json_text(json_get(node, "type")),
	    text_from(trigger_type_name(type)));
}

static void
set_flaw(struct trigger *trigger, enum trigger_flaw flaw)
{
	if (trigger->flaw == TRIGGER_FINE)
		trigger->flaw = flaw;
}

static void
read_zone(struct walk *walk, const struct place *place, const struct json *node)
{
	struct place at = place_member(place, TEXT("timeZone"));
	struct text name = read_text(walk->reader, place, node, "timeZone");
	struct error err;

	if (walk->zones != NULL && name.at != NULL && zone_is_any() &&
	    zones_find(walk->zones, name, &err) == NULL)
		reader_fault(walk->reader, &at, "%s", err.message);
}

static void
read_time(struct walk *walk, const struct place *place, const struct json *node)
{
	struct place at = place_member(place, TEXT("cronExpression"));
	const struct json *cron = json_get(node, "cronExpression");

	read_zone(walk, place, node);
	if (cron == NULL || !read_is(walk->reader, &at, cron, JSON_TYPE_STRING))
		return;
	if (walk->trigger->flaw != TRIGGER_FINE ||
	    cron_is_valid(json_text(cron)))
		return;
	walk->trigger->flaw = TRIGGER_BAD_CRON;
	walk->trigger->cron = text_copy(walk->reader->arena, json_text(cron));
}

static void
read_resource(struct walk *walk, const struct place *place,
    const struct json *node, const char *name)
{
	struct place at = place_member(place, text_from(name));
	struct text rid = read_rid(walk->reader, place, node, name);

	read_text(walk->reader, place, node, "branchName");
	if (rid.at != NULL && rid_is_valid(rid) &&
	    text_equal(text_from(name), TEXT("scheduleRid")) &&
	    !rid_is(rid, TEXT("scheduler"), TEXT("schedule")))
		reader_fault(
		    walk->reader, &at, "is not ri.scheduler.*.schedule.*");
}

/* An `and` or `or`: what is in it is walked next. */
static void
enter(struct walk *walk, const struct place *place, const struct json *node,
    enum trigger_flaw if_empty)
{
	const struct json *list = json_get(node, "triggers");
	struct level *level = &walk->levels[walk->depth];

	if (list == NULL)
		return;
	level->trigger = *place;
	level->list = place_member(&level->trigger, TEXT("triggers"));
	if (!read_is(walk->reader, &level->list, list, JSON_TYPE_ARRAY))
		return;
	if (json_size(list) == 0)
		set_flaw(walk->trigger, if_empty);
	if (walk->depth + 1 == DOCUMENT_DEPTH_MAX) {
		reader_fault(walk->reader, place, "is nested too deep");
		return;
	}
	level->nodes = list;
	level->next = 0;
	walk->depth++;
}

/* The type's index, -1 with a fault. */
static int
read_type(struct walk *walk, const struct place *place, const struct json *node)
{
	const char *names[TRIGGER_TYPES + 1] = { NULL };
	int i;

	if (!read_is(walk->reader, place, node, JSON_TYPE_OBJECT))
		return -1;
	if (json_get(node, "type") == NULL) {
		reader_fault(walk->reader, place, "\"type\" is missing");
		return -1;
	}
	for (i = 0; i < TRIGGER_TYPES; i++)
		names[i] = types[i].name;
	return read_choice(walk->reader, place, node, "type", names, -1);
}

static void
read_one(struct walk *walk, const struct place *place, const struct json *node)
{
	int type = read_type(walk, place, node);

	if (type < 0)
		return;
	walk->trigger->has[type] = true;
	read_object(walk->reader, place, node, types[type].members);
	if (type == TRIGGER_TIME)
		read_time(walk, place, node);
	else if (type == TRIGGER_AND)
		enter(walk, place, node, TRIGGER_EMPTY_AND);
	else if (type == TRIGGER_OR)
		enter(walk, place, node, TRIGGER_EMPTY_OR);
	else if (types[type].rid != NULL)
		read_resource(walk, place, node, types[type].rid);
}

void
trigger_read(struct reader *reader, const struct place *place,
    const struct json *node, struct zones *zones, struct trigger *trigger)
{
	struct walk walk = {
		.reader = reader, .zones = zones, .trigger = trigger
	};

	*trigger = (struct trigger){ .flaw = TRIGGER_FINE };
	read_one(&walk, place, node);
	while (walk.depth > 0) {
		struct level *level = &walk.levels[walk.depth - 1];
		struct place at = place_index(&level->list, level->next);

		if (level->next == json_size(level->nodes))
			walk.depth--;
		else
			read_one(
			    &walk, &at, json_at(level->nodes, level->next++));
	}
}
