#include "producer/cli/table.h"

#include "tests/unit/check.h"

static const struct column columns[] = {
	{ "NAME", "name" },
	{ "N", "n" },
	{ "NOTE", "note" },
	{ NULL, NULL },
};

static void
add_row(struct table *table, const char *name, int64_t n, const char *note)
{
	table_string(table, name);
	table_number(table, n);
	table_string(table, note);
}

static bool
writes(struct table *table, const char *expected)
{
	struct buffer out = { 0 };
	bool is_same;

	table_write(table, &out);
	is_same = text_equal(buffer_text(&out), text_from(expected));
	buffer_finish(&out);
	return is_same;
}

static void
writes_each_form(void)
{
	static const struct {
		const char *name;
		enum output output;
		const char *none, *two;
	} rows[] = {
		{ "table", OUTPUT_TABLE, "NAME  N  NOTE\n",
		    "NAME     N  NOTE\na        7  -\nlonger  10  x\n" },
		{ "json", OUTPUT_JSON, "[]\n",
		    "[{\"name\":\"a\",\"n\":7,\"note\":null},"
		    "{\"name\":\"longer\",\"n\":10,\"note\":\"x\"}]\n" },
		{ "jsonl", OUTPUT_JSONL, "",
		    "{\"name\":\"a\",\"n\":7,\"note\":null}\n"
		    "{\"name\":\"longer\",\"n\":10,\"note\":\"x\"}\n" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct table *table = table_create(rows[i].output, columns);

		CHECK_ROW(rows[i].name, writes(table, rows[i].none));
		table_destroy(table);
		table = table_create(rows[i].output, columns);
		add_row(table, "a", 7, NULL);
		add_row(table, "longer", 10, "x");
		CHECK_ROW(rows[i].name, writes(table, rows[i].two));
		table_destroy(table);
	}
}

/* Rows one after another: headings once, columns never narrower than before. */
static void
goes_on_under_its_headings(void)
{
	struct table *table = table_create(OUTPUT_TABLE, columns);

	add_row(table, "longest", 1, "x");
	CHECK(writes(table, "NAME     N  NOTE\nlongest  1  x\n"));
	add_row(table, "a", 22, "y");
	CHECK(writes(table, "a        22  y\n"));
	add_row(table, "b", 3, "z");
	CHECK(writes(table, "b         3  z\n"));
	table_destroy(table);
}

static void
sends_no_control_character_to_a_terminal(void)
{
	struct table *table = table_create(OUTPUT_TABLE, columns);

	add_row(table, "a\033[2Jb", 1, "\xc2\x9b");
	CHECK(writes(table, "NAME    N  NOTE\na?[2Jb  1  ?\n"));
	table_destroy(table);
}

/* Characters count, not bytes; a record's line without a value is none. */
static void
lays_out_records(void)
{
	struct table *table = table_create(OUTPUT_TABLE, table_record);

	table_field(table, "\xc3\xbc", TEXT("u"));
	table_field(table, "none", TEXT_NONE);
	table_field(table, "empty", TEXT(""));
	CHECK(writes(table, "FIELD  VALUE\n\xc3\xbc      u\nempty  \n"));
	table_destroy(table);
}

CU_TestInfo cli_table_tests[] = {
	{ "writes each form", writes_each_form },
	{ "goes on under its headings", goes_on_under_its_headings },
	{ "sends no control character to a terminal",
	    sends_no_control_character_to_a_terminal },
	{ "lays out records", lays_out_records },
	CU_TEST_INFO_NULL,
};
