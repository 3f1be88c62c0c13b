#ifndef SCHEDRUN_COMMON_KAFKA_RIGHTS_H
#define SCHEDRUN_COMMON_KAFKA_RIGHTS_H

#include "common/kafka/admin.h"

/*
 * What the user of an admin client may do in Kafka.  librdkafka asks a broker
 * for that from 2.3 on only, so it is tried, in ways that leave no record, no
 * offset and no member behind.
 */
enum kafka_right {
	KAFKA_RIGHT_UNKNOWN = -1, /* `err` says why */
	KAFKA_RIGHT_HELD,
	/* What is missing; `err` is what Kafka says. */
	KAFKA_RIGHT_NO_TOPIC,
	KAFKA_RIGHT_NO_GROUP, /* of the topic nothing is known then */
	KAFKA_RIGHT_NO_ID,    /* the same */
};

/*
 * READ of the group and of the topic: an offset is committed of a partition
 * that the topic does not have.  Blocks up to the client's time-out.
 */
enum kafka_right kafka_right_read(
    struct kafka_admin *admin, struct kafka_group_topic of, struct error *err);

/*
 * WRITE of the transactional id, unless that is NULL, and of the topic: the id
 * is opened, and a record sent that wants acks which no broker gives, and so is
 * kept by none. Whoever else has the id open is fenced.  Blocks up to twice the
 * client's time-out, and a few seconds more for the end.
 */
enum kafka_right kafka_right_write(struct kafka_admin *admin,
    const char *transactional_id, const char *topic, struct error *err);

/*
 * For a start, by a client of its own: whether all of these may be written,
 * before there is anything to write.  -1 with ERROR_FATAL (77), which names the
 * topic; what can't be tried is told by the first record.  Blocks as the former
 * for each.
 */
int kafka_rights_to_write(const struct kafka_settings *settings,
    const char *const *topics, size_t n, int timeout_ms, struct error *err);

#endif
