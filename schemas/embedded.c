#include "schemas/embedded.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/embed.h"

EMBED(embedded_run_request, "schemas/run_request.avsc")
EMBED(embedded_schedule_run, "schemas/schedule_run.avsc")
EMBED(embedded_build_requested, "schemas/build_requested.avsc")
EMBED(embedded_build_requested_v1, "schemas/build_requested_v1.avsc")
EMBED(embedded_dataset_committed, "schemas/dataset_committed.avsc")
EMBED(embedded_build_finished, "schemas/build_finished.avsc")
EMBED(embedded_logic_published, "schemas/logic_published.avsc")
EMBED(embedded_ids, "schemas/ids")

EMBED(lua_take, "schemas/lua/take.lua")
EMBED(lua_overwrite, "schemas/lua/overwrite.lua")
EMBED(lua_release, "schemas/lua/release.lua")
EMBED(lua_pending, "schemas/lua/pending.lua")
EMBED(lua_drop, "schemas/lua/drop.lua")
EMBED(lua_fold, "schemas/lua/fold.lua")
EMBED_BOTH(lua_change, "schemas/lua/index.lua", "schemas/lua/change.lua")
EMBED(lua_refresh, "schemas/lua/refresh.lua")
EMBED(lua_write_branches, "schemas/lua/write_branches.lua")
EMBED(lua_mark_build, "schemas/lua/mark_build.lua")
EMBED(lua_take_lease, "schemas/lua/take_lease.lua")
EMBED(lua_keep_lease, "schemas/lua/keep_lease.lua")
EMBED(lua_note_job, "schemas/lua/note_job.lua")
EMBED(lua_begin_stage, "schemas/lua/begin_stage.lua")
EMBED(lua_next_generation, "schemas/lua/next_generation.lua")
EMBED_BOTH(lua_publish, "schemas/lua/index.lua", "schemas/lua/publish.lua")
EMBED(lua_unlock, "schemas/lua/unlock.lua")
EMBED(lua_renew, "schemas/lua/renew.lua")
EMBED(lua_stand, "schemas/lua/stand.lua")
EMBED(lua_meet, "schemas/lua/meet.lua")
EMBED(lua_satisfy, "schemas/lua/satisfy.lua")

static const struct shipped {
	const char *name, *file;
	const char *at, *end;
} shipped[MESSAGES] = {
	[MESSAGE_RUN_REQUEST] = { "schedrun.RunRequest", "run_request.avsc",
	    embedded_run_request, embedded_run_request_end },
	[MESSAGE_SCHEDULE_RUN] = { "schedrun.ScheduleRun", "schedule_run.avsc",
	    embedded_schedule_run, embedded_schedule_run_end },
	[MESSAGE_BUILD_REQUESTED] = { "schedrun.BuildRequested",
	    "build_requested.avsc", embedded_build_requested,
	    embedded_build_requested_end },
	[MESSAGE_DATASET_COMMITTED] = { "schedrun.DatasetCommitted",
	    "dataset_committed.avsc", embedded_dataset_committed,
	    embedded_dataset_committed_end },
	[MESSAGE_BUILD_FINISHED] = { "schedrun.BuildFinished",
	    "build_finished.avsc", embedded_build_finished,
	    embedded_build_finished_end },
	[MESSAGE_LOGIC_PUBLISHED] = { "schedrun.LogicPublished",
	    "logic_published.avsc", embedded_logic_published,
	    embedded_logic_published_end },
};

struct text
message_schema(enum message message)
{
	const struct shipped *s = &shipped[message];

	return (struct text){ s->at, (size_t)(s->end - s->at) };
}

const char *
message_name(enum message message)
{
	return shipped[message].name;
}

static uint32_t
id_of(const char *file)
{
	const char *line = embedded_ids;
	size_t size = strlen(file);

	while (*line != '\0') {
		struct text rest = text_from(line);
		int64_t id;

		if (text_take_number(&rest, 10, &id) && rest.at[0] == ' ' &&
		    strncmp(rest.at + 1, file, size) == 0 &&
		    rest.at[1 + size] == ' ')
			return (uint32_t)id;
		line = strchr(line, '\n');
		if (line == NULL)
			break;
		line++;
	}
	abort(); /* the shipped file names every message: a test reads it */
}

uint32_t
message_shipped_id(enum message message)
{
	return id_of(shipped[message].file);
}

struct text
message_shipped_schema(uint32_t id)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		if (message_shipped_id((enum message)i) == id)
			return message_schema((enum message)i);
	if (id == id_of("build_requested_v1.avsc"))
		return text_from(embedded_build_requested_v1);
	return TEXT_NONE;
}
