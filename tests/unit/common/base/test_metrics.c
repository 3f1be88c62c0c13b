#include "common/base/metrics.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

enum { PLAIN, STAGES, CODES, LAG, SIZES, ROWS };

static const char *const stages[] = { "plan", "commit", NULL };
static const char *const codes[] = { "A", NULL };
static const double sizes[] = { 1, 10 };

static const struct metric_row rows[ROWS] = {
	[PLAIN] = { .type = METRIC_GAUGE, .name = "plain", .help = "One." },
	[STAGES] = { .type = METRIC_COUNTER,
	    .name = "stages_total",
	    .label = "stage",
	    .values = stages,
	    .help = "By stage." },
	[CODES] = { .type = METRIC_COUNTER,
	    .name = "codes_total",
	    .label = "code",
	    .values = codes,
	    .max = 3,
	    .help = "By code." },
	[LAG] = { .type = METRIC_GAUGE,
	    .name = "lag",
	    .max = 4,
	    .help = "By partition." },
	[SIZES] = { .type = METRIC_HISTOGRAM,
	    .name = "sizes",
	    .bounds = sizes,
	    .n_bounds = 2,
	    .help = "By size." },
};

static struct metrics *metrics;
static bool open; /* as OpenMetrics */
static struct buffer out;

/* Whether the exposition has this line. */
static bool
says(const char *line)
{
	char whole[200];

	buffer_reset(&out);
	metrics_write(metrics, open, &out);
	buffer_byte(&out, '\0');
	snprintf(whole, sizeof whole, "\n%s\n", line);
	return strstr(out.at, whole) != NULL;
}

static void
begin(void)
{
	metrics = metrics_create("2.0.2");
	metrics_use(metrics, rows, ROWS);
}

static void
end(void)
{
	metrics_destroy(metrics);
	buffer_finish(&out);
}

static void
has_all_series_with_0(void)
{
	begin();
	CHECK(says("# TYPE plain gauge"));
	CHECK(says("# HELP stages_total By stage."));
	CHECK(says("plain 0"));
	CHECK(says("stages_total{stage=\"plan\"} 0"));
	CHECK(says("stages_total{stage=\"commit\"} 0"));
	CHECK(says("codes_total{code=\"A\"} 0"));
	CHECK(says("sizes_count 0"));
	CHECK(!says("lag 0"));
	end();
}

static void
counts_by_row_and_value(void)
{
	begin();
	metrics_add(metrics, STAGES, 1, 3);
	metrics_add(metrics, STAGES, 1, 4);
	metrics_set(metrics, PLAIN, 0, 2.5);
	metrics_observe(metrics, SIZES, 0, 1, 2);
	metrics_observe(metrics, SIZES, 0, 10.5, 1);
	CHECK(says("stages_total{stage=\"plan\"} 0"));
	CHECK(says("stages_total{stage=\"commit\"} 7"));
	CHECK(says("plain 2.5"));
	CHECK(says("sizes_bucket{le=\"1.0\"} 2"));
	CHECK(says("sizes_bucket{le=\"10.0\"} 2"));
	CHECK(says("sizes_bucket{le=\"+Inf\"} 3"));
	CHECK(says("sizes_sum 12.5"));
	metrics_add(metrics, STAGES, 1000, 1);
	metrics_set(metrics, LAG, 0, 1);
	CHECK(!says("lag 1"));
	end();
}

static void
gives_what_is_not_listed_its_own_series(void)
{
	begin();
	metrics_add(metrics, CODES, metrics_index(metrics, CODES, "A"), 1);
	metrics_add(metrics, CODES, metrics_index(metrics, CODES, "B"), 2);
	metrics_add(metrics, CODES, metrics_index(metrics, CODES, "B"), 2);
	metrics_add(metrics, CODES, metrics_index(metrics, CODES, "C"), 5);
	metrics_add(metrics, CODES, metrics_index(metrics, CODES, "D"), 6);
	CHECK(says("codes_total{code=\"A\"} 1"));
	CHECK(says("codes_total{code=\"B\"} 4"));
	CHECK(says("codes_total{code=\"other\"} 11"));
	/* Also where the row gives no room: no listed value is taken for it. */
	metrics_add(metrics, STAGES, metrics_index(metrics, STAGES, "x"), 9);
	CHECK(says("stages_total{stage=\"commit\"} 0"));
	CHECK(says("stages_total{stage=\"other\"} 9"));
	end();
}

static void
shows_a_hidden_gauge_again(void)
{
	begin();
	metrics_label(metrics, LAG, 2, "partition=\"2\"");
	metrics_set(metrics, LAG, 2, 7);
	CHECK(says("lag{partition=\"2\"} 7"));
	metrics_hide(metrics, LAG, 2);
	CHECK(!says("lag{partition=\"2\"} 7"));
	metrics_label(metrics, LAG, 2, "partition=\"2\"");
	metrics_set(metrics, LAG, 2, 8);
	CHECK(says("lag{partition=\"2\"} 8"));
	metrics_label(metrics, LAG, 4, "partition=\"4\"");
	metrics_set(metrics, LAG, 4, 1);
	CHECK(!says("lag{partition=\"4\"} 1"));
	end();
}

/* The head of a counter differs, and the end; the series don't. */
static void
is_open_metrics_too(void)
{
	begin();
	open = true;
	CHECK(says("# TYPE stages counter"));
	CHECK(says("# HELP stages By stage."));
	CHECK(says("stages_total{stage=\"plan\"} 0"));
	CHECK(says("# TYPE plain gauge"));
	CHECK(says("# TYPE process_cpu_seconds counter"));
	CHECK(says("sizes_bucket{le=\"1.0\"} 0"));
	CHECK(says("# EOF") && strcmp(out.at + out.size - 7, "# EOF\n") == 0);
	open = false;
	CHECK(!says("# EOF"));
	end();
}

CU_TestInfo metrics_tests[] = {
	{ "has all series with 0", has_all_series_with_0 },
	{ "counts by row and value", counts_by_row_and_value },
	{ "gives what is not listed its own series",
	    gives_what_is_not_listed_its_own_series },
	{ "shows a hidden gauge again", shows_a_hidden_gauge_again },
	{ "is OpenMetrics too", is_open_metrics_too },
	CU_TEST_INFO_NULL,
};
