#include "common/base/metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

static const double seconds_bounds[] = { 0.001, 0.0025, 0.00625, 0.015625,
	0.0390625, 0.09765625, 0.244140625, 0.6103515625, 1.52587890625,
	3.814697265625, 9.5367431640625, 23.84185791015625, 60 };
#define SECONDS_BOUNDS (sizeof seconds_bounds / sizeof seconds_bounds[0])
#define LABELS_SIZE 320

/* The series of a row; the places are set once and then read without a lock. */
struct row_series {
	struct metric *_Atomic *at;
	size_t max;
};

struct metric {
	struct metric *next; /* of its family */
	char *labels;
	const struct family *family;
	_Atomic uint64_t count; /* counter's value, histogram's number */
	_Atomic double value;   /* gauge's value, histogram's sum */
	_Atomic bool hidden;
	_Atomic uint64_t *buckets; /* of a histogram: bounds and +Inf */
};

struct family {
	struct family *next;
	const char *name, *help;
	enum metric_type type;
	const double *bounds;
	size_t n_bounds;
	struct metric *series, **last;
};

struct metrics {
	pthread_mutex_t lock; /* the lists; values are atomic */
	struct family *families, **last;
	double start_time;
	const char *librdkafka; /* its version */
	const struct metric_row *rows;
	struct row_series *series; /* of each row */
	size_t n_rows;
};

struct metrics *
metrics_create(const char *librdkafka)
{
	struct metrics *metrics = memory_zalloc(1, sizeof *metrics);

	pthread_mutex_init(&metrics->lock, NULL);
	metrics->last = &metrics->families;
	metrics->start_time = (double)time(NULL);
	metrics->librdkafka = librdkafka;
	return metrics;
}

void
metrics_destroy(struct metrics *metrics)
{
	struct family *family;
	size_t i;

	if (metrics == NULL)
		return;
	for (i = 0; i < metrics->n_rows; i++)
		free(metrics->series[i].at);
	free(metrics->series);
	for (family = metrics->families; family != NULL;) {
		struct family *next_family = family->next;
		struct metric *metric = family->series;

		while (metric != NULL) {
			struct metric *next = metric->next;

			free(metric->labels);
			free(metric->buckets);
			free(metric);
			metric = next;
		}
		free(family);
		family = next_family;
	}
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

static struct family *
find_family(struct metrics *metrics, const struct family *like)
{
	struct family *family;

	for (family = metrics->families; family != NULL; family = family->next)
		if (strcmp(family->name, like->name) == 0)
			return family;
	family = memory_alloc(sizeof *family);
	*family = *like;
	family->last = &family->series;
	*metrics->last = family;
	metrics->last = &family->next;
	return family;
}

static struct metric *
find_series(struct family *family, const char *labels)
{
	struct metric *metric;

	for (metric = family->series; metric != NULL; metric = metric->next)
		if (strcmp(metric->labels, labels) == 0)
			return metric;
	metric = memory_zalloc(1, sizeof *metric);
	metric->labels = memory_copy_string(labels);
	metric->family = family;
	if (family->type == METRIC_HISTOGRAM)
		metric->buckets = memory_zalloc(
		    family->n_bounds + 1, sizeof *metric->buckets);
	*family->last = metric;
	family->last = &metric->next;
	return metric;
}

/* Under the lock. */
static struct metric *
register_series(
    struct metrics *metrics, const struct metric_row *row, const char *labels)
{
	const struct family like = { .name = row->name,
		.help = row->help,
		.type = row->type,
		.bounds = row->bounds != NULL ? row->bounds : seconds_bounds,
		.n_bounds =
		    row->bounds != NULL ? row->n_bounds : SECONDS_BOUNDS };

	return find_series(find_family(metrics, &like), labels);
}

struct metric *
metrics_series(struct metrics *metrics, enum metric_type type, const char *name,
    const char *labels, const char *help)
{
	const struct metric_row row = {
		.type = type, .name = name, .help = help
	};
	struct metric *metric;

	pthread_mutex_lock(&metrics->lock);
	metric = register_series(metrics, &row, labels);
	pthread_mutex_unlock(&metrics->lock);
	return metric;
}

/* Under the lock. */
static void
put_series(struct metrics *metrics, size_t row, size_t i, const char *labels)
{
	atomic_store_explicit(&metrics->series[row].at[i],
	    register_series(metrics, &metrics->rows[row], labels),
	    memory_order_release);
}

static void
put_value(struct metrics *metrics, size_t row, size_t i, const char *value)
{
	char labels[LABELS_SIZE];

	snprintf(labels, sizeof labels, "%s=\"%s\"", metrics->rows[row].label,
	    value);
	put_series(metrics, row, i, labels);
}

void
metrics_use(
    struct metrics *metrics, const struct metric_row *rows, size_t n_rows)
{
	size_t row, i;

	metrics->rows = rows;
	metrics->n_rows = n_rows;
	metrics->series = memory_zalloc(n_rows, sizeof *metrics->series);
	for (row = 0; row < n_rows; row++) {
		size_t n = 0;

		while (rows[row].values != NULL && rows[row].values[n] != NULL)
			n++;
		/* The last place of a label's is for "other". */
		metrics->series[row].max =
		    rows[row].max > n ? rows[row].max : n + 1;
		metrics->series[row].at = memory_zalloc(
		    metrics->series[row].max, sizeof *metrics->series[row].at);
		for (i = 0; i < n; i++)
			put_value(metrics, row, i, rows[row].values[i]);
		if (rows[row].label == NULL && rows[row].max == 0)
			put_series(metrics, row, 0, "");
	}
}

size_t
metrics_index(struct metrics *metrics, size_t row, const char *value)
{
	struct row_series *series = &metrics->series[row];
	char labels[LABELS_SIZE];
	size_t i;

	snprintf(labels, sizeof labels, "%s=\"%s\"", metrics->rows[row].label,
	    value);
	pthread_mutex_lock(&metrics->lock);
	for (i = 0; i + 1 < series->max && series->at[i] != NULL; i++)
		if (strcmp(series->at[i]->labels, labels) == 0)
			break;
	if (series->at[i] == NULL)
		put_value(
		    metrics, row, i, i + 1 < series->max ? value : "other");
	pthread_mutex_unlock(&metrics->lock);
	return i;
}

void
metrics_label(struct metrics *metrics, size_t row, size_t i, const char *labels)
{
	if (i >= metrics->series[row].max || metrics->series[row].at[i] != NULL)
		return;
	pthread_mutex_lock(&metrics->lock);
	put_series(metrics, row, i, labels);
	pthread_mutex_unlock(&metrics->lock);
}

static struct metric *
series_at(const struct metrics *metrics, size_t row, size_t i)
{
	return i < metrics->series[row].max
	    ? atomic_load_explicit(
		  &metrics->series[row].at[i], memory_order_acquire)
	    : NULL;
}

void
metrics_add(struct metrics *metrics, size_t row, size_t i, uint64_t n)
{
	struct metric *metric = series_at(metrics, row, i);

	if (metric != NULL)
		metric_add(metric, n);
}

void
metrics_set(struct metrics *metrics, size_t row, size_t i, double value)
{
	struct metric *metric = series_at(metrics, row, i);

	if (metric == NULL)
		return;
	metric_set(metric, value);
	atomic_store_explicit(&metric->hidden, false, memory_order_relaxed);
}

static void
observe(struct metric *metric, double value, uint64_t n)
{
	const struct family *family = metric->family;
	size_t i = 0;
	double seen;

	while (i < family->n_bounds && value > family->bounds[i])
		i++;
	atomic_fetch_add_explicit(&metric->buckets[i], n, memory_order_relaxed);
	atomic_fetch_add_explicit(&metric->count, n, memory_order_relaxed);
	seen = atomic_load_explicit(&metric->value, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&metric->value, &seen,
	    seen + value * (double)n, memory_order_relaxed,
	    memory_order_relaxed))
		;
}

void
metrics_observe(
    struct metrics *metrics, size_t row, size_t i, double value, uint64_t n)
{
	struct metric *metric = series_at(metrics, row, i);

	if (metric != NULL)
		observe(metric, value, n);
}

void
metrics_hide(struct metrics *metrics, size_t row, size_t i)
{
	struct metric *metric = series_at(metrics, row, i);

	if (metric != NULL)
		atomic_store_explicit(
		    &metric->hidden, true, memory_order_relaxed);
}

void
metric_add(struct metric *metric, uint64_t n)
{
	atomic_fetch_add_explicit(&metric->count, n, memory_order_relaxed);
}

void
metric_set(struct metric *metric, double value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static double
value_of(const struct metric *metric)
{
	if (metric->family->type == METRIC_COUNTER)
		return (double)atomic_load_explicit(
		    &metric->count, memory_order_relaxed);
	return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static const char *
type_name(enum metric_type type)
{
	static const char *const names[] = { "counter", "gauge", "histogram" };

	return names[type];
}

/* To OpenMetrics a counter's family is its name without "_total". */
static void
write_head(struct buffer *out, bool open, const char *name,
    enum metric_type type, const char *help)
{
	size_t cut = open && type == METRIC_COUNTER ? strlen("_total") : 0;
	int n = (int)(strlen(name) - cut);

	buffer_format(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", n, name, help, n,
	    name, type_name(type));
}

/* name{labels} value, without braces where there are no labels. */
static void
write_sample(
    struct buffer *out, const char *name, const char *labels, double value)
{
	if (labels[0] == '\0')
		buffer_format(out, "%s %.17g\n", name, value);
	else
		buffer_format(out, "%s{%s} %.17g\n", name, labels, value);
}

static void
write_bucket(struct buffer *out, const struct metric *metric, const char *bound,
    uint64_t count)
{
	buffer_format(out, "%s_bucket{%s%sle=\"%s\"} %llu\n",
	    metric->family->name, metric->labels,
	    metric->labels[0] != '\0' ? "," : "", bound,
	    (unsigned long long)count);
}

static void
write_histogram(struct buffer *out, const struct metric *metric)
{
	const struct family *family = metric->family;
	char name[128], bound[32];
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < family->n_bounds; i++) {
		total += atomic_load_explicit(
		    &metric->buckets[i], memory_order_relaxed);
		snprintf(bound, sizeof bound, "%.10g", family->bounds[i]);
		if (strchr(bound, '.') == NULL) /* as OpenMetrics wants it */
			snprintf(
			    bound, sizeof bound, "%.1f", family->bounds[i]);
		write_bucket(out, metric, bound, total);
	}
	total +=
	    atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
	write_bucket(out, metric, "+Inf", total);
	snprintf(name, sizeof name, "%s_sum", family->name);
	write_sample(out, name, metric->labels, value_of(metric));
	snprintf(name, sizeof name, "%s_count", family->name);
	write_sample(out, name, metric->labels, (double)total);
}

static double
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	char line[128] = "";
	struct text second = TEXT_NONE;
	int64_t pages = 0;

	if (file == NULL)
		return 0;
	if (fgets(line, sizeof line, file) != NULL && strchr(line, ' ') != NULL)
		second = text_from(strchr(line, ' ') + 1);
	text_take_number(&second, 15, &pages);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double
open_fds(void)
{
	DIR *list = opendir("/proc/self/fd");
	double n = -3; /* ".", ".." and the listing's own */

	if (list == NULL)
		return 0;
	while (readdir(list) != NULL)
		n++;
	closedir(list);
	return n;
}

static void
write_gauge(
    struct buffer *out, const char *name, const char *help, double value)
{
	write_head(out, false, name, METRIC_GAUGE, help);
	write_sample(out, name, "", value);
}

static void
write_build(struct buffer *out, bool open, const char *librdkafka)
{
	char labels[160];

	snprintf(labels, sizeof labels,
	    "version=\"%s\",revision=\"%s\",librdkafka=\"%s\"",
	    SCHEDRUN_VERSION, SCHEDRUN_REVISION, librdkafka);
	write_head(out, open, "schedrun_build_info", METRIC_GAUGE,
	    "What runs here; always 1.");
	write_sample(out, "schedrun_build_info", labels, 1);
	write_head(out, open, "schedrun_log_lines_suppressed_total",
	    METRIC_COUNTER, "Log lines over log.rate, not written.");
	write_sample(out, "schedrun_log_lines_suppressed_total", "",
	    (double)log_suppressed());
}

static double
seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void
write_process(struct buffer *out, bool open, double start_time)
{
	struct rusage usage = { 0 };
	struct rlimit files = { 0 };

	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &files);
	write_head(out, open, "process_cpu_seconds_total", METRIC_COUNTER,
	    "User and system CPU time.");
	write_sample(out, "process_cpu_seconds_total", "",
	    seconds(usage.ru_utime) + seconds(usage.ru_stime));
	write_gauge(out, "process_resident_memory_bytes", "Resident memory.",
	    resident_bytes());
	write_gauge(out, "process_open_fds", "Open files.", open_fds());
	write_gauge(out, "process_max_fds", "Limit of open files.",
	    (double)files.rlim_cur);
	write_gauge(out, "process_start_time_seconds",
	    "Start of the process since 1970.", start_time);
}

void
metrics_write(struct metrics *metrics, bool open, struct buffer *out)
{
	const struct family *family;
	const struct metric *metric;

	pthread_mutex_lock(&metrics->lock);
	for (family = metrics->families; family != NULL;
	     family = family->next) {
		write_head(out, open, family->name, family->type, family->help);
		for (metric = family->series; metric != NULL;
		     metric = metric->next) {
			if (atomic_load_explicit(
				&metric->hidden, memory_order_relaxed))
				continue;
			if (family->type == METRIC_HISTOGRAM)
				write_histogram(out, metric);
			else
				write_sample(out, family->name, metric->labels,
				    value_of(metric));
		}
	}
	pthread_mutex_unlock(&metrics->lock);
	write_build(out, open, metrics->librdkafka);
	write_process(out, open, metrics->start_time);
	if (open)
		buffer_append(out, TEXT("# EOF\n"));
}
