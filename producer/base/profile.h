#ifndef SCHEDRUN_PRODUCER_BASE_PROFILE_H
#define SCHEDRUN_PRODUCER_BASE_PROFILE_H

#include <stdbool.h>

#include "common/base/text.h"
#include "common/http/head.h"

/*
 * Contract profiles: which generation of the published clients an answer is for
 * (docs/http.md, section 2).
 */
enum http_profile {
	PROFILE_DOC,      /* the page, curl, Python 1.0 to 1.8 */
	PROFILE_GA,       /* Python 1.9 to 1.85, npm 2.38 */
	PROFILE_GA_UPPER, /* Python from 1.86, npm 2.78 */
};

/* "doc", "ga", "ga-upper"; false on another name. */
bool http_profile_parse(struct text name, enum http_profile *profile);

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

/* "CyclicDependency" -> "CYCLICDEPENDENCY" for ga-upper, else as it is. */
size_t http_profile_error_name(
    enum http_profile profile, struct text name, char out[64]);

/* Whether this profile's clients can decode a trigger of this type. */
bool http_profile_knows_trigger(enum http_profile profile, struct text type);

#endif
