#include "producer/api/openapi.h"

#include "common/base/embed.h"

EMBED(embedded_openapi, "docs/openapi.json")

void
http_openapi_get(struct http_call *call)
{
	http_call_answer(call,
	    &(struct http_answer){ .status = 200,
		.content_type = "application/json",
		.body = { embedded_openapi,
		    (uintptr_t)embedded_openapi_end -
			(uintptr_t)embedded_openapi } });
}
