#ifndef SCHEDRUN_PRODUCER_API_PAGE_TOKEN_H
#define SCHEDRUN_PRODUCER_API_PAGE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "producer/runs/view.h"

/*
 * The token of the next page: a place in a schedule's list of runs and a
 * truncated HMAC over schedule and place, in base64url (docs/keyspace.md,
 * section 5, "Pages").  Whoever has one can't make another.  Pure.
 */
void page_token_write(const uint8_t key[PAGE_KEY_SIZE],
    struct text schedule_rid, const char place[RUN_PLACE_SIZE],
    struct buffer *out);

/* False: not ours, damaged, or of another schedule. */
bool page_token_read(const uint8_t key[PAGE_KEY_SIZE], struct text schedule_rid,
    struct text token, char place[RUN_PLACE_SIZE]);

#endif
