#ifndef SCHEDRUN_PRODUCER_TRIGGER_BOOK_H
#define SCHEDRUN_PRODUCER_TRIGGER_BOOK_H

#include <stdint.h>

#include "common/base/text.h"
#include "producer/trigger/timetable.h"

/*
 * All schedules with the heads that were seen of them, and those that are due
 * by time in the order in which they are: 300 bytes each.  One thread.
 */
struct book;

struct entry {
	int64_t next_s;          /* due then, since 1970; INT64_MAX: never */
	int64_t wake_s;          /* looked at then: not before it is due */
	struct timetable *times; /* ours; NULL: has no time trigger */
	size_t place;            /* among those that are due some day */
	uint16_t rid_size, head_size;
	char texts[]; /* the schedule's RID, its head as stored */
};
/* Both borrow the entry. */
struct text entry_rid(const struct entry *entry);
struct text entry_head(const struct entry *entry);

/* Empty; the caller's. */
struct book *book_create(void);
void book_destroy(struct book *book); /* NULL is fine */

/* NULL: nothing is known of it. */
struct entry *book_find(const struct book *book, struct text rid);

/*
 * Writes a schedule's entry in place of what was known of it; `times` is the
 * book's from here on.  Texts of over 65,535 bytes are cut, so such a head
 * never equals what is stored.
 */
void book_put(struct book *book, struct text rid, struct text head,
    struct timetable *times, int64_t next_s);
/* Forgets and frees it. */
void book_drop(struct book *book, struct entry *entry);

/* The entry that is to be looked at first; NULL: none ever. */
struct entry *book_first(const struct book *book);
/* Those to be looked at up to `until_s`, at most `max`, in no order: in `list`.
 */
size_t book_due(
    const struct book *book, int64_t until_s, struct entry **list, size_t max);
/* It is due later than it was. */
void book_move(struct book *book, struct entry *entry, int64_t next_s);
/* It is due when it was, and looked at later. */
void book_leave(struct book *book, struct entry *entry, int64_t wake_s);
/* How many are due some day. */
size_t book_size(const struct book *book);

#endif
