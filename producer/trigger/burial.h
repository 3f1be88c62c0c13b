#ifndef SCHEDRUN_PRODUCER_TRIGGER_BURIAL_H
#define SCHEDRUN_PRODUCER_TRIGGER_BURIAL_H

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/kafka/consumer.h"

/*
 * Writes dead letters in one transaction with the offsets behind their records,
 * so that each is there once, whoever is killed, and whenever.  Its
 * transactional.id begins with the group's name and is of this process alone:
 * what is left of another one is ended by Kafka, and who is no member any more
 * is refused by the group's generation.  One thread.
 */
struct burial;

/* Borrows all; connects with the next. */
struct burial *burial_create(const struct config *config,
    struct kafka_health *health, struct kafka_consumer *consumer);
void burial_destroy(struct burial *burial); /* NULL is fine */

/*
 * Whether it could bury: told before there is anything to.  Errors as below;
 * blocks for seconds.
 */
int burial_ready(struct burial *burial, struct error *err);

/* Records of `next`'s topic with their letters, and the offsets behind them. */
struct burials {
	struct buried {
		const struct kafka_record *record;
		struct kafka_message letter;
	} * at;
	size_t n;
	struct kafka_offset_list next;
};

/*
 * The letters and the offsets stand, or -1, and nothing is known of either: the
 * same again, which finds out.  ERROR_RETRY: Kafka does not answer;
 * ERROR_ABORT: not a member any more; ERROR_FATAL (77): not the right to.
 * Blocks for some 20 seconds at most.
 */
int burial_bury(
    struct burial *burial, const struct burials *burials, struct error *err);

#endif
