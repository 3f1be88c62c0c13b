#ifndef SCHEDRUN_PRODUCER_API_OPENAPI_H
#define SCHEDRUN_PRODUCER_API_OPENAPI_H

#include "producer/http/call.h"

/* GET /openapi.json: the description of the API, compiled in. */
void http_openapi_get(struct http_call *call);

#endif
