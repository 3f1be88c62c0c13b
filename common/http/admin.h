#ifndef SCHEDRUN_COMMON_HTTP_ADMIN_H
#define SCHEDRUN_COMMON_HTTP_ADMIN_H

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/http/health.h"

/*
 * The admin listener of a daemon: GET /metrics, /healthz and /readyz on a port
 * of their own, served by a thread of its own, so that they answer whatever the
 * main loop does; that thread tells systemd, too, each second.  Source:
 * docs/operation.md, sections 2, 4 and 5.
 *
 *   health = health_create();
 *   kafka = health_check(health, "kafka", 10000);
 *   admin = admin_start(&(struct admin_settings){ "127.0.0.1:9464", NULL,
 *       metrics, health, "worker" }, err);
 */
struct admin;

/* The adapter's, which must not be where its API is. */
#define ADMIN_DEFAULT_HTTP "127.0.0.1:9465"

struct admin_settings {
	const char *address; /* "host:port", "[::1]:port"; port 0: any free */
	const char
	    *port_file; /* the port in decimal; NULL or "": not written */
	struct metrics *metrics; /* borrowed until admin_stop */
	struct health *health;   /* borrowed until admin_stop */
	const char *component;   /* of the log line that names the address */
};

/*
 * Opens the port, writes the port file (atomically) and starts the thread.
 * Logs event admin_listening with the address; systemd hears READY=1.  NULL
 * with ERROR_FATAL (exit code 78: no such address, taken, port file not
 * writable).
 */
struct admin *admin_start(
    const struct admin_settings *settings, struct error *err);

/* Ends the thread, closes the port, removes the port file.  NULL is fine. */
void admin_stop(struct admin *admin);

#endif
