#ifndef SCHEDRUN_PRODUCER_RUNS_RECORD_H
#define SCHEDRUN_PRODUCER_RUNS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "producer/base/profile.h"

/*
 * A run as the run view keeps it and as clients see it: pending, or with its
 * result (docs/keyspace.md, section 1, `r`; docs/http.md, section 4).
 */
enum run_state { RUN_PENDING, RUN_IGNORED, RUN_SUBMITTED, RUN_FAILED };

struct run_record {
	struct uuid id; /* of its rid */
	struct text request_id;
	struct text schedule_rid;
	struct text schedule_version_rid; /* may be none */
	int64_t created_time_ms;
	struct text created_by; /* may be none */
	enum run_state state;
	struct text build_rid;               /* RUN_SUBMITTED */
	struct text error_name, description; /* RUN_FAILED, CamelCase */
	int64_t finished_time_ms;            /* from here on: if not pending */
	struct text why;                     /* JSON, may be none */
	int32_t partition;                   /* where its result stands */
	int64_t offset;
};

/*
 * The stored form: canonical JSON, so that "at" is the first member of a
 * finished run, which the fold's script relies on.
 */
void run_record_write(const struct run_record *record, struct buffer *out);

/* Reads it; texts are copied to `arena`.  ERROR_FATAL (70): not our form. */
int run_record_parse(struct text bytes, struct arena *arena,
    struct run_record *record, struct error *err);

/* The ScheduleRun of the API, in a profile's shape. */
void run_record_write_api(const struct run_record *record,
    enum http_profile profile, struct buffer *out);

#endif
