#include "producer/api/json.h"

#include "common/base/clock.h"
#include "common/json/node.h"
#include "common/json/write.h"
#include "schemas/stored/document.h"
#include "schemas/stored/trigger.h"

/* Always with three digits and Z, whatever a document said. */
static void
put_time(struct buffer *out, const char *name, struct text stored)
{
	int64_t ms = 0;

	clock_parse(stored, &ms);
	json_member_time(out, name, ms);
}

static void
put_bool(struct buffer *out, const char *name, const struct json *node)
{
	json_member_bool(out, name, node != NULL && json_bool(node));
}

/* A member as it is stored; `fallback` (JSON) if it isn't there. */
static void
put_node(struct buffer *out, const char *name, const struct json *node,
    const char *fallback)
{
	json_name(out, name);
	if (node != NULL)
		json_put_node(out, node);
	else
		buffer_append(out, text_from(fallback));
}

static void
put_optional(struct buffer *out, const char *name, const struct json *node)
{
	if (node != NULL && json_type_of(node) != JSON_TYPE_NULL)
		put_node(out, name, node, NULL);
}

static void
put_target(
    struct buffer *out, const struct json *node, enum target_type target_type)
{
	json_member_open(out, "target", '{');
	put_node(out, "type", json_get(node, "type"), NULL);
	if (target_type == TARGET_CONNECTING)
		put_node(out, "inputRids", json_get(node, "inputRids"), "[]");
	put_node(out, "targetRids", json_get(node, "targetRids"), NULL);
	if (target_type != TARGET_MANUAL)
		put_node(
		    out, "ignoredRids", json_get(node, "ignoredRids"), "[]");
	json_close(out, '}');
}

static void
put_action(
    struct buffer *out, const struct json *node, enum target_type target_type)
{
	json_member_open(out, "action", '{');
	put_target(out, json_get(node, "target"), target_type);
	put_node(out, "branchName", json_get(node, "branchName"), NULL);
	put_node(
	    out, "fallbackBranches", json_get(node, "fallbackBranches"), "[]");
	put_bool(out, "forceBuild", json_get(node, "forceBuild"));
	put_optional(out, "retryCount", json_get(node, "retryCount"));
	put_optional(out, "retryBackoffDuration",
	    json_get(node, "retryBackoffDuration"));
	put_bool(out, "abortOnFailure", json_get(node, "abortOnFailure"));
	put_bool(out, "notificationsEnabled",
	    json_get(node, "notificationsEnabled"));
	json_close(out, '}');
}

/* Whether the profile's clients can decode it. */
static bool
is_decodable(const struct json *node, enum http_profile profile)
{
	const struct place root = { .parent = NULL };
	struct arena *arena = arena_create(1024);
	struct reader *reader = reader_create(arena);
	struct trigger trigger;
	bool fine;
	int i;

	trigger_read(reader, &root, node, NULL, &trigger);
	fine = reader->n_faults == 0;
	for (i = 0; i < TRIGGER_TYPES; i++)
		if (trigger.has[i] &&
		    !http_profile_knows_trigger(profile,
			text_from(trigger_type_name((enum trigger_type)i))))
			fine = false;
	arena_destroy(arena);
	return fine;
}

static void
put_trigger(
    struct buffer *out, const struct json *node, enum http_profile profile)
{
	if (node != NULL && json_type_of(node) != JSON_TYPE_NULL &&
	    is_decodable(node, profile))
		put_node(out, "trigger", node, NULL);
}

/* Trigger, action and scope: what a schedule and its version share. */
static int
put_plan(struct buffer *out, struct text stored, struct text rid,
    enum http_profile profile, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct schedule_version version;
	struct json_document *document = NULL;
	const struct json *root;
	int rc = schedule_version_parse(stored, rid, arena, &version, err);

	if (rc == 0) {
		document = json_parse(stored, DOCUMENT_DEPTH_MAX, err);
		root = json_root(document);
		put_trigger(out, json_get(root, "trigger"), profile);
		put_action(out, json_get(root, "action"), version.target_type);
		put_node(out, "scopeMode", json_get(root, "scopeMode"), NULL);
	} else {
		error_prefix(err, "stored version %.*s", TEXT_ARG(rid));
	}
	json_destroy(document);
	arena_destroy(arena);
	return rc;
}

int
schedule_write_api(const struct schedule_access *schedule,
    enum http_profile profile, struct buffer *out, struct error *err)
{
	const struct schedule_about *about = &schedule->about;
	struct text version_rid = schedule->head.current_version_rid;

	json_open(out, '{');
	json_member_known(out, "rid", schedule->rid);
	json_member_known(out, "displayName", about->display_name);
	json_member_known(out, "description", about->description);
	json_member_known(out, "currentVersionRid", version_rid);
	put_time(out, "createdTime", about->created_time);
	json_member_known(out, "createdBy", about->created_by);
	put_time(out, "updatedTime", about->updated_time);
	json_member_known(out, "updatedBy", about->updated_by);
	json_member_bool(out, "paused", schedule->head.paused);
	if (put_plan(out, schedule->version, version_rid, profile, err) != 0)
		return -1;
	json_close(out, '}');
	return 0;
}

int
schedule_version_write_api(const struct version_access *version,
    enum http_profile profile, struct buffer *out, struct error *err)
{
	json_open(out, '{');
	json_member_known(out, "rid", version->version.rid);
	json_member_known(out, "scheduleRid", version->version.schedule_rid);
	put_time(out, "createdTime", version->version.created_time);
	json_member_known(out, "createdBy", version->version.created_by);
	if (put_plan(out, version->json, version->version.rid, profile, err) !=
	    0)
		return -1;
	json_close(out, '}');
	return 0;
}
