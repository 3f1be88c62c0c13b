#include "producer/events/key.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/crypto/rid.h"

static int
compare_texts(const void *a, const void *b)
{
	return text_compare(*(const struct text *)a, *(const struct text *)b);
}

void
audience_key_init(struct audience_key *key, enum http_profile profile,
    const struct http_caller *caller, const struct text *schedules, size_t n)
{
	size_t size = n * sizeof *schedules, i;
	char *at;

	*key = (struct audience_key){ profile, *caller, NULL, n };
	if (n == 0)
		return;
	for (i = 0; i < n; i++)
		size += schedules[i].size;
	key->schedules = memory_alloc(size);
	at = (char *)(key->schedules + n);
	for (i = 0; i < n; i++) {
		memcpy(at, schedules[i].at, schedules[i].size);
		key->schedules[i] = (struct text){ at, schedules[i].size };
		at += schedules[i].size;
	}
	qsort(key->schedules, n, sizeof *key->schedules, compare_texts);
}

bool
audience_key_equal(const struct audience_key *a, const struct audience_key *b)
{
	size_t i;

	if (a->profile != b->profile || a->n_schedules != b->n_schedules ||
	    a->caller.known != b->caller.known ||
	    memcmp(a->caller.user, b->caller.user, UUID_TEXT_SIZE) != 0)
		return false;
	for (i = 0; i < a->n_schedules; i++)
		if (!text_equal(a->schedules[i], b->schedules[i]))
			return false;
	return true;
}

bool
audience_key_names(const struct audience_key *key, struct text rid)
{
	return key->n_schedules == 0 ||
	    bsearch(&rid, key->schedules, key->n_schedules,
		sizeof *key->schedules, compare_texts) != NULL;
}
