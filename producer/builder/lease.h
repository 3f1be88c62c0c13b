#ifndef SCHEDRUN_PRODUCER_BUILDER_LEASE_H
#define SCHEDRUN_PRODUCER_BUILDER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/message/build_requested.h"

/*
 * The leases of a job's outputs (docs/keyspace.md, section 4): whoever has
 * them is the only one who works on these, or says what became of the job.
 * Each function connects when needed and blocks for a round trip; -1 as of
 * redis_receive and redis_reply_error.
 */
#define LEASE_MS 30000

struct job_store {
	struct redis *redis;             /* of the catalogue; one thread */
	const struct keyspace *keyspace; /* borrowed */
	int64_t ttl_ms;                  /* of what is said of jobs */
};

/* One job of a build, and where what is said of it goes. */
struct job_ref {
	const struct job_store *store;
	const struct build_requested *event;
	size_t job;          /* its position */
	struct arena *arena; /* for all that is read */
};

/* The job's own part of the event. */
static inline const struct job *
job_of(const struct job_ref *ref)
{
	return &ref->event->build.jobs[ref->job];
}

struct lease {
	struct text jobs;           /* the build's `j` */
	struct text field;          /* the job's position in it */
	struct text made;           /* the `j:f` of its fingerprint */
	const struct text *keys;    /* a lease of each output */
	const struct text *keeping; /* the build's `b`, and these behind it */
	size_t n;
	struct text number; /* the fence: higher than any before */
	int64_t asked_ms;   /* monotonic; it holds for LEASE_MS from there */
};

/* What is known when it is taken; all may be empty. */
struct lease_news {
	struct text build; /* the build's state */
	struct text job;   /* what is said of the job */
	/* The transactions that a job of the same fingerprint has made of the
	 * outputs last, each with a blank behind it. */
	struct text made;
};

/* 1: it is ours; 0: somebody has one of the outputs. */
int lease_take(const struct job_ref *ref, struct lease *lease,
    struct lease_news *news, struct error *err);

/* Keeps it for another LEASE_MS.  0: it is lost; 2: it is kept, but the build
 * was canceled. */
int lease_keep(
    const struct job_store *store, struct lease *lease, struct error *err);

/* Notes what the job has made, for whoever has one of the same fingerprint. */
int lease_note_made(const struct job_store *store, const struct lease *lease,
    struct text made, struct error *err);

/* Gives it back, if it is ours still; 0: it is not. */
int lease_drop(const struct job_store *store, const struct lease *lease,
    struct error *err);

/*
 * Says something of the job; `ended`: it was the last word, and the lease goes
 * back with it.  0: it is lost, and nothing was said.
 */
int lease_note(const struct job_store *store, const struct lease *lease,
    struct text said, bool ended, struct error *err);

#endif
