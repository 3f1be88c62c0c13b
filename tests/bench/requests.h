#ifndef SCHEDRUN_BENCH_REQUESTS_H
#define SCHEDRUN_BENCH_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The requests of a benchmark: record i of the backlog is a function of i, so
 * that whoever reads the results can check them without having seen the
 * requests.  Each 20th record repeats an earlier request.
 */
#define REQUEST_REPEATS 20 /* one of so many */
#define REQUEST_SIZE_MAX 256
#define SCHEDULE_SIZE 63 /* "ri.scheduler.main.schedule.<uuid>" */

/* Which request record i is: i, or an earlier one. */
uint64_t request_of_record(uint64_t i);

/* How many different requests the first `n` records are. */
uint64_t requests_distinct(uint64_t n);

/* Writes the schedule's rid and a NUL. */
void request_schedule(
    uint64_t request, uint32_t schedules, char out[SCHEDULE_SIZE + 1]);

/* Odd schedules are up to date, even ones stale: request gets a build. */
int request_is_stale(uint64_t request, uint32_t schedules);

/* Writes a framed RunRequest; returns its size. */
size_t request_encode(uint64_t request, uint32_t schedules, int64_t now_ms,
    char out[REQUEST_SIZE_MAX]);

/*
 * The request that a framed RunRequest, ScheduleRun or BuildRequested is for;
 * UINT64_MAX: it is for none, or its schedule is not that request's.
 * `submitted`: 1 it is a build or has one, 0 it has none, -1 an error.
 */
uint64_t request_read(
    const char *value, size_t size, uint32_t schedules, int *submitted);

#endif
