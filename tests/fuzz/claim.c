/* A claim's value as found in Redis, and numbers. */
#include <string.h>

#include "schemas/stored/claim.h"
#include "tests/fuzz/fuzz.h"

static void
check_number(struct text text)
{
	int64_t number;

	if (text_to_number(text, 999, &number))
		assert(number >= 0 && number <= 999);
	if (text_to_number(text, INT64_MAX, &number))
		assert(number >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct claim_value mine = {
		.partition = 3, .offset = 7, .timestamp_ms = 5
	};
	struct text text = { (const char *)bytes, size };
	unsigned char again[CLAIM_VALUE_SIZE];
	struct claim_value value;

	check_number(text);
	assert(claim_judge(&mine, text) < CLAIM_VERDICTS);
	if (!claim_value_read(text, &value))
		return 0;
	assert(value.partition < CLAIM_PARTITIONS_MAX);
	assert(value.offset >= 0 && value.timestamp_ms >= -1);
	claim_value_write(&value, again);
	again[2] |= bytes[2] & 0x80; /* what earlier versions said there */
	assert(size == sizeof again && memcmp(again, bytes, size) == 0);
	return 0;
}
