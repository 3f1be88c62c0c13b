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

const double metrics_seconds[] = { 0.001, 0.0025, 0.00625, 0.015625, 0.0390625,
	0.09765625, 0.244140625, 0.6103515625, 1.52587890625, 3.814697265625,
	9.5367431640625, 23.84185791015625, 60 };
const size_t metrics_seconds_n =
    sizeof metrics_seconds / sizeof metrics_seconds[0];

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

static void
free_family(struct family *family)
{
	struct metric *metric = family->series;

	while (metric != NULL) {
		struct metric *next = metric->next;

		free(metric->labels);
		free(metric->buckets);
		free(metric);
		metric = next;
	}
	free(family);
}

void
metrics_destroy(struct metrics *metrics)
{
	struct family *family;

	if (metrics == NULL)
		return;
	for (family = metrics->families; family != NULL;) {
		struct family *next = family->next;

		free_family(family);
		family = next;
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

static struct metric *
register_series(
    struct metrics *metrics, const struct family *like, const char *labels)
{
	struct metric *metric;

	pthread_mutex_lock(&metrics->lock);
	metric = find_series(find_family(metrics, like), labels);
	atomic_store_explicit(&metric->hidden, false, memory_order_relaxed);
	pthread_mutex_unlock(&metrics->lock);
	return metric;
}

struct metric *
metrics_series(struct metrics *metrics, enum metric_type type, const char *name,
    const char *labels, const char *help)
{
	const struct family like = { .name = name,
		.help = help,
		.type = type,
		.bounds = metrics_seconds,
		.n_bounds = metrics_seconds_n };

	return register_series(metrics, &like, labels);
}

struct metric *
metrics_histogram(struct metrics *metrics, const char *name, const char *labels,
    const char *help, const double *bounds, size_t n)
{
	const struct family like = { .name = name,
		.help = help,
		.type = METRIC_HISTOGRAM,
		.bounds = bounds,
		.n_bounds = n };

	return register_series(metrics, &like, labels);
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

static void
add_real(_Atomic double *sum, double value)
{
	double seen = atomic_load_explicit(sum, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(sum, &seen, seen + value,
	    memory_order_relaxed, memory_order_relaxed))
		;
}

void
metric_observe(struct metric *metric, double value, uint64_t n)
{
	const struct family *family = metric->family;
	size_t i = 0;

	while (i < family->n_bounds && value > family->bounds[i])
		i++;
	atomic_fetch_add_explicit(&metric->buckets[i], n, memory_order_relaxed);
	atomic_fetch_add_explicit(&metric->count, n, memory_order_relaxed);
	add_real(&metric->value, value * (double)n);
}

static double
value_of(const struct metric *metric)
{
	if (metric->family->type == METRIC_COUNTER)
		return (double)atomic_load_explicit(
		    &metric->count, memory_order_relaxed);
	return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

void
metric_hide(struct metric *metric)
{
	atomic_store_explicit(&metric->hidden, true, memory_order_relaxed);
}

static const char *
type_name(enum metric_type type)
{
	static const char *const names[] = { "counter", "gauge", "histogram" };

	return names[type];
}

static void
write_head(struct buffer *out, const char *name, enum metric_type type,
    const char *help)
{
	buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	    type_name(type));
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

static void
write_family(struct buffer *out, const struct family *family)
{
	const struct metric *metric;

	write_head(out, family->name, family->type, family->help);
	for (metric = family->series; metric != NULL; metric = metric->next) {
		if (atomic_load_explicit(&metric->hidden, memory_order_relaxed))
			continue;
		if (family->type == METRIC_HISTOGRAM)
			write_histogram(out, metric);
		else
			write_sample(out, family->name, metric->labels,
			    value_of(metric));
	}
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
	write_head(out, name, METRIC_GAUGE, help);
	write_sample(out, name, "", value);
}

static void
write_build(struct buffer *out, const char *librdkafka)
{
	char labels[160];

	snprintf(labels, sizeof labels,
	    "version=\"%s\",revision=\"%s\",librdkafka=\"%s\"",
	    SCHEDRUN_VERSION, SCHEDRUN_REVISION, librdkafka);
	write_head(out, "schedrun_build_info", METRIC_GAUGE,
	    "What runs here; always 1.");
	write_sample(out, "schedrun_build_info", labels, 1);
	write_head(out, "schedrun_log_lines_suppressed_total", METRIC_COUNTER,
	    "Log lines over log.rate, not written.");
	write_sample(out, "schedrun_log_lines_suppressed_total", "",
	    (double)log_suppressed());
}

static double
seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void
write_process(struct buffer *out, double start_time)
{
	struct rusage usage = { 0 };
	struct rlimit files = { 0 };

	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &files);
	write_head(out, "process_cpu_seconds_total", METRIC_COUNTER,
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
metrics_write(struct metrics *metrics, struct buffer *out)
{
	const struct family *family;

	pthread_mutex_lock(&metrics->lock);
	for (family = metrics->families; family != NULL; family = family->next)
		write_family(out, family);
	pthread_mutex_unlock(&metrics->lock);
	write_build(out, metrics->librdkafka);
	write_process(out, metrics->start_time);
}
