#include "producer/runs/lag.h"

#include <string.h>

static int
count_partitions(struct lag *lag, struct kafka_admin *admin, struct error *err)
{
	struct kafka_topic topic = { .name = lag->topic };

	if (kafka_admin_describe_topics(admin, &topic, 1, false, err) != 0)
		return -1;
	lag->n = (size_t)topic.partitions;
	if (lag->n == 0)
		return error_fatal(err, LAG_NO_TOPIC,
		    "topic %s does not exist; run schedrun init", lag->topic);
	return 0;
}

/* Who has which partition; a group that isn't there has nobody. */
static int
find_owners(struct lag *lag, struct kafka_admin *admin, struct error *err)
{
	struct kafka_group_info *group = &lag->members;
	size_t i, j;

	if (kafka_admin_group(admin, lag->group, lag->arena, group, err) != 0)
		return -1;
	for (i = 0; i < group->n_members; i++) {
		const struct kafka_group_member *member = &group->members[i];

		for (j = 0; j < member->n_partitions; j++) {
			int32_t at = member->partitions[j].partition;

			if (strcmp(member->partitions[j].topic, lag->topic) ==
				0 &&
			    at >= 0 && (size_t)at < lag->n)
				lag->owners[at] = member->client_id;
		}
	}
	return 0;
}

/* Where the next record to be answered stands. */
static int64_t
next_place(const struct lag *lag, size_t i)
{
	return lag->committed[i] > lag->logs[i].start ? lag->committed[i]
						      : lag->logs[i].start;
}

bool
lag_is_held(const struct lag *lag, size_t i, int64_t *from)
{
	*from = lag->logs[i].stable;
	return lag->logs[i].stable < lag->logs[i].end;
}

/* Whether an open transaction is all that is left to be read. */
static bool
is_all_held(const struct lag *lag, size_t i)
{
	int64_t from;

	return lag_is_held(lag, i, &from) && next_place(lag, i) >= from;
}

int64_t
lag_of(const struct lag *lag, size_t i)
{
	int64_t behind = lag->logs[i].end - next_place(lag, i);

	return behind > 0 && lag->times[i] != KAFKA_NO_RECORD ? behind : 0;
}

/*
 * When the oldest waiting record of each partition was sent: of those that are
 * `held`, or of the others.
 */
static int
read_times(
    struct lag *lag, struct kafka_admin *admin, bool held, struct error *err)
{
	const struct kafka_search search = { lag->topic, held };
	struct kafka_first *firsts =
	    arena_zalloc(lag->arena, lag->n, sizeof *firsts);
	size_t n = 0, i;

	for (i = 0; i < lag->n; i++)
		if (is_all_held(lag, i) == held && lag_of(lag, i) > 0)
			firsts[n++] = (struct kafka_first){
				.partition = (int32_t)i,
				.offset = next_place(lag, i),
			};
	if (n > 0 && kafka_admin_search(admin, &search, firsts, n, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		lag->times[firsts[i].partition] = firsts[i].time_ms;
	return 0;
}

int
lag_measure(struct lag *lag, struct kafka_admin *admin, struct error *err)
{
	const struct kafka_group_topic of = { lag->group, lag->topic };
	size_t i;

	if (count_partitions(lag, admin, err) != 0)
		return -1;
	lag->logs = arena_zalloc(lag->arena, lag->n, sizeof *lag->logs);
	lag->committed = arena_zalloc(lag->arena, lag->n, sizeof(int64_t));
	lag->times = arena_zalloc(lag->arena, lag->n, sizeof(int64_t));
	lag->owners = arena_zalloc(lag->arena, lag->n, sizeof(char *));
	for (i = 0; i < lag->n; i++)
		lag->times[i] = -1;
	/* Offsets before ends: what is committed meanwhile is no lag. */
	if (kafka_admin_group_offsets(admin, of, lag->committed, lag->n, err) !=
		0 ||
	    kafka_admin_logs(admin, lag->topic, lag->logs, lag->n, err) != 0 ||
	    find_owners(lag, admin, err) != 0 ||
	    read_times(lag, admin, false, err) != 0)
		return -1;
	return read_times(lag, admin, true, err);
}
