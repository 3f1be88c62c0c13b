#include "producer/trigger/fan_out.h"

#include <string.h>

#include "common/base/log.h"
#include "producer/catalogue/fields.h"
#include "schemas/embedded.h"

#define ASKED_TOGETHER ((size_t)1000)
#define FEW 200   /* that wait for something: read whole */
#define LIVE "--" /* of a head: neither paused nor deleted */

/* Of something that has happened, who waits for it. */
struct crowd {
	const struct happening *happening;
	struct fields *waiting; /* schedule -> version; NULL: nobody */
};

/* A fact of one of them, and how many wait for it. */
struct asked {
	struct crowd *crowd;
	struct text key;
	int64_t count;
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

static struct redis_reply *
hear_answer(struct fan_out *fan_out, const char *what, struct error *err)
{
	struct redis_reply *reply = redis_reply_checked(
	    fan_out->redis, redis_receive(fan_out->redis, err), what, err);

	/* Answers that nobody takes would be taken for others. */
	if (reply == NULL)
		redis_disconnect(fan_out->redis);
	return reply;
}

/* How many wait for each of some facts, by one round trip for all of them. */
static int
count_waiting(
    struct fan_out *fan_out, struct asked *asked, size_t n, struct error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		redis_append(fan_out->redis,
		    (const struct text[]){ TEXT("HLEN"), asked[i].key }, 2);
	for (i = 0; i < n; i++) {
		struct redis_reply *reply = hear_answer(fan_out, "HLEN", err);

		if (reply == NULL)
			return -1;
		asked[i].count = redis_reply_integer(reply);
		redis_reply_destroy(reply);
	}
	return 0;
}

static void
take_waiting(struct fields *waiting, const struct redis_reply *reply)
{
	size_t i;

	for (i = 0; i + 1 < redis_reply_size(reply); i += 2)
		fields_put(waiting, redis_reply_text(redis_reply_at(reply, i)),
		    redis_reply_text(redis_reply_at(reply, i + 1)));
}

/* They that are few, by one round trip for all facts. */
static int
read_few(
    struct fan_out *fan_out, struct asked *asked, size_t n, struct error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (asked[i].count > 0 && asked[i].count <= FEW)
			redis_append(fan_out->redis,
			    (const struct text[]){
				TEXT("HGETALL"), asked[i].key },
			    2);
	for (i = 0; i < n; i++) {
		struct redis_reply *reply;

		if (asked[i].count == 0 || asked[i].count > FEW)
			continue;
		reply = hear_answer(fan_out, "HGETALL", err);
		if (reply == NULL)
			return -1;
		take_waiting(asked[i].crowd->waiting, reply);
		redis_reply_destroy(reply);
	}
	return 0;
}

static int
read_waiting(
    struct fan_out *fan_out, struct asked *asked, size_t n, struct error *err)
{
	size_t i;

	if (count_waiting(fan_out, asked, n, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		if (asked[i].count > 0 && asked[i].crowd->waiting == NULL)
			asked[i].crowd->waiting = fields_create(fan_out->arena);
	if (read_few(fan_out, asked, n, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		if (asked[i].count > FEW &&
		    fields_read(asked[i].crowd->waiting, fan_out->redis,
			asked[i].key, err) != 0)
			return -1;
	return 0;
}

/* Of each happening the schedules, and the versions by which they wait. */
static int
find_waiting(
    struct fan_out *fan_out, struct crowd *crowds, size_t n, struct error *err)
{
	struct asked asked[ASKED_TOGETHER];
	size_t n_asked = 0, i, k;

	for (i = 0; i < n; i++) {
		const struct facts *facts = &crowds[i].happening->facts;

		for (k = 0; k < facts->n; k++) {
			asked[n_asked++] = (struct asked){ &crowds[i],
				key_of(fan_out, &facts->at[k], fan_out->arena),
				0 };
			if (n_asked < ASKED_TOGETHER)
				continue;
			if (read_waiting(fan_out, asked, n_asked, err) != 0)
				return -1;
			n_asked = 0;
		}
	}
	return read_waiting(fan_out, asked, n_asked, err);
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
	case TRIGGER_TIME:
		return FIRED_DUE;
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
    const struct fact *fact, struct error *err)
{
	const struct happening *happening = waiter->happening;
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

/* Asks whether the `and` is whole by this; in order, as all of Redis is. */
static void
ask_and(struct fan_out *fan_out, const struct waiter *waiter,
    const struct satisfied_and *satisfied)
{
	struct uuid event =
	    rid_firing(waiter->version_rid, waiter->happening->cause);
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

	redis_append_script(fan_out->redis, &fan_out->satisfy,
	    &(struct redis_arguments){ keys, sizeof keys / sizeof keys[0], args,
		sizeof args / sizeof args[0] });
	buffer_finish(&state);
	buffer_finish(&saw);
}

/* 1: it is whole by this; 0: not. */
static int
hear_and(struct fan_out *fan_out, struct error *err)
{
	struct redis_reply *reply = hear_answer(fan_out, "satisfy", err);
	int rc = reply != NULL ? (int)redis_reply_integer(reply) : -1;

	/* Maybe it was forgotten, by a Redis that was started anew. */
	if (reply == NULL)
		fan_out->satisfy.sha1[0] = '\0';
	redis_reply_destroy(reply);
	return rc;
}

/* Each `and` hears of it, also where something else fires already. */
static int
ask_waiters(struct fan_out *fan_out, struct waiter *waiters, size_t n,
    struct error *err)
{
	const struct satisfied_and *satisfied;
	size_t i;

	if (fan_out->satisfy.sha1[0] == '\0' &&
	    redis_load_script(fan_out->redis, &fan_out->satisfy, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		for (satisfied = waiters[i].satisfied.ands; satisfied != NULL;
		     satisfied = satisfied->next)
			ask_and(fan_out, &waiters[i], satisfied);
	return 0;
}

static int
fire_waiter(
    struct fan_out *fan_out, const struct waiter *waiter, struct error *err)
{
	const struct fact *fact = waiter->satisfied.alone;
	const struct satisfied_and *satisfied;

	for (satisfied = waiter->satisfied.ands; satisfied != NULL;
	     satisfied = satisfied->next) {
		int rc = hear_and(fan_out, err);

		if (rc < 0)
			return -1;
		if (rc == 1 && fact == NULL)
			fact = satisfied->fact;
	}
	if (fact == NULL || send_order(fan_out, waiter, fact, err) == 0)
		return 0;
	if (err->kind != ERROR_INPUT) {
		redis_disconnect(fan_out->redis);
		return -1;
	}
	/* It alone, and for good. */
	log_event(LOG_ERROR, "trigger", "not_fired", err->message,
	    LOG_T("schedule_rid", waiter->schedule_rid), LOG_END);
	return 0;
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

/* What is stored of those that wait: their schedules' heads, and versions. */
struct stored {
	struct fields *heads, *versions;
};

/* Those that are live, by what their versions say. */
static size_t
keep_live(struct waiter *waiters, size_t n, const struct stored *stored)
{
	struct arena *arena = fields_arena(stored->heads);
	size_t kept = 0, i;

	for (i = 0; i < n; i++) {
		struct waiter waiter = waiters[i];
		struct text version =
		    fields_get(stored->versions, waiter.version_rid);
		struct error err;

		if (version.at == NULL ||
		    !is_live(fields_get(stored->heads, waiter.schedule_rid),
			waiter.version_rid))
			continue;
		if (satisfy_read(version, &waiter.happening->facts, arena,
			&waiter.satisfied, &err) == 0)
			waiters[kept++] = waiter;
		else
			log_event(LOG_ERROR, "trigger", "not_fired",
			    err.message,
			    LOG_T("schedule_rid", waiter.schedule_rid),
			    LOG_END);
	}
	return kept;
}

static int
read_stored(struct fan_out *fan_out, const struct waiter *waiters, size_t n,
    const struct stored *stored, struct error *err)
{
	struct arena *arena = fields_arena(stored->heads);
	struct text *rids = arena_zalloc(arena, n + 1, sizeof *rids);
	struct text *names = arena_zalloc(arena, n + 1, sizeof *names);
	size_t i;

	for (i = 0; i < n; i++) {
		rids[i] = waiters[i].schedule_rid;
		names[i] = waiters[i].version_rid;
	}
	if (fields_read_some(stored->heads, fan_out->redis,
		keyspace_key(fan_out->keyspace, KEY_HEADS), rids, n, err) != 0)
		return -1;
	return fields_read_some(stored->versions, fan_out->redis,
	    keyspace_key(fan_out->keyspace, KEY_VERSIONS), names, n, err);
}

/* In the order of what has happened. */
static int
fire_some(struct fan_out *fan_out, struct waiter *waiters, size_t n,
    struct error *err)
{
	struct arena *arena = arena_create(0);
	const struct stored stored = { fields_create(arena),
		fields_create(arena) };
	int rc = read_stored(fan_out, waiters, n, &stored, err);
	size_t i;

	if (rc == 0) {
		n = keep_live(waiters, n, &stored);
		rc = ask_waiters(fan_out, waiters, n, err);
	}
	for (i = 0; rc == 0 && i < n; i++)
		rc = fire_waiter(fan_out, &waiters[i], err);
	fields_destroy(stored.heads);
	fields_destroy(stored.versions);
	arena_destroy(arena);
	return rc;
}

int
fan_out_tell(struct fan_out *fan_out, struct waiter *waiters, size_t n,
    struct error *err)
{
	size_t done, size;

	for (done = 0; done < n; done += size) {
		size = n - done < ASKED_TOGETHER ? n - done : ASKED_TOGETHER;
		if (fire_some(fan_out, waiters + done, size, err) != 0)
			return -1;
	}
	return 0;
}

static int
fire_crowds(struct fan_out *fan_out, const struct crowd *crowds, size_t n,
    struct error *err)
{
	struct waiter waiters[ASKED_TOGETHER];
	size_t n_waiters = 0, i, k;

	for (i = 0; i < n; i++) {
		const struct fields *waiting = crowds[i].waiting;

		for (k = 0; waiting != NULL && k < fields_size(waiting); k++) {
			const struct field *field = &fields_list(waiting)[k];

			waiters[n_waiters++] =
			    (struct waiter){ .happening = crowds[i].happening,
				    .schedule_rid = field->name,
				    .version_rid = field->value };
			if (n_waiters < ASKED_TOGETHER)
				continue;
			if (fire_some(fan_out, waiters, n_waiters, err) != 0)
				return -1;
			n_waiters = 0;
		}
	}
	return n_waiters > 0 ? fire_some(fan_out, waiters, n_waiters, err) : 0;
}

int
fan_out_fire(struct fan_out *fan_out, const struct happening *happenings,
    size_t n, struct arena *arena, struct error *err)
{
	struct crowd *crowds = arena_zalloc(arena, n + 1, sizeof *crowds);
	size_t i;
	int rc;

	fan_out->arena = arena;
	for (i = 0; i < n; i++)
		crowds[i].happening = &happenings[i];
	rc = find_waiting(fan_out, crowds, n, err);
	if (rc == 0)
		rc = fire_crowds(fan_out, crowds, n, err);
	for (i = 0; i < n; i++)
		fields_destroy(crowds[i].waiting);
	return rc;
}
