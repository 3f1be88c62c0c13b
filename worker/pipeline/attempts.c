#include "worker/pipeline/attempts.h"

#include "common/base/log.h"

/* What is known of one partition of the batch. */
struct partition {
	int32_t number;
	struct attempt found; /* the note as it was */
	int32_t tries;        /* this one included; 0: leave the note */
	bool is_noted;        /* there is a note of ours */
};

struct attempts {
	const struct marks *marks;
	struct partition *at;
	size_t n;
	bool survived; /* the try before this one */
};

int32_t
attempts_of_batch(struct attempt noted, int64_t first, int64_t last)
{
	if (noted.entries <= 0 || noted.offset < first)
		return 2;
	return noted.offset > last ? 0 : noted.entries + 1;
}

int32_t
attempts_of_record(struct attempt noted, int64_t offset)
{
	if (noted.entries > 0 && offset < noted.offset)
		return 0;
	if (noted.offset == offset && noted.entries >= ATTEMPTS_CAREFUL)
		return noted.entries + 1;
	return ATTEMPTS_CAREFUL;
}

/* First and last offset of a partition's own claims; false: it has none. */
static bool
find_own(
    const struct batch *batch, int32_t partition, int64_t *first, int64_t *last)
{
	bool found = false;
	size_t i;

	for (i = 0; i < batch->n_claims; i++) {
		const struct claim *claim = &batch->claims[i];

		if ((int32_t)claim->value.partition != partition ||
		    claim->verdict != CLAIM_OWN)
			continue;
		if (!found)
			*first = claim->value.offset;
		*last = claim->value.offset;
		found = true;
	}
	return found;
}

static int
write_note(const struct attempts *attempts, struct partition *partition,
    struct attempt note, struct error *err)
{
	partition->is_noted = note.entries > 0;
	return attempts_write(attempts->marks, partition->number, note, err);
}

/* Reads a partition's note; leaves one if this is the second try. */
static int
begin_partition(struct attempts *attempts, const struct batch *batch,
    int32_t number, struct error *err)
{
	struct partition *partition = &attempts->at[attempts->n];
	int64_t first, last;

	if (!find_own(batch, number, &first, &last))
		return 0;
	*partition = (struct partition){ .number = number };
	attempts->n++;
	if (attempts_read(attempts->marks, number, &partition->found, err) != 0)
		return -1;
	if (attempts->survived && partition->found.entries > 0)
		partition->found.entries--;
	partition->tries = attempts_of_batch(partition->found, first, last);
	if (partition->tries != 2)
		return 0;
	return write_note(
	    attempts, partition, (struct attempt){ first, 2 }, err);
}

struct attempts *
attempts_begin(const struct marks *marks, struct batch *batch, bool survived,
    struct error *err)
{
	struct attempts *attempts = arena_alloc(batch->arena, sizeof *attempts);
	size_t i;

	*attempts = (struct attempts){
		.marks = marks,
		.survived = survived,
		.at = arena_zalloc(
		    batch->arena, batch->n_spans, sizeof *attempts->at),
	};
	for (i = 0; i < batch->n_spans; i++)
		if (begin_partition(
			attempts, batch, batch->spans[i].partition, err) != 0)
			return NULL;
	return attempts;
}

bool
attempts_are_many(const struct attempts *attempts)
{
	size_t i;

	for (i = 0; i < attempts->n; i++)
		if (attempts->at[i].tries >= ATTEMPTS_CAREFUL)
			return true;
	return false;
}

/* A record of another partition comes: what was noted last is through. */
static int
take_back_others(
    struct attempts *attempts, const struct partition *stays, struct error *err)
{
	const struct attempt none = { 0, 0 };
	size_t i;

	for (i = 0; i < attempts->n; i++)
		if (&attempts->at[i] != stays && attempts->at[i].is_noted &&
		    write_note(attempts, &attempts->at[i], none, err) != 0)
			return -1;
	return 0;
}

static struct partition *
find_partition(struct attempts *attempts, int32_t number)
{
	size_t i;

	for (i = 0; i < attempts->n; i++)
		if (attempts->at[i].number == number)
			return &attempts->at[i];
	return NULL;
}

int
attempts_note(struct attempts *attempts, const struct kafka_record *record,
    bool *is_killer, struct error *err)
{
	struct partition *partition =
	    find_partition(attempts, record->partition);
	struct attempt note = { .offset = record->offset };

	*is_killer = false;
	if (take_back_others(attempts, partition, err) != 0)
		return -1;
	if (partition == NULL || partition->tries == 0)
		return 0;
	note.entries = attempts_of_record(partition->found, record->offset);
	if (note.entries == 0)
		return 0;
	*is_killer = note.entries >= ATTEMPTS_MAX;
	if (write_note(attempts, partition, note, err) != 0)
		return -1;
	if (!*is_killer)
		return 0;
	partition->is_noted = false; /* stays: it is not committed yet */
	log_event(LOG_ERROR, "worker", "record_given_up",
	    "planning this record ended workers several times",
	    LOG_S("topic", record->topic),
	    LOG_I("partition", record->partition),
	    LOG_I("offset", record->offset), LOG_END);
	return 0;
}

int
attempts_end(struct attempts *attempts, struct error *err)
{
	return take_back_others(attempts, NULL, err);
}
