#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
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
#include "producer/builder/builder.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define ADMIN_DEFAULT "127.0.0.1:9466"

const char *argp_program_version = "schedrun-builder " SCHEDRUN_VERSION;

static const char documentation[] =
    "Carry builds out: run the jobs of the builds topic as processes.\v"
    "Examples:\n"
    "  schedrun-builder -b broker:9092 -s builder.command=/usr/local/bin/job "
    "\\\n"
    "      -s builder.logs=/tmp/builds\n"
    "  schedrun-builder -c /etc/schedrun/schedrun.conf --check\n";

/* What the signals' thread works with. */
static struct signals {
	sigset_t all;
	struct builder *builder;
	struct health *health;
	const struct options *options;
	const struct config *config;
	pthread_t thread;
	_Atomic bool is_over;
} signals;

static void
serve_signal(int number)
{
	if (number == SIGHUP) {
		options_reload(signals.options, signals.config);
		return;
	}
	log_event(LOG_INFO, "builder", "draining",
	    "no new jobs, those that run get builder.drain",
	    LOG_S("signal", strsignal(number)), LOG_END);
	health_drain(signals.health);
	builder_stop(signals.builder);
}

/* Signals come to this thread alone. */
static void *
serve_signals(void *unused)
{
	int number;

	(void)unused;
	for (;;) {
		if (sigwait(&signals.all, &number) != 0)
			continue;
		if (signals.is_over)
			return NULL;
		serve_signal(number);
	}
}

static void
end_signals(void)
{
	signals.is_over = true;
	pthread_kill(signals.thread, SIGHUP);
	pthread_join(signals.thread, NULL);
}

/* Whether the registry, where one is set, knows the builds' schema. */
static int
ask_registry(const struct config *config, struct error *err)
{
	struct registry *registry = registry_create(config, err);
	uint32_t id;
	int rc;

	if (registry == NULL)
		return -1;
	rc = registry_id(registry, MESSAGE_BUILD_REQUESTED,
	    topic_name(config, TOPIC_BUILDS), &id, err);
	registry_destroy(registry);
	return rc;
}

/* 0, or -1 and why. */
static int
serve(const struct admin_settings *listen, bool check, struct error *err)
{
	struct admin *admin;
	int rc;

	if (check) {
		if (builder_check(signals.builder, err) != 0 ||
		    ask_registry(signals.config, err) != 0)
			return -1;
		printf("schedrun-builder: the configuration is fine, Kafka and "
		       "Redis answer\n");
		return 0;
	}
	admin = admin_start(listen, err);
	if (admin == NULL)
		return -1;
	if (pthread_create(&signals.thread, NULL, serve_signals, NULL) != 0)
		abort();
	rc = builder_run(signals.builder, err);
	if (rc == 0)
		log_event(LOG_INFO, "builder", "drained", "drained", LOG_END);
	end_signals();
	admin_stop(admin);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct config *config =
	    options_daemon(argc, argv, documentation, &options);
	const char *address = config_text(config, "admin.listen");
	const struct builder_settings settings = {
		.config = config,
		.metrics = metrics_create(kafka_library_version()),
		.health = health_create(),
	};
	const struct admin_settings listen = {
		.address = address != NULL ? address : ADMIN_DEFAULT,
		.port_file = config_text(config, "admin.port.file"),
		.metrics = settings.metrics,
		.health = settings.health,
		.component = "builder",
	};
	const struct tracer_settings tracer = {
		.config = config,
		.metrics = settings.metrics,
		.service = "schedrun-builder",
	};
	struct error err = { 0 };
	int rc = -1;

	daemon_block_signals(&signals.all);
	signals.options = &options;
	signals.config = config;
	signals.health = settings.health;
	health_doing(signals.health, "carrying builds out");
	if (kafka_settings_check(config, &err) == 0 &&
	    tracer_start(&tracer, &err) == 0)
		signals.builder = builder_create(&settings, &err);
	if (signals.builder != NULL)
		rc = serve(&listen, options.check, &err);
	rc = rc == 0 ? 0 : daemon_end_by_error("builder", &err);
	builder_destroy(signals.builder);
	tracer_stop();
	health_destroy(settings.health);
	metrics_destroy(settings.metrics);
	config_destroy(config);
	options_finish(&options);
	return rc;
}
