#include "worker/commit/answer.h"

#include <string.h>

struct answer *
answer_make(
    struct arena *arena, struct buffer *scratch, const struct outcome *outcome)
{
	const struct schedule_run *run = &outcome->run;
	struct answer *answer = arena_zalloc(arena, 1, sizeof *answer);

	answer->state = run->state;
	answer->error = run->error;
	answer->is_damage = schedule_run_is_damage(run);
	answer->schedule_version_rid =
	    text_copy(arena, run->schedule_version_rid);
	buffer_reset(scratch);
	schedule_run_put_form(run, scratch, &answer->run);
	if (run->state == RUN_SUBMITTED)
		build_requested_put_form(
		    run, &outcome->build, arena, scratch, &answer->build);
	answer->block = text_copy(arena, buffer_text(scratch)).at;
	answer->size = scratch->size;
	return answer;
}

size_t
answer_size(const struct answer *answer)
{
	size_t size = sizeof *answer + answer->size +
	    answer->schedule_version_rid.size,
	       i;

	for (i = 0; i < answer->build.n_jobs; i++)
		size += sizeof answer->build.jobs[i] +
		    answer->build.jobs[i].key.size;
	return size;
}

/* Appends the text's bytes at `*at`, and moves it on; none stays none. */
static struct text
pack_text(struct text text, char **at)
{
	struct text packed = { text.at != NULL ? *at : NULL, text.size };

	if (text.at != NULL)
		memcpy(*at, text.at, text.size);
	*at += text.size;
	return packed;
}

/* The jobs first: they need to be aligned. */
void
answer_pack(const struct answer *answer, void *room)
{
	struct answer *packed = room;
	struct build_form_job *jobs = (struct build_form_job *)(packed + 1);
	char *at = (char *)(jobs + answer->build.n_jobs);
	size_t i;

	*packed = *answer;
	packed->build.jobs = jobs;
	packed->block =
	    pack_text((struct text){ answer->block, answer->size }, &at).at;
	packed->schedule_version_rid =
	    pack_text(answer->schedule_version_rid, &at);
	for (i = 0; i < answer->build.n_jobs; i++) {
		jobs[i] = answer->build.jobs[i];
		jobs[i].key = pack_text(answer->build.jobs[i].key, &at);
	}
}
