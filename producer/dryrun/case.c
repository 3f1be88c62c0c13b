#include "producer/dryrun/case.h"

#include "common/json/write.h"
#include "schemas/message/request_document.h"
#include "schemas/stored/catalogue.h"
#include "schemas/stored/document.h"

#define MEMORY_KEPT (16 * 1024 * 1024) /* from one line to the next */

void
plan_case_init(struct plan_case *plan_case)
{
	*plan_case = (struct plan_case){ 0 };
	plan_case->arena = arena_create(0);
	plan_case->world = world_create(true);
}

void
plan_case_finish(struct plan_case *plan_case)
{
	world_destroy(plan_case->world);
	arena_destroy(plan_case->arena);
}

static void
read_version(struct plan_case *plan_case, struct reader *reader,
    const struct place *root, const struct json *version)
{
	struct place place = place_member(root, TEXT("version"));

	plan_case->head = (struct schedule_head){ 0 };
	plan_case->has_version = json_type_of(version) != JSON_TYPE_NULL;
	if (plan_case->has_version)
		schedule_version_read(reader, &place, version,
		    &plan_case->version, &plan_case->head);
}

int
plan_case_run(struct plan_case *plan_case, const struct json *world,
    const struct json *version, const struct json *request, struct error *err)
{
	struct place root = { 0 }, place;
	struct plan_input input = { .request = &plan_case->request };
	struct reader *reader;
	struct plan *plan;

	world_reset(plan_case->world);
	arena_reset(plan_case->arena, MEMORY_KEPT);
	reader = reader_create(plan_case->arena);
	place = place_member(&root, TEXT("world"));
	world_read(reader, &place, world, false, plan_case->world);
	read_version(plan_case, reader, &root, version);
	place = place_member(&root, TEXT("request"));
	request_document_read(reader, &place, request, &plan_case->request,
	    &plan_case->created_time);
	if (reader_result(reader, err) != 0)
		return -1;
	if (plan_case->has_version)
		input.version = &plan_case->version;
	input.paused = plan_case->head.paused;
	input.deleted = plan_case->head.deleted;
	plan = plan_start(plan_case->arena, plan_case->world, &input);
	while (plan_step(plan) != PLAN_DONE)
		; /* a complete world leaves nothing to ask for */
	plan_case->outcome = plan_outcome(plan);
	return 0;
}

static int
run_line(
    struct plan_case *plan_case, const struct json *line, struct error *err)
{
	static const char *const members[] = { "*request", "*version", "*world",
		NULL };
	struct place root = { 0 };
	struct reader *reader;

	arena_reset(plan_case->arena, MEMORY_KEPT);
	reader = reader_create(plan_case->arena);
	read_object(reader, &root, line, members);
	if (reader_result(reader, err) != 0)
		return -1;
	return plan_case_run(plan_case, json_get(line, "world"),
	    json_get(line, "version"), json_get(line, "request"), err);
}

void
plan_case_answer(
    struct plan_case *plan_case, struct text line, struct buffer *out)
{
	struct error err = { 0 };
	struct json_document *document =
	    json_parse(line, DOCUMENT_DEPTH_MAX, &err);

	if (document == NULL ||
	    run_line(plan_case, json_root(document), &err) != 0) {
		json_open(out, '{');
		json_member_string(out, "invalid", err.message);
		json_close(out, '}');
	} else {
		outcome_write_json(
		    plan_case->outcome, plan_case->created_time, out);
	}
	buffer_byte(out, '\n');
	json_destroy(document);
}
