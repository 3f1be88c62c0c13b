#define _GNU_SOURCE /* memmem */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "producer/dryrun/case.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"
#include "tests/unit/toy.h"

/*
 * Plans over a world that is filled as they ask, as the worker's is: the same
 * outcomes as over a whole one, alone and several at once; and where stored
 * entries are damaged, or contradict each other, an end that names one of them
 * and doesn't depend on who else asks.
 */
#define TOYS 20000
#define DAMAGED_MOST 20 /* percent */
#define STEPS_MAX 2000
#define NEEDS_MAX 2048
#define HELD_BACK 60 /* percent of answers, where they come in any order */
#define PLANS 3
#define ORDERS 3
#define EXTRA_PROJECTS 8
#define FAILURES_SHOWN 10

struct store { /* what is answered from */
	struct world *whole;
	struct arena *arena;
	uint64_t seed;
	int damaged; /* percent of entries */
	int lost;    /* percent of outputs that don't lead to their job spec */
	bool holds_back; /* some answers, by this dice, else none */
	struct dice mail;
	bool asked_nowhere; /* for a role on the project of what is damaged */
};

/* The same for a thing whenever it is asked for. */
static bool
is_chosen(const struct store *store, struct text a, struct text b, int percent)
{
	struct dice dice = { store->seed };
	size_t i;

	for (i = 0; i < a.size; i++)
		dice.state = dice.state * 31 + (unsigned char)a.at[i];
	for (i = 0; i < b.size; i++)
		dice.state = dice.state * 37 + (unsigned char)b.at[i];
	return dice_chance(&dice, percent);
}

/* What a need is about, in two parts. */
static void
name_need(const struct need *need, struct text *a, struct text *b)
{
	*a = need->a;
	*b = need->b;
	if (need->kind == NEED_USER) {
		*a = need->user->name;
	} else if (need->kind == NEED_SPEC) {
		*a = need->dataset->rid;
		*b = need->spec->branch;
	} else if (need->kind == NEED_DATASET) {
		*a = need->dataset->rid;
	}
}

static void
damage(const struct store *store, struct world *world, const struct need *need)
{
	struct buffer message = { 0 };
	struct text a, b;

	name_need(need, &a, &b);
	buffer_format(&message, "damaged %.*s %.*s", TEXT_ARG(a), TEXT_ARG(b));
	world_put_damage(
	    world, need, text_copy(store->arena, buffer_text(&message)));
	buffer_finish(&message);
}

static void
answer_dataset(const struct store *store, struct world_dataset *dataset)
{
	const struct world_dataset *whole =
	    world_dataset(store->whole, dataset->rid);

	dataset->known =
	    whole->known == KNOWN_PRESENT ? KNOWN_PRESENT : KNOWN_ABSENT;
	dataset->trashed = whole->trashed;
	dataset->project = whole->project;
	dataset->branches = whole->branches;
}

static void
answer_spec(const struct store *store, const struct need *need)
{
	const struct world_spec *writer;

	world_knows_writer(store->whole,
	    world_dataset(store->whole, need->dataset->rid), need->spec->branch,
	    &writer);
	need->spec->known = KNOWN_ABSENT;
	if (writer == NULL ||
	    is_chosen(store, need->dataset->rid, writer->branch, store->lost))
		return;
	need->spec->known = KNOWN_PRESENT;
	need->spec->spec = writer->spec;
}

static void
answer_user(const struct store *store, struct world_user *user)
{
	const struct world_user *whole = world_user(store->whole, user->name);

	user->known =
	    whole->known == KNOWN_PRESENT ? KNOWN_PRESENT : KNOWN_ABSENT;
	user->active = whole->active;
}

static void
answer_pair(
    const struct store *store, struct world *world, const struct need *need)
{
	const struct text_list project = { &need->a, 1 };
	enum role role = ROLE_NONE;
	bool references;

	if (need->kind == NEED_GRANT) {
		world_knows_role(store->whole, need->a, need->b, &role);
		world_put_role(world, need->a, need->b, role);
		return;
	}
	world_knows_reference(store->whole, &project,
	    world_dataset(store->whole, need->b), &references);
	world_put_reference(world, need->a, need->b, references);
}

/* Those of toys are all listed, others that a scope names are not. */
static bool
is_toy_project(struct text project)
{
	return text_starts_with(project, TEXT("ri.compass.main.folder.p"));
}

static void
answer(struct store *store, struct world *world, const struct need *need)
{
	struct text a, b;

	name_need(need, &a, &b);
	if (need->kind == NEED_GRANT && need->b.size == 0)
		store->asked_nowhere = true;
	if (need->kind != NEED_REFERENCE && need->kind != NEED_PROJECT &&
	    is_chosen(store, a, b, store->damaged)) {
		damage(store, world, need);
		return;
	}
	if (need->kind == NEED_DATASET)
		answer_dataset(store, need->dataset);
	else if (need->kind == NEED_SPEC)
		answer_spec(store, need);
	else if (need->kind == NEED_USER)
		answer_user(store, need->user);
	else if (need->kind == NEED_PROJECT)
		world_put_project(world, need->a, is_toy_project(need->a));
	else
		answer_pair(store, world, need);
}

/* What is asked for and has not been answered yet. */
struct post {
	struct need open[NEEDS_MAX];
	size_t n;
};

/* Whether there was anything to answer; some of it may be held back. */
static bool
deliver(struct store *store, struct world *world, struct post *post)
{
	const struct need *needs;
	size_t n, i, left = 0;

	needs = world_needs(world, &n);
	assert(n <= NEEDS_MAX - post->n);
	for (i = 0; i < n; i++)
		post->open[post->n++] = needs[i];
	world_needs_taken(world);
	for (i = 0; i < post->n; i++)
		if (store->holds_back && dice_chance(&store->mail, HELD_BACK))
			post->open[left++] = post->open[i];
		else
			answer(store, world, &post->open[i]);
	n = post->n;
	post->n = left;
	return n > 0;
}

/*
 * Steps all plans until they are done, each beginning when the one before it
 * has got some answers; false if that takes for ever.
 */
static bool
run(struct store *store, struct world *world, struct plan **plans, int n)
{
	struct post post = { .n = 0 };
	int step, p;
	bool waits = true;

	for (step = 0; waits && step < STEPS_MAX; step++) {
		waits = false;
		for (p = 0; p < n; p++)
			waits |=
			    step < 2 * p || plan_step(plans[p]) == PLAN_NEEDS;
		if (!deliver(store, world, &post) && waits && step >= 2 * n)
			return false;
	}
	return !waits;
}

/* Schedules that look at the same world in different ways. */
struct scene {
	struct toy toy;
	struct plan_case plan_case;
	struct store store;
	struct schedule_version versions[PLANS];
	struct plan_input inputs[PLANS];
	struct run_request by_nobody;
	struct text projects[EXTRA_PROJECTS + TOY_PROJECTS];
	char extra[EXTRA_PROJECTS][40];
	struct buffer line, whole[PLANS], alone[PLANS], together[PLANS];
};

static void
write_outcome(
    const struct scene *scene, const struct plan *plan, struct buffer *out)
{
	buffer_reset(out);
	outcome_write_json(
	    plan_outcome(plan), scene->plan_case.created_time, out);
}

/* A scope of many projects, most of which the catalogue does not list. */
static void
add_projects(struct scene *scene)
{
	const struct text_list *some = &scene->versions[0].project_rids;
	size_t n = 0, i;

	for (i = 0; i < EXTRA_PROJECTS; i++) {
		char *name = scene->extra[i];

		snprintf(name, sizeof scene->extra[i],
		    "ri.compass.main.folder.a%zu", i);
		scene->projects[n++] = text_from(name);
	}
	for (i = 0; i < some->n; i++)
		scene->projects[n++] = some->at[i];
	scene->versions[1].project_rids =
	    (struct text_list){ scene->projects, n };
}

static void
vary(struct scene *scene, struct dice *dice)
{
	int p;

	for (p = 0; p < PLANS; p++) {
		scene->versions[p] = scene->plan_case.version;
		scene->inputs[p] = (struct plan_input){
			.request = &scene->plan_case.request,
			.version = &scene->versions[p],
			.paused = scene->plan_case.head.paused,
		};
	}
	scene->versions[1].force_build = !scene->versions[1].force_build;
	scene->versions[1].ignored_rids = (struct text_list){ NULL, 0 };
	if (dice_chance(dice, 50))
		add_projects(scene);
	scene->by_nobody = scene->plan_case.request;
	scene->by_nobody.created_by = TEXT("nobody");
	if (dice_chance(dice, 30))
		scene->inputs[2].request = &scene->by_nobody;
	scene->versions[2].scope = SCOPE_USER;
	if (scene->versions[2].target_type == TARGET_MANUAL)
		scene->versions[2].target_type = TARGET_UPSTREAM;
}

/* Often too few for most plans. */
static void
lower_limits(struct scene *scene, struct dice *dice)
{
	struct world_limits limits = world_limits(scene->plan_case.world);

	if (dice_chance(dice, 50))
		limits.max_jobs = 1 + dice_below(dice, 2);
	world_set_limits(scene->plan_case.world, limits);
}

static void
set_scene(struct scene *scene, uint64_t seed)
{
	struct dice dice = { seed };

	toy_make(&scene->toy, seed);
	buffer_reset(&scene->line);
	buffer_reset(&scene->whole[0]);
	toy_write(&scene->toy, seed, &scene->line);
	plan_case_answer(
	    &scene->plan_case, buffer_text(&scene->line), &scene->whole[0]);
	vary(scene, &dice);
	lower_limits(scene, &dice);
	scene->store = (struct store){ .whole = scene->plan_case.world,
		.arena = scene->plan_case.arena,
		.seed = seed,
		.mail = { seed } };
}

/* Plans over the whole world: it never asks. */
static bool
plan_whole(struct scene *scene)
{
	bool done = true;
	int p;

	for (p = 0; p < PLANS; p++) {
		struct plan *plan = plan_start(
		    scene->store.arena, scene->store.whole, &scene->inputs[p]);

		done = done && plan_step(plan) == PLAN_DONE;
		write_outcome(scene, plan, &scene->whole[p]);
	}
	return done;
}

/* Plans `n` of them from `first` on over one world that is empty at first. */
static bool
plan_partial(struct scene *scene, int first, int n, struct buffer *out)
{
	struct world *world = world_create(false);
	struct plan *plans[PLANS];
	bool done;
	int p;

	world_set_limits(world, world_limits(scene->store.whole));
	for (p = 0; p < n; p++)
		plans[p] = plan_start(
		    scene->store.arena, world, &scene->inputs[first + p]);
	done = run(&scene->store, world, plans, n);
	for (p = 0; p < n && done; p++)
		write_outcome(scene, plans[p], &out[p]);
	world_destroy(world);
	return done;
}

/* Whether they end together as each does alone, in `alone`. */
static const char *
plan_together(struct scene *scene)
{
	int p;

	if (!plan_partial(scene, 0, PLANS, scene->together))
		return "together they never end";
	for (p = 0; p < PLANS; p++)
		if (!text_equal(buffer_text(&scene->alone[p]),
			buffer_text(&scene->together[p])))
			return "together it ends in another way";
	return NULL;
}

/*
 * Whether they end alike alone and together, whichever answers come first;
 * `alone` has how.
 */
static const char *
plan_all_ways(struct scene *scene)
{
	const char *wrong;
	int p, order;

	for (p = 0; p < PLANS; p++)
		if (!plan_partial(scene, p, 1, &scene->alone[p]))
			return "alone it never ends";
	wrong = plan_together(scene);
	scene->store.holds_back = true;
	for (order = 0; order < ORDERS && wrong == NULL; order++)
		wrong = plan_together(scene);
	scene->store.holds_back = false;
	return scene->store.asked_nowhere ? "it asks for a role on no project"
					  : wrong;
}

static bool
is_internal(const struct buffer *outcome)
{
	struct text text = buffer_text(outcome);

	return memmem(text.at, text.size, "\"catalogueUnreadable\"", 21) !=
	    NULL;
}

static bool
names_damage(const struct buffer *outcome)
{
	struct text text = buffer_text(outcome);

	return memmem(text.at, text.size, "\"description\":\"damaged ", 23) !=
	    NULL;
}

static const char *
try_sound(struct scene *scene)
{
	const char *wrong = plan_all_ways(scene);
	int p;

	for (p = 0; p < PLANS && wrong == NULL; p++)
		if (!text_equal(buffer_text(&scene->alone[p]),
			buffer_text(&scene->whole[p])))
			return "over a partial world it ends in another way";
	return wrong;
}

/* Whether who asks passes the gate, by what the world then knows of him. */
static bool
passes(struct store *store, struct world *world, const struct plan *plan,
    struct text requester)
{
	struct world_user *user = world_user(world, requester);
	struct post post = { .n = 0 };
	bool may = true;
	size_t i;

	if (plan_gate(plan) == GATE_OPEN)
		return true;
	if (!world_knows_user(world, user))
		deliver(store, world, &post);
	if (user->damaged || user->known != KNOWN_PRESENT || !user->active)
		return false;
	for (i = 0; i < plan_targets(plan) && plan_gate(plan) == GATE_ROLES;
	     i++) {
		struct text project = plan_target_project(plan, i);
		enum role role = ROLE_NONE;

		if (!world_knows_role(world, requester, project, &role)) {
			deliver(store, world, &post);
			world_knows_role(world, requester, project, &role);
		}
		may = may && role >= ROLE_EDITOR;
	}
	return may;
}

/*
 * Who passes the gate of the plan for anybody gets what a plan of his own
 * gives, which is in `alone`; what damage ends each plans for himself.
 */
static const char *
try_gate(struct scene *scene, int p, int *n_passed)
{
	struct world *world = world_create(false);
	struct plan_input input = scene->inputs[p];
	struct plan *plan;
	const char *wrong = NULL;

	input.for_anybody = true;
	world_set_limits(world, world_limits(scene->store.whole));
	plan = plan_start(scene->store.arena, world, &input);
	if (!run(&scene->store, world, &plan, 1))
		wrong = "for anybody it never ends";
	write_outcome(scene, plan, &scene->together[p]);
	if (wrong == NULL && !is_internal(&scene->together[p]) &&
	    passes(&scene->store, world, plan, input.request->created_by)) {
		++*n_passed;
		if (!text_equal(buffer_text(&scene->together[p]),
			buffer_text(&scene->alone[p])))
			wrong = "who passes the gate gets something else";
	}
	world_destroy(world);
	return wrong;
}

static const char *
try_gates(struct scene *scene, int *n_passed)
{
	const char *wrong = NULL;
	int p;

	for (p = 0; p < PLANS && wrong == NULL; p++)
		if (scene->inputs[p].request->created_by.at != NULL)
			wrong = try_gate(scene, p, n_passed);
	return wrong;
}

/* Either nothing damaged mattered, or one of them is named. */
static const char *
try_damaged(struct scene *scene, int *n_internal, int *n_passed)
{
	const char *wrong;
	int p;

	scene->store.damaged = 1 + (int)(scene->store.seed % DAMAGED_MOST);
	wrong = plan_all_ways(scene);
	for (p = 0; p < PLANS && wrong == NULL; p++) {
		*n_internal += is_internal(&scene->alone[p]);
		if (is_internal(&scene->alone[p])
			? !names_damage(&scene->alone[p])
			: !text_equal(buffer_text(&scene->alone[p]),
			      buffer_text(&scene->whole[p])))
			return "damage leads to something else";
	}
	if (wrong == NULL)
		wrong = try_gates(scene, n_passed);
	scene->store.damaged = 0;
	return wrong;
}

static const char *
try_contradictions(struct scene *scene, int *n_internal)
{
	const char *wrong;
	int p;

	scene->store.lost = 10;
	wrong = plan_all_ways(scene);
	for (p = 0; p < PLANS && wrong == NULL; p++)
		*n_internal += is_internal(&scene->alone[p]);
	scene->store.lost = 0;
	return wrong;
}

static const char *
try_scene(struct scene *scene, uint64_t seed, int *n_damaged, int *n_lost,
    int *n_passed)
{
	const char *wrong;

	set_scene(scene, seed);
	if (!plan_whole(scene))
		return "a whole world leaves something to ask for";
	wrong = try_sound(scene);
	if (wrong == NULL)
		wrong = try_gates(scene, n_passed);
	if (wrong == NULL)
		wrong = try_damaged(scene, n_damaged, n_passed);
	if (wrong == NULL)
		wrong = try_contradictions(scene, n_lost);
	return wrong;
}

static void
finish_scene(struct scene *scene)
{
	int p;

	plan_case_finish(&scene->plan_case);
	buffer_finish(&scene->line);
	for (p = 0; p < PLANS; p++) {
		buffer_finish(&scene->whole[p]);
		buffer_finish(&scene->alone[p]);
		buffer_finish(&scene->together[p]);
	}
}

static void
test_scenes(void)
{
	static struct scene scene;
	int failures = 0, n_damaged = 0, n_lost = 0, n_passed = 0;
	uint64_t rounds = random_rounds(TOYS), seed;

	plan_case_init(&scene.plan_case);
	for (seed = 1; seed <= rounds && failures < FAILURES_SHOWN; seed++) {
		const char *wrong =
		    try_scene(&scene, seed, &n_damaged, &n_lost, &n_passed);
		char row[120];

		if (wrong == NULL)
			continue;
		failures++;
		snprintf(row, sizeof row, "toy %d: %s", (int)seed, wrong);
		CHECK_ROW(row, wrong == NULL);
	}
	CHECK(failures == 0);
	CHECK(
	    n_damaged > (int)rounds / 20); /* damage does matter now and then */
	CHECK(n_lost > (int)rounds / 200);
	CHECK(n_passed > (int)rounds / 5);
	finish_scene(&scene);
}

CU_TestInfo partial_world_tests[] = {
	{ "a world that is filled as plans ask", test_scenes },
	CU_TEST_INFO_NULL,
};
