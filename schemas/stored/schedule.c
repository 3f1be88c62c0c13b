#include "schemas/stored/schedule.h"

#include "common/crypto/rid.h"
#include "schemas/stored/time_unit.h"

const char *const target_types[] = { "manual", "upstream", "connecting", NULL };
const char *const scope_types[] = { "project", "user", NULL };

bool
text_list_has(const struct text_list *list, struct text text)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = text_compare(list->at[middle], text);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void
read_target(struct reader *reader, const struct place *action,
    const struct json *node, struct schedule_version *version)
{
	static const char *const manual[] = { "*type", "*targetRids", NULL };
	static const char *const upstream[] = { "*type", "*targetRids",
		"ignoredRids", NULL };
	static const char *const connecting[] = { "*type", "*targetRids",
		"inputRids", "ignoredRids", NULL };
	static const char *const *const known[] = {
		[TARGET_MANUAL] = manual,
		[TARGET_UPSTREAM] = upstream,
		[TARGET_CONNECTING] = connecting,
	};
	struct place place = place_member(action, TEXT("target"));

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_OBJECT))
		return;
	version->target_type = (enum target_type)read_choice(
	    reader, &place, node, "type", target_types, TARGET_CONNECTING);
	read_object(reader, &place, node, known[version->target_type]);
	version->n_named = read_rid_set(
	    reader, &place, node, "targetRids", &version->target_rids);
	version->n_named += read_rid_set(
	    reader, &place, node, "inputRids", &version->input_rids);
	version->n_named += read_rid_set(
	    reader, &place, node, "ignoredRids", &version->ignored_rids);
}

static void
read_backoff(struct reader *reader, const struct place *action,
    const struct json *node, struct duration *duration)
{
	static const char *const known[] = { "*unit", "*value", NULL };
	struct place place = place_member(action, TEXT("retryBackoffDuration"));
	int unit;

	*duration = (struct duration){ TEXT_NONE, 0 };
	if (json_type_of(node) == JSON_TYPE_NULL ||
	    !read_object(reader, &place, node, known))
		return;
	unit = read_choice(reader, &place, node, "unit", time_unit_names, 0);
	duration->unit = text_from(time_unit_names[unit]);
	duration->value = read_int(reader, &place, node, "value", 0);
}

static void
read_action(struct reader *reader, const struct place *version_place,
    const struct json *node, struct schedule_version *version)
{
	static const char *const known[] = { "*branchName", "*target",
		"fallbackBranches", "forceBuild", "abortOnFailure",
		"retryCount", "retryBackoffDuration", "notificationsEnabled",
		NULL };
	struct place place = place_member(version_place, TEXT("action"));

	if (node == NULL || !read_object(reader, &place, node, known))
		return;
	version->branch_name = read_text(reader, &place, node, "branchName");
	read_text_list(reader, &place, node, "fallbackBranches",
	    &version->fallback_branches);
	version->force_build =
	    read_bool(reader, &place, node, "forceBuild", false);
	version->abort_on_failure =
	    read_bool(reader, &place, node, "abortOnFailure", false);
	version->notifications_enabled =
	    read_bool(reader, &place, node, "notificationsEnabled", false);
	version->retry_count = read_int(reader, &place, node, "retryCount", 0);
	read_backoff(reader, &place, json_get(node, "retryBackoffDuration"),
	    &version->retry_backoff);
	read_target(reader, &place, json_get(node, "target"), version);
}

static void
read_scope(struct reader *reader, const struct place *version_place,
    const struct json *node, struct schedule_version *version)
{
	static const char *const project[] = { "*type", "*projectRids", NULL };
	static const char *const user[] = { "*type", NULL };
	struct place place = place_member(version_place, TEXT("scopeMode"));

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_OBJECT))
		return;
	version->scope = (enum scope_type)read_choice(
	    reader, &place, node, "type", scope_types, SCOPE_PROJECT);
	read_object(reader, &place, node,
	    version->scope == SCOPE_USER ? user : project);
	read_rid_set(
	    reader, &place, node, "projectRids", &version->project_rids);
}

void
schedule_version_read(struct reader *reader, const struct place *place,
    const struct json *node, struct schedule_version *version,
    struct schedule_head *head)
{
	static const char *const stored[] = { "*rid", "*scheduleRid",
		"*createdBy", "*scopeMode", "*action", "createdTime", "trigger",
		"displayName", "description", NULL };
	static const char *const planned[] = { "*rid", "*scheduleRid",
		"*createdBy", "*scopeMode", "*action", "createdTime", "trigger",
		"displayName", "description", "paused", "deleted", NULL };

	*version = (struct schedule_version){ 0 };
	if (head != NULL)
		*head = (struct schedule_head){ 0 };
	if (!read_object(reader, place, node, head != NULL ? planned : stored))
		return;
	version->rid = read_rid(reader, place, node, "rid");
	version->schedule_rid = read_rid(reader, place, node, "scheduleRid");
	version->created_by = read_text(reader, place, node, "createdBy");
	/* Not looked into: a document may have anything there. */
	version->created_time =
	    text_copy(reader->arena, json_text(json_get(node, "createdTime")));
	read_scope(reader, place, json_get(node, "scopeMode"), version);
	read_action(reader, place, json_get(node, "action"), version);
	if (head == NULL)
		return;
	head->paused = read_bool(reader, place, node, "paused", false);
	head->deleted = read_bool(reader, place, node, "deleted", false);
	head->current_version_rid = version->rid;
}

int
schedule_version_parse(struct text bytes, struct text rid, struct arena *arena,
    struct schedule_version *version, struct error *err)
{
	struct reader *reader = reader_create(arena);
	struct json_document *document;
	const struct place root = { .parent = NULL };

	if (bytes.size > VERSION_SIZE_MAX)
		return error_set(err, ERROR_INPUT,
		    "%zu bytes, more than a version may have (%d)", bytes.size,
		    VERSION_SIZE_MAX);
	document = json_parse(bytes, DOCUMENT_DEPTH_MAX, err);
	if (document == NULL)
		return -1;
	schedule_version_read(
	    reader, &root, json_root(document), version, NULL);
	json_destroy(document);
	if (reader_result(reader, err) != 0)
		return -1;
	if (!text_equal(version->rid, rid))
		return error_set(err, ERROR_INPUT, "is version %.*s, not %.*s",
		    TEXT_ARG(version->rid), TEXT_ARG(rid));
	return 0;
}

int
schedule_head_parse(
    struct text bytes, struct schedule_head *head, struct error *err)
{
	if (bytes.size < 3 || (bytes.at[0] != 'p' && bytes.at[0] != '-') ||
	    (bytes.at[1] != 'd' && bytes.at[1] != '-'))
		return error_set(
		    err, ERROR_INPUT, "the schedule's head is malformed");
	*head = (struct schedule_head){
		.paused = bytes.at[0] == 'p',
		.deleted = bytes.at[1] == 'd',
		.current_version_rid = { bytes.at + 2, bytes.size - 2 },
	};
	if (!rid_is_valid(head->current_version_rid))
		return error_set(
		    err, ERROR_INPUT, "the schedule's head names no version");
	return 0;
}

void
schedule_head_write(const struct schedule_head *head, struct buffer *out)
{
	buffer_byte(out, head->paused ? 'p' : '-');
	buffer_byte(out, head->deleted ? 'd' : '-');
	buffer_append(out, head->current_version_rid);
}
