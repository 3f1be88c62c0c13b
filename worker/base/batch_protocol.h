#ifndef SCHEDRUN_WORKER_BASE_BATCH_PROTOCOL_H
#define SCHEDRUN_WORKER_BASE_BATCH_PROTOCOL_H

#include <stdbool.h>

/*
 * The batch protocol as two tables, phase x event -> action and next phase, and
 * nothing else: no I/O, no clock.  Whoever has a stage carries its action out
 * and tells what came of it as the next event (`act` in pipeline/loop.c and in
 * commit/committer.c: an action, a function).  Source: docs/delivery.md,
 * sections 4, 5 and 9.
 *
 * Stage A, the intake, fills a batch, claims, plans and hands it over:
 *
 *     PAUSED -> FILLING -> CLAIMING -> PLANNING -> PREPARED -> FILLING
 *                 ^            | behind
 *                 +- REPAIRING +
 */
enum intake_phase {
	INTAKE_PAUSED,    /* Redis is not usable: nothing is read */
	INTAKE_FILLING,   /* polling, decoding, claiming chunk by chunk */
	INTAKE_CLAIMING,  /* the batch is cut, claims are out */
	INTAKE_PLANNING,  /* claims are judged: read, plan, encode */
	INTAKE_PREPARED,  /* waits until stage B is free */
	INTAKE_REPAIRING, /* claims below a mark are being taken again */
	INTAKE_REWINDING, /* stage B lost its batch: back to what is committed
			   */
	INTAKE_DEAD,
	INTAKE_PHASES
};

enum intake_event {
	INTAKE_NOTHING, /* yet: the phase goes on with what it does */
	INTAKE_CUT,     /* the batch is full, or stage B is free */
	INTAKE_CLAIMED, /* all claims are judged */
	INTAKE_BEHIND,  /* Redis went back in time: a mark is too low */
	INTAKE_REPAIRED,
	INTAKE_PLANNED,
	INTAKE_TAKEN,      /* stage B has the batch */
	INTAKE_STORE_DOWN, /* Redis failed, or its keys are missing */
	INTAKE_STORE_UP,
	INTAKE_LOST,    /* stage B failed with its batch, or membership went */
	INTAKE_REWOUND, /* reading goes on at the committed offsets */
	INTAKE_REVOKED, /* the partitions are gone */
	INTAKE_FATAL,   /* leave the process */
	INTAKE_EVENTS
};

enum intake_action {
	INTAKE_REFUSE = 0,  /* an event that cannot come: a bug */
	INTAKE_FILL,        /* poll records into the batch, send their claims */
	INTAKE_CLAIM,       /* take the group's metadata, judge the claims */
	INTAKE_PLAN,        /* read the world, plan, encode */
	INTAKE_HAND_OVER,   /* to stage B, once it is free */
	INTAKE_DROP_REPAIR, /* drop the batch, begin a repair */
	INTAKE_REPAIR,      /* a piece of it */
	INTAKE_DROP_PAUSE,  /* drop the batch, let go of Redis */
	INTAKE_LOOK,        /* whether Redis is there again */
	INTAKE_DROP_REWIND, /* drop the batch */
	INTAKE_REWIND,      /* once B has none: seek to what is committed */
	INTAKE_DROP,        /* drop the batch, read on where it began */
	INTAKE_EXIT,
};

struct intake_rule {
	enum intake_action action;
	enum intake_phase next;
};

/* The action for `event`; moves `phase` on, but not on INTAKE_REFUSE. */
enum intake_action intake_step(
    enum intake_phase *phase, enum intake_event event);

/*
 * Stage B, the commit:
 *
 *     CLOSED -> READY -> BEGINNING -> PRODUCING -> SENDING -> COMMITTING ->
 * READY ^                    |            |           |           |
 *       +--------------------+------------+-----------+-----------+
 *                  whatever is not a clean commit: rebuild
 */
enum commit_phase {
	COMMIT_CLOSED, /* no producer: create one, init_transactions */
	COMMIT_READY,  /* no transaction is open */
	COMMIT_BEGINNING,
	COMMIT_PRODUCING,
	COMMIT_SENDING, /* the offsets, and with them the batch's generation */
	COMMIT_COMMITTING,
	COMMIT_DEAD,
	COMMIT_PHASES
};

enum commit_event {
	COMMIT_BATCH,    /* a batch was handed over */
	COMMIT_OK,       /* what the last action called has succeeded */
	COMMIT_SUSPECT,  /* the commit succeeded, but not cleanly */
	COMMIT_RETRY,    /* nothing is decided */
	COMMIT_DEADLINE, /* the same, and the time is up */
	COMMIT_LOST,     /* the transaction is lost */
	COMMIT_REVOKED,  /* the batch's partitions go */
	COMMIT_FATAL,    /* leave the process */
	COMMIT_EVENTS
};

enum commit_action {
	COMMIT_REFUSE = 0, /* an event that cannot come: a bug */
	COMMIT_OPEN,       /* create and init, with backoff */
	COMMIT_WAIT,       /* for a batch */
	COMMIT_BEGIN,
	COMMIT_PRODUCE,
	COMMIT_SEND_OFFSETS,
	COMMIT_COMMIT,
	COMMIT_DONE,           /* dispose of the batch, keep the producer */
	COMMIT_DONE_REBUILD,   /* dispose of the batch, destroy the producer */
	COMMIT_ABORT_REWIND,   /* abort, destroy; the batch is read again */
	COMMIT_DESTROY_REWIND, /* destroy without abort: the outcome is unknown
				*/
	COMMIT_EXIT,
};

struct commit_rule {
	enum commit_action action;
	enum commit_phase next;
};

/* The action for `event`; moves `phase` on, but not on COMMIT_REFUSE. */
enum commit_action commit_step(
    enum commit_phase *phase, enum commit_event event);

/*
 * The rebuild rule: which event a commit that returned 0 is.  `keep_suspect` is
 * there for tests that show what the rule is for, and false in every release.
 */
enum commit_event commit_verdict(bool suspect, bool keep_suspect);

/* "filling": for people, as systemd's status shows it. */
const char *intake_phase_name(enum intake_phase phase);

#endif
