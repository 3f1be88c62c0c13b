#include "schemas/stored/canonical.h"

#include <stdint.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "schemas/stored/catalogue.h"
#include "schemas/stored/document.h"
#include "schemas/stored/time_unit.h"

/*
 * Each function takes what it is named after, and is false if that does not
 * stand there; then all is given up.  So nobody looks back, and what is unknown
 * or at another place is seen by the bracket that does not follow.
 */
struct cursor {
	const char *at, *end;
	struct arena *arena;
};

#define SKIPPED_DEPTH 16 /* of what nobody looks into */
#define DIGITS_MAX 9     /* fits int32_t */
#define PARENTS_MAX 64   /* branches among which loops are looked for here */

/* What a string may have in it as it is; beyond ASCII the document was judged.
 */
__extension__ static const bool plain[256] = {
	[' ' ... '!'] = true,
	['#' ... '['] = true,
	[']' ... '~'] = true,
	[0x80 ... 0xff] = true,
};

/* Nothing is at at[-1] before the first bracket has been taken. */
static bool
open_document(struct cursor *cursor, struct text stored, struct arena *arena)
{
	*cursor = (struct cursor){
		.at = stored.at,
		.end = stored.at + stored.size,
		.arena = arena,
	};
	return text_is_utf8(stored);
}

static bool
is_at_end(const struct cursor *cursor)
{
	return cursor->at == cursor->end;
}

static inline bool
take_byte(struct cursor *cursor, char byte)
{
	if (is_at_end(cursor) || *cursor->at != byte)
		return false;
	cursor->at++;
	return true;
}

static inline bool
take_word(struct cursor *cursor, struct text word)
{
	if ((size_t)(cursor->end - cursor->at) < word.size ||
	    memcmp(cursor->at, word.at, word.size) != 0)
		return false;
	cursor->at += word.size;
	return true;
}

/* A member's name, and what divides it from the one before. */
static inline bool
has_member(struct cursor *cursor, struct text quoted)
{
	const char *start = cursor->at;

	if (start[-1] != '{' && !take_byte(cursor, ','))
		return false;
	if (take_word(cursor, quoted))
		return true;
	cursor->at = start;
	return false;
}
#define MEMBER(cursor, name) has_member(cursor, TEXT("\"" name "\":"))

/* What comes before an element, or a member of any name. */
static inline bool
take_divider(struct cursor *cursor, char opened)
{
	return cursor->at[-1] == opened || take_byte(cursor, ',');
}

/* Room for one more element behind `n`: at each power of two it moves. */
static void *
grow_list(struct cursor *cursor, const void *list, size_t n, size_t size)
{
	void *larger;

	if ((n & (n - 1)) != 0)
		return (void *)(uintptr_t)list;
	larger = arena_alloc(cursor->arena, (n > 0 ? 2 * n : 1) * size);
	if (n > 0)
		memcpy(larger, list, n * size);
	return larger;
}

/* A string of any size without an escape. */
static bool
take_string(struct cursor *cursor, struct text *text)
{
	const char *at = cursor->at, *end = cursor->end;

	if (at == end || *at++ != '"')
		return false;
	text->at = at;
	while (at < end && plain[(unsigned char)*at])
		at++;
	text->size = (size_t)(at - text->at);
	cursor->at = at;
	return take_byte(cursor, '"');
}

static bool
take_text(struct cursor *cursor, struct text *text)
{
	return take_string(cursor, text) && text->size > 0 &&
	    text->size <= DOCUMENT_TEXT_MAX;
}

static bool
take_rid(struct cursor *cursor, struct text *rid)
{
	struct text rest;

	if (!take_byte(cursor, '"'))
		return false;
	rest = (struct text){ cursor->at, (size_t)(cursor->end - cursor->at) };
	*rid = (struct text){ rest.at, rid_size(rest) };
	cursor->at += rid->size;
	return rid->size > 0 && take_byte(cursor, '"');
}

static bool
take_null(struct cursor *cursor)
{
	return take_word(cursor, TEXT("null"));
}

static bool
take_bool(struct cursor *cursor, bool *value)
{
	*value = take_word(cursor, TEXT("true"));
	return *value || take_word(cursor, TEXT("false"));
}

/* Up to nine digits. */
static bool
take_number(struct cursor *cursor, int32_t *number)
{
	struct text rest = { cursor->at, (size_t)(cursor->end - cursor->at) };
	bool has_zero = rest.size > 0 && *rest.at == '0';
	int64_t value;

	if (!text_take_number(&rest, DIGITS_MAX, &value) ||
	    (has_zero && rest.at - cursor->at > 1))
		return false;
	cursor->at = rest.at;
	*number = (int32_t)value;
	return true;
}

/* One of `names`, which ends with NULL. */
static bool
take_choice(struct cursor *cursor, const char *const *names, int *choice)
{
	struct text text;

	if (!take_string(cursor, &text))
		return false;
	for (*choice = 0; names[*choice] != NULL; ++*choice)
		if (text_equal(text, text_from(names[*choice])))
			return true;
	return false;
}

/* NOLINTBEGIN(misc-no-recursion): as deep as `depth` */
static bool skip_value(struct cursor *cursor, int depth);

static bool
skip_array(struct cursor *cursor, int depth)
{
	while (!take_byte(cursor, ']'))
		if (!take_divider(cursor, '[') || !skip_value(cursor, depth))
			return false;
	return true;
}

/* Names ascend, so that none stands there twice. */
static bool
skip_object(struct cursor *cursor, int depth)
{
	struct text before = TEXT_NONE, name;

	while (!take_byte(cursor, '}')) {
		if (!take_divider(cursor, '{') || !take_string(cursor, &name) ||
		    (before.at != NULL && text_compare(before, name) >= 0) ||
		    !take_byte(cursor, ':') || !skip_value(cursor, depth))
			return false;
		before = name;
	}
	return true;
}

/* Any value. */
static bool
skip_value(struct cursor *cursor, int depth)
{
	struct text text;
	int32_t number;
	bool truth;

	if (depth == 0)
		return false;
	if (take_byte(cursor, '['))
		return skip_array(cursor, depth - 1);
	if (take_byte(cursor, '{'))
		return skip_object(cursor, depth - 1);
	return take_string(cursor, &text) || take_number(cursor, &number) ||
	    take_bool(cursor, &truth) || take_null(cursor);
}
/* NOLINTEND(misc-no-recursion) */

/* Texts or RIDs as they stand there. */
static bool
take_list(struct cursor *cursor,
    bool (*take_one)(struct cursor *cursor, struct text *text),
    struct text_list *list)
{
	struct text *texts = NULL;
	size_t n = 0;

	if (!take_byte(cursor, '['))
		return false;
	for (; !take_byte(cursor, ']'); n++) {
		texts = grow_list(cursor, texts, n, sizeof *texts);
		if (!take_divider(cursor, '[') || !take_one(cursor, &texts[n]))
			return false;
	}
	*list = (struct text_list){ texts, n };
	return true;
}

/* The same as a set, and how many were written. */
static bool
take_rid_set(struct cursor *cursor, struct text_list *set, size_t *written)
{
	if (!take_list(cursor, take_rid, set))
		return false;
	*written += set->n;
	set->n = text_sort_unique((struct text *)(uintptr_t)set->at, set->n);
	return true;
}

/* A version ---------------------------------------------------------------- */

static bool
take_target(struct cursor *cursor, struct schedule_version *version)
{
	size_t *named = &version->n_named;
	bool has_ignored = MEMBER(cursor, "ignoredRids"), has_inputs;
	int type;

	if (has_ignored && !take_rid_set(cursor, &version->ignored_rids, named))
		return false;
	has_inputs = MEMBER(cursor, "inputRids");
	if (has_inputs && !take_rid_set(cursor, &version->input_rids, named))
		return false;
	if (!MEMBER(cursor, "targetRids") ||
	    !take_rid_set(cursor, &version->target_rids, named) ||
	    !MEMBER(cursor, "type") ||
	    !take_choice(cursor, target_types, &type) ||
	    !take_byte(cursor, '}'))
		return false;
	version->target_type = (enum target_type)type;
	return (!has_ignored || type != TARGET_MANUAL) &&
	    (!has_inputs || type == TARGET_CONNECTING);
}

static bool
take_backoff(struct cursor *cursor, struct duration *duration)
{
	int unit;

	if (take_null(cursor))
		return true;
	if (!take_byte(cursor, '{') || !MEMBER(cursor, "unit") ||
	    !take_choice(cursor, time_unit_names, &unit) ||
	    !MEMBER(cursor, "value") || !take_number(cursor, &duration->value))
		return false;
	duration->unit = text_from(time_unit_names[unit]);
	return take_byte(cursor, '}');
}

static bool
take_action(struct cursor *cursor, struct schedule_version *version)
{
	return (!MEMBER(cursor, "abortOnFailure") ||
		   take_bool(cursor, &version->abort_on_failure)) &&
	    MEMBER(cursor, "branchName") &&
	    take_text(cursor, &version->branch_name) &&
	    (!MEMBER(cursor, "fallbackBranches") ||
		take_list(cursor, take_text, &version->fallback_branches)) &&
	    (!MEMBER(cursor, "forceBuild") ||
		take_bool(cursor, &version->force_build)) &&
	    (!MEMBER(cursor, "notificationsEnabled") ||
		take_bool(cursor, &version->notifications_enabled)) &&
	    (!MEMBER(cursor, "retryBackoffDuration") ||
		take_backoff(cursor, &version->retry_backoff)) &&
	    (!MEMBER(cursor, "retryCount") ||
		take_number(cursor, &version->retry_count)) &&
	    MEMBER(cursor, "target") && take_byte(cursor, '{') &&
	    take_target(cursor, version) && take_byte(cursor, '}');
}

static bool
take_scope(struct cursor *cursor, struct schedule_version *version)
{
	bool has_projects = MEMBER(cursor, "projectRids");
	size_t written = 0;
	int type;

	if (has_projects &&
	    !take_rid_set(cursor, &version->project_rids, &written))
		return false;
	if (!MEMBER(cursor, "type") || !take_choice(cursor, scope_types, &type))
		return false;
	version->scope = (enum scope_type)type;
	return has_projects == (type == SCOPE_PROJECT) &&
	    take_byte(cursor, '}');
}

static bool
take_version(struct cursor *cursor, struct schedule_version *version)
{
	return take_byte(cursor, '{') && MEMBER(cursor, "action") &&
	    take_byte(cursor, '{') && take_action(cursor, version) &&
	    MEMBER(cursor, "createdBy") &&
	    take_text(cursor, &version->created_by) &&
	    (!MEMBER(cursor, "createdTime") ||
		take_string(cursor, &version->created_time)) &&
	    (!MEMBER(cursor, "description") ||
		skip_value(cursor, SKIPPED_DEPTH)) &&
	    (!MEMBER(cursor, "displayName") ||
		skip_value(cursor, SKIPPED_DEPTH)) &&
	    MEMBER(cursor, "rid") && take_rid(cursor, &version->rid) &&
	    MEMBER(cursor, "scheduleRid") &&
	    take_rid(cursor, &version->schedule_rid) &&
	    MEMBER(cursor, "scopeMode") && take_byte(cursor, '{') &&
	    take_scope(cursor, version) &&
	    (!MEMBER(cursor, "trigger") || skip_value(cursor, SKIPPED_DEPTH)) &&
	    take_byte(cursor, '}');
}

bool
canonical_version(struct text stored, struct text rid, struct arena *arena,
    struct schedule_version *version)
{
	struct cursor cursor;

	*version = (struct schedule_version){ 0 };
	return stored.size <= VERSION_SIZE_MAX &&
	    open_document(&cursor, stored, arena) &&
	    take_version(&cursor, version) && is_at_end(&cursor) &&
	    text_equal(version->rid, rid);
}

/* Branches ----------------------------------------------------------------- */

/* "rid" or "rid@branch" of an input, and the transaction that was read. */
static bool
take_built_input(struct cursor *cursor, struct built_input *input)
{
	struct text branch = TEXT_NONE;
	const char *at;

	if (!take_string(cursor, &input->key) || !take_byte(cursor, ':'))
		return false;
	at = memchr(input->key.at, '@', input->key.size);
	if (at != NULL)
		branch = (struct text){ at + 1,
			input->key.size - (size_t)(at + 1 - input->key.at) };
	if (at != NULL && (branch.size == 0 || branch.size > DOCUMENT_TEXT_MAX))
		return false;
	input->transaction = TEXT_NONE;
	return rid_is_valid((struct text){ input->key.at,
		   at != NULL ? (size_t)(at - input->key.at)
			      : input->key.size }) &&
	    (take_null(cursor) || take_rid(cursor, &input->transaction));
}

static bool
take_built_inputs(struct cursor *cursor, struct built *built)
{
	struct built_input *inputs = NULL;
	size_t n = 0;

	if (!take_byte(cursor, '{'))
		return false;
	for (; !take_byte(cursor, '}'); n++) {
		inputs = grow_list(cursor, inputs, n, sizeof *inputs);
		if (!take_divider(cursor, '{') ||
		    !take_built_input(cursor, &inputs[n]) ||
		    (n > 0 &&
			text_compare(inputs[n - 1].key, inputs[n].key) >= 0))
			return false;
	}
	built->inputs = inputs;
	built->n_inputs = n;
	return true;
}

static bool
take_built(struct cursor *cursor, const struct built **built)
{
	struct built *made;

	if (take_null(cursor))
		return true;
	*built = made = arena_zalloc(cursor->arena, 1, sizeof *made);
	return take_byte(cursor, '{') && MEMBER(cursor, "inputs") &&
	    take_built_inputs(cursor, made) && MEMBER(cursor, "logic") &&
	    take_text(cursor, &made->logic) && take_byte(cursor, '}');
}

static bool
take_branch(struct cursor *cursor, struct branch *branch)
{
	*branch = (struct branch){ 0 };
	return take_text(cursor, &branch->name) && take_byte(cursor, ':') &&
	    take_byte(cursor, '{') &&
	    (!MEMBER(cursor, "built") || take_built(cursor, &branch->built)) &&
	    (!MEMBER(cursor, "head") || take_null(cursor) ||
		take_rid(cursor, &branch->head)) &&
	    (!MEMBER(cursor, "parent") || take_null(cursor) ||
		take_text(cursor, &branch->parent)) &&
	    take_byte(cursor, '}');
}

/* Whether no branch is its own forefather, which among many isn't looked at. */
static bool
are_rooted(const struct branch_list *branches)
{
	size_t i, steps;

	for (i = 0; i < branches->n; i++) {
		const struct branch *branch = &branches->at[i];

		for (steps = 0; branch != NULL && branch->parent.at != NULL;
		     steps++) {
			if (steps == branches->n || branches->n > PARENTS_MAX)
				return false;
			branch = branch_list_find(branches, branch->parent);
		}
	}
	return true;
}

static bool
take_branches(struct cursor *cursor, struct branch_list *branches)
{
	struct branch *list = NULL;
	size_t n = 0;

	if (!take_byte(cursor, '{'))
		return false;
	for (; !take_byte(cursor, '}'); n++) {
		list = grow_list(cursor, list, n, sizeof *list);
		if (!take_divider(cursor, '{') ||
		    !take_branch(cursor, &list[n]) ||
		    (n > 0 &&
			text_compare(list[n - 1].name, list[n].name) >= 0))
			return false;
	}
	*branches = (struct branch_list){ list, n };
	return true;
}

bool
canonical_branches(
    struct text stored, struct arena *arena, struct branch_list *branches)
{
	struct cursor cursor;

	return open_document(&cursor, stored, arena) &&
	    take_branches(&cursor, branches) && is_at_end(&cursor) &&
	    are_rooted(branches);
}

/* A job spec --------------------------------------------------------------- */

static bool
take_spec_input(struct cursor *cursor, struct spec_input *input)
{
	input->branch = TEXT_NONE;
	if (!take_byte(cursor, '{'))
		return take_rid(cursor, &input->rid);
	return MEMBER(cursor, "branch") && take_text(cursor, &input->branch) &&
	    MEMBER(cursor, "rid") && take_rid(cursor, &input->rid) &&
	    take_byte(cursor, '}');
}

static bool
take_spec_inputs(struct cursor *cursor, struct job_spec *spec)
{
	struct spec_input *inputs = NULL;
	size_t n = 0;

	if (!take_byte(cursor, '['))
		return false;
	for (; !take_byte(cursor, ']'); n++) {
		inputs = grow_list(cursor, inputs, n, sizeof *inputs);
		if (!take_divider(cursor, '[') ||
		    !take_spec_input(cursor, &inputs[n]) ||
		    (n > 0 &&
			spec_input_compare(&inputs[n - 1], &inputs[n]) >= 0))
			return false;
	}
	spec->inputs = inputs;
	spec->n_inputs = n;
	return true;
}

static bool
take_outputs(struct cursor *cursor, struct job_spec *spec)
{
	struct text_list outputs;
	size_t written = 0;

	if (!take_rid_set(cursor, &outputs, &written))
		return false;
	spec->outputs = outputs.at;
	spec->n_outputs = outputs.n;
	return written > 0 && written == outputs.n;
}

static bool
take_staleness(struct cursor *cursor, enum staleness *staleness)
{
	int choice;

	if (!take_choice(cursor, staleness_names, &choice))
		return false;
	*staleness = (enum staleness)choice;
	return true;
}

static bool
take_spec(struct cursor *cursor, struct job_spec *spec)
{
	return take_byte(cursor, '{') && MEMBER(cursor, "branch") &&
	    take_text(cursor, &spec->branch) && MEMBER(cursor, "inputs") &&
	    take_spec_inputs(cursor, spec) && MEMBER(cursor, "logic") &&
	    take_text(cursor, &spec->logic) && MEMBER(cursor, "outputs") &&
	    take_outputs(cursor, spec) && MEMBER(cursor, "rid") &&
	    take_rid(cursor, &spec->rid) &&
	    (!MEMBER(cursor, "staleness") ||
		take_staleness(cursor, &spec->staleness)) &&
	    take_byte(cursor, '}');
}

bool
canonical_job_spec(
    struct text stored, struct arena *arena, struct job_spec *spec)
{
	struct cursor cursor;

	*spec = (struct job_spec){ 0 };
	return open_document(&cursor, stored, arena) &&
	    take_spec(&cursor, spec) && is_at_end(&cursor);
}
