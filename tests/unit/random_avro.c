#include "tests/unit/random_avro.h"

#include <assert.h>
#include <string.h>

#define DEPTH 4

/* What is written so far: names must not come twice. */
struct writing {
	struct random *random;
	struct buffer *out;
	int n_names;
};

static void put_type(struct writing *w, int depth);

/* With a field at least: avro-c has no lists of values without any size. */
static void
put_record(struct writing *w, int depth, const char *name)
{
	uint64_t n = 1 + random_below(w->random, 3), i;

	buffer_format(
	    w->out, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[", name);
	for (i = 0; i < n; i++) {
		buffer_format(w->out,
		    "%s{\"name\":\"f%d\",\"type\":", i > 0 ? "," : "", (int)i);
		put_type(w, depth - 1);
		buffer_byte(w->out, '}');
	}
	buffer_append(w->out, TEXT("]}"));
}

static void
put_named(struct writing *w, int depth)
{
	char name[16];
	uint64_t i, n = 1 + random_below(w->random, 5);

	snprintf(name, sizeof name, "N%d", w->n_names++);
	switch (random_below(w->random, 3)) {
	case 0:
		put_record(w, depth, name);
		break;
	case 1:
		buffer_format(w->out,
		    "{\"type\":\"fixed\",\"name\":\"%s\",\"size\":%d}", name,
		    (int)n);
		break;
	default:
		buffer_format(w->out,
		    "{\"type\":\"enum\",\"name\":\"%s\",\"symbols\":[\"s\"",
		    name);
		for (i = 1; i < n; i++)
			buffer_format(w->out, ",\"s%d\"", (int)i);
		buffer_append(w->out, TEXT("]}"));
	}
}

/* Branches of different types, as Avro wants them. */
static void
put_union(struct writing *w, int depth)
{
	static const char *const branches[] = { "\"null\"", "\"boolean\"",
		"\"long\"", "\"double\"", "\"bytes\"", "\"string\"" };
	uint64_t i, n = 0;

	buffer_byte(w->out, '[');
	for (i = 0; i < 6; i++)
		if (random_bool(w->random))
			buffer_format(
			    w->out, "%s%s", n++ > 0 ? "," : "", branches[i]);
	if (n > 0)
		buffer_byte(w->out, ',');
	put_named(w, depth);
	buffer_byte(w->out, ']');
}

static void
put_type(struct writing *w, int depth)
{
	static const char *const leaves[] = { "null", "boolean", "int", "long",
		"float", "double", "bytes", "string" };
	uint64_t choice = random_below(w->random, depth > 0 ? 12 : 8);

	switch (choice) {
	case 8:
		buffer_append(w->out, TEXT("{\"type\":\"array\",\"items\":"));
		put_type(w, depth - 1);
		buffer_byte(w->out, '}');
		break;
	case 9:
		buffer_append(w->out, TEXT("{\"type\":\"map\",\"values\":"));
		put_type(w, depth - 1);
		buffer_byte(w->out, '}');
		break;
	case 10:
		put_union(w, depth - 1);
		break;
	case 11:
		put_named(w, depth - 1);
		break;
	default:
		buffer_format(w->out, "\"%s\"", leaves[choice]);
	}
}

void
random_schema(struct random *random, const char *full_name, struct buffer *out)
{
	struct writing writing = { random, out, 0 };

	put_record(&writing, DEPTH, full_name);
}

static void
fill_list(struct random *random, struct arena *arena, const avro_value_t *value)
{
	uint64_t n = random_below(random, 4), i;
	avro_value_t item = { NULL, NULL };
	char key[16];

	for (i = 0; i < n; i++) {
		snprintf(key, sizeof key, "k%d", (int)i);
		if (avro_value_get_type(value) == AVRO_ARRAY)
			avro_value_append(value, &item, NULL);
		else
			avro_value_add(value, key, &item, NULL, NULL);
		random_value(random, arena, &item);
	}
}

static void
fill_record(
    struct random *random, struct arena *arena, const avro_value_t *value)
{
	avro_value_t field = { NULL, NULL };
	size_t n = 0, i;

	avro_value_get_size(value, &n);
	for (i = 0; i < n; i++) {
		avro_value_get_by_index(value, i, &field, NULL);
		random_value(random, arena, &field);
	}
}

static void
fill_union(
    struct random *random, struct arena *arena, const avro_value_t *value)
{
	avro_value_t branch = { NULL, NULL };
	size_t n = avro_schema_union_size(avro_value_get_schema(value));

	avro_value_set_branch(value, (int)random_below(random, n), &branch);
	random_value(random, arena, &branch);
}

/* At least one byte: avro-c does not write empty bytes. */
static void
fill_bytes(
    struct random *random, struct arena *arena, const avro_value_t *value)
{
	struct text bytes = random_bytes(random, arena, 20);
	avro_schema_t schema = avro_value_get_schema(value);
	char fixed[8] = "abcdefg";

	if (avro_value_get_type(value) == AVRO_FIXED)
		avro_value_set_fixed(
		    value, fixed, (size_t)avro_schema_fixed_size(schema));
	else
		avro_value_set_bytes(value, (void *)(uintptr_t)bytes.at,
		    bytes.size > 0 ? bytes.size : 1);
}

static void
fill_string(
    struct random *random, struct arena *arena, const avro_value_t *value)
{
	struct text text = text_copy(arena, random_text(random, arena, 100));

	avro_value_set_string_len(value, text.at, text.size + 1);
}

static void
fill_enum(struct random *random, const avro_value_t *value)
{
	int n =
	    avro_schema_enum_number_of_symbols(avro_value_get_schema(value));

	avro_value_set_enum(value, (int)random_below(random, (uint64_t)n));
}

static void
fill_number(struct random *random, const avro_value_t *value)
{
	switch (avro_value_get_type(value)) {
	case AVRO_BOOLEAN:
		avro_value_set_boolean(value, random_bool(random));
		break;
	case AVRO_INT32:
		avro_value_set_int(value, random_int(random));
		break;
	case AVRO_INT64:
		avro_value_set_long(value, random_long(random));
		break;
	case AVRO_FLOAT:
		avro_value_set_float(value, (float)random_int(random));
		break;
	case AVRO_DOUBLE:
		avro_value_set_double(value, (double)random_long(random));
		break;
	default:
		avro_value_set_null(value);
		break;
	}
}

void
random_value(
    struct random *random, struct arena *arena, const avro_value_t *value)
{
	assert(value->iface != NULL);
	switch (avro_value_get_type(value)) {
	case AVRO_RECORD:
		fill_record(random, arena, value);
		break;
	case AVRO_UNION:
		fill_union(random, arena, value);
		break;
	case AVRO_ARRAY:
	case AVRO_MAP:
		fill_list(random, arena, value);
		break;
	case AVRO_BYTES:
	case AVRO_FIXED:
		fill_bytes(random, arena, value);
		break;
	case AVRO_STRING:
		fill_string(random, arena, value);
		break;
	case AVRO_ENUM:
		fill_enum(random, value);
		break;
	default:
		fill_number(random, value);
		break;
	}
}
