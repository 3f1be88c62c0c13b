#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/cli/command.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define PARTITIONS_DEFAULT 6
#define PARTITIONS_MAX 10000
#define REPLICATION_WANTED 3

enum init_option {
	OPTION_PARTITIONS = 512,
	OPTION_REPLICATION,
	OPTION_SHARDS,
	OPTION_DRY_RUN,
	OPTION_NEW_TOPIC,
	OPTION_CLUSTER,
};

struct init {
	struct command *command;
	int partitions, replication; /* 0: by what is there */
	uint32_t shards;
	bool dry_run, new_topic, new_cluster;
	struct kafka_admin *admin;
	const char *cluster;
};

static const struct argp_option init_options[] = {
	{ "partitions", OPTION_PARTITIONS, "N", 0,
	    "Partitions of each topic (default: 6)", 0 },
	{ "replication", OPTION_REPLICATION, "N", 0,
	    "Replicas of each partition (default: 3, or the brokers)", 0 },
	{ "shards", OPTION_SHARDS, "N", 0,
	    "Hashes that claims are spread over, a power of two: a thirtieth "
	    "of "
	    "the requests in dedup.ttl is best (default: 65536)",
	    0 },
	{ "dry-run", OPTION_DRY_RUN, NULL, 0, "Change nothing", 0 },
	{ "new-topic", OPTION_NEW_TOPIC, NULL, 0,
	    "The request topic was created anew: begin with new claims", 0 },
	{ "cluster", OPTION_CLUSTER, NULL, 0,
	    "This is another Kafka cluster: take it, begin with new claims",
	    0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_init(int key, char *argument, struct argp_state *state)
{
	struct init *init = state->input;
	int64_t shards;

	switch (key) {
	case OPTION_PARTITIONS:
		init->partitions = (int)usage_number(
		    state, "--partitions", argument, 1, PARTITIONS_MAX);
		return 0;
	case OPTION_REPLICATION:
		init->replication =
		    (int)usage_number(state, "--replication", argument, 1, 100);
		return 0;
	case OPTION_SHARDS:
		shards = usage_number(
		    state, "--shards", argument, 1, KEYSPACE_SHARDS_MAX);
		if ((shards & (shards - 1)) != 0)
			usage_error(state, "--shards %s: is not a power of two",
			    argument);
		init->shards = (uint32_t)shards;
		return 0;
	case OPTION_DRY_RUN:
		init->dry_run = true;
		return 0;
	case OPTION_NEW_TOPIC:
		init->new_topic = true;
		return 0;
	case OPTION_CLUSTER:
		init->new_cluster = true;
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* Waits until Kafka says which cluster it is. */
static int
reach_kafka(struct init *init, struct error *err)
{
	const struct kafka_settings settings = {
		.config = command_config(init->command),
	};
	int brokers;

	init->admin = kafka_admin_create(
	    &settings, (int)init->command->options.timeout_ms, err);
	if (init->admin == NULL)
		return -1;
	init->cluster =
	    kafka_admin_cluster_id(init->admin, init->command->arena, err);
	if (init->cluster == NULL)
		return -1;
	if (init->replication > 0)
		return 0;
	brokers = kafka_admin_brokers(init->admin, err);
	if (brokers < 0)
		return -1;
	init->replication =
	    brokers < REPLICATION_WANTED ? brokers : REPLICATION_WANTED;
	return 0;
}

static const struct column columns[] = {
	{ "WHAT", "what" },
	{ "NAME", "name" },
	{ "STATE", "state" },
	{ "NOTE", "note" },
	{ NULL, NULL },
};

/* A line for a person, "WHAT NAME: STATE; NOTE"; with -o json its members. */
static void
report_step(const struct init *init, const char *what, const char *name,
    const char *state, struct text note)
{
	struct command *command = init->command;
	struct table *table = command->table;

	if (table == NULL) {
		buffer_format(&command->out, "%s %s: %s%s%.*s\n", what, name,
		    state, note.size > 0 ? "; " : "", TEXT_ARG(note));
		return;
	}
	table_string(table, what);
	table_string(table, name);
	table_string(table, state);
	table_text(table, note.size > 0 ? note : TEXT_NONE);
}

static void
report_topic(const struct init *init, const struct kafka_topic *topic,
    const struct topic_plan *plan, enum topic which)
{
	const struct kafka_topic_spec *spec = &plan->specs[which];
	struct buffer note = { 0 }, differences = { 0 }, settings = { 0 };

	if (topic->partitions == 0) {
		buffer_format(&note, "%d partitions, %d replicas",
		    spec->partitions, spec->replication);
		report_step(init, "topic", spec->name,
		    init->dry_run ? "would be created" : "created",
		    buffer_text(&note));
	} else {
		topic_differences(plan, which, topic, &differences, &settings);
		if (differences.size > 0)
			buffer_format(&note, "differs: %.*s",
			    TEXT_ARG(buffer_text(&differences)));
		report_step(
		    init, "topic", spec->name, "is there", buffer_text(&note));
	}
	buffer_finish(&note);
	buffer_finish(&differences);
	buffer_finish(&settings);
}

/* What the brokers refuse, such as more replicas than brokers, was asked for.
 */
static int
create_topics(struct init *init, struct kafka_topic_spec *missing, size_t n,
    struct error *err)
{
	int rc = kafka_admin_create_topics(
	    init->admin, missing, n, init->dry_run, err);

	if (rc != 0 && err->kind == ERROR_INPUT)
		err->exit_code = EXIT_WRONG_USAGE;
	return rc;
}

/* Creates what is missing; what is there stays as it is. */
static int
make_topics(struct init *init, struct error *err)
{
	const struct config *config = command_config(init->command);
	struct kafka_topic topics[TOPICS];
	struct kafka_topic_spec missing[TOPICS];
	struct topic_plan plan;
	size_t n = 0;
	int i;

	topics_plan(config,
	    init->partitions > 0 ? init->partitions : PARTITIONS_DEFAULT,
	    init->replication, &plan);
	memset(topics, 0, sizeof topics);
	for (i = 0; i < TOPICS; i++)
		topics[i].name = plan.specs[i].name;
	if (kafka_admin_describe_topics(
		init->admin, topics, TOPICS, true, err) != 0)
		return -1;
	for (i = 0; i < TOPICS; i++) {
		if (init->partitions == 0 && topics[i].partitions > 0)
			plan.specs[i].partitions = topics[i].partitions;
		if (topics[i].partitions == 0)
			missing[n++] = plan.specs[i];
	}
	if (n > 0 && create_topics(init, missing, n, err) != 0)
		return -1;
	for (i = 0; i < TOPICS; i++)
		report_topic(init, &topics[i], &plan, (enum topic)i);
	return 0;
}

static int
register_schemas(struct init *init, struct error *err)
{
	const struct config *config = command_config(init->command);
	struct registry *registry = registry_create(config, err);
	char state[32];
	int i, rc = 0;

	if (registry == NULL)
		return -1;
	for (i = 0; rc == 0 && i < MESSAGES && !init->dry_run; i++) {
		uint32_t id = 0;

		rc = registry_register(registry, (enum message)i,
		    topic_name(config, topic_of_message((enum message)i)), &id,
		    err);
		snprintf(state, sizeof state, "id %u", (unsigned)id);
		if (rc == 0)
			report_step(init, "schema",
			    message_name((enum message)i), state,
			    registry_is_remote(registry) ? TEXT("registered")
							 : TEXT("as shipped"));
	}
	registry_destroy(registry);
	return rc;
}

/* New claims while workers run would let a request be processed twice. */
static int
demand_empty_group(struct init *init, struct error *err)
{
	const char *group =
	    config_text(command_config(init->command), "worker.group");
	struct kafka_group_info info = { 0 };

	if (kafka_admin_group(
		init->admin, group, init->command->arena, &info, err) != 0)
		return -1;
	if (info.n_members == 0)
		return 0;
	return error_fatal(err, EXIT_NO,
	    "group %s has %zu members; stop the workers first", group,
	    info.n_members);
}

static void
fill_names(const struct init *init, struct keyspace_meta *meta)
{
	const struct config *config = command_config(init->command);

	snprintf(meta->cluster, sizeof meta->cluster, "%s", init->cluster);
	snprintf(meta->topic, sizeof meta->topic, "%s",
	    topic_name(config, TOPIC_REQUESTS));
	snprintf(meta->group, sizeof meta->group, "%s",
	    config_text(config, "worker.group"));
}

/* What `meta` must become; *changed if that is not what it is. */
static int
plan_meta(struct init *init, bool is_there, struct keyspace_meta *meta,
    bool *changed, struct error *err)
{
	if (!is_there) {
		*meta = (struct keyspace_meta){
			.format = KEYSPACE_FORMAT,
			.created_ms = clock_wall_ms(),
			.shards = init->shards != 0 ? init->shards
						    : KEYSPACE_SHARDS_DEFAULT,
		};
		fill_names(init, meta);
		*changed = true;
		return 0;
	}
	if (strcmp(meta->cluster, init->cluster) != 0 && !init->new_cluster)
		return error_fatal(err, EXIT_WRONG_USAGE,
		    "this Redis belongs to Kafka cluster %s, not %s; if that "
		    "is meant: schedrun init --cluster",
		    meta->cluster, init->cluster);
	if (init->shards != 0 && init->shards != meta->shards &&
	    !init->new_topic && !init->new_cluster)
		return error_fatal(err, EXIT_WRONG_USAGE,
		    "claims are spread over %u shards; other shards need "
		    "--new-topic or --cluster",
		    (unsigned)meta->shards);
	if (!init->new_topic && !init->new_cluster)
		return 0;
	if (demand_empty_group(init, err) != 0)
		return -1;
	fill_names(init, meta);
	meta->created_ms = clock_wall_ms();
	snprintf(meta->claims, sizeof meta->claims, "%llx",
	    (unsigned long long)meta->created_ms);
	if (init->shards != 0)
		meta->shards = init->shards;
	*changed = true;
	return 0;
}

static int
prepare_redis(struct init *init, struct error *err)
{
	struct command *command = init->command;
	struct keyspace_meta meta;
	bool changed = false;
	int64_t evicted;
	int is_there;

	if (command_open(command, COMMAND_STORE | COMMAND_UNPREPARED, err) !=
		0 ||
	    keyspace_check_eviction(command->redis, &evicted, err) != 0)
		return -1;
	is_there =
	    keyspace_meta_read(command->redis, command->keyspace, &meta, err);
	if (is_there < 0 ||
	    plan_meta(init, is_there == 1, &meta, &changed, err) != 0)
		return -1;
	if (changed && !init->dry_run &&
	    keyspace_meta_write(
		command->redis, command->keyspace, &meta, err) != 0)
		return -1;
	report_step(init, "redis", redis_address(command->redis),
	    !changed            ? "is prepared"
		: init->dry_run ? "would be prepared"
				: "prepared",
	    TEXT_NONE);
	return 0;
}

int
cmd_init(struct command *command, int argc, char **argv)
{
	static const struct {
		int (*take)(struct init *, struct error *);
		const char *what;
	} steps[] = {
		{ reach_kafka, "waiting for Kafka" },
		{ make_topics, "making the topics" },
		{ register_schemas, "registering the schemas" },
		{ prepare_redis, "preparing Redis" },
	};
	struct init init = { .command = command };
	struct error err = { 0 };
	int rc = 0, code = EXIT_DONE;
	size_t i;

	command_parse(command, argc, argv, init_options, take_init, &init);
	command_config(command);
	if (command_wants_json(command))
		command_table(command, columns);
	for (i = 0; rc == 0 && i < sizeof steps / sizeof steps[0]; i++) {
		command_wait(command, steps[i].what);
		rc = steps[i].take(&init, &err);
		/* What was done is told, also of a step that failed. */
		if (command->table == NULL)
			code = command_print(command);
	}
	if (command->table != NULL)
		code = command_print_table(command);
	kafka_admin_destroy(init.admin);
	return rc == 0 ? code : command_fail(command, &err);
}
