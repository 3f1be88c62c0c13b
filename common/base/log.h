#ifndef SCHEDRUN_COMMON_BASE_LOG_H
#define SCHEDRUN_COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/text.h"

/*
 * Logs: one line per event on stderr, logfmt or JSON, at most 4 KiB, the same
 * event at most `rate` times a second and then a count (docs/operation.md,
 * section 3).  Payload bytes are never logged; texts are escaped.  Any thread.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
	const char *name; /* NULL ends the list */
	enum { LOG_TEXT, LOG_INTEGER } type;
	struct text text;
	int64_t integer;
};

#define LOG_T(name_, text_)                                                    \
	((struct log_field){                                                   \
	    .name = (name_), .type = LOG_TEXT, .text = (text_) })
#define LOG_S(name_, string_) LOG_T((name_), text_from(string_))
#define LOG_I(name_, integer_)                                                 \
	((struct log_field){ .name = (name_),                                  \
	    .type = LOG_INTEGER,                                               \
	    .integer = (int64_t)(integer_) })
#define LOG_END ((struct log_field){ .name = NULL })

/*
 * log_event(LOG_INFO, "worker", "batch_committed", "batch committed",
 *     LOG_I("records", n), LOG_I("duration_ms", ms), LOG_END);
 * `component` is one of kafka redis planner http worker cli librdkafka config;
 * `event` is stable snake_case, the key of the rate limit.
 */
#define log_event(level, component, event, message, ...)                       \
	log_write((level), (component), (event), (message),                    \
	    (const struct log_field[]){ __VA_ARGS__ })

/* What log_event calls: the fields are ended by LOG_END, and copied. */
void log_write(enum log_level level, const char *component, const char *event,
    const char *message, const struct log_field *fields);

/*
 * The same at level info and never left out by the rate limit: who changed
 * what.
 */
#define log_audit(component, event, message, ...)                              \
	log_write_audit((component), (event), (message),                       \
	    (const struct log_field[]){ __VA_ARGS__ })

/* What log_audit calls. */
void log_write_audit(const char *component, const char *event,
    const char *message, const struct log_field *fields);

/* Settings; before the first thread.  `rate` 0 = no limit. */
void log_configure(enum log_level level, enum log_format format, unsigned rate);
/* Another level from now on.  Any thread. */
void log_set_level(enum log_level level);
bool log_level_parse(const char *name, enum log_level *level);

/* Lines not written because of the rate limit, for /metrics. */
uint64_t log_suppressed(void);

#endif
