#ifndef SCHEDRUN_TESTS_SIM_SIM_H
#define SCHEDRUN_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "common/kafka/consumer.h"
#include "worker/base/batch_protocol.h"

/*
 * The worker in a world that is played: its own code (worker/pipeline, claims,
 * commit, base) runs as it is, several workers in one process, each thread a
 * fiber; what it calls of Kafka, Redis, clocks and threads is replaced at
 * linking (--wrap) by what stands here.  One seed is one history: whoever goes
 * on next, how long what takes and what fails is drawn from it, so it can be
 * played again, and with fewer faults.  docs/delivery.md, section 10.
 *
 *     world.c   fibers, time, chance, crashes, the load
 *     broker.c  request log, coordinator of transactions, group, outputs
 *     kafka.c   what the worker calls of kafka_consumer and kafka_transaction
 *     store.c   Redis: strings, claims, the scripts, going back in time
 *     worker.c  what stands in for decoding and planning; the mutants
 *     check.c   G1 to G5
 *     main.c    seeds, mutants, shrinking
 */
#define SIM_PARTITIONS 3
#define SIM_WORKERS 3
#define SIM_LOG 4096     /* entries of a partition */
#define SIM_RECORDS 4096 /* of all */
#define SIM_OUTPUTS 65536
#define SIM_FAULTS_MAX 8192 /* that are remembered of one history */
#define SIM_TTL_MS 3600000  /* dedup.ttl */

/* A fault: its kind, the step, and which question of that step it answers. */
#define SIM_KIND_SHIFT 27
#define SIM_STEP_SHIFT 6
#define SIM_STEPS_MAX (1 << (SIM_KIND_SHIFT - SIM_STEP_SHIFT))
#define SIM_ASKED_MAX (1 << SIM_STEP_SHIFT)

/* Defines what replaces a function of ours, held against its prototype. */
#define WRAP(type, name, ...)                                                  \
	__typeof__(name) __wrap_##name;                                        \
	type __wrap_##name(__VA_ARGS__)
/* Declares what it replaces. */
#define REAL(name) __typeof__(name) __real_##name

/* Chance ------------------------------------------------------------------ */

/* What can go wrong; each seed has some of them, more often or less. */
enum sim_fault {
	FAULT_CRASH,         /* SIGKILL of a worker */
	FAULT_FREEZE,        /* a worker stands still, then goes on: a zombie */
	FAULT_STOP,          /* SIGTERM */
	FAULT_REBALANCE,     /* the group joins anew for no reason */
	FAULT_SLOW,          /* a call of Kafka's takes seconds */
	FAULT_LOST_REQUEST,  /* of a transaction: never came */
	FAULT_LOST_ANSWER,   /* did, but nobody hears */
	FAULT_LATE_END,      /* an EndTxn comes once more, later */
	FAULT_HELD_END,      /* an EndTxn comes later, not now */
	FAULT_LATE_OFFSETS,  /* a TxnOffsetCommit comes once more, later */
	FAULT_LATE_INIT,     /* an InitProducerId comes once more, later */
	FAULT_BAD_MESSAGE,   /* a message fails, and with it its transaction */
	FAULT_SLOW_MARKERS,  /* a transaction's markers take seconds */
	FAULT_READ,          /* a seek or a question fails */
	FAULT_STALE_END,     /* an end of the log is told later */
	FAULT_MARKER,        /* an offset without a record in the request log */
	FAULT_REDIS_CUT,     /* the connection breaks before or after */
	FAULT_REDIS_DOWN,    /* for seconds */
	FAULT_REDIS_BACK,    /* it goes back to an earlier state */
	FAULT_REDIS_FLUSH,   /* to none, until somebody runs init */
	FAULT_REDIS_LATE,    /* what a dead client sent comes yet */
	FAULT_LARGE,         /* a batch is too large to be planned whole */
	FAULT_UNTOLD_SCHEMA, /* a record waits for its schema */
	FAULT_EARLY_RECORD,  /* a record comes although reading is paused */
	FAULT_DAMAGE, /* an answer is about damage: gives its claim back */
	SIM_FAULT_KINDS
};

/* Whether it happens now; noted if it does. */
bool sim_fault(enum sim_fault kind);
/* 0 to below - 1. */
uint64_t sim_draw(uint64_t below);
/* One in `n`, of what is no fault. */
bool sim_one_in(uint64_t n);

/* What must be found: a rule broken, one at a time. */
enum sim_mutant {
	MUTANT_NONE,
#define SIM_MUTANT(name, seed, text) MUTANT_##name,
#include "tests/sim/mutants.h"
#undef SIM_MUTANT
	SIM_MUTANTS
};

/* World ------------------------------------------------------------------- */

struct pipeline;

struct sim_plan { /* what a run is: the whole of it makes the history */
	uint64_t seed;
	long steps;
	enum sim_mutant mutant;
	bool trace;
	/* Only these faults happen; NULL: as the seed says. */
	const uint32_t *only;
	size_t n_only;
};

struct sim_report { /* shared with the process that plays */
	bool ended, failed;
	char rule[8]; /* "G2" */
	char message[400];
	long steps;
	long records, commits, aborts, crashes, rebalances, losses, repairs;
	long awaited, given_up; /* holders in another partition */
	long twice;             /* requests with two results: H1 */
	/* Rows of the protocol's tables that came: a bit for each event. */
	uint32_t intake_rows[INTAKE_PHASES], commit_rows[COMMIT_PHASES];
	uint32_t faults[SIM_FAULTS_MAX];
	size_t n_faults;
};

struct sim {
	struct sim_plan plan;
	struct sim_report *report;
	long step;
	int64_t now_ms; /* monotonic; the wall is START_MS later */
	bool is_draining;
	int partitions, workers, schedules;
	bool has_twins, has_cross, has_second_life;
};
extern struct sim sim;

/* Plays one history to its end. */
void sim_play(const struct sim_plan *plan, struct sim_report *report);

/* A rule does not hold: the history ends here. */
_Noreturn void sim_violate(const char *rule, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line of the history, if it is to be told. */
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *sim_fault_name(enum sim_fault kind);

int64_t sim_wall_ms(void);
/* This fiber goes on in `ms` at the earliest: others go on meanwhile. */
void sim_pause(int64_t ms);
/* On the way to a server or back: a moment, or where it is slow seconds. */
void sim_travel(void);
/* As sim_pause, but ended by sim_wake_pollers. */
void sim_poll_pause(int64_t ms);
void sim_wake_pollers(void);
/* The worker whose fiber this is, its incarnation, whether it still lives. */
int sim_worker(void);
bool sim_worker_lives(int worker, long incarnation);
bool sim_worker_moves(int worker);
long sim_incarnation(void);

/* Does `act` in `ms`, of nobody's fiber; the bytes are copied. */
struct sim_late {
	int a, b;
	int64_t c;
	int64_t offsets[SIM_PARTITIONS];
	void *bytes; /* stays */
};
void sim_later(
    int64_t ms, void (*act)(const struct sim_late *), struct sim_late late);

/* Load and expectations ---------------------------------------------------- */

struct sim_request {
	char id[16], schedule[48];
	int schedule_number;
	int first;       /* its first record */
	int holder;      /* the record that has its result; -1 */
	int results;     /* committed ones that count */
	int damaged;     /* the first record whose answer does not; -1 */
	int damaged_by;  /* and who asked by such: a bit for each */
	bool is_crossed; /* it has records in two partitions */
	struct uuid run; /* of the first result */
	bool has_run;
	/* Where its holder stood before the topic was made anew; -1. */
	int64_t old_offset;
};

struct sim_record {
	int request; /* -1: one that can't be decoded */
	int by;      /* who asks: another one is a conflict */
	int partition;
	int64_t offset, timestamp_ms, told_ms;
	int results, builds, letters; /* committed ones */
	bool is_crashed;
};

enum sim_topic { SIM_RESULTS, SIM_BUILDS, SIM_LETTERS };
struct sim_message { /* what a message of the worker's says */
	int record;
	struct uuid run, build;
	bool submitted, crashed, damage;
};

extern struct sim_record sim_records[SIM_RECORDS];
extern struct sim_request sim_requests[SIM_RECORDS];
extern int sim_n_records, sim_n_requests;

/* The record at a place of the request log; NULL: there is none. */
struct sim_record *sim_record_at(int partition, int64_t offset);
void sim_add_load(void);

/* Broker ------------------------------------------------------------------ */

enum broker_answer {
	BROKER_OK,
	BROKER_FENCED,
	BROKER_INVALID, /* INVALID_TXN_STATE */
	BROKER_BUSY,    /* CONCURRENT_TRANSACTIONS */
	BROKER_REFUSED, /* ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID */
};

struct broker_group { /* a member at one moment; -1, -1: nobody */
	int member, generation;
};

void broker_start(void);
void broker_tick(void);
void broker_remake(void); /* the request topic; nothing may be open */
int64_t broker_log_end(int partition);
/* Appends a record's number, or -1: an offset without one.  Its offset. */
int64_t broker_append(int partition, int record);
int broker_entry(int partition, int64_t offset);
int64_t broker_offset_at(int partition, int64_t time_ms);

enum broker_answer broker_init(int id, int *epoch);
enum broker_answer broker_produce(
    int id, int epoch, enum sim_topic topic, const struct sim_message *message);
enum broker_answer broker_offsets(
    int id, int epoch, struct broker_group of, const int64_t *next);
enum broker_answer broker_end(int id, int epoch, bool commit);
/* Committed offset; false: a transaction with an offset is undecided. */
bool broker_committed(int partition, int64_t *offset);
int64_t broker_committed_now(int partition);
bool broker_is_quiet(void);
/* All that was committed, in the topic's order, until false. */
bool broker_output(size_t i, enum sim_topic *topic, struct sim_message *message,
    bool *committed);

int broker_join(int worker, long incarnation);
void broker_leave(int member);
bool broker_has_member(int member);
/* Whether it is to join anew. */
bool broker_wants(int member);
void broker_rejoin(int member);
void broker_rebalance(void);
/* The generation that `member` is assigned in; -1: none yet. */
int broker_assignment(int member, bool owned[SIM_PARTITIONS]);

/* kafka.c, each second: what librdkafka's own threads do. */
void kafka_background(void);
void kafka_remake(void);
void kafka_forget_worker(int worker);

/* Store ------------------------------------------------------------------- */

void store_start(void);
void store_break(bool wholly); /* goes back; wholly: to nothing */
void store_down(int64_t ms);
void store_init(void); /* somebody runs init */
void store_forget_worker(int worker);
void store_release_claims(const struct uuid *runs, size_t n);
int64_t store_mark(int partition);
bool store_is_whole(void);

/* Checks ------------------------------------------------------------------ */

/* A message of a transaction that is being committed. */
void check_message(enum sim_topic topic, const struct sim_message *message);
/* What it moves: after its messages. */
void check_offset(int partition, int64_t from, int64_t next);
/* Of a message, after the offsets. */
void check_covered(const struct sim_message *message);
void check_end(void);
/* The topic is made anew: what was asked may be asked again. */
void check_remake(void);

#endif
