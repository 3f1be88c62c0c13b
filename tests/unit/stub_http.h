#ifndef SCHEDRUN_TESTS_UNIT_STUB_HTTP_H
#define SCHEDRUN_TESTS_UNIT_STUB_HTTP_H

#include "common/base/buffer.h"
#include "common/base/text.h"

/*
 * A server on 127.0.0.1 that answers as it is told: for errors that a real one
 * can't be made to give.  A thread of its own; one connection at a time.
 */
struct stub_http;

struct stub_http *stub_http_start(void);
void stub_http_stop(struct stub_http *stub); /* NULL is fine */

int stub_http_port(const struct stub_http *stub);
/* What each request gets from now on.  status 0: nothing, and a closed door. */
void stub_http_answer(struct stub_http *stub, int status, struct text body);

/* How many requests came, and the last one's head and body. */
unsigned stub_http_count(struct stub_http *stub);
void stub_http_last(struct stub_http *stub, struct buffer *out);

#endif
