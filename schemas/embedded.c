#include "schemas/embedded.h"

#include <stdlib.h>
#include <string.h>

/* The assembler includes the files: their bytes as they are, at no cost. */
#define EMBED(name, file)                                                      \
	__asm__(".section .rodata\n"                                           \
		".global embedded_" #name "\n"                                 \
		".global embedded_" #name "_end\n"                             \
		"embedded_" #name ":\n"                                        \
		".incbin \"schemas/" file "\"\n"                               \
		"embedded_" #name "_end:\n"                                    \
		".byte 0\n"                                                    \
		".previous\n");                                                \
	extern const char embedded_##name[], embedded_##name##_end[];

EMBED(run_request, "run_request.avsc")
EMBED(schedule_run, "schedule_run.avsc")
EMBED(build_requested, "build_requested.avsc")
EMBED(ids, "ids")

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

uint32_t
message_shipped_id(enum message message)
{
	const char *line = embedded_ids;
	size_t size = strlen(shipped[message].file);

	while (*line != '\0') {
		char *end;
		unsigned long id = strtoul(line, &end, 10);

		if (end != line && *end == ' ' &&
		    strncmp(end + 1, shipped[message].file, size) == 0 &&
		    end[1 + size] == ' ')
			return (uint32_t)id;
		line = strchr(line, '\n');
		if (line == NULL)
			break;
		line++;
	}
	abort(); /* the shipped file names every message: a test reads it */
}
