#include "producer/dashboard/letters.h"

#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "producer/dashboard/dashboard.h"

/* Letters, and of which schedule each is. */
struct shown {
	struct shelf_letter letters[SHELF_LETTERS];
	bool visible[SHELF_LETTERS];
	size_t n;
};

/* Without a schedule only who sees everything may look into it. */
static int
judge_letters(
    struct http_call *call, struct work_redis *redis, struct shown *shown)
{
	struct access access = http_call_access(call, redis);
	struct schedule_access *schedules =
	    arena_zalloc(call->arena, SHELF_LETTERS, sizeof *schedules);
	struct text rids[SHELF_LETTERS];
	size_t owners[SHELF_LETTERS], n = 0, i;

	for (i = 0; i < shown->n; i++) {
		shown->visible[i] = !call->asked.caller.known;
		if (rid_is_valid(shown->letters[i].key)) {
			owners[n] = i;
			rids[n++] = shown->letters[i].key;
		}
	}
	if (!call->asked.caller.known || n == 0)
		return 0;
	if (access_read(&access, rids, n, false, schedules, &call->job.error) !=
	    0)
		return -1;
	for (i = 0; i < n; i++)
		shown->visible[owners[i]] =
		    schedules[i].exists && schedules[i].right != RIGHT_NONE;
	return 0;
}

static void
put_letter(struct buffer *out, const struct shelf_letter *letter, bool visible)
{
	json_open(out, '{');
	json_member_text(out, "letter", letter->place);
	json_member_string(out, "reason", letter->reason);
	json_member_time(out, "time", letter->time_ms);
	json_member_bool(out, "hidden", !visible);
	if (visible) {
		json_member_known(out, "schedule", letter->key);
		if (letter->portrait.at != NULL) {
			json_name(out, "portrait");
			buffer_append(out, letter->portrait);
		}
	}
	json_close(out, '}');
}

void
dashboard_letters_get(struct http_call *call, struct work_redis *redis)
{
	struct sampler *sampler = call->app->dashboard->sampler;
	struct shown *shown = arena_zalloc(call->arena, 1, sizeof *shown);
	struct buffer *out = &call->answer.body;
	size_t i;

	shown->n = sampler_copy_letters(sampler, call->arena, shown->letters);
	if (judge_letters(call, redis, shown) != 0)
		return;
	json_open(out, '{');
	sampler_write(sampler, out);
	json_member_open(out, "shown", '[');
	for (i = 0; i < shown->n; i++)
		put_letter(out, &shown->letters[i], shown->visible[i]);
	json_close(out, ']');
	json_close(out, '}');
}
