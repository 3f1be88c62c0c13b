#include "worker/base/fault.h"

#ifdef SCHEDRUN_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

	if (wanted == NULL || strncmp(wanted, point, size) != 0 ||
	    wanted[size] != ':')
		return;
	if (atomic_fetch_add(&passed, 1) + 1 == atol(wanted + size + 1))
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
	const char *wanted = getenv(variable);
	long ms = wanted != NULL ? atol(wanted) : 0;
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	if (ms > 0)
		nanosleep(&time, NULL);
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
