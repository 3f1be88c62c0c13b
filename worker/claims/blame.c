#include "worker/claims/blame.h"

#include "common/base/buffer.h"

static void
say_type(struct redis *redis, struct text key, struct text found,
    const char *type, struct error *err)
{
	struct buffer shown = { 0 };
	size_t i;

	for (i = 0; i < key.size; i++) /* a claim's ends in raw bytes */
		if (key.at[i] >= ' ' && key.at[i] <= '~')
			buffer_byte(&shown, key.at[i]);
		else
			buffer_format(
			    &shown, "\\x%02x", (unsigned char)key.at[i]);
	error_set(err, ERROR_RETRY,
	    "redis %s: the key %.*s holds a %.*s, not a %s; it is the worker's "
	    "own: remove it, and it is made anew",
	    redis_address(redis), TEXT_ARG(buffer_text(&shown)),
	    TEXT_ARG(found), type);
	buffer_finish(&shown);
}

bool
blame_key(struct redis *redis, const struct text *keys, size_t n,
    const char *type, struct error *err)
{
	bool found = false;
	size_t i;

	for (i = 0; i < n; i++)
		redis_append(
		    redis, (struct text[]){ TEXT("TYPE"), keys[i] }, 2);
	for (i = 0; i < n; i++) {
		struct redis_reply *reply = redis_receive(redis, NULL);
		struct text is;

		if (reply == NULL)
			return found;
		is = redis_reply_text(reply);
		if (!found && redis_reply_type(reply) == REDIS_STATUS &&
		    !text_equal(is, TEXT("none")) &&
		    !text_equal(is, text_from(type))) {
			say_type(redis, keys[i], is, type, err);
			found = true;
		}
		redis_reply_destroy(reply);
	}
	return found;
}
