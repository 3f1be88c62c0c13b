#include "schemas/avro/reject.h"

#include <stdarg.h>
#include <stdio.h>

const char *
reject_text(enum reject reason)
{
	static const char *const names[REJECT_REASONS] = {
		[REJECT_EMPTY] = "empty",
		[REJECT_TOO_LARGE] = "too-large",
		[REJECT_TRUNCATED_HEADER] = "truncated-header",
		[REJECT_BAD_MAGIC] = "bad-magic",
		[REJECT_UNKNOWN_SCHEMA] = "unknown-schema",
		[REJECT_WRONG_SCHEMA] = "wrong-schema",
		[REJECT_BAD_SCHEMA] = "bad-schema",
		[REJECT_MALFORMED] = "malformed",
		[REJECT_TRAILING_BYTES] = "trailing-bytes",
		[REJECT_INVALID_FIELD] = "invalid-field",
	};

	return names[reason];
}

int
reject(struct rejection *rejection, enum reject reason, const char *format, ...)
{
	va_list args;

	rejection->reason = reason;
	va_start(args, format);
	vsnprintf(rejection->detail, sizeof rejection->detail, format, args);
	va_end(args);
	return -1;
}
