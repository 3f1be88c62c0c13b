#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/redis/pipeline.h"
#include "schemas/embedded.h"
#include "schemas/stored/claim.h"
#include "tests/sim/sim.h"
#include "worker/pipeline/store_check.h"

/*
 * Redis: strings (marks, attempts), claims by bucket and run, and the scripts
 * of schemas/lua that take, overwrite and release them, each one step.  What is
 * undone when it goes back is a number of last steps.  Expiry is not played:
 * a history is shorter than dedup.ttl.
 */
#define STRINGS_MAX 32
#define CLAIMS_MAX 16384 /* a power of two; half of it is enough */
#define UNDO_MAX 65536
#define QUEUE_MAX 8
#define ARGS_MAX 64
#define SHARDS 16
#define LATE_MS 3000
#define BACK_MAX 60

struct string {
	char key[120], value[48];
	size_t size; /* of the value; 0: it is not there */
};

struct held { /* a claim */
	bool is_used;
	int64_t bucket;
	unsigned char run[16], value[CLAIM_VALUE_SIZE];
	bool is_there;
};

struct undo {
	bool begins; /* a step */
	struct string *string, was_string;
	struct held *held, was_held;
};

struct command {
	const char *source; /* of a script; NULL: a plain one */
	size_t n_keys, n;   /* keys and then arguments, all in args */
	struct text args[ARGS_MAX];
	struct redis_reply *reply; /* it has been done */
};

struct redis_reply {
	enum redis_type type;
	int64_t integer;
	char text[64];
	size_t size; /* of the text, or of the array */
	struct redis_reply *items;
};

struct redis {
	int worker;
	bool is_connected;
	long life; /* of the server that it is connected to */
	struct command queue[QUEUE_MAX];
	size_t n_queue;
};

static struct {
	struct string strings[STRINGS_MAX];
	size_t n_strings;
	struct held claims[CLAIMS_MAX];
	struct undo undo[UNDO_MAX];
	size_t n_undo;
	bool step_begins;
	long life;
	int64_t down_until_ms, created_ms;
	bool is_whole;
} store;

static struct redis *connections[SIM_WORKERS];

/* State -------------------------------------------------------------------- */

void
store_start(void)
{
	memset(&store, 0, sizeof store);
	store.is_whole = true;
	store.created_ms = sim_wall_ms() - 2 * SIM_TTL_MS;
}

bool
store_is_whole(void)
{
	return store.is_whole;
}

void
store_init(void)
{
	sim_trace("somebody runs init");
	store.is_whole = true;
	store.created_ms = sim_wall_ms();
}

void
store_down(int64_t ms)
{
	store.down_until_ms = sim.now_ms + ms;
	store.life++;
}

static struct undo *
note_undo(void)
{
	struct undo *undo;

	if (store.n_undo == UNDO_MAX) { /* it can't go back further */
		store.n_undo = UNDO_MAX / 2;
		memmove(store.undo, store.undo + UNDO_MAX / 2,
		    store.n_undo * sizeof *store.undo);
	}
	undo = &store.undo[store.n_undo++];
	memset(undo, 0, sizeof *undo);
	undo->begins =
	    store.step_begins || sim.plan.mutant == MUTANT_MARK_APART;
	store.step_begins = false;
	return undo;
}

static struct string *
find_string(struct text key)
{
	struct string *string;
	size_t i;

	for (i = 0; i < store.n_strings; i++)
		if (text_equal(text_from(store.strings[i].key), key))
			return &store.strings[i];
	if (store.n_strings == STRINGS_MAX ||
	    key.size >= sizeof store.strings[0].key)
		abort();
	string = &store.strings[store.n_strings++];
	memcpy(string->key, key.at, key.size);
	return string;
}

static void
set_string(struct string *string, struct text value)
{
	struct undo *undo = note_undo();

	undo->string = string;
	undo->was_string = *string;
	memcpy(string->value, value.at, value.size);
	string->size = value.size;
}

static struct held *
find_claim(int64_t bucket, const unsigned char *run)
{
	size_t at;

	memcpy(&at, run, sizeof at);
	for (at += (size_t)bucket;; at++) {
		struct held *held = &store.claims[at % CLAIMS_MAX];

		if (!held->is_used) {
			held->is_used = true;
			held->bucket = bucket;
			memcpy(held->run, run, sizeof held->run);
			return held;
		}
		if (held->bucket == bucket &&
		    memcmp(held->run, run, sizeof held->run) == 0)
			return held;
	}
}

static void
set_claim(struct held *held, bool is_there, const void *value)
{
	struct undo *undo = note_undo();

	undo->held = held;
	undo->was_held = *held;
	held->is_there = is_there;
	if (is_there)
		memcpy(held->value, value, sizeof held->value);
}

static void
go_back_a_step(void)
{
	bool begins = false;

	while (store.n_undo > 0 && !begins) {
		const struct undo *undo = &store.undo[--store.n_undo];

		if (undo->string != NULL)
			*undo->string = undo->was_string;
		if (undo->held != NULL)
			*undo->held = undo->was_held;
		begins = undo->begins;
	}
}

void
store_break(bool wholly)
{
	size_t steps = wholly || sim_one_in(4) ? UNDO_MAX : sim_draw(BACK_MAX);

	sim_trace(
	    "Redis goes back %zu steps%s", steps, wholly ? ", to nothing" : "");
	sim.report->losses++;
	store.life++;
	while (steps-- > 0 && store.n_undo > 0)
		go_back_a_step();
	if (wholly)
		store.is_whole = false;
}

void
store_release_claims(const struct uuid *runs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		set_claim(find_claim(sim_wall_ms() / SIM_TTL_MS, runs[i].bytes),
		    false, NULL);
}

int64_t
store_mark(int partition)
{
	char key[] = "schedrun:m:schedule-run-requests:0";
	int64_t mark;
	const struct string *string;

	key[sizeof key - 2] = (char)('0' + partition);
	string = find_string(text_from(key));
	return text_to_number((struct text){ string->value, string->size },
		   INT64_MAX, &mark)
	    ? mark
	    : -1;
}

/* Scripts ------------------------------------------------------------------ */

static struct redis_reply *
make_reply(enum redis_type type)
{
	struct redis_reply *reply = memory_zalloc(1, sizeof *reply);

	reply->type = type;
	return reply;
}

static struct redis_reply *
integer_reply(int64_t integer)
{
	struct redis_reply *reply = make_reply(REDIS_INTEGER);

	reply->integer = integer;
	return reply;
}

static struct redis_reply *
text_reply(struct text text)
{
	struct redis_reply *reply = make_reply(REDIS_STRING);

	memcpy(reply->text, text.at, text.size);
	reply->size = text.size;
	return reply;
}

static void
add_item(struct redis_reply *reply, struct redis_reply *item)
{
	reply->items =
	    memory_resize(reply->items, reply->size + 1, sizeof *reply->items);
	reply->items[reply->size++] = *item;
	free(item);
}

static int64_t
number_of(struct text text)
{
	int64_t number = -1;

	return text_to_number(text, INT64_MAX, &number) ? number : -1;
}

static int64_t
mark_of(const struct string *string)
{
	return number_of((struct text){ string->value, string->size });
}

/* One claim: who has it already, or NULL. */
static const struct held *
take_claim(const char *packed, int64_t bucket, int64_t first_bucket)
{
	const unsigned char *run =
	    (const unsigned char *)packed + CLAIM_SHARD_SIZE;
	struct held *held = find_claim(bucket - 1, run);

	if (bucket > first_bucket && held->is_there)
		return held;
	held = find_claim(bucket, run);
	if (held->is_there)
		return held;
	set_claim(held, true, run + 16);
	return NULL;
}

/* schemas/lua/take.lua. */
static struct redis_reply *
take(const struct command *command)
{
	const struct text *argv = command->args + command->n_keys;
	struct redis_reply *reply = make_reply(REDIS_ARRAY);
	int64_t bucket = sim_wall_ms() / SIM_TTL_MS;
	struct text claims = argv[4];
	size_t i;

	for (i = 0; i < command->n_keys; i++) {
		int64_t mark = mark_of(find_string(command->args[i]));

		if (mark >= number_of(argv[6 + 2 * i]))
			continue;
		add_item(reply, integer_reply(-1));
		add_item(reply, integer_reply((int64_t)i + 1));
		add_item(reply, integer_reply(mark));
		add_item(reply, integer_reply(sim_wall_ms()));
		return reply;
	}
	for (i = 0; i < command->n_keys; i++)
		if (number_of(argv[7 + 2 * i]) >
		    mark_of(find_string(command->args[i])))
			set_string(
			    find_string(command->args[i]), argv[7 + 2 * i]);
	add_item(reply, integer_reply(bucket));
	add_item(reply, integer_reply(sim_wall_ms()));
	for (i = 0; i < claims.size / CLAIM_PACKED_SIZE; i++) {
		const struct held *held =
		    take_claim(claims.at + i * CLAIM_PACKED_SIZE, bucket,
			number_of(argv[3]));

		if (held == NULL)
			continue;
		add_item(reply, integer_reply((int64_t)i));
		add_item(reply,
		    text_reply((struct text){
			(const char *)held->value, CLAIM_VALUE_SIZE }));
	}
	return reply;
}

/* schemas/lua/overwrite.lua. */
static struct redis_reply *
overwrite(const struct command *command)
{
	const struct text *argv = command->args;
	const unsigned char *run = (const unsigned char *)argv[3].at;
	int64_t bucket = sim_wall_ms() / SIM_TTL_MS, at;
	struct held *held;

	for (at = bucket - 1; at <= bucket; at++) {
		held = find_claim(at, run);
		if (!held->is_there)
			continue;
		if (!text_equal((struct text){ (const char *)held->value,
				    CLAIM_VALUE_SIZE },
			argv[4]))
			return text_reply((struct text){
			    (const char *)held->value, CLAIM_VALUE_SIZE });
		break;
	}
	set_claim(held, true, argv[5].at);
	return integer_reply(1);
}

/* schemas/lua/release.lua. */
static struct redis_reply *
release(const struct command *command)
{
	struct text claims = command->args[2];
	int64_t bucket = sim_wall_ms() / SIM_TTL_MS, n = 0, at;

	for (; claims.size > 0;
	     claims.at += CLAIM_PACKED_SIZE, claims.size -= CLAIM_PACKED_SIZE) {
		const unsigned char *run =
		    (const unsigned char *)claims.at + CLAIM_SHARD_SIZE;

		for (at = bucket - 1; at <= bucket; at++) {
			struct held *held = find_claim(at, run);

			if (!held->is_there ||
			    memcmp(held->value, run + 16, CLAIM_VALUE_SIZE) !=
				0)
				continue;
			set_claim(held, false, NULL);
			n++;
		}
	}
	return integer_reply(n);
}

static struct redis_reply *
execute(const struct command *command)
{
	struct string *string;

	store.step_begins = true;
	if (command->source == lua_take)
		return take(command);
	if (command->source == lua_overwrite)
		return overwrite(command);
	if (command->source == lua_release)
		return release(command);
	string = find_string(command->args[1]);
	if (text_equal(command->args[0], TEXT("GET")))
		return string->size > 0
		    ? text_reply((struct text){ string->value, string->size })
		    : make_reply(REDIS_NIL);
	if (!text_equal(command->args[0], TEXT("SET")))
		abort();
	set_string(string, command->args[2]);
	return make_reply(REDIS_STATUS);
}

/* Connection --------------------------------------------------------------- */

static void
execute_late(const struct sim_late *late)
{
	struct command *command = late->bytes;

	if (late->c == store.life) {
		sim_trace("a command of a dead connection comes late");
		execute(command);
	}
	free(command);
}

/* What was sent and not done may come yet. */
static void
close_connection(struct redis *redis)
{
	size_t i;

	for (i = 0; i < redis->n_queue; i++) {
		struct command *copy;

		if (redis->queue[i].reply != NULL ||
		    redis->life != store.life || !sim_fault(FAULT_REDIS_LATE))
			continue;
		copy = memory_alloc(sizeof *copy);
		*copy = redis->queue[i];
		sim_later((int64_t)sim_draw(LATE_MS), execute_late,
		    (struct sim_late){ .c = store.life, .bytes = copy });
	}
	redis->n_queue = 0;
	redis->is_connected = false;
}

static int
lose_connection(struct redis *redis, struct error *err)
{
	close_connection(redis);
	return error_set(err, ERROR_RETRY, "the connection to Redis is lost");
}

static bool
is_usable(struct redis *redis)
{
	return redis->is_connected && redis->life == store.life &&
	    store.down_until_ms <= sim.now_ms;
}

void
store_forget_worker(int worker)
{
	if (connections[worker] != NULL)
		close_connection(connections[worker]);
	connections[worker] = NULL;
}

static void
queue_command(struct redis *redis, const char *source, const struct text *keys,
    size_t n_keys, const struct text *args, size_t n)
{
	struct command *command = &redis->queue[redis->n_queue++];
	size_t i;

	if (n_keys + n > ARGS_MAX || redis->n_queue > QUEUE_MAX)
		abort();
	*command =
	    (struct command){ .source = source, .n_keys = n_keys, .n = n };
	for (i = 0; i < n_keys + n; i++) {
		struct text from = i < n_keys ? keys[i] : args[i - n_keys];
		char *copy = memory_alloc(from.size + 1);

		memcpy(copy, from.at, from.size);
		command->args[i] = (struct text){ copy, from.size };
	}
}

/* Does what was sent up to the `n`-th, in order. */
static void
execute_queue(struct redis *redis, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (redis->queue[i].reply == NULL)
			redis->queue[i].reply = execute(&redis->queue[i]);
}

WRAP(struct redis *, redis_create, const struct redis_settings *settings,
    struct error *err)
{
	struct redis *redis = memory_zalloc(1, sizeof *redis);

	(void)settings;
	(void)err;
	redis->worker = sim_worker();
	connections[redis->worker] = redis;
	return redis;
}

WRAP(void, redis_destroy, struct redis *redis)
{
	if (redis != NULL)
		connections[redis->worker] = NULL;
	free(redis);
}

WRAP(void, redis_disconnect, struct redis *redis)
{
	close_connection(redis);
}

WRAP(bool, redis_is_connected, const struct redis *redis)
{
	return redis->is_connected;
}

WRAP(const char *, redis_address, const struct redis *redis)
{
	(void)redis;
	return "redis";
}

WRAP(void, redis_append_script, struct redis *redis,
    struct redis_script *script, const struct redis_arguments *with)
{
	queue_command(redis, script->source, with->keys, with->n_keys,
	    with->args, with->n_args);
}

WRAP(int, redis_send, struct redis *redis, struct error *err)
{
	if (!is_usable(redis))
		return lose_connection(redis, err);
	execute_queue(redis, sim_draw(redis->n_queue + 1));
	return 0;
}

WRAP(
    struct redis_reply *, redis_receive, struct redis *redis, struct error *err)
{
	struct redis_reply *reply;

	sim_pause((int64_t)sim_draw(2));
	if (redis->n_queue == 0 || !is_usable(redis) ||
	    sim_fault(FAULT_REDIS_CUT)) {
		lose_connection(redis, err);
		return NULL;
	}
	execute_queue(redis, 1);
	sim_pause(0);
	if (!is_usable(redis) || sim_fault(FAULT_REDIS_CUT)) {
		lose_connection(redis, err);
		return NULL;
	}
	reply = redis->queue[0].reply;
	memmove(redis->queue, redis->queue + 1,
	    --redis->n_queue * sizeof *redis->queue);
	return reply;
}

WRAP(struct redis_reply *, redis_run_script, struct redis *redis,
    struct redis_script *script, const struct redis_arguments *with,
    struct error *err)
{
	queue_command(redis, script->source, with->keys, with->n_keys,
	    with->args, with->n_args);
	return __wrap_redis_receive(redis, err);
}

WRAP(struct redis_reply *, redis_command, struct redis *redis,
    const struct text *argv, size_t n, struct error *err)
{
	queue_command(redis, NULL, NULL, 0, argv, n);
	return __wrap_redis_receive(redis, err);
}

WRAP(int, redis_do, struct redis *redis, const struct text *argv, size_t n,
    const char *what, struct error *err)
{
	struct redis_reply *reply = __wrap_redis_command(redis, argv, n, err);

	(void)what;
	free(reply);
	return reply != NULL ? 0 : -1;
}

WRAP(int, redis_clock, struct redis *redis, int64_t *now_ms, struct error *err)
{
	sim_pause(0);
	*now_ms = sim_wall_ms();
	return is_usable(redis) ? 0 : lose_connection(redis, err);
}

WRAP(int, redis_load_script, struct redis *redis, struct redis_script *script,
    struct error *err)
{
	(void)script;
	sim_pause(0);
	return is_usable(redis) ? 0 : lose_connection(redis, err);
}

WRAP(void, redis_reply_destroy, struct redis_reply *reply)
{
	if (reply != NULL)
		free(reply->items);
	free(reply);
}

WRAP(enum redis_type, redis_reply_type, const struct redis_reply *reply)
{
	return reply != NULL ? reply->type : REDIS_NIL;
}

WRAP(struct text, redis_reply_text, const struct redis_reply *reply)
{
	return reply->type == REDIS_STRING
	    ? (struct text){ reply->text, reply->size }
	    : TEXT_NONE;
}

WRAP(int64_t, redis_reply_integer, const struct redis_reply *reply)
{
	return reply != NULL && reply->type == REDIS_INTEGER ? reply->integer
							     : 0;
}

WRAP(size_t, redis_reply_size, const struct redis_reply *reply)
{
	return reply->type == REDIS_ARRAY ? reply->size : 0;
}

WRAP(const struct redis_reply *, redis_reply_at,
    const struct redis_reply *reply, size_t i)
{
	return reply->type == REDIS_ARRAY && i < reply->size ? &reply->items[i]
							     : NULL;
}

WRAP(int, redis_reply_error, struct redis *redis,
    const struct redis_reply *reply, const char *what, struct error *err)
{
	(void)redis;
	(void)reply;
	(void)what;
	(void)err;
	return 0;
}

WRAP(int, store_check_run, const struct store_check *check,
    struct store_facts *facts, struct error *err)
{
	struct redis *redis = check->redis;

	sim_travel();
	if (store.down_until_ms > sim.now_ms)
		return lose_connection(redis, err);
	if (redis->life != store.life)
		redis->is_connected = false;
	if (!redis->is_connected) {
		redis->n_queue = 0;
		redis->life = store.life;
	}
	redis->is_connected = true;
	if (!store.is_whole)
		return error_set(err, ERROR_RETRY, "no meta");
	facts->meta.created_ms = store.created_ms;
	facts->meta.shards = SHARDS;
	return 0;
}
