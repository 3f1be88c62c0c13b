#ifndef SCHEDRUN_COMMON_HTTP_TCP_H
#define SCHEDRUN_COMMON_HTTP_TCP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/http/loop.h"

/*
 * TCP on a loop: listen, read, write without waiting.  An idle connection holds
 * no buffer: all of a loop's connections read into one.  Everything on the
 * loop's thread; after tcp_close no callback comes.
 */
struct tcp;
struct tcp_listener;

/*
 * Listens on "host:port" (all addresses of the name that this machine has),
 * "[::1]:port" or ":port" (all addresses); port 0: any that is free at all of
 * them.  `accept` gets each connection and owns it.  NULL: ERROR_FATAL, 78.
 */
struct tcp_listener *tcp_listen(struct loop *loop, const char *address,
    void (*accept)(void *context, struct tcp *tcp), void *context,
    struct error *err);
unsigned tcp_listener_port(const struct tcp_listener *listener);
void tcp_listener_close(struct tcp_listener *listener); /* NULL is fine */

struct tcp_events {
	/* Bytes came; borrowed for the call. */
	void (*data)(void *context, struct text bytes);
	/* The peer sends no more; `dead`: it doesn't read either. */
	void (*end)(void *context, bool dead);
	/* All that was written has been handed to the kernel. */
	void (*sent)(void *context);
};

/* Begins to read.  `events` must stay valid. */
void tcp_start(struct tcp *tcp, const struct tcp_events *events, void *context);
void tcp_pause(struct tcp *tcp); /* reads no more: back pressure */
void tcp_resume(struct tcp *tcp);

/*
 * Writes two texts after what was written before; what the kernel doesn't take
 * at once is copied and follows.  Failures show as `end`.
 */
void tcp_write(struct tcp *tcp, struct text first, struct text second);

/* The same without a copy: `release` is called when the bytes aren't needed. */
void tcp_write_shared(struct tcp *tcp, struct text bytes,
    void (*release)(void *argument), void *argument);
size_t tcp_unsent(const struct tcp *tcp); /* bytes waiting for the kernel */
/*
 * Bounds what the kernel takes, about: else it keeps megabytes for a peer that
 * doesn't read, and `unsent` stays low.
 */
void tcp_bound_unread(struct tcp *tcp, size_t size);

/* Says that no more will be written, once all has been sent. */
void tcp_shutdown(struct tcp *tcp);
void tcp_close(struct tcp *tcp); /* at once; unsent bytes are lost */

#endif
