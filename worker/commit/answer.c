#include "worker/commit/answer.h"

struct answer *
answer_make(
    struct arena *arena, struct buffer *scratch, const struct outcome *outcome)
{
	const struct schedule_run *run = &outcome->run;
	struct answer *answer = arena_zalloc(arena, 1, sizeof *answer);

	answer->state = run->state;
	answer->error = run->error;
	answer->schedule_version_rid =
	    text_copy(arena, run->schedule_version_rid);
	buffer_reset(scratch);
	schedule_run_put_form(run, scratch, &answer->run);
	if (run->state == RUN_SUBMITTED)
		build_requested_put_form(
		    run, &outcome->build, arena, scratch, &answer->build);
	answer->block = text_copy(arena, buffer_text(scratch)).at;
	return answer;
}
