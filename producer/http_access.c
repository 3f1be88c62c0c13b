#include "producer/http_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/strict_json.h"

#define DEPTH_MAX 8

/* One look-up: what it found and what it needs on the way. */
struct look {
	struct redis *redis;
	struct text prefix;
	struct arena *arena;
	struct text schedule_rid;
	struct text generation; /* none: no catalogue */
	struct text_list projects;
	struct text creator; /* of the current version; if it was needed */
};

static struct text
key(struct look *look, const char *name)
{
	struct buffer out = { 0 };
	struct text text;

	buffer_append(&out, look->prefix);
	buffer_append(&out, text_from(name));
	text = text_copy(look->arena, buffer_text(&out));
	buffer_finish(&out);
	return text;
}

/* A key of the current generation, "g17:u". */
static struct text
generation_key(struct look *look, const char *part)
{
	char name[64];

	snprintf(
	    name, sizeof name, "g%.*s:%s", TEXT_ARG(look->generation), part);
	return key(look, name);
}

/* The next answer's text, in the arena; -1 if it is an error. */
static int
receive_text(struct look *look, struct text *text, struct error *err)
{
	struct redis_reply *reply = redis_receive(look->redis, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(look->redis, reply, "schedule", err);
	if (rc == 0)
		*text = text_copy(look->arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
	return rc;
}

/* A hash's fields in one command; `values` in the arena. */
static int
get_fields(struct look *look, struct text hash, const struct text *fields,
    size_t n, struct text *values, struct error *err)
{
	struct text *argv = arena_alloc(look->arena, (n + 2) * sizeof *argv);
	struct redis_reply *reply;
	size_t i;
	int rc;

	argv[0] = TEXT("HMGET");
	argv[1] = hash;
	memcpy(argv + 2, fields, n * sizeof *fields);
	reply = redis_command(look->redis, argv, n + 2, err);
	if (reply == NULL)
		return -1;
	rc = redis_reply_error(look->redis, reply, "catalogue", err);
	for (i = 0; rc == 0 && i < n; i++)
		values[i] = text_copy(
		    look->arena, redis_reply_text(redis_reply_at(reply, i)));
	redis_reply_destroy(reply);
	return rc;
}

/* Round 1: head, info and the catalogue's generation. */
static int
read_schedule(
    struct look *look, struct text *head, struct text *info, struct error *err)
{
	if (redis_connect(look->redis, err) != 0)
		return -1;
	redis_append(look->redis,
	    (struct text[]){ TEXT("HGET"), key(look, "s"), look->schedule_rid },
	    3);
	redis_append(look->redis,
	    (struct text[]){ TEXT("HGET"), key(look, "i"), look->schedule_rid },
	    3);
	redis_append(
	    look->redis, (struct text[]){ TEXT("GET"), key(look, "g") }, 2);
	if (receive_text(look, head, err) != 0 ||
	    receive_text(look, info, err) != 0)
		return -1;
	return receive_text(look, &look->generation, err);
}

static int
compare_texts(const void *a, const void *b)
{
	return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* Ascending, each once, none left out. */
static struct text_list
as_set(struct text *texts, size_t n)
{
	size_t i, kept = 0;

	qsort(texts, n, sizeof *texts, compare_texts);
	for (i = 0; i < n; i++)
		if (texts[i].at != NULL &&
		    (kept == 0 || !text_equal(texts[kept - 1], texts[i])))
			texts[kept++] = texts[i];
	return (struct text_list){ texts, kept };
}

/* "project" or "project⏎t": the project of a dataset's entry. */
static struct text
project_of(struct text entry)
{
	const char *end;

	if (entry.at == NULL)
		return TEXT_NONE;
	end = memchr(entry.at, '\n', entry.size);
	if (end != NULL)
		entry.size = (size_t)(end - entry.at);
	return entry;
}

static int
read_version(struct look *look, struct text rid,
    struct schedule_version *version, struct error *err)
{
	struct text bytes = TEXT_NONE;

	if (get_fields(look, key(look, "v"), &rid, 1, &bytes, err) != 0)
		return -1;
	if (bytes.at == NULL)
		return error_fatal(err, 70,
		    "schedule %.*s: its version is not there",
		    TEXT_ARG(look->schedule_rid));
	return schedule_version_parse(bytes, rid, look->arena, version, err);
}

/* The projects of the targets that exist, and those of a project scope. */
static int
compute_projects(struct look *look, const struct schedule_version *version,
    struct error *err)
{
	size_t targets = version->target_rids.n, i;
	size_t n = targets + version->project_rids.n;
	struct text *texts = arena_zalloc(look->arena, n + 1, sizeof *texts);

	if (targets > 0 && look->generation.at != NULL &&
	    get_fields(look, generation_key(look, "d"), version->target_rids.at,
		targets, texts, err) != 0)
		return -1;
	for (i = 0; i < targets; i++)
		texts[i] = project_of(texts[i]);
	for (i = targets; i < n; i++)
		texts[i] = version->project_rids.at[i - targets];
	look->projects = as_set(texts, n);
	return 0;
}

static bool
read_stored_projects(struct look *look, const struct json *root)
{
	const struct json *at = json_get(root, "projectsAt");
	const struct json *list = json_get(root, "projects");
	struct text *texts;
	char number[24];
	size_t i, n;

	if (at == NULL || list == NULL ||
	    json_type_of(at) != JSON_TYPE_INTEGER ||
	    json_type_of(list) != JSON_TYPE_ARRAY)
		return false;
	snprintf(number, sizeof number, "%lld", (long long)json_int(at));
	if (look->generation.at != NULL &&
	    !text_equal(look->generation, text_from(number)))
		return false;
	n = json_size(list);
	texts = arena_alloc(look->arena, (n + 1) * sizeof *texts);
	for (i = 0; i < n; i++)
		texts[i] = text_copy(look->arena, json_text(json_at(list, i)));
	look->projects = (struct text_list){ texts, n };
	return true;
}

/* The projects as stored, if they are of this generation; else anew. */
static int
find_projects(
    struct look *look, const struct schedule_access *access, struct error *err)
{
	struct json_document *document =
	    json_parse(access->info, DEPTH_MAX, err);
	struct schedule_version version;
	bool fresh =
	    document != NULL && read_stored_projects(look, json_root(document));

	json_destroy(document);
	if (fresh && look->projects.n > 0)
		return 0;
	if (read_version(
		look, access->head.current_version_rid, &version, err) != 0)
		return -1;
	look->creator = version.created_by;
	return fresh ? 0 : compute_projects(look, &version, err);
}

static enum right
right_of_role(struct text role)
{
	if (role.size != 1)
		return RIGHT_NONE;
	if (role.at[0] == 'v')
		return RIGHT_VIEW;
	return role.at[0] == 'e' || role.at[0] == 'o' ? RIGHT_ACT : RIGHT_NONE;
}

/* The least of the user's roles over the projects. */
static int
least_right(
    struct look *look, struct text user, enum right *right, struct error *err)
{
	size_t n = look->projects.n, i;
	struct text *fields = arena_alloc(look->arena, n * sizeof *fields);
	struct text *roles = arena_zalloc(look->arena, n, sizeof *roles);

	for (i = 0; i < n; i++) {
		struct text project = look->projects.at[i];
		char *field =
		    arena_alloc(look->arena, user.size + 1 + project.size);

		memcpy(field, user.at, user.size);
		field[user.size] = '\n';
		memcpy(field + user.size + 1, project.at, project.size);
		fields[i] =
		    (struct text){ field, user.size + 1 + project.size };
	}
	if (look->generation.at == NULL ||
	    get_fields(
		look, generation_key(look, "u"), fields, n, roles, err) != 0)
		return look->generation.at == NULL ? 0 : -1;
	*right = RIGHT_ACT;
	for (i = 0; i < n; i++)
		if (right_of_role(roles[i]) < *right)
			*right = right_of_role(roles[i]);
	return 0;
}

static int
find_right(struct look *look, const struct http_caller *caller,
    struct schedule_access *access, struct error *err)
{
	struct text user = http_caller_user(caller);

	if (user.at == NULL) {
		access->right = RIGHT_ACT;
		return 0;
	}
	if (find_projects(look, access, err) != 0)
		return -1;
	if (look->projects.n > 0)
		return least_right(look, user, &access->right, err);
	access->right =
	    text_equal(user, look->creator) ? RIGHT_ACT : RIGHT_NONE;
	return 0;
}

int
schedule_access_read(struct redis *redis, struct text prefix,
    const struct http_caller *caller, struct text schedule_rid,
    struct arena *arena, struct schedule_access *access, struct error *err)
{
	struct look look = { .redis = redis,
		.prefix = prefix,
		.arena = arena,
		.schedule_rid = schedule_rid };
	struct text head = TEXT_NONE;

	memset(access, 0, sizeof *access);
	if (read_schedule(&look, &head, &access->info, err) != 0)
		return -1;
	if (head.at == NULL && look.generation.at == NULL)
		return error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue: run schedrun init and apply",
		    redis_address(redis));
	if (head.at == NULL)
		return 0;
	access->exists = true;
	if (schedule_head_parse(head, &access->head, err) != 0)
		return -1;
	return find_right(&look, caller, access, err);
}
