#include "producer/api/openapi.h"

/* The assembler includes the file: its bytes as they are, at no cost. */
__asm__(".section .rodata\n"
	".global embedded_openapi\n"
	".global embedded_openapi_size\n"
	"embedded_openapi:\n"
	".incbin \"docs/openapi.json\"\n"
	"1:\n"
	".balign 8\n"
	"embedded_openapi_size:\n"
	".quad 1b - embedded_openapi\n"
	".previous\n");
extern const char embedded_openapi[];
extern const uint64_t embedded_openapi_size;

void
http_openapi_get(struct http_call *call)
{
	http_call_answer(call,
	    &(struct http_answer){ .status = 200,
		.content_type = "application/json",
		.body = { embedded_openapi, embedded_openapi_size } });
}
