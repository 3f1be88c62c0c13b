#include "worker/base/fault.h"

#ifdef SCHEDRUN_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

static void
crash(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

void
fault_point(const char *point)
{
	static atomic_long passed;
	const char *wanted = getenv("SCHEDRUN_CRASH_AT");
	size_t size = strlen(point);
	int64_t time;

	if (wanted == NULL || strncmp(wanted, point, size) != 0 ||
	    wanted[size] != ':')
		return;
	if (text_to_number(text_from(wanted + size + 1), INT64_MAX, &time) &&
	    atomic_fetch_add(&passed, 1) + 1 == time)
		crash();
}

void
fault_record(struct text request_id)
{
	const char *wanted = getenv("SCHEDRUN_CRASH_ON");

	if (wanted != NULL && text_starts_with(request_id, text_from(wanted)))
		crash();
}

/* Sleeps for as many milliseconds as the variable says. */
static void
rest(const char *variable)
{
	int64_t ms = 0;

	if (text_to_number(text_from(getenv(variable)), INT64_MAX, &ms))
		clock_wait(ms);
}

void
fault_slow_plan(void)
{
	rest("SCHEDRUN_SLOW_PLAN");
}

void
fault_slow_cut(void)
{
	static atomic_bool is_over;

	if (!atomic_exchange(&is_over, true))
		rest("SCHEDRUN_SLOW_CUT");
}

bool
fault_keep_suspect(void)
{
	return getenv("SCHEDRUN_KEEP_SUSPECT") != NULL;
}

#else
/* ISO C wants something in every translation unit. */
extern int fault_none;
#endif
