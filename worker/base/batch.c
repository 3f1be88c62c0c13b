#include "worker/base/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define ARENA_KEEP ((size_t)8 << 20)
#define OUT_KEEP ((size_t)32 << 20)

struct batch *
batch_create(size_t max_records, size_t max_bytes)
{
	struct batch *batch = memory_zalloc(1, sizeof *batch);

	*batch = (struct batch){ .max_records = max_records,
		.max_bytes = max_bytes };
	batch->kafka = memory_resize(NULL, max_records, sizeof *batch->kafka);
	batch->records =
	    memory_resize(NULL, max_records, sizeof *batch->records);
	batch->claims = memory_resize(NULL, max_records, sizeof *batch->claims);
	batch->arena = arena_create(256 * 1024);
	return batch;
}

void
batch_destroy(struct batch *batch)
{
	size_t topic;

	if (batch == NULL)
		return;
	batch_reset(batch);
	for (topic = 0; topic < BATCH_TOPICS; topic++)
		free(batch->messages[topic].at);
	buffer_finish(&batch->out);
	arena_destroy(batch->arena);
	free(batch->spans);
	free(batch->claims);
	free(batch->records);
	free(batch->kafka);
	free(batch);
}

void
batch_reset(struct batch *batch)
{
	size_t topic;

	kafka_records_release(batch->kafka, batch->n);
	kafka_group_destroy(batch->group);
	batch->group = NULL;
	batch->n = batch->bytes = 0;
	batch->oldest_ms = batch->polled_ns = 0;
	batch->traced = NULL;
	batch->n_traced = 0;
	batch->n_claims = batch->n_spans = batch->n_crossed = 0;
	batch->entered_again = batch->letters_refused = false;
	memset(&batch->counts, 0, sizeof batch->counts);
	for (topic = 0; topic < BATCH_TOPICS; topic++)
		batch->messages[topic].n = 0;
	arena_reset(batch->arena, ARENA_KEEP);
	if (batch->out.capacity > OUT_KEEP)
		buffer_finish(&batch->out);
	buffer_reset(&batch->out);
}

bool
batch_is_full(const struct batch *batch)
{
	return batch->n >= batch->max_records ||
	    batch->bytes >= batch->max_bytes;
}

struct kafka_record *
batch_room(struct batch *batch, size_t *n)
{
	*n = batch_is_full(batch) ? 0 : batch->max_records - batch->n;
	return batch->kafka + batch->n;
}

void
batch_take(struct batch *batch, size_t n)
{
	size_t i;

	assert(n <= batch->max_records - batch->n);
	for (i = batch->n; i < batch->n + n; i++) {
		batch->bytes +=
		    batch->kafka[i].key.size + batch->kafka[i].value.size;
		if (batch->kafka[i].timestamp_ms > 0)
			batch->oldest_ms = batch_earlier(
			    batch->oldest_ms, batch->kafka[i].timestamp_ms);
	}
	memset(batch->records + batch->n, 0, n * sizeof *batch->records);
	batch->n += n;
}

void
batch_drop_last(struct batch *batch)
{
	struct kafka_record *last = &batch->kafka[--batch->n];

	batch->bytes -= last->key.size + last->value.size;
	kafka_records_release(last, 1);
}

struct batch_span *
batch_span(struct batch *batch, int32_t partition, int64_t offset)
{
	struct batch_span *span;
	size_t i;

	for (i = batch->n_spans; i-- > 0;)
		if (batch->spans[i].partition == partition)
			return &batch->spans[i];
	if (batch->n_spans == batch->spans_capacity) {
		batch->spans_capacity = batch->spans_capacity * 2 + 16;
		batch->spans = memory_resize(
		    batch->spans, batch->spans_capacity, sizeof *batch->spans);
	}
	span = &batch->spans[batch->n_spans++];
	*span = (struct batch_span){ .partition = partition,
		.first = offset,
		.next = offset,
		.claimed = offset };
	return span;
}

void
batch_leave_out(struct batch *batch, int32_t partition, int64_t offset)
{
	struct batch_span *span = batch_span(batch, partition, offset);
	size_t i, kept = 0;

	assert(offset >= span->first && offset <= span->next);
	span->next = offset;
	for (i = 0; i < batch->n; i++) {
		if (batch->kafka[i].partition != partition ||
		    batch->kafka[i].offset < offset ||
		    batch->records[i].fate == FATE_SKIP)
			continue;
		batch->records[i].fate = FATE_SKIP;
		span->n_records--;
	}
	for (i = 0; i < batch->n_claims; i++)
		if (batch->records[batch->claims[i].record].fate != FATE_SKIP)
			batch->claims[kept++] = batch->claims[i];
	batch->n_claims = kept;
}

void
batch_decide(struct batch *batch)
{
	static const enum batch_fate fates[CLAIM_VERDICTS] = {
		[CLAIM_TAKEN] = FATE_PLAN,
		[CLAIM_OWN] = FATE_PLAN,
		[CLAIM_CONFLICT] = FATE_DEAD,
		[CLAIM_DUPLICATE] = FATE_DROP,
		[CLAIM_CROSS] = FATE_DROP,
		[CLAIM_CROSS_CONFLICT] = FATE_DEAD,
	};
	size_t i;

	for (i = 0; i < batch->n_claims; i++) {
		const struct claim *claim = &batch->claims[i];
		struct batch_record *record = &batch->records[claim->record];

		assert(fates[claim->verdict] != FATE_NONE); /* it is settled */
		record->fate = fates[claim->verdict];
		if (claim->verdict == CLAIM_DUPLICATE)
			batch->counts.same_partition++;
		if (claim->verdict == CLAIM_CROSS)
			batch->counts.cross_partition++;
		if (fates[claim->verdict] != FATE_DEAD)
			continue;
		record->reason = DEAD_CONFLICT;
		record->detail = TEXT(
		    "the requestId was used before with another createdBy or "
		    "another pinned version");
	}
}

void
batch_truncate(struct batch *batch, size_t n)
{
	struct batch_span *span;
	size_t i;

	assert(n <= batch->n);
	for (i = 0; i < batch->n_spans; i++) {
		batch->spans[i].next = batch->spans[i].first;
		batch->spans[i].n_records = 0;
	}
	for (i = 0; i < n; i++) {
		if (batch->records[i].fate == FATE_SKIP)
			continue;
		span = batch_span(
		    batch, batch->kafka[i].partition, batch->kafka[i].offset);
		span->next = batch->kafka[i].offset + 1;
		span->n_records++;
	}
	while (batch->n_claims > 0 &&
	    batch->claims[batch->n_claims - 1].record >= n)
		batch->n_claims--;
	kafka_records_release(batch->kafka + n, batch->n - n);
	batch->n = n;
}

struct kafka_message *
batch_message(struct batch *batch, enum batch_topic topic)
{
	struct batch_messages *messages = &batch->messages[topic];
	struct kafka_message *message;

	if (messages->n == messages->capacity) {
		messages->capacity = messages->capacity * 2 + 256;
		messages->at = memory_resize(
		    messages->at, messages->capacity, sizeof *messages->at);
	}
	message = &messages->at[messages->n++];
	*message = (struct kafka_message){ 0 };
	return message;
}
