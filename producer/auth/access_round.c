#include "producer/auth/access_round.h"

#include <stdlib.h>

#include "common/base/buffer.h"
#include "schemas/keyspace.h"

void
access_round_begin(struct access_round *round, struct access access,
    struct role_cache *roles, struct schedule_access *schedule)
{
	*round = (struct access_round){
		.access = access, .roles = roles, .schedule = schedule
	};
}

static struct redis *
redis_of(const struct access_round *round)
{
	return round->access.store->redis;
}

static struct text
key_of(const struct access_round *round, enum keyspace_key key)
{
	return keyspace_key(round->access.store->keyspace, key);
}

static void
ask_heads(struct access_round *round)
{
	struct redis *redis = redis_of(round);
	struct text rid = round->schedule->rid;

	redis_append(redis,
	    (struct text[]){ TEXT("GET"), key_of(round, KEY_GENERATION) }, 2);
	redis_append(redis,
	    (struct text[]){ TEXT("HGET"), key_of(round, KEY_HEADS), rid }, 3);
	redis_append(redis,
	    (struct text[]){ TEXT("HGET"), key_of(round, KEY_ABOUT), rid }, 3);
}

static void
ask_roles(struct access_round *round)
{
	struct arena *arena = round->access.arena;
	struct text user = http_caller_user(round->access.caller);
	size_t n = round->unknown.n, i;
	struct text *argv = arena_alloc(arena, (n + 2) * sizeof *argv);
	struct buffer out = { 0 };

	argv[0] = TEXT("HMGET");
	argv[1] = text_copy(arena,
	    keyspace_part(round->access.store->keyspace,
		round->access.generation, PART_USERS, &out));
	for (i = 0; i < n; i++) {
		buffer_reset(&out);
		argv[2 + i] = text_copy(
		    arena, keyspace_field(user, round->unknown.at[i], &out));
	}
	redis_append(redis_of(round), argv, n + 2);
	buffer_finish(&out);
}

bool
access_round_ask(struct access_round *round)
{
	if (round->next == ROUND_HEADS)
		ask_heads(round);
	else if (round->next == ROUND_ROLES)
		ask_roles(round);
	else
		return false;
	return true;
}

/* An answer that is an error goes to access_read, which knows what to say. */
static struct redis_reply *
hear(struct access_round *round, struct error *err)
{
	struct redis_reply *reply = redis_receive(redis_of(round), err);

	if (reply != NULL && redis_reply_type(reply) == REDIS_ERROR)
		round->next = ROUND_ALONE;
	return reply;
}

static int
hear_text(struct access_round *round, struct text *text, struct error *err)
{
	struct redis_reply *reply = hear(round, err);

	if (reply == NULL)
		return -1;
	*text = text_copy(round->access.arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
	return 0;
}

/* The least right over the projects, as far as the roles are known. */
static void
find_right(struct access_round *round)
{
	struct access *access = &round->access;
	struct schedule_access *schedule = round->schedule;
	struct text_list projects = schedule->about.projects;
	struct text *unknown =
	    arena_alloc(access->arena, projects.n * sizeof *unknown);
	size_t i;

	schedule->right = RIGHT_ACT;
	round->unknown = (struct text_list){ unknown, 0 };
	for (i = 0; i < projects.n; i++) {
		enum right right = RIGHT_ACT;

		if (!role_cache_get(round->roles, access->generation,
			http_caller_user(access->caller), projects.at[i],
			&right))
			unknown[round->unknown.n++] = projects.at[i];
		else if (right < schedule->right)
			schedule->right = right;
	}
	round->next = round->unknown.n > 0 ? ROUND_ROLES : ROUND_KNOWN;
}

/* Whether its head or its projects must be read by themselves. */
static bool
is_left_alone(struct access_round *round, struct text about)
{
	struct schedule_access *schedule = round->schedule;
	struct access *access = &round->access;
	struct error ignored;

	if (round->next == ROUND_ALONE || access->generation <= 0)
		return true;
	if (!schedule->exists)
		return false;
	if (schedule_head_parse(
		schedule->head_seen, &schedule->head, &ignored) != 0 ||
	    schedule_about_parse(
		about, access->arena, &schedule->about, &ignored) != 0)
		return true;
	return access->caller->known &&
	    (schedule->about.projects_at != access->generation ||
		schedule->about.projects.n == 0);
}

static void
judge_heads(struct access_round *round, struct text about)
{
	struct schedule_access *schedule = round->schedule;
	bool known = round->access.caller->known;

	schedule->exists = schedule->head_seen.at != NULL;
	schedule->right = known ? RIGHT_NONE : RIGHT_ACT;
	if (is_left_alone(round, about))
		round->next = ROUND_ALONE;
	else if (!schedule->exists || !known)
		round->next = ROUND_KNOWN;
	else
		find_right(round);
}

static int
hear_heads(struct access_round *round, struct error *err)
{
	struct text generation = TEXT_NONE, about = TEXT_NONE;

	if (hear_text(round, &generation, err) != 0 ||
	    hear_text(round, &round->schedule->head_seen, err) != 0 ||
	    hear_text(round, &about, err) != 0)
		return -1;
	round->access.generation =
	    generation.at != NULL ? strtoll(generation.at, NULL, 10) : 0;
	judge_heads(round, about);
	return 0;
}

static int
hear_roles(struct access_round *round, struct error *err)
{
	const struct access *access = &round->access;
	struct redis_reply *reply = hear(round, err);
	size_t i;

	if (reply == NULL)
		return -1;
	if (redis_reply_type(reply) != REDIS_ARRAY)
		round->next = ROUND_ALONE;
	for (i = 0; round->next != ROUND_ALONE && i < round->unknown.n; i++)
		role_cache_put(round->roles, access->generation,
		    http_caller_user(access->caller), round->unknown.at[i],
		    access_right_of_role(
			redis_reply_text(redis_reply_at(reply, i))));
	redis_reply_destroy(reply);
	if (round->next != ROUND_ALONE)
		find_right(round);
	return 0;
}

int
access_round_hear(struct access_round *round, struct error *err)
{
	return round->next == ROUND_HEADS ? hear_heads(round, err)
					  : hear_roles(round, err);
}
