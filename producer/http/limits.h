#ifndef SCHEDRUN_PRODUCER_HTTP_LIMITS_H
#define SCHEDRUN_PRODUCER_HTTP_LIMITS_H

#include "common/http/server.h"

/*
 * How the server's own refusals (malformed, late, too large, too many), which
 * no route has seen, are counted and told in the API's envelope.  `context` is
 * the app.  On the loop's thread.  docs/http.md, sections 5 and 10.
 */
void http_refused(void *context, const struct http_refusal *refusal);

#endif
