#include "producer/http_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/digest.h"
#include "common/memory.h"

#define TOKEN_MAX 8192
#define FILE_MAX (1024 * 1024)
#define TOKENS_MAX 10000

struct token {
	uint8_t digest[SHA256_SIZE];
	char user[UUID_TEXT_SIZE];
	unsigned scopes;
};

struct http_auth {
	enum http_auth_mode mode;
	char *file;
	struct token *tokens;
	size_t n_tokens;
};

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

const char *
http_scope_name(enum http_scope scope)
{
	return scopes[scope == SCOPE_WRITE].name;
}

/* The next word, blanks and tabs apart; false at the end. */
static bool
take_word(struct text *rest, struct text *word)
{
	size_t i = 0, start;

	while (i < rest->size && (rest->at[i] == ' ' || rest->at[i] == '\t'))
		i++;
	start = i;
	while (i < rest->size && rest->at[i] != ' ' && rest->at[i] != '\t')
		i++;
	*word = (struct text){ rest->at + start, i - start };
	rest->at += i;
	rest->size -= i;
	return word->size > 0;
}

unsigned
http_scopes_parse(struct text list)
{
	struct text word;
	unsigned found = 0;
	size_t i;

	while (take_word(&list, &word))
		for (i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
			if (text_equal(word, text_from(scopes[i].name)))
				found |= scopes[i].scope;
	return found;
}

static bool
is_loopback(const char *address)
{
	static const char *const hosts[] = { "127.",
		"localhost:", "[::1]:", "::1:" };
	size_t i;

	for (i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		if (strncmp(address, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return false;
}

static struct http_auth *
make_auth(enum http_auth_mode mode)
{
	struct http_auth *auth = memory_zalloc(1, sizeof *auth);

	auth->mode = mode;
	return auth;
}

struct http_auth *
http_auth_create_none(const char *listen, struct error *err)
{
	if (!is_loopback(listen)) {
		error_fatal(err, 78,
		    "http.auth=none lets everybody in and so serves loopback "
		    "only, not %s; set http.auth=jwt or token-file",
		    listen);
		return NULL;
	}
	return make_auth(AUTH_NONE);
}

/* The whole file, of at most FILE_MAX bytes. */
static int
read_file(const char *path, struct buffer *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? 1 : -1;

	while (n > 0 && out->size <= FILE_MAX) {
		n = read(fd, buffer_reserve(out, 65536), 65536);
		if (n > 0)
			out->size += (size_t)n;
	}
	if (n < 0)
		error_fatal(
		    err, 78, "http.token.file %s: %s", path, strerror(errno));
	else if (out->size > FILE_MAX)
		error_fatal(err, 78, "http.token.file %s: over 1 MiB", path);
	if (fd >= 0)
		close(fd);
	return n < 0 || out->size > FILE_MAX ? -1 : 0;
}

static bool
is_visible(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text.at[i] <= ' ' || text.at[i] > '~')
			return false;
	return text.size > 0;
}

/* Returns what is wrong with a line, or NULL. */
static const char *
parse_line(struct text line, struct token *token)
{
	struct text secret, user, word;
	struct uuid uuid;

	if (!take_word(&line, &secret) || !is_visible(secret) ||
	    secret.size > TOKEN_MAX)
		return "no token of visible ASCII";
	if (!take_word(&line, &user) || !uuid_parse(user, &uuid))
		return "the second word must be a user's UUID in lower case";
	token->scopes = 0;
	while (take_word(&line, &word)) {
		unsigned scope = http_scopes_parse(word);

		if (scope == 0)
			return "unknown scope (allowed api:orchestration-read, "
			       "api:orchestration-write)";
		token->scopes |= scope;
	}
	sha256(secret, token->digest);
	memcpy(token->user, user.at, UUID_TEXT_SIZE);
	return NULL;
}

static bool
is_comment(struct text line)
{
	struct text word;

	return !take_word(&line, &word) || word.at[0] == '#';
}

struct token_list {
	struct token *at;
	size_t n;
};

static int
parse_tokens(const char *path, struct text bytes, struct token_list *list,
    struct error *err)
{
	unsigned number = 0;

	while (bytes.size > 0) {
		const char *end = memchr(bytes.at, '\n', bytes.size);
		size_t n = end != NULL ? (size_t)(end - bytes.at) : bytes.size;
		struct text line = { bytes.at, n };
		const char *fault;

		bytes.at += n + (end != NULL);
		bytes.size -= n + (end != NULL);
		number++;
		if (line.size > 0 && line.at[line.size - 1] == '\r')
			line.size--;
		if (is_comment(line))
			continue;
		fault = list->n == TOKENS_MAX
		    ? "too many tokens"
		    : parse_line(line, &list->at[list->n]);
		if (fault != NULL)
			return error_fatal(
			    err, 78, "%s:%u: %s", path, number, fault);
		list->n++;
	}
	return 0;
}

static size_t
count_lines(struct text bytes)
{
	size_t i, n = 1;

	for (i = 0; i < bytes.size; i++)
		n += bytes.at[i] == '\n';
	return n < TOKENS_MAX ? n : TOKENS_MAX;
}

static void
wipe(struct buffer *bytes)
{
	if (bytes->at != NULL)
		secret_wipe(bytes->at, bytes->capacity);
	buffer_finish(bytes);
}

static int
load_tokens(struct http_auth *auth, struct error *err)
{
	struct buffer bytes = { 0 };
	struct token_list list = { 0 };
	int rc = read_file(auth->file, &bytes, err);

	if (rc == 0) {
		list.at = memory_zalloc(
		    count_lines(buffer_text(&bytes)), sizeof *list.at);
		rc = parse_tokens(auth->file, buffer_text(&bytes), &list, err);
	}
	if (rc == 0 && list.n == 0)
		rc = error_fatal(
		    err, 78, "http.token.file %s: no token in it", auth->file);
	wipe(&bytes);
	if (rc != 0) {
		free(list.at);
		return -1;
	}
	free(auth->tokens);
	auth->tokens = list.at;
	auth->n_tokens = list.n;
	return 0;
}

struct http_auth *
http_auth_create_tokens(const char *file, struct error *err)
{
	struct http_auth *auth;

	if (file == NULL || file[0] == '\0') {
		error_fatal(err, 78,
		    "http.auth=token-file wants http.token.file, a file with a "
		    "line per token: TOKEN USER-UUID SCOPE…");
		return NULL;
	}
	auth = make_auth(AUTH_TOKENS);
	auth->file = memory_copy_string(file);
	if (load_tokens(auth, err) != 0) {
		http_auth_destroy(auth);
		return NULL;
	}
	return auth;
}

void
http_auth_destroy(struct http_auth *auth)
{
	if (auth == NULL)
		return;
	free(auth->file);
	free(auth->tokens);
	free(auth);
}

int
http_auth_reload(struct http_auth *auth, struct error *err)
{
	return auth->mode == AUTH_TOKENS ? load_tokens(auth, err) : 0;
}

/* RFC 6750, section 2.1: the one credential, after a case-blind scheme. */
static enum http_verdict
find_token(
    const struct http_head *head, struct text *token, const char **reason)
{
	size_t n = http_head_count(head, "authorization");
	struct text value = http_head_get(head, "authorization");
	size_t i;

	if (n > 1)
		return VERDICT_MALFORMED;
	if (n == 0 || value.size < 7 ||
	    strncasecmp(value.at, "Bearer ", 7) != 0)
		return VERDICT_MISSING;
	for (i = 7; i < value.size && value.at[i] == ' '; i++)
		;
	*token = (struct text){ value.at + i, value.size - i };
	if (token->size == 0)
		return VERDICT_MISSING;
	if (token->size > TOKEN_MAX)
		*reason = "TOO_LONG";
	else if (!is_visible(*token))
		*reason = "MALFORMED";
	else
		return VERDICT_OK;
	return VERDICT_REFUSED;
}

/* All digests are compared, so the time tells nothing about which fits. */
static enum http_verdict
check_listed(
    struct http_auth *auth, struct http_caller *caller, const char **reason)
{
	const struct token *found = NULL;
	size_t i;

	for (i = 0; i < auth->n_tokens; i++)
		if (digest_equal(
			auth->tokens[i].digest, caller->key, SHA256_SIZE))
			found = &auth->tokens[i];
	if (found == NULL) {
		*reason = "SIGNATURE";
		return VERDICT_REFUSED;
	}
	caller->known = true;
	memcpy(caller->user, found->user, UUID_TEXT_SIZE);
	caller->scopes = found->scopes;
	caller->expires_ms = INT64_MAX;
	return VERDICT_OK;
}

enum http_verdict
http_auth_check(struct http_auth *auth, const struct http_head *head,
    struct http_caller *caller, const char **reason)
{
	struct text token;
	enum http_verdict verdict;

	memset(caller, 0, sizeof *caller);
	if (auth->mode == AUTH_NONE) {
		caller->scopes = SCOPE_READ | SCOPE_WRITE;
		caller->expires_ms = INT64_MAX;
		return VERDICT_OK;
	}
	verdict = find_token(head, &token, reason);
	if (verdict != VERDICT_OK)
		return verdict;
	sha256(token, caller->key);
	return check_listed(auth, caller, reason);
}
