#include "worker/base/batch_protocol.h"

#include <assert.h>

/*
 * LOST may come in any phase: stage B works while A does.  A batch of A's is
 * dropped then, since its records come again after those of B's batch.  What a
 * phase does until something comes of it stands in its row of NOTHING.
 */
static const struct intake_rule intake_rules[INTAKE_PHASES][INTAKE_EVENTS] = {
	[INTAKE_PAUSED] = {
		[INTAKE_NOTHING] = { INTAKE_LOOK, INTAKE_PAUSED },
		[INTAKE_STORE_UP] = { INTAKE_FILL, INTAKE_FILLING },
		[INTAKE_STORE_DOWN] = { INTAKE_DROP_PAUSE, INTAKE_PAUSED },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		[INTAKE_REVOKED] = { INTAKE_DROP, INTAKE_PAUSED },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
	[INTAKE_FILLING] = {
		[INTAKE_NOTHING] = { INTAKE_FILL, INTAKE_FILLING },
		[INTAKE_CUT] = { INTAKE_CLAIM, INTAKE_CLAIMING },
		[INTAKE_BEHIND] = { INTAKE_DROP_REPAIR, INTAKE_REPAIRING },
		[INTAKE_STORE_DOWN] = { INTAKE_DROP_PAUSE, INTAKE_PAUSED },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		[INTAKE_REVOKED] = { INTAKE_DROP, INTAKE_FILLING },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
	[INTAKE_CLAIMING] = {
		[INTAKE_CLAIMED] = { INTAKE_PLAN, INTAKE_PLANNING },
		[INTAKE_BEHIND] = { INTAKE_DROP_REPAIR, INTAKE_REPAIRING },
		[INTAKE_STORE_DOWN] = { INTAKE_DROP_PAUSE, INTAKE_PAUSED },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
	[INTAKE_PLANNING] = {
		/* entered again: it waits for stage B before it is planned */
		[INTAKE_NOTHING] = { INTAKE_PLAN, INTAKE_PLANNING },
		[INTAKE_PLANNED] = { INTAKE_HAND_OVER, INTAKE_PREPARED },
		[INTAKE_STORE_DOWN] = { INTAKE_DROP_PAUSE, INTAKE_PAUSED },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		[INTAKE_REVOKED] = { INTAKE_DROP, INTAKE_FILLING },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
	[INTAKE_PREPARED] = {
		[INTAKE_NOTHING] = { INTAKE_HAND_OVER, INTAKE_PREPARED },
		[INTAKE_TAKEN] = { INTAKE_FILL, INTAKE_FILLING },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		[INTAKE_REVOKED] = { INTAKE_DROP, INTAKE_FILLING },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
	[INTAKE_REPAIRING] = {
		[INTAKE_NOTHING] = { INTAKE_REPAIR, INTAKE_REPAIRING },
		[INTAKE_REPAIRED] = { INTAKE_FILL, INTAKE_FILLING },
		[INTAKE_STORE_DOWN] = { INTAKE_DROP_PAUSE, INTAKE_PAUSED },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		[INTAKE_REVOKED] = { INTAKE_DROP, INTAKE_FILLING },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
	[INTAKE_REWINDING] = {
		[INTAKE_NOTHING] = { INTAKE_REWIND, INTAKE_REWINDING },
		[INTAKE_REWOUND] = { INTAKE_FILL, INTAKE_FILLING },
		[INTAKE_LOST] = { INTAKE_DROP_REWIND, INTAKE_REWINDING },
		/* the next owner starts at the committed offsets anyway */
		[INTAKE_REVOKED] = { INTAKE_DROP, INTAKE_REWINDING },
		[INTAKE_FATAL] = { INTAKE_EXIT, INTAKE_DEAD },
	},
};

enum intake_action
intake_step(enum intake_phase *phase, enum intake_event event)
{
	const struct intake_rule *rule;

	assert(*phase < INTAKE_PHASES && event < INTAKE_EVENTS);
	rule = &intake_rules[*phase][event];
	if (rule->action != INTAKE_REFUSE)
		*phase = rule->next;
	return rule->action;
}

/*
 * REVOKED before the offsets are in: the transaction is given up, the next
 * owner has the records.  After it the broker decides by the generation that
 * went with the offsets, so the commit goes on.
 */
static const struct commit_rule commit_rules[COMMIT_PHASES][COMMIT_EVENTS] = {
	[COMMIT_CLOSED] = {
		[COMMIT_OK] = { COMMIT_WAIT, COMMIT_READY },
		[COMMIT_RETRY] = { COMMIT_OPEN, COMMIT_CLOSED },
		[COMMIT_LOST] = { COMMIT_OPEN, COMMIT_CLOSED },
		[COMMIT_REVOKED] = { COMMIT_OPEN, COMMIT_CLOSED },
		[COMMIT_FATAL] = { COMMIT_EXIT, COMMIT_DEAD },
	},
	[COMMIT_READY] = {
		[COMMIT_BATCH] = { COMMIT_BEGIN, COMMIT_BEGINNING },
		[COMMIT_REVOKED] = { COMMIT_WAIT, COMMIT_READY },
		[COMMIT_FATAL] = { COMMIT_EXIT, COMMIT_DEAD },
	},
	[COMMIT_BEGINNING] = {
		[COMMIT_OK] = { COMMIT_PRODUCE, COMMIT_PRODUCING },
		[COMMIT_RETRY] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_DEADLINE] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_LOST] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_REVOKED] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_FATAL] = { COMMIT_EXIT, COMMIT_DEAD },
	},
	[COMMIT_PRODUCING] = {
		[COMMIT_OK] = { COMMIT_SEND_OFFSETS, COMMIT_SENDING },
		[COMMIT_RETRY] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_DEADLINE] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_LOST] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_REVOKED] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_FATAL] = { COMMIT_EXIT, COMMIT_DEAD },
	},
	[COMMIT_SENDING] = {
		[COMMIT_OK] = { COMMIT_COMMIT, COMMIT_COMMITTING },
		[COMMIT_RETRY] = { COMMIT_SEND_OFFSETS, COMMIT_SENDING },
		[COMMIT_DEADLINE] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_LOST] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_REVOKED] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_FATAL] = { COMMIT_EXIT, COMMIT_DEAD },
	},
	[COMMIT_COMMITTING] = {
		[COMMIT_OK] = { COMMIT_DONE, COMMIT_READY },
		[COMMIT_SUSPECT] = { COMMIT_DONE_REBUILD, COMMIT_CLOSED },
		[COMMIT_RETRY] = { COMMIT_COMMIT, COMMIT_COMMITTING },
		[COMMIT_DEADLINE] = { COMMIT_DESTROY_REWIND, COMMIT_CLOSED },
		[COMMIT_LOST] = { COMMIT_ABORT_REWIND, COMMIT_CLOSED },
		[COMMIT_REVOKED] = { COMMIT_COMMIT, COMMIT_COMMITTING },
		[COMMIT_FATAL] = { COMMIT_EXIT, COMMIT_DEAD },
	},
};

enum commit_action
commit_step(enum commit_phase *phase, enum commit_event event)
{
	const struct commit_rule *rule;

	assert(*phase < COMMIT_PHASES && event < COMMIT_EVENTS);
	rule = &commit_rules[*phase][event];
	if (rule->action != COMMIT_REFUSE)
		*phase = rule->next;
	return rule->action;
}

enum commit_event
commit_verdict(bool suspect, bool keep_suspect)
{
	return suspect && !keep_suspect ? COMMIT_SUSPECT : COMMIT_OK;
}

const char *
intake_phase_name(enum intake_phase phase)
{
	static const char *const names[INTAKE_PHASES] = { "paused", "filling",
		"claiming", "planning", "prepared", "repairing", "rewinding",
		"dead" };

	return names[phase];
}
