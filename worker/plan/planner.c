#include "worker/plan/planner.h"

#include "worker/plan/internal.h"

#define NAMED_MAX 10000 /* docs/semantics.md, section 6 */
#define FALLBACKS_MAX 16

typedef enum verdict phase(struct plan *plan);

static enum verdict
phase_schedule(struct plan *plan)
{
	const struct run_request *request = plan->input.request;
	struct text pin = request->schedule_version_rid;

	if (plan->version == NULL)
		return decide_error(plan,
		    pin.at != NULL ? CAUSE_VERSION_NOT_FOUND
				   : CAUSE_SCHEDULE_NOT_FOUND,
		    NULL);
	if (!text_equal(plan->version->schedule_rid, request->schedule_rid))
		return decide_error(plan, CAUSE_WRONG_SCHEDULE, NULL);
	if (pin.at != NULL && !text_equal(plan->version->rid, pin))
		return decide_error(plan, CAUSE_WRONG_VERSION, NULL);
	if (plan->input.deleted)
		return decide_error(plan, CAUSE_SCHEDULE_DELETED, NULL);
	return GO_ON;
}

static enum verdict
phase_paused(struct plan *plan)
{
	if (!plan->input.paused || plan->input.request->created_by.at != NULL)
		return GO_ON;
	plan->outcome.run.state = RUN_IGNORED;
	plan->outcome.run.why.phase = 1;
	plan->outcome.run.why.cause = TEXT("paused");
	return DECIDED;
}

/* The first RID that is both a target and ignored, or a list of all. */
static void
list_ignored_targets(
    const struct schedule_version *version, struct lister *lister)
{
	const struct text_list *targets = &version->target_rids;
	const struct text_list *ignored = &version->ignored_rids;
	size_t t = 0, i = 0;

	lister->count = 0;
	while (t < targets->n && i < ignored->n) {
		int order = text_compare(targets->at[t], ignored->at[i]);

		if (order == 0)
			lister_add(lister, targets->at[t]);
		if (order <= 0)
			t++;
		else
			i++;
	}
}

static struct text
branch_at(const struct schedule_version *version, size_t i)
{
	return i == 0 ? version->branch_name
		      : version->fallback_branches.at[i - 1];
}

static bool
is_branch_before(const struct schedule_version *version, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (text_equal(branch_at(version, k), branch_at(version, i)))
			return true;
	return false;
}

/* At most FALLBACKS_MAX fallbacks here, so looking at each pair is nothing. */
static void
list_repeated_branches(
    const struct schedule_version *version, struct lister *lister)
{
	size_t n = version->fallback_branches.n, i, k;

	lister->count = 0;
	for (i = 0; i <= n; i++) {
		if (is_branch_before(version, i))
			continue;
		for (k = i + 1; k <= n; k++)
			if (text_equal(
				branch_at(version, i), branch_at(version, k)))
				break;
		if (k <= n)
			lister_add(lister, branch_at(version, i));
	}
}

#define SOUND (-1)
/* The first cause of P4 that holds, and what its description needs; or SOUND.
 */
static int
find_flaw(const struct schedule_version *version, struct filling *filling,
    struct lister *lister)
{
	*filling = (struct filling){ .n = (int64_t)version->n_named,
		.max = NAMED_MAX };
	lister->count = 0;
	if (version->target_rids.n == 0)
		return CAUSE_NO_TARGETS;
	if (version->target_type == TARGET_CONNECTING &&
	    version->input_rids.n == 0)
		return CAUSE_NO_INPUTS;
	if (version->n_named > NAMED_MAX)
		return CAUSE_TOO_MANY_NAMED;
	filling->n = (int64_t)version->fallback_branches.n;
	filling->max = FALLBACKS_MAX;
	if (version->fallback_branches.n > FALLBACKS_MAX)
		return CAUSE_TOO_MANY_BRANCHES;
	list_repeated_branches(version, lister);
	if (lister->count > 0)
		return CAUSE_DUPLICATE_BRANCH;
	list_ignored_targets(version, lister);
	return lister->count > 0 ? CAUSE_TARGET_IGNORED : SOUND;
}

static enum verdict
phase_shape(struct plan *plan)
{
	struct filling filling;
	struct lister lister;
	int flaw = find_flaw(plan->version, &filling, &lister);

	if (flaw == SOUND)
		return GO_ON;
	return lister.count > 0
	    ? decide_listed(plan, (enum cause)flaw, &lister)
	    : decide_error(plan, (enum cause)flaw, &filling);
}

static void
add_named(struct plan *plan, const struct text_list *rids, uint16_t flag,
    struct list *list)
{
	size_t i;

	for (i = 0; i < rids->n; i++) {
		uint32_t number = graph_add_dataset(&plan->graph, rids->at[i]);
		struct graph_dataset *dataset =
		    graph_dataset(&plan->graph, number);

		dataset->flags = (uint16_t)(dataset->flags | flag);
		if (list != NULL)
			list_push(&plan->graph, list, number);
	}
}

static void
name_datasets(struct plan *plan)
{
	const struct schedule_version *version = plan->version;
	uint32_t n = (uint32_t)version->fallback_branches.n + 1, i;
	struct text *chain;

	if (plan->named)
		return;
	plan->named = true;
	chain = arena_alloc(plan->arena, n * sizeof *chain);
	for (i = 0; i < n; i++)
		chain[i] = branch_at(version, i);
	graph_init(&plan->graph, plan->arena, plan->world, chain, n);
	add_named(plan, &version->target_rids, 0, &plan->targets);
	if (version->target_type == TARGET_CONNECTING)
		add_named(plan, &version->input_rids, DATASET_IS_INPUT,
		    &plan->inputs);
	if (version->target_type != TARGET_MANUAL)
		add_named(plan, &version->ignored_rids, DATASET_IGNORED, NULL);
}

/* Whether P5 can check what the schedule names, but for roles. */
static bool
knows_named(struct plan *plan)
{
	bool known = true;
	uint32_t i;

	name_datasets(plan);
	for (i = 0; i < plan->targets.n; i++) {
		if (!plan_knows(plan, plan->targets.at[i]))
			known = false;
		if (!plan_resolves(plan, plan->targets.at[i]))
			known = false;
	}
	for (i = 0; i < plan->inputs.n; i++)
		if (!plan_knows(plan, plan->inputs.at[i]))
			known = false;
	return known;
}

/*
 * Whether a user is known.  If not, what later phases surely want is asked for
 * as well: a lone need costs as long as a thousand.
 */
static bool
knows_user(struct plan *plan, struct world_user *user)
{
	const struct schedule_version *version = plan->version;
	struct filling filling;
	struct lister lister;

	if (world_knows_user(plan->world, user)) {
		if (user->damaged)
			plan_note_damage(plan, world_damage(plan->world, user));
		return true;
	}
	plan->looks_ahead = true;
	if (version->scope == SCOPE_USER)
		world_knows_user(
		    plan->world, world_user(plan->world, version->created_by));
	if (find_flaw(version, &filling, &lister) == SOUND)
		knows_named(plan);
	plan->looks_ahead = false;
	return false;
}

static enum verdict
judge_user(struct plan *plan, struct text name, enum cause unknown,
    enum cause inactive)
{
	struct world_user *user = world_user(plan->world, name);
	struct filling filling = { .user = name };

	if (!knows_user(plan, user))
		return WAIT;
	if (user->known != KNOWN_PRESENT)
		return decide_error(plan, unknown, &filling);
	if (!user->active)
		return decide_error(plan, inactive, &filling);
	return GO_ON;
}

/* Whose rights the plan looks at; none: nobody's. */
static struct text
requester_of(const struct plan *plan)
{
	return plan->input.for_anybody ? TEXT_NONE
				       : plan->input.request->created_by;
}

static enum verdict
phase_requester(struct plan *plan)
{
	struct text requester = requester_of(plan);

	plan->gate = GATE_USER;
	if (requester.at == NULL)
		return GO_ON;
	return judge_user(
	    plan, requester, CAUSE_REQUESTER_UNKNOWN, CAUSE_REQUESTER_INACTIVE);
}

static enum verdict
phase_owner(struct plan *plan)
{
	if (plan->version->scope != SCOPE_USER)
		return GO_ON;
	return judge_user(plan, plan->version->created_by, CAUSE_OWNER_UNKNOWN,
	    CAUSE_OWNER_INACTIVE);
}

/* What the schedule names that is in the trash, or that isn't there. */
static void
list_named(struct plan *plan, bool trashed, struct lister *lister)
{
	uint32_t n = plan->targets.n, i;

	lister->count = 0;
	for (i = 0; i < n + plan->inputs.n; i++) {
		struct graph_dataset *dataset = graph_dataset(&plan->graph,
		    i < n ? plan->targets.at[i] : plan->inputs.at[i - n]);

		if ((dataset->flags & DATASET_LISTED) != 0 ||
		    !(trashed ? dataset->world->trashed
			      : dataset->world->known != KNOWN_PRESENT))
			continue;
		dataset->flags |= DATASET_LISTED;
		lister_add(lister, dataset->world->rid);
	}
}

/* Whether P5 can check the requester's roles; lists where they don't do. */
static bool
knows_roles(struct plan *plan, struct lister *lacking)
{
	struct text requester = requester_of(plan);
	bool known = true;
	uint32_t i;

	lacking->count = 0;
	for (i = 0; i < plan->targets.n && requester.at != NULL; i++) {
		const struct world_dataset *target =
		    graph_dataset(&plan->graph, plan->targets.at[i])->world;
		enum role role;

		if (target->damaged)
			continue; /* who knows in which project it is? */
		if (!plan_knows_role(plan, requester, target->project, &role))
			known = false;
		else if (role < ROLE_EDITOR)
			lister_add(lacking, target->rid);
	}
	return known;
}

static void
list_sources(const struct plan *plan, struct lister *sources)
{
	uint32_t i;

	sources->count = 0;
	for (i = 0; i < plan->targets.n; i++) {
		const struct graph_dataset *target =
		    graph_dataset(&plan->graph, plan->targets.at[i]);

		if (target->job == GRAPH_NONE)
			lister_add(sources, target->world->rid);
	}
}

static enum verdict
phase_targets(struct plan *plan)
{
	struct lister lister;

	if (!knows_named(plan))
		return WAIT;
	list_named(plan, false, &lister);
	if (decide_listed(plan, CAUSE_DATASET_NOT_FOUND, &lister) == DECIDED)
		return DECIDED;
	list_named(plan, true, &lister);
	if (decide_listed(plan, CAUSE_DATASET_TRASHED, &lister) == DECIDED)
		return DECIDED;
	if (!knows_roles(plan, &lister)) {
		struct lister sources;

		list_sources(plan, &sources);
		plan->looks_ahead = true;
		if (sources.count == 0)
			plan_start_walk(plan);
		plan->looks_ahead = false;
		return WAIT;
	}
	if (decide_listed(plan, CAUSE_REQUESTER_ROLE, &lister) == DECIDED)
		return DECIDED;
	plan->gate = GATE_ROLES;
	list_sources(plan, &lister);
	return decide_listed(plan, CAUSE_NO_JOB_SPEC, &lister);
}

static const struct {
	int32_t number;
	phase *run;
} phases[] = {
	{ 0, phase_schedule },
	{ 1, phase_paused },
	{ 2, phase_requester },
	{ 3, phase_owner },
	{ 4, phase_shape },
	{ 5, phase_targets },
	{ 6, phase_walk },
	{ 6, phase_select },
	{ 7, phase_survey },
	{ 7, phase_compatibility },
	{ 8, phase_cycles },
	{ 9, phase_permissions },
	{ 10, phase_datasets },
	{ 11, phase_staleness },
};

/* The run that a request asks for, without a result. */
static struct schedule_run
run_of(const struct run_request *request, struct text schedule_version_rid)
{
	return (struct schedule_run){
		.id = rid_run(request->schedule_rid, request->request_id),
		.request_id = request->request_id,
		.schedule_rid = request->schedule_rid,
		.schedule_version_rid = schedule_version_rid,
		.created_time_ms = request->created_time_ms,
		.created_by = request->created_by,
		.trigger = request->trigger,
	};
}

struct plan *
plan_start(
    struct arena *arena, struct world *world, const struct plan_input *input)
{
	struct plan *plan = arena_zalloc(arena, 1, sizeof *plan);
	const struct run_request *request = input->request;

	plan->arena = arena;
	plan->world = world;
	plan->input = *input;
	plan->version = input->version;
	plan->outcome.run = run_of(request,
	    input->version != NULL ? input->version->rid
				   : request->schedule_version_rid);
	return plan;
}

enum plan_state
plan_step(struct plan *plan)
{
	struct schedule_run *run = &plan->outcome.run;
	enum verdict verdict = run->state != RUN_PENDING ? DECIDED : GO_ON;

	while (verdict == GO_ON) {
		verdict = phases[plan->at].run(plan);
		/* Not while waiting: which was met first is but chance. */
		if (verdict != WAIT && plan->damage.at != NULL) {
			run->state = RUN_FAILED;
			run->error = INTERNAL;
			run->description = plan->damage;
			run->why =
			    (struct run_why){ .phase = phases[plan->at].number,
				    .cause = TEXT("catalogueUnreadable") };
			verdict = DECIDED;
		}
		if (verdict == GO_ON)
			plan->at++;
	}
	return verdict == WAIT ? PLAN_NEEDS : PLAN_DONE;
}

const struct outcome *
plan_outcome(const struct plan *plan)
{
	return &plan->outcome;
}

size_t
plan_datasets(const struct plan *plan)
{
	return plan->graph.datasets.n;
}

struct text
plan_dataset(const struct plan *plan, size_t number)
{
	const struct graph_dataset *dataset =
	    graph_dataset(&plan->graph, (uint32_t)number);

	return (dataset->flags & DATASET_KNOWN) != 0 ? dataset->world->rid
						     : TEXT_NONE;
}

enum plan_gate
plan_gate(const struct plan *plan)
{
	return plan->gate;
}

size_t
plan_targets(const struct plan *plan)
{
	return plan->targets.n;
}

struct text
plan_target_project(const struct plan *plan, size_t i)
{
	return graph_dataset(&plan->graph, plan->targets.at[i])->world->project;
}

const struct outcome *
plan_internal(struct arena *arena, const struct run_request *request,
    struct text schedule_version_rid, const char *cause,
    struct text description)
{
	struct outcome *outcome = arena_zalloc(arena, 1, sizeof *outcome);

	outcome->run = run_of(request, schedule_version_rid);
	outcome->run.state = RUN_FAILED;
	outcome->run.error = INTERNAL;
	outcome->run.description = text_copy(arena, description);
	outcome->run.why.cause = text_from(cause);
	return outcome;
}
