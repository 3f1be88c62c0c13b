#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/config/daemon.h"
#include "common/config/options.h"
#include "common/http/admin.h"
#include "common/kafka/client.h"
#include "common/trace/tracer.h"
#include "worker/base/watchdog.h"
#include "worker/base/worker_id.h"
#include "worker/pipeline/pipeline.h"

#define ADMIN_DEFAULT "127.0.0.1:9464"
#define POLL_INTERVAL_MS 60000 /* max.poll.interval.ms */

const char *argp_program_version = "schedrun-worker " SCHEDRUN_VERSION;

static const char documentation[] =
    "Consume run requests, plan them, publish their results: exactly once.\v"
    "Examples:\n"
    "  schedrun-worker -b broker:9092 --redis redis://redis:6379/0\n"
    "  schedrun-worker -c /etc/schedrun/schedrun.conf --check\n";

static struct pipeline *the_pipeline; /* for the signals' thread */

/* What the signals' thread works with. */
static struct signals {
	sigset_t ends;
	int64_t timeout_ms; /* to drain */
	const struct options *options;
	const struct config *config;
	pthread_t thread;
	_Atomic bool
	    is_over; /* main has come to its end: the thread ends too */
} signals;

/*
 * Signals come to this thread alone.  SIGHUP has the configuration read again.
 * The first of the others asks for an orderly end within the time-out.  The
 * second ends at once, and so does the time-out's end: that is a crash, and
 * crashes are safe.
 */
static void *
serve_signals(void *unused)
{
	const struct timespec most = { signals.timeout_ms / 1000,
		signals.timeout_ms % 1000 * 1000000 };
	sigset_t all = signals.ends;
	int number;

	(void)unused;
	sigaddset(&all, SIGHUP);
	for (;;) {
		if (sigwait(&all, &number) != 0)
			continue;
		if (signals.is_over)
			return NULL;
		if (number != SIGHUP)
			break;
		options_reload(signals.options, signals.config);
	}
	log_event(LOG_INFO, "worker", "stopping",
	    "finishing the batch, leaving the group",
	    LOG_S("signal", strsignal(number)), LOG_END);
	pipeline_stop(the_pipeline);
	do
		number = sigtimedwait(&signals.ends, NULL, &most);
	while (number < 0 && errno == EINTR);
	if (signals.is_over)
		return NULL;
	if (number > 0)
		_exit(128 + number);
	log_event(LOG_WARN, "worker", "drain_overdue",
	    "something hangs: leaving it behind, the restart is safe", LOG_END);
	_exit(0);
}

/* Once there is a pipeline to stop; what came before that has waited. */
static void
start_signals(const struct config *config, const struct options *options)
{
	/* Some rest is left to whoever measures the time-out. */
	signals.timeout_ms =
	    config_number(config, "worker.shutdown.timeout") * 95 / 100;
	signals.options = options;
	signals.config = config;
	if (pthread_create(&signals.thread, NULL, serve_signals, NULL) != 0)
		abort();
}

/* Before what the thread works with goes away. */
static void
end_signals(void)
{
	signals.is_over = true;
	pthread_kill(signals.thread, SIGINT);
	pthread_join(signals.thread, NULL);
}

int
main(int argc, char **argv)
{
	struct options options;
	struct config *config =
	    options_daemon(argc, argv, documentation, &options);
	struct pipeline_settings settings = { .config = config };
	const char *address = config_text(config, "admin.listen");
	struct admin_settings listen = {
		.address = address != NULL ? address : ADMIN_DEFAULT,
		.port_file = config_text(config, "admin.port.file"),
		.component = "worker",
	};
	struct admin *admin = NULL;
	struct tracer_settings tracer = { .config = config,
		.service = "schedrun-worker" };
	struct error err = { 0 };
	int rc = -1;
	char *id = worker_id_take(config_text(config, "worker.id"),
	    config_text(config, "worker.group"), &err);

	if (id == NULL)
		goto out;
	settings.worker_id = id;
	listen.metrics = settings.metrics =
	    metrics_create(kafka_library_version());
	listen.health = settings.health = health_create();
	daemon_block_signals(&signals.ends);
	sigdelset(&signals.ends, SIGHUP);
	tracer.metrics = settings.metrics;
	tracer.instance = id;
	if (kafka_settings_check(config, &err) != 0 ||
	    tracer_start(&tracer, &err) != 0)
		goto out;
	the_pipeline = pipeline_create(&settings, &err);
	if (the_pipeline == NULL)
		goto out;
	start_signals(config, &options);
	if (options.check) {
		rc = pipeline_check(the_pipeline, &err);
		if (rc == 0)
			printf("schedrun-worker: the configuration is fine, "
			       "Kafka and Redis answer\n");
		goto out;
	}
	admin = admin_start(&listen, &err);
	if (admin == NULL)
		goto out;
	watchdog_start((int64_t)2 * POLL_INTERVAL_MS);
	rc = pipeline_run(the_pipeline, &err);
	if (rc == 0)
		log_event(LOG_INFO, "worker", "drained", "drained", LOG_END);
	watchdog_stop();
out:
	rc = rc == 0 ? 0 : daemon_end_by_error("worker", &err);
	admin_stop(admin);
	if (the_pipeline != NULL)
		end_signals();
	pipeline_destroy(the_pipeline);
	tracer_stop();
	health_destroy(settings.health);
	metrics_destroy(settings.metrics);
	free(id);
	config_destroy(config);
	options_finish(&options);
	return rc;
}
