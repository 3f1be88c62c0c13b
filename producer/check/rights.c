#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/kafka/rights.h"
#include "producer/check/list.h"

/* Who needs what (docs/faults.md, section 4): of a topic READ by a group, or
 * WRITE, perhaps in transactions whose ids begin with a group's name. */
static const struct need {
	enum command_program who;
	enum topic topic;
	const char *group; /* the key of its name; NULL: WRITE */
	const char *id;    /* the same of transactions; NULL: in none */
} needs[] = {
	{ PROGRAM_WORKER, TOPIC_REQUESTS, "worker.group", NULL },
	{ PROGRAM_WORKER, TOPIC_RESULTS, NULL, "worker.group" },
	{ PROGRAM_WORKER, TOPIC_BUILDS, NULL, "worker.group" },
	{ PROGRAM_WORKER, TOPIC_DLQ, NULL, "worker.group" },
	{ PROGRAM_HTTP, TOPIC_REQUESTS, NULL, NULL },
	{ PROGRAM_HTTP, TOPIC_RESULTS, "http.group", NULL },
	{ PROGRAM_HTTP, TOPIC_BUILDS, "http.group", NULL },
	{ PROGRAM_BUILDER, TOPIC_BUILDS, "builder.group", NULL },
	{ PROGRAM_BUILDER, TOPIC_EVENTS, NULL, NULL },
	{ PROGRAM_TRIGGER, TOPIC_REQUESTS, NULL, NULL },
	{ PROGRAM_TRIGGER, TOPIC_DLQ, NULL, "trigger.group" },
	{ PROGRAM_TRIGGER, TOPIC_EVENTS, "trigger.group", NULL },
	{ PROGRAM_TRIGGER, TOPIC_RESULTS, "trigger.group", NULL },
};

static const char *
program_name(enum command_program who)
{
	switch (who) {
	case PROGRAM_HTTP:
		return "schedrun-http, submit and watch";
	case PROGRAM_BUILDER:
		return "schedrun-builder";
	case PROGRAM_TRIGGER:
		return "schedrun-trigger";
	default:
		return "schedrun-worker";
	}
}

const char *
check_acl(struct check_list *list, const char *operation, const char *kind,
    const char *name)
{
	const struct config *config = command_config(list->command);
	const char *servers = config_kafka(config, "bootstrap.servers");
	const char *user = config_kafka(config, "sasl.username");
	bool is_prefix = strcmp(kind, "transactional-id") == 0;
	struct buffer out = { 0 };

	buffer_format(&out,
	    is_prefix ? "kafka-acls.sh --bootstrap-server %s --add "
			"--allow-principal User:%s --operation %s --%s %s "
			"--resource-pattern-type prefixed"
		      : "kafka-acls.sh --bootstrap-server %s --add "
			"--allow-principal User:%s --operation %s --%s %s",
	    servers != NULL ? servers : "HOST:PORT",
	    user != NULL ? user : "NAME", operation, kind, name);
	return buffer_keep(&out, list->command->arena).at;
}

/* One row for what is missing, however many need it. */
static void
fault_of_right(struct check_list *list, const struct need *need,
    const char *operation, const char *kind, const char *name)
{
	char what[400], detail[128];

	snprintf(what, sizeof what, "right %s of %s %s", operation, kind, name);
	snprintf(detail, sizeof detail, "Kafka refuses it; %s can't do without",
	    program_name(need->who));
	check_fault(list, what, detail, check_acl(list, operation, kind, name));
}

/* A right that another one stands before, or whose answer did not come. */
static void
note_untried(struct check_list *list, const struct need *need,
    const char *operation, const struct error *err)
{
	const char *topic =
	    topic_name(command_config(list->command), need->topic);
	char what[400];

	snprintf(what, sizeof what, "right %s of topic %s", operation, topic);
	if (err != NULL)
		check_untold(list, what, err, NULL);
	else
		check_note(list, what,
		    need->group != NULL
			? "not tried: that takes READ of the group"
			: "not tried: that takes WRITE of a transactional id",
		    check_acl(list, operation, "topic", topic));
}

/*
 * The id is of no worker, which would be fenced, and of this machine: another's
 * check, at the same minute, would be.
 */
static enum kafka_right
try_write(struct check_list *list, struct kafka_admin *admin,
    const struct need *need, struct error *err)
{
	const char *topic =
	    topic_name(command_config(list->command), need->topic);
	char host[256] = "", id[600];

	if (need->id == NULL)
		return kafka_right_write(admin, NULL, topic, err);
	if (gethostname(host, sizeof host - 1) != 0)
		snprintf(host, sizeof host, "localhost");
	snprintf(id, sizeof id, "%s-check-%s",
	    config_text(command_config(list->command), need->id), host);
	return kafka_right_write(admin, id, topic, err);
}

/* Group and id are asked once: the first refusal of one is that of all. */
struct refused {
	const char *group, *id;
};

/* Whether the right is there. */
static bool
check_need(struct check_list *list, struct kafka_admin *admin,
    const struct need *need, struct refused *refused)
{
	const struct config *config = command_config(list->command);
	const char *topic = topic_name(config, need->topic);
	const char *operation = need->group != NULL ? "Read" : "Write";
	const char *key = need->group != NULL ? need->group : need->id;
	const char *group = key != NULL ? config_text(config, key) : NULL;
	enum kafka_right right;
	struct error err = { 0 };
	char prefix[300];

	if (need->group != NULL ? refused->group == need->group
				: need->id != NULL && refused->id == need->id) {
		note_untried(list, need, operation, NULL);
		return false;
	}
	right = need->group != NULL
	    ? kafka_right_read(
		  admin, (struct kafka_group_topic){ group, topic }, &err)
	    : try_write(list, admin, need, &err);
	switch (right) {
	case KAFKA_RIGHT_HELD:
		return true;
	case KAFKA_RIGHT_NO_TOPIC:
		fault_of_right(list, need, operation, "topic", topic);
		break;
	case KAFKA_RIGHT_NO_GROUP:
		refused->group = need->group;
		fault_of_right(list, need, operation, "group", group);
		note_untried(list, need, operation, NULL);
		break;
	case KAFKA_RIGHT_NO_ID:
		refused->id = need->id;
		snprintf(prefix, sizeof prefix, "%s-", group);
		fault_of_right(
		    list, need, operation, "transactional-id", prefix);
		note_untried(list, need, operation, NULL);
		break;
	case KAFKA_RIGHT_UNKNOWN:
		note_untried(list, need, operation, &err);
		break;
	}
	return false;
}

static const char *
what_is_tried(unsigned programs)
{
	switch (programs) {
	case PROGRAM_HTTP:
		return "Read and Write of topics, Read of its group";
	case PROGRAM_BUILDER:
		return "Read of its topic and its group, Write of the events";
	case PROGRAM_TRIGGER:
		return "Read of its topics and its group, Write of others, "
		       "also in transactions";
	default:
		return "Read and Write of topics, Read of groups, Write of "
		       "transactional ids";
	}
}

void
check_kafka_rights(struct check_list *list, struct kafka_admin *admin,
    const bool is_there[TOPICS])
{
	struct refused refused = { 0 };
	bool is_fine = true;
	size_t i;

	for (i = 0; i < sizeof needs / sizeof needs[0]; i++)
		if ((needs[i].who & list->programs) != 0 &&
		    is_there[needs[i].topic])
			is_fine &= check_need(list, admin, &needs[i], &refused);
	if (is_fine)
		check_fine(list, "rights", what_is_tried(list->programs));
}
