#ifndef SCHEDRUN_PRODUCER_HTTP_LIMITS_H
#define SCHEDRUN_PRODUCER_HTTP_LIMITS_H

#include <stddef.h>

#include "common/http/server.h"

/*
 * What happens before a request reaches its route: how much body it may have,
 * and how the server's own refusals (malformed, late, too large, too many) are
 * told in the API's envelope.  `context` is the app.  docs/http.md, sections 5
 * and 10.
 */
size_t http_body_limit(void *context, const struct http_head *head);
void http_refused(void *context, const struct http_refusal *refusal);

#endif
