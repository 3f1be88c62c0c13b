#include "schemas/keyspace.h"

#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

static struct keyspace *keyspace;
static struct buffer out;

static void
begin(void)
{
	keyspace = keyspace_create("p:");
	out = (struct buffer){ 0 };
}

static void
end(void)
{
	keyspace_destroy(keyspace);
	buffer_finish(&out);
}

static void
fixed_keys_are_the_papers(void)
{
	static const struct {
		enum keyspace_key key;
		const char *name;
	} rows[] = {
		{ KEY_META, "p:meta" },
		{ KEY_HEADS, "p:s" },
		{ KEY_ABOUT, "p:i" },
		{ KEY_VERSIONS, "p:v" },
		{ KEY_GENERATION, "p:g" },
		{ KEY_GENERATIONS, "p:n" },
		{ KEY_APPLY_LOCK, "p:n:lock" },
		{ KEY_APPLY_DONE, "p:n:done" },
		{ KEY_SAID, "p:n:said" },
		{ KEY_BRANCHES, "p:h" },
		{ KEY_MOVED, "p:h:at" },
		{ KEY_EDITION, "p:e" },
		{ KEY_PAGE_SECRET, "p:k" },
		{ KEY_LEASES, "p:o" },
		{ KEY_STOOD, "p:t:at" },
		{ KEY_REPLICAS, "p:t:who" },
	};
	size_t i;

	begin();
	CHECK(sizeof rows / sizeof rows[0] == KEYSPACE_KEYS);
	CHECK(text_equal(keyspace_prefix(keyspace), TEXT("p:")));
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    text_equal(keyspace_key(keyspace, rows[i].key),
			text_from(rows[i].name)));
	end();
}

static void
made_keys_are_the_papers(void)
{
	static const struct uuid id = { "0123456789abcde" };
	const struct text shard = { "\0\1\2", 3 };
	const struct keyspace *k;

	begin();
	k = keyspace;
#define MADE(call, bytes) CHECK_ROW(#call, text_equal((call), TEXT(bytes)))
	MADE(keyspace_part(k, 7, PART_JOB_SPECS, &out), "p:g7:j");
	MADE(keyspace_stage(k, 8, 'S', &out), "p:g8:S:S");
	MADE(keyspace_versions_of(k, TEXT("rid"), &out), "p:w:rid");
	MADE(keyspace_run(k, &id, &out), "p:r:0123456789abcde\0");
	MADE(keyspace_build(k, &id, &out), "p:b:0123456789abcde\0");
	MADE(keyspace_jobs(k, &id, &out), "p:j:0123456789abcde\0");
	MADE(keyspace_lease(k, TEXT("rid"), TEXT("b"), &out), "p:o:rid\nb");
	MADE(keyspace_runs_of(k, TEXT("rid"), &out), "p:x:rid");
	MADE(keyspace_fold(k, "topic", 12, &out), "p:f:topic:12");
	MADE(keyspace_mark(k, TEXT("ns"), TEXT("t"), 3, &out), "p:mns:t:3");
	MADE(keyspace_attempts(k, TEXT(""), TEXT("t"), 3, &out), "p:a:t:3");
	MADE(keyspace_write_check(k, TEXT("ns"), &out), "p:ans:write-check");
	MADE(keyspace_claims(k, TEXT("ns"), &out), "p:cns:");
	MADE(keyspace_claims_of(k, TEXT("ns"), 42, shard, &out),
	    "p:cns:42:\0\1\2");
#undef MADE
	end();
}

static void
a_field_is_split_at_its_line_break(void)
{
	const struct {
		const char *name;
		struct text field, owner, owned;
	} rows[] = {
		{ "both", TEXT("a\nb"), TEXT("a"), TEXT("b") },
		{ "an empty one behind it", TEXT("a\n"), TEXT("a"), TEXT("") },
		{ "none", TEXT("a"), TEXT("a"), TEXT_NONE },
		{ "two", TEXT("a\nb\nc"), TEXT("a"), TEXT("b\nc") },
	};
	size_t i;

	begin();
	CHECK(text_equal(
	    keyspace_field(TEXT("a"), TEXT("b"), &out), TEXT("a\nb")));
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CHECK_ROW(rows[i].name,
		    text_equal(
			keyspace_field_owner(rows[i].field), rows[i].owner));
		CHECK_ROW(rows[i].name,
		    text_equal(
			keyspace_field_owned(rows[i].field), rows[i].owned));
	}
	end();
}

#define NIL "$-1\r\n"
#define NAMES "$1\r\nK\r\n$1\r\nt\r\n$1\r\ng\r\n"

static void
meta_is_read_or_refused(void)
{
	const struct {
		const char *name;
		struct text answer;
		int rc;
		enum error_kind kind;
		int exit_code;
		const char *words;
	} rows[] = {
		{ "whole",
		    TEXT("*7\r\n$1\r\n1\r\n" NAMES
			 "$3\r\n500\r\n$2\r\nff\r\n$1\r\n8\r\n"),
		    1, 0, 0, "" },
		{ "nothing of ours", TEXT("*7\r\n" NIL NIL NIL NIL NIL NIL NIL),
		    0, 0, 0, "" },
		{ "another format",
		    TEXT("*7\r\n$1\r\n2\r\n" NAMES "$3\r\n500\r\n" NIL
			 "$1\r\n8\r\n"),
		    -1, ERROR_FATAL, 78,
		    "of format \"2\", this version reads format 1" },
		{ "no format",
		    TEXT("*7\r\n" NIL NAMES "$3\r\n500\r\n" NIL "$1\r\n8\r\n"),
		    -1, ERROR_FATAL, 78, "of format \"\"" },
		{ "shards of no power of two",
		    TEXT("*7\r\n$1\r\n1\r\n" NAMES "$3\r\n500\r\n" NIL
			 "$1\r\n6\r\n"),
		    -1, ERROR_FATAL, 78, "shards" },
		{ "no shards at all",
		    TEXT("*7\r\n$1\r\n1\r\n" NAMES "$3\r\n500\r\n" NIL NIL), -1,
		    ERROR_FATAL, 78, "shards" },
		{ "no time",
		    TEXT("*7\r\n$1\r\n1\r\n" NAMES "$3\r\nold\r\n" NIL
			 "$1\r\n8\r\n"),
		    -1, ERROR_FATAL, 78, "created" },
		{ "a control character in a name",
		    TEXT("*7\r\n$1\r\n1\r\n$1\r\n\n\r\n$1\r\nt\r\n$1\r\ng\r\n"
			 "$3\r\n500\r\n" NIL "$1\r\n8\r\n"),
		    -1, ERROR_FATAL, 78, "malformed" },
		{ "no rights", TEXT("-NOPERM no\r\n"), -1, ERROR_FATAL, 77,
		    "NOPERM" },
		{ "loading", TEXT("-LOADING wait\r\n"), -1, ERROR_RETRY, 0,
		    "LOADING" },
		{ "another type", TEXT("-WRONGTYPE x\r\n"), -1, ERROR_RETRY, 0,
		    "WRONGTYPE" },
	};
	struct scripted_redis script;
	struct keyspace_meta meta;
	size_t i;

	begin();
	scripted_redis_open(&script);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = { 0 };
		struct heard heard;

		scripted_redis_say(&script, rows[i].answer);
		CHECK_ROW(rows[i].name,
		    keyspace_meta_read(script.redis, keyspace, &meta, &err) ==
			rows[i].rc);
		CHECK_ROW(rows[i].name, err.kind == rows[i].kind);
		CHECK_ROW(rows[i].name, err.exit_code == rows[i].exit_code);
		CHECK_ROW(
		    rows[i].name, strstr(err.message, rows[i].words) != NULL);
		heard = scripted_redis_heard(&script);
		CHECK(heard_is(&heard,
		    "HMGET p:meta format cluster topic group created claims "
		    "shards"));
		if (rows[i].rc == 1) {
			CHECK(strcmp(meta.cluster, "K") == 0);
			CHECK(strcmp(meta.topic, "t") == 0);
			CHECK(strcmp(meta.group, "g") == 0);
			CHECK(strcmp(meta.claims, "ff") == 0);
			CHECK(meta.created_ms == 500 && meta.shards == 8);
		}
	}
	scripted_redis_close(&script);
	end();
}

static void
meta_is_written_whole(void)
{
	const struct keyspace_meta meta = { .format = 1,
		.cluster = "K",
		.topic = "t",
		.group = "g",
		.created_ms = 500,
		.claims = "ff",
		.shards = 8 };
	struct scripted_redis script;
	struct heard heard;

	begin();
	scripted_redis_open(&script);
	SAY(&script, ":7\r\n");
	CHECK(keyspace_meta_write(script.redis, keyspace, &meta, NULL) == 0);
	heard = scripted_redis_heard(&script);
	CHECK(heard_is(&heard,
	    "HSET p:meta format 1 cluster K topic t group g created 500 claims "
	    "ff shards 8"));
	scripted_redis_close(&script);
	end();
}

static void
a_redis_that_evicts_is_refused(void)
{
	struct scripted_redis script;
	struct error err = { 0 };
	struct heard heard;
	int64_t evicted;

	scripted_redis_open(&script);
	scripted_redis_say_string(&script,
	    TEXT("# Memory\r\nmaxmemory_policy:noeviction\r\n"
		 "evicted_keys:12\r\n"));
	CHECK(keyspace_check_eviction(script.redis, &evicted, &err) == 0);
	CHECK(evicted == 12);
	heard = scripted_redis_heard(&script);
	CHECK(heard_is(&heard, "INFO memory stats"));
	scripted_redis_say_string(
	    &script, TEXT("x\r\nmaxmemory_policy:allkeys-lru\r\n"));
	CHECK(keyspace_check_eviction(script.redis, &evicted, &err) == -1);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 78);
	CHECK(strstr(err.message, "is allkeys-lru, which loses") != NULL);
	scripted_redis_say_string(&script, TEXT("none"));
	CHECK(keyspace_check_eviction(script.redis, &evicted, &err) == -1);
	CHECK(evicted == -1);
	scripted_redis_close(&script);
}

CU_TestInfo keyspace_tests[] = {
	{ "fixed keys", fixed_keys_are_the_papers },
	{ "made keys", made_keys_are_the_papers },
	{ "fields", a_field_is_split_at_its_line_break },
	{ "meta is read", meta_is_read_or_refused },
	{ "meta is written", meta_is_written_whole },
	{ "eviction", a_redis_that_evicts_is_refused },
	CU_TEST_INFO_NULL,
};
