#ifndef SCHEDRUN_WORKER_BASE_FAULT_H
#define SCHEDRUN_WORKER_BASE_FAULT_H

/*
 * Faults that a test build (-DSCHEDRUN_FAULTS) brings about by itself; in every
 * other build they are nothing.
 *
 *   SCHEDRUN_CRASH_AT=B3:17   SIGKILL at the 17th passing of the point B3
 *   SCHEDRUN_CRASH_ON=text    SIGKILL when a request of such an id is planned
 *   SCHEDRUN_SLOW_PLAN=ms     each batch takes so long to plan
 *   SCHEDRUN_SLOW_CUT=ms      the first batch takes so long between poll and
 * cut SCHEDRUN_KEEP_SUSPECT=1   the rebuild rule is off
 */
#include <stdbool.h>

#include "common/base/text.h"

#ifdef SCHEDRUN_FAULTS
/* `point` is a literal: A1 to A4, B1 to B5 (docs/delivery.md, section 6). */
void fault_point(const char *point);
/* A request is planned next: CRASH_ON's, by the start of its requestId. */
void fault_record(struct text request_id);
/* Sleep here, as SLOW_PLAN and SLOW_CUT say. */
void fault_slow_plan(void);
void fault_slow_cut(void);
/* For commit_verdict. */
bool fault_keep_suspect(void);
#else
static inline void
fault_point(const char *point)
{
	(void)point;
}

static inline void
fault_record(struct text request_id)
{
	(void)request_id;
}

static inline void
fault_slow_plan(void)
{
}

static inline void
fault_slow_cut(void)
{
}

static inline bool
fault_keep_suspect(void)
{
	return false;
}
#endif

#endif
