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
 *
 * A program's families are the rows of one table, counted by the row's number:
 * metrics_add(metrics, WORKER_DUPLICATES, 1, n) adds to the series of the
 * label's second value.
 */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics;
struct metric; /* one series */

struct metric_row {
	enum metric_type type;
	const char *name;
	const char *label; /* NULL: one series, or labels by metrics_label */
	const char *const *values; /* of the label, ended by NULL; NULL: none */
	const char *help;
	size_t max; /* of the row's series; 0: those of `values`, or one */
	const double *bounds; /* of a histogram, ascending; NULL: of seconds, 1
				 ms to 60 s x 2.5 */
	size_t n_bounds;
};

/* `librdkafka`: its version, for build_info; a literal, borrowed. */
struct metrics *metrics_create(const char *librdkafka);
void metrics_destroy(struct metrics *metrics);

/*
 * Takes the program's table, which must live as long; once, before the first
 * thread.  The series of all `values` are there from now on.
 */
void metrics_use(
    struct metrics *metrics, const struct metric_row *rows, size_t n_rows);

/*
 * Of the table: `i` is the number of the label's value, 0 without a label.  A
 * series that isn't there is passed over.  Any thread.
 */
void metrics_add(struct metrics *metrics, size_t row, size_t i, uint64_t n);
void metrics_set(struct metrics *metrics, size_t row, size_t i, double value);
void metrics_observe(struct metrics *metrics, size_t row, size_t i,
    double value, uint64_t n); /* `n` times */

/*
 * The number of the label's value; a new one gets a series of its own, and what
 * is beyond the row's `max` shares the last, "other".  Any thread.
 */
size_t metrics_index(struct metrics *metrics, size_t row, const char *value);

/*
 * Makes the i-th series with these labels unless it is there; nothing beyond
 * `max`.  Any thread.
 */
void metrics_label(
    struct metrics *metrics, size_t row, size_t i, const char *labels);

/* Drops a gauge's series until it is set again: a partition that is gone. */
void metrics_hide(struct metrics *metrics, size_t row, size_t i);

/*
 * Beside the table, a series of the family `name`; `labels` is "" or
 * 'outcome="error"' as it stands between the braces.  Asking again for the same
 * gives the same series. Any thread; keep the pointer, looking up takes a lock.
 */
struct metric *metrics_series(struct metrics *metrics, enum metric_type type,
    const char *name, const char *labels, const char *help);

/* Of one series that the caller has. */
void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, double value);

/*
 * The exposition, with what every program of ours tells of itself: the
 * process_* family, schedrun_build_info, lines that were not logged.  `open`:
 * as OpenMetrics 1.0, else as Prometheus' text 0.0.4; the series are the same.
 */
void metrics_write(struct metrics *metrics, bool open, struct buffer *out);

#endif
