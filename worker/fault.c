#include "worker/fault.h"

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

void
fault_slow_plan(void)
{
	const char *wanted = getenv("SCHEDRUN_SLOW_PLAN");
	long ms = wanted != NULL ? atol(wanted) : 0;
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };

	if (ms > 0)
		nanosleep(&rest, NULL);
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
