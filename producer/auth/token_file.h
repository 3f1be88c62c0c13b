#ifndef SCHEDRUN_PRODUCER_AUTH_TOKEN_FILE_H
#define SCHEDRUN_PRODUCER_AUTH_TOKEN_FILE_H

#include "common/base/error.h"
#include "producer/auth/caller.h"

/*
 * Tokens of a file, a line each: TOKEN USER-UUID SCOPE…; `#` begins a comment
 * line.  Only their SHA-256 is kept.  One thread.
 */
struct token_file;

/*
 * Reads it; NULL: ERROR_FATAL (78) naming file and line, never a token.  That
 * everybody may read it is a warning, or with `strict` an error.
 */
struct token_file *token_file_create(
    const char *path, bool strict, struct error *err);
void token_file_destroy(struct token_file *file); /* NULL is fine */

/* Reads it again; on an error what was valid stays valid. */
int token_file_reload(struct token_file *file, struct error *err);

/*
 * Whose token has the digest `caller->key`: fills the rest.  False: nobody's.
 * All are compared, so the time tells nothing about which one fits.
 */
bool token_file_find(const struct token_file *file, struct http_caller *caller);

#endif
