#include "producer/builder/brief.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/json/write.h"

#define LIST_MAX 65536 /* bytes of a list in the environment */

static const char *const inherited[] = { "PATH", "HOME", "LANG", "TZ",
	"TMPDIR" };
#define INHERITED (sizeof inherited / sizeof inherited[0])

static struct text
rid_of(const struct brief *brief, struct text prefix, const struct uuid *id)
{
	char *rid = arena_alloc(brief->ref.arena, RID_SIZE_MAX);

	return (struct text){ rid, rid_format(prefix, id, rid) };
}

static struct text
derived_transaction(const struct brief *brief, size_t i)
{
	struct uuid id =
	    rid_transaction(&brief->ref.event->job_ids[brief->ref.job],
		job_of(&brief->ref)->spec->outputs[i]);

	return rid_of(brief, TEXT(RID_TRANSACTION_PREFIX), &id);
}

static void
put_outputs(const struct brief *brief, struct buffer *out)
{
	const struct job_spec *spec = job_of(&brief->ref)->spec;
	size_t i;

	json_member_open(out, "outputs", '[');
	for (i = 0; i < spec->n_outputs; i++) {
		json_open(out, '{');
		json_member_text(out, "rid", spec->outputs[i]);
		json_member_text(
		    out, "transaction", derived_transaction(brief, i));
		json_close(out, '}');
	}
	json_close(out, ']');
}

static void
put_inputs(const struct brief *brief, struct buffer *out)
{
	const struct job_spec *spec = job_of(&brief->ref)->spec;
	size_t i;

	json_member_open(out, "inputs", '[');
	for (i = 0; i < spec->n_inputs; i++) {
		json_open(out, '{');
		json_member_text(out, "branch", brief->look->branches[i]);
		json_member_text(out, "rid", spec->inputs[i].rid);
		json_member_text(
		    out, "transaction", brief->look->transactions[i]);
		json_close(out, '}');
	}
	json_close(out, ']');
}

struct text
brief_document(const struct brief *brief)
{
	const struct build_requested *event = brief->ref.event;
	const struct job *job = job_of(&brief->ref);
	struct buffer out = { 0 };

	json_open(&out, '{');
	json_member_integer(&out, "attempt", brief->attempt);
	json_member_text(&out, "branch", event->build.version->branch_name);
	json_member_text(&out, "build",
	    rid_of(brief, TEXT(RID_BUILD_PREFIX), &event->run.build_id));
	json_member_text(&out, "fence", brief->number);
	json_member_text(
	    &out, "fingerprint", event->fingerprints[brief->ref.job]);
	put_inputs(brief, &out);
	json_member_text(&out, "job",
	    rid_of(
		brief, TEXT(RID_JOB_PREFIX), &event->job_ids[brief->ref.job]));
	json_member_text(&out, "logic", job->spec->logic);
	put_outputs(brief, &out);
	json_member_string(&out, "reason", reason_cause_text(job->reason));
	json_member_text(&out, "schedule", event->run.schedule_rid);
	json_member_text(&out, "spec", job->spec->rid);
	json_close(&out, '}');
	buffer_byte(&out, '\n');
	return buffer_keep(&out, brief->ref.arena);
}

static char *
put_variable(struct arena *arena, const char *name, struct text value)
{
	size_t size = strlen(name);
	char *at = arena_alloc(arena, size + value.size + 2);

	memcpy(at, name, size);
	at[size] = '=';
	if (value.size > 0)
		memcpy(at + size + 1, value.at, value.size);
	at[size + 1 + value.size] = '\0';
	return at;
}

/* RIDs have no blanks.  NULL: more than a variable takes. */
static char *
list_variable(
    struct arena *arena, const char *name, const struct text *list, size_t n)
{
	struct buffer out = { 0 };
	char *made = NULL;
	size_t i;

	for (i = 0; i < n && out.size <= LIST_MAX; i++) {
		if (i > 0)
			buffer_byte(&out, ' ');
		buffer_append(&out, list[i]);
	}
	if (out.size <= LIST_MAX)
		made = put_variable(arena, name, buffer_text(&out));
	buffer_finish(&out);
	return made;
}

static const struct text *
input_rids(const struct job_spec *spec, struct arena *arena)
{
	struct text *rids =
	    arena_alloc(arena, (spec->n_inputs + 1) * sizeof *rids);
	size_t i;

	for (i = 0; i < spec->n_inputs; i++)
		rids[i] = spec->inputs[i].rid;
	return rids;
}

char **
brief_environment(const struct brief *brief)
{
	enum { OURS = 12 };
	struct arena *arena = brief->ref.arena;
	const struct build_requested *event = brief->ref.event;
	const struct job_spec *spec = job_of(&brief->ref)->spec;
	char number[TEXT_NUMBER_SIZE];
	char **list = arena_alloc(arena, (INHERITED + OURS + 1) * sizeof *list);
	char *lists[] = {
		list_variable(
		    arena, "SCHEDRUN_OUTPUTS", spec->outputs, spec->n_outputs),
		list_variable(arena, "SCHEDRUN_INPUTS", input_rids(spec, arena),
		    spec->n_inputs),
	};
	size_t n = 0, i;

	for (i = 0; i < INHERITED; i++)
		if (getenv(inherited[i]) != NULL)
			list[n++] = put_variable(arena, inherited[i],
			    text_from(getenv(inherited[i])));
	list[n++] = put_variable(arena, "SCHEDRUN_BUILD",
	    rid_of(brief, TEXT(RID_BUILD_PREFIX), &event->run.build_id));
	list[n++] = put_variable(arena, "SCHEDRUN_JOB",
	    rid_of(
		brief, TEXT(RID_JOB_PREFIX), &event->job_ids[brief->ref.job]));
	list[n++] = put_variable(arena, "SCHEDRUN_SPEC", spec->rid);
	list[n++] = put_variable(arena, "SCHEDRUN_LOGIC", spec->logic);
	list[n++] = put_variable(
	    arena, "SCHEDRUN_BRANCH", event->build.version->branch_name);
	list[n++] = put_variable(
	    arena, "SCHEDRUN_ATTEMPT", text_of_number(brief->attempt, number));
	list[n++] = put_variable(arena, "SCHEDRUN_FENCE", brief->number);
	if (brief->traceparent.at != NULL)
		list[n++] =
		    put_variable(arena, "TRACEPARENT", brief->traceparent);
	for (i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i] != NULL)
			list[n++] = lists[i];
	list[n] = NULL;
	return list;
}

/* A line: the transaction of all outputs, or an output and its own. */
static int
take_line(const struct job_spec *spec, struct text line,
    struct text *transactions, struct error *err)
{
	struct text first, second, rest = line;
	bool known = false;
	size_t i;

	if (!text_take_word(&rest, " \t\r", &first))
		return 0;
	if (!text_take_word(&rest, " \t\r", &second)) {
		second = first;
		first = TEXT_NONE;
	}
	for (i = 0; i < spec->n_outputs; i++) {
		if (first.at != NULL && !text_equal(first, spec->outputs[i]))
			continue;
		transactions[i] = second;
		known = true;
	}
	if (known && rid_is_valid(second) &&
	    !text_take_word(&rest, " \t\r", &line))
		return 0;
	return error_set(err, ERROR_INPUT,
	    "what the job wrote to descriptor 3 is no transaction RID, and no "
	    "output with one");
}

const struct text *
brief_answer(const struct brief *brief, struct text answer, struct error *err)
{
	struct arena *arena = brief->ref.arena;
	const struct job_spec *spec = job_of(&brief->ref)->spec;
	struct text *transactions =
	    arena_alloc(arena, spec->n_outputs * sizeof *transactions);
	struct text rest = text_copy(arena, answer), line;
	size_t i;

	for (i = 0; i < spec->n_outputs; i++)
		transactions[i] = derived_transaction(brief, i);
	while (text_take_word(&rest, "\n", &line))
		if (take_line(spec, line, transactions, err) != 0)
			return NULL;
	return transactions;
}
