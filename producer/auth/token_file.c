#include "producer/auth/token_file.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/small_file.h"
#include "common/crypto/digest.h"

#define FILE_MAX (1024 * 1024)
#define TOKENS_MAX 10000

struct token {
	uint8_t digest[SHA256_SIZE];
	unsigned line;
	char user[UUID_TEXT_SIZE];
	unsigned scopes;
};

struct token_file {
	char *path;
	bool strict;
	struct token *tokens;
	size_t n_tokens;
};

static bool
take_word(struct text *rest, struct text *word)
{
	return text_take_word(rest, " \t", word);
}

/* Returns what is wrong with a line, or NULL. */
static const char *
parse_line(struct text line, struct token *token)
{
	struct text secret, user, word;
	struct uuid uuid;

	if (!take_word(&line, &secret) || !text_is_visible(secret))
		return "no token of visible ASCII";
	if (!take_word(&line, &user) || !uuid_read(user, &uuid))
		return "the second word must be a user's UUID";
	token->scopes = 0;
	while (take_word(&line, &word)) {
		unsigned scope = http_scope_parse(word);

		if (scope == 0)
			return "unknown scope (allowed api:orchestration-read, "
			       "api:orchestration-write)";
		token->scopes |= scope;
	}
	sha256(secret, token->digest);
	uuid_format(&uuid, token->user);
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
		list->at[list->n++].line = number;
	}
	return 0;
}

/* By their digests, and the same by their lines. */
static int
compare_tokens(const void *left, const void *right)
{
	const struct token *one = left, *other = right;
	int rc = memcmp(one->digest, other->digest, SHA256_SIZE);

	return rc != 0 ? rc
		       : (one->line > other->line) - (one->line < other->line);
}

/*
 * One token is one caller: of two lines the later would count in silence, and
 * who takes a scope from the other one takes nothing.
 */
static int
check_once(const char *path, struct token_list *list, struct error *err)
{
	size_t i;

	qsort(list->at, list->n, sizeof *list->at, compare_tokens);
	for (i = 1; i < list->n; i++)
		if (memcmp(list->at[i - 1].digest, list->at[i].digest,
			SHA256_SIZE) == 0)
			return error_fatal(err, 78,
			    "%s:%u: the token of line %u again; one line says "
			    "all that a token may do",
			    path, list->at[i].line, list->at[i - 1].line);
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

static int
read_file(
    const struct token_file *file, struct buffer *bytes, struct error *err)
{
	bool exposed = false;

	if (small_file_read(file->path, FILE_MAX, bytes, &exposed, err) != 0) {
		error_prefix(err, "http.token.file");
		err->kind = ERROR_FATAL;
		err->exit_code = 78;
		return -1;
	}
	if (exposed && file->strict)
		return error_fatal(err, 78,
		    "http.token.file %s: everybody may read the tokens; chmod "
		    "0640",
		    file->path);
	if (exposed)
		log_event(LOG_WARN, "http", "secret_exposed",
		    "everybody may read the file of the tokens; chmod 0640",
		    LOG_S("file", file->path), LOG_END);
	return 0;
}

int
token_file_reload(struct token_file *file, struct error *err)
{
	struct buffer bytes = { 0 };
	struct token_list list = { 0 };
	int rc = read_file(file, &bytes, err);

	if (rc == 0) {
		list.at = memory_zalloc(
		    count_lines(buffer_text(&bytes)), sizeof *list.at);
		rc = parse_tokens(file->path,
		    text_skip_mark(buffer_text(&bytes)), &list, err);
	}
	if (rc == 0)
		rc = check_once(file->path, &list, err);
	if (rc == 0 && list.n == 0)
		rc = error_fatal(
		    err, 78, "http.token.file %s: no token in it", file->path);
	if (bytes.at != NULL)
		secret_wipe(bytes.at, bytes.capacity);
	buffer_finish(&bytes);
	if (rc != 0) {
		free(list.at);
		return -1;
	}
	free(file->tokens);
	file->tokens = list.at;
	file->n_tokens = list.n;
	return 0;
}

struct token_file *
token_file_create(const char *path, bool strict, struct error *err)
{
	struct token_file *file = memory_zalloc(1, sizeof *file);

	file->strict = strict;
	file->path = memory_copy_string(path);
	if (token_file_reload(file, err) == 0)
		return file;
	token_file_destroy(file);
	return NULL;
}

void
token_file_destroy(struct token_file *file)
{
	if (file == NULL)
		return;
	free(file->path);
	free(file->tokens);
	free(file);
}

bool
token_file_find(const struct token_file *file, struct http_caller *caller)
{
	const struct token *found = NULL;
	size_t i;

	for (i = 0; i < file->n_tokens; i++)
		if (digest_equal(
			file->tokens[i].digest, caller->key, SHA256_SIZE))
			found = &file->tokens[i];
	if (found == NULL)
		return false;
	caller->known = true;
	memcpy(caller->user, found->user, UUID_TEXT_SIZE);
	caller->scopes = found->scopes;
	caller->expires_ms = INT64_MAX;
	return true;
}
