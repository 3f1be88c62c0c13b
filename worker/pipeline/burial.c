#include "worker/pipeline/burial.h"

#define CAREFUL_MS 60000
#define LEAST_SIZE ((size_t)4 * 1024)

static bool
is_of(const struct burial *burial, const struct kafka_record *record)
{
	return burial->offset == record->offset &&
	    burial->partition == record->partition;
}

bool
burial_refused(struct burial *burial, const struct batch *batch, int64_t now_ms,
    size_t *record)
{
	size_t i, n = 0;

	for (i = 0; i < batch->n; i++)
		if (batch->records[i].fate == FATE_DEAD ||
		    batch->records[i].fate == FATE_CRASHED) {
			*record = i;
			n++;
		}
	burial->careful_until_ms = now_ms + CAREFUL_MS;
	if (n != 1)
		return false;
	if (is_of(burial, &batch->kafka[*record]))
		return true;
	burial->partition = batch->kafka[*record].partition;
	burial->offset = batch->kafka[*record].offset;
	return false;
}

size_t
burial_size(const struct burial *burial, const struct kafka_record *record,
    size_t max_size)
{
	return is_of(burial, record) && max_size > LEAST_SIZE ? LEAST_SIZE
							      : max_size;
}

bool
burial_is_careful(const struct burial *burial, int64_t now_ms)
{
	return now_ms < burial->careful_until_ms;
}
