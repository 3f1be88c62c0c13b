#ifndef SCHEDRUN_PRODUCER_AUTH_KEY_SOURCE_H
#define SCHEDRUN_PRODUCER_AUTH_KEY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

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
 * Whether a file has a key set in it now: for who checks what an adapter would
 * wait for.  Of a URL nothing is asked.  -1: ERROR_FATAL (78).
 */
int key_source_check(const char *location, struct error *err);

/*
 * Ends the thread, after at most a second: before the loop is destroyed.  Then,
 * after that, nothing is on its way any more and the rest may go.  NULL is
 * fine.
 */
void key_source_stop(struct key_source *source);
void key_source_destroy(struct key_source *source);

/*
 * Asks for a look because of an unknown key, of which there is one at most
 * every 5 s at a URL, every 100 ms at a file.  0: `looked` will say `asked`,
 * at once or within a second; else the ms until one may be had.
 */
int64_t key_source_look(struct key_source *source);

/* Asks for a look without that limit: SIGHUP. */
void key_source_reload(struct key_source *source);

#endif
