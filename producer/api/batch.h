#ifndef SCHEDRUN_PRODUCER_API_BATCH_H
#define SCHEDRUN_PRODUCER_API_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "producer/http/call.h"
#include "schemas/stored/schedule.h"

/*
 * The body of a getBatch: [{"<member>": rid}, …], 1 to `max` of them.  `rids`
 * come ascending and once each, in the call's arena.  False: the call has been
 * refused (docs/http.md, section 5).
 */
bool http_batch_read(struct http_call *call, const char *member, size_t max,
    struct text_list *rids);

/*
 * Whether the answer may still grow; else the call has been refused: a client
 * must ask for fewer.
 */
bool http_batch_has_room(struct http_call *call);

#endif
