#ifndef SCHEDRUN_COMMON_BASE_ERROR_H
#define SCHEDRUN_COMMON_BASE_ERROR_H

/*
 * Errors: what went wrong, and what the caller must do about it.  A function
 * that can fail returns 0 or -1 (NULL from a `_create`) and takes `struct
 * error *err` last.  The kind is the action; the message is one line for a
 * person and names the value, the place and the way out.
 */

enum error_kind {
	ERROR_NONE = 0,
	ERROR_INPUT, /* this record, file or request only: reject it, go on */
	ERROR_RETRY, /* a dependency did not answer: try again later */
	ERROR_ABORT, /* the transaction is lost: rewind to the batch's start */
	ERROR_FATAL, /* leave the process with `exit_code` */
};

/* Exit codes of the daemons are sysexits(3)'s; 0 = pick by the program. */
struct error {
	enum error_kind kind;
	int exit_code; /* what main exits with if it comes to that; 0 = unset */
	char message[1024]; /* one line, no line break at its end */
};

/*
 * Sets kind and message, clears exit_code.  Returns -1 always, so that
 * `return error_set(...)` reads as what it is.  `err` may be NULL: nothing is
 * kept.  A message that is too long is cut.
 */
int error_set(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, for an error with which the process must end by `exit_code`. */
int error_fatal(struct error *err, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "text: " in front of the message: the caller knows the place better. */
void error_prefix(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
