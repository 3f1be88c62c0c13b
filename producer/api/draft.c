#include "producer/api/draft.h"

#include <string.h>

#include "common/json/write.h"
#include "producer/catalogue/about.h"
#include "producer/catalogue/fields.h"
#include "schemas/stored/trigger.h"

struct draft_reader {
	struct reader *reader;
	struct arena *arena;
	const struct json *body;
	struct schedule_draft *draft;
	struct trigger trigger;
	bool has_long_name, has_long_description;
};

static const struct place root = { .parent = NULL };

static bool
is_there(const struct json *node)
{
	return node != NULL && json_type_of(node) != JSON_TYPE_NULL;
}

static struct text
read_prose(
    struct draft_reader *read, const char *name, size_t max, bool *is_long)
{
	struct place place = place_member(&root, text_from(name));
	const struct json *node = json_get(read->body, name);

	if (!is_there(node) ||
	    !read_is(read->reader, &place, node, JSON_TYPE_STRING))
		return TEXT_NONE;
	*is_long = text_characters(json_text(node)) > max;
	return text_copy(read->arena, json_text(node));
}

/* Members of an object that are not null, laid over `fields`. */
static void
lay_over(struct fields *fields, const struct json *node)
{
	struct json_member member = { 0 };
	struct buffer value = { 0 };

	if (node == NULL || json_type_of(node) != JSON_TYPE_OBJECT)
		return;
	while (json_next(node, &member)) {
		if (!is_there(member.value))
			continue;
		buffer_reset(&value);
		json_put_node(&value, member.value);
		fields_put(fields, member.name, buffer_text(&value));
	}
	buffer_finish(&value);
}

static void
put_sorted(struct buffer *out, struct fields *fields)
{
	const struct field *sorted = fields_sorted(fields);
	size_t i, n = fields_size(fields);

	json_open(out, '{');
	for (i = 0; i < n; i++) {
		json_name_text(out, sorted[i].name);
		buffer_append(out, sorted[i].value);
	}
	json_close(out, '}');
}

/* The lists that a target's type has: those left out are empty. */
static struct text
write_target(struct draft_reader *read, const struct json *node)
{
	struct fields *fields = fields_create(read->arena);
	const struct json *type = json_get(node, "type");
	struct buffer out = { 0 };
	struct text target;

	if (type != NULL && json_type_of(type) == JSON_TYPE_STRING &&
	    !text_equal(json_text(type), TEXT("manual")))
		fields_put(fields, TEXT("ignoredRids"), TEXT("[]"));
	lay_over(fields, node);
	put_sorted(&out, fields);
	target = buffer_keep(&out, read->arena);
	fields_destroy(fields);
	return target;
}

static void
put_action(
    struct buffer *out, struct draft_reader *read, const struct json *node)
{
	static const struct field defaults[] = {
		{ { "abortOnFailure", 14 }, { "false", 5 } },
		{ { "branchName", 10 }, { "\"master\"", 8 } },
		{ { "fallbackBranches", 16 }, { "[]", 2 } },
		{ { "forceBuild", 10 }, { "false", 5 } },
		{ { "notificationsEnabled", 20 }, { "false", 5 } },
	};
	struct fields *fields = fields_create(read->arena);
	const struct json *target = json_get(node, "target");
	size_t i;

	for (i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
		fields_put(fields, defaults[i].name, defaults[i].value);
	lay_over(fields, node);
	if (is_there(target) && json_type_of(target) == JSON_TYPE_OBJECT)
		fields_put(fields, TEXT("target"), write_target(read, target));
	put_sorted(out, fields);
	fields_destroy(fields);
}

/* The version as stored; an action or scope that is no object, as it is. */
static void
write_version(struct draft_reader *read, const struct draft_ids *ids)
{
	const struct json *action = json_get(read->body, "action");
	const struct json *scope = json_get(read->body, "scopeMode");
	const struct json *trigger = json_get(read->body, "trigger");
	struct buffer out = { 0 };

	json_open(&out, '{');
	json_name(&out, "action");
	if (json_type_of(action) == JSON_TYPE_OBJECT)
		put_action(&out, read, action);
	else
		json_put_node(&out, action);
	json_member_text(&out, "createdBy", ids->created_by);
	json_member_text(&out, "createdTime", ids->created_time);
	json_member_text(&out, "rid", ids->version_rid);
	json_member_text(&out, "scheduleRid", ids->schedule_rid);
	json_name(&out, "scopeMode");
	if (is_there(scope))
		json_put_node(&out, scope);
	else
		buffer_append(&out, TEXT("{\"type\":\"user\"}"));
	if (is_there(trigger)) {
		json_name(&out, "trigger");
		json_put_node(&out, trigger);
	}
	json_close(&out, '}');
	read->draft->json = buffer_keep(&out, read->arena);
}

/* Checks it as whoever plans it will: the places are those of the body. */
static void
check_version(struct draft_reader *read)
{
	struct json_document *document =
	    json_parse(read->draft->json, DOCUMENT_DEPTH_MAX, NULL);

	if (document == NULL) {
		reader_fault(read->reader, &root, "is nested too deep");
		return;
	}
	schedule_version_read(read->reader, &root, json_root(document),
	    &read->draft->version, NULL);
	json_destroy(document);
}

static void
read_body(struct draft_reader *read, const struct draft_ids *ids)
{
	static const char *const known[] = { "*action", "displayName",
		"description", "scopeMode", "trigger", NULL };
	struct place at = place_member(&root, TEXT("trigger"));
	const struct json *trigger;
	struct zones *zones;

	if (!read_object(read->reader, &root, read->body, known) ||
	    json_get(read->body, "action") == NULL)
		return;
	read->draft->display_name = read_prose(
	    read, "displayName", DISPLAY_NAME_MAX, &read->has_long_name);
	read->draft->description = read_prose(
	    read, "description", DESCRIPTION_MAX, &read->has_long_description);
	write_version(read, ids);
	check_version(read);
	trigger = json_get(read->body, "trigger");
	if (!is_there(trigger))
		return;
	zones = zones_create();
	trigger_read(read->reader, &at, trigger, zones, &read->trigger);
	zones_destroy(zones);
}

void
draft_refuse_fault(const struct reader *reader, struct draft_refusal *refusal)
{
	struct text fault = reader->faults[0], what = fault, path = fault;
	size_t i = 0;

	while (i + 1 < fault.size && memcmp(fault.at + i, ": ", 2) != 0)
		i++;
	path.size = i;
	what.at += i + 2;
	what.size -= i + 2;
	/* "$.a" -> "a", "$[0]" -> "[0]", "$" -> "body" */
	i = path.size > 1 && path.at[1] == '.' ? 2 : 1;
	path.at += i;
	path.size -= i < path.size ? i : path.size;
	*refusal = (struct draft_refusal){
		.error = API_INVALID_ARGUMENT,
		.parameters = {
		    PARAMETER_T(
			"parameter", path.size > 0 ? path : TEXT("body")),
		    PARAMETER_T("reason", what),
		    PARAMETER_END,
		},
	};
}

/* The faults that the API has a name for. */
static bool
find_named(const struct draft_reader *read, struct draft_refusal *refusal)
{
	const struct schedule_version *version = &read->draft->version;
	const struct {
		bool holds;
		enum api_error error;
		struct api_parameter parameter;
	} faults[] = {
		{ read->has_long_name, API_INVALID_NAME, PARAMETER_END },
		{ read->has_long_description, API_INVALID_DESCRIPTION,
		    PARAMETER_END },
		{ version->target_rids.n == 0, API_MISSING_TARGETS,
		    PARAMETER_END },
		{ version->target_type == TARGET_CONNECTING &&
			version->input_rids.n == 0,
		    API_MISSING_INPUTS, PARAMETER_END },
		{ read->trigger.flaw == TRIGGER_EMPTY_AND,
		    API_INVALID_AND_TRIGGER, PARAMETER_END },
		{ read->trigger.flaw == TRIGGER_EMPTY_OR,
		    API_INVALID_OR_TRIGGER, PARAMETER_END },
		{ read->trigger.flaw == TRIGGER_BAD_CRON,
		    API_INVALID_TIME_TRIGGER,
		    PARAMETER_T("cronExpression", read->trigger.cron) },
		{ read->draft->json.size > VERSION_SIZE_MAX, API_BODY_TOO_LARGE,
		    PARAMETER_I("maximumBytes", VERSION_SIZE_MAX) },
	};
	size_t i;

	for (i = 0; i < sizeof faults / sizeof faults[0]; i++)
		if (faults[i].holds) {
			*refusal = (struct draft_refusal){ faults[i].error,
				{ faults[i].parameter, PARAMETER_END } };
			return true;
		}
	return false;
}

int
schedule_draft_read(const struct json *body, const struct draft_ids *ids,
    struct arena *arena, struct schedule_draft *draft,
    struct draft_refusal *refusal)
{
	struct draft_reader read = {
		.reader = reader_create(arena),
		.arena = arena,
		.body = body,
		.draft = draft,
	};

	*draft = (struct schedule_draft){ 0 };
	read_body(&read, ids);
	if (read.reader->n_faults > 0) {
		draft_refuse_fault(read.reader, refusal);
		return -1;
	}
	return find_named(&read, refusal) ? -1 : 0;
}
