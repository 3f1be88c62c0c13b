#ifndef SCHEDRUN_PRODUCER_CHECK_LIST_H
#define SCHEDRUN_PRODUCER_CHECK_LIST_H

#include "common/kafka/admin.h"
#include "producer/cli/command.h"
#include "schemas/topics.h"

/*
 * What `schedrun check` has found: a row for each thing that it looked at, with
 * what is wrong and the command that mends it.
 */
struct check_list {
	struct command *command;
	struct table *table;
	int code;            /* what the command will exit with */
	const char *cluster; /* Kafka's id; NULL: not known */
	/* Whose rights in Kafka are looked at: bits of enum command_program. */
	unsigned programs;
};

/* `detail` may be NULL. */
void check_fine(struct check_list *list, const char *what, const char *detail);

/* Works, but somebody should know. */
void check_note(struct check_list *list, const char *what, const char *detail,
    const char *mend);
void check_fault(struct check_list *list, const char *what, const char *detail,
    const char *mend);

/* The same by an error, whose kind decides the exit code. */
void check_failed(struct check_list *list, const char *what,
    const struct error *err, const char *mend);

/*
 * Of Kafka, which has let us in: what this user may not see, and `acl` grants,
 * is a note, as no program needs it; what doesn't answer a fault.
 */
void check_untold(struct check_list *list, const char *what,
    const struct error *err, const char *acl);

/*
 * What each command finds of one thing: adds a row for each look, and goes on
 * where one fails.  Block for servers up to --timeout, check_units for the
 * disk.
 */
void check_units(struct check_list *list);
void check_kafka(struct check_list *list);
void check_registry(struct check_list *list);
void check_redis(struct check_list *list);

/* The part of check_kafka that tries what the user may do with the topics that
 * are there, for list->programs. */
void check_kafka_rights(struct check_list *list, struct kafka_admin *admin,
    const bool is_there[TOPICS]);

/*
 * The line that grants a right: "Read", "topic" and its name; of kind
 * "transactional-id" the name is a prefix.  In the command's arena.
 */
const char *check_acl(struct check_list *list, const char *operation,
    const char *kind, const char *name);

#endif
