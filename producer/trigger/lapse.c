#include "producer/trigger/lapse.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"

/* How fast it passes, and from when on. */
static int64_t
lapse_rate(int64_t *base_ms)
{
	long long base = 0, rate = 1;

#ifdef SCHEDRUN_FAULTS
	const char *given = getenv("SCHEDRUN_TIME_LAPSE");

	if (given == NULL || sscanf(given, "%lld:%lld", &base, &rate) != 2)
		rate = 1;
#endif
	*base_ms = base;
	return rate;
}

int64_t
lapse_now_ms(void)
{
	int64_t base_ms, rate = lapse_rate(&base_ms);

	return base_ms + (clock_wall_ms() - base_ms) * rate;
}

int64_t
lapse_until_ms(int64_t at_ms)
{
	int64_t base_ms, rate = lapse_rate(&base_ms), now_ms = lapse_now_ms();

	return at_ms <= now_ms ? 0 : (at_ms - now_ms + rate - 1) / rate;
}
