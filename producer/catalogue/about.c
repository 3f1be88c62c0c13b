#include "producer/catalogue/about.h"

#include "common/json/write.h"
#include "schemas/stored/catalogue.h"
#include "schemas/stored/document.h"

static struct text
read_prose(struct reader *reader, const struct json *object, const char *name)
{
	const struct json *node = json_get(object, name);

	if (node == NULL || json_type_of(node) != JSON_TYPE_STRING)
		return TEXT_NONE;
	return text_copy(reader->arena, json_text(node));
}

static int64_t
read_generation(
    struct reader *reader, const struct place *root, const struct json *object)
{
	struct place place = place_member(root, TEXT("projectsAt"));
	const struct json *node = json_get(object, "projectsAt");

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_INTEGER))
		return 0;
	return json_int(node);
}

int
schedule_about_parse(struct text stored, struct arena *arena,
    struct schedule_about *about, struct error *err)
{
	static const char *const known[] = { "*createdBy", "*createdTime",
		"*updatedBy", "*updatedTime", "*projects", "*projectsAt",
		"displayName", "description", NULL };
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(arena);
	struct json_document *document =
	    json_parse(stored, DOCUMENT_DEPTH_MAX, err);
	const struct json *node;

	if (document == NULL)
		return -1;
	node = json_root(document);
	*about = (struct schedule_about){ 0 };
	if (read_object(reader, &root, node, known)) {
		about->created_by = read_text(reader, &root, node, "createdBy");
		about->created_time =
		    read_text(reader, &root, node, "createdTime");
		about->updated_by = read_text(reader, &root, node, "updatedBy");
		about->updated_time =
		    read_text(reader, &root, node, "updatedTime");
		about->display_name = read_prose(reader, node, "displayName");
		about->description = read_prose(reader, node, "description");
		read_rid_set(reader, &root, node, "projects", &about->projects);
		about->projects_at = read_generation(reader, &root, node);
	}
	json_destroy(document);
	return reader_result(reader, err);
}

void
schedule_about_write(const struct schedule_about *about, struct buffer *out)
{
	size_t i;

	json_open(out, '{');
	json_member_known(out, "createdBy", about->created_by);
	json_member_known(out, "createdTime", about->created_time);
	json_member_known(out, "description", about->description);
	json_member_known(out, "displayName", about->display_name);
	json_member_open(out, "projects", '[');
	for (i = 0; i < about->projects.n; i++)
		json_put_text(out, about->projects.at[i]);
	json_close(out, ']');
	json_member_integer(out, "projectsAt", about->projects_at);
	json_member_known(out, "updatedBy", about->updated_by);
	json_member_known(out, "updatedTime", about->updated_time);
	json_close(out, '}');
}

struct text_list
schedule_projects(struct fields *datasets,
    const struct schedule_version *version, struct arena *arena)
{
	size_t max = version->target_rids.n + version->project_rids.n, n = 0, i;
	struct text *projects = arena_zalloc(arena, max + 1, sizeof *projects);

	for (i = 0; i < version->project_rids.n; i++)
		projects[n++] = version->project_rids.at[i];
	for (i = 0; i < version->target_rids.n; i++) {
		struct text dataset =
		    fields_get(datasets, version->target_rids.at[i]);
		bool trashed;

		if (dataset.at != NULL &&
		    dataset_parse(dataset, &trashed, &projects[n], NULL) == 0)
			n++;
	}
	return (struct text_list){ projects, text_sort_unique(projects, n) };
}
