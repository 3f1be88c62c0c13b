#ifndef SCHEDRUN_BENCH_REQUESTS_H
#define SCHEDRUN_BENCH_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The requests of a benchmark: record i of the backlog is a function of i and
 * of the mix, so that whoever reads the results can check them without having
 * seen the requests.  Each 20th record repeats an earlier request.
 *   mix         three requests of four are by one of 1,024 users, 1 in 64 pins
 *               the version, each has a trigger's text of its own
 *   once        the same, of no schedule twice
 *   repeat      nobody's, without a pin and all with one text: the same
 *               questions over and over
 *   wide, connecting   as mix; their catalogues differ (mixes.py)
 */
#define REQUEST_REPEATS 20 /* one of so many */
#define REQUEST_SIZE_MAX 384
#define SCHEDULE_SIZE 63 /* "ri.scheduler.main.schedule.<uuid>" */

struct mix {
	uint32_t schedules;
	int is_once;
	int is_repeat;
};

/* "NAME:SCHEDULES"; another text ends the program. */
struct mix mix_parse(const char *text);

/* Which request record i is: i, or an earlier one. */
uint64_t request_of_record(uint64_t i);

/* How many different requests the first `n` records are. */
uint64_t requests_distinct(uint64_t n);

/* Writes the schedule's rid and a NUL. */
void request_schedule(
    uint64_t request, const struct mix *mix, char out[SCHEDULE_SIZE + 1]);

/* Odd schedules are up to date, even ones stale: request gets a build. */
int request_is_stale(uint64_t request, const struct mix *mix);

/* Writes a framed RunRequest; returns its size. */
size_t request_encode(uint64_t request, const struct mix *mix, int64_t now_ms,
    char out[REQUEST_SIZE_MAX]);

/*
 * The request that a framed RunRequest, ScheduleRun or BuildRequested is for;
 * UINT64_MAX: it is for none, or what it says of its schedule, of who asked and
 * why is not that request's.  `submitted`: 1 it is a build or has one, 0 it has
 * none, -1 an error.
 */
uint64_t request_read(
    const char *value, size_t size, const struct mix *mix, int *submitted);

#endif
