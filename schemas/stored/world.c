#include "schemas/stored/world.h"

#include <assert.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/entry_table.h"

/*
 * A place for each thing that was asked for, and what is known of it.  Who asks
 * for what isn't known leaves a need and goes on, so that all needs of a level
 * of all plans are read together.  Places never move while the world lasts:
 * plans hold pointers to them, and so do needs on their way to Redis and back.
 * Nothing is given back singly; a reset forgets all, and keeps the memory warm.
 */

/* Beyond so many branches with a place, a dataset's specs are found by hash. */
#define SPECS_IN_LIST 8
/* So many projects are each asked whether they reference a dataset at once. */
#define FEW_PROJECTS 4

/*
 * A grant (user, project) or a reference (project, dataset); with an empty
 * second text whether a project is listed.
 */
struct pair {
	struct text a, b;
	enum known known;
	enum role role;
	bool references;
};

/* Where the spec of a dataset with many branches is. */
struct spec_place {
	const struct world_dataset *dataset;
	struct world_spec *spec;
};

/* In a complete world's list of a dataset, the newest first. */
struct world_referrer {
	struct world_referrer *next;
	struct text project;
};

/* Rare, so it stands beside what it is of, not in it. */
struct damage {
	const void *thing; /* a dataset, spec, user or pair */
	struct text message;
};

struct world {
	bool complete;
	struct arena *home;  /* holds this struct */
	struct arena *arena; /* holds what a reset forgets */
	struct entry_table datasets, users, roles, references, specs, damages;
	struct need *needs;
	size_t n_needs, needs_capacity;
	struct world_limits limits;
};

static const struct world_limits default_limits = { WORLD_MAX_JOBS,
	WORLD_MAX_INPUTS, INT32_MAX };

/* Texts of one document are often the same bytes. */
static inline bool
same_text(struct text left, struct text right)
{
	return left.size == right.size &&
	    (left.at == right.at || memcmp(left.at, right.at, left.size) == 0);
}

/* Both count, and which of them is the first. */
static inline size_t
mix_hashes(size_t first, size_t second)
{
	return (first ^ (first >> 29)) * (size_t)0x9e3779b97f4a7c15u + second;
}

/*
 * An arena's pointers differ in few bits, none of them among the lowest four; a
 * table looks at the lowest of a hash.  So the upper ones are moved there.
 */
static inline size_t
hash_pointer(const void *pointer)
{
	return mix_hashes((size_t)(uintptr_t)pointer, 0) >> 20;
}

static bool
is_dataset(const void *entry, const void *key)
{
	const struct text *rid = key;

	return same_text(((const struct world_dataset *)entry)->rid, *rid);
}

static bool
is_user(const void *entry, const void *key)
{
	const struct text *name = key;

	return same_text(((const struct world_user *)entry)->name, *name);
}

static bool
is_pair(const void *entry, const void *key)
{
	const struct pair *have = entry, *want = key;

	return same_text(have->a, want->a) && same_text(have->b, want->b);
}

static bool
is_spec_place(const void *entry, const void *key)
{
	const struct spec_place *have = entry, *want = key;

	return have->dataset == want->dataset &&
	    same_text(have->spec->branch, want->spec->branch);
}

static bool
is_damage(const void *entry, const void *key)
{
	return ((const struct damage *)entry)->thing == key;
}

struct world *
world_create(bool complete)
{
	/* Apart from what a reset forgets. */
	struct arena *home = arena_create(sizeof(struct world) + 64);
	struct world *world = arena_zalloc(home, 1, sizeof *world);

	world->home = home;
	world->arena = arena_create(0);
	world->complete = complete;
	world_reset(world);
	return world;
}

void
world_destroy(struct world *world)
{
	if (world == NULL)
		return;
	arena_destroy(world->arena);
	arena_destroy(world->home);
}

void
world_reset(struct world *world)
{
	struct arena *arena = world->arena;

	arena_reset(arena, arena_used(arena));
	entry_table_reset(&world->datasets, arena);
	entry_table_reset(&world->users, arena);
	entry_table_reset(&world->roles, arena);
	entry_table_reset(&world->references, arena);
	entry_table_reset(&world->specs, arena);
	entry_table_reset(&world->damages, arena);
	world->needs = NULL;
	world->n_needs = world->needs_capacity = 0;
	world->limits = default_limits;
}

/* A table's slot is valid until it is filled, so both are done here. */
static struct world_dataset *
find_dataset(struct world *world, struct text rid, size_t hash)
{
	struct entry_slot *slot =
	    entry_table_find(&world->datasets, hash, &rid, is_dataset);
	struct world_dataset *dataset = slot->entry;

	if (dataset == NULL) {
		dataset = arena_zalloc(world->arena, 1, sizeof *dataset);
		dataset->rid = rid;
		entry_table_fill(
		    &world->datasets, world->arena, slot, hash, dataset);
	}
	return dataset;
}

struct world_dataset *
world_dataset(struct world *world, struct text rid)
{
	return find_dataset(world, rid, text_hash(rid));
}

void
world_inputs(struct world *world, const struct spec_input *inputs, size_t n,
    struct world_dataset **datasets)
{
	const struct entry_table *table = &world->datasets;
	const struct job_spec *specs[WORLD_LOOKUPS];
	size_t hashes[WORLD_LOOKUPS], i;

	assert(n <= WORLD_LOOKUPS);
	/*
	 * Of a large catalogue nothing is in the processor's caches, and each
	 * step below waits for the one before: name, slot, dataset, its lists,
	 * spec, outputs.  Each pass fetches for all inputs what the next needs.
	 */
	for (i = 0; i < n; i++)
		__builtin_prefetch(inputs[i].rid.at);
	for (i = 0; i < n; i++) {
		hashes[i] = text_hash(inputs[i].rid);
		__builtin_prefetch(&table->slots[hashes[i] & table->mask]);
	}
	/* The right one, unless hashes collide. */
	for (i = 0; i < n; i++)
		__builtin_prefetch(table->slots[hashes[i] & table->mask].entry);
	for (i = 0; i < n; i++)
		datasets[i] = find_dataset(world, inputs[i].rid, hashes[i]);
	for (i = 0; i < n; i++) {
		__builtin_prefetch(datasets[i]->branches.at);
		__builtin_prefetch(datasets[i]->specs);
	}
	for (i = 0; i < n; i++) {
		const struct world_spec *newest = datasets[i]->specs;

		specs[i] = newest != NULL ? newest->spec : NULL;
		__builtin_prefetch(specs[i]);
	}
	for (i = 0; i < n; i++)
		if (specs[i] != NULL)
			__builtin_prefetch(specs[i]->outputs);
}

struct world_user *
world_user(struct world *world, struct text name)
{
	size_t hash = text_hash(name);
	struct entry_slot *slot =
	    entry_table_find(&world->users, hash, &name, is_user);
	struct world_user *user = slot->entry;

	if (user == NULL) {
		user = arena_zalloc(world->arena, 1, sizeof *user);
		user->name = name;
		entry_table_fill(&world->users, world->arena, slot, hash, user);
	}
	return user;
}

static size_t
hash_spec_place(const struct world_dataset *dataset, struct text branch)
{
	return mix_hashes(text_hash(branch), hash_pointer(dataset));
}

/*
 * In the list, which is short for nearly all datasets and whose head
 * world_inputs has fetched; only where it is long also by hash.
 */
static struct world_spec *
find_spec(const struct world *world, const struct world_dataset *dataset,
    struct text branch)
{
	const struct spec_place *place;
	struct world_spec want = { .branch = branch }, *spec;
	struct spec_place key = { dataset, &want };
	int steps = 0;

	for (spec = dataset->specs; spec != NULL; spec = spec->next) {
		if (same_text(spec->branch, branch))
			return spec;
		if (++steps == SPECS_IN_LIST)
			break;
	}
	if (dataset->n_specs <= SPECS_IN_LIST)
		return NULL;
	place = entry_table_find(&world->specs,
	    hash_spec_place(dataset, branch), &key, is_spec_place)
		    ->entry;
	return place != NULL ? place->spec : NULL;
}

/* It isn't there yet: each place is made once, by world_spec. */
static void
index_spec(struct world *world, const struct world_dataset *dataset,
    struct world_spec *spec)
{
	struct spec_place *place = arena_alloc(world->arena, sizeof *place);
	size_t hash = hash_spec_place(dataset, spec->branch);

	*place = (struct spec_place){ dataset, spec };
	entry_table_fill(&world->specs, world->arena,
	    entry_table_find(&world->specs, hash, place, is_spec_place), hash,
	    place);
}

struct world_spec *
world_spec(
    struct world *world, struct world_dataset *dataset, struct text branch)
{
	struct world_spec *spec = find_spec(world, dataset, branch), *each;

	if (spec != NULL)
		return spec;
	spec = arena_zalloc(world->arena, 1, sizeof *spec);
	spec->branch = branch;
	spec->next = dataset->specs;
	dataset->specs = spec;
	dataset->n_specs++;
	/* The list has become long: all of it goes into the table. */
	if (dataset->n_specs == SPECS_IN_LIST + 1)
		for (each = spec; each != NULL; each = each->next)
			index_spec(world, dataset, each);
	else if (dataset->n_specs > SPECS_IN_LIST)
		index_spec(world, dataset, spec);
	return spec;
}

/* The pair's place, made if need be: nobody has asked for it then. */
static struct pair *
find_pair(struct world *world, struct entry_table *table, struct text first,
    struct text second)
{
	struct pair key = { .a = first, .b = second }, *pair;
	size_t hash = mix_hashes(text_hash(first), text_hash(second));
	struct entry_slot *slot = entry_table_find(table, hash, &key, is_pair);

	if (slot->entry != NULL)
		return slot->entry;
	pair = arena_alloc(world->arena, sizeof *pair);
	*pair = key;
	entry_table_fill(table, world->arena, slot, hash, pair);
	return pair;
}

/*
 * Whether it is known; else it becomes a need, or absent if all is known.  A
 * need stays one until it is answered, however many plans wait for it.
 */
static bool
is_known(struct world *world, enum known *known, const struct need *need)
{
	struct need *more;

	if (*known >= KNOWN_ABSENT)
		return true;
	if (world->complete) {
		*known = KNOWN_ABSENT;
		return true;
	}
	if (*known == KNOWN_NEEDED)
		return false;
	*known = KNOWN_NEEDED;
	/*
	 * The list that was too short stays behind in the arena: all of them
	 * together are no longer than the last.
	 */
	if (world->n_needs == world->needs_capacity) {
		world->needs_capacity = 2 * world->n_needs + 32;
		more = arena_alloc(
		    world->arena, world->needs_capacity * sizeof *more);
		if (world->n_needs > 0)
			memcpy(
			    more, world->needs, world->n_needs * sizeof *more);
		world->needs = more;
	}
	world->needs[world->n_needs++] = *need;
	return false;
}

bool
world_knows_dataset(struct world *world, struct world_dataset *dataset)
{
	struct need need = { .kind = NEED_DATASET, .dataset = dataset };

	/* Asked most of all: a need is only made for what isn't known. */
	if (dataset->known >= KNOWN_ABSENT)
		return true;
	return is_known(world, &dataset->known, &need);
}

static bool
knows_spec(
    struct world *world, struct world_dataset *dataset, struct world_spec *spec)
{
	struct need need = {
		.kind = NEED_SPEC, .dataset = dataset, .spec = spec
	};

	return is_known(world, &spec->known, &need);
}

bool
world_knows_writer(struct world *world, struct world_dataset *dataset,
    struct text branch, const struct world_spec **writer)
{
	struct world_spec *spec = find_spec(world, dataset, branch);

	*writer = NULL;
	/* Places for all that nobody writes would make a document's world
	 * grow with each plan. */
	if (spec == NULL && world->complete)
		return true;
	if (spec == NULL)
		spec = world_spec(world, dataset, branch);
	if (!knows_spec(world, dataset, spec))
		return false;
	if (spec->known == KNOWN_PRESENT)
		*writer = spec;
	return true;
}

bool
world_knows_user(struct world *world, struct world_user *user)
{
	struct need need = { .kind = NEED_USER, .user = user };

	return is_known(world, &user->known, &need);
}

bool
world_knows_role(
    struct world *world, struct text user, struct text project, enum role *role)
{
	struct pair *pair = find_pair(world, &world->roles, user, project);
	struct need need = {
		.kind = NEED_GRANT, .a = user, .b = project, .slot = pair
	};

	if (!is_known(world, &pair->known, &need))
		return false;
	*role = pair->role;
	return true;
}

/*
 * In a complete world: by the projects that reference it, each looked for in
 * the scope, which ascends.
 */
static bool
is_referenced(
    const struct world_dataset *dataset, const struct text_list *projects)
{
	const struct world_referrer *referrer = dataset->referrers;

	for (; referrer != NULL; referrer = referrer->next)
		if (text_list_has(projects, referrer->project))
			return true;
	return false;
}

/* A pair without a dataset says whether the project is listed. */
static bool
knows_pair(
    struct world *world, struct text project, struct text rid, bool *references)
{
	struct pair *pair = find_pair(world, &world->references, project, rid);
	struct need need = {
		.kind = rid.size > 0 ? NEED_REFERENCE : NEED_PROJECT,
		.a = pair->a,
		.b = pair->b,
		.slot = pair,
	};

	if (!is_known(world, &pair->known, &need))
		return false;
	*references = pair->references;
	return true;
}

/* Of many projects only those are asked that are listed. */
static bool
knows_reference_of(struct world *world, struct text project, bool is_of_many,
    const struct world_dataset *dataset, bool *references)
{
	bool listed = true;

	if (is_of_many && !knows_pair(world, project, TEXT(""), &listed))
		return false;
	return !listed || knows_pair(world, project, dataset->rid, references);
}

bool
world_knows_reference(struct world *world, const struct text_list *projects,
    struct world_dataset *dataset, bool *references)
{
	bool known = true;
	size_t i;

	*references = world->complete && is_referenced(dataset, projects);
	/*
	 * All are asked for before one is waited for; but one that references
	 * it is enough, whatever the others say.
	 */
	for (i = 0; i < projects->n && !world->complete; i++) {
		known &= knows_reference_of(world, projects->at[i],
		    projects->n > FEW_PROJECTS, dataset, references);
		if (*references)
			return true;
	}
	return known;
}

const struct need *
world_needs(const struct world *world, size_t *n)
{
	*n = world->n_needs;
	return world->needs;
}

void
world_needs_taken(struct world *world)
{
	world->n_needs = 0;
}

void
world_put_role(
    struct world *world, struct text user, struct text project, enum role role)
{
	struct pair *pair = find_pair(world, &world->roles, user, project);

	/* No role is an answer, too. */
	pair->role = role;
	pair->known = role == ROLE_NONE ? KNOWN_ABSENT : KNOWN_PRESENT;
}

void
world_put_reference(
    struct world *world, struct text project, struct text rid, bool references)
{
	struct world_dataset *dataset;
	struct world_referrer *referrer;
	struct pair *pair;

	/* By dataset: a scope of thousands meets a list of a few. */
	if (world->complete && references) {
		dataset = world_dataset(world, rid);
		referrer = arena_alloc(world->arena, sizeof *referrer);
		*referrer =
		    (struct world_referrer){ dataset->referrers, project };
		dataset->referrers = referrer;
		return;
	}
	pair = find_pair(world, &world->references, project, rid);
	pair->references = references;
	pair->known = references ? KNOWN_PRESENT : KNOWN_ABSENT;
}

/* By halves: they ascend, and a dataset may have thousands. */
const struct branch *
branch_list_find(const struct branch_list *branches, struct text name)
{
	size_t low = 0, high = branches->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = text_compare(branches->at[middle].name, name);

		if (order == 0)
			return &branches->at[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
world_put_project(struct world *world, struct text project, bool listed)
{
	struct pair *pair =
	    find_pair(world, &world->references, project, TEXT(""));

	pair->references = listed;
	pair->known = listed ? KNOWN_PRESENT : KNOWN_ABSENT;
}

/*
 * Marks what a need is about as damaged, and known: as present, so that a plan
 * comes to where it looks for damage instead of calling it not found.
 */
static const void *
mark_damaged(const struct need *need)
{
	struct pair *pair = need->slot; /* of the last three kinds */

	switch (need->kind) {
	case NEED_DATASET:
		need->dataset->damaged = true;
		need->dataset->known = KNOWN_PRESENT;
		return need->dataset;
	case NEED_SPEC:
		need->spec->damaged = true;
		need->spec->known = KNOWN_PRESENT;
		return need->spec;
	case NEED_USER:
		need->user->damaged = true;
		need->user->known = KNOWN_PRESENT;
		return need->user;
	case NEED_GRANT:
		pair->role = ROLE_UNREADABLE;
		break;
	case NEED_PROJECT:
	case NEED_REFERENCE:
		break;
	}
	pair->known = KNOWN_PRESENT;
	return pair;
}

void
world_put_damage(
    struct world *world, const struct need *need, struct text message)
{
	const void *thing = mark_damaged(need);
	size_t hash = hash_pointer(thing);
	struct entry_slot *slot =
	    entry_table_find(&world->damages, hash, thing, is_damage);
	struct damage *damage;

	if (slot->entry != NULL)
		return; /* the first message is as good as the next */
	damage = arena_alloc(world->arena, sizeof *damage);
	*damage = (struct damage){ thing, message };
	entry_table_fill(&world->damages, world->arena, slot, hash, damage);
}

struct text
world_damage(const struct world *world, const void *thing)
{
	const struct damage *damage = entry_table_find(
	    &world->damages, hash_pointer(thing), thing, is_damage)
					  ->entry;

	return damage != NULL ? damage->message : TEXT_NONE;
}

struct text
world_role_damage(struct world *world, struct text user, struct text project)
{
	return world_damage(
	    world, find_pair(world, &world->roles, user, project));
}

struct world_limits
world_limits(const struct world *world)
{
	return world->limits;
}

void
world_set_limits(struct world *world, struct world_limits limits)
{
	world->limits = limits;
}
