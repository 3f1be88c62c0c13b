#include "producer/cli/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "common/json/write.h"

#define COLUMNS_MAX 16
#define GAP 2

struct cell {
	struct text text; /* none: empty */
	bool is_number;
};

struct table {
	enum output output;
	const struct column *columns;
	size_t n_columns;
	struct arena *arena;
	struct cell *cells; /* row by row */
	size_t n_cells, capacity;
	size_t widths[COLUMNS_MAX]; /* of the widest cell so far */
	bool has_headings;
};

const struct column table_record[] = {
	{ "FIELD", "field" },
	{ "VALUE", "value" },
	{ NULL, NULL },
};

struct table *
table_create(enum output output, const struct column *columns)
{
	struct table *table = memory_zalloc(1, sizeof *table);

	table->output = output;
	table->columns = columns;
	for (; columns[table->n_columns].member != NULL; table->n_columns++) {
		assert(table->n_columns < COLUMNS_MAX);
		table->widths[table->n_columns] =
		    strlen(columns[table->n_columns].heading);
	}
	table->arena = arena_create(0);
	return table;
}

void
table_destroy(struct table *table)
{
	if (table == NULL)
		return;
	arena_destroy(table->arena);
	free(table->cells);
	free(table);
}

const struct column *
table_columns(const struct table *table)
{
	return table->columns;
}

static void
add_cell(struct table *table, struct text text, bool is_number)
{
	if (table->n_cells == table->capacity) {
		table->capacity =
		    table->capacity > 0 ? 2 * table->capacity : 64;
		table->cells = memory_resize(
		    table->cells, table->capacity, sizeof *table->cells);
	}
	table->cells[table->n_cells++] = (struct cell){
		.text = text_copy(table->arena, text),
		.is_number = is_number,
	};
}

void
table_text(struct table *table, struct text text)
{
	add_cell(table, text, false);
}

void
table_string(struct table *table, const char *string)
{
	add_cell(table, text_from(string), false);
}

void
table_number(struct table *table, int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%lld", (long long)number);
	add_cell(table, text_from(digits), true);
}

void
table_none(struct table *table)
{
	add_cell(table, TEXT_NONE, false);
}

static struct text
shown(const struct cell *cell)
{
	return cell->text.at != NULL ? cell->text : TEXT("-");
}

/* Characters, not bytes: those that continue one take no room. */
static size_t
width_of(struct text text)
{
	size_t width = 0, i;

	for (i = 0; i < text.size; i++)
		width += ((unsigned char)text.at[i] & 0xC0) != 0x80;
	return width;
}

/* Texts stand left, numbers right; nothing pads the end of a line. */
static void
put_padded(struct buffer *out, const struct cell *cell, size_t width, bool last)
{
	struct text text = shown(cell);
	size_t room = width - width_of(text);

	for (; cell->is_number && room > 0; room--)
		buffer_byte(out, ' ');
	buffer_append_shown(out, text);
	for (room += GAP; !last && room > 0; room--)
		buffer_byte(out, ' ');
}

static void
measure_columns(struct table *table)
{
	size_t i;

	for (i = 0; i < table->n_cells; i++) {
		size_t width = width_of(shown(&table->cells[i]));
		size_t *column = &table->widths[i % table->n_columns];

		if (width > *column)
			*column = width;
	}
}

static void
write_headings(const struct table *table, struct buffer *out)
{
	size_t n = table->n_columns, i;

	for (i = 0; i < n; i++) {
		const struct cell heading = {
			.text = text_from(table->columns[i].heading),
			.is_number =
			    table->n_cells > 0 && table->cells[i].is_number,
		};

		put_padded(out, &heading, table->widths[i], i + 1 == n);
	}
	buffer_byte(out, '\n');
}

static void
write_lines(struct table *table, struct buffer *out)
{
	size_t n = table->n_columns, i;

	measure_columns(table);
	if (!table->has_headings)
		write_headings(table, out);
	table->has_headings = true;
	for (i = 0; i < table->n_cells; i++) {
		bool is_last = i % n + 1 == n;

		put_padded(
		    out, &table->cells[i], table->widths[i % n], is_last);
		if (is_last)
			buffer_byte(out, '\n');
	}
}

static void
write_object(const struct table *table, size_t first, struct buffer *out)
{
	size_t i;

	json_open(out, '{');
	for (i = 0; i < table->n_columns; i++) {
		const struct cell *cell = &table->cells[first + i];

		json_name(out, table->columns[i].member);
		if (cell->is_number)
			buffer_append(out, cell->text);
		else
			json_put_text(out, cell->text);
	}
	json_close(out, '}');
}

static void
write_objects(const struct table *table, struct buffer *out)
{
	bool is_lines = table->output == OUTPUT_JSONL;
	size_t i;

	if (!is_lines)
		json_open(out, '[');
	for (i = 0; i < table->n_cells; i += table->n_columns) {
		write_object(table, i, out);
		if (is_lines)
			buffer_byte(out, '\n');
	}
	if (!is_lines) {
		json_close(out, ']');
		buffer_byte(out, '\n');
	}
}

void
table_field(struct table *table, const char *name, struct text value)
{
	if (value.at == NULL)
		return;
	table_string(table, name);
	table_text(table, value);
}

void
table_write(struct table *table, struct buffer *out)
{
	assert(table->n_cells % table->n_columns == 0);
	if (table->output == OUTPUT_TABLE)
		write_lines(table, out);
	else
		write_objects(table, out);
	table->n_cells = 0;
	arena_reset(table->arena, 65536);
}
