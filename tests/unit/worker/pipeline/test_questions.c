#include "worker/pipeline/questions.h"

#include <stdio.h>
#include <stdlib.h>
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
#define DATASET "ri.foundry.main.dataset." UUID("4")
#define OWNER UUID("5")
#define USER UUID("6")
#define PROJECT "ri.compass.main.folder." UUID("7")
#define NO_BOUND ((size_t)1 << 40)

static const char version[] =
    "{\"action\":{\"branchName\":\"master\",\"target\":{\"targetRids\":"
    "[\"" DATASET "\"],\"type\":\"manual\"}},"
    "\"createdBy\":\"" OWNER "\",\"rid\":\"" VERSION
    "\",\"scheduleRid\":\"" SCHEDULE "\",\"scopeMode\":{\"type\":\"user\"}}";

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
	settings.metrics = metrics;
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
	size_t i;

	for (i = 0; i < batch->n; i++)
		batch->records[i].schedule_hash =
		    snapshot_hash(batch->records[i].request.schedule_rid);
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

/* What a plan of the version reads: a dataset that no job writes. */
static void
say_world(void)
{
	say_one("{}");    /* its branches */
	say_one(PROJECT); /* the dataset */
	say_one(NULL);    /* no job spec */
	say_one("1");     /* the owner is active */
	say_again();
}

static bool
heard_world(const char *generation)
{
	char names[3][200];

	snprintf(
	    names[0], sizeof names[0], "HMGET p:g%s:d " DATASET, generation);
	snprintf(names[1], sizeof names[1], "HMGET p:g%s:j " DATASET "\nmaster",
	    generation);
	snprintf(names[2], sizeof names[2], "HMGET p:g%s:u " OWNER, generation);
	return heard("HMGET p:h " DATASET) && heard(names[0]) &&
	    heard_trip(names[1], names[2]);
}

/* The first batch of all, which reads everything. */
static void
answer_first(void)
{
	struct error err = { 0 };

	say_first("one");
	say_one("--" VERSION);
	say_again();
	say_no_limits();
	say_one(version);
	say_again();
	say_world();
	ask(2, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", "HMGET p:s " SCHEDULE));
	CHECK(heard("HMGET p:g7:l maxJobs maxInputs maxRetries"));
	CHECK(heard_trip("HMGET p:v " VERSION, NULL));
	CHECK(heard_world("7"));
	CHECK(scripted_redis_heard(&script).n == 0);
	CHECK(answer_of(0)->error == JOB_SPEC_NOT_FOUND);
}

/* Another batch that reads nothing but what each begins with. */
static const struct answer *
answer_at_once(const char *by)
{
	struct error err = { 0 };

	say_first("one");
	say_again();
	ask(1, SCHEDULE, by);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(scripted_redis_heard(&script).n == 0);
	return answer_of(0);
}

/* What is asked for a second time is remembered, and told the third. */
static const struct answer *
answer_remembered(void)
{
	answer_first();
	answer_at_once(NULL);
	return answer_at_once(NULL);
}

static void
requests_that_ask_the_same_share_an_answer(void)
{
	begin();
	answer_first();
	CHECK(answer_of(0) == answer_of(1));
	CHECK(snapshot_questions(snapshot) == 1);
	end();
}

/* Who asks makes none, as long as that decides nothing. */
static void
for_what_is_asked_makes_another_question(void)
{
	struct error err = { 0 };

	begin();
	ask(4, SCHEDULE, NULL);
	batch->records[1].request.created_by = TEXT(USER);
	batch->records[2].request.schedule_version_rid = TEXT(VERSION);
	batch->records[3].request.schedule_rid = TEXT(OTHER);
	say_first("one");
	SAY(&script, "*2\r\n$-1\r\n$-1\r\n"); /* neither schedule exists */
	say_again();
	say_no_limits();
	say_one(NULL); /* nor the version */
	say_again();
	CHECK(answer(&err) == 0);
	CHECK(snapshot_questions(snapshot) == 3);
	CHECK(answer_of(0)->state == RUN_FAILED);
	CHECK(answer_of(0) == answer_of(1) && answer_of(0) != answer_of(2));
	end();
}

/* As the metric tells. */
static int
answers_kept(void)
{
	struct buffer out = { 0 };
	const char *found;
	int n = -1;

	metrics_write(metrics, false, &out);
	buffer_byte(&out, '\0');
	found = strstr(out.at, "schedrun_cache_entries{cache=\"answers\"} ");
	if (found != NULL)
		n = (int)strtol(strchr(found, ' '), NULL, 10);
	buffer_finish(&out);
	return n;
}

static void
what_is_asked_once_is_not_remembered(void)
{
	const struct answer *third;

	begin();
	answer_first();
	CHECK(answers_kept() == 0);
	answer_at_once(NULL);
	CHECK(answers_kept() == 1);
	third = answer_at_once(NULL);
	CHECK(answer_at_once(NULL) == third);
	end();
}

/* Something has changed, and nobody says what: its grounds are read again. */
static void
a_new_edition_has_the_grounds_read(void)
{
	const struct answer *first;
	struct error err = { 0 };

	begin();
	first = answer_remembered();
	say_first("two");
	say_again();
	say_one("--" VERSION);
	say_one("{}");
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(heard_trip("HMGET p:s " SCHEDULE, "HMGET p:h " DATASET));
	CHECK(answer_of(0) == first);
	end();
}

static void
an_answer_falls_with_its_ground(void)
{
	const struct answer *first;
	struct error err = { 0 };

	begin();
	first = answer_remembered();
	say_first("two");
	say_again();
	say_one("--" VERSION);
	say_one("{\"master\":{\"t\":\"ri.foundry.main.transaction." UUID(
	    "8") "\"}}");
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(heard_trip("HMGET p:s " SCHEDULE, "HMGET p:h " DATASET));
	CHECK(answer_of(0) != first);
	end();
}

static void
an_answer_is_not_of_a_deleted_schedule(void)
{
	struct error err = { 0 };

	begin();
	answer_remembered();
	say_first("two");
	say_again();
	say_one("-d" VERSION);
	say_one("{}");
	say_again();
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(answer_of(0)->error == TARGET_RESOLUTION_FAILURE);
	end();
}

static void
an_answer_falls_with_its_generation(void)
{
	struct error err = { 0 };

	begin();
	answer_remembered();
	SAY(&script, "*2\r\n$1\r\n8\r\n");
	scripted_redis_say_string(&script, TEXT("two"));
	SAY(&script, "$1\r\n8\r\n$1\r\nc\r\n");
	say_one("--" VERSION);
	say_one("{}");
	SAY(&script, "$1\r\n8\r\n$1\r\nc\r\n");
	say_no_limits();
	say_one(NULL); /* the dataset is gone */
	say_one(NULL);
	say_one("1");
	SAY(&script, "$1\r\n8\r\n$1\r\nc\r\n");
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(answer_of(0)->error == TARGET_RESOLUTION_FAILURE);
	end();
}

/*
 * Redis is another one, made anew with what the old one had, edition included:
 * what is cached of the old one is not taken for its, nor that there is
 * nothing.
 */
static void
another_store_is_read_anew(void)
{
	struct error err = { 0 };

	begin();
	answer_remembered();
	say_first("one");
	SAY(&script, "$1\r\n7\r\n$1\r\nd\r\n"); /* created */
	say_one("--" VERSION);
	SAY(&script, "$1\r\n7\r\n$1\r\nd\r\n");
	say_no_limits();
	say_one(version);
	SAY(&script, "$1\r\n7\r\n$1\r\nd\r\n");
	say_one("{}");
	say_one(PROJECT);
	say_one(NULL);
	say_one("1");
	SAY(&script, "$1\r\n7\r\n$1\r\nd\r\n");
	ask(1, SCHEDULE, NULL);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(heard_trip("HMGET p:s " SCHEDULE, NULL));
	CHECK(answer_of(0)->error == JOB_SPEC_NOT_FOUND);
	end();
}

/* A pin of the current version asks for the same answer. */
static void
pins_share_what_their_version_remembers(void)
{
	const struct answer *anybodys;
	struct error err = { 0 };

	begin();
	anybodys = answer_remembered();
	say_first("one");
	say_again();
	ask(2, SCHEDULE, NULL);
	batch->records[1].request.schedule_version_rid = TEXT(VERSION);
	CHECK(answer(&err) == 0);
	CHECK(snapshot_questions(snapshot) == 2);
	CHECK(answer_of(0) == anybodys && answer_of(1) == anybodys);
	end();
}

/* A user who asks, and what the store says of him. */
static const struct answer *
answer_to(const char *user, const char *role)
{
	struct error err = { 0 };

	say_first("one");
	say_again();
	SAY(&script, "*2\r\n");
	if (user != NULL)
		scripted_redis_say_string(&script, text_from(user));
	else
		SAY(&script, "$-1\r\n");
	if (role != NULL)
		scripted_redis_say_string(&script, text_from(role));
	else
		SAY(&script, "$-1\r\n");
	say_again();
	ask(2, SCHEDULE, USER);
	CHECK(answer(&err) == 0);
	CHECK(heard_trip("MGET p:g p:e", NULL));
	CHECK(heard_trip("HMGET p:g7:u " USER " " USER "\n" PROJECT, NULL));
	CHECK(scripted_redis_heard(&script).n == 0);
	CHECK(answer_of(0) == answer_of(1));
	return answer_of(0);
}

static void
who_may_gets_what_anybody_gets(void)
{
	const struct answer *anybodys;

	begin();
	anybodys = answer_remembered();
	CHECK(answer_to("1", "e") == anybodys);
	CHECK(answer_at_once(USER) == anybodys);
	CHECK(snapshot_questions(snapshot) == 1);
	end();
}

static void
who_may_not_has_a_question_of_his_own(void)
{
	static const struct {
		const char *user, *role;
		enum run_error error;
	} rows[] = {
		{ NULL, NULL, PERMISSION_DENIED },
		{ "0", "o", PERMISSION_DENIED },
		{ "1", NULL, PERMISSION_DENIED },
		{ "1", "v", PERMISSION_DENIED },
		{ "1", "x", INTERNAL },
		{ "2", "o", INTERNAL },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct answer *anybodys, *his;

		begin();
		anybodys = answer_remembered();
		his = answer_to(rows[i].user, rows[i].role);
		CHECK(his != anybodys && his->error == rows[i].error);
		CHECK(anybodys->error == JOB_SPEC_NOT_FOUND);
		CHECK(snapshot_questions(snapshot) == 2);
		CHECK(answer_at_once(NULL) == anybodys);
		end();
	}
}

/* Nobody's request of what is paused is ignored; somebody's is not. */
static void
a_pause_is_for_what_nobody_asks(void)
{
	struct error err = { 0 };

	begin();
	answer_remembered();
	say_first("two");
	say_again();
	say_one("p-" VERSION);
	say_one("{}");
	say_again();
	SAY(&script, "*2\r\n$1\r\n1\r\n$1\r\ne\r\n");
	say_again();
	ask(2, SCHEDULE, NULL);
	batch->records[1].request.created_by = TEXT(USER);
	CHECK(answer(&err) == 0);
	CHECK(answer_of(0)->state == RUN_IGNORED);
	CHECK(answer_of(1)->error == JOB_SPEC_NOT_FOUND);
	end();
}

/* At any moment, and need not tell. */
static void
somebody_may_mend_damage(void)
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
	say_world();
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
	batch->records[1].request.schedule_rid = TEXT(OTHER);
	say_first("one");
	SAY(&script, "*2\r\n$-1\r\n$-1\r\n");
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
	{ "another question", for_what_is_asked_makes_another_question },
	{ "asked once", what_is_asked_once_is_not_remembered },
	{ "a new edition", a_new_edition_has_the_grounds_read },
	{ "a ground has changed", an_answer_falls_with_its_ground },
	{ "a deleted schedule", an_answer_is_not_of_a_deleted_schedule },
	{ "a new generation", an_answer_falls_with_its_generation },
	{ "another store", another_store_is_read_anew },
	{ "pins", pins_share_what_their_version_remembers },
	{ "who may", who_may_gets_what_anybody_gets },
	{ "who may not", who_may_not_has_a_question_of_his_own },
	{ "paused", a_pause_is_for_what_nobody_asks },
	{ "damage", somebody_may_mend_damage },
	{ "too much", what_is_too_much_is_said },
	{ "Redis can't", a_redis_that_cannot_is_no_answer },
	{ "only what is to be planned", only_what_is_to_be_planned_is_asked },
	CU_TEST_INFO_NULL,
};
