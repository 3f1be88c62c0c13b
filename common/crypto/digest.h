#ifndef SCHEDRUN_COMMON_CRYPTO_DIGEST_H
#define SCHEDRUN_COMMON_CRYPTO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

/*
 * Digests and the texts they travel as.  Pure; any thread.
 */
#define SHA256_SIZE 32

/* SHA-256 of the bytes, and keyed by HMAC (RFC 2104). */
void sha256(struct text bytes, uint8_t out[SHA256_SIZE]);
/* The key may have any size. */
void hmac_sha256(struct text key, struct text bytes, uint8_t out[SHA256_SIZE]);

/* Takes the same time whatever the bytes are. */
bool digest_equal(const void *left, const void *right, size_t size);

/* Overwrites a secret; not optimised away. */
void secret_wipe(void *bytes, size_t size);

/* Lower-case hexadecimal, 2 × size characters, no NUL. */
void hex_write(const void *bytes, size_t size, char *out);

/* Base64url without padding (RFC 4648, section 5). */
void base64url_write(struct text bytes, struct buffer *out);

/*
 * Strict: only the alphabet, no padding, no bits set behind the end.  Appends;
 * false on anything else, `out` may have grown by then.
 */
bool base64url_read(struct text text, struct buffer *out);

/* The same of either alphabet (with "+/" as well), padded or not. */
bool base64_read(struct text text, struct buffer *out);

/*
 * Appends `part` with its length in 4 bytes, big-endian, before it; no text is
 * FF FF FF FF.  So joined parts can't be mistaken for others (docs/keyspace.md,
 * section 6).
 */
void length_prefixed(struct buffer *out, struct text part);

#endif
