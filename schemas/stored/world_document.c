#include "schemas/stored/catalogue.h"

/* Reads every member of an object by `read`, each at its own place. */
static void
read_members(struct reader *reader, const struct place *place,
    const struct json *node, struct world *world,
    void (*read)(struct reader *, const struct place *, struct json_member,
	struct world *))
{
	struct json_member member = { 0 };

	if (!read_is(reader, place, node, JSON_TYPE_OBJECT))
		return;
	while (json_next(node, &member)) {
		struct place at = place_member(place, member.name);

		read(reader, &at, member, world);
	}
}

static void
read_project(struct reader *reader, const struct place *place,
    struct json_member member, struct world *world)
{
	static const char *const known[] = { "references", NULL };
	struct text project = read_rid_key(reader, place, member.name);
	struct text_list references;
	size_t i;

	if (!read_object(reader, place, member.value, known))
		return;
	read_rid_set(reader, place, member.value, "references", &references);
	for (i = 0; i < references.n; i++)
		world_put_reference(world, project, references.at[i], true);
}

static void
read_roles(struct reader *reader, const struct place *user_place,
    const struct json *node, struct text user, struct world *world)
{
	struct place place = place_member(user_place, TEXT("roles"));
	struct json_member member = { 0 };

	if (!read_is(reader, &place, node, JSON_TYPE_OBJECT))
		return;
	while (json_next(node, &member)) {
		struct place at = place_member(&place, member.name);
		struct text project = read_rid_key(reader, &at, member.name);
		char name[DOCUMENT_TEXT_MAX + 1];
		int role;

		if (member.name.size >= sizeof name)
			continue; /* read_rid_key has said so */
		/* A member's name is NUL-terminated by the document. */
		role = read_choice(
		    reader, &place, node, member.name.at, role_names, 0);
		world_put_role(
		    world, user, project, (enum role)(ROLE_VIEWER + role));
	}
}

static void
read_user(struct reader *reader, const struct place *place,
    struct json_member member, struct world *world)
{
	static const char *const known[] = { "active", "roles", NULL };
	struct text name =
	    read_key(reader, place, member.name, DOCUMENT_TEXT_MAX);
	struct world_user *user = world_user(world, name);
	const struct json *roles;

	if (!read_object(reader, place, member.value, known))
		return;
	user->known = KNOWN_PRESENT;
	user->active = read_bool(reader, place, member.value, "active", true);
	roles = json_get(member.value, "roles");
	if (roles != NULL)
		read_roles(reader, place, roles, name, world);
}

static void
read_dataset(struct reader *reader, const struct place *place,
    struct json_member member, struct world *world)
{
	static const char *const known[] = { "*project", "trashed", "branches",
		NULL };
	struct world_dataset *dataset =
	    world_dataset(world, read_rid_key(reader, place, member.name));
	struct place branches_place = place_member(place, TEXT("branches"));
	const struct json *branches;

	if (!read_object(reader, place, member.value, known))
		return;
	dataset->known = KNOWN_PRESENT;
	dataset->project = read_rid(reader, place, member.value, "project");
	dataset->trashed =
	    read_bool(reader, place, member.value, "trashed", false);
	branches = json_get(member.value, "branches");
	if (branches != NULL)
		branches_read(
		    reader, &branches_place, branches, &dataset->branches);
}

/* Makes the spec known as the writer of each of its outputs. */
static void
put_spec(struct reader *reader, const struct place *place,
    const struct job_spec *spec, struct world *world)
{
	size_t i;

	if (spec->branch.at == NULL)
		return; /* a fault already */
	for (i = 0; i < spec->n_outputs; i++) {
		struct world_spec *writer;

		if (spec->outputs[i].at == NULL)
			continue;
		writer = world_spec(world,
		    world_dataset(world, spec->outputs[i]), spec->branch);
		if (writer->spec != NULL)
			reader_fault(reader, place,
			    "output %.*s has another job spec on branch %.*s",
			    TEXT_ARG(spec->outputs[i]), TEXT_ARG(spec->branch));
		writer->known = KNOWN_PRESENT;
		writer->spec = spec;
	}
}

static void
read_job_specs(struct reader *reader, const struct place *world_place,
    const struct json *node, struct world *world)
{
	struct place place = place_member(world_place, TEXT("jobSpecs"));
	struct job_spec *specs;
	size_t n, i;

	if (!read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return;
	n = json_size(node);
	specs = arena_zalloc(reader->arena, n, sizeof *specs);
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);

		job_spec_read(reader, &at, json_at(node, i), &specs[i]);
		put_spec(reader, &at, &specs[i], world);
	}
}

static const struct part {
	const char *name;
	void (*read)(struct reader *, const struct place *, struct json_member,
	    struct world *);
} parts[] = {
	{ "projects", read_project },
	{ "users", read_user },
	{ "datasets", read_dataset },
};

void
world_read(struct reader *reader, const struct place *place,
    const struct json *node, bool with_schedules, struct world *world)
{
	static const char *const world_keys[] = { "projects", "users",
		"datasets", "jobSpecs", "limits", NULL };
	static const char *const catalogue_keys[] = { "projects", "users",
		"datasets", "jobSpecs", "limits", "schedules", NULL };
	struct place limits_place = place_member(place, TEXT("limits"));
	struct world_limits limits = limits_default();
	const struct json *member;
	size_t i;

	if (!read_object(reader, place, node,
		with_schedules ? catalogue_keys : world_keys))
		return;
	for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		struct place at = place_member(place, text_from(parts[i].name));

		member = json_get(node, parts[i].name);
		if (member != NULL)
			read_members(reader, &at, member, world, parts[i].read);
	}
	member = json_get(node, "jobSpecs");
	if (member != NULL)
		read_job_specs(reader, place, member, world);
	member = json_get(node, "limits");
	if (member != NULL)
		limits_read(reader, &limits_place, member, &limits);
	world_set_limits(world, limits);
}
