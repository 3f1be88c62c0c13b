#include "worker/pipeline/repair.h"

#include <string.h>

#include "common/base/log.h"
#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

/*
 * A repair between a scripted Redis and a scripted log: the Makefile has the
 * linker send what repair.c asks of its consumer here (--wrap).  The records
 * are empty, so they take no claims; what moves is the mark.
 */
#define SHA "0123456789abcdef0123456789abcdef01234567"
#define TTL_MS 1000000
#define POLLS 4

static bool is_scripted;
static struct {
	struct kafka_consumer_events events;
	int64_t start, end, window; /* of the log; of dedup.ttl in it */
	int64_t assigned;           /* where it reads; -1: nothing */
	size_t n_assigned;
	struct {
		int64_t first;
		size_t n;
		bool ends; /* and the log's end is told */
	} polls[POLLS];
	size_t polled;
} log_of;

/*
 * The linker knows them as what it sends here, and as what they are: others
 * that read Kafka get the consumer's own.
 */
struct kafka_consumer *scripted_create(
    const struct kafka_consumer_options *options,
    struct error *err) __asm__("__wrap_kafka_consumer_create");
int scripted_close(struct kafka_consumer *consumer, int ms) __asm__(
    "__wrap_kafka_consumer_close");
int scripted_assign(struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int ms,
    struct error *err) __asm__("__wrap_kafka_consumer_assign");
int scripted_poll(struct kafka_consumer *consumer, struct kafka_record *records,
    size_t max, int ms,
    struct error *err) __asm__("__wrap_kafka_consumer_poll");
int scripted_range(struct kafka_consumer *consumer, struct kafka_partition of,
    struct kafka_range *range, int ms,
    struct error *err) __asm__("__wrap_kafka_consumer_range");
int scripted_offset_at(struct kafka_consumer *consumer,
    struct kafka_partition of, int64_t time_ms, int64_t *offset, int ms,
    struct error *err) __asm__("__wrap_kafka_consumer_offset_at");
void scripted_release(struct kafka_record *records, size_t n) __asm__(
    "__wrap_kafka_records_release");
bool scripted_header(const struct kafka_record *record, size_t i,
    struct kafka_header *header) __asm__("__wrap_kafka_record_header");
bool real_header(const struct kafka_record *record, size_t i,
    struct kafka_header *header) __asm__("__real_kafka_record_header");
struct kafka_consumer *real_create(const struct kafka_consumer_options *options,
    struct error *err) __asm__("__real_kafka_consumer_create");
int real_close(struct kafka_consumer *consumer, int ms) __asm__(
    "__real_kafka_consumer_close");
int real_assign(struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int ms,
    struct error *err) __asm__("__real_kafka_consumer_assign");
int real_poll(struct kafka_consumer *consumer, struct kafka_record *records,
    size_t max, int ms,
    struct error *err) __asm__("__real_kafka_consumer_poll");
int real_range(struct kafka_consumer *consumer, struct kafka_partition of,
    struct kafka_range *range, int ms,
    struct error *err) __asm__("__real_kafka_consumer_range");
int real_offset_at(struct kafka_consumer *consumer, struct kafka_partition of,
    int64_t time_ms, int64_t *offset, int ms,
    struct error *err) __asm__("__real_kafka_consumer_offset_at");
void real_release(struct kafka_record *records, size_t n) __asm__(
    "__real_kafka_records_release");

struct kafka_consumer *
scripted_create(const struct kafka_consumer_options *options, struct error *err)
{
	static char handle;

	if (!is_scripted)
		return real_create(options, err);
	(void)err;
	log_of.events = options->events;
	return (struct kafka_consumer *)&handle;
}

int
scripted_close(struct kafka_consumer *consumer, int ms)
{
	if (!is_scripted)
		return real_close(consumer, ms);
	(void)consumer, (void)ms;
	return 0;
}

int
scripted_assign(struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int ms, struct error *err)
{
	if (!is_scripted)
		return real_assign(consumer, starts, n, ms, err);
	(void)consumer, (void)ms, (void)err;
	log_of.assigned = n > 0 ? starts[0].at : -1;
	log_of.n_assigned++;
	return 0;
}

int
scripted_poll(struct kafka_consumer *consumer, struct kafka_record *records,
    size_t max, int ms, struct error *err)
{
	size_t at, i;

	if (!is_scripted)
		return real_poll(consumer, records, max, ms, err);
	(void)consumer, (void)ms;
	at = log_of.polled++;
	REQUIRE(at < POLLS && log_of.polls[at].n <= max);
	if (log_of.polls[at].ends)
		log_of.events.ended(log_of.events.opaque, "topic", 3, 0);
	for (i = 0; i < log_of.polls[at].n; i++)
		records[i] = (struct kafka_record){
			.partition = 3,
			.offset = log_of.polls[at].first + (int64_t)i,
		};
	if (log_of.polls[at].n == 0 && !log_of.polls[at].ends)
		return error_set(err, ERROR_RETRY, "Kafka is away");
	return (int)log_of.polls[at].n;
}

int
scripted_range(struct kafka_consumer *consumer, struct kafka_partition of,
    struct kafka_range *range, int ms, struct error *err)
{
	if (!is_scripted)
		return real_range(consumer, of, range, ms, err);
	(void)consumer, (void)of, (void)ms, (void)err;
	*range = (struct kafka_range){ log_of.start, log_of.end };
	return 0;
}

int
scripted_offset_at(struct kafka_consumer *consumer, struct kafka_partition of,
    int64_t time_ms, int64_t *offset, int ms, struct error *err)
{
	if (!is_scripted)
		return real_offset_at(consumer, of, time_ms, offset, ms, err);
	(void)consumer, (void)of, (void)ms, (void)err;
	/* Redis's clock says 5,000 s, in the script. */
	CHECK(time_ms == 5000000 - TTL_MS / 10 * 11);
	*offset = log_of.window;
	return 0;
}

void
scripted_release(struct kafka_record *records, size_t n)
{
	if (!is_scripted)
		real_release(records, n);
}

/* The records have none. */
bool
scripted_header(
    const struct kafka_record *record, size_t i, struct kafka_header *header)
{
	return !is_scripted && real_header(record, i, header);
}

static struct scripted_redis script;
static struct keyspace *keyspace;
static struct metrics *metrics;
static struct intake intake;
static struct owned owned[2];
static struct repair *repair;

/* Partition 3, whose mark must come to 20; its log is 0 to 100. */
static void
begin(void)
{
	const struct repair_settings settings = { .ttl_ms = TTL_MS };

	log_set_level(LOG_ERROR);
	is_scripted = true;
	memset(&log_of, 0, sizeof log_of);
	log_of.end = 100;
	scripted_redis_open(&script);
	keyspace = keyspace_create("p:");
	metrics = metrics_create("");
	worker_metrics_use(metrics);
	owned[0] = (struct owned){ .partition = 3, .expected = 20 };
	owned[1] = (struct owned){ .partition = 4, .expected = 30 };
	intake = (struct intake){ .topic = "topic",
		.redis = script.redis,
		.marks = { script.redis, keyspace, TEXT(""), TEXT("topic") },
		.metrics = metrics,
		.decoder = decoder_create(NULL),
		.owned = owned,
		.n_owned = 1 };
	intake.claims =
	    claims_create(&(struct claims_settings){ &intake.marks, TTL_MS });
	repair = repair_create(&settings, NULL);
}

static void
end(void)
{
	repair_destroy(repair);
	claims_destroy(intake.claims);
	decoder_destroy(intake.decoder);
	metrics_destroy(metrics);
	keyspace_destroy(keyspace);
	scripted_redis_close(&script);
	log_set_level(LOG_INFO);
	is_scripted = false;
}

static void
say_clock(void)
{
	SAY(&script, "*2\r\n$4\r\n5000\r\n$1\r\n0\r\n");
}

static void
say_taken(void)
{
	SAY(&script, "*2\r\n:5\r\n:5000000\r\n");
}

static int
start_at(int64_t mark)
{
	struct error err = { 0 };
	int rc;

	say_clock();
	rc = repair_start(repair, &intake, 3, mark, &err);
	CHECK(scripted_redis_heard(&script).n == 1); /* TIME */
	return rc;
}

/* Whether the next script moves partition 3's mark from here to there. */
static bool
moved(const char *from, const char *to)
{
	struct heard heard = scripted_redis_heard(&script);

	return heard.n >= 2 && text_equal(heard.args[0], TEXT("EVALSHA")) &&
	    text_equal(heard.args[3], TEXT("p:m:topic:3")) &&
	    text_equal(heard.args[heard.n - 2], text_from(from)) &&
	    text_equal(heard.args[heard.n - 1], text_from(to));
}

static void
it_begins_where_claims_can_matter(void)
{
	static const struct {
		const char *name;
		int64_t start, window, mark, from;
	} rows[] = {
		{ "at the mark", 0, 5, 10, 10 },
		{ "at the log's start", 15, 5, 10, 15 },
		{ "in the window", 0, 12, 10, 12 },
		{ "no mark at all", 0, 0, -1, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin();
		log_of.start = rows[i].start;
		log_of.window = rows[i].window;
		CHECK_ROW(rows[i].name, start_at(rows[i].mark) == 0);
		CHECK_ROW(rows[i].name, log_of.assigned == rows[i].from);
		end();
	}
}

/* Poll by poll, each from where the one before has moved it to. */
static void
the_mark_moves_along_to_what_is_expected(void)
{
	struct error err = { 0 };

	begin();
	CHECK(start_at(10) == 0);
	log_of.polls[0].first = 12; /* what was before it is no record */
	log_of.polls[0].n = 3;
	log_of.polls[1].first = 18;
	log_of.polls[1].n = 5; /* 20 and on are the group's to read */
	scripted_redis_say_string(&script, TEXT(SHA));
	say_taken();
	say_taken();
	scripted_redis_say_string(&script, TEXT("20"));
	CHECK(repair_step(repair, &intake, &err) == 1);
	CHECK(scripted_redis_heard(&script).n == 3); /* SCRIPT LOAD */
	CHECK(moved("10", "15"));
	CHECK(moved("15", "20"));
	CHECK(log_of.assigned == -1); /* nothing is fetched in vain */
	end();
}

/* Below the end there are only marks of transactions. */
static void
a_log_that_ends_below_is_made_up_for(void)
{
	struct error err = { 0 };

	begin();
	CHECK(start_at(10) == 0);
	log_of.polls[0].first = 10;
	log_of.polls[0].n = 2;
	log_of.polls[0].ends = true;
	scripted_redis_say_string(&script, TEXT(SHA));
	say_taken();
	say_taken();
	scripted_redis_say_string(&script, TEXT("20"));
	CHECK(repair_step(repair, &intake, &err) == 1);
	CHECK(scripted_redis_heard(&script).n == 3);
	CHECK(moved("10", "12") && moved("12", "20"));
	end();
}

static void
lost_again_meanwhile_it_begins_anew(void)
{
	struct error err = { 0 };

	begin();
	CHECK(start_at(10) == 0);
	log_of.polls[0].first = 10;
	log_of.polls[0].n = 5;
	log_of.polls[1].first = 4;
	log_of.polls[1].n = 16;
	scripted_redis_say_string(&script, TEXT(SHA));
	SAY(&script, "*4\r\n:-1\r\n:1\r\n:4\r\n:5000000\r\n");
	say_clock();
	say_taken();
	scripted_redis_say_string(&script, TEXT("20"));
	CHECK(repair_step(repair, &intake, &err) == 1);
	CHECK(scripted_redis_heard(&script).n == 3);
	CHECK(moved("10", "15"));
	CHECK(scripted_redis_heard(&script).n == 1);
	CHECK(moved("4", "20"));
	CHECK(log_of.n_assigned == 3); /* twice, and none at the end */
	end();
}

/* A Redis that went back did so for all partitions. */
static void
the_next_partition_follows(void)
{
	struct error err = { 0 };

	begin();
	intake.n_owned = 2;
	CHECK(start_at(19) == 0);
	log_of.polls[0].first = 19;
	log_of.polls[0].n = 1;
	scripted_redis_say_string(&script, TEXT(SHA));
	say_taken();
	scripted_redis_say_string(&script, TEXT("20"));
	scripted_redis_say_string(&script, TEXT("7")); /* of 30 */
	say_clock();
	CHECK(repair_step(repair, &intake, &err) == 0);
	CHECK(log_of.assigned == 7);
	end();
}

static void
whatever_redis_says_is_waited_for(void)
{
	struct error err = { 0 };

	begin();
	CHECK(start_at(10) == 0);
	log_of.polls[0].first = 10;
	log_of.polls[0].n = 1;
	SAY(&script, "-NOAUTH Authentication required.\r\n");
	CHECK(repair_step(repair, &intake, &err) == -1);
	CHECK(err.kind == ERROR_RETRY);
	CHECK(repair_start(repair, &intake, 9, 0, &err) == -1);
	CHECK(err.kind == ERROR_ABORT); /* it is not ours any more */
	end();
}

CU_TestInfo repair_tests[] = {
	{ "where it begins", it_begins_where_claims_can_matter },
	{ "the mark moves", the_mark_moves_along_to_what_is_expected },
	{ "a log that ends below", a_log_that_ends_below_is_made_up_for },
	{ "lost again", lost_again_meanwhile_it_begins_anew },
	{ "the next partition", the_next_partition_follows },
	{ "Redis can't", whatever_redis_says_is_waited_for },
	CU_TEST_INFO_NULL,
};
