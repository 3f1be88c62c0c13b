#ifndef SCHEDRUN_PRODUCER_BUILDER_BRIEF_H
#define SCHEDRUN_PRODUCER_BUILDER_BRIEF_H

#include "producer/builder/look.h"

/*
 * What a job is told and what it answers (docs/builder.md): a document on its
 * standard input, the short of it in its environment, and on descriptor 3 the
 * transactions that it has made.  Everything is in the arena of `ref`.
 */
struct brief {
	struct job_ref ref;
	const struct job_look *look;
	int64_t attempt;         /* from 1 on */
	struct text number;      /* the lease's */
	struct text traceparent; /* of the job's span; none: it has none */
};

/* The document. */
struct text brief_document(const struct brief *brief);

/* The environment, ended by NULL: nothing of ours but PATH, HOME, LANG, TZ and
 * TMPDIR; TRACEPARENT is the job's own span. */
char **brief_environment(const struct brief *brief);

/*
 * The outputs' transactions: what the job has written to descriptor 3, or else
 * the functions of its id.  NULL with ERROR_INPUT: what it
 * has written is none.
 */
const struct text *brief_answer(
    const struct brief *brief, struct text answer, struct error *err);

#endif
