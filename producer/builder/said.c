#include "producer/builder/said.h"

#include <string.h>

static const char *const names[JOB_STATES] = { "WAITING", "RUNNING",
	"SUCCEEDED", "UP_TO_DATE", "FAILED", "SKIPPED" };

const char *
job_state_name(enum job_state state)
{
	return names[state];
}

void
job_said_write(const struct job_said *said, struct buffer *out)
{
	buffer_format(out, "%s %lld %lld %lld %lld %.*s %lld\n",
	    names[said->state], (long long)said->attempt,
	    (long long)said->begun_ms, (long long)said->ended_ms,
	    (long long)said->code, TEXT_ARG(said->host), (long long)said->lost);
	buffer_append(out, said->note);
}

static struct text
first_line(struct text stored, struct text *note)
{
	const char *end =
	    stored.size > 0 ? memchr(stored.at, '\n', stored.size) : NULL;
	size_t size = end != NULL ? (size_t)(end - stored.at) : stored.size;

	*note = TEXT("");
	if (end != NULL)
		*note = (struct text){ end + 1, stored.size - size - 1 };
	return (struct text){ stored.at, size };
}

static enum job_state
find_state(struct text word)
{
	int i = JOB_STATES - 1;

	while (i > 0 && !text_equal(word, text_from(names[i])))
		i--;
	return (enum job_state)i;
}

void
job_said_read(struct text stored, struct job_said *said)
{
	struct text line, word;
	int64_t *numbers[] = { &said->attempt, &said->begun_ms, &said->ended_ms,
		&said->code };
	size_t i;

	*said = (struct job_said){ .state = JOB_WAITING };
	line = first_line(stored, &said->note);
	if (text_take_word(&line, " ", &word))
		said->state = find_state(word);
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (!text_take_word(&line, " ", &word) ||
		    !text_to_number(word, INT64_MAX, numbers[i]))
			return;
	if (text_take_word(&line, " ", &word))
		said->host = word;
	if (text_take_word(&line, " ", &word))
		text_to_number(word, INT64_MAX, &said->lost);
}
