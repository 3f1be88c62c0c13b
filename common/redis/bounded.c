#include "common/redis/bounded.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/embed.h"
#include "common/base/memory.h"

EMBED(lua_fields, "common/redis/fields.lua")
EMBED(lua_scan, "common/redis/scan.lua")

#define HEAD 5 /* EVAL, source, number of keys, key, bytes */

/* What all commands begin with; `max` holds the number's text. */
static void
begin_eval(struct text *argv, const char *source, struct text key, char max[24])
{
	snprintf(max, 24, "%d", REDIS_VALUE_MAX);
	argv[0] = TEXT("EVAL_RO"); /* a reader may: EVAL asks for writing */
	argv[1] = text_from(source);
	argv[2] = TEXT("1");
	argv[3] = key;
	argv[4] = text_from(max);
}

void
redis_append_fields(
    struct redis *redis, struct text key, const struct text *fields, size_t n)
{
	struct text *argv = memory_zalloc(HEAD + n, sizeof *argv);
	char max[24];
	size_t i;

	begin_eval(argv, lua_fields, key, max);
	for (i = 0; i < n; i++)
		argv[HEAD + i] = fields[i];
	redis_append(redis, argv, HEAD + n);
	free(argv);
}

void
redis_append_scan(
    struct redis *redis, struct text key, struct text cursor, struct text count)
{
	struct text argv[HEAD + 2];
	char max[24];

	begin_eval(argv, lua_scan, key, max);
	argv[HEAD] = cursor;
	argv[HEAD + 1] = count;
	redis_append(redis, argv, HEAD + 2);
}
