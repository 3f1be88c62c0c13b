#include "producer/auth/key_source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/small_file.h"
#include "common/crypto/digest.h"
#include "common/http/fetch.h"

#define DOCUMENT_MAX ((size_t)1024 * 1024)
#define FETCH_MS 5000
#define ASK_LATER_MS 1000 /* a request may wait so long for its look */

/* How often a source is looked at, in ms. */
struct pace {
	int64_t every;       /* while all is well */
	int64_t again_first; /* after a failure, then doubled up to … */
	int64_t again_max;
	int64_t asked; /* least time between two looks for unknown keys */
};

static const struct pace FILE_PACE = { 1000, 1000, 1000, 100 };
static const struct pace URL_PACE = { 600000, 1000, 30000, 5000 };

struct key_source {
	struct key_source_settings settings;
	const struct pace *pace;
	bool is_url;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* of `asked`, `stop` */
	bool asked;
	atomic_bool stop;
	/* The loop's. */
	bool waited_for;
	int64_t asked_ms;
	struct loop_timer *later;
	/* The thread's. */
	uint8_t digest[SHA256_SIZE]; /* of the set that is used */
	bool has_set;
	char failure[sizeof((struct error *)0)->message]; /* "": none */
};

/* What a look found, on its way to the loop. */
struct finding {
	struct key_source *source;
	struct key_set *set;
	bool asked, failed;
	char failure[sizeof((struct error *)0)->message];
};

static int
fetch_keys(struct key_source *source, struct buffer *out, struct error *err)
{
	const struct fetch_request request = {
		.url = source->settings.location,
		.ca_file = source->settings.ca_file,
		.timeout_ms = FETCH_MS,
		.size_max = DOCUMENT_MAX,
		.stop = &source->stop,
	};
	long status;

	if (fetch(&request, &status, out, err) != 0)
		return -1;
	if (status == 200)
		return 0;
	return error_set(err, ERROR_RETRY,
	    "%s: answers with status %ld, not 200", request.url, status);
}

static int
read_document(struct key_source *source, struct buffer *out, struct error *err)
{
	bool exposed; /* public keys are for everybody */

	return source->is_url ? fetch_keys(source, out, err)
			      : small_file_read(source->settings.location,
				    DOCUMENT_MAX, out, &exposed, err);
}

/* A set that differs from the used one; NULL: none, or `err` is set. */
static struct key_set *
read_set(struct key_source *source, struct error *err)
{
	struct buffer document = { 0 };
	uint8_t digest[SHA256_SIZE];
	struct key_set *set = NULL;

	if (read_document(source, &document, err) == 0) {
		sha256(buffer_text(&document), digest);
		if (!source->has_set ||
		    !digest_equal(digest, source->digest, sizeof digest)) {
			set = key_set_parse(buffer_text(&document), err);
			if (set == NULL)
				error_prefix(
				    err, "%s", source->settings.location);
		}
	}
	buffer_finish(&document);
	if (set != NULL) {
		source->has_set = true;
		memcpy(source->digest, digest, sizeof digest);
	}
	return set;
}

static void
deliver_look(void *argument)
{
	struct finding *finding = argument;
	struct key_source *source = finding->source;

	if (finding->asked)
		source->waited_for = false;
	source->settings.looked(source->settings.argument, finding->set,
	    finding->failed ? finding->failure : NULL, finding->asked);
	free(finding);
}

/* One look; NULL: there is nothing to tell.  Sets whether it went well. */
static struct finding *
look_at_source(struct key_source *source, bool asked, bool *well)
{
	struct error err = { 0 };
	struct key_set *set = read_set(source, &err);
	struct finding *finding;

	*well = err.kind == ERROR_NONE;
	if (set == NULL && !asked && strcmp(err.message, source->failure) == 0)
		return NULL; /* as before */
	memcpy(source->failure, err.message, sizeof source->failure);
	finding = memory_zalloc(1, sizeof *finding);
	finding->source = source;
	finding->set = set;
	finding->asked = asked;
	finding->failed = !*well;
	memcpy(finding->failure, err.message, sizeof finding->failure);
	return finding;
}

/* Waits so long, or until a look is asked for; false: to stop. */
static bool
wait_turn(struct key_source *source, int64_t ms, bool *asked)
{
	struct timespec until = clock_after(ms);
	int rc = 0;

	pthread_mutex_lock(&source->lock);
	while (!source->asked && !source->stop && rc == 0)
		rc = pthread_cond_timedwait(
		    &source->changed, &source->lock, &until);
	*asked = source->asked;
	source->asked = false;
	pthread_mutex_unlock(&source->lock);
	return !source->stop;
}

static int64_t
next_pause(const struct key_source *source, bool well, int64_t pause)
{
	const struct pace *pace = source->pace;

	if (well)
		return pace->every;
	if (pause < pace->again_first || pause == pace->every)
		return pace->again_first;
	return pause * 2 < pace->again_max ? pause * 2 : pace->again_max;
}

static void *
run_source(void *argument)
{
	struct key_source *source = argument;
	int64_t pause = source->is_url ? 0 : source->pace->every;
	bool asked, well;

	while (wait_turn(source, pause, &asked)) {
		struct finding *finding = look_at_source(source, asked, &well);

		pause = next_pause(source, well, pause);
		if (finding != NULL)
			loop_post(source->settings.loop, deliver_look, finding);
	}
	return NULL;
}

int
key_source_check(const char *location, struct error *err)
{
	struct buffer document = { 0 };
	struct key_set *set = NULL;
	bool exposed;
	int rc = 0;

	if (strstr(location, "://") != NULL)
		return 0;
	rc = small_file_read(location, DOCUMENT_MAX, &document, &exposed, err);
	if (rc == 0) {
		set = key_set_parse(buffer_text(&document), err);
		if (set == NULL) {
			error_prefix(err, "%s", location);
			rc = -1;
		}
	}
	key_set_destroy(set);
	buffer_finish(&document);
	if (rc != 0) {
		err->kind = ERROR_FATAL;
		err->exit_code = 78;
	}
	return rc;
}

static struct key_source *
make_source(const struct key_source_settings *settings, bool is_url)
{
	struct key_source *source = memory_zalloc(1, sizeof *source);

	source->settings = *settings;
	source->is_url = is_url;
	source->pace = is_url ? &URL_PACE : &FILE_PACE;
	source->asked_ms = -source->pace->asked;
	atomic_init(&source->stop, false);
	pthread_mutex_init(&source->lock, NULL);
	clock_condition_init(&source->changed);
	return source;
}

struct key_source *
key_source_start(const struct key_source_settings *settings, struct error *err)
{
	bool is_url = strstr(settings->location, "://") != NULL, well;
	struct key_source *source;
	struct finding *finding;

	if (is_url && fetch_check_url(settings->location, err) != 0)
		return NULL;
	source = make_source(settings, is_url);
	finding = is_url ? NULL : look_at_source(source, false, &well);
	if (finding != NULL)
		deliver_look(finding);
	if (pthread_create(&source->thread, NULL, run_source, source) != 0)
		memory_exhausted();
	return source;
}

void
key_source_stop(struct key_source *source)
{
	if (source == NULL)
		return;
	loop_timer_stop(source->later);
	pthread_mutex_lock(&source->lock);
	source->stop = true;
	pthread_cond_signal(&source->changed);
	pthread_mutex_unlock(&source->lock);
	pthread_join(source->thread, NULL);
}

void
key_source_destroy(struct key_source *source)
{
	if (source == NULL)
		return;
	pthread_cond_destroy(&source->changed);
	pthread_mutex_destroy(&source->lock);
	free(source);
}

void
key_source_reload(struct key_source *source)
{
	source->waited_for = true;
	pthread_mutex_lock(&source->lock);
	source->asked = true;
	pthread_cond_signal(&source->changed);
	pthread_mutex_unlock(&source->lock);
}

static void
ask_later(void *argument)
{
	key_source_reload(argument);
}

int64_t
key_source_look(struct key_source *source)
{
	int64_t now = clock_monotonic_ms();
	int64_t left = source->asked_ms + source->pace->asked - now;

	if (source->waited_for)
		return 0;
	if (left > ASK_LATER_MS)
		return left;
	if (left < 0)
		left = 0;
	source->asked_ms = now + left;
	source->waited_for = true;
	loop_timer_stop(source->later);
	source->later =
	    loop_timer_start(source->settings.loop, left, 0, ask_later, source);
	return 0;
}
