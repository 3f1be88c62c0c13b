#include "worker/claims/claims.h"

#include <stdio.h>
#include <string.h>

#include "schemas/embedded.h"
#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define TTL_MS 1000

static struct scripted_redis script;
static struct keyspace *keyspace;
static struct marks marks;
static struct claims *claims;
static struct claim items[3];
static const struct claim_mark mark = { 3, 70, 73 };

/* Three records of partition 3, offsets 70 to 72; of shards 1, 2 and 1. */
static void
begin(void)
{
	size_t i;

	scripted_redis_open(&script);
	keyspace = keyspace_create("p:");
	marks =
	    (struct marks){ script.redis, keyspace, TEXT("ns"), TEXT("topic") };
	claims = claims_create(&(struct claims_settings){ &marks, TTL_MS });
	claims_set_space(claims, 256, 5 * TTL_MS + 1);
	for (i = 0; i < 3; i++)
		items[i] = (struct claim){
			.run = { { [0] = (uint8_t)i, [15] = i == 1 ? 2 : 1 } },
			.value = { 3, 70 + (int64_t)i, 1700000000000,
			    CLAIM_FINGERPRINT_NONE },
			.record = (uint32_t)i,
		};
}

static void
end(void)
{
	claims_destroy(claims);
	keyspace_destroy(keyspace);
	scripted_redis_close(&script);
}

/* Sends the three; the first time the script is loaded. */
static struct heard
sent(bool loads)
{
	struct heard heard;

	if (loads)
		scripted_redis_say_string(&script, TEXT(SHA));
	CHECK(claims_send(claims, &mark, 1, items, 3, NULL) == 0);
	if (loads) {
		heard = scripted_redis_heard(&script);
		CHECK(
		    heard.n == 3 && text_equal(heard.args[0], TEXT("SCRIPT")));
		CHECK(text_equal(heard.args[2], text_from(lua_take)));
	}
	return scripted_redis_heard(&script);
}

static int
answered(const char *answer, struct claims_answer *said, struct error *err)
{
	scripted_redis_say(&script, text_from(answer));
	return claims_receive(claims, said, err);
}

/* A value as it is stored, with its head: for an answer of the script's. */
static void
say_value(const struct claim_value *value)
{
	unsigned char bytes[CLAIM_VALUE_SIZE];

	claim_value_write(value, bytes);
	scripted_redis_say_string(
	    &script, (struct text){ (const char *)bytes, sizeof bytes });
}

static void
the_script_gets_what_it_says_it_takes(void)
{
	struct heard heard;
	unsigned char packed[CLAIM_PACKED_SIZE];

	begin();
	heard = sent(true);
	REQUIRE(heard.n == 12);
	CHECK(text_equal(heard.args[0], TEXT("EVALSHA")));
	CHECK(text_equal(heard.args[1], TEXT(SHA)));
	CHECK(text_equal(heard.args[2], TEXT("1")));
	CHECK(text_equal(heard.args[3], TEXT("p:mns:topic:3")));
	CHECK(text_equal(heard.args[4], TEXT("1000")));
	CHECK(text_equal(heard.args[5], TEXT("p:cns:")));
	CHECK(text_equal(heard.args[6], TEXT("-1"))); /* nothing is known */
	CHECK(text_equal(heard.args[7], TEXT("5")));  /* meta.created's */
	CHECK(heard.args[8].size == 3 * CLAIM_PACKED_SIZE);
	claim_pack(2, &items[1].run, &items[1].value, packed);
	CHECK(memcmp(heard.args[8].at + CLAIM_PACKED_SIZE, packed,
		  sizeof packed) == 0);
	CHECK(text_equal(
	    heard.args[9], (struct text){ "\0\0\1\0\0\2\0\0\1", 9 }));
	CHECK(text_equal(heard.args[10], TEXT("70")));
	CHECK(text_equal(heard.args[11], TEXT("73")));
	end();
}

static void
what_nobody_has_is_taken(void)
{
	struct claims_answer said;
	size_t i;

	begin();
	sent(true);
	CHECK(answered("*2\r\n:9\r\n:9500\r\n", &said, NULL) == 0);
	for (i = 0; i < 3; i++)
		CHECK(items[i].verdict == CLAIM_TAKEN);
	CHECK(!said.behind && said.n_own == 0 && said.store_now_ms == 9500);
	end();
}

static void
holders_are_judged(void)
{
	struct claim_value before = { 3, 69, 1, CLAIM_FINGERPRINT_NONE };
	struct claims_answer said;

	begin();
	sent(true);
	SAY(&script, "*6\r\n:9\r\n:9500\r\n:0\r\n");
	say_value(&items[0].value);
	SAY(&script, ":2\r\n");
	say_value(&before);
	CHECK(claims_receive(claims, &said, NULL) == 0);
	CHECK(items[0].verdict == CLAIM_OWN && said.n_own == 1);
	CHECK(items[1].verdict == CLAIM_TAKEN);
	CHECK(items[2].verdict == CLAIM_DUPLICATE);
	CHECK(items[2].occupant_size == CLAIM_VALUE_SIZE);
	end();
}

/* A hash that a claim of ours has made needs no second expiry ... */
static void
expiries_are_remembered_for_a_bucket(void)
{
	struct claims_answer said;
	struct heard heard;

	begin();
	sent(true);
	SAY(&script, "*4\r\n:9\r\n:9500\r\n:1\r\n");
	say_value(&items[1].value);
	CHECK(claims_receive(claims, &said, NULL) == 0);
	heard = sent(false);
	CHECK(text_equal(heard.args[6], TEXT("9")));
	/* ... but one that others made, shard 2, may lack it. */
	CHECK(text_equal(heard.args[9], (struct text){ "\0\0\2", 3 }));
	CHECK(answered("*2\r\n:10\r\n:10001\r\n", &said, NULL) == 0);
	heard = sent(false);
	CHECK(text_equal(heard.args[6], TEXT("10")));
	CHECK(heard.args[9].size == 0);
	CHECK(answered("*2\r\n:11\r\n:11001\r\n", &said, NULL) == 0);
	claims_reset(claims);
	heard = sent(true);
	CHECK(text_equal(heard.args[6], TEXT("-1")));
	CHECK(heard.args[9].size == 9);
	end();
}

static void
a_bucket_that_went_by_is_forgotten(void)
{
	struct claims_answer said;
	struct heard heard;

	begin();
	sent(true);
	CHECK(answered("*2\r\n:9\r\n:9500\r\n", &said, NULL) == 0);
	sent(false);
	/* All have holders: no hash of bucket 10 is known to expire. */
	SAY(&script, "*8\r\n:10\r\n:10001\r\n:0\r\n");
	say_value(&items[0].value);
	SAY(&script, ":1\r\n");
	say_value(&items[1].value);
	SAY(&script, ":2\r\n");
	say_value(&items[2].value);
	CHECK(claims_receive(claims, &said, NULL) == 0);
	heard = sent(false);
	CHECK(text_equal(heard.args[6], TEXT("10")));
	CHECK(heard.args[9].size == 9);
	end();
}

static void
a_mark_that_is_too_low_is_told(void)
{
	struct claims_answer said;

	begin();
	sent(true);
	CHECK(answered("*4\r\n:-1\r\n:1\r\n:5\r\n:9500\r\n", &said, NULL) == 0);
	CHECK(said.behind && said.mark == 0 && said.mark_value == 5);
	CHECK(said.store_now_ms == 9500);
	end();
}

static void
answers_of_another_form_are_refused(void)
{
	static const struct {
		const char *name, *answer;
	} rows[] = {
		{ "a number", ":1\r\n" },
		{ "nothing", "$-1\r\n" },
		{ "too short", "*1\r\n:9\r\n" },
		{ "a text first", "*2\r\n$1\r\n9\r\n:9500\r\n" },
		{ "an index that is none",
		    "*4\r\n:9\r\n:1\r\n:3\r\n$1\r\nx\r\n" },
		{ "a negative one", "*4\r\n:9\r\n:1\r\n:-1\r\n$1\r\nx\r\n" },
		{ "a holder too long",
		    "*4\r\n:9\r\n:1\r\n:0\r\n$20\r\n12345678901234567890\r\n" },
		{ "a holder that is a number",
		    "*4\r\n:9\r\n:1\r\n:0\r\n:5\r\n" },
		{ "behind, no mark's number",
		    "*4\r\n:-1\r\n:0\r\n:5\r\n:1\r\n" },
		{ "behind, not sent", "*4\r\n:-1\r\n:2\r\n:5\r\n:1\r\n" },
		{ "behind, too short", "*3\r\n:-1\r\n:1\r\n:5\r\n" },
	};
	struct claims_answer said;
	size_t i;

	begin();
	sent(true);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = { 0 };

		CHECK_ROW(
		    rows[i].name, answered(rows[i].answer, &said, &err) == -1);
		CHECK_ROW(rows[i].name, err.kind == ERROR_RETRY);
		sent(false);
	}
	claims_reset(claims);
	end();
}

static void
a_script_that_is_gone_is_loaded_again(void)
{
	struct claims_answer said;
	struct error err = { 0 };

	begin();
	sent(true);
	CHECK(answered("-NOSCRIPT No matching\r\n", &said, &err) == -1);
	CHECK(err.kind == ERROR_RETRY);
	sent(true);
	end();
}

static void
the_key_of_another_type_is_blamed(void)
{
	static const struct {
		const char *name, *answers, *words;
	} rows[] = {
		{ "a mark", "+list\r\n",
		    "the key p:mns:topic:3 holds a list, not a string" },
		{ "a claim's hash, of the bucket before",
		    "+string\r\n"
		    "*2\r\n$2\r\n12\r\n$1\r\n0\r\n"
		    "+none\r\n+hash\r\n+hash\r\n+set\r\n+none\r\n+none\r\n",
		    "the key p:cns:11:\\x00\\x00\\x02 holds a set, not a "
		    "hash" },
		{ "none of them",
		    "+string\r\n"
		    "*2\r\n$2\r\n12\r\n$1\r\n0\r\n"
		    "+none\r\n+hash\r\n+hash\r\n+none\r\n+none\r\n+none\r\n",
		    "WRONGTYPE" },
	};
	size_t i;

	begin();
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct claims_answer said;
		struct error err = { 0 };
		struct heard heard;

		sent(true);
		SAY(&script, "-WRONGTYPE Operation\r\n");
		scripted_redis_say(&script, text_from(rows[i].answers));
		CHECK_ROW(
		    rows[i].name, claims_receive(claims, &said, &err) == -1);
		CHECK_ROW(
		    rows[i].name, strstr(err.message, rows[i].words) != NULL);
		CHECK_ROW(rows[i].name, err.kind == ERROR_RETRY);
		heard = scripted_redis_heard(&script);
		CHECK(heard_is(&heard, "TYPE p:mns:topic:3"));
		while (heard.n > 0)
			heard = scripted_redis_heard(&script);
	}
	end();
}

/* By compare-and-set; `seen` goes with it. */
static void
a_claim_of_later_is_overwritten(void)
{
	struct claim_value later = { 3, 99, 1, CLAIM_FINGERPRINT_NONE };
	struct claims_answer said;
	struct heard heard;
	struct claims_settled settled = { 0 };

	begin();
	sent(true);
	SAY(&script, "*4\r\n:9\r\n:9500\r\n:1\r\n");
	say_value(&later);
	CHECK(claims_receive(claims, &said, NULL) == 0);
	CHECK(items[1].verdict == CLAIM_LOWER);
	scripted_redis_say_string(&script, TEXT(SHA));
	SAY(&script, ":1\r\n");
	CHECK(claims_settle(claims, items, 3, &settled, NULL) == 0);
	CHECK(items[1].verdict == CLAIM_TAKEN && settled.overwritten == 1);
	scripted_redis_heard(&script);
	heard = scripted_redis_heard(&script);
	REQUIRE(heard.n == 9);
	CHECK(text_equal(heard.args[3], TEXT("1000")));
	CHECK(text_equal(heard.args[4], TEXT("p:cns:")));
	CHECK(text_equal(heard.args[5], (struct text){ "\0\0\2", 3 }));
	CHECK(memcmp(heard.args[6].at, items[1].run.bytes, 16) == 0);
	CHECK(
	    memcmp(heard.args[7].at, items[1].occupant, CLAIM_VALUE_SIZE) == 0);
	CHECK(claim_judge(&items[1].value, heard.args[8]) == CLAIM_OWN);
	CHECK(scripted_redis_heard(&script).n == 0); /* the others stay */
	end();
}

/*
 * The later one has taken the claim when the earlier one was dropped for a
 * third, whose claim was given back; then both come again, in one batch.
 */
static void
one_of_two_of_a_request_keeps_the_claim(void)
{
	struct claims_answer said;
	struct claims_settled settled = { 0 };

	begin();
	items[2].run = items[1].run;
	sent(true);
	SAY(&script, "*6\r\n:9\r\n:9500\r\n:1\r\n");
	say_value(&items[2].value);
	SAY(&script, ":2\r\n");
	say_value(&items[2].value);
	CHECK(claims_receive(claims, &said, NULL) == 0);
	CHECK(items[1].verdict == CLAIM_LOWER);
	CHECK(items[2].verdict == CLAIM_OWN);
	scripted_redis_say_string(&script, TEXT(SHA));
	SAY(&script, ":1\r\n");
	CHECK(claims_settle(claims, items, 3, &settled, NULL) == 0);
	CHECK(settled.overwritten == 1 && settled.crossed == 0);
	CHECK(items[0].verdict == CLAIM_TAKEN);
	CHECK(items[1].verdict == CLAIM_TAKEN);
	CHECK(items[2].verdict == CLAIM_DUPLICATE);
	end();
}

static void
a_claim_that_changes_meanwhile_is_judged_again(void)
{
	struct claim_value before = { 3, 1, 1, CLAIM_FINGERPRINT_NONE };
	struct claim_value later = { 3, 99, 1, CLAIM_FINGERPRINT_NONE };
	struct error err = { 0 };
	struct claims_settled settled = { 0 };
	size_t i;

	begin();
	items[0].verdict = CLAIM_LOWER;
	items[1].verdict = CLAIM_UNREADABLE;
	scripted_redis_say_string(&script, TEXT(SHA));
	say_value(&before); /* the first: somebody earlier has it by now */
	SAY(&script, ":1\r\n");
	CHECK(claims_settle(claims, items, 2, &settled, &err) == 0);
	CHECK(items[0].verdict == CLAIM_DUPLICATE);
	CHECK(items[1].verdict == CLAIM_TAKEN && settled.overwritten == 1);
	items[0].verdict = CLAIM_LOWER;
	while (scripted_redis_heard(&script).n > 0)
		;
	for (i = 0; i < 8; i++)
		say_value(&later);
	CHECK(claims_settle(claims, items, 1, &settled, &err) == -1);
	CHECK(err.kind == ERROR_RETRY);
	for (i = 0; scripted_redis_heard(&script).n > 0; i++)
		;
	CHECK(i == 8);
	SAY(&script, "*0\r\n");
	CHECK(claims_settle(claims, items, 1, &settled, &err) == -1);
	end();
}

static void
chunks_are_answered_in_order_or_discarded(void)
{
	struct claims_answer said;
	struct claim more[1] = { { .run = { { 1 } } } };
	const struct claim_mark next = { 3, 73, 74 };

	begin();
	sent(true);
	CHECK(claims_send(claims, &next, 1, more, 1, NULL) == 0);
	CHECK(answered("*2\r\n:9\r\n:9500\r\n", &said, NULL) == 0);
	CHECK(answered("*4\r\n:9\r\n:9501\r\n:0\r\n$1\r\nx\r\n", &said, NULL) ==
	    0);
	CHECK(items[0].verdict == CLAIM_TAKEN);
	CHECK(more[0].verdict == CLAIM_UNREADABLE);
	scripted_redis_heard(&script);
	sent(false);
	SAY(&script, "*4\r\n:-1\r\n:1\r\n:5\r\n:9500\r\n");
	claims_discard(claims);
	sent(false);
	CHECK(answered("*2\r\n:9\r\n:9502\r\n", &said, NULL) == 0);
	CHECK(!said.behind && said.store_now_ms == 9502);
	end();
}

/* `schedrun init --new-topic`: other names and shards, nothing is known. */
static void
another_namespace_begins_anew(void)
{
	struct claims_answer said;
	struct heard heard;

	begin();
	sent(true);
	CHECK(answered("*2\r\n:9\r\n:9500\r\n", &said, NULL) == 0);
	claims_set_space(claims, 256, 5 * TTL_MS + 2); /* the same bucket */
	heard = sent(false);
	CHECK(text_equal(heard.args[6], TEXT("9")));
	CHECK(answered("*2\r\n:9\r\n:9500\r\n", &said, NULL) == 0);
	marks.space = TEXT("new");
	claims_set_space(claims, 256, 5 * TTL_MS + 2);
	heard = sent(true);
	CHECK(text_equal(heard.args[5], TEXT("p:cnew:")));
	CHECK(text_equal(heard.args[6], TEXT("-1")));
	CHECK(answered("*2\r\n:9\r\n:9500\r\n", &said, NULL) == 0);
	claims_set_space(claims, 1, 9 * TTL_MS);
	heard = sent(true);
	CHECK(text_equal(heard.args[3], TEXT("p:mnew:topic:3")));
	CHECK(text_equal(heard.args[5], TEXT("p:cnew:")));
	CHECK(text_equal(heard.args[6], TEXT("-1")));
	CHECK(text_equal(heard.args[7], TEXT("9")));
	CHECK(text_equal(
	    heard.args[9], (struct text){ "\0\0\0\0\0\0\0\0\0", 9 }));
	end();
}

CU_TestInfo claims_tests[] = {
	{ "arguments", the_script_gets_what_it_says_it_takes },
	{ "taken", what_nobody_has_is_taken },
	{ "holders", holders_are_judged },
	{ "expiries", expiries_are_remembered_for_a_bucket },
	{ "another bucket", a_bucket_that_went_by_is_forgotten },
	{ "behind", a_mark_that_is_too_low_is_told },
	{ "odd answers", answers_of_another_form_are_refused },
	{ "no script", a_script_that_is_gone_is_loaded_again },
	{ "another type", the_key_of_another_type_is_blamed },
	{ "overwritten", a_claim_of_later_is_overwritten },
	{ "one of two", one_of_two_of_a_request_keeps_the_claim },
	{ "changed meanwhile", a_claim_that_changes_meanwhile_is_judged_again },
	{ "in order", chunks_are_answered_in_order_or_discarded },
	{ "another namespace", another_namespace_begins_anew },
	CU_TEST_INFO_NULL,
};
