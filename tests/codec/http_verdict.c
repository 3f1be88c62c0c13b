/*
 * What our HTTP parser says of requests, for another one to be compared with.
 * Reads a request's bytes a line, in hex, and writes a line for each:
 *
 *     ok METHOD TARGET NAME=VALUE,NAME=VALUE BODY REST     all in hex
 *     more                 it isn't whole yet
 *     refused
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/http/head.h"

static int
digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void
read_hex(const char *hex, struct buffer *out)
{
	buffer_reset(out);
	for (; hex[0] != '\0' && hex[0] != '\n'; hex += 2)
		buffer_byte(out, (char)(digit(hex[0]) * 16 + digit(hex[1])));
}

static void
print_text(struct text text, bool is_name)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		printf("%02x",
		    is_name ? (unsigned)tolower((unsigned char)text.at[i])
			    : (unsigned char)text.at[i]);
}

static void
print_head(const struct http_head *head)
{
	size_t i;

	printf("ok ");
	print_text(head->method, false);
	putchar(' ');
	print_text(head->target, false);
	putchar(' ');
	for (i = 0; i < head->n_fields; i++) {
		printf(i > 0 ? "," : "");
		print_text(head->fields[i].name, true);
		putchar('=');
		print_text(head->fields[i].value, false);
	}
	putchar(' ');
}

/* 1: the body is whole, and `rest` stands behind it; 0: more is needed. */
static int
read_body(const struct http_head *head, struct text *rest, struct buffer *body)
{
	struct http_chunks chunks = { 0 };
	struct text data;
	size_t size = (size_t)head->body_size;
	int rc = 1;

	if (!head->chunked) {
		if (rest->size < size)
			return 0;
		buffer_append(body, (struct text){ rest->at, size });
		*rest = (struct text){ rest->at + size, rest->size - size };
		return 1;
	}
	while ((rc = http_chunks_next(&chunks, rest, &data)) == 1)
		buffer_append(body, data);
	return rc == 2 ? 1 : rc;
}

static void
judge(struct text bytes, struct buffer *body)
{
	struct http_field fields[HTTP_HEADERS_MAX];
	struct http_head head = { .fields = fields };
	struct text rest;
	size_t scanned = 0;
	int rc = http_head_scan(bytes, &scanned);

	if (rc <= 0) {
		puts(rc == 0 ? "more" : "refused");
		return;
	}
	rest = (struct text){ bytes.at + rc, bytes.size - (size_t)rc };
	if (http_head_parse((struct text){ bytes.at, (size_t)rc }, &head) !=
	    0) {
		puts("refused");
		return;
	}
	buffer_reset(body);
	rc = read_body(&head, &rest, body);
	if (rc != 1) {
		puts(rc == 0 ? "more" : "refused");
		return;
	}
	print_head(&head);
	print_text(buffer_text(body), false);
	putchar(' ');
	print_text(rest, false);
	putchar('\n');
}

int
main(void)
{
	struct buffer bytes = { 0 }, body = { 0 };
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		read_hex(line, &bytes);
		judge(buffer_text(&bytes), &body);
	}
	free(line);
	buffer_finish(&bytes);
	buffer_finish(&body);
	return 0;
}
