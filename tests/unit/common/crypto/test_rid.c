#include <string.h>

#include "common/crypto/rid.h"
#include "tests/unit/check.h"

#define UUID "d2a5e9c6-298d-4788-a71d-42885d7bebb3"
#define CAPITAL "D2A5E9C6-298D-4788-A71D-42885D7BEBB3"

static void
test_form(void)
{
	const struct {
		const char *name;
		struct text text;
		bool valid;
	} rows[] = {
		{ "a schedule", TEXT("ri.scheduler.main.schedule." UUID),
		    true },
		{ "no instance", TEXT("ri.compass..folder.p1"), true },
		{ "an instance that begins with a digit", TEXT("ri.a.0x.b.c"),
		    true },
		{ "dots in the locator", TEXT("ri.a.b.c.d.e_F-1"), true },
		{ "empty", TEXT(""), false },
		{ "no text", TEXT_NONE, false },
		{ "another scheme", TEXT("rx.a.b.c.d"), false },
		{ "no locator", TEXT("ri.a.b.c."), false },
		{ "four parts", TEXT("ri.a.b.c"), false },
		{ "a capital service", TEXT("ri.A.b.c.d"), false },
		{ "a service that begins with a digit", TEXT("ri.1a.b.c.d"),
		    false },
		{ "an instance that begins with a hyphen", TEXT("ri.a.-b.c.d"),
		    false },
		{ "a NUL inside", TEXT("ri.a.b.c.d\0e"), false },
		{ "a space", TEXT("ri.a.b.c.d e"), false },
		{ "beyond ASCII", TEXT("ri.a.b.c.d\xc3\xa4"), false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(
		    rows[i].name, rid_is_valid(rows[i].text) == rows[i].valid);
}

static void
test_length(void)
{
	char rid[RID_SIZE_MAX + 1];

	memset(rid, 'x', sizeof rid);
	memcpy(rid, "ri.a.b.c.", 9);
	CHECK(rid_is_valid((struct text){ rid, RID_SIZE_MAX }));
	CHECK(!rid_is_valid((struct text){ rid, RID_SIZE_MAX + 1 }));
}

static void
test_type(void)
{
	const struct {
		const char *name;
		struct text text;
		bool is;
	} rows[] = {
		{ "a UUID", TEXT("ri.scheduler.main.schedule." UUID), true },
		{ "no UUID", TEXT("ri.scheduler.main.schedule.Any"), true },
		{ "capitals", TEXT("ri.scheduler.main.schedule." CAPITAL),
		    false },
		{ "another type", TEXT("ri.scheduler.main.run." UUID), false },
		{ "another service", TEXT("ri.foundry.main.schedule.x"),
		    false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    rid_is(rows[i].text, TEXT("scheduler"), TEXT("schedule")) ==
			rows[i].is);
}

static void
test_uuid(void)
{
	struct uuid uuid;
	char out[UUID_TEXT_SIZE];

	CHECK(uuid_parse(TEXT(UUID), &uuid));
	uuid_format(&uuid, out);
	CHECK(memcmp(out, UUID, sizeof out) == 0);
	CHECK(!uuid_parse(TEXT(CAPITAL), &uuid));
	CHECK(uuid_read(TEXT(CAPITAL), &uuid));
	CHECK(!uuid_parse(TEXT("d2a5e9c6-298d-4788-a71d-42885d7bebb"), &uuid));
	CHECK(!uuid_parse(TEXT("d2a5e9c6x298d-4788-a71d-42885d7bebb3"), &uuid));
	CHECK(!uuid_parse(TEXT("g2a5e9c6-298d-4788-a71d-42885d7bebb3"), &uuid));
	CHECK(
	    rid_parse(TEXT(RID_RUN_PREFIX UUID), TEXT(RID_RUN_PREFIX), &uuid));
	uuid_format(&uuid, out);
	CHECK(memcmp(out, UUID, sizeof out) == 0);
	CHECK(!rid_parse(
	    TEXT(RID_RUN_PREFIX UUID "0"), TEXT(RID_RUN_PREFIX), &uuid));
	CHECK(
	    !rid_parse(TEXT(RID_JOB_PREFIX UUID), TEXT(RID_RUN_PREFIX), &uuid));
	CHECK(!rid_parse(TEXT(RID_RUN_PREFIX), TEXT(RID_RUN_PREFIX), &uuid));
	CHECK(!rid_parse(TEXT_NONE, TEXT(RID_RUN_PREFIX), &uuid));
	uuid = uuid_random();
	CHECK(uuid.bytes[6] >> 4 == 4 && uuid.bytes[8] >> 6 == 2);
}

static bool
formats_as(const struct uuid *uuid, const char *expected)
{
	char out[UUID_TEXT_SIZE];

	uuid_format(uuid, out);
	return memcmp(out, expected, sizeof out) == 0;
}

/* The ids that docs/semantics.md, section 3, gives for its own documents. */
static void
test_ids_of_a_request(void)
{
	struct uuid run =
	    rid_run(TEXT("ri.scheduler.main.schedule.1"), TEXT("r-1"));
	struct uuid build = rid_build(&run);
	struct uuid job =
	    rid_job(&build, TEXT("ri.foundry.main.dataset.clean"));

	CHECK(formats_as(&run, "fad2370d-6d11-5d4f-8a26-8bbd534248fb"));
	CHECK(formats_as(&build, "5e4f20ee-bafc-5ad5-abc9-4d3922de34fd"));
	CHECK(formats_as(&job, "739876d6-a66a-5204-b36a-6663908cb674"));
}

static void
test_fingerprint(void)
{
	/* SHA-1("abc") begins with a9993e36 (FIPS 180-4). */
	CHECK(sha1_prefix32(TEXT("abc")) == 0xa9993e36);
}

CU_TestInfo rid_tests[] = {
	{ "form", test_form },
	{ "length", test_length },
	{ "type", test_type },
	{ "uuid", test_uuid },
	{ "ids of a request", test_ids_of_a_request },
	{ "fingerprint", test_fingerprint },
	CU_TEST_INFO_NULL,
};
