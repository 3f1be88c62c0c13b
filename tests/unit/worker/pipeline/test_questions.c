#include "worker/pipeline/questions.h"

#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

/*
 * What is read for a batch's questions, and which answers are remembered: on a
 * scripted Redis, so that each command can be counted.
 */
#define UUID(n) "0000000" n "-0000-4000-8000-000000000000"
#define SCHEDULE "ri.scheduler.main.schedule." UUID("1")
#define OTHER "ri.scheduler.main.schedule." UUID("2")
#define VERSION "ri.scheduler.main.schedule-version." UUID("3")
#define NO_BOUND ((size_t)1 << 40)

static const char version[] =
    "{\"action\":{\"branchName\":\"master\",\"target\":{\"targetRids\":"
    "[\"ri.foundry.main.dataset." UUID(
	"4") "\"],\"type\":\"manual\"}},"
	     "\"createdBy\":\"" UUID(
		 "5") "\",\"rid\":\"" VERSION "\",\"scheduleRid\":\"" SCHEDULE
		      "\",\"scopeMode\":{\"type\":\"user\"}}";

static struct scripted_redis script;
static struct keyspace *keyspace;
static struct metrics *metrics;
static struct snapshot *snapshot;
static struct questions *questions;
static struct batch *batch;

static void
begin(void)
{
	struct snapshot_settings settings = { 0 };

	scripted_redis_open(&script);
	keyspace = keyspace_create("p:");
	metrics = metrics_create("");
	worker_metrics_use(metrics);
	settings.redis = script.redis;
	settings.keyspace = keyspace;
	snapshot = snapshot_create(&settings);
	questions = questions_create(snapshot, metrics);
	batch = batch_create(4, 1 << 20);
}

static void
end(void)
{
	batch->n = 0; /* its records are not librdkafka's */
	batch_destroy(batch);
	questions_destroy(questions);
	snapshot_destroy(snapshot);
	metrics_destroy(metrics);
	keyspace_destroy(keyspace);
	scripted_redis_close(&script);
}

/* A batch of requests, asked by nobody, or by who is named. */
static void
ask(size_t n, const char *schedule, const char *by)
{
	size_t i;

	batch->n = 0;
	memset(batch->kafka, 0, n * sizeof *batch->kafka);
	batch_take(batch, n);
	for (i = 0; i < n; i++) {
		batch->records[i].fate = FATE_PLAN;
		batch->records[i].request = (struct run_request){
			.schedule_rid = text_from(schedule),
			.created_by = by != NULL ? text_from(by) : TEXT_NONE,
			.request_id = TEXT("id"),
		};
	}
}

static int
answer(struct error *err)
{
	return questions_answer(questions, batch, 0, batch->n, NO_BOUND, err);
}

static const struct answer *
answer_of(size_t i)
{
	return snapshot_question(snapshot, batch->records[i].question)->answer;
}

/* A batch's first look; `again` ends each trip. */
static void
say_first(const char *edition)
{
	SAY(&script, "*2\r\n$1\r\n7\r\n");
	scripted_redis_say_string(&script, text_from(edition));
}

static void
say_one(const char *value)
{
	SAY(&script, "*1\r\n");
	if (value != NULL)
		scripted_redis_say_string(&script, text_from(value));
	else
		SAY(&script, "$-1\r\n");
}

static void
say_again(void)
{
	SAY(&script, "$1\r\n7\r\n$1\r\nc\r\n");
}

static void
say_no_limits(void)
{
	SAY(&script, "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
}

static bool
heard(const char *words)
{
	struct heard command = scripted_redis_heard(&script);

	return heard_is(&command, words);
}

static bool
heard_trip(const char *first, const char *second)
{
	return (first == NULL || heard(first)) &&
	    (second == NULL || heard(second)) && heard("GET p:g") &&
	    heard("HGET p:meta created");
}

/* The first batch of all: a paused schedule, whose answer is remembered. */
static const struct answer *
answer_paused(void)
{
	struct error err = { 0 };

	say_first("one");
	say_one("p-" VERSION);
	say_again();
	say_no_limits();
	say_one(version);
	say_again();
	ask(2, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", "HMGET p:s " SCHEDULE));
	CHECK(heard("HMGET p:g7:l maxJobs maxInputs maxRetries"));
	CHECK(heard_trip("HMGET p:v " VERSION, NULL));
	CHECK(scripted_redis_heard(&script).n == 0);
	CHECK(answer_of(0)->state == RUN_IGNORED);
	return answer_of(0);
}

static void
requests_that_ask_the_same_share_an_answer(void)
{
	begin();
	answer_paused();
	CHECK(answer_of(0) == answer_of(1));
	CHECK(snapshot_questions(snapshot) == 1);
	end();
}

static void
who_asks_and_for_what_makes_another_question(void)
{
	struct error err = { 0 };

	begin();
	ask(4, SCHEDULE, NULL);
	batch->records[1].request.created_by = TEXT(UUID("6"));
	batch->records[2].request.schedule_version_rid = TEXT(VERSION);
	batch->records[3].request.schedule_rid = TEXT(OTHER);
	say_first("one");
	SAY(&script, "*2\r\n$-1\r\n$-1\r\n"); /* neither schedule exists */
	say_again();
	say_no_limits();
	say_one(NULL); /* nor the version */
	say_again();
	CHECK(answer(&err) == 0);
	CHECK(snapshot_questions(snapshot) == 4);
	CHECK(answer_of(0)->state == RUN_FAILED);
	CHECK(answer_of(0) != answer_of(1) && answer_of(0) != answer_of(2));
	end();
}

static void
a_remembered_answer_needs_no_reading(void)
{
	const struct answer *first;
	struct error err = { 0 };

	begin();
	first = answer_paused();
	say_first("one");
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(scripted_redis_heard(&script).n == 0);
	CHECK(answer_of(0) == first);
	end();
}

/* Something has changed, and nobody says what: its grounds are read again. */
static void
a_new_edition_has_the_grounds_read(void)
{
	const struct answer *first;
	struct error err = { 0 };

	begin();
	first = answer_paused();
	say_first("two");
	say_again();
	say_one("p-" VERSION);
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(heard_trip("HMGET p:s " SCHEDULE, NULL));
	CHECK(answer_of(0) == first);
	end();
}

static void
an_answer_falls_with_its_ground(void)
{
	struct error err = { 0 };

	begin();
	answer_paused();
	say_first("two");
	say_again();
	say_one("pd" VERSION); /* deleted by now */
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(answer_of(0)->state == RUN_FAILED);
	CHECK(answer_of(0)->error == TARGET_RESOLUTION_FAILURE);
	end();
}

/* Somebody may mend it at any moment, and need not tell. */
static void
what_damage_gave_is_not_remembered(void)
{
	struct error err = { 0 };

	begin();
	say_first("one");
	say_one("nonsense");
	say_again();
	say_no_limits();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(answer_of(0)->state == RUN_FAILED);
	CHECK(answer_of(0)->error == INTERNAL);
	say_first("one");
	say_one("p-" VERSION);
	say_again();
	say_one(version);
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(answer_of(0)->state == RUN_IGNORED);
	end();
}

static void
what_is_too_much_is_said(void)
{
	struct error err = { 0 };

	begin();
	ask(2, SCHEDULE, NULL);
	batch->records[1].request.created_by = TEXT(UUID("6"));
	say_first("one");
	say_one(NULL);
	say_again();
	say_no_limits();
	CHECK(questions_answer(questions, batch, 0, 2, 1, &err) == 1);
	/* One alone is answered, however much it is. */
	say_first("one");
	say_again();
	CHECK(questions_answer(questions, batch, 0, 1, 1, &err) == 0);
	CHECK(answer_of(0)->state == RUN_FAILED);
	end();
}

static void
a_redis_that_cannot_is_no_answer(void)
{
	struct error err = { 0 };

	begin();
	SAY(&script, "-LOADING Redis is loading the dataset in memory\r\n");
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == -1 && err.kind == ERROR_RETRY);
	end();
}

static void
only_what_is_to_be_planned_is_asked(void)
{
	struct error err = { 0 };

	begin();
	ask(2, SCHEDULE, NULL);
	batch->records[0].fate = FATE_DROP;
	batch->records[1].fate = FATE_DEAD;
	say_first("one");
	say_again();
	say_no_limits();
	CHECK(answer(&err) == 0);
	CHECK(snapshot_questions(snapshot) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	end();
}

CU_TestInfo questions_tests[] = {
	{ "the same question", requests_that_ask_the_same_share_an_answer },
	{ "another question", who_asks_and_for_what_makes_another_question },
	{ "remembered", a_remembered_answer_needs_no_reading },
	{ "a new edition", a_new_edition_has_the_grounds_read },
	{ "a ground has changed", an_answer_falls_with_its_ground },
	{ "damage", what_damage_gave_is_not_remembered },
	{ "too much", what_is_too_much_is_said },
	{ "Redis can't", a_redis_that_cannot_is_no_answer },
	{ "only what is to be planned", only_what_is_to_be_planned_is_asked },
	CU_TEST_INFO_NULL,
};
