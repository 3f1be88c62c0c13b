#include "producer/dryrun/view.h"

#define PHASE_STALENESS 11 /* the one that says how much is up to date */
#define SOME 5             /* entries of a list that a line has */
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
put_text(
    struct buffer *out, const char *before, struct text text, const char *after)
{
	buffer_format(out, "%s", before);
	buffer_append_shown(out, text);
	buffer_format(out, "%s", after);
}

static void
put_listing(struct buffer *out, const char *what, const struct listing *listing)
{
	int32_t n = (int32_t)listing->n_first, i;

	if (listing->count == 0)
		return;
	buffer_format(out, "%s (%d):\n", what, (int)listing->count);
	for (i = 0; i < n; i++)
		put_text(out, "  ", listing->first[i], "\n");
	if (listing->count > n)
		buffer_format(
		    out, "  and %d more\n", (int)(listing->count - n));
}

/* The first few, and how many more there are. */
static void
put_some(struct buffer *out, const struct listing *listing)
{
	int32_t n = listing->n_first < SOME ? (int32_t)listing->n_first : SOME;
	int32_t i;

	for (i = 0; i < n; i++)
		put_text(out, i > 0 ? ", " : "", listing->first[i], "");
	if (listing->count > n)
		buffer_format(out, " and %d more", (int)(listing->count - n));
}

static void
put_reason(struct buffer *out, const struct job *job)
{
	static const char *const reasons[] = {
		[REASON_FORCED] = "forced",
		[REASON_NEVER_BUILT] = "never built: ",
		[REASON_NEW_LOGIC] = "new logic: ",
		[REASON_INPUTS_CHANGED] = "inputs changed: ",
		[REASON_UPSTREAM] = "upstream runs: ",
		[REASON_ALWAYS_STALE] = "always stale",
	};

	buffer_format(out, "      %s", reasons[job->reason]);
	if (job->reason_from != NULL) {
		put_text(out, "", *job->reason_from, " -> ");
		put_text(out, "", job->spec->logic, ", of ");
	}
	if (job->reason_output != NULL)
		put_text(out, "", *job->reason_output, "");
	put_some(out, &job->reason_inputs);
	buffer_byte(out, '\n');
}

/* An output in the margin's width; where it gets a branch, off which. */
static void
put_output(struct buffer *out, const struct job *job, size_t i, bool colour)
{
	const struct text *parent = job_new_branch(job, i);

	put_text(out, colour ? BOLD : "", job->spec->outputs[i],
	    colour ? PLAIN : "");
	if (parent != NULL && parent->at != NULL)
		put_text(out, " (new branch off ", *parent, ")");
	else if (parent != NULL)
		buffer_format(out, " (new branch)");
	buffer_byte(out, '\n');
}

static void
put_depends(struct buffer *out, const struct job *job)
{
	uint32_t i, n = job->n_depends_on < SOME ? job->n_depends_on : SOME;

	for (i = 0; i < n; i++)
		buffer_format(out, "%s%d", i == 0 ? "      after " : ", ",
		    (int)job->depends_on[i]);
	if (n < job->n_depends_on)
		buffer_format(out, " and %u more", job->n_depends_on - n);
	if (n > 0)
		buffer_byte(out, '\n');
}

static void
put_job(struct buffer *out, const struct build *build, size_t i, bool colour)
{
	const struct job *job = &build->jobs[i];
	size_t n = job->spec->n_outputs, k;

	buffer_format(out, "%4zu  ", i);
	put_output(out, job, 0, colour);
	for (k = 1; k < n && k < SOME; k++) {
		buffer_format(out, "      ");
		put_output(out, job, k, colour);
	}
	if (k < n)
		buffer_format(out, "      and %zu more\n", n - k);
	put_reason(out, job);
	put_depends(out, job);
	if (!text_equal(job->spec->branch, build->version->branch_name))
		put_text(out, "      by the job spec of branch ",
		    job->spec->branch, "\n");
}

static void
put_build(struct buffer *out, const struct outcome *outcome, bool colour)
{
	const struct build *build = &outcome->build;
	const struct text_list *fallbacks;
	size_t i;

	if (build->version == NULL) /* only its event would know the jobs */
		return;
	fallbacks = &build->version->fallback_branches;
	put_text(out, "on branch ", build->version->branch_name, "");
	for (i = 0; i < fallbacks->n; i++)
		put_text(out, i == 0 ? ", falling back to " : " -> ",
		    fallbacks->at[i], "");
	buffer_byte(out, '\n');
	for (i = 0; i < build->n_jobs; i++)
		put_job(out, build, i, colour);
}

void
plan_explain(const struct outcome *outcome, bool colour, struct buffer *out)
{
	const struct schedule_run *run = &outcome->run;
	const struct run_why *why = &run->why;

	switch (run->state) {
	case RUN_SUBMITTED:
		put_coloured(out, colour, GREEN, "submitted");
		buffer_format(out, ": %d of %d %s, %d up to date\n",
		    (int)why->running, (int)why->selected,
		    why->selected == 1 ? "job runs" : "jobs run",
		    (int)why->up_to_date);
		put_build(out, outcome, colour);
		break;
	case RUN_PENDING: /* callers have a finished one */
	case RUN_IGNORED:
		put_coloured(out, colour, BOLD, "ignored");
		put_text(out, " (", why->cause, ")");
		if (why->phase == PHASE_STALENESS)
			buffer_format(out, ": %d %s up to date",
			    (int)why->up_to_date,
			    why->up_to_date == 1 ? "job is" : "jobs are");
		buffer_byte(out, '\n');
		break;
	case RUN_FAILED:
		put_coloured(out, colour, RED, "error");
		buffer_format(out, " %s", run_error_name(run->error));
		put_text(out, " (", why->cause, "");
		buffer_format(out, ", phase %d)", (int)why->phase);
		put_text(out, "\n", run->description, "\n");
		break;
	}
	put_listing(out, "offenders", &why->lists[LIST_OFFENDERS]);
	put_listing(
	    out, "targets up to date", &why->lists[LIST_UP_TO_DATE_TARGETS]);
	put_listing(out, "targets dropped", &why->lists[LIST_DROPPED_TARGETS]);
	put_listing(
	    out, "kept out by the scope", &why->lists[LIST_OUT_OF_SCOPE]);
}

/* A text within quotes: nothing in it ends them or is an escape. */
static void
put_label(struct buffer *out, struct text text)
{
	size_t start = 0, i;

	for (i = 0; i < text.size; i++) {
		if (text.at[i] != '"' && text.at[i] != '\\')
			continue;
		buffer_append_shown(
		    out, (struct text){ text.at + start, i - start });
		buffer_byte(out, '\\');
		start = i;
	}
	buffer_append_shown(
	    out, (struct text){ text.at + start, text.size - start });
}

static void
draw_job(struct buffer *out, const struct job *job, size_t i)
{
	size_t k;

	buffer_format(out, "  j%zu [label=\"", i);
	for (k = 0; k < job->spec->n_outputs && k < SOME; k++) {
		put_label(out, job->spec->outputs[k]);
		buffer_append(out, TEXT("\\n"));
	}
	if (k < job->spec->n_outputs)
		buffer_format(out, "and %zu more\\n", job->spec->n_outputs - k);
	buffer_format(out, "%s\"];\n", reason_cause_text(job->reason));
	for (k = 0; k < job->n_depends_on; k++)
		buffer_format(
		    out, "  j%d -> j%zu;\n", (int)job->depends_on[k], i);
}

/* Jobs in a ring, each read by the one before; of a long one its start. */
static void
draw_cycle(struct buffer *out, const struct listing *cycle)
{
	int32_t i, n = cycle->count;
	int32_t shown = (int32_t)cycle->n_first;

	for (i = 0; i < shown; i++) {
		buffer_format(out, "  j%d [label=\"", (int)i);
		put_label(out, cycle->first[i]);
		buffer_format(out, "\"];\n");
	}
	if (shown < n)
		buffer_format(out, "  j%d [label=\"%d more\"];\n", (int)shown,
		    (int)(n - shown));
	n = shown < n ? shown + 1 : n;
	for (i = 0; i < n; i++)
		buffer_format(
		    out, "  j%d -> j%d;\n", (int)((i + 1) % n), (int)i);
}

void
plan_draw(const struct outcome *outcome, struct buffer *out)
{
	size_t i;

	buffer_format(out,
	    "digraph build {\n  rankdir=LR;\n"
	    "  node [shape=box];\n");
	if (outcome->run.state != RUN_SUBMITTED) {
		/* It says why there is no build. */
		if (outcome->run.state == RUN_FAILED &&
		    outcome->run.error == CYCLIC_DEPENDENCY)
			draw_cycle(
			    out, &outcome->run.why.lists[LIST_OFFENDERS]);
		buffer_format(out, "  label=\"");
		put_label(out,
		    outcome->run.state == RUN_FAILED ? outcome->run.description
						     : TEXT("nothing to do"));
		buffer_format(out, "\";\n");
	}
	for (i = 0; i < outcome->build.n_jobs; i++)
		draw_job(out, &outcome->build.jobs[i], i);
	buffer_format(out, "}\n");
}
