#include "schemas/message/dead_reason.h"

static const char *const names[DEAD_REASONS] = {
	[DEAD_EMPTY] = "empty",
	[DEAD_TOO_LARGE] = "too-large",
	[DEAD_TRUNCATED_HEADER] = "truncated-header",
	[DEAD_BAD_MAGIC] = "bad-magic",
	[DEAD_UNKNOWN_SCHEMA] = "unknown-schema",
	[DEAD_WRONG_SCHEMA] = "wrong-schema",
	[DEAD_BAD_SCHEMA] = "bad-schema",
	[DEAD_MALFORMED] = "malformed",
	[DEAD_TRAILING_BYTES] = "trailing-bytes",
	[DEAD_INVALID_FIELD] = "invalid-field",
	[DEAD_CONFLICT] = "idempotency-conflict",
	[DEAD_CRASHED_WORKER] = "crashed-worker",
	[DEAD_NOT_APPLICABLE] = "not-applicable",
};

const char *
dead_reason_text(enum dead_reason reason)
{
	return names[reason];
}

enum dead_reason
dead_reason_of(struct text name)
{
	enum dead_reason reason = 0;

	while (reason < DEAD_REASONS &&
	    !text_equal(name, text_from(names[reason])))
		reason++;
	return reason;
}
