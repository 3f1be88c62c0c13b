/* Each of our documents and stored values: its kind, then its bytes. */
#include <string.h>

#include "schemas/message/request_document.h"
#include "schemas/stored/canonical.h"
#include "schemas/stored/catalogue.h"
#include "schemas/stored/schedule.h"
#include "tests/fuzz/fuzz.h"

struct input {
	struct text bytes;
	struct arena *arena;
	struct error err;
};

/* Faults, if there are any, are lines that can be printed. */
static void
judge(const struct reader *reader)
{
	size_t i;

	for (i = 0; i < reader->n_faults && i < FAULTS_KEPT_MAX; i++) {
		assert(reader->faults[i].size > 1);
		assert(reader->faults[i].at[0] == '$');
		assert(memchr(reader->faults[i].at, '\n',
			   reader->faults[i].size) == NULL);
	}
}

static void
read_world(struct input *input)
{
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(input->arena);
	struct world *world = world_create(true);
	struct json_document *document =
	    json_parse(input->bytes, DOCUMENT_DEPTH_MAX, &input->err);

	if (document != NULL)
		world_read(reader, &root, json_root(document), false, world);
	judge(reader);
	json_destroy(document);
	world_destroy(world);
}

static bool
are_equal(const struct text_list *left, const struct text_list *right)
{
	size_t i;

	for (i = 0; i < left->n && i < right->n; i++)
		if (!text_equal(left->at[i], right->at[i]))
			return false;
	return left->n == right->n;
}

/* What the quick reader takes the full one has to read as the same. */
static void
read_version(struct input *input)
{
	const struct text rid = TEXT("ri.scheduler.main.schedule-version.1");
	struct schedule_version full, quick;
	int rc = schedule_version_parse(
	    input->bytes, rid, input->arena, &full, &input->err);

	if (!canonical_version(input->bytes, rid, input->arena, &quick))
		return;
	assert(rc == 0);
	assert(text_equal(full.created_by, quick.created_by));
	assert(text_equal(full.created_time, quick.created_time));
	assert(text_equal(full.schedule_rid, quick.schedule_rid));
	assert(text_equal(full.branch_name, quick.branch_name));
	assert(full.scope == quick.scope);
	assert(full.target_type == quick.target_type);
	assert(full.n_named == quick.n_named);
	assert(full.retry_count == quick.retry_count);
	assert(full.retry_backoff.value == quick.retry_backoff.value);
	assert(full.force_build == quick.force_build);
	assert(are_equal(&full.project_rids, &quick.project_rids));
	assert(are_equal(&full.target_rids, &quick.target_rids));
	assert(are_equal(&full.input_rids, &quick.input_rids));
	assert(are_equal(&full.ignored_rids, &quick.ignored_rids));
	assert(are_equal(&full.fallback_branches, &quick.fallback_branches));
}

static void
read_request(struct input *input)
{
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(input->arena);
	struct json_document *document =
	    json_parse(input->bytes, DOCUMENT_DEPTH_MAX, &input->err);
	struct run_request request;
	struct text created;

	if (document != NULL)
		request_document_read(
		    reader, &root, json_root(document), &request, &created);
	judge(reader);
	json_destroy(document);
}

/* What was read and written again reads as the same. */
static void
read_branches(struct input *input)
{
	struct branch_list branches, again;
	struct buffer out = { 0 }, more = { 0 };
	bool is_quick = canonical_branches(input->bytes, input->arena, &again);
	int rc;

	if (is_quick)
		branches_write(&again, &more);
	if (branches_parse(
		input->bytes, input->arena, &branches, &input->err) == 0) {
		branches_write(&branches, &out);
		assert(!is_quick ||
		    text_equal(buffer_text(&out), buffer_text(&more)));
		buffer_reset(&more);
		rc = branches_parse(
		    buffer_text(&out), input->arena, &again, &input->err);
		assert(rc == 0);
		branches_write(&again, &more);
		assert(text_equal(buffer_text(&out), buffer_text(&more)));
	} else {
		assert(!is_quick);
	}
	buffer_finish(&out);
	buffer_finish(&more);
}

static void
read_spec(struct input *input)
{
	struct job_spec spec, again;
	struct buffer out = { 0 }, more = { 0 };
	bool is_quick = canonical_job_spec(input->bytes, input->arena, &again);
	int rc;

	if (is_quick)
		job_spec_write(&again, &more);
	if (job_spec_parse(input->bytes, input->arena, &spec, &input->err) ==
	    0) {
		job_spec_write(&spec, &out);
		assert(!is_quick ||
		    text_equal(buffer_text(&out), buffer_text(&more)));
		buffer_reset(&more);
		rc = job_spec_parse(
		    buffer_text(&out), input->arena, &again, &input->err);
		assert(rc == 0);
		job_spec_write(&again, &more);
		assert(text_equal(buffer_text(&out), buffer_text(&more)));
	} else {
		assert(!is_quick);
	}
	buffer_finish(&out);
	buffer_finish(&more);
}

static void
read_small(struct input *input)
{
	struct schedule_head head;
	struct text project;
	enum role role;
	bool trashed;

	if (dataset_parse(input->bytes, &trashed, &project, &input->err) == 0)
		assert(project.size > 0);
	if (role_parse(input->bytes, &role, &input->err) == 0)
		assert(role >= ROLE_VIEWER && role <= ROLE_OWNER);
	if (schedule_head_parse(input->bytes, &head, &input->err) == 0)
		assert(head.current_version_rid.size > 0);
}

static const struct {
	char kind;
	void (*read)(struct input *input);
} kinds[] = {
	{ 'w', read_world },
	{ 'v', read_version },
	{ 'r', read_request },
	{ 'b', read_branches },
	{ 'j', read_spec },
	{ 's', read_small },
};

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { .bytes = { (const char *)bytes, size } };
	struct text kind = fuzz_take(&input.bytes, 1);
	size_t i;

	input.arena = arena_create(0);
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kind.size == 1 && kind.at[0] == kinds[i].kind)
			kinds[i].read(&input);
	arena_destroy(input.arena);
	return 0;
}
