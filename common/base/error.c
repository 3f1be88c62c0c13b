#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define MESSAGE_MAX (sizeof((struct error *)0)->message - 1)

/* `size` is what the message needed: where it was cut, no half character is
 * left, so that it can go into JSON. */
static void
end_message(struct error *err, size_t size)
{
	struct text kept = { err->message, MESSAGE_MAX };

	if (size > kept.size)
		err->message[text_cut(kept, kept.size - 1).size] = '\0';
}

static void set(struct error *err, enum error_kind kind, int exit_code,
    const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static void
set(struct error *err, enum error_kind kind, int exit_code, const char *format,
    va_list args)
{
	int size;

	if (err == NULL)
		return;
	err->kind = kind;
	err->exit_code = exit_code;
	size = vsnprintf(err->message, sizeof err->message, format, args);
	end_message(err, size > 0 ? (size_t)size : 0);
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
	int rest;

	if (err == NULL)
		return;
	memcpy(message, err->message, sizeof message);
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	size = strlen(err->message);
	rest = snprintf(err->message + size, sizeof err->message - size,
	    ": %.*s", (int)(sizeof message - 1), message);
	end_message(err, size + (rest > 0 ? (size_t)rest : 0));
}
