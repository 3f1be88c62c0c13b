#include "common/config/scan.h"

#include <ctype.h>
#include <string.h>

/* A word, a string, or one of the signs; at the end of the file '\0'. */
struct token {
	char kind; /* 'w', '"', '{', '}', '=', '\0' */
	struct text text;
	int line;
};

struct scan {
	const char *path, *at;
	int line;
	struct config_property_place *places;
	int n;
};

static void
step(struct scan *scan)
{
	if (*scan->at == '\n')
		scan->line++;
	scan->at++;
}

/* Goes on to behind `end`, or to the file's end. */
static void
skip_to(struct scan *scan, const char *end)
{
	size_t size = strlen(end);

	while (*scan->at != '\0' && strncmp(scan->at, end, size) != 0)
		step(scan);
	if (*scan->at != '\0' && end[0] != '\n')
		scan->at += size;
}

static void
skip_blank(struct scan *scan)
{
	for (;;) {
		if (isspace((unsigned char)*scan->at))
			step(scan);
		else if (*scan->at == '#' || strncmp(scan->at, "//", 2) == 0)
			skip_to(scan, "\n");
		else if (strncmp(scan->at, "/*", 2) == 0)
			skip_to(scan, "*/");
		else
			return;
	}
}

static void
skip_string(struct scan *scan)
{
	char quote = *scan->at;

	step(scan);
	while (*scan->at != '\0' && *scan->at != quote) {
		if (*scan->at == '\\' && scan->at[1] != '\0')
			step(scan);
		step(scan);
	}
	if (*scan->at != '\0')
		step(scan);
}

static struct token
next(struct scan *scan)
{
	struct token token;

	skip_blank(scan);
	token = (struct token){ *scan->at, { scan->at, 0 }, scan->line };
	if (strchr("{}=", token.kind) != NULL) {
		if (token.kind != '\0')
			scan->at++;
		return token;
	}
	if (token.kind == '"' || token.kind == '\'') {
		skip_string(scan);
		token.kind = '"';
		return token;
	}
	while (*scan->at != '\0' && !isspace((unsigned char)*scan->at) &&
	    strchr("{}=\"'#", *scan->at) == NULL)
		scan->at++;
	if (scan->at == token.text.at)
		scan->at++; /* a sign that nothing here begins with */
	token.kind = 'w';
	token.text.size = (size_t)(scan->at - token.text.at);
	return token;
}

static int
note(struct scan *scan, struct text block, const struct token *name,
    struct error *err)
{
	int i;

	for (i = 0; i < scan->n; i++)
		if (text_equal(scan->places[i].block, block) &&
		    text_equal(scan->places[i].name, name->text))
			return error_set(err, ERROR_FATAL,
			    "%s:%d: %.*s { %.*s }: set twice, first in line %d",
			    scan->path, name->line, TEXT_ARG(block),
			    TEXT_ARG(name->text), scan->places[i].line);
	if (scan->n == CONFIG_PLACES_MAX)
		return error_set(err, ERROR_FATAL,
		    "%s:%d: more than %d properties", scan->path, name->line,
		    CONFIG_PLACES_MAX);
	scan->places[scan->n++] =
	    (struct config_property_place){ block, name->text, name->line };
	return 0;
}

/* The properties of one block, up to its end. */
static int
scan_block(struct scan *scan, const struct token *block, struct error *err)
{
	struct token last = { 0 }, token = next(scan);

	for (; token.kind != '}'; token = next(scan)) {
		if (token.kind == '\0')
			return error_set(err, ERROR_FATAL,
			    "%s:%d: the block %.*s is not closed", scan->path,
			    block->line, TEXT_ARG(block->text));
		if (token.kind == '=' && last.kind == 'w') {
			if (note(scan, block->text, &last, err) != 0)
				return -1;
			token = next(scan); /* its value */
			token.kind = '=';
		}
		last = token;
	}
	return 0;
}

int
config_scan(const char *path, const char *content,
    struct config_property_place places[CONFIG_PLACES_MAX], struct error *err)
{
	struct scan scan = { path, content, 1, places, 0 };
	struct token last = { 0 }, token = next(&scan);

	for (; token.kind != '\0'; last = token, token = next(&scan))
		if (token.kind == '{' && last.kind == 'w' &&
		    scan_block(&scan, &last, err) != 0)
			return -1;
	return scan.n;
}
