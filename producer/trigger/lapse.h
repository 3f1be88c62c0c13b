#ifndef SCHEDRUN_PRODUCER_TRIGGER_LAPSE_H
#define SCHEDRUN_PRODUCER_TRIGGER_LAPSE_H

#include <stdint.h>

/*
 * The time that triggers go by: the wall's.  A test build (-DSCHEDRUN_FAULTS)
 * lets it pass faster, by SCHEDRUN_TIME_LAPSE=base:rate, from the moment
 * `base` on (ms since 1970) `rate` times as fast.
 */
int64_t lapse_now_ms(void);
/* How long to wait for a moment of it, in ms of the wall; 0: it has come. */
int64_t lapse_until_ms(int64_t at_ms);

#endif
