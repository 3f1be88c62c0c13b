#ifndef SCHEDRUN_PRODUCER_EVENTS_KEY_H
#define SCHEDRUN_PRODUCER_EVENTS_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/text.h"
#include "producer/auth/auth.h"
#include "producer/base/profile.h"

/*
 * Whom an audience is made of: who has the same key sees the same events in the
 * same form.  Pure.
 */
struct audience_key {
	enum http_profile profile;
	struct http_caller caller;
	struct text *schedules; /* ascending, ours; n 0: all that he may see */
	size_t n_schedules;
};

/* The names are copied; free `schedules` by free(3). */
void audience_key_init(struct audience_key *key, enum http_profile profile,
    const struct http_caller *caller, const struct text *schedules, size_t n);

bool audience_key_equal(
    const struct audience_key *a, const struct audience_key *b);

/* Whether a schedule is one of those that were asked for. */
bool audience_key_names(const struct audience_key *key, struct text rid);

#endif
