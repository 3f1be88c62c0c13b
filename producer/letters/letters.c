#include "producer/letters/letters.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/admin.h"
#include "schemas/avro/bytes.h"
#include "schemas/topics.h"

#define POLL_MS 100
#define CLOSE_MS 2000
#define END_WAIT_MS 10
#define ARENA_KEEP 65536

/* A partition of the DLQ. */
struct shelf {
	struct letter_entry *at; /* by offset */
	size_t n, capacity;
	struct kafka_log log;
	int64_t next, until; /* what is to be read yet; equal: nothing */
};

struct letters {
	const char *topic;
	int timeout_ms;
	int64_t request_max;
	struct kafka_admin *admin;
	struct kafka_consumer *consumer;
	struct arena *arena; /* of one record */
	struct shelf *shelves;
	int32_t n_shelves;
	int64_t moved_ms; /* when a record, or an end, came last */
};

/* Kafka's word that there is nothing before this offset. */
static void
note_end(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct letters *letters = opaque;
	struct shelf *shelf = &letters->shelves[partition];

	(void)topic;
	if (offset <= shelf->next)
		return;
	shelf->next = offset < shelf->until ? offset : shelf->until;
	letters->moved_ms = clock_monotonic_ms();
}

static int
describe_topics(
    struct letters *letters, const struct config *config, struct error *err)
{
	struct kafka_topic topics[] = {
		{ .name = topic_name(config, TOPIC_DLQ) },
		{ .name = topic_name(config, TOPIC_REQUESTS) },
	};

	if (kafka_admin_describe_topics(letters->admin, topics, 2, true, err) !=
	    0)
		return -1;
	if (topics[0].partitions == 0)
		return error_fatal(err, 3,
		    "topic %s does not exist; run schedrun init",
		    letters->topic);
	letters->n_shelves = topics[0].partitions;
	letters->request_max = topics[1].max_message_bytes;
	letters->shelves =
	    memory_zalloc((size_t)letters->n_shelves, sizeof *letters->shelves);
	return 0;
}

struct letters *
letters_create(const struct config *config, int timeout_ms, struct error *err)
{
	struct letters *letters = memory_zalloc(1, sizeof *letters);
	const struct kafka_consumer_options options = {
		.settings = { .config = config },
		.accept_loss = true, /* retention may take what is read */
		.end_wait_ms = END_WAIT_MS,
		.events = { .ended = note_end, .opaque = letters },
	};

	letters->topic = topic_name(config, TOPIC_DLQ);
	letters->timeout_ms = timeout_ms;
	letters->arena = arena_create(0);
	letters->admin = kafka_admin_create(&options.settings, timeout_ms, err);
	if (letters->admin != NULL &&
	    describe_topics(letters, config, err) == 0)
		letters->consumer = kafka_consumer_create(&options, err);
	if (letters->consumer != NULL)
		return letters;
	letters_destroy(letters);
	return NULL;
}

void
letters_destroy(struct letters *letters)
{
	int32_t i;

	if (letters == NULL)
		return;
	if (letters->consumer != NULL)
		kafka_consumer_close(letters->consumer, CLOSE_MS);
	kafka_admin_destroy(letters->admin);
	for (i = 0; i < letters->n_shelves; i++)
		free(letters->shelves[i].at);
	free(letters->shelves);
	arena_destroy(letters->arena);
	free(letters);
}

int32_t
letters_partitions(const struct letters *letters)
{
	return letters->n_shelves;
}

int64_t
letters_request_max(const struct letters *letters)
{
	return letters->request_max;
}

/* Reads what each shelf wants from `next` to `until`. */
static int
assign_shelves(struct letters *letters, struct error *err)
{
	struct kafka_start *starts =
	    memory_zalloc((size_t)letters->n_shelves + 1, sizeof *starts);
	size_t n = 0;
	int32_t i;
	int rc;

	for (i = 0; i < letters->n_shelves; i++)
		if (letters->shelves[i].next < letters->shelves[i].until)
			starts[n++] = (struct kafka_start){
				.topic = letters->topic,
				.partition = i,
				.from = KAFKA_FROM_OFFSET,
				.at = letters->shelves[i].next,
			};
	letters->moved_ms = clock_monotonic_ms();
	rc = kafka_consumer_assign(
	    letters->consumer, starts, n, letters->timeout_ms, err);
	free(starts);
	return rc;
}

static const struct shelf *
find_unread(const struct letters *letters)
{
	int32_t i;

	for (i = 0; i < letters->n_shelves; i++)
		if (letters->shelves[i].next < letters->shelves[i].until)
			return &letters->shelves[i];
	return NULL;
}

static int
say_stalled(
    const struct letters *letters, const struct shelf *shelf, struct error *err)
{
	return error_set(err, ERROR_RETRY,
	    "topic %s, partition %d: nothing came from offset %lld on for %d "
	    "ms: Kafka is away, or an open transaction holds it",
	    letters->topic, (int)(shelf - letters->shelves),
	    (long long)shelf->next, letters->timeout_ms);
}

/* The next record of what is to be read: 1; 0 there is no more. */
static int
read_record(
    struct letters *letters, struct kafka_record *record, struct error *err)
{
	const struct shelf *unread;
	struct shelf *shelf;
	int n;

	while ((unread = find_unread(letters)) != NULL) {
		n = kafka_consumer_poll(
		    letters->consumer, record, 1, POLL_MS, err);
		if (n < 0 && err->kind != ERROR_RETRY)
			return -1;
		if (n <= 0 &&
		    clock_monotonic_ms() - letters->moved_ms >
			letters->timeout_ms)
			return say_stalled(letters, unread, err);
		if (n <= 0)
			continue;
		shelf = &letters->shelves[record->partition];
		letters->moved_ms = clock_monotonic_ms();
		if (record->offset < shelf->until) {
			shelf->next = record->offset + 1;
			return 1;
		}
		shelf->next = shelf->until;
		kafka_records_release(record, 1);
	}
	return 0;
}

/* The first pass --------------------------------------------------------- */

static int
look_at_logs(struct letters *letters, struct error *err)
{
	size_t n = (size_t)letters->n_shelves, i;
	struct kafka_log *logs = memory_zalloc(n, sizeof *logs);
	int rc = kafka_admin_logs(letters->admin, letters->topic, logs, n, err);

	for (i = 0; rc == 0 && i < n; i++)
		letters->shelves[i].log = logs[i];
	free(logs);
	return rc;
}

/* From where on a shelf is to be read; its log's end: not at all. */
static int
find_start(struct letters *letters, int32_t partition,
    const struct letter_filter *filter, int64_t *start, struct error *err)
{
	const struct kafka_log *log = &letters->shelves[partition].log;
	const struct kafka_partition of = { letters->topic, partition };
	size_t i;

	*start = log->end;
	if (filter->partition >= 0 && filter->partition != partition)
		return 0;
	for (i = 0; i < filter->n_places; i++)
		if (filter->places[i].partition == partition &&
		    filter->places[i].offset < *start)
			*start = filter->places[i].offset;
	if (filter->places == NULL)
		*start = log->start;
	if (filter->since_ms > 0 &&
	    kafka_consumer_offset_at(letters->consumer, of, filter->since_ms,
		start, letters->timeout_ms, err) != 0)
		return -1;
	if (*start < log->start)
		*start = log->start;
	return 0;
}

static bool
is_place(const struct letter_filter *filter, struct kafka_offset place)
{
	size_t i;

	for (i = 0; i < filter->n_places; i++)
		if (filter->places[i].partition == place.partition &&
		    filter->places[i].offset == place.offset)
			return true;
	return filter->places == NULL;
}

/* Whether the text stands in there as Avro writes one. */
static bool
holds_text(struct text value, struct text text)
{
	struct buffer field = { 0 };
	bool found = false;

	avro_put_text(&field, text);
	for (; !found && value.size >= field.size; value.at++, value.size--)
		found = text_starts_with(value, buffer_text(&field));
	buffer_finish(&field);
	return found;
}

static bool
is_of_schedule(const struct kafka_message *message, struct text rid)
{
	return rid.at == NULL || text_equal(message->key, rid) ||
	    holds_text(message->value, rid);
}

static void
add_entry(struct shelf *shelf, const struct kafka_record *record,
    enum dead_reason reason)
{
	if (shelf->n == shelf->capacity) {
		shelf->capacity =
		    shelf->capacity > 0 ? 2 * shelf->capacity : 64;
		shelf->at = memory_resize(
		    shelf->at, shelf->capacity, sizeof *shelf->at);
	}
	shelf->at[shelf->n++] = (struct letter_entry){
		.place = { record->partition, record->offset },
		.time_ms = record->timestamp_ms,
		.reason = reason,
	};
}

static int
compare_offsets(const void *one, const void *other)
{
	const struct letter_entry *a = one, *b = other;

	return (a->place.offset > b->place.offset) -
	    (a->place.offset < b->place.offset);
}

/* Only in its own partition: what stands elsewhere was written by others. */
static struct letter_entry *
find_entry(const struct letters *letters, struct kafka_offset place)
{
	const struct letter_entry wanted = { .place = place };
	const struct shelf *shelf;

	if (place.partition >= letters->n_shelves)
		return NULL;
	shelf = &letters->shelves[place.partition];
	if (shelf->n == 0)
		return NULL;
	return bsearch(
	    &wanted, shelf->at, shelf->n, sizeof *shelf->at, compare_offsets);
}

static void
take_record(struct letters *letters, const struct letter_filter *filter,
    const struct kafka_record *record)
{
	struct kafka_message message;
	struct letter_entry *entry;
	struct letter letter;

	arena_reset(letters->arena, ARENA_KEEP);
	letter_message(record, letters->arena, &message);
	letter_read(&message, &letter);
	if (letter.kind == LETTER_MARKER) {
		entry = letter.of.partition == record->partition
		    ? find_entry(letters, letter.of)
		    : NULL;
		if (entry != NULL) {
			entry->state = letter.became;
			entry->state_ms = record->timestamp_ms;
		}
		return;
	}
	if ((filter->reason == DEAD_REASONS ||
		filter->reason == letter.reason) &&
	    record->timestamp_ms >= filter->since_ms &&
	    is_place(filter,
		(struct kafka_offset){ record->partition, record->offset }) &&
	    is_of_schedule(&message, filter->schedule))
		add_entry(&letters->shelves[record->partition], record,
		    letter.reason);
}

static int
fail_partition(
    const struct letters *letters, int32_t partition, struct error *err)
{
	return error_fatal(
	    err, 3, "%s has no partition %d", letters->topic, (int)partition);
}

int
letters_index(struct letters *letters, const struct letter_filter *filter,
    bool whole, int budget_ms, struct error *err)
{
	int64_t begun = clock_monotonic_ms();
	struct kafka_record record;
	struct shelf *shelf;
	int32_t i;
	int rc;

	if (look_at_logs(letters, err) != 0)
		return -1;
	if (filter->partition >= letters->n_shelves)
		return fail_partition(letters, filter->partition, err);
	for (i = 0; i < letters->n_shelves; i++) {
		shelf = &letters->shelves[i];
		shelf->n = 0;
		shelf->until = whole ? shelf->log.end : shelf->log.stable;
		if (find_start(letters, i, filter, &shelf->next, err) != 0)
			return -1;
	}
	if (assign_shelves(letters, err) != 0)
		return -1;
	while ((rc = read_record(letters, &record, err)) == 1) {
		take_record(letters, filter, &record);
		kafka_records_release(&record, 1);
		if (budget_ms > 0 && clock_monotonic_ms() - begun > budget_ms)
			return 1;
	}
	return rc;
}

struct letter_entry *
letters_at(const struct letters *letters, size_t i)
{
	int32_t partition;

	for (partition = 0; partition < letters->n_shelves; partition++) {
		const struct shelf *shelf = &letters->shelves[partition];

		if (i < shelf->n)
			return &shelf->at[i];
		i -= shelf->n;
	}
	return NULL;
}

struct letter_entry *
letters_find(
    const struct letters *letters, struct kafka_offset place, struct error *err)
{
	struct letter_entry *entry = find_entry(letters, place);
	const struct kafka_log *log;

	if (entry != NULL)
		return entry;
	if (place.partition >= letters->n_shelves) {
		fail_partition(letters, place.partition, err);
		return NULL;
	}
	log = &letters->shelves[place.partition].log;
	if (place.offset < log->start)
		error_fatal(err, 3,
		    "letter %d:%lld is gone: of partition %d of %s retention "
		    "has left what stands from offset %lld on",
		    (int)place.partition, (long long)place.offset,
		    (int)place.partition, letters->topic,
		    (long long)log->start);
	else
		error_fatal(err, 3,
		    "there is no letter %d:%lld in %s; try: schedrun dlq list",
		    (int)place.partition, (long long)place.offset,
		    letters->topic);
	return NULL;
}

/* The second pass -------------------------------------------------------- */

int
letters_start(struct letters *letters, struct error *err)
{
	int32_t i;
	size_t at;

	for (i = 0; i < letters->n_shelves; i++) {
		struct shelf *shelf = &letters->shelves[i];

		shelf->next = shelf->until = 0;
		for (at = 0; at < shelf->n; at++) {
			if (!shelf->at[at].is_wanted)
				continue;
			if (shelf->until == 0)
				shelf->next = shelf->at[at].place.offset;
			shelf->until = shelf->at[at].place.offset + 1;
		}
	}
	return assign_shelves(letters, err);
}

int
letters_next(struct letters *letters, struct letter_entry **entry,
    struct kafka_record *record, struct error *err)
{
	int rc;

	while ((rc = read_record(letters, record, err)) == 1) {
		*entry = find_entry(letters,
		    (struct kafka_offset){ record->partition, record->offset });
		if (*entry != NULL && (*entry)->is_wanted)
			return 1;
		kafka_records_release(record, 1);
	}
	return rc;
}
