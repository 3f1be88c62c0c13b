#include "producer/builder/lease.h"

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "schemas/embedded.h"

static struct redis_script take_lease = { .source = lua_take_lease };
static struct redis_script keep_lease = { .source = lua_keep_lease };
static struct redis_script note_job = { .source = lua_note_job };

static struct redis_reply *
ask_store(const struct job_store *store, struct redis_script *script,
    const struct redis_arguments *with, struct error *err)
{
	if (redis_connect(store->redis, err) != 0)
		return NULL;
	return redis_ask_script(store->redis, script, with, "job's lease", err);
}

/* What the script says. */
static int
ask_number(const struct job_store *store, struct redis_script *script,
    const struct redis_arguments *with, struct error *err)
{
	struct redis_reply *reply = ask_store(store, script, with, err);
	int rc = reply != NULL ? (int)redis_reply_integer(reply) : -1;

	redis_reply_destroy(reply);
	return rc;
}

/* What take_lease.lua takes; the leases stand last. */
enum { TAKE_COUNTER, TAKE_JOBS, TAKE_MADE, TAKE_BUILD, TAKE_KEYS };
enum { TAKE_POSITION, TAKE_MS, TAKE_ARGS };
enum { NEWS_NUMBER, NEWS_BUILD, NEWS_JOB, NEWS_MADE };

static struct text *
list_keys(const struct job_ref *ref)
{
	const struct keyspace *keyspace = ref->store->keyspace;
	const struct job_spec *spec = job_of(ref)->spec;
	const struct uuid *build = &ref->event->run.build_id;
	struct text *keys = arena_alloc(
	    ref->arena, (TAKE_KEYS + spec->n_outputs) * sizeof *keys);
	struct uuid fingerprint = { 0 }; /* by which nothing is noted */
	struct buffer out = { 0 };
	size_t i;

	(void)uuid_parse(ref->event->fingerprints[ref->job], &fingerprint);
	keys[TAKE_MADE] =
	    text_copy(ref->arena, keyspace_made(keyspace, &fingerprint, &out));
	buffer_reset(&out);
	keys[TAKE_COUNTER] = keyspace_key(keyspace, KEY_LEASES);
	keys[TAKE_BUILD] =
	    text_copy(ref->arena, keyspace_build(keyspace, build, &out));
	buffer_reset(&out);
	keys[TAKE_JOBS] =
	    text_copy(ref->arena, keyspace_jobs(keyspace, build, &out));
	for (i = 0; i < spec->n_outputs; i++) {
		buffer_reset(&out);
		keys[TAKE_KEYS + i] = text_copy(ref->arena,
		    keyspace_lease(keyspace, spec->outputs[i],
			ref->event->build.version->branch_name, &out));
	}
	buffer_finish(&out);
	return keys;
}

static struct text
copy_part(const struct job_ref *ref, const struct redis_reply *reply, size_t i)
{
	return text_copy(
	    ref->arena, redis_reply_text(redis_reply_at(reply, i)));
}

int
lease_take(const struct job_ref *ref, struct lease *lease,
    struct lease_news *news, struct error *err)
{
	char ms[TEXT_NUMBER_SIZE];
	char *position = arena_alloc(ref->arena, TEXT_NUMBER_SIZE);
	struct text *keys = list_keys(ref);
	const struct text args[TAKE_ARGS] = {
		[TAKE_POSITION] = text_of_number((int64_t)ref->job, position),
		[TAKE_MS] = text_of_number(LEASE_MS, ms),
	};
	struct redis_reply *reply;
	bool taken;

	*lease = (struct lease){
		.jobs = keys[TAKE_JOBS],
		.field = args[TAKE_POSITION],
		.made = keys[TAKE_MADE],
		.keys = keys + TAKE_KEYS,
		.keeping = keys + TAKE_BUILD,
		.n = job_of(ref)->spec->n_outputs,
		/* Before it is asked for: it may run from then on. */
		.asked_ms = clock_monotonic_ms(),
	};
	reply = ask_store(ref->store, &take_lease,
	    &(struct redis_arguments){
		keys, TAKE_KEYS + lease->n, args, TAKE_ARGS },
	    err);
	if (reply == NULL)
		return -1;
	taken = redis_reply_size(reply) > NEWS_MADE;
	if (taken) {
		lease->number = copy_part(ref, reply, NEWS_NUMBER);
		news->build = copy_part(ref, reply, NEWS_BUILD);
		news->job = copy_part(ref, reply, NEWS_JOB);
		news->made = copy_part(ref, reply, NEWS_MADE);
	}
	redis_reply_destroy(reply);
	return taken;
}

static int
keep_for(const struct job_store *store, const struct lease *lease, int64_t ms,
    struct error *err)
{
	char number[TEXT_NUMBER_SIZE];
	const struct text args[] = { lease->number,
		text_of_number(ms, number) };

	return ask_number(store, &keep_lease,
	    &(struct redis_arguments){ lease->keeping, 1 + lease->n, args, 2 },
	    err);
}

int
lease_keep(
    const struct job_store *store, struct lease *lease, struct error *err)
{
	int64_t now = clock_monotonic_ms();
	int rc = keep_for(store, lease, LEASE_MS, err);

	if (rc > 0)
		lease->asked_ms = now;
	return rc;
}

int
lease_note_made(const struct job_store *store, const struct lease *lease,
    struct text made, struct error *err)
{
	char ttl[TEXT_NUMBER_SIZE];

	return redis_do(store->redis,
	    (const struct text[]){ TEXT("SET"), lease->made, made, TEXT("PX"),
		text_of_number(store->ttl_ms, ttl) },
	    5, "SET", err);
}

int
lease_drop(
    const struct job_store *store, const struct lease *lease, struct error *err)
{
	return keep_for(store, lease, 0, err);
}

int
lease_note(const struct job_store *store, const struct lease *lease,
    struct text said, bool ended, struct error *err)
{
	enum { NUMBER, POSITION, SAID, TTL, ENDED, ARGS };
	struct arena *arena = arena_create(0);
	struct text *keys = arena_alloc(arena, (1 + lease->n) * sizeof *keys);
	char ttl[TEXT_NUMBER_SIZE];
	const struct text args[ARGS] = {
		[NUMBER] = lease->number,
		[POSITION] = lease->field,
		[SAID] = said,
		[TTL] = text_of_number(store->ttl_ms, ttl),
		[ENDED] = ended ? TEXT("1") : TEXT("0"),
	};
	size_t i;
	int rc;

	keys[0] = lease->jobs;
	for (i = 0; i < lease->n; i++)
		keys[1 + i] = lease->keys[i];
	rc = ask_number(store, &note_job,
	    &(struct redis_arguments){ keys, 1 + lease->n, args, ARGS }, err);
	arena_destroy(arena);
	return rc;
}
