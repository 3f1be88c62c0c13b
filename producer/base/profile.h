#ifndef SCHEDRUN_PRODUCER_BASE_PROFILE_H
#define SCHEDRUN_PRODUCER_BASE_PROFILE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/http/head.h"
#include "schemas/message/schedule_run.h"

/*
 * Contract profiles: which generation of the published clients an answer is for
 * (docs/http.md, section 2).
 */
enum http_profile {
	PROFILE_DOC,      /* the page, curl, Python 1.0 to 1.8 */
	PROFILE_GA,       /* Python 1.9 to 1.85, npm 2.38 */
	PROFILE_GA_UPPER, /* Python from 1.86, npm 2.78 */
};

/*
 * The request's profile: its header Schedrun-Contract, `configured` (a name or
 * "auto"), User-Agent, Fetch-User-Agent, else doc.  False: the header has an
 * unknown value or is there twice.
 */
bool http_profile_choose(const struct http_head *head, const char *configured,
    enum http_profile *profile);

/*
 * Whether the client takes "204, no body" for nothing where it expects an
 * object: the Python releases of `doc` parse every answer, and take null.
 */
bool http_profile_takes_no_content(const struct http_head *head);

/*
 * Appends a run as this profile's clients know it (docs/http.md, section 4):
 * error names in capitals for ga-upper, the result in both forms for doc.
 */
void http_profile_put_run(enum http_profile profile,
    const struct schedule_run *run, struct buffer *out);

/* Whether this profile's clients can decode a trigger of this type. */
bool http_profile_knows_trigger(enum http_profile profile, struct text type);

#endif
