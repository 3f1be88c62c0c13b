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

#include "common/http/head.h"
#include "tests/codec/hex.h"

/* Names count as if in small letters. */
static void
print_name(struct text name)
{
	size_t i;

	for (i = 0; i < name.size; i++)
		printf("%02x", (unsigned)tolower((unsigned char)name.at[i]));
}

static void
print_head(const struct http_head *head)
{
	size_t i;

	printf("ok ");
	hex_print(head->method);
	putchar(' ');
	hex_print(head->target);
	putchar(' ');
	for (i = 0; i < head->n_fields; i++) {
		printf(i > 0 ? "," : "");
		print_name(head->fields[i].name);
		putchar('=');
		hex_print(head->fields[i].value);
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
	hex_print(buffer_text(body));
	putchar(' ');
	hex_print(rest);
	putchar('\n');
}

int
main(void)
{
	struct buffer bytes = { 0 }, body = { 0 };
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		hex_read(line, &bytes);
		judge(buffer_text(&bytes), &body);
	}
	free(line);
	buffer_finish(&bytes);
	buffer_finish(&body);
	return 0;
}
