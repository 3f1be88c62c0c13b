#include "producer/fields.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define FIRST_CAPACITY 64
#define PIECE 1000      /* fields of one command */
#define PIECES_AHEAD 16 /* commands that may be unanswered */

/* Open addressing; a removed field keeps its place with no value. */
struct fields {
	struct arena *arena;
	struct field *slots;
	size_t capacity, used, size;
};

struct fields *
fields_create(struct arena *arena)
{
	struct fields *fields = memory_zalloc(1, sizeof *fields);

	fields->arena = arena;
	return fields;
}

void
fields_destroy(struct fields *fields)
{
	if (fields == NULL)
		return;
	free(fields->slots);
	free(fields);
}

size_t
fields_size(const struct fields *fields)
{
	return fields->size;
}

/* The field's slot, or the free one where it would be. */
static struct field *
find(const struct fields *fields, struct text name)
{
	size_t i = text_hash(name) & (fields->capacity - 1);

	while (fields->slots[i].name.at != NULL &&
	    !text_equal(fields->slots[i].name, name))
		i = (i + 1) & (fields->capacity - 1);
	return &fields->slots[i];
}

static void
grow(struct fields *fields)
{
	struct field *old = fields->slots;
	size_t n = fields->capacity, i;

	fields->capacity = n > 0 ? 2 * n : FIRST_CAPACITY;
	fields->slots = memory_zalloc(fields->capacity, sizeof *fields->slots);
	fields->used = 0;
	for (i = 0; i < n; i++) {
		if (old[i].name.at == NULL || old[i].value.at == NULL)
			continue;
		*find(fields, old[i].name) = old[i];
		fields->used++;
	}
	free(old);
}

struct text
fields_get(const struct fields *fields, struct text name)
{
	return fields->capacity > 0 ? find(fields, name)->value : TEXT_NONE;
}

void
fields_put(struct fields *fields, struct text name, struct text value)
{
	struct field *field;

	if (fields->used * 2 >= fields->capacity)
		grow(fields);
	field = find(fields, name);
	if (field->name.at == NULL) {
		field->name = text_copy(fields->arena, name);
		fields->used++;
	}
	if (field->value.at == NULL)
		fields->size++;
	field->value = text_copy(fields->arena, value);
}

void
fields_remove(struct fields *fields, struct text name)
{
	struct field *field;

	if (fields->capacity == 0)
		return;
	field = find(fields, name);
	if (field->value.at == NULL)
		return;
	field->value = TEXT_NONE;
	fields->size--;
}

static int
compare(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	return text_compare(x->name, y->name);
}

const struct field *
fields_sorted(struct fields *fields)
{
	struct field *sorted =
	    arena_alloc(fields->arena, (fields->size + 1) * sizeof *sorted);
	size_t n = 0, i;

	for (i = 0; i < fields->capacity; i++)
		if (fields->slots[i].value.at != NULL)
			sorted[n++] = fields->slots[i];
	if (n > 0)
		qsort(sorted, n, sizeof *sorted, compare);
	return sorted;
}

static int
malformed(struct redis *redis, struct text key, struct error *err)
{
	return error_fatal(err, 78,
	    "redis %s: %.*s gave an answer of another form",
	    redis_address(redis), TEXT_ARG(key));
}

/* One answer of HSCAN: the next cursor, and names and values in turn. */
static int
take_scan(struct fields *fields, struct redis *redis, struct text key,
    const struct redis_reply *reply, struct error *err)
{
	const struct redis_reply *list;
	size_t i;

	if (redis_reply_error(redis, reply, "HSCAN", err) != 0)
		return -1;
	if (redis_reply_size(reply) != 2)
		return malformed(redis, key, err);
	list = redis_reply_at(reply, 1);
	for (i = 0; i + 1 < redis_reply_size(list); i += 2) {
		struct text name = redis_reply_text(redis_reply_at(list, i));
		struct text value =
		    redis_reply_text(redis_reply_at(list, i + 1));

		if (name.at == NULL || value.at == NULL)
			return malformed(redis, key, err);
		fields_put(fields, name, value);
	}
	return 0;
}

int
fields_read(struct fields *fields, struct redis *redis, struct text key,
    struct error *err)
{
	char cursor[32] = "0";

	do {
		const struct text scan[5] = { TEXT("HSCAN"), key,
			text_from(cursor), TEXT("COUNT"), TEXT("1000") };
		struct redis_reply *reply = redis_command(redis, scan, 5, err);
		struct text next;
		int rc;

		if (reply == NULL)
			return -1;
		rc = take_scan(fields, redis, key, reply, err);
		if (rc == 0) {
			next = redis_reply_text(redis_reply_at(reply, 0));
			if (next.at == NULL || next.size >= sizeof cursor)
				rc = malformed(redis, key, err);
			else
				memcpy(cursor, next.at, next.size + 1);
		}
		redis_reply_destroy(reply);
		if (rc != 0)
			return -1;
	} while (strcmp(cursor, "0") != 0);
	return 0;
}

static int
drop_answer(struct redis *redis, const char *what, struct error *err)
{
	struct redis_reply *reply = redis_receive(redis, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(redis, reply, what, err);
	redis_reply_destroy(reply);
	return rc;
}

int
fields_write(struct fields *fields, struct redis *redis, struct text key,
    struct error *err)
{
	const struct field *sorted = fields_sorted(fields);
	struct text argv[2 + 2 * PIECE] = { TEXT("HSET"), key };
	size_t ahead = 0, done = 0;
	int rc = 0;

	while (done < fields->size && rc == 0) {
		size_t n = 0;

		for (; n < PIECE && done < fields->size; n++, done++) {
			argv[2 + 2 * n] = sorted[done].name;
			argv[3 + 2 * n] = sorted[done].value;
		}
		redis_append(redis, argv, 2 + 2 * n);
		if (++ahead >= PIECES_AHEAD) {
			rc = drop_answer(redis, "HSET", err);
			ahead--;
		}
	}
	for (; ahead > 0 && rc == 0; ahead--)
		rc = drop_answer(redis, "HSET", err);
	return rc;
}

static int
take_some(struct fields *fields, struct redis *redis, struct text key,
    const struct text *names, size_t n, struct error *err)
{
	struct redis_reply *reply = redis_receive(redis, err);
	int rc = -1;
	size_t i;

	if (reply == NULL)
		return -1;
	if (redis_reply_error(redis, reply, "HMGET", err) != 0)
		goto out;
	if (redis_reply_size(reply) != n) {
		malformed(redis, key, err);
		goto out;
	}
	for (i = 0; i < n; i++) {
		struct text value = redis_reply_text(redis_reply_at(reply, i));

		if (value.at != NULL)
			fields_put(fields, names[i], value);
	}
	rc = 0;
out:
	redis_reply_destroy(reply);
	return rc;
}

int
fields_read_some(struct fields *fields, struct redis *redis, struct text key,
    const struct text *names, size_t n, struct error *err)
{
	struct text argv[2 + PIECE] = { TEXT("HMGET"), key };
	size_t done, size;

	for (done = 0; done < n; done += size) {
		size = n - done < PIECE ? n - done : PIECE;
		memcpy(argv + 2, names + done, size * sizeof *names);
		redis_append(redis, argv, 2 + size);
		if (take_some(fields, redis, key, names + done, size, err) != 0)
			return -1;
	}
	return 0;
}
