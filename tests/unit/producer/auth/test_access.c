#include "producer/auth/access.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

#define USER "f05f8da4-b84c-4fca-9c77-8af0b13d11de"
#define OTHER "6c0a4b52-5d1f-4a8e-9d43-0f5f1a2b3c4d"
#define S "ri.scheduler.main.schedule.s"
#define V "ri.scheduler.main.schedule-version.v"
#define PROJECT "ri.compass.main.folder."
#define NIL "$-1\r\n"

/* A caller, and what he asks through. */
struct desk {
	struct scripted_redis script;
	struct keyspace *keyspace;
	struct schedule_store store;
	struct http_caller caller;
	struct access access;
	struct schedule_access schedule;
	struct error err;
};

static void
open_desk(struct desk *desk)
{
	memset(desk, 0, sizeof *desk);
	scripted_redis_open(&desk->script);
	desk->keyspace = keyspace_create("t:");
	schedule_store_init(&desk->store, desk->script.redis, desk->keyspace);
	desk->caller.known = true;
	memcpy(desk->caller.user, USER, UUID_TEXT_SIZE);
	desk->access = (struct access){
		.store = &desk->store,
		.caller = &desk->caller,
		.arena = arena_create(0),
		.roles = role_cache_create(),
	};
	desk->schedule.rid = TEXT(S);
}

static void
close_desk(struct desk *desk)
{
	role_cache_destroy(desk->access.roles);
	arena_destroy(desk->access.arena);
	keyspace_destroy(desk->keyspace);
	scripted_redis_close(&desk->script);
}

/* The heads' answers: generation 7, a head, projects of this generation. */
static void
say_heads(struct desk *desk, int64_t projects_at, const char *projects)
{
	struct schedule_head head = { .current_version_rid = TEXT(V) };
	struct schedule_about about = {
		.created_by = TEXT(USER),
		.created_time = TEXT("2026-01-31T09:05:07.042Z"),
		.updated_by = TEXT(USER),
		.updated_time = TEXT("2026-01-31T09:05:07.042Z"),
		.projects_at = projects_at,
	};
	char rids[4][sizeof PROJECT + 1];
	struct text names[4];
	struct buffer out = { 0 };
	size_t i, n = strlen(projects);

	for (i = 0; i < n; i++)
		names[i] = (struct text){ rids[i],
			(size_t)sprintf(rids[i], PROJECT "%c", projects[i]) };
	about.projects = (struct text_list){ names, n };
	SAY(&desk->script, "$1\r\n7\r\n");
	schedule_head_write(&head, &out);
	scripted_redis_say_string(&desk->script, buffer_text(&out));
	buffer_reset(&out);
	schedule_about_write(&about, &out);
	scripted_redis_say_string(&desk->script, buffer_text(&out));
	buffer_finish(&out);
}

/* A list of strings, `before` and a letter of each; '-' is nil. */
static void
say_list(struct desk *desk, const char *before, const char *letters)
{
	char text[80];

	snprintf(text, sizeof text, "*%zu\r\n", strlen(letters));
	scripted_redis_say(&desk->script, text_from(text));
	for (; *letters != '\0'; letters++) {
		snprintf(text, sizeof text, "%s%c", before, *letters);
		if (*letters == '-')
			SAY(&desk->script, NIL);
		else
			scripted_redis_say_string(
			    &desk->script, text_from(text));
	}
}

static void
say_version(struct desk *desk, const char *creator)
{
	char text[512];

	snprintf(text, sizeof text,
	    "{\"rid\":\"" V "\",\"scheduleRid\":\"" S "\",\"createdBy\":\"%s\","
	    "\"action\":{\"branchName\":\"master\",\"target\":{\"type\":"
	    "\"upstream\",\"targetRids\":[\"ri.foundry.main.dataset.a\","
	    "\"ri.foundry.main.dataset.b\"]}},\"scopeMode\":"
	    "{\"type\":\"user\"}}",
	    creator);
	scripted_redis_say_string(&desk->script, text_from(text));
}

static int
look_up(struct desk *desk)
{
	return access_read(&desk->access, &desk->schedule.rid, 1, false,
	    &desk->schedule, &desk->err);
}

/* How many commands came since the last look, and the first word of each. */
static bool
heard_are(struct desk *desk, const char *words)
{
	char said[256] = "";
	struct heard heard;
	size_t size = 0;

	while ((heard = scripted_redis_heard(&desk->script)).n > 0)
		size += (size_t)snprintf(said + size, sizeof said - size,
		    size > 0 ? " %.*s" : "%.*s", TEXT_ARG(heard.args[0]));
	if (strcmp(said, words) == 0)
		return true;
	fprintf(stderr, "heard \"%s\"\n", said);
	return false;
}

/* Who has been here before costs one round trip of three commands. */
static void
known_roles_need_no_question(void)
{
	struct desk desk;

	open_desk(&desk);
	heard_are(&desk, "");
	say_heads(&desk, 7, "p");
	say_list(&desk, "", "e");
	CHECK(look_up(&desk) == 0 && desk.schedule.right == RIGHT_ACT);
	CHECK(heard_are(&desk, "GET HGET HGET EVAL_RO"));
	say_heads(&desk, 7, "p");
	CHECK(look_up(&desk) == 0 && desk.schedule.right == RIGHT_ACT);
	CHECK(heard_are(&desk, "GET HGET HGET"));
	close_desk(&desk);
}

static void
the_least_role_is_the_right(void)
{
	static const struct {
		const char *roles;
		enum right right;
	} rows[] = {
		{ "eoe", RIGHT_ACT }, { "ooo", RIGHT_ACT },
		{ "evo", RIGHT_VIEW }, { "e-v", RIGHT_NONE },
		{ "---", RIGHT_NONE },
		{ "oo?", RIGHT_NONE }, /* of a role that isn't ours: nothing */
	};
	struct desk desk;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		open_desk(&desk);
		say_heads(&desk, 7, "pqr");
		say_list(&desk, "", rows[i].roles);
		CHECK(look_up(&desk) == 0);
		CHECK_ROW(rows[i].roles, desk.schedule.right == rows[i].right);
		close_desk(&desk);
	}
}

/* Redis may answer fewer fields than it was asked for; the rest is asked. */
static void
roles_may_come_in_pieces(void)
{
	struct desk desk;

	open_desk(&desk);
	heard_are(&desk, "");
	say_heads(&desk, 7, "pqr");
	say_list(&desk, "", "o");
	say_list(&desk, "", "ve");
	CHECK(look_up(&desk) == 0 && desk.schedule.right == RIGHT_VIEW);
	CHECK(heard_are(&desk, "GET HGET HGET EVAL_RO EVAL_RO"));
	close_desk(&desk);
}

static void
without_projects_it_is_the_creators(void)
{
	static const struct {
		const char *creator;
		enum right right;
	} rows[] = { { USER, RIGHT_ACT }, { OTHER, RIGHT_NONE } };
	struct desk desk;
	size_t i;

	for (i = 0; i < 2; i++) {
		open_desk(&desk);
		say_heads(&desk, 7, "");
		say_version(&desk, rows[i].creator);
		CHECK(look_up(&desk) == 0);
		CHECK(desk.schedule.right == rows[i].right);
		close_desk(&desk);
	}
	/* One that can't be read tells of no creator: that is no right. */
	open_desk(&desk);
	say_heads(&desk, 7, "");
	SAY(&desk.script, "$1\r\n{\r\n");
	CHECK(look_up(&desk) == -1 && desk.err.kind == ERROR_FATAL);
	close_desk(&desk);
}

/* Projects of another catalogue are found anew, and kept for who comes next. */
static void
another_catalogue_gives_other_projects(void)
{
	struct desk desk;

	open_desk(&desk);
	heard_are(&desk, "");
	say_heads(&desk, 6, "p");
	say_version(&desk, OTHER);
	say_list(&desk, PROJECT, "xy"); /* the targets' projects */
	SAY(&desk.script, ":0\r\n");
	say_list(&desk, "", "ov");
	CHECK(look_up(&desk) == 0 && desk.schedule.right == RIGHT_VIEW);
	CHECK(heard_are(&desk, "GET HGET HGET HGET EVAL_RO EVAL EVAL_RO"));
	CHECK(desk.schedule.about.projects.n == 2);
	CHECK(desk.schedule.about.projects_at == 7);
	close_desk(&desk);
}

/* A version that can't be read leaves the projects as they were found last. */
static void
an_unreadable_version_leaves_projects(void)
{
	struct desk desk;

	open_desk(&desk);
	say_heads(&desk, 6, "p");
	SAY(&desk.script, NIL);
	say_list(&desk, "", "e");
	CHECK(look_up(&desk) == 0 && desk.schedule.right == RIGHT_ACT);
	CHECK(desk.schedule.about.projects_at == 6);
	close_desk(&desk);
}

static void
what_is_missing_is_known_by_the_catalogue(void)
{
	struct desk desk;

	open_desk(&desk);
	SAY(&desk.script, "$1\r\n7\r\n" NIL NIL);
	CHECK(look_up(&desk) == 0);
	CHECK(!desk.schedule.exists && desk.schedule.right == RIGHT_NONE);
	SAY(&desk.script, NIL NIL NIL);
	CHECK(look_up(&desk) == -1 && desk.err.kind == ERROR_RETRY);
	desk.caller.known = false;
	SAY(&desk.script, NIL NIL NIL);
	CHECK(look_up(&desk) == -1);
	close_desk(&desk);
}

static void
nobody_in_particular_may_do_everything(void)
{
	struct desk desk;

	open_desk(&desk);
	heard_are(&desk, "");
	desk.caller.known = false;
	say_heads(&desk, 6, "");
	CHECK(look_up(&desk) == 0 && desk.schedule.right == RIGHT_ACT);
	CHECK(heard_are(&desk, "GET HGET HGET"));
	close_desk(&desk);
}

/* Others have asked on this connection: their answers must stay theirs. */
static void
an_error_leaves_no_answer_behind(void)
{
	struct redis_reply *reply;
	struct desk desk;

	open_desk(&desk);
	SAY(&desk.script, "-ERR first\r\n-ERR second\r\n" NIL "+OK\r\n");
	access_begin(&desk.access, &desk.schedule, 1, false);
	CHECK(access_ask(&desk.access));
	redis_append(desk.script.redis, (struct text[]){ TEXT("PING") }, 1);
	CHECK(access_hear(&desk.access, &desk.err) == -1);
	CHECK(strstr(desk.err.message, "first") != NULL);
	CHECK(!access_ask(&desk.access));
	reply = redis_receive(desk.script.redis, &desk.err);
	REQUIRE(reply != NULL);
	CHECK(redis_reply_type(reply) == REDIS_STATUS);
	redis_reply_destroy(reply);
	close_desk(&desk);
}

/* A role of yesterday's catalogue says nothing of today's. */
static void
another_generation_forgets_roles(void)
{
	struct role_cache *cache = role_cache_create();
	enum right right = RIGHT_NONE;

	role_cache_put(cache, 7, TEXT(USER), TEXT("p"), RIGHT_ACT);
	CHECK(role_cache_get(cache, 7, TEXT(USER), TEXT("p"), &right));
	CHECK(right == RIGHT_ACT);
	CHECK(!role_cache_get(cache, 7, TEXT(OTHER), TEXT("p"), &right));
	CHECK(!role_cache_get(cache, 7, TEXT(USER), TEXT("q"), &right));
	CHECK(!role_cache_get(cache, 8, TEXT(USER), TEXT("p"), &right));
	CHECK(!role_cache_get(cache, 7, TEXT(USER), TEXT("p"), &right));
	role_cache_destroy(cache);
}

/* As sent it is stored nowhere: its projects are those of its targets. */
static void
a_draft_is_judged_by_the_targets_that_are_seen(void)
{
	struct text targets[] = { TEXT("a"), TEXT("b"), TEXT("c"), TEXT("d") };
	struct text inputs[] = { TEXT("e"), TEXT("f"), TEXT("g") };
	struct schedule_version version = {
		.created_by = TEXT(USER),
		.target_rids = { targets, 4 },
		.input_rids = { inputs, 3 },
	};
	struct draft_access draft;
	struct desk desk;

	open_desk(&desk);
	heard_are(&desk, "");
	SAY(&desk.script, "$1\r\n7\r\n");
	say_list(&desk, PROJECT, "x-yzz-x");
	say_list(&desk, "", "e-v---e");
	CHECK(access_judge(&desk.access, &version, &draft, &desk.err) == 0);
	CHECK(heard_are(&desk, "GET EVAL_RO EVAL_RO"));
	CHECK(draft.right == RIGHT_VIEW && draft.projects.n == 3);
	CHECK(draft.targets.n == 2 && draft.inputs.n == 2);
	CHECK(text_equal(draft.targets.at[0], TEXT("b")));
	CHECK(text_equal(draft.targets.at[1], TEXT("d")));
	CHECK(text_equal(draft.inputs.at[0], TEXT("e")));
	CHECK(text_equal(draft.inputs.at[1], TEXT("f")));
	SAY(&desk.script, NIL);
	CHECK(access_judge(&desk.access, &version, &draft, &desk.err) == -1);
	CHECK(desk.err.kind == ERROR_RETRY);
	close_desk(&desk);
}

CU_TestInfo access_tests[] = {
	{ "known roles need no question", known_roles_need_no_question },
	{ "the least role is the right", the_least_role_is_the_right },
	{ "roles may come in pieces", roles_may_come_in_pieces },
	{ "without projects it is the creator's",
	    without_projects_it_is_the_creators },
	{ "another catalogue gives other projects",
	    another_catalogue_gives_other_projects },
	{ "an unreadable version leaves projects",
	    an_unreadable_version_leaves_projects },
	{ "what is missing is known by the catalogue",
	    what_is_missing_is_known_by_the_catalogue },
	{ "nobody in particular may do everything",
	    nobody_in_particular_may_do_everything },
	{ "an error leaves no answer behind",
	    an_error_leaves_no_answer_behind },
	{ "another generation forgets roles",
	    another_generation_forgets_roles },
	{ "a draft is judged by the targets that are seen",
	    a_draft_is_judged_by_the_targets_that_are_seen },
	CU_TEST_INFO_NULL,
};
