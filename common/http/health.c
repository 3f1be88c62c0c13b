#include "common/http/health.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/json/write.h"

#define ITEMS_MAX 16
#define REASON_SIZE 240
#define STATUS_SIZE 2048 /* systemd reads 4096 bytes */

struct health_check {
	struct health *health;
	const char *name;
	int64_t stale_ms;
	bool ok;
	int64_t reported_ms; /* monotonic, of the last ok */
	int64_t since_ms;    /* wall, of the last change */
	char reason[REASON_SIZE], note[REASON_SIZE];
};

struct health_beat {
	struct health *health;
	const char *name;
	int64_t stale_ms, turned_ms;
};

struct health {
	pthread_mutex_t lock; /* of everything below */
	struct health_check checks[ITEMS_MAX];
	size_t n_checks;
	struct health_beat beats[ITEMS_MAX];
	size_t n_beats;
	bool is_draining;
	char doing[REASON_SIZE];
};

struct health *
health_create(void)
{
	struct health *health = memory_zalloc(1, sizeof *health);

	pthread_mutex_init(&health->lock, NULL);
	strcpy(health->doing, "starting");
	return health;
}

void
health_destroy(struct health *health)
{
	if (health == NULL)
		return;
	pthread_mutex_destroy(&health->lock);
	free(health);
}

struct health_check *
health_check(struct health *health, const char *name, int64_t stale_ms)
{
	struct health_check *check;

	pthread_mutex_lock(&health->lock);
	if (health->n_checks == ITEMS_MAX)
		abort(); /* a bug: registration is start-up code */
	check = &health->checks[health->n_checks++];
	check->health = health;
	check->name = name;
	check->stale_ms = stale_ms;
	check->since_ms = clock_wall_ms();
	strcpy(check->reason, "not yet reported");
	pthread_mutex_unlock(&health->lock);
	return check;
}

void
health_ok(struct health_check *check)
{
	pthread_mutex_lock(&check->health->lock);
	if (!check->ok)
		check->since_ms = clock_wall_ms();
	check->ok = true;
	check->reported_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&check->health->lock);
}

void
health_bad(struct health_check *check, const char *reason, ...)
{
	va_list arguments;

	pthread_mutex_lock(&check->health->lock);
	if (check->ok)
		check->since_ms = clock_wall_ms();
	check->ok = false;
	va_start(arguments, reason);
	vsnprintf(check->reason, sizeof check->reason, reason, arguments);
	va_end(arguments);
	pthread_mutex_unlock(&check->health->lock);
}

void
health_note(struct health_check *check, const char *note, ...)
{
	va_list arguments;

	pthread_mutex_lock(&check->health->lock);
	va_start(arguments, note);
	vsnprintf(check->note, sizeof check->note, note, arguments);
	va_end(arguments);
	pthread_mutex_unlock(&check->health->lock);
}

/* An ok that was not confirmed in time is none any more. */
static void
age(struct health_check *check, int64_t now)
{
	int64_t quiet = now - check->reported_ms;

	if (!check->ok || check->stale_ms == 0 || quiet <= check->stale_ms)
		return;
	check->ok = false;
	check->since_ms = clock_wall_ms() - quiet;
	snprintf(check->reason, sizeof check->reason, "no answer for %lld s",
	    (long long)(quiet / 1000));
}

bool
health_check_is_ok(struct health_check *check)
{
	bool ok;

	pthread_mutex_lock(&check->health->lock);
	age(check, clock_monotonic_ms());
	ok = check->ok;
	pthread_mutex_unlock(&check->health->lock);
	return ok;
}

bool
health_check_read(struct health *health, size_t i, const char **name, bool *ok)
{
	bool there;

	pthread_mutex_lock(&health->lock);
	there = i < health->n_checks;
	pthread_mutex_unlock(&health->lock);
	if (!there)
		return false;
	*name = health->checks[i].name;
	*ok = health_check_is_ok(&health->checks[i]);
	return true;
}

struct health_beat *
health_beat_start(struct health *health, const char *name, int64_t stale_ms)
{
	struct health_beat *beat;

	pthread_mutex_lock(&health->lock);
	if (health->n_beats == ITEMS_MAX)
		abort();
	beat = &health->beats[health->n_beats++];
	*beat = (struct health_beat){ health, name, stale_ms,
		clock_monotonic_ms() };
	pthread_mutex_unlock(&health->lock);
	return beat;
}

void
health_turn(struct health_beat *beat)
{
	pthread_mutex_lock(&beat->health->lock);
	beat->turned_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&beat->health->lock);
}

void
health_doing(struct health *health, const char *doing, ...)
{
	va_list arguments;

	pthread_mutex_lock(&health->lock);
	va_start(arguments, doing);
	vsnprintf(health->doing, sizeof health->doing, doing, arguments);
	va_end(arguments);
	pthread_mutex_unlock(&health->lock);
}

void
health_drain(struct health *health)
{
	pthread_mutex_lock(&health->lock);
	health->is_draining = true;
	pthread_mutex_unlock(&health->lock);
	health_tell_systemd(health, "STOPPING=1\n");
}

bool
health_is_alive(struct health *health)
{
	int64_t now = clock_monotonic_ms();
	bool alive = true;
	size_t i;

	pthread_mutex_lock(&health->lock);
	for (i = 0; i < health->n_beats; i++)
		if (now - health->beats[i].turned_ms >
		    health->beats[i].stale_ms)
			alive = false;
	pthread_mutex_unlock(&health->lock);
	return alive;
}

/* With the lock held. */
static bool
age_all(struct health *health)
{
	int64_t now = clock_monotonic_ms();
	bool ready = !health->is_draining;
	size_t i;

	for (i = 0; i < health->n_checks; i++) {
		age(&health->checks[i], now);
		ready = ready && health->checks[i].ok;
	}
	return ready;
}

static void
write_check(const struct health_check *check, struct buffer *out)
{
	char since[CLOCK_TEXT_SIZE];

	clock_format(check->since_ms, since);
	json_open(out, '{');
	json_member_string(out, "name", check->name);
	json_member_bool(out, "ok", check->ok);
	json_member_text(out, "since", (struct text){ since, sizeof since });
	if (!check->ok)
		json_member_string(out, "reason", check->reason);
	if (check->note[0] != '\0')
		json_member_string(out, "note", check->note);
	json_close(out, '}');
}

bool
health_write_json(struct health *health, struct buffer *out)
{
	bool ready;
	size_t i;

	pthread_mutex_lock(&health->lock);
	ready = age_all(health);
	json_open(out, '{');
	json_member_string(out, "status", ready ? "ready" : "unready");
	if (health->is_draining)
		json_member_string(out, "reason", "draining");
	json_member_open(out, "checks", '[');
	for (i = 0; i < health->n_checks; i++)
		write_check(&health->checks[i], out);
	json_close(out, ']');
	json_close(out, '}');
	pthread_mutex_unlock(&health->lock);
	return ready;
}

/* With the lock held.  What doesn't fit is cut. */
static void
write_status(struct health *health, char *out, size_t size)
{
	size_t used = 0, i;

	if (age_all(health)) {
		snprintf(out, size, "%s", health->doing);
		return;
	}
	if (health->is_draining) {
		snprintf(out, size, "draining");
		return;
	}
	for (i = 0; i < health->n_checks && used < size; i++)
		if (!health->checks[i].ok)
			used += (size_t)snprintf(out + used, size - used,
			    "%s%s: %s", used > 0 ? "; " : "waiting: ",
			    health->checks[i].name, health->checks[i].reason);
}

void
health_tell_systemd(struct health *health, const char *first)
{
	char status[STATUS_SIZE];

	pthread_mutex_lock(&health->lock);
	write_status(health, status, sizeof status);
	pthread_mutex_unlock(&health->lock);
	sd_notifyf(0, "%sSTATUS=%s%s", first, status,
	    health_is_alive(health) ? "\nWATCHDOG=1" : "");
}
