#include "common/base/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"

#define FIRST_MS 1000
#define DRAW_MS 1000
#define LINE_MS 5000

static struct patience {
	const char *who; /* NULL: nothing is waited for */
	const char *what;
	int64_t since_ms;
	bool is_drawn, is_terminal, is_ending;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
} patience = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
tell_wait(void)
{
	int64_t seconds = (clock_monotonic_ms() - patience.since_ms) / 1000;

	if (!patience.is_terminal) {
		fprintf(stderr, "schedrun: %s: %s, %lld s\n", patience.who,
		    patience.what, (long long)seconds);
		return;
	}
	fprintf(
	    stderr, "\r\033[K%s, %lld s", patience.what, (long long)seconds);
	fflush(stderr);
	patience.is_drawn = true;
}

static void *
tell_now_and_then(void *unused)
{
	struct timespec until =
	    clock_after(patience.is_terminal ? FIRST_MS : LINE_MS);

	(void)unused;
	pthread_mutex_lock(&patience.lock);
	while (!patience.is_ending) {
		if (pthread_cond_timedwait(
			&patience.changed, &patience.lock, &until) != ETIMEDOUT)
			continue;
		tell_wait();
		until = clock_after(patience.is_terminal ? DRAW_MS : LINE_MS);
	}
	pthread_mutex_unlock(&patience.lock);
	return NULL;
}

void
patience_begin(const char *who, const char *what)
{
	if (patience.who != NULL) {
		pthread_mutex_lock(&patience.lock);
		patience.what = what;
		pthread_mutex_unlock(&patience.lock);
		return;
	}
	clock_condition_init(&patience.changed);
	patience.what = what;
	patience.since_ms = clock_monotonic_ms();
	patience.is_terminal = isatty(STDERR_FILENO);
	patience.is_drawn = patience.is_ending = false;
	patience.who = who;
	if (pthread_create(&patience.thread, NULL, tell_now_and_then, NULL) !=
	    0)
		patience.who = NULL; /* nobody tells, nothing is lost */
}

void
patience_end(void)
{
	if (patience.who == NULL)
		return;
	pthread_mutex_lock(&patience.lock);
	patience.is_ending = true;
	pthread_cond_signal(&patience.changed);
	pthread_mutex_unlock(&patience.lock);
	pthread_join(patience.thread, NULL);
	pthread_cond_destroy(&patience.changed);
	patience.who = NULL;
	if (patience.is_drawn)
		fputs("\r\033[K", stderr);
}
