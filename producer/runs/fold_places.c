#include "producer/runs/fold_places.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define CALL_MS 1000

static void
clear_places(struct fold_places *places)
{
	size_t i;

	for (i = 0; i < places->n; i++)
		free(places->at[i].topic);
	places->n = 0;
}

void
fold_places_finish(struct fold_places *places)
{
	clear_places(places);
	free(places->at);
	*places = (struct fold_places){ 0 };
}

struct fold_place *
fold_places_find(
    struct fold_places *places, const char *topic, int32_t partition)
{
	size_t i;

	for (i = 0; i < places->n; i++)
		if (places->at[i].partition == partition &&
		    strcmp(places->at[i].topic, topic) == 0)
			return &places->at[i];
	return NULL;
}

/* Where to read: behind `f`, or where the view's time begins. */
static int
find_offset(const struct fold_position *position, struct run_view *view,
    struct kafka_consumer *consumer, int64_t *offset, struct error *err)
{
	*offset = position->offset;
	if (position->offset >= 0)
		return 0;
	return kafka_consumer_offset_at(consumer,
	    (struct kafka_partition){ position->topic, position->partition },
	    clock_wall_ms() - view->ttl_ms, offset, CALL_MS, err);
}

int
fold_places_assign(struct fold_places *places, struct run_view *view,
    struct kafka_consumer *consumer, struct kafka_position *positions, size_t n,
    struct error *err)
{
	struct fold_position *folded = memory_zalloc(n + 1, sizeof *folded);
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		folded[i] = (struct fold_position){ positions[i].topic,
			positions[i].partition, -1 };
	rc = run_view_positions(view, folded, n, err);
	for (i = 0; rc == 0 && i < n; i++)
		rc = find_offset(
		    &folded[i], view, consumer, &positions[i].offset, err);
	if (rc == 0) {
		clear_places(places);
		places->at =
		    memory_resize(places->at, n + 1, sizeof *places->at);
		for (i = 0; i < n; i++)
			places->at[i] = (struct fold_place){
				.topic = memory_copy_string(folded[i].topic),
				.partition = folded[i].partition,
				.folded = folded[i].offset,
				.restart_at = -1,
				.end = -1,
			};
		places->n = n;
		places->unsettled = false;
	}
	free(folded);
	return rc;
}

/* Every `f` as it is now; to be freed. */
static struct fold_position *
read_positions(
    const struct fold_places *places, struct run_view *view, struct error *err)
{
	struct fold_position *positions =
	    memory_zalloc(places->n + 1, sizeof *positions);
	size_t i;

	for (i = 0; i < places->n; i++)
		positions[i] = (struct fold_position){ places->at[i].topic,
			places->at[i].partition, -1 };
	if (run_view_positions(view, positions, places->n, err) == 0)
		return positions;
	free(positions);
	return NULL;
}

static int
restart_place(
    struct fold_place *place, struct run_view *view, struct error *err)
{
	struct fold_position position = { place->topic, place->partition,
		place->restart_at };

	if (place->restart_at < 0)
		return 0;
	if (run_view_set_position(view, &position, err) != 0)
		return -1;
	place->folded = place->restart_at;
	place->restart_at = -1;
	return 0;
}

/* One partition goes on where `f` says. */
static int
settle_place(struct fold_place *place, const struct fold_position *position,
    struct run_view *view, struct kafka_consumer *consumer, struct error *err)
{
	int64_t offset;

	if (find_offset(position, view, consumer, &offset, err) != 0 ||
	    kafka_consumer_seek(consumer, place->topic,
		(struct kafka_offset){ place->partition, offset }, CALL_MS,
		err) != 0)
		return -1;
	if (position->offset < place->folded)
		log_event(LOG_WARN, "http", "view_went_back",
		    "the run view has lost what was folded: folding again",
		    LOG_S("topic", place->topic),
		    LOG_I("partition", place->partition),
		    LOG_I("from", place->folded), LOG_I("offset", offset),
		    LOG_END);
	place->folded = position->offset;
	place->end = -1;
	place->last_ms = 0;
	return 0;
}

int
fold_places_settle(struct fold_places *places, struct run_view *view,
    struct kafka_consumer *consumer, struct error *err)
{
	struct fold_position *positions;
	size_t i;
	int rc = 0;

	for (i = 0; i < places->n; i++)
		if (restart_place(&places->at[i], view, err) != 0)
			return -1;
	positions = read_positions(places, view, err);
	if (positions == NULL)
		return -1;
	for (i = 0; rc == 0 && i < places->n; i++)
		rc = settle_place(
		    &places->at[i], &positions[i], view, consumer, err);
	free(positions);
	if (rc == 0)
		places->unsettled = false;
	return rc;
}

int
fold_places_look(
    struct fold_places *places, struct run_view *view, struct error *err)
{
	struct fold_position *positions = read_positions(places, view, err);
	size_t i;

	if (positions == NULL)
		return -1;
	for (i = 0; i < places->n; i++)
		places->unsettled |= positions[i].offset < places->at[i].folded;
	free(positions);
	return 0;
}

int64_t
fold_places_lag(
    const struct fold_places *places, const struct kafka_consumer *consumer)
{
	int64_t lag = 0;
	size_t i;

	for (i = 0; i < places->n; i++) {
		const struct fold_place *place = &places->at[i];
		int64_t end = kafka_consumer_end(
		    consumer, place->topic, place->partition);

		if (!fold_place_is_at_end(place) && end > place->folded)
			lag += end - (place->folded > 0 ? place->folded : 0);
	}
	return lag;
}

const struct fold_place *
fold_places_behind(const struct fold_places *places, int64_t age_ms)
{
	int64_t now = clock_wall_ms();
	size_t i;

	for (i = 0; i < places->n; i++)
		if (!places->at[i].waits &&
		    !fold_place_is_at_end(&places->at[i]) &&
		    now - places->at[i].last_ms >= age_ms)
			return &places->at[i];
	return NULL;
}
