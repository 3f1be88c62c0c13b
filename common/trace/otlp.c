#include <stdio.h>

#include "common/crypto/digest.h"
#include "common/json/write.h"
#include "common/trace/internal.h"

#define STATUS_ERROR 2
#define ANSWER_DEPTH 16

static void
put_id(struct buffer *out, const char *name, const uint8_t *id, size_t size)
{
	char digits[32];

	hex_write(id, size, digits);
	json_member_text(out, name, (struct text){ digits, 2 * size });
}

static void
put_long(struct buffer *out, const char *name, int64_t number)
{
	char digits[TEXT_NUMBER_SIZE];

	json_member_text(out, name, text_of_number(number, digits));
}

static void
put_attribute(struct buffer *out, const struct trace_attribute *attribute)
{
	json_open(out, '{');
	json_member_string(out, "key", attribute->name);
	json_member_open(out, "value", '{');
	if (attribute->text.at != NULL)
		json_member_text(out, "stringValue", attribute->text);
	else
		put_long(out, "intValue", attribute->number);
	json_close(out, '}');
	json_close(out, '}');
}

static void
put_attributes(struct buffer *out, const struct trace_attribute *attributes)
{
	json_member_open(out, "attributes", '[');
	for (; attributes->name != NULL; attributes++)
		put_attribute(out, attributes);
	json_close(out, ']');
}

void
otlp_open(struct buffer *out, const char *service, const char *instance)
{
	const struct trace_attribute who[] = {
		{ .name = "service.name", .text = text_from(service) },
		{ .name = "service.instance.id", .text = text_from(instance) },
		{ .name = "service.version", .text = TEXT(SCHEDRUN_VERSION) },
		{ .name = NULL },
	};

	json_open(out, '{');
	json_member_open(out, "resourceSpans", '[');
	json_open(out, '{');
	json_member_open(out, "resource", '{');
	put_attributes(out, who);
	json_close(out, '}');
	json_member_open(out, "scopeSpans", '[');
	json_open(out, '{');
	json_member_open(out, "scope", '{');
	json_member_string(out, "name", "schedrun");
	json_member_string(out, "version", SCHEDRUN_VERSION);
	json_close(out, '}');
	json_member_open(out, "spans", '[');
}

void
otlp_close(struct buffer *out)
{
	static const char brackets[] = "]}]}]}";
	size_t i;

	for (i = 0; brackets[i] != '\0'; i++)
		json_close(out, brackets[i]);
}

void
otlp_span(struct buffer *out, const struct trace_span *span,
    const struct trace_attribute *attributes)
{
	json_open(out, '{');
	put_id(out, "traceId", span->own.trace, sizeof span->own.trace);
	put_id(out, "spanId", span->own.span, sizeof span->own.span);
	if (span->has_parent)
		put_id(out, "parentSpanId", span->parent, sizeof span->parent);
	json_member_integer(out, "flags", 1); /* sampled */
	json_member_string(out, "name", span->name);
	json_member_integer(out, "kind", span->kind);
	put_long(out, "startTimeUnixNano", span->begun_ns);
	put_long(out, "endTimeUnixNano",
	    span->ended_ns > span->begun_ns ? span->ended_ns : span->begun_ns);
	put_attributes(out, attributes);
	if (span->failure != NULL) {
		json_member_open(out, "status", '{');
		json_member_integer(out, "code", STATUS_ERROR);
		json_member_string(out, "message", span->failure);
		json_close(out, '}');
	}
	json_close(out, '}');
}

int64_t
otlp_rejected(struct text answer, char *why, size_t size)
{
	struct error ignored;
	struct json_document *document =
	    json_parse(answer, ANSWER_DEPTH, &ignored);
	const struct json *partial;
	int64_t rejected = 0;

	if (document == NULL)
		return 0; /* a body may be empty */
	partial = json_get(json_root(document), "partialSuccess");
	text_to_bounded(json_word(json_get(partial, "rejectedSpans")),
	    INT32_MAX, &rejected);
	snprintf(why, size, "%.*s",
	    TEXT_ARG(json_text(json_get(partial, "errorMessage"))));
	json_destroy(document);
	return rejected;
}
