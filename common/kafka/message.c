#include "common/kafka/message.h"

#include <librdkafka/rdkafka.h>

static rd_kafka_headers_t *
copy_headers(const struct kafka_message *message)
{
	rd_kafka_headers_t *headers;
	size_t i;

	if (message->n_headers == 0)
		return NULL;
	headers = rd_kafka_headers_new(message->n_headers);
	for (i = 0; i < message->n_headers; i++) {
		const struct kafka_header *at = &message->headers[i];
		rd_kafka_header_add(headers, at->name.at,
		    (ssize_t)at->name.size, at->value.at,
		    (ssize_t)at->value.size);
	}
	return headers;
}

struct rd_kafka_error_s *
kafka_message_produce(struct rd_kafka_s *handle, struct kafka_partition to,
    const struct kafka_message *message, int flags)
{
	rd_kafka_headers_t *headers = copy_headers(message);
	rd_kafka_vu_t parts[9];
	rd_kafka_error_t *cause;
	size_t n = 0;

	parts[n].vtype = RD_KAFKA_VTYPE_TOPIC;
	parts[n++].u.cstr = to.topic;
	parts[n].vtype = RD_KAFKA_VTYPE_PARTITION;
	parts[n++].u.i32 = to.partition;
	parts[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
	parts[n++].u.i = flags;
	parts[n].vtype = RD_KAFKA_VTYPE_KEY;
	parts[n].u.mem.ptr = kafka_unconst(message->key.at);
	parts[n++].u.mem.size = message->key.size;
	parts[n].vtype = RD_KAFKA_VTYPE_VALUE;
	parts[n].u.mem.ptr = kafka_unconst(message->value.at);
	parts[n++].u.mem.size = message->value.size;
	parts[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
	parts[n++].u.ptr = message->opaque;
	if (message->timestamp_ms > 0) {
		parts[n].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
		parts[n++].u.i64 = message->timestamp_ms;
	}
	if (headers != NULL) {
		parts[n].vtype = RD_KAFKA_VTYPE_HEADERS;
		parts[n++].u.headers = headers;
	}
	cause = rd_kafka_produceva(handle, parts, n);
	if (cause != NULL && headers != NULL)
		rd_kafka_headers_destroy(headers); /* ours until accepted */
	return cause;
}
