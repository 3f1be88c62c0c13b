#include "producer/trigger/replicas.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

#define SCHEDULES 3000
#define LOADED "$40\r\n0123456789012345678901234567890123456789\r\n"
#define THIRD "94a5f3a4-0000-4000-8000-000000000001"

struct member {
	struct scripted_redis script;
	struct replicas *replicas;
	char name[UUID_TEXT_SIZE];
};

/* The script's call that was heard: the third is its key, then its arguments.
 */
static struct heard
hear_call(struct member *member)
{
	struct heard heard = scripted_redis_heard(&member->script);

	if (heard.n > 0 && text_equal(heard.args[0], TEXT("SCRIPT")))
		heard = scripted_redis_heard(&member->script);
	CU_ASSERT_EQUAL_FATAL(heard.n, 6);
	CU_ASSERT_TRUE(text_equal(heard.args[3], TEXT("p:t:who")));
	return heard;
}

/* Has met nobody but a third one. */
static void
open_member(struct member *member, const struct keyspace *keyspace)
{
	struct error err = { 0 };
	struct heard heard;

	scripted_redis_open(&member->script);
	member->replicas = replicas_create(member->script.redis, keyspace);
	CU_ASSERT_TRUE(replicas_owns(member->replicas, TEXT("any")));
	SAY(&member->script, LOADED "*1\r\n$36\r\n" THIRD "\r\n");
	CU_ASSERT_EQUAL_FATAL(replicas_meet(member->replicas, &err), 0);
	heard = hear_call(member);
	CU_ASSERT_TRUE(text_equal(heard.args[5], TEXT("5000")));
	memcpy(member->name, heard.args[4].at, sizeof member->name);
}

static void
close_member(struct member *member)
{
	struct heard heard;

	SAY(&member->script, "*0\r\n");
	replicas_destroy(member->replicas);
	heard = hear_call(member);
	CU_ASSERT_TRUE(text_equal(heard.args[5], TEXT("0"))); /* it goes */
	scripted_redis_close(&member->script);
}

static void
meet(struct member *member, const char *names)
{
	struct error err = { 0 };

	scripted_redis_say(&member->script, text_from(names));
	CU_ASSERT_EQUAL_FATAL(replicas_meet(member->replicas, &err), 0);
	hear_call(member);
}

static struct text
schedule_rid(size_t i, char out[64])
{
	int size =
	    snprintf(out, 64, "ri.scheduler.main.schedule.nightly-%zu", i);

	return (struct text){ out, (size_t)size };
}

/* Each is one's, whichever way they hear of each other; of a third one that
 * goes it is his alone that changes hands. */
static void
share(void)
{
	struct keyspace *keyspace = keyspace_create("p:");
	struct member one, two;
	char there[3][256], rid[64];
	static bool ones[SCHEDULES], twos[SCHEDULES];
	size_t n_ones = 0, n_twos = 0, i;

	open_member(&one, keyspace);
	open_member(&two, keyspace);
	snprintf(there[0], sizeof there[0],
	    "*3\r\n$36\r\n%.36s\r\n$36\r\n" THIRD "\r\n$36\r\n%.36s\r\n",
	    one.name, two.name);
	snprintf(there[1], sizeof there[1],
	    "*3\r\n$36\r\n" THIRD "\r\n$36\r\n%.36s\r\n$36\r\n%.36s\r\n",
	    two.name, one.name);
	snprintf(there[2], sizeof there[2],
	    "*2\r\n$36\r\n%.36s\r\n$36\r\n%.36s\r\n", two.name, one.name);
	meet(&one, there[0]);
	meet(&two, there[1]);
	CU_ASSERT_EQUAL(replicas_count(one.replicas), 3);
	for (i = 0; i < SCHEDULES; i++) {
		ones[i] = replicas_owns(one.replicas, schedule_rid(i, rid));
		twos[i] = replicas_owns(two.replicas, schedule_rid(i, rid));
		CU_ASSERT_FALSE(ones[i] && twos[i]);
		n_ones += ones[i];
		n_twos += twos[i];
	}
	CU_ASSERT_TRUE(n_ones > SCHEDULES / 4 && n_ones < SCHEDULES / 12 * 5);
	CU_ASSERT_TRUE(n_twos > SCHEDULES / 4 && n_twos < SCHEDULES / 12 * 5);
	meet(&one, there[2]);
	meet(&two, there[2]);
	for (i = 0; i < SCHEDULES; i++) {
		bool is_ones =
		    replicas_owns(one.replicas, schedule_rid(i, rid));

		CU_ASSERT_TRUE(is_ones !=
		    replicas_owns(two.replicas, schedule_rid(i, rid)));
		CU_ASSERT_TRUE(is_ones ? !twos[i] : !ones[i]);
	}
	close_member(&one);
	close_member(&two);
	keyspace_destroy(keyspace);
}

CU_TestInfo replicas_tests[] = {
	{ "share", share },
	CU_TEST_INFO_NULL,
};
