#include "worker/snapshot/internal.h"

#include <assert.h>
#include <string.h>

#include "schemas/stored/catalogue.h"

/*
 * An entry of the structure: read again only for a new generation, or if it
 * could not be read: somebody may have mended it.
 */
static bool
has_structure(struct snapshot *snapshot, struct cache_entry *entry)
{
	bool known = cache_is_settled(snapshot->cache, entry);

	snapshot_count_lookup(snapshot, entry->kind, known);
	if (known)
		return true;
	snapshot_want(snapshot, entry);
	return false;
}

/* A dataset's branches: read once in each batch. */
static bool
has_head(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (cache_is_fresh(snapshot->cache, entry))
		return true;
	snapshot_want(snapshot, entry);
	return false;
}

/* "a⏎b" in the batch's arena. */
static struct text
joined(struct snapshot *snapshot, struct text a, struct text b)
{
	char *at = arena_alloc(snapshot->arena, a.size + b.size + 1);

	assert(a.at != NULL && b.at != NULL);
	memcpy(at, a.at, a.size);
	at[a.size] = '\n';
	memcpy(at + a.size + 1, b.at, b.size);
	return (struct text){ at, a.size + b.size + 1 };
}

static void
parse_branches(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct branch_list *branches;
	struct arena *arena;
	struct error err;

	if (entry->bytes.at == NULL || entry->parsed != NULL ||
	    entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	branches = arena_alloc(arena, sizeof *branches);
	if (branches_parse(entry->bytes, arena, branches, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	else
		cache_parsed(snapshot->cache, entry, branches);
}

/* Whether the entry can be read; else the need is answered by its damage. */
static bool
is_sound(struct snapshot *snapshot, const struct need *need,
    const struct cache_entry *entry, struct text field)
{
	if (entry->damage.at == NULL)
		return true;
	world_put_damage(snapshot->world, need,
	    snapshot_damage_of(snapshot, entry->kind, field, entry->damage.at));
	return false;
}

static void
put_dataset(struct snapshot *snapshot, const struct need *need,
    struct cache_entry *entry, struct cache_entry *head)
{
	struct world_dataset *dataset = need->dataset;
	struct error err;

	dataset->known = KNOWN_PRESENT;
	if (entry->damage.at == NULL &&
	    dataset_parse(
		entry->bytes, &dataset->trashed, &dataset->project, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	if (!is_sound(snapshot, need, entry, entry->key))
		return;
	parse_branches(snapshot, head);
	if (is_sound(snapshot, need, head, head->key) && head->parsed != NULL)
		dataset->branches = *(struct branch_list *)head->parsed;
}

/* Whether the need is satisfied; else what it lacks is wanted. */
static bool
answer_dataset(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_DATASET, need->dataset->rid);
	struct cache_entry *head =
	    cache_entry(snapshot->cache, CACHE_HEAD, need->dataset->rid);
	bool known = has_structure(snapshot, entry);

	if (!has_head(snapshot, head) || !known)
		return false;
	if (entry->bytes.at == NULL && entry->damage.at == NULL)
		need->dataset->known = KNOWN_ABSENT;
	else
		put_dataset(snapshot, need, entry, head);
	return true;
}

static void
parse_spec(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct job_spec *spec;
	struct arena *arena;
	struct error err;

	if (entry->bytes.at == NULL || entry->parsed != NULL ||
	    entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	spec = arena_alloc(arena, sizeof *spec);
	if (job_spec_parse(entry->bytes, arena, spec, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	else
		cache_parsed(snapshot->cache, entry, spec);
}

/* Whether the entry holds the job spec that writes the needed dataset. */
static bool
is_writer(const struct need *need, const struct cache_entry *entry)
{
	const struct job_spec *spec = entry->parsed;
	struct text_list outputs;

	if (spec == NULL || !text_equal(spec->branch, need->spec->branch))
		return false;
	outputs = (struct text_list){ spec->outputs, spec->n_outputs };
	return text_list_has(&outputs, need->dataset->rid);
}

/*
 * The spec of `entry`, which `origin` leads to or is.  If it is none, both are
 * read again next time: either may have been mended.
 */
static void
put_spec(struct snapshot *snapshot, const struct need *need,
    struct cache_entry *origin, struct cache_entry *entry)
{
	static const char none[] =
	    "it leads to no job spec that writes the dataset";

	parse_spec(snapshot, entry);
	if (entry->damage.at == NULL && !is_writer(need, entry))
		cache_spoil(snapshot->cache, entry, none);
	if (entry->damage.at != NULL && origin->damage.at == NULL)
		cache_spoil(snapshot->cache, origin, none);
	if (!is_sound(snapshot, need, entry, origin->key))
		return;
	need->spec->known = KNOWN_PRESENT;
	need->spec->spec = entry->parsed;
}

static bool
answer_spec(struct snapshot *snapshot, const struct need *need)
{
	struct text smallest;
	struct cache_entry *origin = cache_entry(snapshot->cache, CACHE_SPEC,
	    joined(snapshot, need->dataset->rid, need->spec->branch));
	struct cache_entry *entry = origin;

	if (!has_structure(snapshot, origin))
		return false;
	if (origin->bytes.at == NULL && origin->damage.at == NULL) {
		need->spec->known = KNOWN_ABSENT;
		return true;
	}
	if (text_starts_with(origin->bytes, TEXT("="))) {
		smallest = (struct text){ origin->bytes.at + 1,
			origin->bytes.size - 1 };
		entry = cache_entry(snapshot->cache, CACHE_SPEC,
		    joined(snapshot, smallest, need->spec->branch));
		if (!has_structure(snapshot, entry))
			return false;
	}
	put_spec(snapshot, need, origin, entry);
	return true;
}

static bool
answer_user(struct snapshot *snapshot, const struct need *need)
{
	struct world_user *user = need->user;
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_USER, user->name);

	if (!has_structure(snapshot, entry))
		return false;
	user->known = entry->bytes.at != NULL ? KNOWN_PRESENT : KNOWN_ABSENT;
	user->active = text_equal(entry->bytes, TEXT("1"));
	if (entry->bytes.at != NULL && !user->active &&
	    !text_equal(entry->bytes, TEXT("0")))
		cache_spoil(snapshot->cache, entry, "it is neither 1 nor 0");
	is_sound(snapshot, need, entry, entry->key);
	return true;
}

static bool
answer_grant(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry = cache_entry(
	    snapshot->cache, CACHE_USER, joined(snapshot, need->a, need->b));
	enum role role = ROLE_NONE;
	struct error err;

	if (!has_structure(snapshot, entry))
		return false;
	if (entry->bytes.at != NULL && entry->damage.at == NULL &&
	    role_parse(entry->bytes, &role, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	if (is_sound(snapshot, need, entry, entry->key))
		world_put_role(snapshot->world, need->a, need->b, role);
	return true;
}

static bool
answer_project(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_PROJECT, need->a);

	if (!has_structure(snapshot, entry))
		return false;
	world_put_project(snapshot->world, need->a, entry->bytes.at != NULL);
	return true;
}

static bool
answer_reference(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry = cache_entry(
	    snapshot->cache, CACHE_PROJECT, joined(snapshot, need->a, need->b));

	if (!has_structure(snapshot, entry))
		return false;
	world_put_reference(
	    snapshot->world, need->a, need->b, entry->bytes.at != NULL);
	return true;
}

static bool
answer_need(struct snapshot *snapshot, const struct need *need)
{
	switch (need->kind) {
	case NEED_DATASET:
		return answer_dataset(snapshot, need);
	case NEED_SPEC:
		return answer_spec(snapshot, need);
	case NEED_USER:
		return answer_user(snapshot, need);
	case NEED_GRANT:
		return answer_grant(snapshot, need);
	case NEED_PROJECT:
		return answer_project(snapshot, need);
	case NEED_REFERENCE:
		break;
	}
	return answer_reference(snapshot, need);
}

int
snapshot_answer(struct snapshot *snapshot, struct error *err)
{
	const struct need *needs;
	size_t n, i, left;

	needs = world_needs(snapshot->world, &n);
	do {
		left = 0;
		for (i = 0; i < n; i++)
			if (!answer_need(snapshot, &needs[i]))
				left++;
		if (left > 0 && snapshot_round(snapshot, err) != 0)
			return -1;
	} while (left > 0);
	world_needs_taken(snapshot->world);
	return 0;
}
