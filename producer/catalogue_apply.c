#include "producer/catalogue_apply.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/redis_replica.h"
#include "common/rid.h"
#include "producer/catalogue_merge.h"
#include "schemas/catalogue.h"

#define LOCK_MS "30000"
#define STAGE_MS "3600000"   /* leftovers of a killed apply */
#define REPLACED_MS "600000" /* batches under way still read the old one */
#define PUBLISHED_MAX 100000
#define ATTEMPTS_MAX 20
#define PAUSE_NS 200000000

/*
 * KEYS  lock, g, s, i, v, h
 * ARGV  token, generation that was read ("" = none), number of the stages,
 *       prefix, "1" if the stages' number becomes the generation, ms of the old
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
	    "call('DEL', KEYS[1])\n"
	    "return 'ok'\n",
};

/* Deletes the lock if it is still ours; renews it. */
static struct redis_script unlock = {
	.source = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
		  "  return redis.call('DEL', KEYS[1])\n"
		  "end\n"
		  "return 0\n",
};
static struct redis_script renew = {
	.source = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
		  "  return redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
		  "end\n"
		  "return 0\n",
};

struct apply {
	const struct apply_settings *settings;
	struct redis *redis;
	const struct keyspace *keyspace;
	char token[UUID_TEXT_SIZE + 1];
	char stages[24]; /* number of the stages and of a new generation */
	int64_t number;
};

static struct text
key(const struct apply *apply, enum keyspace_key which)
{
	return keyspace_key(apply->keyspace, which);
}

/* Takes the lock, waiting for another apply until the deadline. */
static int
lock(struct apply *apply, struct error *err)
{
	const struct text set[6] = { TEXT("SET"), key(apply, KEY_APPLY_LOCK),
		text_from(apply->token), TEXT("NX"), TEXT("PX"),
		TEXT(LOCK_MS) };
	const struct timespec pause = { 0, PAUSE_NS };

	for (;;) {
		struct redis_reply *reply =
		    redis_command(apply->redis, set, 6, err);
		bool taken;

		if (reply == NULL)
			return -1;
		if (redis_reply_error(apply->redis, reply, "SET NX", err) !=
		    0) {
			redis_reply_destroy(reply);
			return -1;
		}
		taken = redis_reply_type(reply) == REDIS_STATUS;
		redis_reply_destroy(reply);
		if (taken)
			return 0;
		if (clock_monotonic_ms() >= apply->settings->deadline_ms)
			return error_set(err, ERROR_RETRY,
			    "another apply is under way (%.*s); try again",
			    TEXT_ARG(key(apply, KEY_APPLY_LOCK)));
		nanosleep(&pause, NULL);
	}
}

/* Runs a script on the lock; *held is whether it was still ours. */
static int
touch_lock(struct apply *apply, struct redis_script *script, bool *held,
    struct error *err)
{
	const struct text lock_key = key(apply, KEY_APPLY_LOCK);
	const struct text args[2] = { text_from(apply->token), TEXT(LOCK_MS) };
	struct redis_reply *reply =
	    redis_run_script(apply->redis, script, &lock_key, 1, args, 2, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(apply->redis, reply, "lock", err);
	*held = redis_reply_integer(reply) == 1;
	redis_reply_destroy(reply);
	return rc;
}

static int
keep_lock(struct apply *apply, struct error *err)
{
	bool held = false;

	if (touch_lock(apply, &renew, &held, err) != 0)
		return -1;
	return held ? 0
		    : error_set(err, ERROR_RETRY,
			  "the lock was lost to another apply; try again");
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
	    (sscanf(value.at, "%lld", (long long *)generation) != 1 ||
		*generation <= 0))
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
	const struct text expire[3] = { TEXT("PEXPIRE"), name, TEXT(STAGE_MS) };

	if (fields_size(fields) == 0)
		return 0;
	if (fields_write(fields, apply->redis, name, err) != 0)
		return -1;
	if (redis_do(apply->redis, expire, 3, "PEXPIRE", err) != 0)
		return -1;
	return keep_lock(apply, err);
}

static int
write_stages(struct apply *apply, struct merge *merge, struct error *err)
{
	const struct {
		char letter;
		struct fields *fields;
	} stages[] = {
		{ 's', merge->heads },
		{ 'i', merge->about },
		{ 'v', merge->versions },
		{ 'w', merge->added_versions },
		{ 'h', merge->branches },
		{ 'S', merge->heads_seen },
		{ 'H', merge->branches_seen },
		{ 'D', merge->branches_removed },
	};
	struct buffer name = { 0 };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < sizeof stages / sizeof stages[0]; i++) {
		buffer_reset(&name);
		rc = write_expiring(apply, stages[i].fields,
		    keyspace_stage(apply->keyspace, apply->number,
			stages[i].letter, &name),
		    err);
	}
	buffer_finish(&name);
	return rc;
}

static int
write_parts(struct apply *apply, struct merge *merge, struct error *err)
{
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
run_publish(struct apply *apply, const struct merge *merge, struct error *err)
{
	const struct text keys[6] = { key(apply, KEY_APPLY_LOCK),
		key(apply, KEY_GENERATION), key(apply, KEY_HEADS),
		key(apply, KEY_ABOUT), key(apply, KEY_VERSIONS),
		key(apply, KEY_BRANCHES) };
	char seen[24] = "";
	struct text args[6] = { text_from(apply->token), TEXT_NONE,
		text_from(apply->stages), keyspace_prefix(apply->keyspace),
		merge->world_changed ? TEXT("1") : TEXT("0"),
		TEXT(REPLACED_MS) };
	struct redis_reply *reply;
	struct text answer;
	int rc = -1;

	if (merge->generation > 0)
		snprintf(
		    seen, sizeof seen, "%lld", (long long)merge->generation);
	args[1] = text_from(seen);
	reply = redis_run_script(apply->redis, &publish, keys, 6, args, 6, err);
	if (reply == NULL)
		return -1;
	answer = redis_reply_text(reply);
	if (redis_reply_error(apply->redis, reply, "publish", err) == 0) {
		if (text_equal(answer, TEXT("ok")))
			rc = 1;
		else if (text_equal(answer, TEXT("moved")))
			rc = 0;
		else
			error_set(err, ERROR_RETRY,
			    "the lock was lost to another apply; try again");
	}
	redis_reply_destroy(reply);
	return rc;
}

/* A publish blocks Redis: what it moves has a bound. */
static int
check_size(const struct merge *merge, struct error *err)
{
	size_t n = fields_size(merge->heads) + fields_size(merge->branches);

	if (n <= PUBLISHED_MAX)
		return 0;
	return error_set(err, ERROR_INPUT,
	    "%zu changed schedules and datasets with branches at once, more "
	    "than %d; split the file",
	    n, PUBLISHED_MAX);
}

/*
 * The first load of a large catalogue: nobody reads before there is a
 * generation, so heads and branches may go in pieces.
 */
static int
write_directly(struct apply *apply, struct merge *merge, struct error *err)
{
	if (fields_write(merge->versions, apply->redis,
		key(apply, KEY_VERSIONS), err) != 0 ||
	    keep_lock(apply, err) != 0 ||
	    fields_write(
		merge->about, apply->redis, key(apply, KEY_ABOUT), err) != 0 ||
	    keep_lock(apply, err) != 0 ||
	    fields_write(merge->branches, apply->redis,
		key(apply, KEY_BRANCHES), err) != 0 ||
	    keep_lock(apply, err) != 0 ||
	    merge_write_version_lists(
		merge, apply->redis, apply->keyspace, err) != 0 ||
	    keep_lock(apply, err) != 0 ||
	    fields_write(
		merge->heads, apply->redis, key(apply, KEY_HEADS), err) != 0)
		return -1;
	merge_forget_stages(merge);
	return keep_lock(apply, err);
}

static bool
is_empty(const struct merge *merge)
{
	return !merge->world_changed && fields_size(merge->heads) == 0 &&
	    fields_size(merge->about) == 0 &&
	    fields_size(merge->branches) == 0 &&
	    fields_size(merge->branches_removed) == 0;
}

static int
write_and_publish(struct apply *apply, struct merge *merge, struct error *err)
{
	if (is_empty(merge))
		return 1;
	if (merge->generation == 0 && check_size(merge, NULL) != 0 &&
	    write_directly(apply, merge, err) != 0)
		return -1;
	if (check_size(merge, err) != 0 || take_number(apply, err) != 0 ||
	    write_parts(apply, merge, err) != 0 ||
	    write_stages(apply, merge, err) != 0)
		return -1;
	return run_publish(apply, merge, err);
}

/* One attempt under the lock: 1 done, 0 again, -1 failed. */
static int
attempt(struct apply *apply, struct catalogue_file *file, struct arena *arena,
    struct apply_report *report, struct error *err)
{
	const struct merge_settings settings = {
		.redis = apply->redis,
		.keyspace = apply->keyspace,
		.prune = apply->settings->prune,
		.now_ms = apply->settings->now_ms,
	};
	struct merge merge;
	int64_t generation;
	int rc = -1;

	if (read_generation(apply, &generation, err) != 0)
		return -1;
	merge_init(&merge, &settings, generation, arena);
	if (merge_file(&merge, file, err) == 0)
		rc = apply->settings->dry_run
		    ? 1
		    : write_and_publish(apply, &merge, err);
	merge_count(&merge, report->counts);
	report->generation = generation;
	if (rc == 1 && merge.world_changed && !apply->settings->dry_run)
		report->generation = apply->number;
	merge_finish(&merge);
	return rc;
}

int
catalogue_apply(const struct apply_settings *settings,
    struct catalogue_file *file, struct arena *arena,
    struct apply_report *report, struct error *err)
{
	struct apply apply = { .settings = settings,
		.redis = settings->redis,
		.keyspace = settings->keyspace };
	struct uuid token = uuid_random();
	int attempts = 0, rc;
	bool held;

	uuid_format(&token, apply.token);
	if (lock(&apply, err) != 0)
		return -1;
	do
		rc = attempt(&apply, file, arena, report, err);
	while (rc == 0 && ++attempts < ATTEMPTS_MAX);
	/* A connection that failed must not leave the lock to its time-out. */
	if (redis_connect(apply.redis, NULL) == 0)
		touch_lock(&apply, &unlock, &held, NULL);
	if (rc == 0)
		return error_set(err, ERROR_RETRY,
		    "schedules or datasets changed while the file was loaded, "
		    "%d times; try again",
		    ATTEMPTS_MAX);
	if (rc < 0)
		return -1;
	return settings->dry_run ? 0 : redis_wait_replica(apply.redis, err);
}
