#include "producer/auth/caller.h"

static const struct {
	const char *name;
	enum http_scope scope;
} scopes[] = {
	{ "api:orchestration-read", SCOPE_READ },
	{ "api:orchestration-write", SCOPE_WRITE },
};

struct text
http_caller_user(const struct http_caller *caller)
{
	return caller->known ? (struct text){ caller->user, UUID_TEXT_SIZE }
			     : TEXT_NONE;
}

void
http_caller_name(struct http_caller *caller, struct text subject)
{
	struct uuid user;

	if (!uuid_read(subject, &user))
		user = rid_user(subject);
	uuid_format(&user, caller->user);
	caller->known = true;
}

const char *
http_scope_name(enum http_scope scope)
{
	return scopes[scope == SCOPE_WRITE].name;
}

unsigned
http_scope_parse(struct text name)
{
	size_t i;

	for (i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
		if (text_equal(name, text_from(scopes[i].name)))
			return scopes[i].scope;
	return SCOPE_NONE;
}
