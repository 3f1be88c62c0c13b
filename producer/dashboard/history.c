#include "producer/dashboard/history.h"

#include "common/json/write.h"

#define MINUTE_MS 60000

static int64_t
minute_of(int64_t ms)
{
	return ms / MINUTE_MS;
}

void
run_history_note(
    struct run_history *history, const struct schedule_run *run, int64_t now_ms)
{
	int64_t at = minute_of(run->finished_time_ms), now = minute_of(now_ms);
	int64_t took = run->finished_time_ms - run->created_time_ms;
	struct run_minute *minute;

	if (at <= now - HISTORY_MINUTES || at > now || at <= 0)
		return;
	minute = &history->minutes[at % HISTORY_MINUTES];
	if (minute->at != at)
		*minute = (struct run_minute){ .at = at };
	minute->ignored += run->state == RUN_IGNORED;
	minute->submitted += run->state == RUN_SUBMITTED;
	minute->failed += run->state == RUN_FAILED;
	if (took <= 0)
		return;
	minute->took_ms += took;
	if (took > minute->took_max_ms)
		minute->took_max_ms = took;
}

static void
put_minute(struct buffer *out, const struct run_minute *minute)
{
	int64_t n = minute->ignored + minute->submitted + minute->failed;

	json_open(out, '{');
	json_member_time(out, "at", minute->at * MINUTE_MS);
	json_member_integer(out, "ignored", minute->ignored);
	json_member_integer(out, "submitted", minute->submitted);
	json_member_integer(out, "error", minute->failed);
	json_member_integer(out, "meanMs", minute->took_ms / n);
	json_member_integer(out, "longestMs", minute->took_max_ms);
	json_close(out, '}');
}

void
run_history_write(
    const struct run_history *history, int64_t now_ms, struct buffer *out)
{
	int64_t now = minute_of(now_ms), at;

	json_open(out, '[');
	/* A clock that was not set yet is at 1970. */
	at = now < HISTORY_MINUTES ? 1 : now - HISTORY_MINUTES + 1;
	for (; at <= now; at++) {
		const struct run_minute *minute =
		    &history->minutes[at % HISTORY_MINUTES];

		if (minute->at == at)
			put_minute(out, minute);
	}
	json_close(out, ']');
}
