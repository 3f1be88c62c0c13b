#ifndef SCHEDRUN_PRODUCER_AUTH_KEY_SOURCE_H
#define SCHEDRUN_PRODUCER_AUTH_KEY_SOURCE_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/http/loop.h"
#include "producer/auth/key_set.h"

/*
 * Where the key set comes from: a file, looked at every second, or a URL,
 * fetched every ten minutes; and at once when a token has an unknown key.  A
 * thread looks, so the loop never waits for disk or network; what it finds
 * comes to the loop.
 *
 *     loop:   key_source_look ─┐         ┌─> looked(set) ── new set, waiters go
 * on thread:        (timer) ──┴─> look ─┘ loop_post
 */
struct key_source;

struct key_source_settings {
	struct loop *loop;
	const char *location; /* path or URL */
	const char *ca_file;  /* for https; NULL: the system's */
	/*
	 * On the loop, after a look that brought something new or was asked
	 * for.  `set`: a new one, the callee's from now on, or NULL.
	 * `failure`: why the source could not be read, or NULL.
	 */
	void (*looked)(void *argument, struct key_set *set, const char *failure,
	    bool asked);
	void *argument;
};

/*
 * Starts the thread.  NULL: ERROR_FATAL (78), the location makes no sense.  A
 * file has been looked at when it returns (`looked` was called if something
 * came of it); a URL has not.
 */
struct key_source *key_source_start(
    const struct key_source_settings *settings, struct error *err);

/*
 * Ends the thread, after at most a second: before the loop is destroyed.  Then,
 * after that, nothing is on its way any more and the rest may go.  NULL is
 * fine.
 */
void key_source_stop(struct key_source *source);
void key_source_destroy(struct key_source *source);

/*
 * Asks for a look because of an unknown key; `looked` will say `asked`.  False:
 * there was one too lately (30 s for a URL, 100 ms for a file).
 */
bool key_source_look(struct key_source *source);

/* Asks for a look without that limit: SIGHUP. */
void key_source_reload(struct key_source *source);

#endif
