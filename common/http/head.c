#include "common/http/head.h"

#include <string.h>
#include <strings.h>

/* tchar of RFC 9110, section 5.6.2: what methods and field names are made of */
static bool
is_token(unsigned char byte)
{
	if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
	    (byte >= 'a' && byte <= 'z'))
		return true;
	return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

/* What may stand in a head besides its line ends. */
static bool
is_allowed(unsigned char byte)
{
	return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static bool
equals(struct text text, const char *word)
{
	return text.size == strlen(word) &&
	    strncasecmp(text.at, word, text.size) == 0;
}

/* The one empty line that may stand before a request (RFC 9112, 2.2). */
static size_t
skip_empty_line(struct text bytes)
{
	return bytes.size >= 2 && memcmp(bytes.at, "\r\n", 2) == 0 ? 2 : 0;
}

static int
check_limits(struct text bytes, size_t start, size_t end)
{
	const char *line_end;
	size_t line;

	line_end = memchr(bytes.at + start, '\r', end - start);
	line = line_end != NULL ? (size_t)(line_end - bytes.at) - start
				: end - start;
	if (line > HTTP_LINE_MAX)
		return -414;
	if (end - start > line + 2 + HTTP_HEAD_MAX)
		return -431;
	return 0;
}

/*
 * What is certain is judged although the head isn't complete: a wrong byte must
 * not have to wait for the deadline.
 */
int
http_head_scan(struct text bytes, size_t *scanned)
{
	size_t start = skip_empty_line(bytes), i = *scanned;

	if (bytes.size == 1 && bytes.at[0] == '\r')
		return 0;
	if (i < start)
		i = start;
	for (; i < bytes.size; i++) {
		unsigned char c = (unsigned char)bytes.at[i];
		bool after_cr = i > start && bytes.at[i - 1] == '\r';

		if ((c == '\n') != after_cr)
			return -400; /* a bare CR or LF */
		if (c == '\n' && i >= start + 3 && bytes.at[i - 2] == '\n') {
			int status = check_limits(bytes, start, i - 1);

			return status != 0 ? status : (int)(i + 1);
		}
		if (c == '\r' ? i == start : c != '\n' && !is_allowed(c))
			return -400; /* a second empty line, or NUL and its like
				      */
	}
	*scanned = i;
	return check_limits(bytes, start, bytes.size);
}

/* "HTTP/1.0", "HTTP/1.1": 0 and the minor; else the status to answer. */
static int
parse_version(struct text word, int *minor)
{
	const char *at = word.at;

	if (word.size < 6 || memcmp(at, "HTTP/", 5) != 0 || at[5] < '0' ||
	    at[5] > '9')
		return 400;
	if (at[5] >= '2' || (word.size > 6 && at[6] >= '0' && at[6] <= '9'))
		return 505;
	if (word.size != 8 || at[5] != '1' || at[6] != '.' || at[7] < '0' ||
	    at[7] > '9')
		return 400;
	*minor = at[7] - '0';
	return 0;
}

static bool
all(struct text text, bool (*is)(unsigned char))
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (!is((unsigned char)text.at[i]))
			return false;
	return text.size > 0;
}

static bool
is_target(unsigned char byte)
{
	return byte > 0x20 && byte < 0x7f;
}

static int
parse_request_line(struct text line, struct http_head *head)
{
	const char *end = line.at + line.size, *first, *last;
	struct text version;

	first = memchr(line.at, ' ', line.size);
	if (first == NULL)
		return 400;
	last = memchr(first + 1, ' ', (size_t)(end - first - 1));
	if (last == NULL)
		return 400;
	head->method = (struct text){ line.at, (size_t)(first - line.at) };
	head->target = (struct text){ first + 1, (size_t)(last - first - 1) };
	version = (struct text){ last + 1, (size_t)(end - last - 1) };
	if (!all(head->method, is_token) || !all(head->target, is_target))
		return 400;
	return parse_version(version, &head->minor);
}

/* "Name: value"; a folded line starts with a blank, which is no token. */
static int
parse_field(struct text line, struct http_head *head)
{
	const char *colon = memchr(line.at, ':', line.size);
	struct http_field *field;
	size_t name;

	if (colon == NULL)
		return 400;
	if (head->n_fields == HTTP_HEADERS_MAX)
		return 431;
	name = (size_t)(colon - line.at);
	field = &head->fields[head->n_fields++];
	field->name = (struct text){ line.at, name };
	field->value =
	    text_trim((struct text){ colon + 1, line.size - name - 1 });
	return all(field->name, is_token) ? 0 : 400;
}

static bool
is_host(unsigned char byte)
{
	return is_target(byte) && strchr("/,@\"<>\\^`{|}?#", byte) == NULL;
}

static int
check_host(const struct http_head *head)
{
	size_t n = http_head_count(head, "host");

	if (n > 1 || (n == 0 && head->minor > 0))
		return 400;
	if (n == 1 && !all(http_head_get(head, "host"), is_host))
		return 400;
	return 0;
}

/* How the body is framed: what smuggling is made of. */
static int
read_framing(struct http_head *head)
{
	size_t lengths = http_head_count(head, "content-length");
	size_t encodings = http_head_count(head, "transfer-encoding");
	struct text length = http_head_get(head, "content-length");

	if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0))
		return 400;
	if (encodings == 1) {
		if (head->minor == 0)
			return 400;
		if (!equals(
			http_head_get(head, "transfer-encoding"), "chunked"))
			return 501;
		head->chunked = true;
	}
	if (lengths == 1)
		/* INT64_MAX is too large anyhow. */
		return length.size <= 19 &&
			text_to_bounded(length, INT64_MAX, &head->body_size)
		    ? 0
		    : 400;
	return 0;
}

/* Whether a word stands in a comma-separated field. */
static bool
lists(struct text value, const char *word)
{
	while (value.size > 0) {
		const char *comma = memchr(value.at, ',', value.size);
		size_t n =
		    comma != NULL ? (size_t)(comma - value.at) : value.size;

		if (equals(text_trim((struct text){ value.at, n }), word))
			return true;
		n += comma != NULL;
		value.at += n;
		value.size -= n;
	}
	return false;
}

static int
read_expectation(struct http_head *head)
{
	size_t n = http_head_count(head, "expect");

	if (n == 0 || head->minor == 0)
		return 0;
	if (n > 1 || !equals(http_head_get(head, "expect"), "100-continue"))
		return 417;
	head->expect_continue = head->chunked || head->body_size > 0;
	return 0;
}

static int
parse_fields(const char *at, const char *end, struct http_head *head)
{
	int status;

	while (at < end) {
		const char *eol = memchr(at, '\r', (size_t)(end - at));

		if (eol == NULL || eol == at)
			break; /* the empty line */
		status =
		    parse_field((struct text){ at, (size_t)(eol - at) }, head);
		if (status != 0)
			return status;
		at = eol + 2;
	}
	return 0;
}

int
http_head_parse(struct text bytes, struct http_head *head)
{
	size_t start = skip_empty_line(bytes);
	const char *line = bytes.at + start, *eol;
	int status;
	size_t i;

	head->n_fields = 0;
	head->chunked = head->expect_continue = false;
	head->body_size = 0;
	eol = memchr(line, '\r', bytes.size - start);
	if (eol == NULL)
		return 400;
	status = parse_request_line(
	    (struct text){ line, (size_t)(eol - line) }, head);
	if (status == 0)
		status = parse_fields(eol + 2, bytes.at + bytes.size, head);
	if (status == 0)
		status = check_host(head);
	if (status == 0)
		status = read_framing(head);
	if (status == 0)
		status = read_expectation(head);
	if (status == 0) {
		head->close = head->minor == 0;
		for (i = 0; i < head->n_fields; i++)
			if (equals(head->fields[i].name, "connection") &&
			    lists(head->fields[i].value, "close"))
				head->close = true;
	}
	return status;
}

struct text
http_head_get(const struct http_head *head, const char *name)
{
	size_t i;

	for (i = 0; i < head->n_fields; i++)
		if (equals(head->fields[i].name, name))
			return head->fields[i].value;
	return TEXT_NONE;
}

size_t
http_head_count(const struct http_head *head, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < head->n_fields; i++)
		n += equals(head->fields[i].name, name);
	return n;
}

/* A chunked body as a machine over its bytes (RFC 9112, section 7.1). */
enum {
	CHUNK_SIZE, /* digits */
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF, /* the size's CR was read */
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* at the start of a line behind the last chunk */
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_LINE,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
	CHUNK_COMPLETE,
};
#define CHUNK_EXTRA_MAX 8192 /* bytes of extensions and trailers in a body */

static int
chunk_size_byte(struct http_chunks *chunks, char byte)
{
	int digit = text_hex_digit(byte);

	if (digit >= 0) {
		if (++chunks->digits > 8)
			return -1;
		chunks->left = chunks->left * 16 + (uint32_t)digit;
		return 0;
	}
	if (chunks->digits == 0)
		return -1;
	if (byte == '\r')
		chunks->state = CHUNK_SIZE_LF;
	else if (byte == ';')
		chunks->state = CHUNK_EXTENSION;
	else
		return -1;
	return 0;
}

/* A byte of an extension or of a trailer line. */
static int
chunk_extra_byte(struct http_chunks *chunks, char byte, int after_cr)
{
	if (++chunks->extra > CHUNK_EXTRA_MAX)
		return -1;
	if (byte != '\r')
		return is_allowed((unsigned char)byte) ? 0 : -1;
	chunks->state = after_cr;
	return 0;
}

static int
chunk_expect(struct http_chunks *chunks, char byte, char wanted, int next)
{
	chunks->state = next;
	return byte == wanted ? 0 : -1;
}

static int
chunk_line_byte(struct http_chunks *chunks, char byte)
{
	switch (chunks->state) {
	case CHUNK_SIZE:
		return chunk_size_byte(chunks, byte);
	case CHUNK_EXTENSION:
		return chunk_extra_byte(chunks, byte, CHUNK_SIZE_LF);
	case CHUNK_SIZE_LF:
		return chunk_expect(chunks, byte, '\n',
		    chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER);
	case CHUNK_DATA_CR:
		return chunk_expect(chunks, byte, '\r', CHUNK_DATA_LF);
	case CHUNK_DATA_LF:
		chunks->digits = 0;
		return chunk_expect(chunks, byte, '\n', CHUNK_SIZE);
	case CHUNK_TRAILER:
		if (byte == '\r') {
			chunks->state = CHUNK_END_LF;
			return 0;
		}
		chunks->state = CHUNK_TRAILER_NAME;
		return is_token((unsigned char)byte)
		    ? chunk_extra_byte(chunks, byte, CHUNK_TRAILER_LF)
		    : -1;
	case CHUNK_TRAILER_NAME:
		if (byte == ':')
			chunks->state = CHUNK_TRAILER_LINE;
		else if (!is_token((unsigned char)byte))
			return -1;
		return chunk_extra_byte(chunks, byte, CHUNK_TRAILER_LF);
	case CHUNK_TRAILER_LINE:
		return chunk_extra_byte(chunks, byte, CHUNK_TRAILER_LF);
	case CHUNK_TRAILER_LF:
		return chunk_expect(chunks, byte, '\n', CHUNK_TRAILER);
	case CHUNK_END_LF:
		return chunk_expect(chunks, byte, '\n', CHUNK_COMPLETE);
	}
	return -1;
}

int
http_chunks_next(
    struct http_chunks *chunks, struct text *bytes, struct text *data)
{
	while (bytes->size > 0) {
		if (chunks->state == CHUNK_DATA) {
			size_t n = bytes->size < chunks->left ? bytes->size
							      : chunks->left;

			*data = (struct text){ bytes->at, n };
			bytes->at += n;
			bytes->size -= n;
			chunks->left -= (uint32_t)n;
			if (chunks->left == 0)
				chunks->state = CHUNK_DATA_CR;
			return 1;
		}
		if (chunk_line_byte(chunks, bytes->at[0]) != 0)
			return -1;
		bytes->at++;
		bytes->size--;
		if (chunks->state == CHUNK_COMPLETE)
			return 2;
	}
	return 0;
}
