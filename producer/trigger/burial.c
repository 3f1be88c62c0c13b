#include "producer/trigger/burial.h"

#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/crypto/rid.h"
#include "common/kafka/rights.h"
#include "common/kafka/transaction.h"
#include "schemas/topics.h"

#define OPEN_MS 5000
#define SLICE_MS 5000
#define COMMIT_MS 15000
#define CLOSE_MS 2000
#define ARENA_KEPT ((size_t)64 * 1024)

struct burial {
	const struct config *config;
	struct kafka_health *health;
	struct kafka_consumer *consumer;
	struct buffer id;                      /* ended by NUL */
	struct kafka_transaction *transaction; /* NULL: to be made */
	struct arena *arena; /* of the values, which it looks at */
};

struct burial *
burial_create(const struct config *config, struct kafka_health *health,
    struct kafka_consumer *consumer)
{
	struct burial *burial = memory_zalloc(1, sizeof *burial);
	char process[UUID_TEXT_SIZE];
	struct uuid uuid = uuid_random();

	burial->config = config;
	burial->health = health;
	burial->consumer = consumer;
	uuid_format(&uuid, process);
	buffer_format(&burial->id, "%s-%.*s",
	    config_text(config, "trigger.group"), UUID_TEXT_SIZE, process);
	buffer_byte(&burial->id, '\0');
	burial->arena = arena_create(0);
	return burial;
}

/* One that hangs may still look at the values: they stay with it. */
static void
drop_transaction(struct burial *burial)
{
	if (kafka_transaction_destroy(burial->transaction, CLOSE_MS) != 0)
		burial->arena = arena_create(0);
	burial->transaction = NULL;
}

void
burial_destroy(struct burial *burial)
{
	if (burial == NULL)
		return;
	drop_transaction(burial);
	arena_destroy(burial->arena);
	buffer_finish(&burial->id);
	free(burial);
}

/* Ends what an earlier one of this id has left undecided. */
static int
open_transaction(struct burial *burial, struct error *err)
{
	const char *topic = topic_name(burial->config, TOPIC_DLQ);
	const struct kafka_transaction_options options = {
		.settings = { .config = burial->config,
		    .health = burial->health,
		    .client_id = "schedrun-trigger" },
		.transactional_id = burial->id.at,
		.topics = &topic,
		.n_topics = 1,
	};

	if (burial->transaction != NULL)
		return 0;
	burial->transaction = kafka_transaction_create(&options, err);
	return burial->transaction != NULL
	    ? kafka_transaction_open(burial->transaction, OPEN_MS, err)
	    : -1;
}

int
burial_ready(struct burial *burial, struct error *err)
{
	const struct kafka_settings settings = { .config = burial->config,
		.client_id = "schedrun-trigger" };
	const char *topic = topic_name(burial->config, TOPIC_DLQ);

	if (kafka_rights_to_write(&settings, &topic, 1, OPEN_MS, err) != 0)
		return -1;
	if (open_transaction(burial, err) == 0)
		return 0;
	drop_transaction(burial);
	return -1;
}

/* The letters whose records are not behind the group's offsets yet. */
static int
copy_letters(struct burial *burial, const struct burials *burials,
    struct kafka_message **letters, struct error *err)
{
	const struct kafka_offset_list next = burials->next;
	struct kafka_offset *places =
	    arena_zalloc(burial->arena, next.n + 1, sizeof *places);
	size_t kept = 0, i, k;

	*letters =
	    arena_zalloc(burial->arena, burials->n + 1, sizeof **letters);
	for (i = 0; i < next.n; i++)
		places[i].partition = next.at[i].partition;
	if (kafka_consumer_committed(
		burial->consumer, next.topic, places, next.n, err) != 0)
		return -1;
	for (i = 0; i < burials->n; i++) {
		const struct buried *buried = &burials->at[i];
		const struct kafka_record *record = buried->record;

		for (k = 0; places[k].partition != record->partition; k++)
			;
		/* A transaction whose end was not heard has written it. */
		if (places[k].offset > record->offset)
			continue;
		(*letters)[kept] = buried->letter;
		(*letters)[kept++].value =
		    text_copy(burial->arena, buried->letter.value);
	}
	return (int)kept;
}

static int
commit_transaction(struct burial *burial, struct error *err)
{
	int64_t until = clock_monotonic_ms() + COMMIT_MS;
	int rc;

	do
		rc = kafka_transaction_commit(
		    burial->transaction, SLICE_MS, err);
	while (rc != 0 && err->kind == ERROR_RETRY &&
	    clock_monotonic_ms() < until);
	return rc;
}

static int
write_letters(struct burial *burial, const struct kafka_message *letters,
    size_t n, struct kafka_offset_list next, struct error *err)
{
	struct kafka_group *group = kafka_consumer_group(burial->consumer, err);
	struct error ignored;
	int rc = -1;

	if (group != NULL &&
	    kafka_transaction_begin(burial->transaction, err) == 0)
		rc = kafka_transaction_produce(
		    burial->transaction, 0, letters, n, SLICE_MS, err);
	if (rc == 0)
		rc = kafka_transaction_send_offsets(
		    burial->transaction, group, next, SLICE_MS, err);
	if (rc == 0)
		rc = commit_transaction(burial, err);
	/* Of what may be committed the next look at the offsets tells. */
	else
		kafka_transaction_abort(
		    burial->transaction, SLICE_MS, &ignored);
	kafka_group_destroy(group);
	return rc;
}

int
burial_bury(
    struct burial *burial, const struct burials *burials, struct error *err)
{
	struct kafka_message *letters = NULL;
	int rc = open_transaction(burial, err), left = 0;

	if (rc == 0) {
		left = copy_letters(burial, burials, &letters, err);
		rc = left < 0 ? -1 : 0;
	}
	if (left > 0)
		rc = write_letters(
		    burial, letters, (size_t)left, burials->next, err);
	if (rc != 0 || kafka_transaction_is_suspect(burial->transaction))
		drop_transaction(burial);
	arena_reset(burial->arena, ARENA_KEPT);
	return rc;
}
