/* JSON that a person or a client sends: 'c' and a catalogue, 's' and a
 * schedule. */
#include <stdlib.h>

#include "producer/api/draft.h"
#include "producer/catalogue/file_schedules.h"
#include "schemas/stored/schedule.h"
#include "tests/fuzz/fuzz.h"

static void
read_catalogue(const struct json *root, struct arena *arena)
{
	struct reader *reader = reader_create(arena);
	struct catalogue_file file = { 0 };
	struct file_schedules one = { .n = 1 };
	struct schedule_version version;
	size_t i, k;

	catalogue_file_read(reader, root, &file);
	for (i = 0; reader->n_faults == 0 && i < file.n_schedules; i++) {
		one.from = i;
		if (file_schedules_read(&file, &one, arena, NULL) != 0)
			abort(); /* they were without fault */
		for (k = 0; k < one.at->n_versions; k++)
			file_version_read(
			    &one.at->versions[k], arena, &version);
	}
	catalogue_file_finish(&file);
}

/* A draft that is taken is a version that the worker can read. */
static void
read_draft(const struct json *root, struct arena *arena)
{
	const struct draft_ids ids = {
		.schedule_rid = TEXT("ri.scheduler.main.schedule.1"),
		.version_rid = TEXT("ri.scheduler.main.schedule-version.1"),
		.created_by = TEXT("f05f8da4-b84c-4fca-9c77-8af0b13d11de"),
		.created_time = TEXT("2026-01-01T00:00:00.000Z"),
	};
	struct draft_refusal refusal = { 0 };
	struct schedule_draft draft = { 0 };
	struct schedule_version version;
	struct error err = { 0 };
	int rc;

	if (schedule_draft_read(root, &ids, arena, &draft, &refusal) != 0)
		return;
	rc = schedule_version_parse(
	    draft.json, ids.version_rid, arena, &version, &err);
	assert(rc == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text text = { (const char *)bytes, size };
	struct text kind = fuzz_take(&text, 1);
	struct error err = { 0 };
	struct json_document *document =
	    json_parse(text, DOCUMENT_DEPTH_MAX, &err);
	struct arena *arena = arena_create(0);

	if (document != NULL && kind.at[0] == 'c')
		read_catalogue(json_root(document), arena);
	if (document != NULL && kind.at[0] == 's')
		read_draft(json_root(document), arena);
	json_destroy(document);
	arena_destroy(arena);
	return 0;
}
