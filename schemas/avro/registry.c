#include "schemas/avro/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/http/fetch.h"
#include "common/json/node.h"
#include "common/json/write.h"
#include "schemas/avro/layout.h"

#define CACHE_MAX 1000
#define CACHE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define UNKNOWN_MS 10000 /* an id may be registered later */
#define TIMEOUT_MS 5000
#define ANSWER_MAX (2 * SCHEMA_SIZE_MAX)
#define ANSWER_DEPTH 8
#define CONTENT_TYPE "application/vnd.schemaregistry.v1+json"

/* Stands for what is under an id and is no Avro schema: refused as such. */
#define NO_SCHEMA TEXT("{}")

struct cached {
	uint32_t id;
	char *schema;     /* NULL: the registry has no such id, */
	int64_t asked_ms; /* as it said then (clock_monotonic_ms) */
	size_t size;
	uint64_t used; /* when it was wanted last */
};

struct registry {
	char *url; /* NULL: the shipped ids; no slash at its end */
	char *credentials, *ca_file;
	struct cached *cache;
	size_t n_cached, cached_bytes;
	uint64_t uses;
	int64_t (*now)(void);
};

struct registry *
registry_create(const struct config *config, struct error *err)
{
	const char *url = config_text(config, "schema.registry.url");
	struct registry *registry = memory_zalloc(1, sizeof *registry);
	size_t size;

	registry->now = clock_monotonic_ms;
	if (url == NULL)
		return registry;
	if (strncmp(url, "http://", 7) != 0 &&
	    strncmp(url, "https://", 8) != 0) {
		error_fatal(err, 78,
		    "schema.registry.url: \"%s\" is not http:// or https://",
		    url);
		free(registry);
		return NULL;
	}
	registry->url = memory_copy_string(url);
	size = strlen(registry->url);
	while (size > 0 && registry->url[size - 1] == '/')
		registry->url[--size] = '\0';
	registry->credentials =
	    memory_copy_string(config_text(config, "schema.registry.auth"));
	registry->ca_file =
	    memory_copy_string(config_text(config, "schema.registry.ca"));
	return registry;
}

void
registry_destroy(struct registry *registry)
{
	size_t i;

	if (registry == NULL)
		return;
	for (i = 0; i < registry->n_cached; i++)
		free(registry->cache[i].schema);
	if (registry->credentials != NULL)
		explicit_bzero(
		    registry->credentials, strlen(registry->credentials));
	free(registry->cache);
	free(registry->credentials);
	free(registry->ca_file);
	free(registry->url);
	free(registry);
}

void
registry_set_clock(struct registry *registry, int64_t (*now)(void))
{
	registry->now = now;
}

bool
registry_is_remote(const struct registry *registry)
{
	return registry->url != NULL;
}

static struct cached *
find_cached(struct registry *registry, uint32_t id)
{
	size_t i;

	for (i = 0; i < registry->n_cached; i++)
		if (registry->cache[i].id == id)
			return &registry->cache[i];
	return NULL;
}

static void
forget_cached(struct registry *registry, struct cached *cached)
{
	struct cached *last = &registry->cache[--registry->n_cached];

	registry->cached_bytes -= cached->size;
	free(cached->schema);
	*cached = *last;
	last->schema = NULL;
}

/* Makes room for one more of `size` bytes, by what was used least lately. */
static void
make_room(struct registry *registry, size_t size)
{
	while (registry->n_cached == CACHE_MAX ||
	    (registry->n_cached > 0 &&
		registry->cached_bytes + size > CACHE_BYTES_MAX)) {
		struct cached *oldest = registry->cache;
		size_t i;

		for (i = 1; i < registry->n_cached; i++)
			if (registry->cache[i].used < oldest->used)
				oldest = &registry->cache[i];
		forget_cached(registry, oldest);
	}
}

static void
remember_schema(struct registry *registry, uint32_t id, struct text schema)
{
	struct cached *cached;

	make_room(registry, schema.size);
	registry->cache = memory_resize(
	    registry->cache, registry->n_cached + 1, sizeof *registry->cache);
	cached = &registry->cache[registry->n_cached++];
	*cached = (struct cached){
		.id = id,
		.asked_ms = registry->now(),
		.size = schema.size,
	};
	registry->cached_bytes += schema.size;
	if (schema.at == NULL)
		return;
	cached->schema = memory_alloc(schema.size + 1);
	memcpy(cached->schema, schema.at, schema.size);
	cached->schema[schema.size] = '\0';
}

/* Asks the registry; `path` is what follows the URL, `body` NULL for a GET. */
static int
ask_registry(const struct registry *registry, const char *path,
    const char *body, long *status, struct buffer *answer, struct error *err)
{
	struct buffer url = { 0 };
	struct fetch_request request = {
		.body = body,
		.content_type = CONTENT_TYPE,
		.credentials = registry->credentials,
		.ca_file = registry->ca_file,
		.timeout_ms = TIMEOUT_MS,
		.size_max = ANSWER_MAX,
	};
	int rc;

	buffer_format(&url, "%s%s", registry->url, path);
	buffer_byte(&url, '\0');
	request.url = url.at;
	rc = fetch(&request, status, answer, err);
	buffer_finish(&url);
	return rc;
}

static int
unexpected(const struct registry *registry, long status, struct error *err)
{
	if (status == 401 || status == 403)
		return error_fatal(err, 77,
		    "schema registry %s answered %ld; check "
		    "schema.registry.auth",
		    registry->url, status);
	return error_set(err, ERROR_RETRY, "schema registry %s answered %ld",
	    registry->url, status);
}

/* The registry's answer to an id: {"schema": "..."}; Avro has no schemaType. */
static int
take_schema(struct registry *registry, uint32_t id, struct text answer,
    struct error *err)
{
	struct json_document *document = json_parse(answer, ANSWER_DEPTH, err);
	struct text schema = TEXT_NONE, type = TEXT_NONE;
	bool given;

	if (document != NULL) {
		schema = json_text(json_get(json_root(document), "schema"));
		type = json_text(json_get(json_root(document), "schemaType"));
	}
	given = schema.at != NULL;
	if (given)
		remember_schema(registry, id,
		    type.at == NULL || text_equal(type, TEXT("AVRO"))
			? schema
			: NO_SCHEMA);
	json_destroy(document);
	if (given)
		return 0;
	return error_set(err, ERROR_RETRY,
	    "schema registry %s gave no schema for id %u", registry->url,
	    (unsigned)id);
}

static int
load_schema(struct registry *registry, uint32_t id, struct error *err)
{
	struct buffer answer = { 0 }, path = { 0 };
	long status = 0;
	int rc;

	buffer_format(&path, "/schemas/ids/%u", (unsigned)id);
	buffer_byte(&path, '\0');
	rc = ask_registry(registry, path.at, NULL, &status, &answer, err);
	if (rc != 0 && err->kind == ERROR_INPUT) {
		/* Too large to be a schema of ours: waiting won't help. */
		remember_schema(registry, id, NO_SCHEMA);
		rc = 0;
	} else if (rc == 0 && status == 404)
		remember_schema(registry, id, TEXT_NONE);
	else if (rc == 0 && status == 200)
		rc = take_schema(registry, id, buffer_text(&answer), err);
	else if (rc == 0)
		rc = unexpected(registry, status, err);
	buffer_finish(&answer);
	buffer_finish(&path);
	return rc;
}

static struct text
shipped_schema(uint32_t id)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		if (message_shipped_id((enum message)i) == id)
			return message_schema((enum message)i);
	return TEXT_NONE;
}

int
registry_schema(struct registry *registry, uint32_t id, struct text *schema,
    struct error *err)
{
	struct cached *cached;

	if (registry->url == NULL) {
		*schema = shipped_schema(id);
		return 0;
	}
	cached = find_cached(registry, id);
	if (cached != NULL && cached->schema == NULL &&
	    registry->now() - cached->asked_ms > UNKNOWN_MS) {
		forget_cached(registry, cached);
		cached = NULL;
	}
	if (cached == NULL) {
		if (load_schema(registry, id, err) != 0)
			return -1;
		cached = find_cached(registry, id);
		assert(cached != NULL); /* load has remembered it */
	}
	cached->used = ++registry->uses;
	*schema = cached->schema != NULL
	    ? (struct text){ cached->schema, cached->size }
	    : TEXT_NONE;
	return 0;
}

static int
take_id(const struct registry *registry, struct text answer, uint32_t *id,
    struct error *err)
{
	struct json_document *document = json_parse(answer, ANSWER_DEPTH, err);
	const struct json *node =
	    document != NULL ? json_get(json_root(document), "id") : NULL;
	int64_t number =
	    json_type_of(node) == JSON_TYPE_INTEGER ? json_int(node) : -1;

	json_destroy(document);
	if (number < 0 || number > INT32_MAX)
		return error_set(err, ERROR_RETRY,
		    "schema registry %s gave no id for a schema",
		    registry->url);
	*id = (uint32_t)number;
	return 0;
}

/*
 * The shipped id, or the one that a registry answers to the shipped schema at a
 * subject's path.
 */
static int
ask_id(struct registry *registry, enum message message, const char *topic,
    const char *suffix, uint32_t *id, struct error *err)
{
	struct buffer path = { 0 }, body = { 0 }, answer = { 0 };
	long status = 0;
	int rc;

	if (registry->url == NULL) {
		*id = message_shipped_id(message);
		return 0;
	}
	buffer_format(&path, "/subjects/%s-value%s", topic, suffix);
	buffer_byte(&path, '\0');
	json_open(&body, '{');
	json_member_text(&body, "schema", message_schema(message));
	json_close(&body, '}');
	buffer_byte(&body, '\0');
	rc = ask_registry(registry, path.at, body.at, &status, &answer, err);
	if (rc == 0 && status == 200)
		rc = take_id(registry, buffer_text(&answer), id, err);
	else if (rc == 0 && status == 404)
		rc = error_set(err, ERROR_RETRY,
		    "schema registry %s: %s is not registered under %s-value; "
		    "run `schedrun init`",
		    registry->url, message_name(message), topic);
	else if (rc == 0 && (status == 409 || status == 422))
		rc = error_fatal(err, 78,
		    "schema registry %s refuses %s for %s-value (%ld): another "
		    "schema is there",
		    registry->url, message_name(message), topic, status);
	else if (rc == 0)
		rc = unexpected(registry, status, err);
	buffer_finish(&path);
	buffer_finish(&body);
	buffer_finish(&answer);
	return rc;
}

int
registry_id(struct registry *registry, enum message message, const char *topic,
    uint32_t *id, struct error *err)
{
	return ask_id(registry, message, topic, "", id, err);
}

int
registry_register(struct registry *registry, enum message message,
    const char *topic, uint32_t *id, struct error *err)
{
	return ask_id(registry, message, topic, "/versions", id, err);
}
