#include "schemas/avro/registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
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
#define AGAIN_MS 500    /* until an id that can't be had is asked for again */
#define VERDICT_MS 2000 /* the same of one that is unknown for good */
#define FORGET_MS 10000 /* nobody wants it: its wait begins anew */
#define LATELY_MS 2000  /* somebody waits for it */
#define PATIENCE_MS 200 /* of a caller who has others to serve */
#define TIMEOUT_MS 5000
#define ANSWER_MAX (2 * SCHEMA_SIZE_MAX)
#define ANSWER_DEPTH 8
#define CONTENT_TYPE "application/vnd.schemaregistry.v1+json"
#define CODE_UNKNOWN_ID 40403 /* also: a schema that a subject lacks */
#define CODE_UNKNOWN_SUBJECT 40401

/* Stands for a schema that is too large to be one of ours: refused as such. */
#define TOO_LARGE TEXT("{\"schemaType\":\"of a size over every bound\"}")

/* Times are the registry's clock's; 0: never. */
struct cached {
	uint32_t id;
	char *schema; /* NULL: not known */
	size_t size;
	uint64_t used;     /* when it was wanted last, to let go of the least */
	int64_t wanted_ms; /* the same, of one that is not known */
	int64_t asked_ms;  /* when an answer came, or none */
	int64_t missing_ms; /* since when the registry says that it has none */
	bool is_failed;     /* it did not answer when asked last */
};

/* What the thread asks for, one id at a time. */
struct ask {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_running;
	atomic_bool stop;
	bool is_out, is_done;
	uint32_t id;
	int rc;
	long status;
	struct buffer answer;
	struct error err;
};

struct registry {
	char *url; /* NULL: the shipped ids; no slash at its end */
	char *credentials, *ca_file;
	int64_t wait_ms;
	struct cached *cache;
	size_t n_cached, cached_bytes;
	uint64_t uses;
	struct error trouble; /* why the last one failed that did */
	bool is_away;         /* the last one that was asked for did */
	int64_t (*now)(void);
	struct ask ask;
};

/* Else what is wrong would be waited for, as a registry that is away. */
static int
check_settings(const struct config *config, const char *url, struct error *err)
{
	const char *ca_file = config_text(config, "schema.registry.ca");

	int rc = fetch_check_form(url, err);

	if (rc == 0 && strpbrk(url, "?#") != NULL)
		rc = error_fatal(err, 78,
		    "%s: paths are put behind it, so there is no \"?\" and "
		    "no \"#\"",
		    url);
	if (rc != 0) {
		error_prefix(err, "schema.registry.url");
		return -1;
	}
	if (ca_file == NULL || config_is_loaded_later(ca_file) ||
	    fetch_check_authority(ca_file, err) == 0)
		return 0;
	error_prefix(err, "schema.registry.ca");
	return -1;
}

struct registry *
registry_create(const struct config *config, struct error *err)
{
	const char *url = config_text(config, "schema.registry.url");
	struct registry *registry = memory_zalloc(1, sizeof *registry);
	size_t size;

	registry->now = clock_monotonic_ms;
	if (url == NULL)
		return registry;
	if (check_settings(config, url, err) != 0) {
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
	registry->wait_ms = config_number(config, "registry.wait");
	return registry;
}

static void stop_asking(struct registry *registry);

void
registry_destroy(struct registry *registry)
{
	size_t i;

	if (registry == NULL)
		return;
	stop_asking(registry);
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
	const struct cached *end = registry->cache + registry->n_cached--;

	registry->cached_bytes -= cached->size;
	free(cached->schema);
	memmove(
	    cached, cached + 1, (size_t)(end - cached - 1) * sizeof *cached);
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

static struct cached *
add_cached(struct registry *registry, uint32_t id)
{
	struct cached *cached;

	make_room(registry, 0);
	registry->cache = memory_resize(
	    registry->cache, registry->n_cached + 1, sizeof *registry->cache);
	cached = &registry->cache[registry->n_cached++];
	*cached = (struct cached){ .id = id, .used = ++registry->uses };
	return cached;
}

/* An id's schema, which makes room by letting go of others. */
static void
remember_schema(struct registry *registry, uint32_t id, struct text schema)
{
	struct cached *cached = find_cached(registry, id);

	if (cached != NULL)
		forget_cached(registry, cached);
	make_room(registry, schema.size);
	cached = add_cached(registry, id);
	cached->size = schema.size;
	registry->cached_bytes += schema.size;
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
		.stop = &registry->ask.stop,
	};
	int rc;

	buffer_format(&url, "%s%s", registry->url, path);
	buffer_byte(&url, '\0');
	request.url = url.at;
	rc = fetch(&request, status, answer, err);
	buffer_finish(&url);
	return rc;
}

/* An outage, whatever it is: what stands before the registry, or itself. */
static int
unexpected(const struct registry *registry, long status, struct error *err)
{
	bool is_refused = status == 401 || status == 403;

	error_set(err, ERROR_RETRY, "schema registry %s answered %ld%s",
	    registry->url, status,
	    is_refused          ? "; check schema.registry.auth"
		: status == 404 ? ", not as a registry does"
				: "");
	if (is_refused)
		err->exit_code = 77;
	return -1;
}

/* The code that a registry gives with an error; 0: this is none's answer. */
static int64_t
error_code(struct text answer)
{
	struct json_document *document = json_parse(answer, ANSWER_DEPTH, NULL);
	const struct json *code = document != NULL
	    ? json_get(json_root(document), "error_code")
	    : NULL;
	int64_t number =
	    json_type_of(code) == JSON_TYPE_INTEGER ? json_int(code) : 0;

	json_destroy(document);
	return number;
}

/*
 * What is under an id and is no Avro schema: a document that names its type, by
 * which layout_compile refuses it.
 */
static void
remember_type(struct registry *registry, uint32_t id, struct text type)
{
	struct buffer marker = { 0 };

	buffer_append(&marker, TEXT("{\"schemaType\":"));
	json_put_text(&marker, text_cut(type, 40));
	buffer_byte(&marker, '}');
	remember_schema(registry, id, buffer_text(&marker));
	buffer_finish(&marker);
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
	if (given && (type.at == NULL || text_equal(type, TEXT("AVRO"))))
		remember_schema(registry, id, schema);
	else if (given)
		remember_type(registry, id, type);
	json_destroy(document);
	if (given)
		return 0;
	return error_set(err, ERROR_RETRY,
	    "schema registry %s gave no schema for id %u", registry->url,
	    (unsigned)id);
}

/* Asking for an id ------------------------------------------------------- */

/* Any thread. */
static int
fetch_schema(const struct registry *registry, uint32_t id, long *status,
    struct buffer *answer, struct error *err)
{
	struct buffer path = { 0 };
	int rc;

	buffer_format(&path, "/schemas/ids/%u", (unsigned)id);
	buffer_byte(&path, '\0');
	rc = ask_registry(registry, path.at, NULL, status, answer, err);
	buffer_finish(&path);
	return rc;
}

/* Whether a registry's own answer is larger than any schema of ours. */
static bool
is_too_large(int rc, long status, struct text answer, const struct error *err)
{
	return rc != 0 && err->kind == ERROR_INPUT && status == 200 &&
	    answer.size > 0 && answer.at[0] == '{';
}

/*
 * What came of asking for an id.  An outage says nothing of it: how long the
 * registry has been without it is counted anew, as a node that comes back may
 * lag behind.
 */
static void
take_answer(struct registry *registry, uint32_t id, int rc, long status,
    struct text answer, struct error *err)
{
	struct cached *cached;

	if (is_too_large(rc, status, answer, err)) {
		remember_schema(registry, id, TOO_LARGE); /* no wait helps */
		rc = 0;
	} else if (rc == 0 && status == 200)
		rc = take_schema(registry, id, answer, err);
	else if (rc == 0 && status == 404 &&
	    error_code(answer) == CODE_UNKNOWN_ID)
		rc = 1;
	else if (rc == 0)
		rc = unexpected(registry, status, err);
	registry->is_away = rc < 0;
	cached = find_cached(registry, id);
	if (rc == 0 || cached == NULL)
		return;
	cached->asked_ms = registry->now();
	cached->is_failed = rc < 0;
	if (rc < 0) {
		registry->trouble = *err;
		registry->trouble.kind = ERROR_RETRY;
		cached->missing_ms = 0;
	} else if (cached->missing_ms == 0)
		cached->missing_ms = cached->asked_ms;
}

static void *
run_ask(void *argument)
{
	struct registry *registry = argument;
	struct ask *ask = &registry->ask;

	pthread_mutex_lock(&ask->lock);
	while (!ask->stop) {
		if (!ask->is_out || ask->is_done) {
			pthread_cond_wait(&ask->changed, &ask->lock);
			continue;
		}
		/* Its fields are this thread's while it is out. */
		pthread_mutex_unlock(&ask->lock);
		ask->rc = fetch_schema(
		    registry, ask->id, &ask->status, &ask->answer, &ask->err);
		pthread_mutex_lock(&ask->lock);
		ask->is_done = true;
		pthread_cond_broadcast(&ask->changed);
	}
	pthread_mutex_unlock(&ask->lock);
	return NULL;
}

void
registry_start(struct registry *registry)
{
	struct ask *ask = &registry->ask;

	if (registry->url == NULL)
		return;
	pthread_mutex_init(&ask->lock, NULL);
	clock_condition_init(&ask->changed);
	if (pthread_create(&ask->thread, NULL, run_ask, registry) != 0)
		memory_exhausted();
	ask->is_running = true;
}

static void
stop_asking(struct registry *registry)
{
	struct ask *ask = &registry->ask;

	if (!ask->is_running)
		return;
	pthread_mutex_lock(&ask->lock);
	ask->stop = true;
	pthread_cond_broadcast(&ask->changed);
	pthread_mutex_unlock(&ask->lock);
	pthread_join(ask->thread, NULL);
	pthread_cond_destroy(&ask->changed);
	pthread_mutex_destroy(&ask->lock);
	buffer_finish(&ask->answer);
}

/* Takes what the thread has brought, if it has, within `patience_ms`. */
static void
collect_answer(struct registry *registry, int64_t patience_ms)
{
	struct ask *ask = &registry->ask;
	struct timespec until = clock_after(patience_ms);
	bool is_done;

	if (!ask->is_running || !ask->is_out)
		return;
	pthread_mutex_lock(&ask->lock);
	while (!ask->is_done && patience_ms > 0)
		if (pthread_cond_timedwait(&ask->changed, &ask->lock, &until) !=
		    0)
			break;
	is_done = ask->is_done;
	pthread_mutex_unlock(&ask->lock);
	if (!is_done)
		return;
	take_answer(registry, ask->id, ask->rc, ask->status,
	    buffer_text(&ask->answer), &ask->err);
	pthread_mutex_lock(&ask->lock);
	ask->is_out = false;
	pthread_mutex_unlock(&ask->lock);
}

static void
ask_by_thread(struct registry *registry, const struct cached *cached)
{
	struct ask *ask = &registry->ask;
	/* Who has failed lately is not waited for: others are to be served. */
	int64_t patience_ms = cached->is_failed ? 0 : PATIENCE_MS;

	if (ask->is_out)
		return;
	pthread_mutex_lock(&ask->lock);
	ask->id = cached->id;
	ask->status = 0;
	ask->is_out = true;
	ask->is_done = false;
	ask->err = (struct error){ 0 };
	buffer_reset(&ask->answer);
	pthread_cond_broadcast(&ask->changed);
	pthread_mutex_unlock(&ask->lock);
	collect_answer(registry, patience_ms);
}

static void
ask_for(struct registry *registry, const struct cached *cached)
{
	struct buffer answer = { 0 };
	struct error err = { 0 };
	uint32_t id = cached->id;
	long status = 0;
	int rc;

	if (registry->ask.is_running) {
		ask_by_thread(registry, cached);
		return;
	}
	rc = fetch_schema(registry, id, &status, &answer, &err);
	take_answer(registry, id, rc, status, buffer_text(&answer), &err);
	buffer_finish(&answer);
}

/* Asked for long enough that no registry that lags is meant. */
static bool
is_unknown(const struct registry *registry, const struct cached *cached)
{
	return cached->missing_ms != 0 &&
	    cached->asked_ms - cached->missing_ms >= registry->wait_ms;
}

/* Wants an id whose schema is not known: asks for it if it is time to. */
static void
want(struct registry *registry, struct cached *cached)
{
	int64_t now = registry->now();

	if (now - cached->wanted_ms > FORGET_MS)
		cached->asked_ms = cached->missing_ms = 0;
	cached->wanted_ms = now;
	if (cached->asked_ms == 0 ||
	    now - cached->asked_ms >=
		(is_unknown(registry, cached) ? VERDICT_MS : AGAIN_MS))
		ask_for(registry, cached);
}

static int
say_why_not(
    struct registry *registry, const struct cached *cached, struct error *err)
{
	if (cached->is_failed) {
		*err = registry->trouble;
		return -1;
	}
	return error_set(err, ERROR_RETRY,
	    cached->missing_ms != 0
		? "schema registry %s has no schema of the id %u yet"
		: "schema registry %s is being asked for the id %u",
	    registry->url, (unsigned)cached->id);
}

int
registry_schema(struct registry *registry, uint32_t id, struct text *schema,
    struct error *err)
{
	struct cached *cached;

	if (registry->url == NULL) {
		*schema = message_shipped_schema(id);
		return 0;
	}
	collect_answer(registry, 0);
	cached = find_cached(registry, id);
	if (cached == NULL)
		cached = add_cached(registry, id);
	if (cached->schema == NULL) {
		want(registry, cached);
		cached = find_cached(registry, id);
		assert(cached != NULL); /* what is asked for stays */
	}
	cached->used = ++registry->uses;
	if (cached->schema == NULL && !is_unknown(registry, cached))
		return say_why_not(registry, cached, err);
	*schema = cached->schema != NULL
	    ? (struct text){ cached->schema, cached->size }
	    : TEXT_NONE;
	return 0;
}

enum registry_state
registry_state(struct registry *registry, struct error *why)
{
	const struct cached *found = NULL;
	size_t i;

	for (i = 0; i < registry->n_cached; i++) {
		const struct cached *cached = &registry->cache[i];

		if (cached->schema == NULL && !is_unknown(registry, cached) &&
		    registry->now() - cached->wanted_ms < LATELY_MS &&
		    (found == NULL || !found->is_failed))
			found = cached;
	}
	if (found == NULL)
		return REGISTRY_FINE;
	say_why_not(registry, found, why);
	return found->is_failed ? REGISTRY_AWAY : REGISTRY_LACKS;
}

bool
registry_is_away(const struct registry *registry)
{
	return registry->is_away;
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

/* Where a topic has records of several types each has a subject of its own. */
static void
put_subject(struct buffer *out, enum message message, const char *topic)
{
	buffer_format(out, "%s-%s", topic,
	    message < MESSAGE_DATASET_COMMITTED ? "value"
						: message_name(message));
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
	struct buffer subject = { 0 };
	long status = 0;
	int rc, not_there = 0; /* -1: the registry says no */

	if (registry->url == NULL) {
		*id = message_shipped_id(message);
		return 0;
	}
	put_subject(&subject, message, topic);
	buffer_format(
	    &path, "/subjects/%.*s%s", TEXT_ARG(buffer_text(&subject)), suffix);
	buffer_byte(&path, '\0');
	json_open(&body, '{');
	json_member_text(&body, "schema", message_schema(message));
	json_close(&body, '}');
	buffer_byte(&body, '\0');
	rc = ask_registry(registry, path.at, body.at, &status, &answer, err);
	if (rc == 0 && status == 200)
		rc = take_id(registry, buffer_text(&answer), id, err);
	else if (rc == 0 && status == 404 &&
	    (error_code(buffer_text(&answer)) == CODE_UNKNOWN_ID ||
		error_code(buffer_text(&answer)) == CODE_UNKNOWN_SUBJECT))
		not_there = error_set(err, ERROR_RETRY,
		    "schema registry %s: %s is not registered under %.*s; "
		    "run `schedrun init`",
		    registry->url, message_name(message),
		    TEXT_ARG(buffer_text(&subject)));
	else if (rc == 0 && (status == 409 || status == 422) &&
	    error_code(buffer_text(&answer)) != 0)
		not_there = error_fatal(err, 78,
		    "schema registry %s refuses %s for %.*s (%ld): another "
		    "schema is there",
		    registry->url, message_name(message),
		    TEXT_ARG(buffer_text(&subject)), status);
	else if (rc == 0)
		rc = unexpected(registry, status, err);
	registry->is_away = rc != 0;
	if (rc != 0)
		err->kind = ERROR_RETRY; /* what is too large is no answer */
	buffer_finish(&path);
	buffer_finish(&subject);
	buffer_finish(&body);
	buffer_finish(&answer);
	return rc != 0 ? rc : not_there;
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
