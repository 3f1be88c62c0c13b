#ifndef SCHEDRUN_COMMON_TRACE_INTERNAL_H
#define SCHEDRUN_COMMON_TRACE_INTERNAL_H

#include "common/base/buffer.h"
#include "common/trace/tracer.h"

/*
 * The form of OTLP's JSON: the protobuf mapping, but ids in hexadecimal,
 * numbers of 64 bits as strings, enums as numbers (OTLP's specification,
 * "JSON Protobuf Encoding").
 */
/* What stands before and behind a request's spans. */
void otlp_open(struct buffer *out, const char *service, const char *instance);
void otlp_close(struct buffer *out);
void otlp_span(struct buffer *out, const struct trace_span *span,
    const struct trace_attribute *attributes);

/* How many of them the collector's answer says it did not take; 0: all are in.
 * `why` gets what it says of it. */
int64_t otlp_rejected(struct text answer, char *why, size_t size);

#endif
