#include "worker/plan/graph.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

#define MANY 3000 /* datasets: past several steps of pieces and table */

static const struct text chain[] = { { "dev", 3 }, { "main", 4 } };

/* A graph over an empty world, on branch dev, falling back to main. */
struct scene {
	struct arena *arena;
	struct world *world;
	struct graph graph;
};

static void
begin(struct scene *scene, bool complete)
{
	memset(scene, 0, sizeof *scene);
	scene->arena = arena_create(0);
	scene->world = world_create(complete);
	graph_init(&scene->graph, scene->arena, scene->world, chain, 2);
}

static void
end(struct scene *scene)
{
	world_destroy(scene->world);
	arena_destroy(scene->arena);
}

static struct text
name_of(struct scene *scene, int i)
{
	char name[16];
	int n = snprintf(name, sizeof name, "d%d", i);

	return text_copy(scene->arena, (struct text){ name, (size_t)n });
}

/* A dataset that is known, with a branch of each of these names. */
static struct world_dataset *
know(
    struct scene *scene, const char *rid, const struct text *branches, size_t n)
{
	struct world_dataset *dataset =
	    world_dataset(scene->world, text_from(rid));
	struct branch *list = arena_zalloc(scene->arena, n, sizeof *list);
	size_t i;

	for (i = 0; i < n; i++)
		list[i].name = branches[i];
	dataset->branches = (struct branch_list){ list, n };
	dataset->known = KNOWN_PRESENT;
	return dataset;
}

/* Says who writes the dataset on a branch; NULL: nobody does. */
static struct world_spec *
write_by(struct scene *scene, const char *rid, struct text branch,
    const struct job_spec *spec)
{
	struct world_spec *place = world_spec(
	    scene->world, world_dataset(scene->world, text_from(rid)), branch);

	place->spec = spec;
	place->known = spec != NULL ? KNOWN_PRESENT : KNOWN_ABSENT;
	return place;
}

static void
numbers_in_the_order_met(void)
{
	struct scene scene;
	size_t wrong = 0;
	int i;

	begin(&scene, true);
	for (i = 0; i < MANY; i++) {
		struct text name = name_of(&scene, i);

		wrong += graph_find_dataset(&scene.graph, name) != GRAPH_NONE;
		wrong += graph_add_dataset(&scene.graph, name) != (uint32_t)i;
		wrong += graph_add_dataset(&scene.graph, name) != (uint32_t)i;
	}
	CHECK(scene.graph.datasets.n == MANY);
	for (i = 0; i < MANY; i++) {
		struct text name = name_of(&scene, i);

		wrong += graph_find_dataset(&scene.graph, name) != (uint32_t)i;
		wrong += !text_equal(
		    graph_dataset(&scene.graph, (uint32_t)i)->world->rid, name);
	}
	CHECK(wrong == 0);
	end(&scene);
}

/* Inputs come a few at a time; which is an edge stands in the number. */
static void
marks_inputs(void)
{
	struct spec_input inputs[WORLD_LOOKUPS + 2] = { 0 };
	const struct text outputs[] = { { "out", 3 } };
	struct job_spec spec = { .outputs = outputs,
		.n_outputs = 1,
		.inputs = inputs,
		.n_inputs = WORLD_LOOKUPS + 2 };
	const struct world_spec *damaged = NULL;
	struct graph_job *job;
	struct scene scene;
	uint32_t i, number;

	begin(&scene, true);
	for (i = 0; i < spec.n_inputs; i++)
		inputs[i].rid = name_of(&scene, (int)i);
	inputs[1].branch = chain[0];
	inputs[2].branch = chain[1];
	inputs[3].rid = inputs[0].rid;
	write_by(&scene, "out", chain[0], &spec);
	number = graph_add_dataset(&scene.graph, TEXT("out"));
	REQUIRE(graph_resolves(&scene.graph, number, &damaged));
	job = graph_job(&scene.graph, graph_dataset(&scene.graph, number)->job);
	CHECK(graph_add_inputs(&scene.graph, job, 0) == WORLD_LOOKUPS);
	CHECK(graph_add_inputs(&scene.graph, job, WORLD_LOOKUPS) == 2);
	CHECK((job->inputs[0] & INPUT_ON_BRANCH) != 0);
	CHECK((job->inputs[0] & INPUT_PINNED) == 0);
	CHECK((job->inputs[1] & INPUT_ON_BRANCH) != 0); /* to this branch */
	CHECK((job->inputs[1] & INPUT_PINNED) != 0);
	CHECK((job->inputs[2] & INPUT_ON_BRANCH) == 0); /* to another one */
	CHECK((job->inputs[2] & INPUT_PINNED) != 0);
	CHECK(INPUT_DATASET(job->inputs[3]) == INPUT_DATASET(job->inputs[0]));
	for (i = 0; i < spec.n_inputs; i++)
		CHECK(text_equal(
		    graph_dataset(&scene.graph, INPUT_DATASET(job->inputs[i]))
			->world->rid,
		    inputs[i].rid));
	end(&scene);
}

/* The first of the chain that the dataset has, and where it stands there. */
static void
reads_along_the_chain(void)
{
	static const struct text both[] = { { "dev", 3 }, { "main", 4 } };
	static const struct text other[] = { { "other", 5 } };
	static const struct {
		const char *name;
		const struct text *branches;
		size_t n;
		uint16_t place;
	} rows[] = {
		{ "both", both, 2, 0 },
		{ "the fallback only", both + 1, 1, 1 },
		{ "none of the chain", other, 1, 2 },
		{ "no branch", NULL, 0, 2 },
	};
	struct scene scene;
	size_t i;

	begin(&scene, false);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct graph_dataset *dataset = graph_dataset(&scene.graph,
		    graph_add_dataset(&scene.graph, text_from(rows[i].name)));

		CHECK_ROW(rows[i].name, !graph_knows(&scene.graph, dataset));
		know(&scene, rows[i].name, rows[i].branches, rows[i].n);
		CHECK_ROW(rows[i].name, graph_knows(&scene.graph, dataset));
		CHECK_ROW(rows[i].name, dataset->place == rows[i].place);
		CHECK_ROW(rows[i].name,
		    rows[i].place < 2
			? text_equal(dataset->read->name, chain[rows[i].place])
			: dataset->read == NULL);
		CHECK_ROW(rows[i].name, (dataset->flags & DATASET_KNOWN) != 0);
		CHECK_ROW(
		    rows[i].name, (dataset->flags & DATASET_PRESENT) != 0);
	}
	end(&scene);
}

/* What is damaged or gone is known to be so, and has nothing to read. */
static void
knows_what_cannot_be_read(void)
{
	struct graph_dataset *dataset;
	struct scene scene;

	begin(&scene, false);
	dataset = graph_dataset(
	    &scene.graph, graph_add_dataset(&scene.graph, TEXT("damaged")));
	know(&scene, "damaged", chain, 2)->damaged = true;
	CHECK(graph_knows(&scene.graph, dataset));
	CHECK((dataset->flags & DATASET_KNOWN) == 0);
	CHECK(dataset->read == NULL && dataset->place == 2);
	dataset = graph_dataset(
	    &scene.graph, graph_add_dataset(&scene.graph, TEXT("absent")));
	world_dataset(scene.world, TEXT("absent"))->known = KNOWN_ABSENT;
	CHECK(graph_knows(&scene.graph, dataset));
	CHECK((dataset->flags & DATASET_PRESENT) == 0);
	CHECK(dataset->read == NULL);
	end(&scene);
}

/* All members of the chain that matter become needs at once. */
static void
asks_for_the_whole_chain(void)
{
	const struct text outputs[] = { { "a", 1 } };
	const struct job_spec dev = { .outputs = outputs, .n_outputs = 1 };
	const struct job_spec main_spec = dev;
	const struct world_spec *damaged = NULL;
	struct scene scene;
	uint32_t number;
	size_t n;

	begin(&scene, false);
	number = graph_add_dataset(&scene.graph, TEXT("a"));
	CHECK(!graph_resolves(&scene.graph, number, &damaged));
	world_needs(scene.world, &n);
	CHECK(n == 2);
	/* main's writer is known, but dev's would go before it. */
	write_by(&scene, "a", chain[1], &main_spec);
	CHECK(!graph_resolves(&scene.graph, number, &damaged));
	write_by(&scene, "a", chain[0], &dev);
	CHECK(graph_resolves(&scene.graph, number, &damaged));
	CHECK(damaged == NULL);
	REQUIRE(graph_dataset(&scene.graph, number)->job != GRAPH_NONE);
	CHECK(graph_job(&scene.graph, graph_dataset(&scene.graph, number)->job)
		  ->spec == &dev);
	end(&scene);
}

static void
resolves_to_a_source_or_damage(void)
{
	const struct text outputs[] = { { "damaged", 7 } };
	const struct job_spec spec = { .outputs = outputs, .n_outputs = 1 };
	const struct world_spec *damaged = NULL;
	struct world_spec *place;
	struct scene scene;
	uint32_t number;

	begin(&scene, true);
	number = graph_add_dataset(&scene.graph, TEXT("source"));
	CHECK(graph_resolves(&scene.graph, number, &damaged));
	CHECK(graph_dataset(&scene.graph, number)->job == GRAPH_NONE);
	place = write_by(&scene, "damaged", chain[0], &spec);
	place->damaged = true;
	number = graph_add_dataset(&scene.graph, TEXT("damaged"));
	CHECK(graph_resolves(&scene.graph, number, &damaged));
	CHECK(damaged == place);
	CHECK((graph_dataset(&scene.graph, number)->flags & DATASET_RESOLVED) ==
	    0);
	end(&scene);
}

/* A spec is one job, by whichever of its outputs it is met. */
static void
meets_a_job_once(void)
{
	const struct text outputs[] = { { "a", 1 }, { "b", 1 } };
	const struct job_spec both = { .outputs = outputs, .n_outputs = 2 };
	const struct job_spec other = { .outputs = outputs, .n_outputs = 1 };
	const struct world_spec *damaged = NULL;
	struct scene scene;
	uint32_t a, b;

	begin(&scene, true);
	write_by(&scene, "a", chain[0], &other);
	write_by(&scene, "b", chain[0], &both);
	b = graph_add_dataset(&scene.graph, TEXT("b"));
	CHECK(graph_resolves(&scene.graph, b, &damaged));
	CHECK(graph_resolves(&scene.graph, b, &damaged));
	a = graph_find_dataset(&scene.graph, TEXT("a"));
	REQUIRE(a != GRAPH_NONE); /* the job's other output */
	CHECK(graph_resolves(&scene.graph, a, &damaged));
	CHECK(scene.graph.jobs.n == 2); /* two specs share the key "a" */
	CHECK(graph_job(&scene.graph, graph_dataset(&scene.graph, b)->job)
		  ->outputs[0] == a);
	CHECK(graph_job(&scene.graph, graph_dataset(&scene.graph, b)->job)
		  ->outputs[1] == b);
	CHECK(graph_dataset(&scene.graph, a)->job !=
	    graph_dataset(&scene.graph, b)->job);
	end(&scene);
}

static void
grows_lists(void)
{
	struct scene scene;
	struct list list = { 0 };
	uint32_t i, wrong = 0;

	begin(&scene, true);
	for (i = 0; i < MANY; i++)
		list_push(&scene.graph, &list, 3 * i);
	for (i = 0; i < MANY; i++)
		wrong += list.at[i] != 3 * i;
	CHECK(list.n == MANY && wrong == 0);
	list_reserve(&scene.graph, &list, 2);
	CHECK(list.n == 0 && list.capacity == 2);
	end(&scene);
}

CU_TestInfo plan_graph_tests[] = {
	{ "numbers in the order met", numbers_in_the_order_met },
	{ "marks inputs", marks_inputs },
	{ "reads along the chain", reads_along_the_chain },
	{ "knows what can't be read", knows_what_cannot_be_read },
	{ "asks for the whole chain", asks_for_the_whole_chain },
	{ "resolves to a source or damage", resolves_to_a_source_or_damage },
	{ "meets a job once", meets_a_job_once },
	{ "grows lists", grows_lists },
	CU_TEST_INFO_NULL,
};
