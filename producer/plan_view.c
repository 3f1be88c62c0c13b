#include "producer/plan_view.h"

#define PHASE_STALENESS 11 /* the one that says how much is up to date */
#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define RED "\033[31m"
#define PLAIN "\033[0m"

static void
put_coloured(
    struct buffer *out, bool colour, const char *code, const char *text)
{
	buffer_format(
	    out, "%s%s%s", colour ? code : "", text, colour ? PLAIN : "");
}

static void
put_listing(struct buffer *out, const char *what, const struct listing *listing)
{
	int32_t i,
	    n = listing->count < LISTING_FIRST ? listing->count : LISTING_FIRST;

	if (listing->count == 0)
		return;
	buffer_format(out, "%s (%d):\n", what, (int)listing->count);
	for (i = 0; i < n; i++)
		buffer_format(out, "  %.*s\n", TEXT_ARG(listing->first[i]));
	if (listing->count > n)
		buffer_format(
		    out, "  and %d more\n", (int)(listing->count - n));
}

static void
put_reason(struct buffer *out, const struct job *job)
{
	buffer_format(out, "%s", reason_cause_text(job->reason));
	if (job->reason_output.at != NULL)
		buffer_format(out, " %.*s", TEXT_ARG(job->reason_output));
	if (job->reason_from.at != NULL)
		buffer_format(out, ": %.*s -> %.*s", TEXT_ARG(job->reason_from),
		    TEXT_ARG(job->reason_to));
	if (job->reason_inputs.count > 0)
		buffer_format(out, ": %.*s%s",
		    TEXT_ARG(job->reason_inputs.first[0]),
		    job->reason_inputs.count > 1 ? " and more" : "");
}

static void
put_job(struct buffer *out, const struct build *build, size_t i, bool colour)
{
	const struct job *job = &build->jobs[i];
	size_t j;

	buffer_format(out, "%4zu  ", i);
	if (colour)
		buffer_append(out, TEXT(BOLD));
	buffer_append(out, job->outputs[0].rid);
	if (colour)
		buffer_append(out, TEXT(PLAIN));
	if (job->spec->n_outputs > 1)
		buffer_format(out, " and %zu more", job->spec->n_outputs - 1);
	buffer_format(out, "\n      because ");
	put_reason(out, job);
	for (j = 0; j < job->n_depends_on; j++)
		buffer_format(out, "%s%d", j == 0 ? "\n      after " : ", ",
		    (int)job->depends_on[j]);
	buffer_byte(out, '\n');
}

void
plan_explain(const struct outcome *outcome, bool colour, struct buffer *out)
{
	const struct why *why = &outcome->why;
	size_t i;

	switch (outcome->type) {
	case OUTCOME_SUBMITTED:
		put_coloured(out, colour, GREEN, "submitted");
		buffer_format(out, ": %d of %d %s, %d up to date\n",
		    (int)why->running, (int)why->selected,
		    why->selected == 1 ? "job runs" : "jobs run",
		    (int)why->up_to_date);
		for (i = 0; i < outcome->build.n_jobs; i++)
			put_job(out, &outcome->build, i, colour);
		break;
	case OUTCOME_IGNORED:
		put_coloured(out, colour, BOLD, "ignored");
		buffer_format(out, " (%s)", why->cause);
		if (why->phase == PHASE_STALENESS)
			buffer_format(out, ": %d %s up to date",
			    (int)why->up_to_date,
			    why->up_to_date == 1 ? "job is" : "jobs are");
		buffer_byte(out, '\n');
		break;
	case OUTCOME_ERROR:
		put_coloured(out, colour, RED, "error");
		buffer_format(out, " %s (%s, phase %d)\n%.*s\n",
		    error_name_text(outcome->error_name), why->cause,
		    (int)why->phase, TEXT_ARG(outcome->description));
		break;
	}
	put_listing(out, "offenders", &why->offenders);
	put_listing(out, "targets up to date", &why->up_to_date_targets);
	put_listing(out, "targets dropped", &why->dropped_targets);
	put_listing(out, "kept out by the scope", &why->out_of_scope);
}

void
plan_draw(const struct outcome *outcome, struct buffer *out)
{
	size_t i, j;

	buffer_format(out,
	    "digraph build {\n  rankdir=LR;\n"
	    "  node [shape=box];\n");
	for (i = 0;
	     outcome->type == OUTCOME_SUBMITTED && i < outcome->build.n_jobs;
	     i++) {
		const struct job *job = &outcome->build.jobs[i];

		/* RIDs have no character that a quoted name must escape. */
		buffer_format(out, "  j%zu [label=\"%.*s\\n%s\"];\n", i,
		    TEXT_ARG(job->outputs[0].rid),
		    reason_cause_text(job->reason));
		for (j = 0; j < job->n_depends_on; j++)
			buffer_format(out, "  j%d -> j%zu;\n",
			    (int)job->depends_on[j], i);
	}
	buffer_format(out, "}\n");
}
