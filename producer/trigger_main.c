#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/config/daemon.h"
#include "common/config/options.h"
#include "common/http/admin.h"
#include "common/kafka/client.h"
#include "common/trace/tracer.h"
#include "producer/trigger/events.h"
#include "producer/trigger/metrics.h"
#include "producer/trigger/trigger.h"

#define ADMIN_DEFAULT "127.0.0.1:9467"
#define BEAT_MS 60000 /* a turn may wait for Kafka, Redis and the registry */

const char *argp_program_version = "schedrun-trigger " SCHEDRUN_VERSION;

static const char documentation[] =
    "Ask for the runs of schedules that are due by time.\v"
    "Examples:\n"
    "  schedrun-trigger -b broker:9092 --redis redis://redis:6379/0\n"
    "  schedrun-trigger -c /etc/schedrun/schedrun.conf --check\n";

/* Rests; the number of a signal that ends the process, 0: none came. */
static int
rest_for(int ms, const sigset_t *signals, const struct options *options,
    const struct config *config)
{
	const struct timespec most = { ms / 1000, ms % 1000 * 1000000L };
	int number = sigtimedwait(signals, NULL, &most);

	if (number == SIGHUP)
		options_reload(options, config);
	return number == SIGTERM || number == SIGINT ? number : 0;
}

/* Turns until a signal ends it: between two turns nothing is under way. */
static int
turn_until_signal(struct trigger *trigger, struct health *health,
    const struct options *options, const struct config *config,
    const sigset_t *signals, struct error *err)
{
	struct health_beat *beat = health_beat_start(health, "loop", BEAT_MS);
	int rest = 0, number = 0;

	while (number == 0) {
		rest = trigger_turn(trigger, err);
		if (rest < 0)
			return -1;
		health_turn(beat);
		number = rest_for(rest, signals, options, config);
	}
	/* A second one ends at once. */
	pthread_sigmask(SIG_UNBLOCK, signals, NULL);
	health_drain(health);
	log_event(LOG_INFO, "trigger", "drained", "nothing is under way",
	    LOG_S("signal", strsignal(number)), LOG_END);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct config *config =
	    options_daemon(argc, argv, documentation, &options);
	const char *address = config_text(config, "admin.listen");
	struct admin_settings listen = {
		.address = address != NULL ? address : ADMIN_DEFAULT,
		.port_file = config_text(config, "admin.port.file"),
		.component = "trigger",
	};
	struct admin *admin = NULL;
	struct events *events = NULL;
	struct error err = { 0 };
	struct tracer_settings tracer = { .config = config,
		.service = "schedrun-trigger" };
	struct trigger *trigger = NULL;
	sigset_t signals;
	int rc = -1;

	daemon_block_signals(&signals);
	listen.metrics = trigger_metrics_create();
	listen.health = health_create();
	health_doing(listen.health, "firing what is due");
	tracer.metrics = listen.metrics;
	if (kafka_settings_check(config, &err) == 0 &&
	    tracer_start(&tracer, &err) == 0)
		trigger =
		    trigger_create(config, listen.metrics, listen.health, &err);
	if (trigger != NULL)
		events = events_create(&(struct events_settings){ config,
					   listen.metrics, listen.health },
		    &err);
	if (events != NULL && options.check)
		rc = trigger_check(trigger, &err) == 0
		    ? events_check(events, &err)
		    : -1;
	else if (events != NULL)
		admin = admin_start(&listen, &err);
	if (admin != NULL)
		events_start(events);
	if (admin != NULL)
		rc = turn_until_signal(
		    trigger, listen.health, &options, config, &signals, &err);
	else if (rc == 0)
		printf("schedrun-trigger: the configuration is fine, Kafka and "
		       "Redis answer\n");
	rc = rc == 0 ? 0 : daemon_end_by_error("trigger", &err);
	admin_stop(admin);
	trigger_destroy(trigger);
	events_destroy(events);
	tracer_stop();
	health_destroy(listen.health);
	metrics_destroy(listen.metrics);
	config_destroy(config);
	options_finish(&options);
	return rc;
}
