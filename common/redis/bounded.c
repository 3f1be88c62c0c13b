#include "common/redis/bounded.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"

/* KEYS the hash   ARGV bytes of a value, and of all, then the fields */
static const char fields_source[] =
    "local out, max = {}, tonumber(ARGV[1]) "
    "local left = max "
    "for i = 2, #ARGV do "
    "  local value = redis.call('HGET', KEYS[1], ARGV[i]) "
    "  if value and #value > max then "
    "    value = #value "
    "  elseif value then "
    "    left = left - #value "
    "    if left < 0 and #out > 0 then break end "
    "  end "
    "  out[#out + 1] = value "
    "end "
    "return out";

/* KEYS the hash   ARGV bytes of all values, cursor, count */
static const char scan_source[] =
    "local answer = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3]) "
    "local list, left = answer[2], tonumber(ARGV[1]) "
    "for i = 2, #list, 2 do "
    "  left = left - #list[i] "
    "  if left < 0 then list[i] = false end "
    "end "
    "return answer";

#define HEAD 5 /* EVAL, source, number of keys, key, bytes */

/* What all commands begin with; `max` holds the number's text. */
static void
begin(struct text *argv, const char *source, struct text key, char max[24])
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

	begin(argv, fields_source, key, max);
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

	begin(argv, scan_source, key, max);
	argv[HEAD] = cursor;
	argv[HEAD + 1] = count;
	redis_append(redis, argv, HEAD + 2);
}
