#include "producer/catalogue/apply.h"

#include <stdio.h>
#include <string.h>

#include "common/redis/replica.h"
#include "producer/catalogue/lock.h"
#include "producer/catalogue/merge.h"

#define STAGE_MS "3600000"   /* leftovers of a killed apply */
#define REPLACED_MS "600000" /* batches under way still read the old one */
#define PUBLISHED_MAX 100000
#define ATTEMPTS_MAX 100 /* against commits in between */

/*
 * KEYS  lock, g, s, i, v, h, e
 * ARGV  token, which becomes the edition, generation that was read ("" =
 *       none), number of the stages, prefix, "1" if the stages' number becomes
 *       the generation, ms of the old
 * Answers "ok", "lock" (lost), "moved" (somebody wrote in between).
 */
static struct redis_script publish = {
	.source =
	    "local call = redis.call\n"
	    "if call('GET', KEYS[1]) ~= ARGV[1] then return 'lock' end\n"
	    "if (call('GET', KEYS[2]) or '') ~= ARGV[2] then return 'moved' "
	    "end\n"
	    "local base = ARGV[4] .. 'g' .. ARGV[3]\n"
	    "local function stage(name) return base .. ':S:' .. name end\n"
	    "local function is_same(name, key)\n"
	    "  local list = call('HGETALL', stage(name))\n"
	    "  for i = 1, #list, 2 do\n"
	    "    if (call('HGET', key, list[i]) or '') ~= list[i + 1] then\n"
	    "      return false\n"
	    "    end\n"
	    "  end\n"
	    "  return true\n"
	    "end\n"
	    "if not is_same('S', KEYS[3]) or not is_same('H', KEYS[6]) then\n"
	    "  return 'moved'\n"
	    "end\n"
	    "local function move(name, key)\n"
	    "  local list = call('HGETALL', stage(name))\n"
	    "  for i = 1, #list, 1000 do\n"
	    "    call('HSET', key, unpack(list, i, math.min(i + 999, "
	    "#list)))\n"
	    "  end\n"
	    "end\n"
	    "move('s', KEYS[3])\n"
	    "move('i', KEYS[4])\n"
	    "move('v', KEYS[5])\n"
	    "move('h', KEYS[6])\n"
	    "local gone = call('HKEYS', stage('D'))\n"
	    "for i = 1, #gone do call('HDEL', KEYS[6], gone[i]) end\n"
	    "local added = call('HGETALL', stage('w'))\n"
	    "for i = 1, #added, 2 do\n"
	    "  for rid in string.gmatch(added[i + 1], '[^\\n]+') do\n"
	    "    call('RPUSH', ARGV[4] .. 'w:' .. added[i], rid)\n"
	    "  end\n"
	    "end\n"
	    "for name in string.gmatch('sivwhSHD', '.') do\n"
	    "  call('UNLINK', stage(name))\n"
	    "end\n"
	    "if ARGV[5] == '1' then\n"
	    "  for part in string.gmatch('djupl', '.') do\n"
	    "    call('PERSIST', base .. ':' .. part)\n"
	    "    if ARGV[2] ~= '' then\n"
	    "      call('PEXPIRE', ARGV[4] .. 'g' .. ARGV[2] .. ':' .. part, "
	    "ARGV[6])\n"
	    "    end\n"
	    "  end\n"
	    "  call('SET', KEYS[2], ARGV[3])\n"
	    "end\n"
	    "call('SET', KEYS[7], ARGV[1])\n"
	    "call('DEL', KEYS[1])\n"
	    "return 'ok'\n",
};

/*
 * KEYS a hash   ARGV ms, field, value.  Its first field with its expiry: killed
 * at any moment, nothing is left for good.
 */
static struct redis_script begin_stage = {
	.source = "redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])\n"
		  "return redis.call('PEXPIRE', KEYS[1], ARGV[1])\n",
};

struct apply {
	const struct apply_settings *settings;
	struct redis *redis;
	const struct keyspace *keyspace;
	struct catalogue_lock lock;
	struct merge merge;
	int64_t number; /* of the stages and of a new generation; 0: none yet */
	char stages[24]; /* the same as text */
};

static struct text
key(const struct apply *apply, enum keyspace_key which)
{
	return keyspace_key(apply->keyspace, which);
}

/* The current generation, 0 if there is none. */
static int
read_generation(struct apply *apply, int64_t *generation, struct error *err)
{
	const struct text get[2] = { TEXT("GET"), key(apply, KEY_GENERATION) };
	struct redis_reply *reply = redis_command(apply->redis, get, 2, err);
	struct text value;
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(apply->redis, reply, "GET g", err);
	value = redis_reply_text(reply);
	*generation = 0;
	if (rc == 0 && value.at != NULL &&
	    (!text_to_number(value, INT64_MAX, generation) || *generation == 0))
		rc = error_fatal(err, 78,
		    "redis %s: %.*s is not a generation's number",
		    redis_address(apply->redis), TEXT_ARG(get[1]));
	redis_reply_destroy(reply);
	return rc;
}

/*
 * The next number: Redis's clock in milliseconds, or one more than the last.
 * So no number is ever given out twice, not even by a Redis that was emptied or
 * went back in time: what readers cache is of one generation for good.
 */
static int
take_number(struct apply *apply, struct error *err)
{
	static struct redis_script next = {
		.source =
		    "local time = redis.call('TIME')\n"
		    "local now = tonumber(time[1]) * 1000 +\n"
		    "    math.floor(tonumber(time[2]) / 1000)\n"
		    "local last = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
		    "if now <= (last or 0) then now = last + 1 end\n"
		    "redis.call('SET', KEYS[1], string.format('%.0f', now))\n"
		    "return now\n",
	};
	const struct text name = key(apply, KEY_GENERATIONS);
	struct redis_reply *reply =
	    redis_run_script(apply->redis, &next, &name, 1, NULL, 0, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(apply->redis, reply, "next generation", err);
	apply->number = redis_reply_integer(reply);
	snprintf(apply->stages, sizeof apply->stages, "%lld",
	    (long long)apply->number);
	redis_reply_destroy(reply);
	return rc;
}

static int
write_expiring(struct apply *apply, struct fields *fields, struct text name,
    struct error *err)
{
	const struct field *list;
	struct redis_reply *reply;
	int rc;

	if (fields_size(fields) == 0)
		return 0;
	list = fields_list(fields);
	reply = redis_run_script(apply->redis, &begin_stage, &name, 1,
	    (struct text[]){ TEXT(STAGE_MS), list[0].name, list[0].value }, 3,
	    err);
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
	const struct merge_moving *moving = &apply->merge.moving;
	const struct {
		char letter;
		struct fields *fields;
	} stages[] = {
		{ 's', moving->heads },
		{ 'i', moving->about },
		{ 'v', moving->versions },
		{ 'w', moving->added_versions },
		{ 'h', moving->branches },
		{ 'S', moving->heads_seen },
		{ 'H', moving->branches_seen },
		{ 'D', moving->branches_removed },
	};
	size_t i;

	for (i = 0; i < sizeof stages / sizeof stages[0]; i++)
		if (write_stage(
			apply, stages[i].letter, stages[i].fields, err) != 0)
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

	for (i = 0; rc == 0 && merge->world_changed && i < MERGE_PARTS; i++) {
		buffer_reset(&name);
		rc = write_expiring(apply, merge->parts[i].merged,
		    keyspace_part(apply->keyspace, apply->number,
			merge->parts[i].part, &name),
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

static int
run_publish(struct apply *apply, struct error *err)
{
	const struct text keys[7] = { key(apply, KEY_APPLY_LOCK),
		key(apply, KEY_GENERATION), key(apply, KEY_HEADS),
		key(apply, KEY_ABOUT), key(apply, KEY_VERSIONS),
		key(apply, KEY_BRANCHES), key(apply, KEY_EDITION) };
	const struct merge *merge = &apply->merge;
	char seen[24] = "";
	struct text args[6] = { text_from(apply->lock.token), TEXT_NONE,
		text_from(apply->stages), keyspace_prefix(apply->keyspace),
		merge->world_changed ? TEXT("1") : TEXT("0"),
		TEXT(REPLACED_MS) };
	struct redis_reply *reply;
	int rc;

	if (merge->generation > 0)
		snprintf(
		    seen, sizeof seen, "%lld", (long long)merge->generation);
	args[1] = text_from(seen);
	reply = redis_run_script(apply->redis, &publish, keys, 7, args, 6, err);
	if (reply == NULL)
		return -1;
	rc = judge_publish(apply, reply, err);
	redis_reply_destroy(reply);
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
	const struct merge_moving *moving = &apply->merge.moving;
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
	const struct merge_moving *moving = &merge->moving;

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
attempt(
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
load(struct apply *apply, const struct catalogue_file *file,
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

	if (read_generation(apply, &report->generation, err) != 0)
		return -1;
	merge_init(merge, &settings, report->generation);
	rc = merge_world(merge, file, err);
	while (rc == 0 && attempts++ < ATTEMPTS_MAX)
		rc = attempt(apply, file, err);
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
		return load(&apply, file, report, err);
	if (catalogue_lock_take(&apply.lock, settings->deadline_ms, err) != 0)
		return -1;
	rc = load(&apply, file, report, err);
	catalogue_lock_release(&apply.lock);
	return rc == 0 ? redis_wait_replica(apply.redis, err) : -1;
}
