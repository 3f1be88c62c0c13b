#ifndef SCHEDRUN_PRODUCER_API_JSON_H
#define SCHEDRUN_PRODUCER_API_JSON_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "producer/auth/access.h"
#include "producer/base/profile.h"

/*
 * Schedules and versions as clients see them (docs/http.md, section 4), in a
 * profile's shape: defaults filled in, optional values absent, no trigger that
 * the profile's clients could not decode.  -1 with ERROR_FATAL (70) if what is
 * stored is not of our form; `out` may have grown by then.
 */
int schedule_write_api(const struct schedule_access *schedule,
    enum http_profile profile, struct buffer *out, struct error *err);

/* The same of a version. */
int schedule_version_write_api(const struct version_access *version,
    enum http_profile profile, struct buffer *out, struct error *err);

#endif
