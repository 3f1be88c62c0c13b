#include "schemas/stored/claim.h"

#include <string.h>

#include "tests/unit/check.h"

#define FP 0x01020304u

static const struct claim_value mine = { 3, 1000, 1700000000000, FP };

static void
judges_as_the_table_says(void)
{
	static const struct {
		const char *name;
		struct claim_value occupant;
		enum claim_verdict verdict;
	} rows[] = {
		{ "itself again", { 3, 1000, 1700000000000, FP }, CLAIM_OWN },
		{ "itself, other payload", { 3, 1000, 1700000000000, FP + 1 },
		    CLAIM_CONFLICT },
		{ "other payload before it", { 3, 1, 1700000000000, FP + 1 },
		    CLAIM_CONFLICT },
		{ "other payload elsewhere", { 4, 1, 1700000000000, FP + 1 },
		    CLAIM_CROSS_CONFLICT },
		{ "holder before it", { 3, 999, 1, FP }, CLAIM_DUPLICATE },
		{ "holder at the log's start", { 3, 0, 1, FP },
		    CLAIM_DUPLICATE },
		{ "holder after it", { 3, 1001, 1, FP }, CLAIM_LOWER },
		{ "topic made anew", { 3, 1000, 1600000000000, FP },
		    CLAIM_LOWER },
		{ "holder in another partition, lower", { 2, 1, 1, FP },
		    CLAIM_CROSS },
		{ "holder in another partition, higher", { 4, 5000, 1, FP },
		    CLAIM_CROSS },
	};
	unsigned char bytes[CLAIM_VALUE_SIZE];
	struct text text = { (const char *)bytes, sizeof(bytes) };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		claim_value_write(&rows[i].occupant, bytes);
		CHECK_ROW(
		    rows[i].name, claim_judge(&mine, text) == rows[i].verdict);
	}
	CHECK(claim_judge(&mine, TEXT_NONE) == CLAIM_TAKEN);
}

static void
foreign_values_are_unreadable(void)
{
	static const struct {
		const char *name;
		struct text occupant;
	} rows[] = {
		{ "empty", { "", 0 } },
		{ "a byte short", { "12345678901234567", 17 } },
		{ "a byte long", { "1234567890123456789", 19 } },
		{ "text", { "3.1000", 6 } },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_ROW(rows[i].name,
		    claim_judge(&mine, rows[i].occupant) == CLAIM_UNREADABLE);
}

static void
values_are_big_endian_and_come_back(void)
{
	static const struct claim_value value = { 0x0102, 0x030405060708,
		0x090a0b0c0d0e, 0x0f101112 };
	unsigned char bytes[CLAIM_VALUE_SIZE];
	struct claim_value again;
	size_t i;

	claim_value_write(&value, bytes);
	for (i = 0; i < sizeof(bytes); i++)
		CHECK(bytes[i] == i + 1);
	CHECK(claim_value_read(
	    (struct text){ (const char *)bytes, sizeof(bytes) }, &again));
	CHECK(again.partition == value.partition);
	CHECK(again.offset == value.offset);
	CHECK(again.timestamp_ms == value.timestamp_ms);
	CHECK(again.fingerprint == value.fingerprint);
	bytes[2] |= 0x80; /* earlier versions have said more by it */
	CHECK(claim_value_read(
	    (struct text){ (const char *)bytes, sizeof(bytes) }, &again));
	CHECK(again.offset == value.offset);
}

static void
a_record_without_timestamp_finds_itself(void)
{
	static const struct claim_value value = { 1, 2, -1, FP };
	unsigned char bytes[CLAIM_VALUE_SIZE];

	claim_value_write(&value, bytes);
	CHECK(claim_judge(&value,
		  (struct text){ (const char *)bytes, sizeof(bytes) }) ==
	    CLAIM_OWN);
}

static void
packs_shard_id_and_value(void)
{
	static const struct uuid run = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
	    12, 0xff, 0xee, 0xdd } };
	unsigned char bytes[CLAIM_PACKED_SIZE];

	CHECK(claim_shard(&run, 1u << 24) == 0xffeedd);
	CHECK(claim_shard(&run, 1u << 20) == 0xfeedd);
	CHECK(claim_shard(&run, 1) == 0);
	claim_pack(claim_shard(&run, 1u << 20), &run, &mine, bytes);
	CHECK(memcmp(bytes, "\x0f\xee\xdd", 3) == 0);
	CHECK(memcmp(bytes + 3, run.bytes, 16) == 0);
	CHECK(claim_judge(&mine,
		  (struct text){ (const char *)bytes + 19,
		      CLAIM_VALUE_SIZE }) == CLAIM_OWN);
}

static void
the_fingerprint_knows_absent_from_empty(void)
{
	uint32_t none = claim_fingerprint(TEXT_NONE, TEXT_NONE, false);

	CHECK(none == CLAIM_FINGERPRINT_NONE);
	CHECK(none == sha1_prefix32(TEXT("\xff\xff\xff\xff\xff\xff\xff\xff")));
	CHECK(none != claim_fingerprint(TEXT(""), TEXT_NONE, false));
	CHECK(none != claim_fingerprint(TEXT_NONE, TEXT("v"), false));
	CHECK(claim_fingerprint(TEXT("ab"), TEXT("c"), false) !=
	    claim_fingerprint(TEXT("a"), TEXT("bc"), false));
	/* a version that the adapter pinned may differ in a retry */
	CHECK(none == claim_fingerprint(TEXT_NONE, TEXT("v"), true));
	/* SHA-1 of 8 bytes FF */
	CHECK(none == 0xbe673e8au);
}

static void
a_mark_is_behind_below_what_is_expected(void)
{
	CHECK(claim_mark_is_behind(-1, 0));
	CHECK(claim_mark_is_behind(99, 100));
	CHECK(!claim_mark_is_behind(-1, -1));
	CHECK(!claim_mark_is_behind(100, 100));
	CHECK(!claim_mark_is_behind(101, 100));
}

CU_TestInfo claim_value_tests[] = {
	{ "judges as the table says", judges_as_the_table_says },
	{ "foreign values are unreadable", foreign_values_are_unreadable },
	{ "values are big-endian", values_are_big_endian_and_come_back },
	{ "no timestamp", a_record_without_timestamp_finds_itself },
	{ "packs shard, id, value", packs_shard_id_and_value },
	{ "fingerprint", the_fingerprint_knows_absent_from_empty },
	{ "marks", a_mark_is_behind_below_what_is_expected },
	CU_TEST_INFO_NULL,
};
