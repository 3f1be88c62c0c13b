#include "worker/snapshot/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/crypto/rid.h"
#include "schemas/stored/canonical.h"

/*
 * What a batch asks.  A plan rests on a version, not on who asks for it: the
 * answer is remembered with the version, for anybody who may have it, and each
 * requester is judged by two look-ups.  Only who does not pass, or asks by
 * nobody's name for what is paused, has a question of his own.
 *
 * A schedule remembers its head, with its version, and the version its answer,
 * with the branches that it rests on: a hit follows both without a look-up.
 */
#define ATTEMPTS_MAX 8 /* applies in a row that a batch waits out */
#define NONE UINT32_MAX
#define SHARED_MAX 8      /* questions of a schedule that are compared */
#define JUDGED_SLOTS 2048 /* a power of two */
#define STRIDE 4          /* questions, of a step in memory */

/* What is remembered of a schedule; its one ground is the version. */
struct head_memory {
	bool paused, deleted;
};

/* What is remembered of a version: the answer follows the texts. */
struct answer_memory {
	int64_t generation;
	bool is_judged;
	size_t n_projects;
	struct text projects[];
};

struct asked {
	struct question question;
	struct cache_entry *schedule;
	struct cache_entry *version; /* NULL: there is none, or not yet */
	uint32_t next;               /* of the same schedule, or NONE */
	bool waits; /* for the version, or what its answer rests on */
	/* Who gets the answer: */
	bool is_judged, is_each_his_own;
	const struct text *projects;
	size_t n_projects;
};

/*
 * Who was found to be active and an editor of a project, in this generation,
 * which does not change: senders are few and come again with each batch.  Two
 * that meet in a slot drive each other out.
 */
struct judged {
	struct uuid user;
	uint32_t project_size;
	char project[RID_SIZE_MAX];
};

static struct asked *
asked_at(const struct snapshot *snapshot, size_t number)
{
	assert(number < snapshot->asked.n);
	return &snapshot->asked.at[number];
}

static uint32_t
add_question(struct snapshot *snapshot, struct cache_entry *schedule,
    const struct question *question)
{
	struct asked_list *list = &snapshot->asked;
	bool is_first = schedule->asked != cache_batch(snapshot->cache);

	if (list->n == list->capacity) {
		list->capacity = list->capacity * 2 + 256;
		list->at =
		    memory_resize(list->at, list->capacity, sizeof *list->at);
	}
	list->at[list->n] = (struct asked){
		.question = *question,
		.schedule = schedule,
		.next = is_first ? NONE : schedule->number,
	};
	schedule->asked = cache_batch(snapshot->cache);
	schedule->number = (uint32_t)list->n;
	return (uint32_t)list->n++;
}

/*
 * The question about a schedule that is the same; NONE: there is none among the
 * latest.  A few are enough: more are pins, or requesters who may not, and a
 * sender of many thousands must not cost their square.
 */
static uint32_t
find_question(const struct snapshot *snapshot,
    const struct cache_entry *schedule, const struct run_request *request,
    bool for_anybody)
{
	uint32_t number = schedule->asked == cache_batch(snapshot->cache)
	    ? schedule->number
	    : NONE;
	int left = SHARED_MAX;

	for (; number != NONE && left > 0; left--) {
		const struct asked *asked = asked_at(snapshot, number);
		const struct run_request *other = asked->question.request;

		if (asked->question.for_anybody == for_anybody &&
		    text_equal(other->schedule_version_rid,
			request->schedule_version_rid) &&
		    (for_anybody ||
			text_equal(other->created_by, request->created_by)))
			return number;
		number = asked->next;
	}
	return NONE;
}

size_t
snapshot_hash(struct text schedule_rid)
{
	return cache_hash(CACHE_SCHEDULE, schedule_rid);
}

void
snapshot_expect(const struct snapshot *snapshot,
    const struct run_request *request, size_t hash)
{
	cache_expect(snapshot->cache, hash);
	__builtin_prefetch(request->schedule_rid.at);
}

uint32_t
snapshot_ask(
    struct snapshot *snapshot, const struct run_request *request, size_t hash)
{
	struct cache_entry *schedule = cache_entry_of(
	    snapshot->cache, CACHE_SCHEDULE, request->schedule_rid, hash);
	const struct question question = { .request = request,
		.for_anybody = true };
	uint32_t number = find_question(snapshot, schedule, request, true);

	return number != NONE ? number
			      : add_question(snapshot, schedule, &question);
}

size_t
snapshot_questions(const struct snapshot *snapshot)
{
	return snapshot->asked.n;
}

const struct question *
snapshot_question(const struct snapshot *snapshot, size_t number)
{
	return &asked_at(snapshot, number)->question;
}

/* Whether all that a remembered answer rests on is fresh; else it is wanted. */
static bool
has_grounds(struct snapshot *snapshot, struct cache_entry *version)
{
	struct cache_memory *memory = version->memory;
	bool fresh = true;
	size_t i;

	cache_use(snapshot->cache, version);
	if (memory == NULL || memory->epoch == cache_epoch(snapshot->cache))
		return true;
	for (i = 0; i < memory->n_grounds; i++) {
		struct cache_entry *ground = memory->grounds[i].entry;

		cache_use(snapshot->cache, ground);
		fresh &= cache_is_fresh(snapshot->cache, ground);
		snapshot_want_fresh(snapshot, ground);
	}
	return fresh;
}

/*
 * Each step of the way to an answer is a wait for memory: questions that come
 * soon take theirs meanwhile.
 */
static void
look_ahead(const struct snapshot *snapshot, size_t i)
{
	const struct cache_entry *schedule;

	if (i + 3 * STRIDE >= snapshot->asked.n)
		return;
	__builtin_prefetch(asked_at(snapshot, i + 3 * STRIDE)->schedule);
	schedule = asked_at(snapshot, i + 2 * STRIDE)->schedule;
	if (schedule->memory != NULL)
		__builtin_prefetch(schedule->memory);
	schedule = asked_at(snapshot, i + STRIDE)->schedule;
	if (schedule->memory != NULL)
		__builtin_prefetch(schedule->memory->grounds[0].entry);
}

/* Wants the schedules, and what is likely to be wanted with them. */
static void
want_schedules(struct snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < snapshot->asked.n; i++) {
		struct asked *asked = asked_at(snapshot, i);

		look_ahead(snapshot, i);
		snapshot_want_fresh(snapshot, asked->schedule);
		if (asked->schedule->memory != NULL)
			has_grounds(snapshot,
			    asked->schedule->memory->grounds[0].entry);
	}
}

static void
note_damage(struct snapshot *snapshot, struct question *question,
    enum cache_kind kind, struct text field, const char *why)
{
	question->damage = "versionUnreadable";
	question->damage_message = snapshot_damage(snapshot, kind, field, why);
}

static void
remember_head(struct snapshot *snapshot, struct cache_entry *entry,
    const struct head_memory *head, struct cache_entry *current)
{
	struct head_memory *memory =
	    cache_remember(snapshot->cache, entry, &current, 1, sizeof *memory);

	if (memory != NULL)
		*memory = *head;
}

/* The head of a schedule, remembered or as it stands there. */
static bool
read_head(struct snapshot *snapshot, struct asked *asked,
    struct head_memory *head, struct cache_entry **current)
{
	struct cache_entry *entry = asked->schedule;
	struct schedule_head stored;
	struct error err;

	if (entry->memory != NULL) {
		*head = *(struct head_memory *)entry->memory->value;
		*current = entry->memory->grounds[0].entry;
		return true;
	}
	if (entry->damage.at == NULL &&
	    schedule_head_parse(entry->bytes, &stored, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	if (entry->damage.at != NULL) {
		note_damage(snapshot, &asked->question, CACHE_SCHEDULE,
		    entry->key, entry->damage.at);
		return false;
	}
	*head = (struct head_memory){ stored.paused, stored.deleted };
	*current = cache_entry(
	    snapshot->cache, CACHE_VERSION, stored.current_version_rid);
	if (cache_is_old(snapshot->cache, entry))
		remember_head(snapshot, entry, head, *current);
	return true;
}

/* Which version a plan is for, by its schedule's head as read now. */
static void
choose_version(struct snapshot *snapshot, struct asked *asked)
{
	struct question *question = &asked->question;
	struct text pin = question->request->schedule_version_rid;
	struct cache_entry *entry = asked->schedule;
	struct head_memory head = { 0 };

	question->planned_rid = pin;
	question->has_schedule =
	    entry->bytes.at != NULL || entry->damage.at != NULL;
	if (question->has_schedule &&
	    !read_head(snapshot, asked, &head, &asked->version))
		return;
	question->paused = head.paused;
	question->deleted = head.deleted;
	if (pin.at != NULL)
		asked->version =
		    cache_entry(snapshot->cache, CACHE_VERSION, pin);
	else if (asked->version != NULL)
		question->planned_rid = asked->version->key;
}

/*
 * Whether version and what its answer rests on are known; else they are wanted.
 * It is immutable: one that is there and can be read is known for good.
 */
static bool
has_version(struct snapshot *snapshot, struct asked *asked)
{
	struct cache_entry *entry = asked->version;
	bool known;

	if (entry == NULL || asked->question.damage != NULL)
		return true;
	known = cache_is_settled(snapshot->cache, entry) &&
	    (entry->bytes.at != NULL || entry->damage.at != NULL ||
		cache_is_fresh(snapshot->cache, entry));
	snapshot_count(snapshot, CACHE_VERSION, known);
	if (known)
		return has_grounds(snapshot, entry);
	snapshot_want(snapshot, entry);
	return false;
}

static void
parse_version(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct schedule_version *version;
	struct arena *arena;
	struct error err;

	if (entry->parsed != NULL || entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	version = arena_alloc(arena, sizeof *version);
	if (!canonical_version(entry->bytes, entry->key, arena, version) &&
	    schedule_version_parse(
		entry->bytes, entry->key, arena, version, &err) != 0) {
		cache_spoil(snapshot->cache, entry, err.message);
		return;
	}
	cache_parsed(snapshot->cache, entry, version);
}

/* Whether the version's answer is one to this question. */
static bool
is_about_version(const struct question *question)
{
	return question->for_anybody && question->version != NULL &&
	    question->damage == NULL && !question->deleted &&
	    text_equal(question->version->schedule_rid,
		question->request->schedule_rid);
}

/* All grounds are fresh: the answer stands, or it never will. */
static void
recall(struct snapshot *snapshot, struct asked *asked)
{
	struct cache_memory *memory =
	    is_about_version(&asked->question) ? asked->version->memory : NULL;
	const struct answer_memory *answer;

	if (memory != NULL) {
		answer = memory->value;
		if (answer->generation != snapshot->generation ||
		    !(memory->epoch == cache_epoch(snapshot->cache) ||
			cache_stands(asked->version))) {
			cache_unremember(snapshot->cache, asked->version);
			memory = NULL;
		}
	}
	snapshot_count(snapshot, CACHE_ANSWER, memory != NULL);
	if (memory == NULL)
		return;
	memory->epoch = cache_epoch(snapshot->cache);
	asked->is_judged = answer->is_judged;
	asked->projects = answer->projects;
	asked->n_projects = answer->n_projects;
	asked->question.answer = answer->projects + answer->n_projects;
}

static void
read_version(struct snapshot *snapshot, struct asked *asked)
{
	struct question *question = &asked->question;
	struct cache_entry *entry = asked->version;

	if (entry == NULL || question->damage != NULL)
		return;
	if (entry->bytes.at != NULL)
		parse_version(snapshot, entry);
	if (entry->damage.at != NULL)
		note_damage(snapshot, question, CACHE_VERSION, entry->key,
		    entry->damage.at);
	else if (entry->bytes.at != NULL)
		question->version = entry->parsed;
	else if (question->request->schedule_version_rid.at == NULL)
		note_damage(snapshot, question, CACHE_VERSION, entry->key,
		    "the schedule's current version is missing");
}

/* The version, and its answer if that stands. */
static void
take_version(struct snapshot *snapshot, struct asked *asked)
{
	read_version(snapshot, asked);
	recall(snapshot, asked);
}

/*
 * The first look of a batch: its generation, and the schedules as they were at
 * it.  The first round may show that more is stale than was thought, by a new
 * edition or another store; that is read in a second one.  Where an apply came
 * in between, they may be of either generation: it is all begun again.  Then
 * the versions are known, or read.
 */
int
snapshot_read(struct snapshot *snapshot, struct error *err)
{
	int attempts = 0;
	size_t i;

	snapshot_age(snapshot);
	do {
		uint64_t epoch = cache_epoch(snapshot->cache);

		if (attempts++ == ATTEMPTS_MAX)
			return error_set(err, ERROR_RETRY,
			    "the catalogue is replaced again and again");
		snapshot->generation = 0;
		want_schedules(snapshot);
		if (snapshot_round(snapshot, err) != 0)
			return -1;
		if (cache_epoch(snapshot->cache) != epoch)
			want_schedules(snapshot);
		if (snapshot_has_wants(snapshot) &&
		    snapshot_round(snapshot, err) != 0)
			return -1;
	} while (snapshot->moved);
	if (snapshot_follow_generation(snapshot, err) != 0)
		return -1;
	for (i = 0; i < snapshot->asked.n; i++) {
		struct asked *asked = asked_at(snapshot, i);

		look_ahead(snapshot, i);
		choose_version(snapshot, asked);
		asked->waits = !has_version(snapshot, asked);
		if (!asked->waits)
			take_version(snapshot, asked);
	}
	if (!snapshot_has_wants(snapshot))
		return 0;
	if (snapshot_round(snapshot, err) != 0)
		return -1;
	for (i = 0; i < snapshot->asked.n; i++)
		if (asked_at(snapshot, i)->waits)
			take_version(snapshot, asked_at(snapshot, i));
	return 0;
}

struct arena *
snapshot_arena(struct snapshot *snapshot)
{
	return snapshot->arena;
}

/* Texts in one block behind what stands there, pointed to by `out`. */
static void
pack_texts(const struct text *texts, size_t n, struct text *out, char *bytes)
{
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(bytes, texts[i].at, texts[i].size);
		out[i] = (struct text){ bytes, texts[i].size };
		bytes += texts[i].size;
	}
}

/*
 * Kept with its version, if that has been asked for before: what it rests on
 * are the branches of the datasets; versions never change, and another
 * generation ends it.
 */
static void *
keep_answer(struct snapshot *snapshot, struct asked *asked,
    const struct answer_basis *basis, size_t size)
{
	struct cache_entry *grounds[SNAPSHOT_GROUNDS_MAX];
	struct answer_memory *memory;
	size_t bytes = 0, i;

	assert(basis->n_datasets <= SNAPSHOT_GROUNDS_MAX);
	for (i = 0; i < basis->n_datasets; i++)
		grounds[i] = cache_entry(
		    snapshot->cache, CACHE_HEAD, basis->datasets[i]);
	for (i = 0; i < basis->n_projects; i++)
		bytes += basis->projects[i].size;
	memory = cache_remember(snapshot->cache, asked->version, grounds,
	    basis->n_datasets,
	    sizeof *memory + basis->n_projects * sizeof *basis->projects +
		size + bytes);
	if (memory == NULL)
		return NULL;
	memory->generation = snapshot->generation;
	memory->is_judged = basis->is_judged;
	memory->n_projects = basis->n_projects;
	pack_texts(basis->projects, basis->n_projects, memory->projects,
	    (char *)(memory->projects + basis->n_projects) + size);
	return memory->projects + basis->n_projects;
}

void *
snapshot_give(struct snapshot *snapshot, size_t number, void *answer,
    const struct answer_basis *basis, size_t size)
{
	struct asked *asked = asked_at(snapshot, number);

	asked->question.answer = answer;
	asked->is_judged = basis->is_judged;
	asked->is_each_his_own = !basis->is_sound;
	asked->projects = basis->projects;
	asked->n_projects = basis->n_projects;
	if (!basis->lasts || !is_about_version(&asked->question) ||
	    !cache_is_old(snapshot->cache, asked->version))
		return NULL;
	return keep_answer(snapshot, asked, basis, size);
}

enum judgement { MAY, MAY_NOT, UNKNOWN }; /* the later outweighs */

/* Empty for each generation. */
static struct judged *
judged_slot(
    struct snapshot *snapshot, const struct uuid *user, struct text project)
{
	size_t slot, i;

	if (snapshot->judged == NULL ||
	    snapshot->judged_generation != snapshot->generation) {
		free(snapshot->judged);
		snapshot->judged =
		    memory_zalloc(JUDGED_SLOTS, sizeof *snapshot->judged);
		snapshot->judged_generation = snapshot->generation;
	}
	for (slot = project.size, i = 0; i < sizeof user->bytes; i++)
		slot = slot * 31 + user->bytes[i];
	for (i = 1; i <= 8 && i <= project.size; i++)
		slot = slot * 31 + (unsigned char)project.at[project.size - i];
	return &snapshot->judged[slot & (JUDGED_SLOTS - 1)];
}

/* What is not known is wanted. */
static enum judgement
look_up_rights(
    struct snapshot *snapshot, struct text requester, struct text project)
{
	struct cache_entry *entry;
	enum role role = ROLE_EDITOR;
	bool known, is_active;

	known = snapshot_knows_user(snapshot, requester, &entry, &is_active);
	if (project.at != NULL &&
	    !snapshot_knows_role(snapshot, requester, project, &entry, &role))
		known = false;
	if (!known)
		return UNKNOWN;
	return is_active && role >= ROLE_EDITOR ? MAY : MAY_NOT;
}

static enum judgement
judge_editor(
    struct snapshot *snapshot, struct text requester, struct text project)
{
	struct judged *judged;
	enum judgement judgement;
	struct uuid user;

	if (!uuid_parse(requester, &user) || project.size > RID_SIZE_MAX)
		return look_up_rights(snapshot, requester, project);
	judged = judged_slot(snapshot, &user, project);
	if (judged->project_size == project.size &&
	    memcmp(&judged->user, &user, sizeof user) == 0 &&
	    memcmp(judged->project, project.at, project.size) == 0) {
		snapshot_count(snapshot, CACHE_USER, true);
		return MAY;
	}
	judgement = look_up_rights(snapshot, requester, project);
	if (judgement != MAY)
		return judgement;
	judged->user = user;
	judged->project_size = (uint32_t)project.size;
	memcpy(judged->project, project.at, project.size);
	return MAY;
}

/* What is not known is wanted, all of it: one trip tells. */
static enum judgement
judge_rights(
    struct snapshot *snapshot, const struct asked *asked, struct text requester)
{
	enum judgement worst = MAY, judgement;
	size_t i;

	if (asked->n_projects == 0)
		return look_up_rights(snapshot, requester, TEXT_NONE);
	for (i = 0; i < asked->n_projects; i++) {
		judgement =
		    judge_editor(snapshot, requester, asked->projects[i]);
		if (judgement > worst)
			worst = judgement;
	}
	return worst;
}

static bool
has_own_question(const struct asked *asked, const struct run_request *request)
{
	if (request->created_by.at == NULL)
		return asked->question.paused;
	return asked->is_each_his_own;
}

bool
snapshot_admit(struct snapshot *snapshot, const struct run_request *request,
    uint32_t *number)
{
	struct asked *asked = asked_at(snapshot, *number);
	struct question own = asked->question;
	enum judgement judgement = MAY;
	uint32_t found;

	if (!own.for_anybody || own.damage != NULL)
		return true;
	if (has_own_question(asked, request))
		judgement = MAY_NOT;
	else if (asked->is_judged && request->created_by.at != NULL)
		judgement = judge_rights(snapshot, asked, request->created_by);
	if (judgement != MAY_NOT)
		return judgement == MAY;
	own.request = request;
	own.for_anybody = false;
	own.answer = NULL;
	found = find_question(snapshot, asked->schedule, request, false);
	*number = found != NONE ? found
				: add_question(snapshot, asked->schedule, &own);
	return true;
}

int
snapshot_look(struct snapshot *snapshot, struct error *err)
{
	return snapshot_has_wants(snapshot) ? snapshot_round(snapshot, err) : 0;
}
