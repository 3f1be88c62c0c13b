#include "producer/trigger/satisfy.h"

#include "common/base/buffer.h"
#include "common/json/node.h"

struct matching {
	const struct facts *facts;
	struct arena *arena;
	struct satisfied *out;
	struct satisfied_and **last;
	size_t n_ands;
};

/* A group that is being walked. */
struct level {
	const struct json *group;
	size_t next;
};

/* What a trigger waits for, whose members are named so. */
static const struct leaf_kind {
	enum trigger_type type, counts_as;
	const char *rid, *branch;
} leaf_kinds[] = {
	{ TRIGGER_DATASET_UPDATED, TRIGGER_DATASET_UPDATED, "datasetRid",
	    "branchName" },
	{ TRIGGER_MEDIA_SET_UPDATED, TRIGGER_DATASET_UPDATED, "mediaSetRid",
	    "branchName" },
	{ TRIGGER_TABLE_UPDATED, TRIGGER_DATASET_UPDATED, "tableRid",
	    "branchName" },
	{ TRIGGER_NEW_LOGIC, TRIGGER_NEW_LOGIC, "datasetRid", "branchName" },
	{ TRIGGER_JOB_SUCCEEDED, TRIGGER_JOB_SUCCEEDED, "datasetRid",
	    "branchName" },
	{ TRIGGER_SCHEDULE_SUCCEEDED, TRIGGER_SCHEDULE_SUCCEEDED, "scheduleRid",
	    NULL },
	{ TRIGGER_SCHEDULE_FAILED, TRIGGER_SCHEDULE_FAILED, "scheduleRid",
	    NULL },
	{ TRIGGER_TIME, TRIGGER_TIME, "cronExpression", "timeZone" },
};
#define N_LEAF_KINDS (sizeof leaf_kinds / sizeof leaf_kinds[0])

/* The fact that a leaf waits for; NULL: it isn't among them. */
static const struct fact *
fact_of(const struct matching *matching, const struct json *leaf)
{
	const struct leaf_kind *kind = leaf_kinds;
	struct text rid, branch = TEXT_NONE;
	size_t i;

	while (
	    kind < leaf_kinds + N_LEAF_KINDS && !trigger_is(leaf, kind->type))
		kind++;
	if (kind == leaf_kinds + N_LEAF_KINDS)
		return NULL;
	rid = json_text(json_get(leaf, kind->rid));
	if (kind->branch != NULL)
		branch = json_text(json_get(leaf, kind->branch));
	for (i = 0; i < matching->facts->n; i++) {
		const struct fact *fact = &matching->facts->at[i];

		if (fact->type == kind->counts_as &&
		    text_equal(fact->rid, rid) &&
		    text_equal(fact->branch, branch))
			return fact;
	}
	return NULL;
}

/* An `and` ------------------------------------------------------------------
 */

/* One that is being walked, and what is found of it. */
struct and_walk {
	const struct matching *matching;
	const struct fact *fact;
	struct buffer form, leaves;
	size_t n_leaves;
};

static void
walk_leaf(struct and_walk *walk, const struct json *leaf)
{
	const struct fact *fact = fact_of(walk->matching, leaf);

	buffer_format(&walk->form, "l%zu ", walk->n_leaves);
	if (fact != NULL) {
		walk->fact = fact;
		buffer_format(&walk->leaves, "%zu ", walk->n_leaves);
	}
	walk->n_leaves++;
}

/* Behind its parts. */
static void
end_group(struct and_walk *walk, const struct json *group)
{
	buffer_format(&walk->form, "%c%zu ",
	    trigger_is(group, TRIGGER_AND) ? 'a' : 'o',
	    json_size(json_get(group, "triggers")));
}

static bool
is_group(const struct json *node)
{
	return trigger_is(node, TRIGGER_AND) || trigger_is(node, TRIGGER_OR);
}

/* All that is in it, each part before what it is a part of. */
static void
walk_group(struct and_walk *walk, const struct json *root)
{
	struct level levels[DOCUMENT_DEPTH_MAX] = { { root, 0 } };
	size_t depth = 1;

	while (depth > 0) {
		struct level *level = &levels[depth - 1];
		const struct json *list = json_get(level->group, "triggers");
		const struct json *node;

		if (level->next == json_size(list)) {
			end_group(walk, level->group);
			depth--;
			continue;
		}
		node = json_at(list, level->next++);
		if (is_group(node) && depth < DOCUMENT_DEPTH_MAX)
			levels[depth++] = (struct level){ node, 0 };
		else
			walk_leaf(walk, node);
	}
}

static void
match_and(struct matching *matching, const struct json *root)
{
	struct and_walk walk = { .matching = matching };
	struct satisfied_and *found;
	size_t number = matching->n_ands++;

	walk_group(&walk, root);
	if (walk.fact != NULL) {
		found = arena_zalloc(matching->arena, 1, sizeof *found);
		found->number = number;
		found->fact = walk.fact;
		found->form = buffer_keep(&walk.form, matching->arena);
		found->leaves = buffer_keep(&walk.leaves, matching->arena);
		*matching->last = found;
		matching->last = &found->next;
	}
	buffer_finish(&walk.form);
	buffer_finish(&walk.leaves);
}

/* The whole --------------------------------------------------------------- */

static void
match_one(struct matching *matching, const struct json *node)
{
	const struct fact *fact;

	if (trigger_is(node, TRIGGER_AND)) {
		match_and(matching, node);
		return;
	}
	fact = fact_of(matching, node);
	if (fact != NULL && matching->out->alone == NULL)
		matching->out->alone = fact;
}

static void
match_trigger(struct matching *matching, const struct json *trigger)
{
	struct level levels[DOCUMENT_DEPTH_MAX] = { { trigger, 0 } };
	size_t depth = trigger_is(trigger, TRIGGER_OR) ? 1 : 0;

	if (depth == 0)
		match_one(matching, trigger);
	while (depth > 0) {
		struct level *level = &levels[depth - 1];
		const struct json *list = json_get(level->group, "triggers");
		const struct json *node;

		if (level->next == json_size(list)) {
			depth--;
			continue;
		}
		node = json_at(list, level->next++);
		if (trigger_is(node, TRIGGER_OR) && depth < DOCUMENT_DEPTH_MAX)
			levels[depth++] = (struct level){ node, 0 };
		else
			match_one(matching, node);
	}
}

int
satisfy_read(struct text version, const struct facts *facts,
    struct arena *arena, struct satisfied *satisfied, struct error *err)
{
	struct matching matching = { .facts = facts,
		.arena = arena,
		.out = satisfied,
		.last = &satisfied->ands };
	struct json_document *document =
	    json_parse(version, DOCUMENT_DEPTH_MAX, err);

	*satisfied = (struct satisfied){ 0 };
	if (document == NULL)
		return -1;
	match_trigger(&matching, json_get(json_root(document), "trigger"));
	json_destroy(document);
	return 0;
}
