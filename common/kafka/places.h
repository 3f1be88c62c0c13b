#ifndef SCHEDRUN_COMMON_KAFKA_PLACES_H
#define SCHEDRUN_COMMON_KAFKA_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where a consumer stands in each of its partitions.  Part of kafka_consumer.
 * Pure; one thread.
 */
struct kafka_place {
	char *topic; /* ours */
	int32_t partition;
	const void
	    *handle;  /* librdkafka's topic: found without comparing text */
	int64_t next; /* the offset that is to be read next */
	int64_t seen; /* behind the last record that was read, also if reading
			 has gone back since */
	bool stuck;   /* what was to be read next is not there */
	bool held;    /* is not read, although others are */
};

struct kafka_places {
	struct kafka_place *at;
	size_t n, capacity, last;
};

/* No places are left; their memory is kept, or given back as well. */
void kafka_places_clear(struct kafka_places *places);
/* After it `{0}`. */
void kafka_places_finish(struct kafka_places *places);

/* One more, whose topic is copied. */
void kafka_places_add(struct kafka_places *places, const char *topic,
    int32_t partition, int64_t next);

/* NULL: not one of ours.  `handle` may be NULL. */
struct kafka_place *kafka_places_find(struct kafka_places *places,
    const void *handle, const char *topic, int32_t partition);

/*
 * Whether a record at `offset` is to be read; if so the place moves behind it.
 * One before the place was read already: librdkafka 2.0 can give it twice
 * after a stale fetch.
 */
static inline bool
kafka_place_accept(struct kafka_place *place, int64_t offset)
{
	if (offset < place->next)
		return false;
	place->next = offset + 1;
	if (place->seen < place->next)
		place->seen = place->next;
	return true;
}

/*
 * The log ends at `offset` for now: what is between there and the last record,
 * such as a transaction's marker, is none.  False: that was said before reading
 * went back, and the records up to there come again.
 */
static inline bool
kafka_place_end(struct kafka_place *place, int64_t offset)
{
	if (offset < place->next || place->next < place->seen)
		return false;
	place->next = offset;
	return true;
}

#endif
