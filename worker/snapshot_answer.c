#include "worker/snapshot_internal.h"

#include <string.h>

#include "schemas/catalogue.h"
#include "schemas/keyspace.h"

/* An entry of the structure: read again only for a new generation. */
static bool
has_structure(struct snapshot *snapshot, struct cache_entry *entry)
{
	snapshot_count_lookup(snapshot, entry->kind, entry->is_known);
	if (entry->is_known)
		return true;
	snapshot_want(snapshot, entry);
	return false;
}

/* A dataset's branches: read once in each batch. */
static bool
has_head(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (snapshot_is_fresh(snapshot, entry))
		return true;
	snapshot_want(snapshot, entry);
	return false;
}

/* "a⏎b" in the batch's arena. */
static struct text
joined(struct snapshot *snapshot, struct text a, struct text b)
{
	char *at = arena_alloc(snapshot->arena, a.size + b.size + 1);

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

	if (entry->parsed != NULL || entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	branches = arena_alloc(arena, sizeof *branches);
	if (branches_parse(entry->bytes, arena, branches, &err) != 0)
		entry->damage = text_copy(arena, text_from(err.message));
	else
		cache_parsed(snapshot->cache, entry, branches);
}

static void
put_damage(struct snapshot *snapshot, const struct need *need, const char *hash,
    struct text field, const char *why)
{
	world_put_damage(snapshot->world, need,
	    snapshot_damage_of(snapshot, hash, field, why));
}

/* Whether the need is satisfied; else what it lacks is wanted. */
static bool
answer_dataset(struct snapshot *snapshot, const struct need *need)
{
	struct world_dataset *dataset = need->dataset;
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_DATASET, dataset->rid);
	struct cache_entry *head =
	    cache_entry(snapshot->cache, CACHE_HEAD, dataset->rid);
	bool known = has_structure(snapshot, entry);
	struct error err;

	if (!has_head(snapshot, head) || !known)
		return false;
	dataset->known = entry->bytes.at != NULL ? KNOWN_PRESENT : KNOWN_ABSENT;
	if (entry->bytes.at == NULL)
		return true;
	if (dataset_parse(
		entry->bytes, &dataset->trashed, &dataset->project, &err) != 0)
		put_damage(snapshot, need, "g:d", dataset->rid, err.message);
	if (head->bytes.at == NULL)
		return true;
	parse_branches(snapshot, head);
	if (head->damage.at != NULL)
		put_damage(snapshot, need, "h", dataset->rid, head->damage.at);
	else
		dataset->branches = *(struct branch_list *)head->parsed;
	return true;
}

static bool
names_output(const struct job_spec *spec, struct text output)
{
	size_t low = 0, high = spec->n_outputs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = text_compare(spec->outputs[middle], output);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void
parse_spec(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct job_spec *spec;
	struct arena *arena;
	struct error err;

	if (entry->parsed != NULL || entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	spec = arena_alloc(arena, sizeof *spec);
	if (job_spec_parse(entry->bytes, arena, spec, &err) != 0)
		entry->damage = text_copy(arena, text_from(err.message));
	else
		cache_parsed(snapshot->cache, entry, spec);
}

/* What is wrong with the job spec found for an output; NULL: nothing. */
static const char *
spec_fault(const struct need *need, const struct cache_entry *entry)
{
	const struct job_spec *spec = entry->parsed;

	if (entry->damage.at != NULL)
		return entry->damage.at;
	if (spec == NULL || !text_equal(spec->branch, need->spec->branch) ||
	    !names_output(spec, need->dataset->rid))
		return "it names no job spec that writes it";
	return NULL;
}

static void
put_spec(struct snapshot *snapshot, const struct need *need, struct text field,
    struct cache_entry *entry)
{
	const char *fault;

	if (entry->bytes.at != NULL)
		parse_spec(snapshot, entry);
	fault = spec_fault(need, entry);
	if (fault != NULL) {
		put_damage(snapshot, need, "g:j", field, fault);
		return;
	}
	need->spec->known = KNOWN_PRESENT;
	need->spec->spec = entry->parsed;
}

static bool
answer_spec(struct snapshot *snapshot, const struct need *need)
{
	struct text field =
	    joined(snapshot, need->dataset->rid, need->spec->branch);
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_SPEC, field);

	if (!has_structure(snapshot, entry))
		return false;
	if (entry->bytes.at == NULL) {
		need->spec->known = KNOWN_ABSENT;
		return true;
	}
	if (entry->bytes.at[0] == '=') {
		struct text smallest = { entry->bytes.at + 1,
			entry->bytes.size - 1 };

		entry = cache_entry(snapshot->cache, CACHE_SPEC,
		    joined(snapshot, smallest, need->spec->branch));
		if (!has_structure(snapshot, entry))
			return false;
	}
	put_spec(snapshot, need, field, entry);
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
		put_damage(
		    snapshot, need, "g:u", user->name, "is neither 1 nor 0");
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
	if (entry->bytes.at != NULL &&
	    role_parse(entry->bytes, &role, &err) != 0)
		put_damage(snapshot, need, "g:u", entry->key, err.message);
	else
		world_put_role(snapshot->world, need->a, need->b, role);
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
	case NEED_REFERENCE:
		break;
	}
	return answer_reference(snapshot, need);
}

/* Reads all that is wanted, every hash in one pipeline. */
static int
fetch_wanted(struct snapshot *snapshot, struct error *err)
{
	static const struct {
		enum cache_kind kind;
		enum catalogue_part part;
	} parts[] = {
		{ CACHE_DATASET, PART_DATASETS },
		{ CACHE_SPEC, PART_JOB_SPECS },
		{ CACHE_USER, PART_USERS },
		{ CACHE_PROJECT, PART_PROJECTS },
	};
	struct buffer key = { 0 };
	size_t i;
	int rc;

	fetch_list_ask(&snapshot->lists[CACHE_HEAD], snapshot->redis,
	    keyspace_key(snapshot->keyspace, KEY_BRANCHES));
	for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		buffer_reset(&key);
		fetch_list_ask(&snapshot->lists[parts[i].kind], snapshot->redis,
		    keyspace_part(snapshot->keyspace, snapshot->generation,
			parts[i].part, &key));
	}
	snapshot_ask_proof(snapshot);
	buffer_finish(&key);
	rc = fetch_list_hear(&snapshot->lists[CACHE_HEAD], snapshot->cache,
	    snapshot->redis, err);
	for (i = 0; rc == 0 && i < sizeof parts / sizeof parts[0]; i++)
		rc = fetch_list_hear(&snapshot->lists[parts[i].kind],
		    snapshot->cache, snapshot->redis, err);
	return rc == 0 ? snapshot_hear_proof(snapshot, err) : rc;
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
		if (left > 0 && fetch_wanted(snapshot, err) != 0)
			return -1;
	} while (left > 0);
	world_needs_taken(snapshot->world);
	return 0;
}
