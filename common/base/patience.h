#ifndef SCHEDRUN_COMMON_BASE_PATIENCE_H
#define SCHEDRUN_COMMON_BASE_PATIENCE_H

/*
 * What a command waits for and how long already, on stderr, for what is not
 * counted as progress is: from the second second on a terminal, else a line
 * every few seconds, which begins by `who`.  A thread of its own tells it while
 * the command's is blocked.  One at a time.
 */

/* `what` is waited for from now on, in place of what was; both are literals. */
void patience_begin(const char *who, const char *what);
/* Nothing is: what stands there goes.  May be repeated. */
void patience_end(void);

#endif
