#include "schemas/stored/trigger.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "tests/unit/check.h"

#define D "ri.foundry.main.dataset.d"
#define TIME                                                                   \
	"{\"type\":\"time\",\"cronExpression\":\"0 6 * * "                     \
	"*\",\"timeZone\":\"UTC\"}"

/* `fault`: the first one; NULL: none.  `types`: names of what is in it. */
static const struct {
	const char *json, *fault;
	enum trigger_flaw flaw;
	const char *types;
} rows[] = {
	{ TIME, NULL, TRIGGER_FINE, "time" },
	{ "{\"type\":\"manual\"}", NULL, TRIGGER_FINE, "manual" },
	{ "{\"type\":\"or\",\"triggers\":[" TIME ",{\"type\":\"and\","
	  "\"triggers\":[{\"type\":\"manual\"}]}]}",
	    NULL, TRIGGER_FINE, "time and or manual" },
	{ "{\"type\":\"newLogic\",\"datasetRid\":\"" D
	  "\",\"branchName\":\"b\"}",
	    NULL, TRIGGER_FINE, "newLogic" },
	{ "{\"type\":\"and\",\"triggers\":[]}", NULL, TRIGGER_EMPTY_AND,
	    "and" },
	{ "{\"type\":\"and\",\"triggers\":[{\"type\":\"or\",\"triggers\":[]}]}",
	    NULL, TRIGGER_EMPTY_OR, "and or" },
	{ "{\"type\":\"time\",\"cronExpression\":\"\",\"timeZone\":\"UTC\"}",
	    NULL, TRIGGER_BAD_CRON, "time" },
	{ "{\"type\":\"time\",\"cronExpression\":\"0 6 * * *\"}",
	    "$.t: \"timeZone\" is missing", TRIGGER_FINE, "time" },
	{ "{\"type\":\"time\",\"cronExpression\":5,\"timeZone\":\"UTC\"}",
	    "$.t.cronExpression: must be of type string, not integer",
	    TRIGGER_FINE, "time" },
	{ "{\"type\":\"or\",\"triggers\":[{\"type\":\"manual\",\"x\":1}]}",
	    "$.t.triggers[0].x: unknown key", TRIGGER_FINE, "or manual" },
	{ "{\"type\":\"or\",\"triggers\":{}}",
	    "$.t.triggers: must be of type array, not object", TRIGGER_FINE,
	    "or" },
	{ "{\"type\":\"or\"}", "$.t: \"triggers\" is missing", TRIGGER_FINE,
	    "or" },
	{ "{\"type\":\"eclipse\"}",
	    "$.t.type: is none of the values allowed: \"eclipse\"",
	    TRIGGER_FINE, "" },
	{ "{}", "$.t: \"type\" is missing", TRIGGER_FINE, "" },
	{ "[]", "$.t: must be of type object, not array", TRIGGER_FINE, "" },
	{ "{\"type\":\"scheduleSucceeded\",\"scheduleRid\":\"" D "\"}",
	    "$.t.scheduleRid: is not ri.scheduler.*.schedule.*", TRIGGER_FINE,
	    "scheduleSucceeded" },
	{ "{\"type\":\"tableUpdated\",\"tableRid\":\"x\",\"branchName\":\"b\"}",
	    "$.t.tableRid: is not a RID: \"x\"", TRIGGER_FINE, "tableUpdated" },
};

/* The names are looked for with blanks around them: `and` is in `manual`. */
static bool
names(const char *types, const char *name)
{
	char padded[80], wanted[40];

	snprintf(padded, sizeof padded, " %s ", types);
	snprintf(wanted, sizeof wanted, " %s ", name);
	return strstr(padded, wanted) != NULL;
}

static void
reads(void)
{
	const struct place root = { .parent = NULL };
	struct place place = place_member(&root, TEXT("t"));
	size_t i;
	int type;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct arena *arena = arena_create(0);
		struct reader *reader = reader_create(arena);
		struct json_document *document =
		    json_parse(text_from(rows[i].json), 32, NULL);
		struct trigger trigger;

		REQUIRE(document != NULL);
		trigger_read(
		    reader, &place, json_root(document), NULL, &trigger);
		CHECK_ROW(rows[i].json, trigger.flaw == rows[i].flaw);
		CHECK_ROW(rows[i].json,
		    rows[i].fault == NULL ? reader->n_faults == 0
					  : reader->n_faults > 0 &&
			    text_equal(
				reader->faults[0], text_from(rows[i].fault)));
		for (type = 0; type < TRIGGER_TYPES; type++)
			CHECK_ROW(rows[i].json,
			    trigger.has[type] ==
				names(rows[i].types,
				    trigger_type_name(
					(enum trigger_type)type)));
		json_destroy(document);
		arena_destroy(arena);
	}
}

static void
bounds_the_depth(void)
{
	const struct place root = { .parent = NULL };
	struct arena *arena = arena_create(0);
	struct reader *reader = reader_create(arena);
	struct json_document *document;
	struct buffer json = { 0 };
	struct trigger trigger;
	int i;

	for (i = 0; i < 80; i++)
		buffer_append(&json, TEXT("{\"type\":\"and\",\"triggers\":["));
	buffer_append(&json, TEXT("{\"type\":\"manual\"}"));
	for (i = 0; i < 80; i++)
		buffer_append(&json, TEXT("]}"));
	document = json_parse(buffer_text(&json), 200, NULL);
	REQUIRE(document != NULL);
	trigger_read(reader, &root, json_root(document), NULL, &trigger);
	CHECK(reader->n_faults == 1);
	json_destroy(document);
	buffer_finish(&json);
	arena_destroy(arena);
}

CU_TestInfo trigger_tests[] = {
	{ "reads", reads },
	{ "bounds the depth", bounds_the_depth },
	CU_TEST_INFO_NULL,
};
