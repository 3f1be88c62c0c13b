#include "producer/catalogue/publish.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "schemas/embedded.h"

#define STAGE_MS "3600000"   /* leftovers of a killed apply */
#define REPLACED_MS "600000" /* batches under way still read the old one */
/* Longer than a lost answer is asked for again: */
#define RECEIPT_MS "3600000"
#define PATIENCE_MS 30000 /* for a Redis that is away in the middle of it */
#define PAUSE_MS 100
#define SLICE ((size_t)50000) /* fields between two looks at the lock */

/* Letters of the stages, in the order in which publish.lua takes them. */
enum { STAGES = 9 };
static const char stage_letters[STAGES] = { 's', 'i', 'v', 'h', 'w', 'A', 'S',
	'H', 'D' };

/* KEYS and ARGV of publish.lua. */
enum {
	PUBLISH_LOCK,
	PUBLISH_GENERATION,
	PUBLISH_EDITION,
	PUBLISH_HEADS,
	PUBLISH_ABOUT,
	PUBLISH_VERSIONS,
	PUBLISH_BRANCHES,
	PUBLISH_SAID,
	PUBLISH_DONE,
	PUBLISH_STAGES,
	PUBLISH_PARTS = PUBLISH_STAGES + STAGES,
	PUBLISH_REPLACED = PUBLISH_PARTS + CATALOGUE_HASHES,
	PUBLISH_KEYS = PUBLISH_REPLACED + CATALOGUE_HASHES
};
enum {
	PUBLISH_TOKEN,
	PUBLISH_SEEN,
	PUBLISH_NEW,
	PUBLISH_LISTS,
	PUBLISH_STAY,
	PUBLISH_RECEIPT,
	PUBLISH_KEEP,
	PUBLISH_TRIGGERS,
	PUBLISH_ARGS
};

static struct redis_script publish = { .source = lua_publish };
static struct redis_script begin_stage = { .source = lua_begin_stage };
static struct redis_script next_generation = { .source = lua_next_generation };

/* The stages' keys; their bytes lie in `out`. */
struct stage_keys {
	struct text at[STAGES];
	struct buffer out[STAGES];
};

static void
name_stages(const struct publication *publication, struct stage_keys *keys)
{
	size_t i;

	for (i = 0; i < STAGES; i++)
		keys->at[i] = keyspace_stage(publication->keyspace,
		    publication->number, stage_letters[i], &keys->out[i]);
}

static void
forget_stages(struct stage_keys *keys)
{
	size_t i;

	for (i = 0; i < STAGES; i++)
		buffer_finish(&keys->out[i]);
}

/* The stages' content, in the same order. */
static void
list_stages(const struct merge_changes *step, struct fields *stages[STAGES])
{
	struct fields *const all[STAGES] = { step->heads, step->about,
		step->versions, step->branches, step->added_versions,
		step->said, step->heads_seen, step->branches_seen,
		step->branches_removed };
	size_t i;

	for (i = 0; i < STAGES; i++)
		stages[i] = all[i];
}

int
publication_number(struct publication *publication, struct error *err)
{
	const struct text name =
	    keyspace_key(publication->keyspace, KEY_GENERATIONS);
	struct redis_reply *reply = redis_ask_script(publication->redis,
	    &next_generation, &(struct redis_arguments){ &name, 1, NULL, 0 },
	    "next generation", err);
	int rc = reply != NULL ? 0 : -1;

	publication->number = redis_reply_integer(reply);
	redis_reply_destroy(reply);
	return rc;
}

/* The first field with the hash's expiry. */
static int
begin_expiring(struct publication *publication, const struct field *first,
    struct text name, struct error *err)
{
	enum { STAGE_TTL, STAGE_FIELD, STAGE_VALUE, STAGE_ARGS };
	const struct text args[STAGE_ARGS] = {
		[STAGE_TTL] = TEXT(STAGE_MS),
		[STAGE_FIELD] = first->name,
		[STAGE_VALUE] = first->value,
	};
	struct redis_reply *reply =
	    redis_ask_script(publication->redis, &begin_stage,
		&(struct redis_arguments){ &name, 1, args, STAGE_ARGS },
		"stage", err);
	int rc = reply != NULL ? 0 : -1;

	redis_reply_destroy(reply);
	return rc;
}

/* A hash that expires; `what` is told of as it grows, NULL: it is small. */
static int
write_expiring(struct publication *publication, struct fields *fields,
    struct text name, const char *what, struct error *err)
{
	size_t n = fields_size(fields), done = 0, size;
	const struct field *list;

	if (n == 0)
		return 0;
	list = fields_list(fields);
	if (begin_expiring(publication, &list[0], name, err) != 0)
		return -1;
	for (; done < n; done += size) {
		size = n - done < SLICE ? n - done : SLICE;
		if (fields_write(
			publication->redis, name, list + done, size, err) != 0)
			return -1;
		if (what == NULL)
			continue;
		if (catalogue_lock_renew(publication->lock, err) != 0)
			return -1;
		apply_progress_tell(
		    publication->progress, what, done + size, n);
	}
	return 0;
}

int
publication_write_parts(
    struct publication *publication, struct merge *merge, struct error *err)
{
	struct buffer name = { 0 };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < CATALOGUE_HASHES; i++) {
		buffer_reset(&name);
		rc = write_expiring(publication, merge->merged[i],
		    keyspace_part(publication->keyspace, publication->number,
			catalogue_hashes[i].part, &name),
		    catalogue_hashes[i].what, err);
	}
	buffer_finish(&name);
	return rc;
}

/* Of the step that comes next. */
static void
put_receipt(const struct publication *publication, struct buffer *out)
{
	buffer_format(
	    out, "%s %u", publication->lock->token, publication->steps);
}

/* That all is there: last, so that a server which has it has all of that. */
static int
mark_staged(struct publication *publication, struct error *err)
{
	struct buffer value = { 0 };
	struct text set[] = { TEXT("SET"),
		keyspace_key(publication->keyspace, KEY_APPLY_DONE), TEXT_NONE,
		TEXT("PX"), TEXT(STAGE_MS) };
	int rc;

	buffer_append(&value, TEXT("staged "));
	put_receipt(publication, &value);
	set[2] = buffer_text(&value);
	rc = redis_do(publication->redis, set, 5, "SET n:done", err);
	buffer_finish(&value);
	return rc;
}

/* What an attempt before has left of them goes first. */
static int
write_stages(struct publication *publication, const struct stage_keys *keys,
    struct fields *const stages[STAGES], struct error *err)
{
	struct text unlink[1 + STAGES] = { TEXT("UNLINK") };
	int rc;
	size_t i;

	for (i = 0; i < STAGES; i++)
		unlink[1 + i] = keys->at[i];
	rc = redis_do(publication->redis, unlink, 1 + STAGES, "UNLINK", err);
	for (i = 0; rc == 0 && i < STAGES; i++)
		rc = write_expiring(
		    publication, stages[i], keys->at[i], NULL, err);
	if (rc == 0)
		rc = mark_staged(publication, err);
	if (rc != 0)
		return -1;
	/* As far away as Redis is: what a step takes is on top of that. */
	publication->took_ms = clock_monotonic_ms();
	rc = catalogue_lock_renew(publication->lock, err);
	publication->took_ms -= clock_monotonic_ms();
	return rc;
}

/* 1 published, 0 somebody wrote in between, -1 failed. */
static int
judge_publish(struct publication *publication, const struct redis_reply *reply,
    struct error *err)
{
	struct text answer = redis_reply_text(reply);

	if (redis_reply_error(publication->redis, reply, "publish", err) != 0)
		return -1;
	if (text_equal(answer, TEXT("ok")))
		return 1;
	if (text_equal(answer, TEXT("moved")))
		return 0;
	if (text_equal(answer, TEXT("gone")))
		return error_set(err, ERROR_RETRY,
		    "redis %s is another server by now, without what was "
		    "loaded beside the catalogue; try again",
		    redis_address(publication->redis));
	return error_set(
	    err, ERROR_RETRY, "the lock was lost to another apply; try again");
}

/* Connects again to a Redis that was away; it has our lock, or nobody's. */
static int
come_back(struct publication *publication, int64_t deadline, struct error *err)
{
	for (;;) {
		if (redis_connect(publication->redis, err) == 0 &&
		    catalogue_lock_renew(publication->lock, err) == 0)
			return 0;
		if (err->kind != ERROR_RETRY || clock_monotonic_ms() > deadline)
			return -1;
		clock_wait(PAUSE_MS);
	}
}

/*
 * A lost answer says nothing of what was done, and the script may even run
 * later: it is run again, and its receipt keeps it from being done twice.
 */
static int
run_publish(struct publication *publication, const struct redis_arguments *with,
    struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
	struct redis_reply *reply;
	int rc;

	for (;;) {
		reply =
		    redis_run_script(publication->redis, &publish, with, err);
		if (reply != NULL) {
			rc = judge_publish(publication, reply, err);
			redis_reply_destroy(reply);
			return rc;
		}
		if (come_back(publication, deadline, err) != 0)
			return -1;
	}
}

static void
list_keys(const struct publication *publication,
    const struct stage_keys *stages, struct text *keys)
{
	static const enum keyspace_key fixed[PUBLISH_STAGES] = {
		[PUBLISH_LOCK] = KEY_APPLY_LOCK,
		[PUBLISH_GENERATION] = KEY_GENERATION,
		[PUBLISH_EDITION] = KEY_EDITION,
		[PUBLISH_HEADS] = KEY_HEADS,
		[PUBLISH_ABOUT] = KEY_ABOUT,
		[PUBLISH_VERSIONS] = KEY_VERSIONS,
		[PUBLISH_BRANCHES] = KEY_BRANCHES,
		[PUBLISH_SAID] = KEY_SAID,
		[PUBLISH_DONE] = KEY_APPLY_DONE,
	};
	size_t i;

	for (i = 0; i < PUBLISH_STAGES; i++)
		keys[i] = keyspace_key(publication->keyspace, fixed[i]);
	for (i = 0; i < STAGES; i++)
		keys[PUBLISH_STAGES + i] = stages->at[i];
}

/* The new generation's hashes, then those that it replaces; how many keys. */
static size_t
list_parts(const struct publication *publication, struct text *keys,
    struct buffer out[2 * CATALOGUE_HASHES])
{
	size_t i;

	for (i = 0; i < CATALOGUE_HASHES; i++) {
		keys[PUBLISH_PARTS + i] = keyspace_part(publication->keyspace,
		    publication->number, catalogue_hashes[i].part, &out[i]);
		keys[PUBLISH_REPLACED + i] = keyspace_part(
		    publication->keyspace, publication->generation,
		    catalogue_hashes[i].part, &out[CATALOGUE_HASHES + i]);
	}
	return publication->generation > 0 ? PUBLISH_KEYS : PUBLISH_REPLACED;
}

static int
publish_stages(struct publication *publication, const struct stage_keys *staged,
    bool with_parts, struct error *err)
{
	struct buffer parts[2 * CATALOGUE_HASHES] = { 0 };
	struct buffer lists = { 0 }, receipt = { 0 }, triggers = { 0 };
	char seen[TEXT_NUMBER_SIZE], new[TEXT_NUMBER_SIZE];
	struct text keys[PUBLISH_KEYS], args[PUBLISH_ARGS];
	size_t n_keys = PUBLISH_PARTS, i;
	int rc;

	list_keys(publication, staged, keys);
	if (with_parts)
		n_keys = list_parts(publication, keys, parts);
	put_receipt(publication, &receipt);
	args[PUBLISH_TOKEN] = text_from(publication->lock->token);
	args[PUBLISH_SEEN] = publication->generation > 0
	    ? text_of_number(publication->generation, seen)
	    : TEXT("");
	args[PUBLISH_NEW] =
	    with_parts ? text_of_number(publication->number, new) : TEXT("");
	args[PUBLISH_LISTS] =
	    keyspace_versions_of(publication->keyspace, TEXT(""), &lists);
	args[PUBLISH_STAY] = TEXT(REPLACED_MS);
	args[PUBLISH_RECEIPT] = buffer_text(&receipt);
	args[PUBLISH_KEEP] = TEXT(RECEIPT_MS);
	args[PUBLISH_TRIGGERS] =
	    keyspace_triggers(publication->keyspace, &triggers);
	publication->took_ms -= clock_monotonic_ms();
	rc = run_publish(publication,
	    &(struct redis_arguments){ keys, n_keys, args, PUBLISH_ARGS }, err);
	publication->took_ms += clock_monotonic_ms();
	for (i = 0; i < 2 * CATALOGUE_HASHES; i++)
		buffer_finish(&parts[i]);
	buffer_finish(&lists);
	buffer_finish(&receipt);
	buffer_finish(&triggers);
	return rc;
}

int
publication_step(struct publication *publication,
    const struct merge_changes *step, bool with_parts, struct error *err)
{
	struct stage_keys keys = { 0 };
	struct fields *stages[STAGES];
	int rc;

	name_stages(publication, &keys);
	list_stages(step, stages);
	rc = write_stages(publication, &keys, stages, err);
	if (rc == 0)
		rc = publish_stages(publication, &keys, with_parts, err);
	forget_stages(&keys);
	if (rc == 1)
		publication->steps++;
	if (rc == 1 && with_parts)
		publication->generation = publication->number;
	return rc;
}
