#include "worker/commit/dead_letter.h"

#include "common/base/log.h"
#include "schemas/message/dead_letter.h"

void
dead_letter_add(struct batch *batch, size_t i, size_t max_size, int64_t now_ms)
{
	const struct batch_record *record = &batch->records[i];
	const struct dead_letter letter = { &batch->kafka[i], record->reason,
		record->detail };

	dead_letter_write(&letter, max_size, now_ms, batch->arena,
	    batch_message(batch, BATCH_DEAD));
	batch->counts.dead[record->reason]++;
}

static void
log_buried(const struct batch *batch, size_t i)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	const char *reason = dead_reason_text(batch->records[i].reason);

	log_event(LOG_WARN, "worker", "record_buried",
	    "a record went to the dead letters", LOG_S("topic", kafka->topic),
	    LOG_I("partition", kafka->partition),
	    LOG_I("offset", kafka->offset), LOG_S("reason", reason), LOG_END);
}

static void
log_key(const struct batch *batch, size_t i)
{
	const struct kafka_record *kafka = &batch->kafka[i];

	log_event(LOG_WARN, "worker", "key_mismatch",
	    "a request's Kafka key is not its scheduleRid: it may be answered "
	    "out of its schedule's order",
	    LOG_S("topic", kafka->topic), LOG_I("partition", kafka->partition),
	    LOG_I("offset", kafka->offset), LOG_END);
}

void
dead_letter_log(const struct batch *batch)
{
	uint32_t left = batch->counts.key_mismatches;
	size_t i;

	for (i = 0; i < DEAD_REASONS; i++)
		left += batch->counts.dead[i];
	for (i = 0; left > 0 && i < batch->n; i++) {
		const struct batch_record *record = &batch->records[i];

		if (record->fate == FATE_DEAD || record->fate == FATE_CRASHED) {
			log_buried(batch, i);
			left--;
		}
		if (record->has_other_key) {
			log_key(batch, i);
			left--;
		}
	}
}
