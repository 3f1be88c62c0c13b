#ifndef SCHEDRUN_PRODUCER_API_ROUTES_H
#define SCHEDRUN_PRODUCER_API_ROUTES_H

#include <stddef.h>

#include "common/http/server.h"

/*
 * Method × path × scope × preview → handler: one table (docs/http.md, section
 * 3), and the checks that all routes share, in the order given there.
 */
struct http_app;

/* Takes a request of the server; `context` is the app. */
void http_routes_handle(void *context, struct http_request *request);

/*
 * How many bytes of body a request may have whose head has come: little where
 * its route takes none.  For the server; `context` is the app.
 */
size_t http_routes_body_limit(void *context, const struct http_head *head);

/* How many numbers routes have in the metrics. */
size_t http_routes_count(void);
/* Tells the metrics the patterns. */
void http_routes_register(struct http_app *app);

#endif
