#ifndef SCHEDRUN_COMMON_REDIS_URL_H
#define SCHEDRUN_COMMON_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

/*
 * Where Redis is: redis://host[:port][,host[:port]...][/database] or
 * unix:///path[?db=N].  Credentials do not belong in a URL: they would be shown
 * by whatever shows the command line.
 */
struct redis_url;

struct redis_host {
	const char *name; /* host name, address, or path of a socket */
	int port;
	bool is_socket;
};

#define REDIS_HOSTS_MAX 16

/* NULL with ERROR_FATAL that names the URL and the form. */
struct redis_url *redis_url_parse(const char *text, struct error *err);
void redis_url_destroy(struct redis_url *url); /* NULL is fine */

/* How many hosts it names, 1 at least; a socket is one. */
size_t redis_url_size(const struct redis_url *url);
/* The i-th, which belongs to the URL. */
const struct redis_host *redis_url_at(const struct redis_url *url, size_t i);
/* 0 unless it names one. */
int redis_url_database(const struct redis_url *url);

/* The URL as it was given, cut to `size` with its NUL. */
void redis_url_print(const struct redis_url *url, char *out, size_t size);

#endif
