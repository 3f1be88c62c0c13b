#ifndef SCHEDRUN_COMMON_BASE_METRICS_H
#define SCHEDRUN_COMMON_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/*
 * Metrics in Prometheus' text format 0.0.4.  A family is registered at start
 * with the full set of its label values, so that every series is there with 0
 * from the first scrape; names and labels are literals.  Updates are relaxed
 * atomics from any thread.
 */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics;
struct metric; /* one series */

/* `librdkafka`: its version, for build_info; a literal, borrowed. */
struct metrics *metrics_create(const char *librdkafka);
void metrics_destroy(struct metrics *metrics);

/*
 * A series of the family `name`; `labels` is "" or 'outcome="error"' as it
 * stands between the braces.  Asking again for the same gives the same series.
 * Any thread; keep the pointer, looking up takes a lock.
 */
struct metric *metrics_series(struct metrics *metrics, enum metric_type type,
    const char *name, const char *labels, const char *help);

/* Histogram with its own bounds, ascending; time ones use 1 ms to 60 s x 2.5.
 */
struct metric *metrics_histogram(struct metrics *metrics, const char *name,
    const char *labels, const char *help, const double *bounds, size_t n);
extern const double metrics_seconds[];
extern const size_t metrics_seconds_n;

void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double value, uint64_t n);

/* Drops a gauge's series: a partition that is no longer assigned. */
void metric_hide(struct metric *metric);

/*
 * The exposition, with what every program of ours tells of itself: the
 * process_* family, schedrun_build_info, lines that were not logged.
 */
void metrics_write(struct metrics *metrics, struct buffer *out);

#endif
