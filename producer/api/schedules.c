#include "producer/api/schedules.h"

#include "common/json/write.h"
#include "producer/api/batch.h"
#include "producer/api/json.h"
#include "producer/dryrun/affected.h"

#define BATCH_MAX 1000
#define SLICE 100 /* schedules whose versions are in memory at once */

static void
refuse_missing(struct http_call *call)
{
	http_call_refuse(call, API_SCHEDULE_NOT_FOUND, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRid", call->asked.rids[0]),
		PARAMETER_END });
}

static bool
is_visible(const struct schedule_access *schedule)
{
	return schedule->exists && !schedule->head.deleted &&
	    schedule->right != RIGHT_NONE;
}

bool
http_schedules_find(struct http_call *call, struct work_redis *redis,
    bool want_version, struct schedule_access *schedule)
{
	struct access access = http_call_access(call, redis);

	if (access_read(&access, &call->asked.rids[0], 1, want_version,
		schedule, &call->job.error) != 0)
		return false;
	if (is_visible(schedule))
		return true;
	refuse_missing(call);
	return false;
}

void
http_schedules_get(struct http_call *call, struct work_redis *redis)
{
	struct schedule_access schedule;

	if (http_schedules_find(call, redis, true, &schedule))
		schedule_write_api(&schedule, call->asked.profile,
		    &call->answer.body, &call->job.error);
}

/* A stretch of the batch; what is not there or not visible is left out. */
static int
write_slice(struct http_call *call, struct access *access,
    const struct text *rids, size_t n)
{
	struct schedule_access schedules[SLICE];
	size_t i;

	if (access_read(access, rids, n, true, schedules, &call->job.error) !=
	    0)
		return -1;
	for (i = 0; i < n; i++) {
		if (!is_visible(&schedules[i]))
			continue;
		json_name_text(&call->answer.body, rids[i]);
		if (schedule_write_api(&schedules[i], call->asked.profile,
			&call->answer.body, &call->job.error) != 0 ||
		    !http_batch_has_room(call))
			return -1;
	}
	return 0;
}

void
http_schedules_get_batch(struct http_call *call, struct work_redis *redis)
{
	struct access access = http_call_access(call, redis);
	struct text_list rids;
	size_t done, n;
	int rc = 0;

	if (!http_batch_read(call, "scheduleRid", BATCH_MAX, &rids))
		return;
	access.arena = arena_create(0);
	json_open(&call->answer.body, '{');
	json_member_open(&call->answer.body, "data", '{');
	for (done = 0; rc == 0 && done < rids.n; done += n) {
		n = rids.n - done < SLICE ? rids.n - done : SLICE;
		arena_reset(access.arena, SIZE_MAX);
		rc = write_slice(call, &access, rids.at + done, n);
	}
	json_close(&call->answer.body, '}');
	json_close(&call->answer.body, '}');
	arena_destroy(access.arena);
}

void
http_schedules_affected(struct http_call *call, struct work_redis *redis)
{
	struct schedule_access schedule;
	struct text_list datasets;
	size_t i;

	if (!http_schedules_find(call, redis, false, &schedule) ||
	    affected_find(redis->planner, schedule.rid, call->arena, &datasets,
		&call->job.error) != 0)
		return;
	json_open(&call->answer.body, '{');
	json_member_open(&call->answer.body, "datasets", '[');
	for (i = 0; i < datasets.n; i++)
		json_put_text(&call->answer.body, datasets.at[i]);
	json_close(&call->answer.body, ']');
	json_close(&call->answer.body, '}');
}

/*
 * The version that the path names and its schedule, which may be deleted.
 * Visible with its schedule.
 */
static bool
find_version(struct http_call *call, struct access *access,
    struct version_access *version, struct schedule_access *schedule,
    bool want_current)
{
	struct text rid = call->asked.rids[0];

	if (access_read_version(access, rid, version, &call->job.error) != 0)
		return false;
	if (version->json.at != NULL) {
		if (access_read(access, &version->version.schedule_rid, 1,
			want_current, schedule, &call->job.error) != 0)
			return false;
		if (schedule->exists && schedule->right != RIGHT_NONE)
			return true;
	}
	http_call_refuse(call, API_VERSION_NOT_FOUND, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("scheduleVersionRid", rid), PARAMETER_END });
	return false;
}

void
http_versions_get(struct http_call *call, struct work_redis *redis)
{
	struct access access = http_call_access(call, redis);
	struct version_access version;
	struct schedule_access schedule;

	if (find_version(call, &access, &version, &schedule, false))
		schedule_version_write_api(&version, call->asked.profile,
		    &call->answer.body, &call->job.error);
}

void
http_versions_schedule(struct http_call *call, struct work_redis *redis)
{
	struct access access = http_call_access(call, redis);
	struct version_access version;
	struct schedule_access schedule;

	if (!find_version(call, &access, &version, &schedule, true))
		return;
	if (!schedule.head.deleted)
		schedule_write_api(&schedule, call->asked.profile,
		    &call->answer.body, &call->job.error);
	else if (!http_profile_takes_no_content(call->asked.head))
		json_put_null(&call->answer.body);
}
