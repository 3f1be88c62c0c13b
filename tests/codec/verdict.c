/*
 * What our codec says of records, for other implementations to be compared
 * with.  Reads lines "any<TAB>schema<TAB>hex" or "request<TAB>schema<TAB>hex"
 * and writes one line for each:
 *
 *     ok                   the walk passes the record schedrun.Any
 *     ok 6162 - 5 ...      of a request: its seven fields, texts in hex
 *     malformed, ...       why not
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/message/run_request.h"
#include "tests/codec/hex.h"
#include "worker/base/batch.h"

#define FIELDS 7
#define FIELD_CREATED_TIME 4

static void
print_text(struct text text)
{
	printf(text.at == NULL ? " -" : " ");
	hex_print(text);
	if (text.at != NULL && text.size == 0)
		printf("\"\"");
}

static void
print_fields(const union field_value *values)
{
	int i;

	for (i = 0; i < FIELDS; i++)
		if (i == FIELD_CREATED_TIME)
			printf(" %lld", (long long)values[i].number);
		else
			print_text(values[i].text);
}

static void
answer(bool is_request, const char *schema, struct text body)
{
	union field_value values[FIELDS];
	struct rejection rejection;
	struct layout *layout = is_request
	    ? run_request_layout(text_from(schema), &rejection)
	    : layout_compile(text_from(schema), "schedrun.Any", &rejection);

	if (layout == NULL ||
	    layout_walk(layout, body, values, &rejection) != 0) {
		printf("%s\n",
		    dead_reason_text((enum dead_reason)rejection.reason));
	} else {
		printf("ok");
		if (is_request)
			print_fields(values);
		printf("\n");
	}
	layout_destroy(layout);
}

int
main(void)
{
	struct buffer body = { 0 };
	char *line = NULL;
	size_t capacity = 0;

	while (getline(&line, &capacity, stdin) > 0) {
		char *rest = line;
		const char *kind = strsep(&rest, "\t");
		const char *schema = strsep(&rest, "\t");

		if (rest == NULL) {
			fprintf(stderr, "verdict: not three columns\n");
			return 64;
		}
		hex_read(rest, &body);
		answer(
		    strcmp(kind, "request") == 0, schema, buffer_text(&body));
	}
	fflush(stdout);
	buffer_finish(&body);
	free(line);
	return 0;
}
