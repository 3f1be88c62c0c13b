#include "common/http/admin.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/http/loop.h"
#include "common/http/server.h"

#define CONNECTIONS_MAX 64
#define TELL_MS 1000

struct admin {
	struct loop *loop;
	struct http_server *server;
	struct loop_timer *tell;
	struct metrics *metrics;
	struct health *health;
	char *port_file;
	pthread_t thread;
};

/* As /readyz says it now, so that who scrapes needs no other probe. */
static void
measure_checks(struct admin *admin)
{
	const char *name;
	char labels[64];
	size_t i;
	bool ok;

	for (i = 0; health_check_read(admin->health, i, &name, &ok); i++) {
		snprintf(labels, sizeof labels, "check=\"%s\"", name);
		metric_set(metrics_series(admin->metrics, METRIC_GAUGE,
			       "schedrun_ready", labels,
			       "Whether the check of /readyz is ok, by check."),
		    ok);
	}
}

/* "q=0.75" in thousandths, 750: it begins with q=0. */
static int
thousandths(struct text word)
{
	int sum = 0;
	size_t i;

	for (i = strlen("q=0."); i < strlen("q=0.000"); i++) {
		bool digit =
		    i < word.size && word.at[i] >= '0' && word.at[i] <= '9';

		sum = sum * 10 + (digit ? word.at[i] - '0' : 0);
	}
	return sum;
}

/* How much a media range is wanted; 0 if it is of another version. */
static int
weigh(struct text parameters, struct text version)
{
	int weight = 1000;
	struct text word;

	while (text_take_word(&parameters, "; \t", &word)) {
		if (text_starts_with(word, TEXT("version=")) &&
		    !text_equal(word, version))
			return 0;
		if (text_starts_with(word, TEXT("q=0")))
			weight = thousandths(word);
	}
	return weight;
}

/* How much Accept wants a type in a version, in thousandths; 0: not named. */
static int
weight_of(struct text accept, struct text type, struct text version)
{
	struct text range, name;
	int weight, most = 0;

	while (text_take_word(&accept, ",", &range)) {
		if (!text_take_word(&range, "; \t", &name) ||
		    !text_equal(name, type))
			continue;
		weight = weigh(range, version);
		if (weight > most)
			most = weight;
	}
	return most;
}

/* OpenMetrics only for who names it and doesn't want plain text more. */
static bool
wants_open_metrics(const struct http_head *head)
{
	struct text accept = http_head_get(head, "accept");
	int open = weight_of(accept, TEXT("application/openmetrics-text"),
	    TEXT("version=1.0.0"));

	return open > 0 &&
	    open >=
	    weight_of(accept, TEXT("text/plain"), TEXT("version=0.0.4"));
}

static void
answer_metrics(struct admin *admin, struct http_request *request)
{
	bool open = wants_open_metrics(http_request_head(request));
	struct buffer body = { 0 };

	measure_checks(admin);
	metrics_write(admin->metrics, open, &body);
	http_respond(request,
	    &(struct http_answer){ .status = 200,
		.content_type = open
		    ? "application/openmetrics-text; version=1.0.0; "
		      "charset=utf-8"
		    : "text/plain; version=0.0.4; charset=utf-8",
		.body = buffer_text(&body) });
	buffer_finish(&body);
}

static void
answer_alive(struct admin *admin, struct http_request *request)
{
	bool alive = health_is_alive(admin->health);

	http_respond(request,
	    &(struct http_answer){ .status = alive ? 200 : 503,
		.content_type = "text/plain; charset=utf-8",
		.body = alive ? TEXT("ok\n") : TEXT("stuck\n") });
}

static void
answer_ready(struct admin *admin, struct http_request *request)
{
	struct buffer body = { 0 };
	bool ready = health_write_json(admin->health, &body);

	buffer_byte(&body, '\n');
	http_respond(request,
	    &(struct http_answer){ .status = ready ? 200 : 503,
		.content_type = "application/json",
		.body = buffer_text(&body) });
	buffer_finish(&body);
}

static const struct {
	struct text path;
	void (*answer)(struct admin *admin, struct http_request *request);
} routes[] = {
	{ { "/metrics", 8 }, answer_metrics },
	{ { "/healthz", 8 }, answer_alive },
	{ { "/readyz", 7 }, answer_ready },
};

static void
refuse(struct http_request *request, int status)
{
	static const struct http_field allow = { { "Allow", 5 },
		{ "GET, HEAD", 9 } };

	http_respond(request,
	    &(struct http_answer){ .status = status,
		.fields = &allow,
		.n_fields = status == 405 });
}

static void
handle(void *context, struct http_request *request)
{
	const struct http_head *head = http_request_head(request);
	struct text path = head->target;
	const char *query = memchr(path.at, '?', path.size);
	size_t i;

	if (query != NULL)
		path.size = (size_t)(query - path.at);
	for (i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (!text_equal(path, routes[i].path))
			continue;
		if (text_equal(head->method, TEXT("GET")) ||
		    text_equal(head->method, TEXT("HEAD")))
			routes[i].answer(context, request);
		else
			refuse(request, 405);
		return;
	}
	refuse(request, 404);
}

static void
tell_systemd(void *argument)
{
	struct admin *admin = argument;

	health_tell_systemd(admin->health, "");
}

static void *
run_loop(void *argument)
{
	struct admin *admin = argument;
	sigset_t all;

	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	admin->tell = loop_timer_start(
	    admin->loop, TELL_MS, TELL_MS, tell_systemd, admin);
	loop_run(admin->loop);
	loop_timer_stop(admin->tell);
	return NULL;
}

/*
 * Atomically: who waits for the file must not read half a number; and whoever
 * scrapes may read it, whatever the umask.
 */
static int
write_port_file(const char *path, unsigned port, struct error *err)
{
	char temporary[4096];
	FILE *file;
	int rc = -1;

	if ((size_t)snprintf(temporary, sizeof temporary, "%s.%ld", path,
		(long)getpid()) >= sizeof temporary)
		return error_fatal(err, 78, "admin.port.file: too long a path");
	file = fopen(temporary, "we");
	if (file != NULL) {
		rc = fprintf(file, "%u\n", port) > 0 ? 0 : -1;
		if (fchmod(fileno(file), 0644) != 0)
			rc = -1;
		if (fclose(file) != 0)
			rc = -1;
	}
	if (rc == 0)
		rc = rename(temporary, path);
	if (rc != 0)
		return error_fatal(
		    err, 78, "admin.port.file %s: %s", path, strerror(errno));
	return 0;
}

static int
open_port(struct admin *admin, const struct admin_settings *settings,
    struct error *err)
{
	struct http_server_settings server = {
		.address = settings->address,
		.connections_max = CONNECTIONS_MAX,
		.body_max = 1024,
		.memory_max = 4 * 1024 * 1024,
		.make_room = true, /* for probes, whoever else hangs on */
		.handle = handle,
		.context = admin,
	};

	admin->loop = server.loop = loop_create(err);
	if (admin->loop == NULL)
		return -1;
	admin->server = http_server_create(&server, err);
	if (admin->server == NULL) {
		error_prefix(err, "admin.listen");
		return -1;
	}
	if (settings->port_file == NULL || settings->port_file[0] == '\0')
		return 0;
	admin->port_file = memory_copy_string(settings->port_file);
	return write_port_file(
	    settings->port_file, http_server_port(admin->server), err);
}

static void
free_admin(struct admin *admin)
{
	http_server_destroy(admin->server);
	loop_destroy(admin->loop);
	free(admin->port_file);
	free(admin);
}

struct admin *
admin_start(const struct admin_settings *settings, struct error *err)
{
	struct admin *admin = memory_zalloc(1, sizeof *admin);

	admin->metrics = settings->metrics;
	admin->health = settings->health;
	if (open_port(admin, settings, err) != 0) {
		free_admin(admin);
		return NULL;
	}
	if (pthread_create(&admin->thread, NULL, run_loop, admin) != 0) {
		error_fatal(err, 71, "no thread for the admin listener");
		free_admin(admin);
		return NULL;
	}
	log_event(LOG_INFO, settings->component, "admin_listening",
	    "metrics and health are served",
	    LOG_S("address", settings->address),
	    LOG_I("port", http_server_port(admin->server)), LOG_END);
	health_tell_systemd(admin->health, "READY=1\n");
	return admin;
}

static void
stop(void *argument)
{
	loop_stop(argument);
}

void
admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	loop_post(admin->loop, stop, admin->loop);
	pthread_join(admin->thread, NULL);
	if (admin->port_file != NULL)
		unlink(admin->port_file);
	free_admin(admin);
}
