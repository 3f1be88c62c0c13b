#include "producer/runs/view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "schemas/embedded.h"
#include "schemas/message/run_json.h"

#define PAGE_MAX 1000
#define OFFSET_MAX INT64_C(999999999999999) /* they stay below 2^53 */

void
run_view_init(struct run_view *view, struct redis *redis,
    const struct keyspace *keyspace, int64_t ttl_ms)
{
	*view = (struct run_view){
		.redis = redis,
		.keyspace = keyspace,
		.ttl_ms = ttl_ms,
		.pending = { .source = lua_pending },
		.drop = { .source = lua_drop },
		.fold = { .source = lua_fold },
	};
}

/* What was appended, in the arena; empties `out`. */
static struct text
keep_text(struct buffer *out, struct arena *arena)
{
	struct text text = text_copy(arena, buffer_text(out));

	buffer_finish(out);
	return text;
}

static struct text
run_key(const struct run_view *view, const struct uuid *id, struct arena *arena)
{
	struct buffer key = { 0 };

	keyspace_run(view->keyspace, id, &key);
	return keep_text(&key, arena);
}

static struct text
list_key(
    const struct run_view *view, struct text schedule_rid, struct arena *arena)
{
	struct buffer key = { 0 };

	keyspace_runs_of(view->keyspace, schedule_rid, &key);
	return keep_text(&key, arena);
}

static struct text
build_key(
    const struct run_view *view, const struct uuid *id, struct arena *arena)
{
	struct buffer key = { 0 };

	keyspace_build(view->keyspace, id, &key);
	return keep_text(&key, arena);
}

static struct text
position_key(const struct run_view *view, const char *topic, int32_t partition,
    struct arena *arena)
{
	struct buffer key = { 0 };

	keyspace_fold(view->keyspace, topic, partition, &key);
	return keep_text(&key, arena);
}

static struct text
number_text(int64_t value, struct arena *arena)
{
	return text_of_number(value, arena_alloc(arena, TEXT_NUMBER_SIZE));
}

static struct text
write_place(int64_t created_time_ms, const struct uuid *id, struct arena *arena)
{
	char *out = arena_alloc(arena, RUN_PLACE_SIZE);
	int i;

	for (i = 0; i < 8; i++)
		out[i] = (char)(created_time_ms >> (56 - 8 * i) & 255);
	memcpy(out + 8, id->bytes, sizeof id->bytes);
	return (struct text){ out, RUN_PLACE_SIZE };
}

static struct text
place_text(const struct schedule_run *record, struct arena *arena)
{
	return write_place(record->created_time_ms, &record->id, arena);
}

static struct text
stored_text(const struct schedule_run *record, struct arena *arena)
{
	struct buffer out = { 0 };

	run_json_store(record, &out);
	return keep_text(&out, arena);
}

/* The reply, unless it is an error. */
static struct redis_reply *
checked_reply(
    struct run_view *view, struct redis_reply *reply, struct error *err)
{
	return redis_reply_checked(view->redis, reply, "run view", err);
}

static struct redis_reply *
ask_view(
    struct run_view *view, const struct text *argv, size_t n, struct error *err)
{
	if (redis_connect(view->redis, err) != 0)
		return NULL;
	return checked_reply(
	    view, redis_command(view->redis, argv, n, err), err);
}

static struct redis_reply *
run_script(struct run_view *view, struct redis_script *script,
    const struct redis_arguments *with, struct error *err)
{
	if (redis_connect(view->redis, err) != 0)
		return NULL;
	return checked_reply(
	    view, redis_run_script(view->redis, script, with, err), err);
}

/* What is asked to store a pending run. */
enum { VIEW_RUN, VIEW_LIST, VIEW_KEYS }; /* pending.lua and drop.lua */
enum { PENDING_JSON, PENDING_TTL, PENDING_MEMBER, PENDING_ARGS };
struct pending_question {
	struct text keys[VIEW_KEYS], args[PENDING_ARGS];
};

static struct pending_question
pending_question(struct run_view *view, const struct schedule_run *record,
    struct arena *arena)
{
	return (struct pending_question){
		.keys = {
		    [VIEW_RUN] = run_key(view, &record->id, arena),
		    [VIEW_LIST] = list_key(view, record->schedule_rid, arena),
		},
		.args = {
		    [PENDING_JSON] = stored_text(record, arena),
		    [PENDING_TTL] = number_text(view->ttl_ms, arena),
		    [PENDING_MEMBER] = place_text(record, arena),
		},
	};
}

int
run_view_load(struct run_view *view, struct error *err)
{
	return view->pending.sha1[0] != '\0'
	    ? 0
	    : redis_load_script(view->redis, &view->pending, err);
}

void
run_view_ask_pending(struct run_view *view, const struct schedule_run *record,
    struct arena *arena)
{
	struct pending_question asked = pending_question(view, record, arena);

	redis_append_script(view->redis, &view->pending,
	    &(struct redis_arguments){
		asked.keys, VIEW_KEYS, asked.args, PENDING_ARGS });
}

int
run_view_hear_pending(struct run_view *view, struct arena *arena, bool *stored,
    struct schedule_run *existing, struct error *err)
{
	struct redis_reply *reply = redis_receive(view->redis, err);
	int rc = -1;

	if (reply == NULL)
		return -1;
	if (redis_reply_is_noscript(reply)) {
		view->pending.sha1[0] = '\0';
		rc = 0;
	} else if (redis_reply_error(view->redis, reply, "run view", err) ==
	    0) {
		*stored = redis_reply_type(reply) == REDIS_NIL;
		if (*stored ||
		    run_json_parse(
			redis_reply_text(reply), arena, existing, err) == 0)
			rc = 1;
	}
	redis_reply_destroy(reply);
	return rc;
}

int
run_view_drop_pending(
    struct run_view *view, const struct schedule_run *record, struct error *err)
{
	enum { DROP_JSON, DROP_MEMBER, DROP_ARGS };
	struct arena *arena = arena_create(4096);
	const struct text keys[VIEW_KEYS] = {
		[VIEW_RUN] = run_key(view, &record->id, arena),
		[VIEW_LIST] = list_key(view, record->schedule_rid, arena),
	};
	const struct text args[DROP_ARGS] = {
		[DROP_JSON] = stored_text(record, arena),
		[DROP_MEMBER] = place_text(record, arena),
	};
	struct redis_reply *reply = run_script(view, &view->drop,
	    &(struct redis_arguments){ keys, VIEW_KEYS, args, DROP_ARGS }, err);
	int rc = reply != NULL ? 0 : -1;

	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

int
run_view_get(struct run_view *view, const struct uuid *id, struct arena *arena,
    struct schedule_run *record, struct error *err)
{
	if (redis_connect(view->redis, err) != 0)
		return -1;
	run_view_ask(view, id, arena);
	return run_view_hear(view, arena, record, err);
}

void
run_view_ask(struct run_view *view, const struct uuid *id, struct arena *arena)
{
	struct text argv[] = { TEXT("GET"), run_key(view, id, arena) };

	redis_append(view->redis, argv, 2);
}

int
run_view_hear(struct run_view *view, struct arena *arena,
    struct schedule_run *record, struct error *err)
{
	struct redis_reply *reply =
	    checked_reply(view, redis_receive(view->redis, err), err);
	int rc = -1;

	if (reply != NULL && redis_reply_type(reply) == REDIS_NIL)
		rc = 0;
	else if (reply != NULL &&
	    run_json_parse(redis_reply_text(reply), arena, record, err) == 0)
		rc = 1;
	redis_reply_destroy(reply);
	return rc;
}

static struct redis_reply *
fetch_runs(struct run_view *view, const struct redis_reply *places, size_t n,
    struct arena *arena, struct error *err)
{
	struct text *argv = arena_alloc(arena, (n + 1) * sizeof *argv);
	size_t i;

	argv[0] = TEXT("MGET");
	for (i = 0; i < n; i++) {
		struct text place = redis_reply_text(redis_reply_at(places, i));
		struct uuid id;

		if (place.size != RUN_PLACE_SIZE) {
			error_fatal(err, 70, "a run's place is malformed");
			return NULL;
		}
		memcpy(id.bytes, place.at + 8, sizeof id.bytes);
		argv[1 + i] = run_key(view, &id, arena);
	}
	return ask_view(view, argv, n + 1, err);
}

/*
 * Whether the run stands there still: one that was asked again, after an answer
 * that did not count, has its place by the later asking.
 */
static bool
is_at(const struct schedule_run *run, struct text place, struct arena *arena)
{
	return text_equal(place_text(run, arena), place);
}

/* Runs that have expired leave the list as well. */
static int
drop_places(struct run_view *view, struct text schedule_rid,
    const struct text *places, size_t n, struct arena *arena, struct error *err)
{
	struct text *argv = arena_alloc(arena, (n + 2) * sizeof *argv);
	struct redis_reply *reply;

	argv[0] = TEXT("ZREM");
	argv[1] = list_key(view, schedule_rid, arena);
	memcpy(argv + 2, places, n * sizeof *places);
	reply = ask_view(view, argv, n + 2, err);
	redis_reply_destroy(reply);
	return reply != NULL ? 0 : -1;
}

static int
fill_page(struct run_view *view, struct text schedule_rid,
    const struct redis_reply *places, struct arena *arena,
    struct run_page *page, struct error *err)
{
	size_t n = redis_reply_size(places) - page->more;
	struct text *gone = arena_alloc(arena, n * sizeof *gone);
	struct redis_reply *runs = fetch_runs(view, places, n, arena, err);
	size_t i, n_gone = 0;
	int rc = runs != NULL ? 0 : -1;

	for (i = 0; rc == 0 && i < n; i++) {
		struct text run = redis_reply_text(redis_reply_at(runs, i));
		struct text place = redis_reply_text(redis_reply_at(places, i));

		memcpy(page->last, place.at, RUN_PLACE_SIZE);
		if (run.at != NULL)
			rc = run_json_parse(
			    run, arena, &page->records[page->n], err);
		if (run.at != NULL && rc == 0 &&
		    is_at(&page->records[page->n], place, arena))
			page->n++;
		else if (rc == 0)
			gone[n_gone++] = text_copy(arena, place);
	}
	redis_reply_destroy(runs);
	if (rc == 0 && n_gone > 0)
		rc = drop_places(view, schedule_rid, gone, n_gone, arena, err);
	return rc;
}

int
run_view_list(struct run_view *view, const struct run_page_question *asked,
    struct arena *arena, struct run_page *page, struct error *err)
{
	size_t n = asked->n < PAGE_MAX ? asked->n : PAGE_MAX;
	struct redis_reply *places;
	struct buffer from = { 0 };
	int rc = 0;

	memset(page, 0, sizeof *page);
	/* One more than asked: is there another page? */
	if (asked->after.at != NULL) {
		buffer_byte(&from, '(');
		buffer_append(&from, asked->after);
	} else {
		buffer_byte(&from, '+');
	}
	places = ask_view(view,
	    (struct text[]){ TEXT("ZREVRANGEBYLEX"),
		list_key(view, asked->schedule_rid, arena), buffer_text(&from),
		TEXT("-"), TEXT("LIMIT"), TEXT("0"),
		number_text((int64_t)n + 1, arena) },
	    7, err);
	buffer_finish(&from);
	if (places == NULL)
		return -1;
	page->more = redis_reply_size(places) > n;
	page->records = arena_zalloc(arena, n, sizeof *page->records);
	if (redis_reply_size(places) > 0)
		rc = fill_page(
		    view, asked->schedule_rid, places, arena, page, err);
	redis_reply_destroy(places);
	return rc;
}

int
run_view_get_build(struct run_view *view, const struct uuid *id,
    struct arena *arena, struct build_record *build, struct error *err)
{
	struct text argv[] = { TEXT("HMGET"), build_key(view, id, arena),
		TEXT("e"), TEXT("s") };
	struct redis_reply *reply = ask_view(view, argv, 4, err);

	if (reply == NULL)
		return -1;
	build->event =
	    text_copy(arena, redis_reply_text(redis_reply_at(reply, 0)));
	build->state =
	    text_copy(arena, redis_reply_text(redis_reply_at(reply, 1)));
	redis_reply_destroy(reply);
	return build->event.at != NULL;
}

int
run_view_page_key(
    struct run_view *view, uint8_t key[PAGE_KEY_SIZE], struct error *err)
{
	struct arena *arena = arena_create(1024);
	struct text name = keyspace_key(view->keyspace, KEY_PAGE_SECRET);
	struct uuid random[2] = { uuid_random(), uuid_random() };
	struct text bytes = { (const char *)random, sizeof random };
	struct redis_reply *reply;
	int rc = -1;

	reply = ask_view(view,
	    (struct text[]){
		TEXT("SET"), name, bytes, TEXT("NX"), TEXT("GET") },
	    5, err);
	if (reply != NULL && redis_reply_type(reply) == REDIS_STRING)
		bytes = redis_reply_text(reply);
	if (reply != NULL && bytes.size == PAGE_KEY_SIZE) {
		memcpy(key, bytes.at, PAGE_KEY_SIZE);
		rc = 0;
	} else if (reply != NULL) {
		error_fatal(err, 70, "the page tokens' key is malformed");
	}
	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

int
run_view_positions(struct run_view *view, struct fold_position *positions,
    size_t n, struct error *err)
{
	struct arena *arena = arena_create(0);
	size_t i;
	int rc = redis_connect(view->redis, err);

	for (i = 0; rc == 0 && i < n; i++)
		redis_append(view->redis,
		    (struct text[]){ TEXT("GET"),
			position_key(view, positions[i].topic,
			    positions[i].partition, arena) },
		    2);
	for (i = 0; rc == 0 && i < n; i++) {
		struct redis_reply *reply =
		    checked_reply(view, redis_receive(view->redis, err), err);
		int64_t offset;

		rc = reply != NULL ? 0 : -1;
		if (rc == 0)
			positions[i].offset =
			    text_to_number(
				redis_reply_text(reply), OFFSET_MAX, &offset)
			    ? offset
			    : -1;
		else
			redis_disconnect(view->redis);
		redis_reply_destroy(reply);
	}
	arena_destroy(arena);
	return rc;
}

int
run_view_set_position(struct run_view *view,
    const struct fold_position *position, struct error *err)
{
	struct arena *arena = arena_create(1024);
	struct redis_reply *reply = ask_view(view,
	    (struct text[]){ TEXT("SET"),
		position_key(view, position->topic, position->partition, arena),
		number_text(position->offset, arena) },
	    3, err);
	int rc = reply != NULL ? 0 : -1;

	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

/* What fold.lua takes: of the step, of each run, of each build. */
enum { FOLD_NEXT, FOLD_KNOWN, FOLD_TTL, FOLD_OLDEST, FOLD_RUNS, FOLD_ARGS };
enum { RUN_JSON, RUN_TTL, RUN_MEMBER, RUN_PARTITION, RUN_OFFSET, RUN_ARGS };
enum { BUILD_EVENT, BUILD_TTL, BUILD_ARGS };
struct fold {
	struct text keys[1 + VIEW_KEYS * FOLD_MAX];
	struct text args[FOLD_ARGS + RUN_ARGS * FOLD_MAX];
	size_t n_keys, n_args;
};

static void
fold_run(struct run_view *view, const struct fold_item *item,
    struct arena *arena, struct fold *fold)
{
	const struct schedule_run *run = item->run;
	struct text *keys = fold->keys + fold->n_keys;
	struct text *args = fold->args + fold->n_args;

	keys[VIEW_RUN] = run_key(view, &run->id, arena);
	keys[VIEW_LIST] = list_key(view, run->schedule_rid, arena);
	fold->n_keys += VIEW_KEYS;
	args[RUN_JSON] = stored_text(run, arena);
	args[RUN_TTL] = number_text(item->ttl_ms, arena);
	args[RUN_MEMBER] = place_text(run, arena);
	args[RUN_PARTITION] = number_text(run->partition, arena);
	args[RUN_OFFSET] = number_text(run->offset, arena);
	fold->n_args += RUN_ARGS;
}

/* Runs first, then builds: the script counts. */
static void
fill_fold(struct run_view *view, const struct fold_step *step,
    struct arena *arena, struct fold *fold)
{
	static const struct uuid lowest = { { 0 } };
	int64_t oldest = clock_wall_ms() - view->ttl_ms;
	const struct fold_item *item = step->items;
	const struct fold_item *end = item + step->n;
	size_t runs = 0;

	fold->keys[fold->n_keys++] =
	    position_key(view, step->topic, step->partition, arena);
	fold->n_args = FOLD_ARGS;
	for (; item < end; item++)
		if (item->ttl_ms > 0 && item->run != NULL) {
			fold_run(view, item, arena, fold);
			runs++;
		}
	for (item = step->items; item < end; item++) {
		struct text *args = fold->args + fold->n_args;

		if (item->ttl_ms <= 0 || item->run != NULL)
			continue;
		fold->keys[fold->n_keys++] =
		    build_key(view, &item->build_id, arena);
		args[BUILD_EVENT] = item->build_event;
		args[BUILD_TTL] = number_text(item->ttl_ms, arena);
		fold->n_args += BUILD_ARGS;
	}
	fold->args[FOLD_NEXT] = number_text(step->next, arena);
	fold->args[FOLD_KNOWN] = number_text(step->folded, arena);
	fold->args[FOLD_TTL] = number_text(view->ttl_ms, arena);
	fold->args[FOLD_OLDEST] =
	    write_place(oldest > 0 ? oldest : 0, &lowest, arena);
	fold->args[FOLD_RUNS] = number_text((int64_t)runs, arena);
}

int
run_view_fold(
    struct run_view *view, const struct fold_step *step, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct fold *fold = arena_zalloc(arena, 1, sizeof *fold);
	struct redis_reply *reply;
	int rc = -1;

	assert(step->n <= FOLD_MAX);
	fill_fold(view, step, arena, fold);
	reply = run_script(view, &view->fold,
	    &(struct redis_arguments){
		fold->keys, fold->n_keys, fold->args, fold->n_args },
	    err);
	if (reply != NULL)
		rc = redis_reply_integer(reply) == 1;
	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

/* A step that goes nowhere: no topic has an empty name. */
int
run_view_keep(
    struct run_view *view, const struct schedule_run *record, struct error *err)
{
	const struct fold_item item = { .ttl_ms = view->ttl_ms, .run = record };
	const struct fold_step step = {
		.topic = "", .folded = -1, .next = -1, .items = &item, .n = 1
	};

	return run_view_fold(view, &step, err) < 0 ? -1 : 0;
}
