#ifndef SCHEDRUN_PRODUCER_RUNS_VIEW_H
#define SCHEDRUN_PRODUCER_RUNS_VIEW_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/message/schedule_run.h"

/*
 * The run view in Redis: runs with or without a result, each schedule's list of
 * runs, builds, and how far the topics have been folded (docs/keyspace.md,
 * section 5).  All functions connect when needed and block for a round trip or
 * two; kinds of all: ERROR_RETRY Redis does not answer, ERROR_FATAL not our
 * keyspace.
 */
struct run_view {
	struct redis *redis;             /* borrowed; one thread */
	const struct keyspace *keyspace; /* borrowed */
	int64_t ttl_ms;                  /* view.ttl */
	struct redis_script pending, drop, fold;
};

/* Borrows both; `ttl_ms` is view.ttl.  Nothing is to be given back. */
void run_view_init(struct run_view *view, struct redis *redis,
    const struct keyspace *keyspace, int64_t ttl_ms);

/*
 * Stores a pending run, unless the run is there: then `*stored` is false and
 * `existing` is what is there, in `arena`.  In two steps, for many at once:
 * run_view_load before, on a connected Redis with no answer outstanding; then
 * queue all, then hear all.  1: done; 0: the server has forgotten the script
 * and nothing was done, so load and ask again.
 */
int run_view_load(struct run_view *view, struct error *err);
void run_view_ask_pending(struct run_view *view,
    const struct schedule_run *record, struct arena *arena);
int run_view_hear_pending(struct run_view *view, struct arena *arena,
    bool *stored, struct schedule_run *existing, struct error *err);

/* Takes a pending run back, if it is still as it was stored. */
int run_view_drop_pending(struct run_view *view,
    const struct schedule_run *record, struct error *err);

/* 1: it is there; 0: it isn't. */
int run_view_get(struct run_view *view, const struct uuid *id,
    struct arena *arena, struct schedule_run *record, struct error *err);

/* The same in two steps. */
void run_view_ask(
    struct run_view *view, const struct uuid *id, struct arena *arena);
int run_view_hear(struct run_view *view, struct arena *arena,
    struct schedule_run *record, struct error *err);

/* A place in a schedule's list: createdTime, big-endian, and the run's UUID. */
#define RUN_PLACE_SIZE 24

struct run_page_question {
	struct text schedule_rid;
	struct text after;
	size_t n;
};
/*
 * Up to `n` runs of a schedule behind the place `after` (none: the newest),
 * newest first.  Runs that have left the view are dropped from the list.
 * `*more`: there are more behind the last one.
 */
struct run_page {
	struct schedule_run *records; /* in the arena */
	size_t n;
	bool more;
	char last[RUN_PLACE_SIZE]; /* of the last record */
};
int run_view_list(struct run_view *view, const struct run_page_question *asked,
    struct arena *arena, struct run_page *page, struct error *err);

/* A build: its event as on the topic, and what was reported of it. */
struct build_record {
	struct text event;
	struct text state; /* SUCCEEDED, FAILED, CANCELED; none: running */
};
/* 1: it is there; 0: it isn't. */
int run_view_get_build(struct run_view *view, const struct uuid *id,
    struct arena *arena, struct build_record *build, struct error *err);

/* `f`: the next offset to fold; -1: none is known. */
struct fold_position {
	const char *topic; /* borrowed */
	int32_t partition;
	int64_t offset;
};
int run_view_positions(struct run_view *view, struct fold_position *positions,
    size_t n, struct error *err);

/* Sets one, also back: the topic was made anew. */
int run_view_set_position(struct run_view *view,
    const struct fold_position *position, struct error *err);

/*
 * One partition's step of the fold: what it read and the offset behind it, in
 * one script.  Repeating it is harmless.  `ttl_ms` of an item: how long it
 * stays; 0: too old, it is not written.
 */
struct fold_item {
	int64_t ttl_ms;
	const struct schedule_run *run; /* of a result, or NULL */
	struct uuid build_id;           /* of a build event */
	struct text build_event;
};
#define FOLD_MAX 500 /* items of a step */
struct fold_step {
	const char *topic;
	int32_t partition;
	int64_t folded; /* what `f` is as far as the caller knows */
	int64_t next;   /* what it becomes */
	const struct fold_item *items;
	size_t n;
};
/*
 * 1: done; 0: `f` is lower than that, so what was folded is lost: nothing was
 * written, fold again from `f`.
 */
int run_view_fold(
    struct run_view *view, const struct fold_step *step, struct error *err);

/* Stores one result like the fold, which may not have come to it. */
int run_view_keep(struct run_view *view, const struct schedule_run *record,
    struct error *err);

/* The key of the page tokens, made by whoever comes first. */
#define PAGE_KEY_SIZE 32
/* 0, and `key` is what all replicas have; -1: Redis does not answer. */
int run_view_page_key(
    struct run_view *view, uint8_t key[PAGE_KEY_SIZE], struct error *err);

#endif
