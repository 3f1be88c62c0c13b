#include "producer/catalogue/doubts.h"

#include "common/base/clock.h"
#include "common/base/zones.h"
#include "common/crypto/rid.h"
#include "producer/catalogue/file_schedules.h"
#include "schemas/keyspace.h"
#include "schemas/stored/cron.h"
#include "schemas/stored/trigger.h"

/* Where the walk is: whatever is found belongs to one owner. */
struct collect {
	struct reader *reader;
	struct catalogue_file *file;
	struct fields *projects;  /* that are listed, or have a role */
	struct fields *schedules; /* of the file */
	struct zones *zones;
	bool is_zone_noted; /* that none can be looked for here */
	enum doubt_owner owner;
	struct text name;
	size_t number;
};

static void
add_doubt(struct collect *collect, enum doubt_kind kind, struct text path,
    struct text rid)
{
	struct doubts *doubts = &collect->file->doubts;
	struct arena *arena = collect->reader->arena;
	struct doubt *doubt = arena_zalloc(arena, 1, sizeof *doubt);

	*doubt = (struct doubt){
		.kind = kind,
		.owner = collect->owner,
		.path = path,
		.rid = text_copy(arena, rid),
		.name = text_copy(arena, collect->name),
		.number = collect->number,
	};
	if (doubts->last != NULL)
		doubts->last->next = doubt;
	else
		doubts->first = doubt;
	doubts->last = doubt;
	doubts->n++;
}

/* Kinds of RIDs that have one meaning wherever they stand. */
enum rid_kind {
	KIND_SCHEDULE,
	KIND_VERSION,
	KIND_RUN,
	KIND_DATASET,
	KIND_TRANSACTION,
	KIND_SPEC,
	KIND_BUILD,
	KIND_JOB,
	KIND_FOLDER,
	KIND_OTHER, /* anything else that RIDs are of: tables, media sets … */
};

static const char *const kinds[KIND_OTHER][2] = {
	[KIND_SCHEDULE] = { "scheduler", "schedule" },
	[KIND_VERSION] = { "scheduler", "schedule-version" },
	[KIND_RUN] = { "scheduler", "run" },
	[KIND_DATASET] = { "foundry", "dataset" },
	[KIND_TRANSACTION] = { "foundry", "transaction" },
	[KIND_SPEC] = { "foundry", "jobspec" },
	[KIND_BUILD] = { "foundry", "build" },
	[KIND_JOB] = { "foundry", "job" },
	[KIND_FOLDER] = { "compass", "folder" },
};

static enum rid_kind
kind_of(struct text rid)
{
	int kind = 0;

	while (kind < KIND_OTHER &&
	    !rid_is(rid, text_from(kinds[kind][0]), text_from(kinds[kind][1])))
		kind++;
	return (enum rid_kind)kind;
}

/*
 * A RID where another kind belongs names what is never found.  Of schedules and
 * versions only their own kind is taken in requests; else what has a kind of
 * its own, such as a table for a dataset, is left to the file.
 */
static bool
check_kind(struct collect *collect, const struct place *place, struct text rid,
    enum rid_kind wanted)
{
	enum rid_kind kind = rid.at != NULL ? kind_of(rid) : wanted;
	bool is_strict = wanted == KIND_SCHEDULE || wanted == KIND_VERSION;
	struct buffer said = { 0 };

	if (kind == wanted || (kind == KIND_OTHER && !is_strict))
		return true;
	if (wanted == KIND_OTHER)
		buffer_format(&said, "\"%.*s\" is the RID of a %s",
		    TEXT_ARG(rid), kinds[kind][1]);
	else
		buffer_format(&said,
		    "\"%.*s\" is no RID of a %s, as ri.%s.main.%s.NAME",
		    TEXT_ARG(rid), kinds[wanted][1], kinds[wanted][0],
		    kinds[wanted][1]);
	add_doubt(collect, DOUBT_VALUE, place_path(collect->reader, place),
	    buffer_text(&said));
	buffer_finish(&said);
	return false;
}

/* The same of a member; nothing if it isn't there. */
static void
check_kind_of(struct collect *collect, const struct place *parent,
    const struct json *object, const char *name, enum rid_kind wanted)
{
	const struct place place = place_member(parent, text_from(name));

	check_kind(collect, &place, json_text(json_get(object, name)), wanted);
}

static const enum rid_kind kind_of_doubt[] = {
	[DOUBT_DATASET] = KIND_DATASET,
	[DOUBT_PROJECT] = KIND_FOLDER,
	[DOUBT_SCHEDULE] = KIND_SCHEDULE,
};

/* A reference, unless the file has what it is to. */
static void
refer(struct collect *collect, const struct place *place,
    const struct json *node, enum doubt_kind kind)
{
	const struct fields *known = kind == DOUBT_DATASET
	    ? collect->file->datasets
	    : kind == DOUBT_PROJECT ? collect->projects
				    : collect->schedules;

	if (json_type_of(node) != JSON_TYPE_STRING)
		return;
	if (check_kind(collect, place, json_text(node), kind_of_doubt[kind]) &&
	    fields_get(known, json_text(node)).at == NULL)
		add_doubt(collect, kind, place_path(collect->reader, place),
		    json_text(node));
}

/* A member that is a RID; nothing if it isn't there. */
static void
refer_member(struct collect *collect, const struct place *parent,
    const struct json *object, const char *name, enum doubt_kind kind)
{
	const struct place place = place_member(parent, text_from(name));
	const struct json *node = json_get(object, name);

	if (node != NULL)
		refer(collect, &place, node, kind);
}

/* A member that is a list of RIDs, or of objects with a RID. */
static void
refer_list(struct collect *collect, const struct place *parent,
    const struct json *object, const char *name, enum doubt_kind kind)
{
	const struct place place = place_member(parent, text_from(name));
	const struct json *list = json_get(object, name);
	size_t i;

	for (i = 0; list != NULL && i < json_size(list); i++) {
		const struct place at = place_index(&place, i);
		const struct json *node = json_at(list, i);

		if (json_type_of(node) == JSON_TYPE_OBJECT)
			refer_member(collect, &at, node, "rid", kind);
		else
			refer(collect, &at, node, kind);
	}
}

static void
doubt_value(struct collect *collect, const struct place *place,
    const struct json *version, const char *name, const char *what)
{
	const struct place at = place_member(place, text_from(name));
	const struct json *node = json_get(version, name);
	struct buffer said = { 0 };

	buffer_append(&said, text_from(what));
	if (json_type_of(node) == JSON_TYPE_STRING)
		buffer_format(&said, ": \"%.*s\"",
		    TEXT_ARG(text_cut(json_text(node), DOCUMENT_TEXT_MAX)));
	add_doubt(collect, DOUBT_VALUE, place_path(collect->reader, &at),
	    buffer_text(&said));
	buffer_finish(&said);
}

static void
check_zone(
    struct collect *collect, const struct place *place, const struct json *node)
{
	const struct place at = place_member(place, TEXT("timeZone"));
	struct text name = json_text(json_get(node, "timeZone"));
	struct error err;

	if (zones_find(collect->zones, name, &err) != NULL)
		return;
	if (zone_is_any())
		add_doubt(collect, DOUBT_VALUE,
		    place_path(collect->reader, &at), text_from(err.message));
	else if (!collect->is_zone_noted)
		add_doubt(collect, DOUBT_NOTE, place_path(collect->reader, &at),
		    TEXT("time zones can't be looked for here: install "
			 "tzdata"));
	collect->is_zone_noted = true;
}

static void
check_cron(struct collect *collect, const struct place *place,
    const struct json *expression)
{
	struct place at = place_member(place, TEXT("cronExpression"));
	struct cron cron;
	struct error err;

	if (cron_read(json_text(expression), &cron, &err) != 0)
		add_doubt(collect, DOUBT_VALUE,
		    place_path(collect->reader, &at), text_from(err.message));
	else if (!cron_is_ever_due(&cron))
		add_doubt(collect, DOUBT_NOTE, place_path(collect->reader, &at),
		    TEXT("is never due: no such day is in these months"));
}

/*
 * What a trigger is about, and when; tables and media sets are kept by nobody
 * here, and what is of no known form is kept unlooked.
 */
static void
/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document */
check_trigger(
    struct collect *collect, const struct place *place, const struct json *node)
{
	const struct place list_place = place_member(place, TEXT("triggers"));
	const struct json *list = json_get(node, "triggers");
	const struct json *cron = json_get(node, "cronExpression");
	bool is_time = cron != NULL ||
	    text_equal(json_text(json_get(node, "type")), TEXT("time"));
	size_t i;

	refer_member(collect, place, node, "datasetRid", DOUBT_DATASET);
	refer_member(collect, place, node, "scheduleRid", DOUBT_SCHEDULE);
	if (is_time) {
		check_cron(collect, place, cron);
		check_zone(collect, place, node);
	}
	check_kind_of(collect, place, node, "tableRid", KIND_OTHER);
	check_kind_of(collect, place, node, "mediaSetRid", KIND_OTHER);
	for (i = 0; i < json_size(list); i++) {
		const struct place at = place_index(&list_place, i);

		check_trigger(collect, &at, json_at(list, i));
	}
}

/* Let in since ever: one that the API would refuse, and that fires nothing. */
static void
note_idle_trigger(
    struct collect *collect, const struct place *place, const struct json *node)
{
	struct reader *reader = reader_create(collect->reader->arena);
	struct buffer said = { 0 };
	struct trigger trigger;

	trigger_read(reader, &(struct place){ 0 }, node, NULL, &trigger);
	if (reader->n_faults > 0)
		buffer_format(&said,
		    "nothing fires by what is wrong in it: %.*s",
		    TEXT_ARG(reader->faults[0]));
	else if (trigger.flaw == TRIGGER_EMPTY_AND ||
	    trigger.flaw == TRIGGER_EMPTY_OR)
		buffer_format(
		    &said, "nothing fires by an and, or an or, that is empty");
	if (said.size > 0)
		add_doubt(collect, DOUBT_NOTE,
		    place_path(collect->reader, place), buffer_text(&said));
	buffer_finish(&said);
}

/* Let in since ever: the version gets the time of its first store. */
static void
note_no_time(struct collect *collect, const struct place *version)
{
	const struct place place = place_member(version, TEXT("createdTime"));

	add_doubt(collect, DOUBT_NOTE, place_path(collect->reader, &place),
	    TEXT("is no text, and taken as left out"));
}

static void
collect_version(
    struct collect *collect, const struct place *place, const struct json *node)
{
	const struct place action_place = place_member(place, TEXT("action"));
	const struct place target_place =
	    place_member(&action_place, TEXT("target"));
	const struct place scope_place = place_member(place, TEXT("scopeMode"));
	const struct json *target =
	    json_get(json_get(node, "action"), "target");
	const struct json *created = json_get(node, "createdTime");
	const struct place trigger_place = place_member(place, TEXT("trigger"));
	int64_t ms;

	collect->owner = OWNER_VERSION;
	collect->name = json_text(json_get(node, "rid"));
	check_kind_of(collect, place, node, "rid", KIND_VERSION);
	if (json_type_of(created) == JSON_TYPE_STRING &&
	    !clock_parse(json_text(created), &ms))
		doubt_value(collect, place, node, "createdTime",
		    "not a time such as 2026-01-31T09:05:07.042Z");
	else if (json_type_of(created) > JSON_TYPE_NULL &&
	    json_type_of(created) != JSON_TYPE_STRING)
		note_no_time(collect, place);
	check_trigger(collect, &trigger_place, json_get(node, "trigger"));
	if (json_type_of(json_get(node, "trigger")) > JSON_TYPE_NULL)
		note_idle_trigger(
		    collect, &trigger_place, json_get(node, "trigger"));
	refer_list(collect, &scope_place, json_get(node, "scopeMode"),
	    "projectRids", DOUBT_PROJECT);
	refer_list(collect, &target_place, target, "targetRids", DOUBT_DATASET);
	refer_list(collect, &target_place, target, "inputRids", DOUBT_DATASET);
	refer_list(
	    collect, &target_place, target, "ignoredRids", DOUBT_DATASET);
}

static void
collect_schedules(
    struct collect *collect, const struct place *root, const struct json *list)
{
	const struct place place = place_member(root, TEXT("schedules"));
	size_t i, j;

	file_schedules_name(collect->file, collect->schedules);
	for (i = 0; i < json_size(list); i++) {
		const struct place at = place_index(&place, i);
		const struct place versions_place =
		    place_member(&at, TEXT("versions"));
		const struct json *versions =
		    json_get(json_at(list, i), "versions");

		for (j = 0; j < json_size(versions); j++) {
			const struct place version =
			    place_index(&versions_place, j);

			collect_version(
			    collect, &version, json_at(versions, j));
		}
	}
}

static void
collect_specs(
    struct collect *collect, const struct place *root, const struct json *list)
{
	const struct place place = place_member(root, TEXT("jobSpecs"));
	size_t i;

	collect->owner = OWNER_SPEC;
	for (i = 0; i < json_size(list); i++) {
		const struct place at = place_index(&place, i);
		const struct json *spec = json_at(list, i);

		collect->number = i;
		check_kind_of(collect, &at, spec, "rid", KIND_SPEC);
		refer_list(collect, &at, spec, "outputs", DOUBT_DATASET);
		refer_list(collect, &at, spec, "inputs", DOUBT_DATASET);
	}
}

/*
 * Who calls or asks is a UUID in lower case: another name is nobody.  Roles are
 * on projects.
 */
static void
check_user(
    struct collect *collect, const struct place *place, struct json_member user)
{
	const struct place roles_place = place_member(place, TEXT("roles"));
	const struct json *roles = json_get(user.value, "roles");
	struct json_member role = { 0 };
	struct uuid uuid;

	if (!uuid_parse(user.name, &uuid))
		add_doubt(collect, DOUBT_VALUE,
		    place_path(collect->reader, place),
		    TEXT("a user's id is a UUID in lower case; of another "
			 "subject: schedrun user id SUBJECT"));
	while (roles != NULL && json_next(roles, &role)) {
		const struct place at = place_member(&roles_place, role.name);

		check_kind(collect, &at, role.name, KIND_FOLDER);
	}
}

static void
collect_dataset(struct collect *collect, const struct place *place,
    struct json_member dataset)
{
	const struct place branches_place =
	    place_member(place, TEXT("branches"));
	const struct json *branches = json_get(dataset.value, "branches");
	struct json_member branch = { 0 };

	check_kind(collect, place, dataset.name, KIND_DATASET);
	refer_member(collect, place, dataset.value, "project", DOUBT_PROJECT);
	while (branches != NULL && json_next(branches, &branch)) {
		const struct place at =
		    place_member(&branches_place, branch.name);

		check_kind_of(
		    collect, &at, branch.value, "head", KIND_TRANSACTION);
	}
}

static void
collect_members(struct collect *collect, const struct place *root,
    const struct json *object, const char *name, enum doubt_owner owner)
{
	const struct place place = place_member(root, text_from(name));
	struct json_member member = { 0 };

	collect->owner = owner;
	while (object != NULL && json_next(object, &member)) {
		const struct place at = place_member(&place, member.name);

		collect->name = member.name;
		if (owner == OWNER_DATASET)
			collect_dataset(collect, &at, member);
		else if (owner == OWNER_USER)
			check_user(collect, &at, member);
		else {
			check_kind(collect, &at, member.name, KIND_FOLDER);
			refer_list(collect, &at, member.value, "references",
			    DOUBT_DATASET);
		}
	}
}

/* A project is there if it is listed, or somebody has a role on it. */
static void
note_projects(struct collect *collect)
{
	const struct field *list = fields_list(collect->file->projects);
	size_t i, n = fields_size(collect->file->projects);

	for (i = 0; i < n; i++)
		fields_put(collect->projects,
		    keyspace_field_owner(list[i].name), TEXT(""));
	list = fields_list(collect->file->users);
	n = fields_size(collect->file->users);
	for (i = 0; i < n; i++)
		if (keyspace_field_owned(list[i].name).at != NULL)
			fields_put(collect->projects,
			    keyspace_field_owned(list[i].name), TEXT(""));
}

void
doubts_collect(
    struct reader *reader, const struct json *root, struct catalogue_file *file)
{
	const struct place place = { .parent = NULL };
	struct arena *arena = arena_create(0);
	struct collect collect = {
		.reader = reader,
		.file = file,
		.projects = fields_create(arena),
		.schedules = fields_create(arena),
		.zones = zones_create(),
	};

	note_projects(&collect);
	collect_members(&collect, &place, json_get(root, "datasets"),
	    "datasets", OWNER_DATASET);
	collect_members(&collect, &place, json_get(root, "projects"),
	    "projects", OWNER_PROJECT);
	collect_members(
	    &collect, &place, json_get(root, "users"), "users", OWNER_USER);
	collect_specs(&collect, &place, json_get(root, "jobSpecs"));
	collect_schedules(&collect, &place, json_get(root, "schedules"));
	fields_destroy(collect.projects);
	fields_destroy(collect.schedules);
	zones_destroy(collect.zones);
	arena_destroy(arena);
}
