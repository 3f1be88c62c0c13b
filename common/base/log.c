#include "common/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

#define LINE_MAX_SIZE 4096
#define SECOND_MS 1000
#define EVENTS_MAX 256

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* A window of one second per event: what was written and what was not. */
struct window {
	char event[48];
	int64_t started_ms;
	unsigned written;
	uint64_t suppressed;
};

static struct {
	pthread_mutex_t lock;
	_Atomic int level;
	enum log_format format;
	unsigned rate;
	bool to_journal;
	_Atomic uint64_t suppressed;
	struct window windows[EVENTS_MAX];
	size_t n_windows;
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.level = LOG_INFO,
	.rate = 10,
};

/* A line on the stack: what does not fit is cut, never allocated for. */
struct line {
	char bytes[LINE_MAX_SIZE];
	size_t size;
	bool has_fields;
};

/* Room is kept for what closes the line. */
#define LINE_USABLE (LINE_MAX_SIZE - 8)

static void
put(struct line *line, const char *bytes, size_t size)
{
	if (size > LINE_USABLE - line->size)
		size = LINE_USABLE - line->size;
	memcpy(line->bytes + line->size, bytes, size);
	line->size += size;
}

static void
put_string(struct line *line, const char *string)
{
	put(line, string, strlen(string));
}

/* As JSON escapes it; also what logfmt's quoted values use. */
static void
put_escaped(struct line *line, struct text text)
{
	size_t i;

	for (i = 0; i < text.size && line->size < LINE_USABLE - 6; i++) {
		unsigned char c = (unsigned char)text.at[i];
		char escape[8];

		if (c == '"' || c == '\\') {
			escape[0] = '\\';
			escape[1] = (char)c;
			put(line, escape, 2);
		} else if (text_control_size(text, i) > 0) {
			i += text_control_size(text, i) - 1;
			snprintf(escape, sizeof escape, "\\u%04x",
			    (unsigned char)text.at[i]);
			put(line, escape, 6);
		} else {
			put(line, text.at + i, 1);
		}
	}
}

/* Whether logfmt can have the value without quotes. */
static bool
is_plain(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return text.size > 0;
}

static void
put_name(struct line *line, const char *name)
{
	bool is_json = state.format == LOG_JSON;

	if (line->has_fields)
		put_string(line, is_json ? "," : " ");
	line->has_fields = true;
	put_string(line, is_json ? "\"" : "");
	put_string(line, name);
	put_string(line, is_json ? "\":" : "=");
}

static void
put_text_field(struct line *line, const char *name, struct text text)
{
	if (text.at == NULL)
		return;
	put_name(line, name);
	if (state.format == LOG_LOGFMT && is_plain(text)) {
		put(line, text.at, text.size);
	} else {
		put(line, "\"", 1);
		if (text_is_utf8(text))
			put_escaped(line, text);
		else
			put_string(line, "(not UTF-8)");
		put(line, "\"", 1);
	}
}

static void
put_field(struct line *line, const struct log_field *field)
{
	char number[32];

	switch (field->type) {
	case LOG_TEXT:
		put_text_field(line, field->name, field->text);
		return;
	case LOG_INTEGER:
		snprintf(
		    number, sizeof number, "%lld", (long long)field->integer);
		break;
	}
	put_name(line, field->name);
	put_string(line, number);
}

static struct window *
find_window(const char *event)
{
	struct window *window;
	size_t i;

	for (i = 0; i < state.n_windows; i++)
		if (strcmp(state.windows[i].event, event) == 0)
			return &state.windows[i];
	/* Events are literals: the table is larger than their number. */
	if (state.n_windows == EVENTS_MAX)
		return &state.windows[EVENTS_MAX - 1];
	window = &state.windows[state.n_windows++];
	snprintf(window->event, sizeof window->event, "%s", event);
	return window;
}

/*
 * Whether this event may be written now; `missed` is what was kept back in the
 * window before.
 */
static bool
admit(const char *event, uint64_t *missed)
{
	struct window *window;
	int64_t now = clock_monotonic_ms();

	*missed = 0;
	if (state.rate == 0)
		return true;
	window = find_window(event);
	if (now - window->started_ms >= SECOND_MS) {
		*missed = window->suppressed;
		window->started_ms = now;
		window->written = 0;
		window->suppressed = 0;
	}
	if (window->written < state.rate) {
		window->written++;
		return true;
	}
	window->suppressed++;
	atomic_fetch_add_explicit(&state.suppressed, 1, memory_order_relaxed);
	return false;
}

static void
begin(struct line *line, enum log_level level)
{
	static const char *const priorities[] = { "<7>", "<6>", "<4>", "<3>" };
	char time_text[CLOCK_TEXT_SIZE];

	if (state.to_journal)
		put_string(line, priorities[level]);
	if (state.format == LOG_JSON)
		put_string(line, "{");
	clock_format(clock_wall_ms(), time_text);
	put_text_field(
	    line, "ts", (struct text){ time_text, sizeof time_text });
	put_text_field(line, "level", text_from(level_names[level]));
}

static void
finish(struct line *line)
{
	const char *at = line->bytes;
	size_t left;

	if (state.format == LOG_JSON)
		line->bytes[line->size++] = '}';
	line->bytes[line->size++] = '\n';
	for (left = line->size; left > 0;) {
		ssize_t written = write(STDERR_FILENO, at, left);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return; /* logs may be lost, nothing else */
		at += written;
		left -= (size_t)written;
	}
}

struct entry {
	enum log_level level;
	const char *component, *event, *message;
};

/* Under the lock. */
static void
write_line(
    const struct entry *entry, const struct log_field *fields, uint64_t missed)
{
	struct line line = { .size = 0 };

	begin(&line, entry->level);
	put_text_field(&line, "msg", text_from(entry->message));
	put_text_field(&line, "event", text_from(entry->event));
	put_text_field(&line, "component", text_from(entry->component));
	for (; fields->name != NULL; fields++)
		put_field(&line, fields);
	if (missed > 0)
		put_field(&line, &LOG_I("suppressed", missed));
	finish(&line);
}

static bool
is_below(enum log_level level)
{
	return (int)level <
	    atomic_load_explicit(&state.level, memory_order_relaxed);
}

void
log_write(enum log_level level, const char *component, const char *event,
    const char *message, const struct log_field *fields)
{
	const struct entry entry = { level, component, event, message };
	uint64_t missed;

	if (is_below(level))
		return;
	pthread_mutex_lock(&state.lock);
	if (admit(event, &missed))
		write_line(&entry, fields, missed);
	pthread_mutex_unlock(&state.lock);
}

void
log_write_audit(const char *component, const char *event, const char *message,
    const struct log_field *fields)
{
	const struct entry entry = { LOG_INFO, component, event, message };

	if (is_below(LOG_INFO))
		return;
	pthread_mutex_lock(&state.lock);
	write_line(&entry, fields, 0);
	pthread_mutex_unlock(&state.lock);
}

void
log_configure(enum log_level level, enum log_format format, unsigned rate)
{
	const char *journal = getenv("JOURNAL_STREAM");

	atomic_store(&state.level, (int)level);
	state.format = format;
	state.rate = rate;
	state.to_journal =
	    journal != NULL && journal[0] != '\0' && format == LOG_LOGFMT;
}

void
log_set_level(enum log_level level)
{
	atomic_store(&state.level, (int)level);
}

bool
log_level_parse(const char *name, enum log_level *level)
{
	size_t i;

	for (i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
		if (strcmp(level_names[i], name) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	return false;
}

uint64_t
log_suppressed(void)
{
	return atomic_load_explicit(&state.suppressed, memory_order_relaxed);
}
