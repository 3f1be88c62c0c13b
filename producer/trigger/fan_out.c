#include "producer/trigger/fan_out.h"

#include <string.h>

#include "common/base/log.h"
#include "producer/catalogue/fields.h"
#include "schemas/embedded.h"

#define ASKED_TOGETHER ((size_t)1000)
#define LIVE "--" /* of a head: neither paused nor deleted */

/* A schedule that waits for what has happened. */
struct waiter {
	struct text schedule_rid, version_rid;
	struct text version; /* its JSON */
};

void
fan_out_init(struct fan_out *fan_out, struct redis *redis,
    const struct keyspace *keyspace, struct firing *firing, int64_t keep_ms)
{
	*fan_out = (struct fan_out){
		.redis = redis,
		.keyspace = keyspace,
		.firing = firing,
		.keep_ms = keep_ms,
		.satisfy = { .source = lua_satisfy },
	};
}

/* Who waits --------------------------------------------------------------- */

static struct text
key_of(
    const struct fan_out *fan_out, const struct fact *fact, struct arena *arena)
{
	struct buffer out = { 0 };

	keyspace_waiting(fan_out->keyspace, trigger_type_name(fact->type),
	    fact->rid, fact->branch, &out);
	return buffer_keep(&out, arena);
}

/* How many wait for each of some facts, by one round trip for all of them. */
static int
count_waiting(struct fan_out *fan_out, const struct text *keys, int64_t *counts,
    size_t n, struct error *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < n; i++)
		redis_append(fan_out->redis,
		    (const struct text[]){ TEXT("HLEN"), keys[i] }, 2);
	for (i = 0; rc == 0 && i < n; i++) {
		struct redis_reply *reply = redis_receive(fan_out->redis, err);

		if (reply == NULL)
			return -1;
		rc = redis_reply_error(fan_out->redis, reply, "HLEN", err);
		counts[i] = redis_reply_integer(reply);
		redis_reply_destroy(reply);
	}
	/* Answers that nobody takes would be taken for others. */
	if (rc != 0)
		redis_disconnect(fan_out->redis);
	return rc;
}

/* Schedules and the versions by which they wait for any of the facts. */
static int
find_waiting(struct fan_out *fan_out, const struct facts *facts,
    struct fields *waiting, struct error *err)
{
	struct arena *arena = fields_arena(waiting);
	struct text keys[ASKED_TOGETHER];
	int64_t counts[ASKED_TOGETHER];
	size_t done, n, i;
	int rc = 0;

	for (done = 0; rc == 0 && done < facts->n; done += n) {
		n = facts->n - done < ASKED_TOGETHER ? facts->n - done
						     : ASKED_TOGETHER;
		for (i = 0; i < n; i++)
			keys[i] = key_of(fan_out, &facts->at[done + i], arena);
		rc = count_waiting(fan_out, keys, counts, n, err);
		for (i = 0; rc == 0 && i < n; i++)
			if (counts[i] > 0)
				rc = fields_read(
				    waiting, fan_out->redis, keys[i], err);
	}
	return rc;
}

/* Firing ------------------------------------------------------------------ */

static enum trigger_fired
fired_by(const struct fact *fact)
{
	switch (fact->type) {
	case TRIGGER_NEW_LOGIC:
		return FIRED_NEW_LOGIC;
	case TRIGGER_JOB_SUCCEEDED:
		return FIRED_JOB_SUCCEEDED;
	case TRIGGER_SCHEDULE_SUCCEEDED:
		return FIRED_SCHEDULE_SUCCEEDED;
	case TRIGGER_SCHEDULE_FAILED:
		return FIRED_SCHEDULE_FAILED;
	default: /* what is no event is not found by facts */
		return FIRED_DATASET_UPDATED;
	}
}

static struct text
first_line(struct text text)
{
	const char *end = memchr(text.at, '\n', text.size);

	return end == NULL ? text
			   : (struct text){ text.at, (size_t)(end - text.at) };
}

static int
send_order(struct fan_out *fan_out, const struct waiter *waiter,
    const struct fact *fact, const struct happening *happening,
    struct error *err)
{
	struct buffer trigger = { 0 };
	struct firing_order order = {
		.schedule_rid = waiter->schedule_rid,
		.version_rid = waiter->version_rid,
		.cause = happening->cause,
		.kind = fired_by(fact),
		.at_ms = happening->at_ms,
	};
	int rc;

	buffer_format(&trigger, "%s: %.*s", trigger_type_name(fact->type),
	    TEXT_ARG(first_line(happening->cause)));
	order.trigger = buffer_text(&trigger);
	rc = firing_send(fan_out->firing, &order, err);
	buffer_finish(&trigger);
	return rc;
}

/* 1: it is whole by this; 0: not. */
static int
satisfy_and(struct fan_out *fan_out, const struct waiter *waiter,
    const struct satisfied_and *satisfied, const struct happening *happening,
    struct error *err)
{
	struct uuid event = rid_firing(waiter->version_rid, happening->cause);
	struct buffer state = { 0 }, saw = { 0 };
	char number[TEXT_NUMBER_SIZE], keep[TEXT_NUMBER_SIZE];
	const struct text keys[] = {
		keyspace_key(fan_out->keyspace, KEY_HEADS),
		keyspace_and(
		    fan_out->keyspace, "and", waiter->version_rid, &state),
		keyspace_and(
		    fan_out->keyspace, "saw", waiter->version_rid, &saw),
	};
	const struct text args[] = { waiter->schedule_rid, waiter->version_rid,
		text_of_number((int64_t)satisfied->number, number),
		satisfied->form,
		{ (const char *)event.bytes, sizeof event.bytes },
		text_of_number(fan_out->keep_ms, keep), satisfied->leaves };
	struct redis_reply *reply =
	    redis_ask_script(fan_out->redis, &fan_out->satisfy,
		&(struct redis_arguments){ keys, sizeof keys / sizeof keys[0],
		    args, sizeof args / sizeof args[0] },
		"satisfy", err);
	int rc = reply != NULL ? (int)redis_reply_integer(reply) : -1;

	redis_reply_destroy(reply);
	buffer_finish(&state);
	buffer_finish(&saw);
	return rc;
}

/* Each `and` hears of it, also where something else fires already. */
static int
fire_waiter(struct fan_out *fan_out, const struct waiter *waiter,
    const struct happening *happening, struct arena *arena, struct error *err)
{
	const struct satisfied_and *satisfied_and;
	struct satisfied satisfied;
	const struct fact *fact;
	int rc = satisfy_read(
	    waiter->version, &happening->facts, arena, &satisfied, err);

	fact = satisfied.alone;
	for (satisfied_and = satisfied.ands; rc >= 0 && satisfied_and != NULL;
	     satisfied_and = satisfied_and->next) {
		rc =
		    satisfy_and(fan_out, waiter, satisfied_and, happening, err);
		if (rc == 1 && fact == NULL)
			fact = satisfied_and->fact;
	}
	if (rc < 0 || fact == NULL)
		return rc < 0 ? -1 : 0;
	return send_order(fan_out, waiter, fact, happening, err);
}

/* Whether the schedule still has the version, and is neither paused nor
 * deleted. */
static bool
is_live(struct text head, struct text version)
{
	return head.size == sizeof LIVE - 1 + version.size &&
	    text_starts_with(head, TEXT(LIVE)) &&
	    memcmp(head.at + sizeof LIVE - 1, version.at, version.size) == 0;
}

/* Some of those that wait, each with its head and version; what is not there is
 * not live. */
struct waiters {
	const struct field *list;
	size_t n;
	struct fields *heads, *versions;
};

static int
read_versions(
    struct fan_out *fan_out, const struct waiters *waiters, struct error *err)
{
	struct arena *arena = fields_arena(waiters->heads);
	size_t n = waiters->n, i;
	struct text *rids = arena_zalloc(arena, n, sizeof *rids);
	struct text *names = arena_zalloc(arena, n, sizeof *names);

	for (i = 0; i < n; i++) {
		rids[i] = waiters->list[i].name;
		names[i] = waiters->list[i].value;
	}
	if (fields_read_some(waiters->heads, fan_out->redis,
		keyspace_key(fan_out->keyspace, KEY_HEADS), rids, n, err) != 0)
		return -1;
	return fields_read_some(waiters->versions, fan_out->redis,
	    keyspace_key(fan_out->keyspace, KEY_VERSIONS), names, n, err);
}

static int
fire_one(struct fan_out *fan_out, const struct waiters *waiters,
    const struct field *waiting, const struct happening *happening,
    struct error *err)
{
	const struct waiter waiter = { waiting->name, waiting->value,
		fields_get(waiters->versions, waiting->value) };

	if (waiter.version.at == NULL ||
	    !is_live(
		fields_get(waiters->heads, waiting->name), waiter.version_rid))
		return 0;
	if (fire_waiter(fan_out, &waiter, happening,
		fields_arena(waiters->heads), err) == 0)
		return 0;
	if (err->kind != ERROR_INPUT)
		return -1;
	/* It alone, and for good. */
	log_event(LOG_ERROR, "trigger", "not_fired", err->message,
	    LOG_T("schedule_rid", waiting->name), LOG_END);
	return 0;
}

static int
fire_some(struct fan_out *fan_out, const struct field *list, size_t n,
    const struct happening *happening, struct error *err)
{
	struct arena *arena = arena_create(0);
	const struct waiters waiters = { list, n, fields_create(arena),
		fields_create(arena) };
	int rc = read_versions(fan_out, &waiters, err);
	size_t i;

	for (i = 0; rc == 0 && i < n; i++)
		rc = fire_one(fan_out, &waiters, &list[i], happening, err);
	fields_destroy(waiters.heads);
	fields_destroy(waiters.versions);
	arena_destroy(arena);
	return rc;
}

int
fan_out_fire(struct fan_out *fan_out, const struct happening *happening,
    struct arena *arena, struct error *err)
{
	struct fields *waiting = fields_create(arena);
	int rc = find_waiting(fan_out, &happening->facts, waiting, err);
	size_t n = rc == 0 ? fields_size(waiting) : 0, done, size;
	const struct field *list = n > 0 ? fields_list(waiting) : NULL;

	for (done = 0; rc == 0 && done < n; done += size) {
		size = n - done < ASKED_TOGETHER ? n - done : ASKED_TOGETHER;
		rc = fire_some(fan_out, list + done, size, happening, err);
	}
	fields_destroy(waiting);
	return rc;
}
