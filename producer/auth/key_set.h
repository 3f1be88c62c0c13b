#ifndef SCHEDRUN_PRODUCER_AUTH_KEY_SET_H
#define SCHEDRUN_PRODUCER_AUTH_KEY_SET_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/public_key.h"

/*
 * A JSON Web Key Set (RFC 7517) as far as tokens need it: its RSA and P-256
 * keys for signatures.  Other keys are passed over; a set without one that can
 * be used is an error, never "no authentication" (docs/http.md, section 6).
 */
struct key_set;

/* Any thread.  NULL: ERROR_INPUT, what is wrong with the document. */
struct key_set *key_set_parse(struct text json, struct error *err);
void key_set_destroy(struct key_set *set); /* NULL is fine */
size_t key_set_size(const struct key_set *set);

/* Why a key was passed over, the first one; NULL: none was. */
const char *key_set_passed_over(const struct key_set *set);

enum key_found {
	KEY_FOUND,
	KEY_UNKNOWN, /* no key of this id */
	KEY_UNFIT,   /* there is one, of another type */
};

/*
 * The key for a token: by exactly its `kid`; without one (TEXT_NONE) only if
 * there is a single key.  `rsa`: what the algorithm wants.
 */
enum key_found key_set_find(const struct key_set *set, struct text kid,
    bool rsa, const struct public_key **key);

#endif
