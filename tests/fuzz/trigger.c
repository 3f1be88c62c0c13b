/* When a schedule runs: 'c' and a cron expression, or 't' and a trigger. */
#include "schemas/stored/trigger.h"
#include "common/base/zone.h"
#include "schemas/stored/cron.h"
#include "tests/fuzz/fuzz.h"

/* Each instant is later than the one before, as its local time is. */
static void
read_cron(struct text text)
{
	static struct zone *zone;
	struct cron_instant instant = { .at_s = 1700000000 }, before;
	struct error err = { 0 };
	struct cron cron;
	int i;

	if (cron_read(text, &cron, &err) != 0) {
		assert(err.message[0] != '\0');
		return;
	}
	assert(cron_is_valid(text));
	if (zone == NULL)
		zone = zone_load(TEXT("Europe/Berlin"), &err);
	assert(zone != NULL);
	for (i = 0; i < 3; i++) {
		before = instant;
		if (!cron_next(&cron, zone, before.at_s, &instant))
			return;
		assert(instant.at_s > before.at_s);
	}
}

static void
read_trigger(struct text text, struct arena *arena)
{
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(arena);
	struct error err = { 0 };
	struct json_document *document =
	    json_parse(text, DOCUMENT_DEPTH_MAX, &err);
	struct trigger trigger = { 0 };

	if (document == NULL)
		return;
	trigger_read(reader, &root, json_root(document), NULL, &trigger);
	if (trigger.flaw == TRIGGER_BAD_CRON)
		assert(!cron_is_valid(trigger.cron));
	json_destroy(document);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text text = { (const char *)bytes, size };
	struct text kind = fuzz_take(&text, 1);
	struct arena *arena = arena_create(0);

	if (kind.size == 1 && kind.at[0] == 'c')
		read_cron(text);
	if (kind.size == 1 && kind.at[0] == 't')
		read_trigger(text, arena);
	arena_destroy(arena);
	return 0;
}
