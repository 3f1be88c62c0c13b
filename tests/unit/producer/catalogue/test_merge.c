#include "producer/catalogue/merge.h"

#include <string.h>

#include "schemas/stored/document.h"
#include "tests/unit/check.h"

/*
 * A file laid over what is stored, which is given to the merge as if it had
 * been read: only generation 0 reads nothing, so Redis isn't asked.
 */
#define D "ri.foundry.main.dataset."
#define SPEC(rid, outputs)                                                     \
	"{\"branch\":\"master\",\"inputs\":[],\"logic\":\"v\",\"outputs\":"    \
	"[" outputs "],\"rid\":\"ri.foundry.main.jobspec." rid "\"}"
#define P "ri.compass.main.folder."
#define U "9b2f1c34-5a6d-4e7f-8a9b-0c1d2e3f4a5b"
#define DATASET "{\"project\":\"" P "p\"}"

struct bench {
	struct arena *arena;
	struct reader *reader;
	struct json_document *document;
	struct catalogue_file file;
	struct merge merge;
	struct buffer notes;
};

static void
begin(struct bench *bench, const char *json, bool prune)
{
	struct error err = { 0 };
	struct json_document *document =
	    json_parse(text_from(json), DOCUMENT_DEPTH_MAX, &err);
	struct merge_settings settings = {
		.prune = prune, .missing = true, .notes = &bench->notes
	};

	bench->notes = (struct buffer){ 0 };
	bench->document = document;
	bench->arena = arena_create(0);
	bench->reader = reader_create(bench->arena);
	settings.reader = bench->reader;
	CHECK(document != NULL);
	catalogue_file_read(bench->reader, json_root(document), &bench->file);
	CHECK(bench->reader->n_faults == 0);
	merge_init(&bench->merge, &settings, 0);
}

static void
store(struct bench *bench, enum catalogue_hash hash, const char *name,
    const char *value)
{
	fields_put(
	    bench->merge.stored[hash], text_from(name), text_from(value));
}

static int
run(struct bench *bench)
{
	struct error err = { 0 };

	return merge_world(&bench->merge, &bench->file, &err);
}

static bool
holds(struct bench *bench, enum catalogue_hash hash, const char *name)
{
	return fields_get(bench->merge.merged[hash], text_from(name)).at !=
	    NULL;
}

static void
end(struct bench *bench)
{
	merge_finish(&bench->merge);
	buffer_finish(&bench->notes);
	catalogue_file_finish(&bench->file);
	json_destroy(bench->document);
	arena_destroy(bench->arena);
}

static void
keeps_what_the_file_does_not_name(void)
{
	struct bench bench;
	struct apply_count counts[APPLY_COUNTS];
	int prune;

	for (prune = 0; prune < 2; prune++) {
		begin(&bench,
		    "{\"datasets\":{\"" D "new\":" DATASET ",\"" D
		    "same\":" DATASET "}}",
		    prune == 1);
		fields_put(bench.merge.stored[HASH_DATASETS], TEXT(D "same"),
		    fields_get(bench.file.datasets, TEXT(D "same")));
		store(&bench, HASH_DATASETS, D "old", DATASET);
		store(&bench, HASH_LIMITS, "x", "1");
		CHECK(run(&bench) == 0);
		CHECK(holds(&bench, HASH_DATASETS, D "new"));
		CHECK(holds(&bench, HASH_DATASETS, D "old") == (prune == 0));
		/* A section that the file hasn't is left alone either way. */
		CHECK(holds(&bench, HASH_LIMITS, "x"));
		CHECK(bench.merge.world_changed);
		merge_count(&bench.merge, counts);
		CHECK(counts[HASH_DATASETS].added == 1);
		CHECK(counts[HASH_DATASETS].same == 2 - (size_t)prune);
		CHECK(counts[HASH_DATASETS].changed == 0);
		CHECK(counts[HASH_DATASETS].removed == (size_t)prune);
		end(&bench);
	}
}

/* A user of the file has the file's roles and no other. */
static void
replaces_an_owner_with_all_that_is_theirs(void)
{
	struct buffer mine = { 0 }, other = { 0 };
	struct bench bench;

	begin(&bench,
	    "{\"users\":{\"" U "\":{\"roles\":{\"" P "a\":\"viewer\"}}}}",
	    false);
	keyspace_field(TEXT(U), TEXT(P "b"), &mine);
	buffer_byte(&mine, '\0');
	keyspace_field(
	    TEXT("00000000-0000-4000-8000-000000000000"), TEXT(P "b"), &other);
	buffer_byte(&other, '\0');
	store(&bench, HASH_USERS, mine.at, "owner");
	store(&bench, HASH_USERS, other.at, "owner");
	CHECK(run(&bench) == 0);
	CHECK(!holds(&bench, HASH_USERS, mine.at));
	CHECK(holds(&bench, HASH_USERS, other.at));
	buffer_finish(&mine);
	buffer_finish(&other);
	end(&bench);
}

static const char *
output_field(struct buffer *name, const char *dataset)
{
	buffer_reset(name);
	keyspace_field(text_from(dataset), TEXT("master"), name);
	buffer_byte(name, '\0');
	return name->at;
}

/* The same spec with fewer outputs gives the others free. */
static void
moves_a_spec_that_comes_again(void)
{
	struct buffer name = { 0 };
	struct bench bench;

	begin(&bench, "{\"jobSpecs\":[" SPEC("s", "\"" D "b\"") "]}", false);
	store(&bench, HASH_JOB_SPECS, output_field(&name, D "a"),
	    SPEC("s", "\"" D "a\",\"" D "b\""));
	store(&bench, HASH_JOB_SPECS, output_field(&name, D "b"), "=" D "a");
	store(&bench, HASH_JOB_SPECS, output_field(&name, D "z"), "=" D "y");
	CHECK(run(&bench) == 0);
	CHECK(bench.reader->n_faults == 0);
	CHECK(!holds(&bench, HASH_JOB_SPECS, output_field(&name, D "a")));
	CHECK(holds(&bench, HASH_JOB_SPECS, output_field(&name, D "b")));
	/* A pointer to nothing claims nothing. */
	CHECK(!holds(&bench, HASH_JOB_SPECS, output_field(&name, D "z")));
	buffer_finish(&name);
	end(&bench);
}

static void
refuses_two_specs_of_one_output(void)
{
	struct buffer name = { 0 };
	struct bench bench;
	int prune;

	for (prune = 0; prune < 2; prune++) {
		begin(&bench, "{\"jobSpecs\":[" SPEC("new", "\"" D "a\"") "]}",
		    prune == 1);
		store(&bench, HASH_JOB_SPECS, output_field(&name, D "a"),
		    SPEC("old", "\"" D "a\""));
		CHECK(run(&bench) == 0);
		CHECK(bench.reader->n_faults == (prune == 0));
		end(&bench);
	}
	buffer_finish(&name);
}

/* An empty file of World keys makes a catalogue; one of schedules doesn't. */
static void
knows_what_makes_a_catalogue(void)
{
	static const struct {
		const char *json;
		bool changed;
	} rows[] = {
		{ "{}", false },
		{ "{\"schedules\":[]}", false },
		{ "{\"datasets\":{}}", true },
		{ "{\"limits\":{}}", true },
	};
	struct bench bench;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(&bench, rows[i].json, false);
		CHECK(run(&bench) == 0);
		CHECK_ROW(
		    rows[i].json, bench.merge.world_changed == rows[i].changed);
		end(&bench);
	}
}

/* By file and store together, but what is stored just so is let be. */
static void
settles_what_a_file_left_in_doubt(void)
{
	static const struct {
		const char *name, *project, *dataset, *spec;
		size_t faults;
	} rows[] = {
		{ "nowhere", P "q", "other", NULL, 2 },
		{ "the store has it", P "p", "a", NULL, 0 },
		{ "nobody knows of projects", NULL, "a", NULL, 0 },
		{ "the store has the spec", P "p", "other",
		    SPEC("s", "\"" D "a\""), 0 },
	};
	struct buffer name = { 0 };
	struct bench bench;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(&bench,
		    "{\"datasets\":{\"" D "x\":" DATASET "},"
		    "\"jobSpecs\":[" SPEC("s", "\"" D "a\"") "]}",
		    false);
		bench.merge.settings.missing = false;
		buffer_reset(&name);
		buffer_format(&name, "%s%s%c", D, rows[i].dataset, 0);
		store(&bench, HASH_DATASETS, name.at, P "q");
		if (rows[i].project != NULL)
			store(&bench, HASH_PROJECTS, rows[i].project, "");
		if (rows[i].spec != NULL)
			store(&bench, HASH_JOB_SPECS,
			    output_field(&name, D "a"), rows[i].spec);
		CHECK(run(&bench) == 0);
		CHECK_ROW(
		    rows[i].name, bench.reader->n_faults == rows[i].faults);
		end(&bench);
	}
	buffer_finish(&name);
}

CU_TestInfo catalogue_merge_tests[] = {
	{ "settles what a file left in doubt",
	    settles_what_a_file_left_in_doubt },
	{ "keeps what the file does not name",
	    keeps_what_the_file_does_not_name },
	{ "replaces an owner with all that is theirs",
	    replaces_an_owner_with_all_that_is_theirs },
	{ "moves a spec that comes again", moves_a_spec_that_comes_again },
	{ "refuses two specs of one output", refuses_two_specs_of_one_output },
	{ "knows what makes a catalogue", knows_what_makes_a_catalogue },
	CU_TEST_INFO_NULL,
};
