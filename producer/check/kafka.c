#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/check/list.h"
#include "producer/letters/letters.h"
#include "producer/runs/lag.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define REPLICATION_WANTED 3
#define OPEN_TRANSACTIONS "open transactions"
#define WAITING_MS 5000 /* longer is said: something may hang */

/* The lines that mend what a topic lacks; the first can be pasted as it is. */
static void
fault_of_topic(struct check_list *list, const struct kafka_topic *topic,
    struct text differences, struct text settings)
{
	const char *servers =
	    config_kafka(command_config(list->command), "bootstrap.servers");
	struct buffer what = { 0 }, detail = { 0 }, mend = { 0 };

	buffer_format(&what, "topic %s", topic->name);
	buffer_append(&detail, differences);
	if (settings.size > 0)
		buffer_format(&mend,
		    "kafka-configs.sh --bootstrap-server %s --alter "
		    "--entity-type topics --entity-name %s --add-config %.*s",
		    servers != NULL ? servers : "HOST:PORT", topic->name,
		    TEXT_ARG(settings));
	else
		buffer_format(&mend, "kafka-reassign-partitions.sh");
	buffer_byte(&what, '\0');
	buffer_byte(&detail, '\0');
	buffer_byte(&mend, '\0');
	check_fault(list, what.at, detail.at, mend.at);
	buffer_finish(&what);
	buffer_finish(&detail);
	buffer_finish(&mend);
}

static void
check_topic(struct check_list *list, const struct kafka_topic *topic,
    const struct topic_plan *plan, enum topic which)
{
	struct buffer out = { 0 }, settings = { 0 };
	char what[300];

	snprintf(what, sizeof what, "topic %s", topic->name);
	if (topic->partitions == 0) {
		check_fault(list, what, "does not exist", "schedrun init");
		return;
	}
	topic_differences(plan, which, topic, &out, &settings);
	if (out.size > 0) {
		fault_of_topic(
		    list, topic, buffer_text(&out), buffer_text(&settings));
	} else if (topic->configs_known) {
		buffer_format(&out, "%d partitions, %d replicas, %s",
		    (int)topic->partitions, topic->replication,
		    topic->cleanup_policy);
		buffer_byte(&out, '\0');
		check_fine(list, what, out.at);
	}
	if (!topic->configs_known)
		check_note(list, what,
		    "its settings are not shown to this user",
		    check_acl(list, "DescribeConfigs", "topic", topic->name));
	buffer_finish(&out);
	buffer_finish(&settings);
}

/* What no setting mends: a lone broker has the only copy. */
static void
check_copies(struct check_list *list, int brokers)
{
	if (brokers == 1)
		check_note(list, "replicas",
		    "one broker, one copy of each record: a lost disk loses "
		    "requests",
		    "three brokers, and kafka-reassign-partitions.sh");
}

/*
 * The oldest records that wait: those of open transactions, which hold what is
 * behind them, or those that the group could read.
 */
static int
find_waiting(struct check_list *list, struct kafka_admin *admin,
    const struct kafka_search *search, struct kafka_first *firsts, size_t n)
{
	const char *group =
	    config_text(command_config(list->command), "worker.group");
	struct kafka_log *logs =
	    arena_zalloc(list->command->arena, n + 1, sizeof *logs);
	int64_t *at = arena_zalloc(list->command->arena, n + 1, sizeof *at);
	struct error err = { 0 };
	size_t n_firsts = 0, i;
	const char *acl;

	acl = check_acl(list, "Describe", "group", group);
	if (!search->uncommitted &&
	    kafka_admin_group_offsets(admin,
		(struct kafka_group_topic){ group, search->topic }, at, n,
		&err) != 0)
		goto fail;
	acl = check_acl(list, "Read", "topic", search->topic);
	if (kafka_admin_logs(admin, search->topic, logs, n, &err) != 0)
		goto fail;
	for (i = 0; i < n; i++) {
		if (at[i] < logs[i].start)
			at[i] = logs[i].start;
		if (search->uncommitted)
			at[i] = logs[i].stable;
		if (at[i] <
		    (search->uncommitted ? logs[i].end : logs[i].stable))
			firsts[n_firsts++] = (struct kafka_first){
				.partition = (int32_t)i,
				.offset = at[i],
			};
	}
	if (n_firsts > 0 &&
	    kafka_admin_search(admin, search, firsts, n_firsts, &err) != 0)
		goto fail;
	return (int)n_firsts;
fail:
	check_untold(list, search->uncommitted ? OPEN_TRANSACTIONS : "requests",
	    &err, acl);
	return -1;
}

static void
note_held(struct check_list *list, const char *topic,
    const struct kafka_first *held, int64_t age_ms)
{
	const char *servers =
	    config_kafka(command_config(list->command), "bootstrap.servers");
	struct buffer detail = { 0 }, mend = { 0 };

	buffer_format(&detail,
	    "an open transaction holds partition %d from offset %lld of %s, "
	    "for %lld s: nothing behind it is read",
	    (int)held->partition, (long long)held->offset, topic,
	    (long long)(age_ms / 1000));
	buffer_format(&mend,
	    "its producer, or kafka-transactions.sh --bootstrap-server %s "
	    "abort "
	    "--topic %s --partition %d --start-offset %lld",
	    servers != NULL ? servers : "HOST:PORT", topic,
	    (int)held->partition, (long long)held->offset);
	buffer_byte(&detail, '\0');
	buffer_byte(&mend, '\0');
	check_note(list, OPEN_TRANSACTIONS, detail.at, mend.at);
	buffer_finish(&detail);
	buffer_finish(&mend);
}

static void
note_waiting(
    struct check_list *list, const struct kafka_first *first, int64_t age_ms)
{
	char detail[160];

	snprintf(detail, sizeof detail,
	    "partition %d waits at offset %lld, for %lld s",
	    (int)first->partition, (long long)first->offset,
	    (long long)(age_ms / 1000));
	check_note(list, "requests", detail,
	    "what /readyz of its worker says (schedrun lag names it)");
}

/* Those that have waited long enough to be told of; -1: it is not known. */
static int
note_firsts(struct check_list *list, struct kafka_admin *admin,
    const struct kafka_topic *topic, bool is_held)
{
	const struct kafka_search search = { topic->name, is_held };
	size_t n = (size_t)topic->partitions;
	struct kafka_first *firsts =
	    arena_zalloc(list->command->arena, n + 1, sizeof *firsts);
	int found = find_waiting(list, admin, &search, firsts, n);
	int i, noted = found < 0 ? -1 : 0;

	for (i = 0; i < found; i++) {
		int64_t age_ms = clock_wall_ms() - firsts[i].time_ms;

		if (firsts[i].time_ms <= 0 || age_ms < WAITING_MS)
			continue;
		if (is_held)
			note_held(list, topic->name, &firsts[i], age_ms);
		else
			note_waiting(list, &firsts[i], age_ms);
		noted++;
	}
	return noted;
}

/*
 * Who hangs in a transaction: what is behind its records can't be read, in
 * whichever topic, by whichever program.  Topics that this user may not see
 * were told of above.
 */
static void
check_held(struct check_list *list, struct kafka_admin *admin,
    const struct kafka_topic *topics)
{
	bool fine = true;
	size_t i;

	for (i = 0; i < TOPICS; i++)
		if (topics[i].partitions > 0 &&
		    note_firsts(list, admin, &topics[i], true) != 0)
			fine = false;
	if (fine)
		check_fine(list, OPEN_TRANSACTIONS, "none hangs");
}

/* A partition that stands still, for whatever reason: its worker knows it. */
static void
check_waiting(struct check_list *list, struct kafka_admin *admin,
    const struct kafka_topic *topic)
{
	if (note_firsts(list, admin, topic, false) == 0)
		check_fine(list, "requests", "none waits");
}

/* "3 wait: 2 malformed, 1 unknown-schema"; false: none does. */
static bool
count_letters(const struct letters *letters, bool is_part, struct buffer *out)
{
	size_t counts[DEAD_REASONS + 1] = { 0 }, n = 0, i;
	const struct letter_entry *entry;
	const char *between = "";

	for (i = 0; (entry = letters_at(letters, i)) != NULL; i++)
		if (entry->state == LETTER_WAITS) {
			counts[entry->reason]++;
			n++;
		}
	buffer_format(out, "%zu%s wait: ", n, is_part ? " at least" : "");
	for (i = 0; i <= DEAD_REASONS; i++)
		if (counts[i] > 0) {
			buffer_format(out, "%s%zu %s", between, counts[i],
			    i < DEAD_REASONS
				? dead_reason_text((enum dead_reason)i)
				: "of others");
			between = ", ";
		}
	buffer_byte(out, '\0');
	return n > 0;
}

/* As many as can be read within --timeout. */
static void
check_letters(struct check_list *list)
{
	const struct letter_filter all = { .reason = DEAD_REASONS,
		.partition = -1 };
	int timeout_ms = (int)list->command->options.timeout_ms, rc = -1;
	struct error err = { 0 };
	struct letters *letters =
	    letters_create(command_config(list->command), timeout_ms, &err);
	struct buffer detail = { 0 };

	if (letters != NULL)
		rc = letters_index(letters, &all, false, timeout_ms, &err);
	if (rc < 0)
		check_note(list, "dead letters", err.message,
		    "kafka-acls.sh --add --allow-principal USER --operation "
		    "Read --topic TOPIC");
	else if (count_letters(letters, rc > 0, &detail))
		check_note(
		    list, "dead letters", detail.at, "schedrun dlq list");
	else
		check_fine(list, "dead letters", "none waits");
	buffer_finish(&detail);
	letters_destroy(letters);
}

static void
check_topics(struct check_list *list, struct kafka_admin *admin, int brokers)
{
	const struct config *config = command_config(list->command);
	struct kafka_topic topics[TOPICS];
	struct topic_plan plan;
	struct error err = { 0 };
	bool is_there[TOPICS];
	char what[300];
	size_t i;

	topics_plan(config, 1,
	    brokers < REPLICATION_WANTED ? brokers : REPLICATION_WANTED, &plan);
	for (i = 0; i < TOPICS; i++) {
		topics[i] = (struct kafka_topic){ .name = plan.specs[i].name };
		/* One by one: some may be hidden. */
		if (kafka_admin_describe_topics(
			admin, &topics[i], 1, true, &err) == 0) {
			check_topic(list, &topics[i], &plan, (enum topic)i);
			is_there[i] = topics[i].partitions > 0;
			continue;
		}
		snprintf(what, sizeof what, "topic %s", topics[i].name);
		check_untold(list, what, &err,
		    check_acl(list, "Describe", "topic", topics[i].name));
		is_there[i] = err.exit_code == 77; /* or so it may be */
	}
	check_copies(list, brokers);
	check_kafka_rights(list, admin, is_there);
	if (topics[TOPIC_REQUESTS].partitions > 0) {
		check_held(list, admin, topics);
		check_waiting(list, admin, &topics[TOPIC_REQUESTS]);
	}
	if (topics[TOPIC_DLQ].partitions > 0)
		check_letters(list);
}

/* "12 wait, for 4 s; 2 members"; returns since when, 0: nothing waits. */
static int64_t
describe_lag(const struct lag *lag, char *detail, size_t size)
{
	int64_t total = 0, oldest_ms = 0;
	size_t i;

	for (i = 0; i < lag->n; i++) {
		total += lag_of(lag, i);
		if (lag_of(lag, i) > 0 && lag->times[i] > 0 &&
		    (oldest_ms == 0 || lag->times[i] < oldest_ms))
			oldest_ms = lag->times[i];
	}
	if (total == 0)
		snprintf(detail, size, "nothing waits; members: %zu",
		    lag->members.n_members);
	else
		snprintf(detail, size, "%lld wait, for %lld s; members: %zu",
		    (long long)total,
		    (long long)(oldest_ms > 0
			    ? (clock_wall_ms() - oldest_ms) / 1000
			    : 0),
		    lag->members.n_members);
	return oldest_ms;
}

/* How far behind they are who need not be there: nobody has a row of nothing.
 */
static void
check_behind(struct check_list *list, struct kafka_admin *admin,
    const char *program, enum topic topic)
{
	const struct config *config = command_config(list->command);
	char what[300], detail[160], key[32];
	struct error err = { 0 };
	struct lag lag = { .topic = topic_name(config, topic),
		.arena = list->command->arena };
	int64_t since_ms;
	size_t i = 0;

	snprintf(key, sizeof key, "%s.group", program);
	lag.group = config_text(config, key);
	snprintf(what, sizeof what, "group %s", lag.group);
	if (lag_measure(&lag, admin, &err) != 0) {
		if (err.exit_code != LAG_NO_TOPIC) /* its own row says that */
			check_untold(list, what, &err,
			    check_acl(list, "Describe", "group", lag.group));
		return;
	}
	while (i < lag.n && lag.committed[i] < 0)
		i++;
	if (i == lag.n && lag.members.n_members == 0)
		return;
	since_ms = describe_lag(&lag, detail, sizeof detail);
	snprintf(key, sizeof key, "schedrun-%s", program);
	if (lag.members.n_members == 0)
		check_note(list, what, detail, key);
	else if (since_ms > 0 && clock_wall_ms() - since_ms >= WAITING_MS)
		check_note(list, what, detail,
		    "what its /readyz says, or more of them");
	else
		check_fine(list, what, detail);
}

static void
check_group(struct check_list *list, struct kafka_admin *admin)
{
	const char *name =
	    config_text(command_config(list->command), "worker.group");
	struct kafka_group_info group;
	struct error err = { 0 };
	char what[300], detail[128];

	snprintf(what, sizeof what, "group %s", name);
	if (kafka_admin_group(
		admin, name, list->command->arena, &group, &err) != 0) {
		check_untold(list, what, &err,
		    check_acl(list, "Describe", "group", name));
		return;
	}
	snprintf(detail, sizeof detail, "%zu workers, %s", group.n_members,
	    group.state);
	if (group.n_members > 0)
		check_fine(list, what, detail);
	else
		check_note(list, what, "no worker runs", "schedrun-worker");
}

void
check_kafka(struct check_list *list)
{
	const struct kafka_settings settings = {
		.config = command_config(list->command),
	};
	int brokers;
	struct error err = { 0 };
	struct kafka_admin *admin = kafka_admin_create(
	    &settings, (int)list->command->options.timeout_ms, &err);
	char detail[128];

	if (admin != NULL)
		list->cluster =
		    kafka_admin_cluster_id(admin, list->command->arena, &err);
	brokers = list->cluster != NULL ? kafka_admin_brokers(admin, &err) : -1;
	if (brokers < 0) {
		const char *servers =
		    config_kafka(settings.config, "bootstrap.servers");

		error_prefix(&err, "%s",
		    servers != NULL ? servers : "no bootstrap.servers");
		check_failed(list, "kafka", &err,
		    "give -b HOST:PORT, or mend the kafka block");
	} else {
		snprintf(detail, sizeof detail, "cluster %s, brokers: %d",
		    list->cluster, brokers);
		check_fine(list, "kafka", detail);
		check_topics(list, admin, brokers);
		check_group(list, admin);
		check_behind(list, admin, "trigger", TOPIC_EVENTS);
		check_behind(list, admin, "builder", TOPIC_BUILDS);
	}
	kafka_admin_destroy(admin);
}

void
check_registry(struct check_list *list)
{
	const struct config *config = command_config(list->command);
	struct error err = { 0 };
	struct registry *registry = registry_create(config, &err);
	uint32_t id;
	int i;

	for (i = 0; registry != NULL && i < MESSAGES; i++)
		if (registry_id(registry, (enum message)i,
			topic_name(config, topic_of_message((enum message)i)),
			&id, &err) != 0)
			break;
	if (registry == NULL || i < MESSAGES)
		check_failed(list, "registry", &err,
		    registry == NULL || registry_is_away(registry)
			? "schema.registry.url, schema.registry.auth and "
			  "schema.registry.ca name it"
			: "schedrun init");
	else
		check_fine(list, "registry",
		    registry_is_remote(registry)
			? config_text(config, "schema.registry.url")
			: "none: the shipped ids are used");
	registry_destroy(registry);
}
