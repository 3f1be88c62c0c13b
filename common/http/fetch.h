#ifndef SCHEDRUN_COMMON_HTTP_FETCH_H
#define SCHEDRUN_COMMON_HTTP_FETCH_H

#include <stdatomic.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/*
 * Small documents over HTTP(S), through libcurl: the schema registry, key sets.
 * Redirects are not followed, sizes and times have caps.  Blocks; any thread.
 */
struct fetch_request {
	const char *url;            /* http:// or https:// */
	const char *body;           /* NULL: GET; else POST of this text */
	const char *content_type;   /* of the body */
	const char *credentials;    /* "user:password"; NULL: none */
	const char *const *headers; /* of a POST: "Name: value", ended by NULL;
				       NULL: no others */
	const char *ca_file;        /* NULL: the system's */
	long timeout_ms;            /* in all */
	size_t size_max;            /* of the answer */
	const atomic_bool *stop;    /* NULL, or ends the wait once it is true */
};

/*
 * Appends the answer's body and sets its HTTP status.  0 for any status, or -1:
 *   ERROR_RETRY  not reached in time, or broken
 *   ERROR_INPUT  the answer is over size_max; its status and beginning are set
 */
int fetch(const struct fetch_request *request, long *status,
    struct buffer *answer, struct error *err);

/*
 * Whether a document that must come unchanged may be fetched from here: https,
 * or http on this machine, and no user and password in it, which would be
 * logged.  -1: ERROR_FATAL (78) that says why not.
 */
int fetch_check_url(const char *url, struct error *err);

/*
 * Whether it is a URL of http or https at all, with a port that there can be,
 * and no user and password.  -1: ERROR_FATAL (78).
 */
int fetch_check_form(const char *url, struct error *err);

/*
 * Whether a CA's file can be read and has a certificate in it, by its form; its
 * content counts when it is used.  -1: ERROR_FATAL (78).
 */
int fetch_check_authority(const char *path, struct error *err);

#endif
