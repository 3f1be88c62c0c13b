#ifndef SCHEDRUN_PRODUCER_AUTH_KEY_SET_H
#define SCHEDRUN_PRODUCER_AUTH_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/public_key.h"

/*
 * A JSON Web Key Set (RFC 7517) as far as tokens need it: its RSA and P-256
 * keys for signatures.  A member that is null is as none.  Other keys are
 * passed over; a set without one that can be used is an error, never "no
 * authentication" (docs/http.md, section 6).
 */
struct key_set;

/* Any thread.  NULL: ERROR_INPUT, what is wrong with the document. */
struct key_set *key_set_parse(struct text json, struct error *err);
void key_set_destroy(struct key_set *set); /* NULL is fine */
size_t key_set_size(const struct key_set *set);

/* Why a key was passed over, the first one; NULL: none was. */
const char *key_set_passed_over(const struct key_set *set);

#define KEYS_TRIED_MAX 4 /* for one token, which a stranger may have made */

/* The keys that may have signed a token. */
struct key_match {
	const struct public_key *keys[KEYS_TRIED_MAX];
	size_t n;
	bool rsa;
	enum {
		KID_UNKNOWN, /* it names none of the set */
		KID_UNFIT,   /* one, of another type */
		KID_KNOWN,
	} kid;
};

/*
 * Finds them: those of its `kid`, then those without one, which fit any; all
 * for a token without (TEXT_NONE).  `rsa`: what its algorithm wants.
 */
struct key_match key_set_find(
    const struct key_set *set, struct text kid, bool rsa);

#endif
