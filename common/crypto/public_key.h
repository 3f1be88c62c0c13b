#ifndef SCHEDRUN_COMMON_CRYPTO_PUBLIC_KEY_H
#define SCHEDRUN_COMMON_CRYPTO_PUBLIC_KEY_H

#include <stdbool.h>

#include "common/base/text.h"

/*
 * Public keys and what they signed: RS256 and ES256 of RFC 7518, section 3, by
 * libcrypto.  Nothing is parsed here but numbers, so that a token is read once,
 * by the strict reader: librhonabwy, the library for this, reads it a second
 * time and laxly (measured, 1.1.11: padding, loose last bits, duplicate members
 * and `crit` pass) and takes 127 µs for RS256 and 639 µs for ES256 where the
 * verification itself takes 26 and 90.
 */
struct public_key;

#define RSA_BITS_MIN 2048 /* RFC 7518, section 3.3 */
#define RSA_BITS_MAX 8192 /* more would hold the event loop up */

/*
 * Numbers as unsigned big-endian bytes.  NULL if they are no key that may be
 * used; `*reason` is then a literal that says why.  Any thread.
 */
struct public_key *public_key_rsa(
    struct text modulus, struct text exponent, const char **reason);
struct public_key *public_key_p256(
    struct text x, struct text y, const char **reason);
void public_key_destroy(struct public_key *key); /* NULL is fine */

/* Else it is one of P-256. */
bool public_key_is_rsa(const struct public_key *key);

/*
 * Whether `signature` is the key's over `message` with SHA-256: PKCS #1 v1.5
 * for RSA, 64 bytes r‖s for P-256.  Any thread; some 100 µs.
 */
bool public_key_verify(
    const struct public_key *key, struct text message, struct text signature);

#endif
