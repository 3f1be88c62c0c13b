#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
set(struct error *err, enum error_kind kind, int exit_code, const char *format,
    va_list args)
{
	if (err == NULL)
		return;
	err->kind = kind;
	err->exit_code = exit_code;
	vsnprintf(err->message, sizeof err->message, format, args);
}

int
error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, kind, 0, format, args);
	va_end(args);
	return -1;
}

int
error_fatal(struct error *err, int exit_code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, ERROR_FATAL, exit_code, format, args);
	va_end(args);
	return -1;
}

void
error_prefix(struct error *err, const char *format, ...)
{
	char message[sizeof err->message];
	va_list args;
	size_t size;

	if (err == NULL)
		return;
	memcpy(message, err->message, sizeof message);
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	size = strlen(err->message);
	snprintf(err->message + size, sizeof err->message - size, ": %.*s",
	    (int)(sizeof message - 1), message);
}
