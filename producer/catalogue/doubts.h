#ifndef SCHEDRUN_PRODUCER_CATALOGUE_DOUBTS_H
#define SCHEDRUN_PRODUCER_CATALOGUE_DOUBTS_H

#include "common/base/text.h"
#include "common/json/node.h"
#include "schemas/stored/document.h"

/*
 * What a file alone can't settle: a reference to what it doesn't have itself
 * may be in the store, and what one would refuse in a new version was let in by
 * an older release, and stays.  Collected while the file is read, judged when
 * the store is known (doubt_merge.c).  Everything is in the reader's arena.
 */
enum doubt_kind {
	DOUBT_DATASET,
	DOUBT_PROJECT,
	DOUBT_SCHEDULE,
	DOUBT_VALUE,
	DOUBT_NOTE, /* no fault, but to be told */
};

/* What has it: if the store has just that already, it is no fault. */
enum doubt_owner {
	OWNER_DATASET,
	OWNER_PROJECT,
	OWNER_USER,
	OWNER_SPEC,
	OWNER_VERSION
};

struct doubt {
	struct doubt *next;
	enum doubt_kind kind;
	enum doubt_owner owner;
	struct text path; /* "$.jobSpecs[0].inputs[0]" */
	struct text rid;  /* that must be; of the last two what is wrong */
	struct text name; /* the owner's: of dataset, project, user, version */
	size_t number;    /* of OWNER_SPEC: its index in the file */
};

struct doubts {
	struct doubt *first, *last;
	size_t n;
};

struct catalogue_file;

/* Collects those of a document that is otherwise without fault. */
void doubts_collect(struct reader *reader, const struct json *root,
    struct catalogue_file *file);

#endif
