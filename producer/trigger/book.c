#include "producer/trigger/book.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/entry_table.h"
#include "common/base/memory.h"

struct book {
	struct entry_table table; /* by the schedule's RID */
	/* The first is looked at first; when, too, so that a million are sifted
	 * without a look at each. */
	struct seat {
		int64_t wake_s;
		struct entry *entry;
	} * heap;
	size_t n, room;
};

struct text
entry_rid(const struct entry *entry)
{
	return (struct text){ entry->texts, entry->rid_size };
}

struct text
entry_head(const struct entry *entry)
{
	return (
	    struct text){ entry->texts + entry->rid_size, entry->head_size };
}

static bool
is_of(const void *entry, const void *rid)
{
	return text_equal(entry_rid(entry), *(const struct text *)rid);
}

struct book *
book_create(void)
{
	struct book *book = memory_zalloc(1, sizeof *book);

	entry_table_reset(&book->table, NULL);
	return book;
}

static void
free_entry(struct entry *entry)
{
	timetable_destroy(entry->times);
	free(entry);
}

void
book_destroy(struct book *book)
{
	size_t i;

	if (book == NULL)
		return;
	for (i = 0; i <= book->table.mask; i++)
		if (book->table.slots[i].entry != NULL)
			free_entry(book->table.slots[i].entry);
	entry_table_finish(&book->table);
	free(book->heap);
	free(book);
}

/* The heap ----------------------------------------------------------------- */

static void
seat_entry(struct book *book, struct seat seat, size_t place)
{
	book->heap[place] = seat;
	seat.entry->place = place;
}

static void
move_up(struct book *book, struct entry *entry)
{
	const struct seat seat = { entry->wake_s, entry };
	size_t place = entry->place;

	while (place > 0 && book->heap[(place - 1) / 2].wake_s > seat.wake_s) {
		seat_entry(book, book->heap[(place - 1) / 2], place);
		place = (place - 1) / 2;
	}
	seat_entry(book, seat, place);
}

static void
move_down(struct book *book, struct entry *entry)
{
	const struct seat seat = { entry->wake_s, entry };
	size_t place = entry->place, below;

	while ((below = 2 * place + 1) < book->n) {
		if (below + 1 < book->n &&
		    book->heap[below + 1].wake_s < book->heap[below].wake_s)
			below++;
		if (book->heap[below].wake_s >= seat.wake_s)
			break;
		seat_entry(book, book->heap[below], place);
		place = below;
	}
	seat_entry(book, seat, place);
}

static void
add_to_heap(struct book *book, struct entry *entry)
{
	if (book->n == book->room) {
		book->room = 2 * book->room + 64;
		book->heap =
		    memory_resize(book->heap, book->room, sizeof *book->heap);
	}
	seat_entry(book, (struct seat){ entry->wake_s, entry }, book->n++);
	move_up(book, entry);
}

static void
take_from_heap(struct book *book, struct entry *entry)
{
	const struct seat last = book->heap[--book->n];

	if (last.entry == entry)
		return;
	seat_entry(book, last, entry->place);
	move_up(book, last.entry);
	move_down(book, last.entry);
}

void
book_move(struct book *book, struct entry *entry, int64_t next_s)
{
	entry->next_s = next_s;
	book_leave(book, entry, next_s);
}

void
book_leave(struct book *book, struct entry *entry, int64_t wake_s)
{
	entry->wake_s = wake_s;
	if (wake_s == INT64_MAX)
		take_from_heap(book, entry);
	else
		move_down(book, entry);
}

struct entry *
book_first(const struct book *book)
{
	return book->n > 0 ? book->heap[0].entry : NULL;
}

size_t
book_size(const struct book *book)
{
	return book->n;
}

size_t
book_due(
    const struct book *book, int64_t until_s, struct entry **list, size_t max)
{
	size_t n = 0, i, child;

	if (max == 0 || book->n == 0 || book->heap[0].wake_s > until_s)
		return 0;
	list[n++] = book->heap[0].entry;
	/* What is due stands together at the heap's top. */
	for (i = 0; i < n; i++)
		for (child = 2 * list[i]->place + 1;
		     child <= 2 * list[i]->place + 2 && child < book->n &&
		     n < max;
		     child++)
			if (book->heap[child].wake_s <= until_s)
				list[n++] = book->heap[child].entry;
	return n;
}

/* Entries ------------------------------------------------------------------ */

static struct entry_slot *
find_slot(const struct book *book, struct text rid)
{
	return entry_table_find(&book->table, text_hash(rid), &rid, is_of);
}

struct entry *
book_find(const struct book *book, struct text rid)
{
	return find_slot(book, rid)->entry;
}

void
book_drop(struct book *book, struct entry *entry)
{
	if (entry->next_s != INT64_MAX)
		take_from_heap(book, entry);
	entry_table_remove(&book->table, find_slot(book, entry_rid(entry)));
	free_entry(entry);
}

void
book_put(struct book *book, struct text rid, struct text head,
    struct timetable *times, int64_t next_s)
{
	struct entry *entry = book_find(book, rid);

	if (entry != NULL)
		book_drop(book, entry);
	rid = text_cut(rid, UINT16_MAX);
	head = text_cut(head, UINT16_MAX);
	entry = memory_alloc(sizeof *entry + rid.size + head.size);
	*entry = (struct entry){ .next_s = next_s,
		.wake_s = next_s,
		.times = times,
		.rid_size = (uint16_t)rid.size,
		.head_size = (uint16_t)head.size };
	memcpy(entry->texts, rid.at, rid.size);
	memcpy(entry->texts + rid.size, head.at, head.size);
	entry_table_fill(
	    &book->table, NULL, find_slot(book, rid), text_hash(rid), entry);
	if (next_s != INT64_MAX)
		add_to_heap(book, entry);
}
