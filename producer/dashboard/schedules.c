#include "producer/dashboard/schedules.h"

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/catalogue/version_lists.h"
#include "producer/trigger/timetable.h"

#define LISTED_MAX 1000
#define SLICE 100 /* whose rights are asked for at once */
#define VERSIONS_MAX 100
#define NEXT 10

/* The list ----------------------------------------------------------------- */

static void
put_listed(struct buffer *out, const struct schedule_access *schedule)
{
	json_open(out, '{');
	json_member_text(out, "rid", schedule->rid);
	json_member_known(out, "displayName", schedule->about.display_name);
	json_member_bool(out, "paused", schedule->head.paused);
	json_member_known(out, "updatedTime", schedule->about.updated_time);
	json_close(out, '}');
}

/* Those of a slice that he may see; returns how many, -1: failed. */
static int
put_slice(struct http_call *call, struct access *access,
    const struct text *rids, size_t n, struct text part)
{
	struct schedule_access schedules[SLICE];
	size_t i;
	int shown = 0;

	if (access_read(access, rids, n, false, schedules, &call->job.error) !=
	    0)
		return -1;
	for (i = 0; i < n; i++) {
		const struct schedule_access *schedule = &schedules[i];

		if (!schedule->exists || schedule->head.deleted ||
		    schedule->right == RIGHT_NONE ||
		    (!text_has_part(schedule->rid, part) &&
			!text_has_part(schedule->about.display_name, part)))
			continue;
		put_listed(&call->answer.body, schedule);
		shown++;
	}
	return shown;
}

static int
put_list(struct http_call *call, struct work_redis *redis, struct fields *heads,
    struct text part)
{
	struct access access = http_call_access(call, redis);
	const struct field *sorted = fields_sorted(heads);
	size_t n = fields_size(heads), at = 0, i, shown = 0;
	struct text rids[SLICE];
	int more = 0;

	access.arena = arena_create(0);
	while (at < n && shown < LISTED_MAX && more >= 0) {
		for (i = 0; i < SLICE && at < n; i++, at++)
			rids[i] = sorted[at].name;
		arena_reset(access.arena, SIZE_MAX);
		more = put_slice(call, &access, rids, i, part);
		shown += more > 0 ? (size_t)more : 0;
	}
	arena_destroy(access.arena);
	return more < 0 ? -1 : at < n;
}

void
dashboard_schedules_get(struct http_call *call, struct work_redis *redis)
{
	struct fields *heads = fields_create(call->arena);
	struct buffer *out = &call->answer.body;
	struct text part = TEXT("");
	int more = -1;

	http_path_get(&call->asked.path, "text", &part);
	json_open(out, '{');
	json_member_open(out, "schedules", '[');
	if (redis_connect(redis->schedules, &call->job.error) == 0 &&
	    fields_read(heads, redis->schedules,
		keyspace_key(call->app->keyspace, KEY_HEADS),
		&call->job.error) == 0)
		more = put_list(call, redis, heads, part);
	json_close(out, ']');
	json_member_bool(out, "more", more > 0);
	json_close(out, '}');
	fields_destroy(heads);
}

/* One -----------------------------------------------------------------------
 */

static void
put_versions(struct http_call *call, struct text list)
{
	struct buffer *out = &call->answer.body;
	struct text newest[VERSIONS_MAX], rid;
	size_t n = 0, i;

	while (version_list_next(&list, &rid))
		newest[n++ % VERSIONS_MAX] = rid;
	json_member_integer(out, "versionCount", (int64_t)n);
	json_member_open(out, "versions", '[');
	for (i = 0; i < n && i < VERSIONS_MAX; i++)
		json_put_text(out, newest[(n - 1 - i) % VERSIONS_MAX]);
	json_close(out, ']');
}

static void
put_due(struct buffer *out, const struct due *due)
{
	static const char *const notes[] = { [CRON_SKIPPED] =
						 "clocks skip it there",
		[CRON_TWICE] = "clocks show it twice: the first" };

	json_open(out, '{');
	json_member_time(out, "at", due->instant.at_s * 1000);
	json_member_text(out, "cron", due->trigger->expression);
	json_member_text(out, "zone", due->trigger->zone_name);
	if (due->trigger->is_part)
		json_member_string(out, "note", "part of an and");
	else if (due->instant.how != CRON_PLAIN)
		json_member_string(out, "note", notes[due->instant.how]);
	json_close(out, '}');
}

static void
put_next(struct http_call *call, struct text version)
{
	struct buffer *out = &call->answer.body;
	struct zones *zones = zones_create();
	struct timetable *table = NULL;
	int64_t after_s = clock_wall_ms() / 1000;
	struct error unread = { 0 };
	struct due due;
	int n;

	if (timetable_read(version, zones, &table, &unread) != 0)
		json_member_text(
		    out, "triggerError", text_from(unread.message));
	json_member_open(out, "next", '[');
	for (n = 0;
	     table != NULL && n < NEXT && timetable_next(table, after_s, &due);
	     n++) {
		put_due(out, &due);
		after_s = due.instant.at_s;
	}
	json_close(out, ']');
	timetable_destroy(table);
	zones_destroy(zones);
}

void
dashboard_schedule_get(struct http_call *call, struct work_redis *redis)
{
	struct access access = http_call_access(call, redis);
	struct text rid = call->asked.rids[0];
	struct fields *lists = fields_create(call->arena);
	struct schedule_access schedule;

	if (access_read(&access, &rid, 1, true, &schedule, &call->job.error) ==
		0 &&
	    (!schedule.exists || schedule.head.deleted ||
		schedule.right == RIGHT_NONE))
		http_call_refuse(call, API_SCHEDULE_NOT_FOUND, NULL,
		    (struct api_parameter[]){
			PARAMETER_T("scheduleRid", rid), PARAMETER_END });
	else if (call->job.error.kind == ERROR_NONE &&
	    version_lists_read(redis->schedules, call->app->keyspace, &rid, 1,
		lists, &call->job.error) == 0) {
		json_open(&call->answer.body, '{');
		json_member_bool(
		    &call->answer.body, "mayRun", schedule.right == RIGHT_ACT);
		put_versions(call, fields_get(lists, rid));
		if (schedule.version.at != NULL)
			put_next(call, schedule.version);
		json_close(&call->answer.body, '}');
	}
	fields_destroy(lists);
}
