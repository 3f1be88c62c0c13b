#include "producer/letters/dealing.h"

#include "common/base/clock.h"

const char *
dealing_refusal(const struct config *config, const struct letters *letters,
    const struct kafka_record *record, enum topic origin, struct arena *arena)
{
	struct kafka_message message;
	struct letter letter;

	letter_message(record, arena, &message);
	letter_read(&message, &letter);
	if (letter.kind == LETTER_BURIED && origin != TOPIC_EVENTS &&
	    text_equal(
		letter.topic, text_from(topic_name(config, TOPIC_EVENTS))))
		return "it is an event: --events sends it to topics.events "
		       "again";
	return letter_refusal(&message, &letter, topic_name(config, origin),
	    origin == TOPIC_EVENTS ? -1 : letters_request_max(letters), arena);
}

const char *
dealing_was_dealt(const struct letter_entry *entry, struct arena *arena)
{
	struct buffer said = { 0 };
	char time[CLOCK_TEXT_SIZE];

	clock_format(entry->state_ms, time);
	buffer_format(&said, "it was %s at %.*s",
	    letter_state_text(entry->state), CLOCK_TEXT_SIZE, time);
	buffer_byte(&said, '\0');
	return buffer_keep(&said, arena).at;
}
