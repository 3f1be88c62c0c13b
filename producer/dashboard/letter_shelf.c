#include "producer/dashboard/letter_shelf.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/json/write.h"
#include "producer/letters/portrait.h"

#define PORTRAIT_MAX ((size_t)16 * 1024)

static const char *
reason_text(const struct letter_entry *entry)
{
	return entry->reason < DEAD_REASONS ? dead_reason_text(entry->reason)
					    : "other";
}

static void
count_reasons(
    struct letter_shelf *shelf, const struct letters *letters, bool is_part)
{
	size_t counts[DEAD_REASONS + 1] = { 0 }, i;
	const struct letter_entry *entry;
	struct buffer out = { 0 };
	int64_t waiting = 0;

	for (i = 0; (entry = letters_at(letters, i)) != NULL; i++)
		if (entry->state == LETTER_WAITS) {
			counts[entry->reason]++;
			waiting++;
		}
	json_open(&out, '{');
	json_member_integer(&out, "waiting", waiting);
	json_member_bool(&out, "isPart", is_part);
	json_member_open(&out, "reasons", '{');
	for (i = 0; i <= DEAD_REASONS; i++)
		if (counts[i] > 0)
			json_member_integer(&out,
			    i < DEAD_REASONS
				? dead_reason_text((enum dead_reason)i)
				: "other",
			    (int64_t)counts[i]);
	json_close(&out, '}');
	json_close(&out, '}');
	shelf->counts = text_copy(shelf->arena, buffer_text(&out));
	buffer_finish(&out);
}

static int
newest_first(const void *left, const void *right)
{
	const struct letter_entry *const *a = left, *const *b = right;

	return ((*a)->time_ms < (*b)->time_ms) -
	    ((*a)->time_ms > (*b)->time_ms);
}

/* Marks those that the shelf has room for. */
static void
want_newest(const struct letters *letters)
{
	struct letter_entry **waiting, *entry;
	size_t n = 0, i;

	while (letters_at(letters, n) != NULL)
		n++;
	waiting = memory_zalloc(n + 1, sizeof(struct letter_entry *));
	for (n = 0, i = 0; (entry = letters_at(letters, i)) != NULL; i++)
		if (entry->state == LETTER_WAITS)
			waiting[n++] = entry;
	qsort(waiting, n, sizeof(struct letter_entry *), newest_first);
	for (i = 0; i < n && i < SHELF_LETTERS; i++)
		waiting[i]->is_wanted = true;
	free(waiting);
}

static void
put_letter(struct letter_shelf *shelf, const struct letter_entry *entry,
    const struct kafka_record *record, struct registry *registry)
{
	struct shelf_letter *letter = &shelf->letters[shelf->n++];
	char place[LETTER_PLACE_SIZE];
	struct kafka_message message;
	struct buffer portrait = { 0 };

	letter_message(record, shelf->arena, &message);
	letter->place =
	    text_copy(shelf->arena, letter_place_write(entry->place, place));
	letter->reason = reason_text(entry);
	letter->time_ms = entry->time_ms;
	if (message.key.at != NULL && text_is_utf8(message.key) &&
	    message.key.size <= PORTRAIT_MAX)
		letter->key = text_copy(shelf->arena, message.key);
	portrait_put(entry, record, registry, false, &portrait);
	if (portrait.size <= PORTRAIT_MAX)
		letter->portrait =
		    text_copy(shelf->arena, text_trim(buffer_text(&portrait)));
	buffer_finish(&portrait);
}

static int
compare_letters(const void *left, const void *right)
{
	const struct shelf_letter *a = left, *b = right;

	return (a->time_ms < b->time_ms) - (a->time_ms > b->time_ms);
}

struct letter_shelf *
letter_shelf_read(struct letters *letters, bool is_part,
    struct registry *registry, struct error *err)
{
	struct letter_shelf *shelf = memory_zalloc(1, sizeof *shelf);
	struct letter_entry *entry;
	struct kafka_record record;
	int rc;

	shelf->arena = arena_create(0);
	count_reasons(shelf, letters, is_part);
	want_newest(letters);
	rc = letters_start(letters, err);
	while (rc == 0 && shelf->n < SHELF_LETTERS &&
	    (rc = letters_next(letters, &entry, &record, err)) == 1) {
		put_letter(shelf, entry, &record, registry);
		kafka_records_release(&record, 1);
		rc = 0;
	}
	if (rc < 0) {
		letter_shelf_destroy(shelf);
		return NULL;
	}
	qsort(shelf->letters, shelf->n, sizeof shelf->letters[0],
	    compare_letters);
	return shelf;
}

void
letter_shelf_destroy(struct letter_shelf *shelf)
{
	if (shelf == NULL)
		return;
	arena_destroy(shelf->arena);
	free(shelf);
}
