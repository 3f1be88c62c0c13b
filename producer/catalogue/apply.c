#include "producer/catalogue/apply.h"

#include <string.h>

#include "common/redis/replica.h"
#include "producer/catalogue/lock.h"
#include "producer/catalogue/merge.h"
#include "schemas/embedded.h"

#define STAGE_MS "3600000"   /* leftovers of a killed apply */
#define REPLACED_MS "600000" /* batches under way still read the old one */
#define PUBLISHED_MAX 100000
#define ATTEMPTS_MAX 100 /* against commits in between */

/* Letters of the stages, in the order in which publish.lua takes them. */
enum { STAGES = 8 };
static const char stage_letters[STAGES] = { 's', 'i', 'v', 'h', 'w', 'S', 'H',
	'D' };

/* KEYS and ARGV of publish.lua. */
enum {
	PUBLISH_LOCK,
	PUBLISH_GENERATION,
	PUBLISH_EDITION,
	PUBLISH_HEADS,
	PUBLISH_ABOUT,
	PUBLISH_VERSIONS,
	PUBLISH_BRANCHES,
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
	PUBLISH_ARGS
};

static struct redis_script publish = { .source = lua_publish };
static struct redis_script begin_stage = { .source = lua_begin_stage };
static struct redis_script next_generation = { .source = lua_next_generation };

struct apply {
	const struct apply_settings *settings;
	struct redis *redis;
	const struct keyspace *keyspace;
	struct catalogue_lock lock;
	struct merge merge;
	int64_t number; /* of the stages and of a new generation; 0: none yet */
};

static struct text
key(const struct apply *apply, enum keyspace_key which)
{
	return keyspace_key(apply->keyspace, which);
}

/* A number that none has had: of the stages, and of a new generation. */
static int
take_number(struct apply *apply, struct error *err)
{
	const struct text name = key(apply, KEY_GENERATIONS);
	struct redis_reply *reply =
	    redis_run_script(apply->redis, &next_generation,
		&(struct redis_arguments){ &name, 1, NULL, 0 }, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(apply->redis, reply, "next generation", err);
	apply->number = redis_reply_integer(reply);
	redis_reply_destroy(reply);
	return rc;
}

static int
write_expiring(struct apply *apply, struct fields *fields, struct text name,
    struct error *err)
{
	enum { STAGE_TTL, STAGE_FIELD, STAGE_VALUE, STAGE_ARGS };
	struct text args[STAGE_ARGS] = { [STAGE_TTL] = TEXT(STAGE_MS) };
	const struct field *list;
	struct redis_reply *reply;
	int rc;

	if (fields_size(fields) == 0)
		return 0;
	list = fields_list(fields);
	args[STAGE_FIELD] = list[0].name;
	args[STAGE_VALUE] = list[0].value;
	reply = redis_run_script(apply->redis, &begin_stage,
	    &(struct redis_arguments){ &name, 1, args, STAGE_ARGS }, err);
	if (reply == NULL)
		return -1;
	rc = redis_reply_error(apply->redis, reply, "stage", err);
	redis_reply_destroy(reply);
	if (rc != 0 || fields_write(fields, apply->redis, name, err) != 0)
		return -1;
	return catalogue_lock_renew(&apply->lock, err);
}

/* Writes one stage; what an attempt before has left of it goes first. */
static int
write_stage(
    struct apply *apply, char letter, struct fields *fields, struct error *err)
{
	struct buffer name = { 0 };
	struct text unlink[2] = { TEXT("UNLINK"), TEXT_NONE };
	int rc;

	unlink[1] =
	    keyspace_stage(apply->keyspace, apply->number, letter, &name);
	rc = redis_do(apply->redis, unlink, 2, "UNLINK", err);
	if (rc == 0)
		rc = write_expiring(apply, fields, unlink[1], err);
	buffer_finish(&name);
	return rc;
}

static int
write_stages(struct apply *apply, struct error *err)
{
	const struct merge_changes *moving = &apply->merge.moving;
	struct fields *const stages[STAGES] = { moving->heads, moving->about,
		moving->versions, moving->branches, moving->added_versions,
		moving->heads_seen, moving->branches_seen,
		moving->branches_removed };
	size_t i;

	for (i = 0; i < STAGES; i++)
		if (write_stage(apply, stage_letters[i], stages[i], err) != 0)
			return -1;
	return 0;
}

static int
write_parts(struct apply *apply, struct error *err)
{
	const struct merge *merge = &apply->merge;
	struct buffer name = { 0 };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && merge->world_changed && i < CATALOGUE_HASHES;
	     i++) {
		buffer_reset(&name);
		rc = write_expiring(apply, merge->merged[i],
		    keyspace_part(apply->keyspace, apply->number,
			catalogue_hashes[i].part, &name),
		    err);
	}
	buffer_finish(&name);
	return rc;
}

/* 1 published, 0 somebody wrote in between, -1 failed. */
static int
judge_publish(
    struct apply *apply, const struct redis_reply *reply, struct error *err)
{
	struct text answer = redis_reply_text(reply);

	if (redis_reply_error(apply->redis, reply, "publish", err) != 0)
		return -1;
	if (text_equal(answer, TEXT("ok")))
		return 1;
	if (text_equal(answer, TEXT("moved")))
		return 0;
	return error_set(
	    err, ERROR_RETRY, "the lock was lost to another apply; try again");
}

/* What the script moves and where to; the keys' bytes lie in `out`. */
static size_t
list_publish_keys(
    const struct apply *apply, struct text *keys, struct buffer *out)
{
	const struct keyspace *keyspace = apply->keyspace;
	const struct merge *merge = &apply->merge;
	size_t i;

	keys[PUBLISH_LOCK] = key(apply, KEY_APPLY_LOCK);
	keys[PUBLISH_GENERATION] = key(apply, KEY_GENERATION);
	keys[PUBLISH_EDITION] = key(apply, KEY_EDITION);
	keys[PUBLISH_HEADS] = key(apply, KEY_HEADS);
	keys[PUBLISH_ABOUT] = key(apply, KEY_ABOUT);
	keys[PUBLISH_VERSIONS] = key(apply, KEY_VERSIONS);
	keys[PUBLISH_BRANCHES] = key(apply, KEY_BRANCHES);
	for (i = 0; i < STAGES; i++)
		keys[PUBLISH_STAGES + i] = keyspace_stage(
		    keyspace, apply->number, stage_letters[i], &out[i]);
	if (!merge->world_changed)
		return PUBLISH_PARTS;
	for (i = 0; i < CATALOGUE_HASHES; i++) {
		keys[PUBLISH_PARTS + i] = keyspace_part(keyspace, apply->number,
		    catalogue_hashes[i].part, &out[STAGES + i]);
		keys[PUBLISH_REPLACED + i] = keyspace_part(keyspace,
		    merge->generation, catalogue_hashes[i].part,
		    &out[STAGES + CATALOGUE_HASHES + i]);
	}
	return merge->generation > 0 ? PUBLISH_KEYS : PUBLISH_REPLACED;
}

static int
run_publish(struct apply *apply, struct error *err)
{
	const struct merge *merge = &apply->merge;
	struct buffer bytes[1 + PUBLISH_KEYS - PUBLISH_STAGES] = { 0 };
	char seen[TEXT_NUMBER_SIZE], new[TEXT_NUMBER_SIZE];
	const struct text args[PUBLISH_ARGS] = {
		[PUBLISH_TOKEN] = text_from(apply->lock.token),
		[PUBLISH_SEEN] = merge->generation > 0
		    ? text_of_number(merge->generation, seen)
		    : TEXT(""),
		[PUBLISH_NEW] = merge->world_changed
		    ? text_of_number(apply->number, new)
		    : TEXT(""),
		[PUBLISH_LISTS] =
		    keyspace_versions_of(apply->keyspace, TEXT(""), &bytes[0]),
		[PUBLISH_STAY] = TEXT(REPLACED_MS),
	};
	struct text keys[PUBLISH_KEYS];
	size_t n_keys = list_publish_keys(apply, keys, bytes + 1), i;
	struct redis_reply *reply = redis_run_script(apply->redis, &publish,
	    &(struct redis_arguments){ keys, n_keys, args, PUBLISH_ARGS }, err);
	int rc = reply != NULL ? judge_publish(apply, reply, err) : -1;

	redis_reply_destroy(reply);
	for (i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
		buffer_finish(&bytes[i]);
	return rc;
}

static bool
is_too_large(const struct merge *merge)
{
	return fields_size(merge->moving.heads) +
	    fields_size(merge->moving.branches) >
	    PUBLISHED_MAX;
}

/* A publish blocks Redis: what it moves has a bound. */
static int
refuse_size(const struct merge *merge, struct error *err)
{
	return error_set(err, ERROR_INPUT,
	    "%zu changed schedules and datasets with branches at once, more "
	    "than %d; split the file",
	    fields_size(merge->moving.heads) +
		fields_size(merge->moving.branches),
	    PUBLISHED_MAX);
}

/*
 * The first load of a large catalogue: nobody reads before there is a
 * generation, so heads and branches may go in pieces.
 */
static int
write_directly(struct apply *apply, struct error *err)
{
	const struct merge_changes *moving = &apply->merge.moving;
	const struct {
		enum keyspace_key key;
		struct fields *fields;
	} hashes[] = {
		{ KEY_VERSIONS, moving->versions },
		{ KEY_ABOUT, moving->about },
		{ KEY_BRANCHES, moving->branches },
		{ KEY_HEADS, moving->heads },
	};
	size_t i;

	if (merge_write_version_lists(&apply->merge, err) != 0)
		return -1;
	for (i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
		if (fields_write(hashes[i].fields, apply->redis,
			key(apply, hashes[i].key), err) != 0 ||
		    catalogue_lock_renew(&apply->lock, err) != 0)
			return -1;
	merge_forget_moving(&apply->merge);
	return 0;
}

static bool
is_empty(const struct merge *merge)
{
	const struct merge_changes *moving = &merge->moving;

	return !merge->world_changed && fields_size(moving->heads) == 0 &&
	    fields_size(moving->about) == 0 &&
	    fields_size(moving->versions) == 0 &&
	    fields_size(moving->added_versions) == 0 &&
	    fields_size(moving->branches) == 0 &&
	    fields_size(moving->branches_removed) == 0;
}

/* What the file says against what moves now; the file's faults by then. */
static int
merge_now(
    struct apply *apply, const struct catalogue_file *file, struct error *err)
{
	if (merge_moving(&apply->merge, file, err) != 0)
		return -1;
	return reader_result(apply->settings->reader, err);
}

/* The structure, once: only this process may publish a new one. */
static int
write_structure(struct apply *apply, struct error *err)
{
	struct merge *merge = &apply->merge;

	if (is_too_large(merge) && merge->generation > 0)
		return refuse_size(merge, err);
	if (is_too_large(merge) && write_directly(apply, err) != 0)
		return -1;
	if (take_number(apply, err) != 0)
		return -1;
	return write_parts(apply, err);
}

/*
 * One look at what moves, and the try to publish on it: 1 done, 0 again, -1
 * failed.
 */
static int
attempt_load(
    struct apply *apply, const struct catalogue_file *file, struct error *err)
{
	if (merge_now(apply, file, err) != 0)
		return -1;
	if (apply->settings->dry_run || is_empty(&apply->merge))
		return 1;
	if (catalogue_lock_renew(&apply->lock, err) != 0)
		return -1;
	if (apply->number == 0 && write_structure(apply, err) != 0)
		return -1;
	if (write_stages(apply, err) != 0)
		return -1;
	return run_publish(apply, err);
}

static int
load_catalogue(struct apply *apply, const struct catalogue_file *file,
    struct apply_report *report, struct error *err)
{
	const struct merge_settings settings = {
		.redis = apply->redis,
		.keyspace = apply->keyspace,
		.reader = apply->settings->reader,
		.prune = apply->settings->prune,
		.now_ms = apply->settings->now_ms,
	};
	struct merge *merge = &apply->merge;
	int attempts = 0, rc;

	if (catalogue_generation(
		apply->redis, apply->keyspace, &report->generation, err) != 0)
		return -1;
	merge_init(merge, &settings, report->generation);
	rc = merge_world(merge, file, err);
	while (rc == 0 && attempts++ < ATTEMPTS_MAX)
		rc = attempt_load(apply, file, err);
	if (rc == 1 && merge->world_changed && !apply->settings->dry_run)
		report->generation = apply->number;
	merge_count(merge, report->counts);
	merge_finish(merge);
	if (rc == 0)
		return error_set(err, ERROR_RETRY,
		    "schedules or datasets changed while the file was loaded, "
		    "%d times; try again",
		    ATTEMPTS_MAX);
	return rc < 0 ? -1 : 0;
}

int
catalogue_apply(const struct apply_settings *settings,
    const struct catalogue_file *file, struct apply_report *report,
    struct error *err)
{
	struct apply apply = {
		.settings = settings,
		.redis = settings->redis,
		.keyspace = settings->keyspace,
		.lock = { .redis = settings->redis,
		    .keyspace = settings->keyspace },
	};
	int rc;

	if (settings->dry_run)
		return load_catalogue(&apply, file, report, err);
	if (catalogue_lock_take(&apply.lock, settings->deadline_ms, err) != 0)
		return -1;
	rc = load_catalogue(&apply, file, report, err);
	catalogue_lock_release(&apply.lock);
	return rc == 0 ? redis_wait_replica(apply.redis, err) : -1;
}
