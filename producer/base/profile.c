#include "producer/base/profile.h"

#include <string.h>

#include "schemas/message/run_json.h"

#define PYTHON "python-foundry-platform-sdk/"

static const struct {
	const char *name;
	enum http_profile profile;
} names[] = {
	{ "doc", PROFILE_DOC },
	{ "ga", PROFILE_GA },
	{ "ga-upper", PROFILE_GA_UPPER },
};

/* "doc", "ga", "ga-upper"; false on another name. */
static bool
parse_name(struct text name, enum http_profile *profile)
{
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (text_equal(name, text_from(names[i].name))) {
			*profile = names[i].profile;
			return true;
		}
	return false;
}

/* Digits at the start of `rest`, which moves along; -1 if there are none. */
static int
take_number(struct text *rest)
{
	int64_t value;

	return text_take_number(rest, 6, &value) ? (int)value : -1;
}

/* What follows `product` in a list of products; none if it isn't there. */
static struct text
after_product(struct text agent, struct text product)
{
	while (agent.size > 0) {
		const char *blank = memchr(agent.at, ' ', agent.size);
		size_t skip =
		    blank != NULL ? (size_t)(blank - agent.at) + 1 : agent.size;

		if (text_starts_with(agent, product))
			return (struct text){ agent.at + product.size,
				agent.size - product.size };
		agent.at += skip;
		agent.size -= skip;
	}
	return TEXT_NONE;
}

/* The boundaries 1.8/1.9 and 1.85/1.86 are those of the published wheels. */
static bool
profile_of_version(struct text version, enum http_profile *profile)
{
	int major = take_number(&version), minor;

	if (major < 0 || !text_take_byte(&version, '.'))
		return false;
	minor = take_number(&version);
	if (minor < 0)
		return false;
	if (major > 1 || (major == 1 && minor >= 86))
		*profile = PROFILE_GA_UPPER;
	else if (major == 1 && minor >= 9)
		*profile = PROFILE_GA;
	else
		*profile = PROFILE_DOC;
	return true;
}

bool
http_profile_choose(const struct http_head *head, const char *configured,
    enum http_profile *profile)
{
	size_t n = http_head_count(head, "schedrun-contract");
	struct text agent;

	if (n > 0)
		return n == 1 &&
		    parse_name(
			http_head_get(head, "schedrun-contract"), profile);
	if (parse_name(text_from(configured), profile))
		return true;
	agent = after_product(http_head_get(head, "user-agent"), TEXT(PYTHON));
	if (agent.at != NULL && profile_of_version(agent, profile))
		return true;
	agent = after_product(
	    http_head_get(head, "fetch-user-agent"), TEXT("osdk-client/"));
	*profile = agent.at != NULL ? PROFILE_GA_UPPER : PROFILE_DOC;
	return true;
}

bool
http_profile_takes_no_content(const struct http_head *head)
{
	struct text agent =
	    after_product(http_head_get(head, "user-agent"), TEXT(PYTHON));
	enum http_profile profile;

	return agent.at == NULL || !profile_of_version(agent, &profile) ||
	    profile != PROFILE_DOC;
}

void
http_profile_put_run(enum http_profile profile, const struct schedule_run *run,
    struct buffer *out)
{
	const char *name = run_error_name(run->error);
	char capitals[64];
	size_t i;

	for (i = 0; i < sizeof capitals && name[i] != '\0'; i++)
		capitals[i] = name[i] >= 'a' && name[i] <= 'z'
		    ? (char)(name[i] - 'a' + 'A')
		    : name[i];
	run_json_show(run,
	    (struct text){ profile == PROFILE_GA_UPPER ? capitals : name, i },
	    profile == PROFILE_DOC, out);
}

bool
http_profile_knows_trigger(enum http_profile profile, struct text type)
{
	if (text_equal(type, TEXT("scheduleFailed")))
		return profile == PROFILE_GA_UPPER;
	if (text_equal(type, TEXT("manual")) ||
	    text_equal(type, TEXT("tableUpdated")))
		return profile != PROFILE_DOC;
	return true;
}
