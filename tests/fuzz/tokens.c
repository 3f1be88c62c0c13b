/* What a client hands back: positions of events, tokens of pages, JWTs, keys,
 * RIDs, times. */
#include <string.h>

#include "common/base/clock.h"
#include "common/crypto/rid.h"
#include "producer/api/page_token.h"
#include "producer/auth/jwt.h"
#include "producer/runs/position.h"
#include "tests/fuzz/fuzz.h"

static void
check_position(struct text text)
{
	struct event_position position = { 0 };
	struct buffer out = { 0 };

	if (event_position_read(&position, text)) {
		assert(position.n >= 0 && position.n <= EVENT_PARTITIONS_MAX);
		event_position_write(&position, &out);
		assert(text_equal(buffer_text(&out), text));
	}
	event_position_finish(&position);
	buffer_finish(&out);
}

static void
check_page(struct text text)
{
	static const uint8_t key[PAGE_KEY_SIZE] = { 1 };
	char place[RUN_PLACE_SIZE];
	bool is_ours = page_token_read(
	    key, TEXT("ri.scheduler.main.schedule.1"), text, place);

	assert(!is_ours); /* nobody guesses an HMAC */
}

static void
check_jwt(struct text text)
{
	static const struct jwt_rules rules = { "i", "a", 60000, "sub",
		"scope" };
	struct http_caller caller = { 0 };

	assert(jwt_check(&rules, NULL, text, 0, &caller) != JWT_OK);
}

static void
check_keys(struct text text)
{
	struct error err = { 0 };
	struct key_set *set = key_set_parse(text, &err);

	assert(set != NULL ? key_set_size(set) > 0 : err.message[0] != '\0');
	key_set_destroy(set);
}

static void
check_time(struct text text)
{
	char out[CLOCK_TEXT_SIZE];
	int64_t ms, again;

	if (!clock_parse(text, &ms))
		return;
	assert(ms >= 0 && ms <= CLOCK_MAX_MS);
	clock_format(ms, out);
	assert(clock_parse((struct text){ out, sizeof out }, &again));
	assert(again == ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text text = { (const char *)bytes, size };

	check_position(text);
	check_page(text);
	check_jwt(text);
	check_keys(text);
	check_time(text);
	if (rid_is(text, TEXT("scheduler"), TEXT("schedule")))
		assert(rid_is_valid(text) && size <= RID_SIZE_MAX);
	return 0;
}
