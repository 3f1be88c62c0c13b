#include "schemas/avro/reject.h"

#include <stdarg.h>
#include <stdio.h>

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
