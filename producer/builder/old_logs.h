#ifndef SCHEDRUN_PRODUCER_BUILDER_OLD_LOGS_H
#define SCHEDRUN_PRODUCER_BUILDER_OLD_LOGS_H

#include <stdint.h>

/*
 * Removes what jobs have written, a build's folder at a time: what is too old,
 * and the oldest while there is too much.  Folders and files that are not
 * named as ours stay, and so does a file that some builder's job still writes,
 * which it holds by flock.  Several builders may share the folder.
 */
struct old_logs_settings {
	const char *folder; /* borrowed */
	int64_t age_ms;     /* since the last writing; 0: none is too old */
	int64_t total;      /* bytes of all together; 0: never too much */
};

/* By a thread of its own: now and each hour, until it is ended. */
struct old_logs;
struct old_logs *old_logs_start(const struct old_logs_settings *settings);
void old_logs_end(struct old_logs *logs); /* NULL is fine */

#endif
