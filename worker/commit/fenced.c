#include "worker/commit/fenced.h"

#include <stdbool.h>

int
fenced_note(struct fenced *fenced, int64_t now_ms, const char *transactional_id,
    struct error *err)
{
	bool often = fenced->n == FENCED_MAX - 1 &&
	    now_ms - fenced->at_ms[0] < FENCED_WINDOW_MS;
	size_t i;

	if (fenced->n < FENCED_MAX - 1)
		fenced->n++;
	else
		for (i = 0; i + 1 < FENCED_MAX - 1; i++)
			fenced->at_ms[i] = fenced->at_ms[i + 1];
	fenced->at_ms[fenced->n - 1] = now_ms;
	if (!often)
		return 0;
	return error_fatal(err, 75,
	    "fenced %d times in a minute: another process uses the "
	    "transactional.id \"%s\" (give each worker its own worker.id), or "
	    "transactions exceed transaction.timeout.ms",
	    FENCED_MAX, transactional_id);
}
