#include "common/trace/tracer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/http/fetch.h"
#include "common/trace/internal.h"

#define CHUNK_SPANS 512
#define CHUNKS 32     /* that wait, so 16,384 spans: 8 MB */
#define FULL_MS 1000  /* then a chunk that isn't full is sent as well */
#define POST_MS 10000 /* for one of them */
#define TRIES 5
#define AGAIN_MS 500 /* after the first, then doubled */
#define STOP_MS 2000
#define ANSWER_MAX ((size_t)64 * 1024)
#define HEADERS_MAX 16
#define HOST_MAX 65
#define EX_CONFIG 78
#define EX_OSERR 71

/* What goes in one request. */
struct chunk {
	struct buffer body;
	size_t n;
	int64_t since_ms; /* monotonic: its first span */
};

enum fate { SENT, DROPPED, FAILED, FATES };

struct tracer {
	const char *url, *authority, *service;
	char *instance;
	char *headers[HEADERS_MAX + 1];
	uint32_t one_of;
	struct metric *counts[FATES];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_bool aborts; /* what is being sent */
	/* Under the lock: a ring, of which the last one is filled. */
	struct chunk chunks[CHUNKS];
	size_t first, n_chunks;
	bool is_stopping, is_ended;
};

/* NULL: none.  Set while there is but one thread. */
static struct tracer *the_tracer;

int64_t
trace_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Configuration ----------------------------------------------------------- */

static bool
is_header(struct text name, struct text value)
{
	size_t i;

	for (i = 0; i < name.size; i++)
		if (strchr("()<>@,;:\\\"/[]?={} ", name.at[i]) != NULL)
			return false;
	return text_is_visible(name) && value.size > 0 &&
	    !text_has_control(value);
}

/*
 * "name=value,name=value" as lines of HTTP, which are the caller's to free; the
 * error says no value.
 */
static int
cut_headers(const char *list, char *headers[HEADERS_MAX + 1], struct error *err)
{
	struct text rest = text_from(list), word;
	size_t n = 0;

	while (list != NULL && text_take_word(&rest, ",", &word)) {
		const char *sign = memchr(word.at, '=', word.size);
		size_t size = sign != NULL ? (size_t)(sign - word.at) : 0;
		struct text name = text_trim((struct text){ word.at, size });
		struct text value = text_trim(sign == NULL
			? TEXT_NONE
			: (struct text){ sign + 1, word.size - size - 1 });
		struct buffer line = { 0 };

		if (n == HEADERS_MAX || !is_header(name, value))
			return error_fatal(err, EX_CONFIG,
			    "trace.headers: the %zu. is none, expected "
			    "name=value,name=value (at most %d)",
			    n + 1, HEADERS_MAX);
		buffer_format(
		    &line, "%.*s: %.*s", TEXT_ARG(name), TEXT_ARG(value));
		buffer_byte(&line, '\0');
		headers[n++] = line.at;
	}
	return 0;
}

static void
free_headers(char *headers[HEADERS_MAX + 1])
{
	size_t i;

	for (i = 0; headers[i] != NULL; i++)
		free(headers[i]);
}

/* What is secret does not go in clear to another machine. */
static int
check_url(const char *url, bool is_secret, struct error *err)
{
	const char *host = strstr(url, "://");
	int rc =
	    is_secret ? fetch_check_url(url, err) : fetch_check_form(url, err);

	if (rc == 0 && strchr(host + 3, '/') == NULL)
		rc = error_fatal(err, EX_CONFIG,
		    "\"%s\" has no path; a collector's is %s/v1/traces", url,
		    url);
	if (rc != 0)
		error_prefix(err, "trace.url");
	return rc;
}

int
tracer_check(const struct config *config, struct error *err)
{
	const char *url = config_text(config, "trace.url");
	const char *secret = config_text(config, "trace.headers");
	const char *authority = config_text(config, "trace.ca");
	char *headers[HEADERS_MAX + 1] = { 0 };
	int rc;

	if (url == NULL)
		return 0;
	rc = check_url(url, secret != NULL, err);
	if (rc == 0)
		rc = cut_headers(secret, headers, err);
	free_headers(headers);
	if (rc == 0 && authority != NULL &&
	    fetch_check_authority(authority, err) != 0) {
		error_prefix(err, "trace.ca");
		rc = -1;
	}
	return rc;
}

/* Sending ----------------------------------------------------------------- */

static void
count(struct tracer *tracer, enum fate fate, size_t n)
{
	metric_add(tracer->counts[fate], n);
}

/* Waits for `ms`, or less if it is to stop. */
static void
rest_for(struct tracer *tracer, int64_t ms)
{
	struct timespec until = clock_after(ms);

	pthread_mutex_lock(&tracer->lock);
	while (!tracer->is_stopping &&
	    pthread_cond_timedwait(&tracer->changed, &tracer->lock, &until) !=
		ETIMEDOUT)
		;
	pthread_mutex_unlock(&tracer->lock);
}

/* Taken, but for what the collector says of some. */
static void
note_taken(struct tracer *tracer, size_t n, struct text answer)
{
	char why[200] = "";
	int64_t rejected = otlp_rejected(answer, why, sizeof why);

	if (rejected > (int64_t)n)
		rejected = (int64_t)n;
	count(tracer, SENT, n - (size_t)rejected);
	count(tracer, FAILED, (size_t)rejected);
	if (rejected > 0)
		log_event(LOG_WARN, "trace", "spans_not_taken", why,
		    LOG_I("spans", rejected), LOG_END);
}

/* Those of which OTLP says that they may go. */
static bool
is_passing(long status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

/* True: it is settled.  False: to be tried again; `err` says why. */
static bool
try_once(struct tracer *tracer, const struct chunk *chunk, struct error *err)
{
	const struct fetch_request request = {
		.url = tracer->url,
		.body = chunk->body.at,
		.content_type = "application/json",
		.headers = (const char *const *)tracer->headers,
		.ca_file = tracer->authority,
		.timeout_ms = POST_MS,
		.size_max = ANSWER_MAX,
		.stop = &tracer->aborts,
	};
	struct buffer answer = { 0 };
	long status = 0;
	bool settled = true;

	if (fetch(&request, &status, &answer, err) != 0 && status == 0)
		settled = false;
	else if (status >= 200 && status < 300)
		note_taken(tracer, chunk->n, buffer_text(&answer));
	else {
		error_set(
		    err, ERROR_RETRY, "%s: status %ld", tracer->url, status);
		settled = false;
		if (!is_passing(status))
			err->kind = ERROR_INPUT;
	}
	buffer_finish(&answer);
	return settled;
}

static bool
is_stopping(struct tracer *tracer)
{
	bool stopping;

	pthread_mutex_lock(&tracer->lock);
	stopping = tracer->is_stopping;
	pthread_mutex_unlock(&tracer->lock);
	return stopping;
}

/* One that nobody takes is given up: what comes meanwhile waits, and is not
 * more than there is room for. */
static void
send_chunk(struct tracer *tracer, struct chunk *chunk)
{
	struct error err = { 0 };
	int64_t again_ms = AGAIN_MS;
	int i;

	otlp_close(&chunk->body);
	buffer_byte(&chunk->body, '\0');
	for (i = 0; i < TRIES; i++, again_ms *= 2) {
		if (i > 0)
			rest_for(tracer, again_ms);
		if (try_once(tracer, chunk, &err))
			return;
		if (err.kind == ERROR_INPUT || is_stopping(tracer))
			break;
	}
	count(tracer, FAILED, chunk->n);
	log_event(LOG_WARN, "trace", "spans_not_taken", err.message,
	    LOG_I("spans", chunk->n), LOG_END);
}

/* The lock is held.  Whether the first chunk is to be sent now. */
static bool
is_due(const struct tracer *tracer)
{
	const struct chunk *chunk = &tracer->chunks[tracer->first];

	return tracer->n_chunks > 1 ||
	    (tracer->n_chunks == 1 &&
		(chunk->n == CHUNK_SPANS || tracer->is_stopping ||
		    clock_monotonic_ms() - chunk->since_ms >= FULL_MS));
}

/* Waits for one; false: it is to end, and there is none left. */
static bool
take_chunk(struct tracer *tracer, struct chunk *chunk)
{
	bool got;

	pthread_mutex_lock(&tracer->lock);
	while (!is_due(tracer) && !tracer->is_stopping) {
		struct timespec until = clock_after(FULL_MS);

		if (tracer->n_chunks == 0)
			pthread_cond_wait(&tracer->changed, &tracer->lock);
		else
			pthread_cond_timedwait(
			    &tracer->changed, &tracer->lock, &until);
	}
	got = tracer->n_chunks > 0;
	if (got) {
		*chunk = tracer->chunks[tracer->first];
		tracer->chunks[tracer->first] = (struct chunk){ 0 };
		tracer->first = (tracer->first + 1) % CHUNKS;
		tracer->n_chunks--;
	}
	pthread_mutex_unlock(&tracer->lock);
	return got;
}

static void *
send_chunks(void *argument)
{
	struct tracer *tracer = argument;
	struct chunk chunk;

	while (take_chunk(tracer, &chunk)) {
		send_chunk(tracer, &chunk);
		buffer_finish(&chunk.body);
	}
	pthread_mutex_lock(&tracer->lock);
	tracer->is_ended = true;
	pthread_cond_broadcast(&tracer->changed);
	pthread_mutex_unlock(&tracer->lock);
	return NULL;
}

/* Beginning and ending ---------------------------------------------------- */

static char *
name_instance(const char *given)
{
	char host[HOST_MAX] = "unknown";
	struct buffer out = { 0 };

	if (given != NULL)
		return memory_copy_string(given);
	if (gethostname(host, sizeof host - 1) != 0)
		strcpy(host, "unknown");
	buffer_format(&out, "%s:%ld", host, (long)getpid());
	buffer_byte(&out, '\0');
	return out.at;
}

static void
destroy(struct tracer *tracer)
{
	size_t i;

	for (i = 0; i < CHUNKS; i++)
		buffer_finish(&tracer->chunks[i].body);
	free_headers(tracer->headers);
	free(tracer->instance);
	pthread_cond_destroy(&tracer->changed);
	pthread_mutex_destroy(&tracer->lock);
	free(tracer);
}

static void
make_counts(struct metrics *metrics, struct metric *counts[FATES])
{
	static const char *const labels[FATES] = { "result=\"sent\"",
		"result=\"dropped\"", "result=\"failed\"" };
	size_t i;

	for (i = 0; i < FATES; i++)
		counts[i] = metrics_series(metrics, METRIC_COUNTER,
		    "schedrun_trace_spans_total", labels[i],
		    "Spans told to the collector, without room in the queue, "
		    "or not taken.");
}

int
tracer_start(const struct tracer_settings *settings, struct error *err)
{
	const struct config *config = settings->config;
	struct metric *counts[FATES];
	struct tracer *tracer;

	make_counts(settings->metrics, counts);
	if (tracer_check(config, err) != 0)
		return -1;
	if (config_text(config, "trace.url") == NULL)
		return 0;
	tracer = memory_zalloc(1, sizeof *tracer);
	memcpy(tracer->counts, counts, sizeof counts);
	tracer->url = config_text(config, "trace.url");
	tracer->authority = config_text(config, "trace.ca");
	tracer->service = settings->service;
	tracer->instance = name_instance(settings->instance);
	tracer->one_of = (uint32_t)config_number(config, "trace.one.of");
	cut_headers(config_text(config, "trace.headers"), tracer->headers, err);
	pthread_mutex_init(&tracer->lock, NULL);
	clock_condition_init(&tracer->changed);
	if (pthread_create(&tracer->thread, NULL, send_chunks, tracer) != 0) {
		destroy(tracer);
		return error_fatal(err, EX_OSERR, "no thread for traces");
	}
	the_tracer = tracer;
	return 0;
}

void
tracer_stop(void)
{
	struct timespec until = clock_after(STOP_MS);
	struct tracer *tracer = the_tracer;

	if (tracer == NULL)
		return;
	pthread_mutex_lock(&tracer->lock);
	tracer->is_stopping = true;
	pthread_cond_broadcast(&tracer->changed);
	while (!tracer->is_ended &&
	    pthread_cond_timedwait(&tracer->changed, &tracer->lock, &until) !=
		ETIMEDOUT)
		;
	tracer->aborts = true;
	pthread_mutex_unlock(&tracer->lock);
	pthread_join(tracer->thread, NULL);
	the_tracer = NULL;
	destroy(tracer);
}

bool
tracer_is_on(void)
{
	return the_tracer != NULL;
}

/* Spans ------------------------------------------------------------------- */

/* The same by whoever is asked of a run: its id's end is as good as random. */
static bool
is_chosen(const struct tracer *tracer, const struct uuid *run)
{
	uint32_t last;

	memcpy(
	    &last, run->bytes + sizeof run->bytes - sizeof last, sizeof last);
	return last % tracer->one_of == 0;
}

bool
tracer_begin(struct text header, const struct uuid *run, const char *name,
    struct trace_span *span)
{
	if (the_tracer == NULL)
		return false;
	*span = (struct trace_span){ .name = name, .begun_ns = trace_now_ns() };
	span->has_parent =
	    header.at != NULL && trace_context_read(header, &span->own);
	if (span->has_parent) {
		memcpy(span->parent, span->own.span, sizeof span->parent);
	} else {
		memcpy(span->own.trace, run->bytes, sizeof span->own.trace);
		span->own.is_sampled = is_chosen(the_tracer, run);
	}
	if (!span->own.is_sampled)
		return false;
	trace_span_id(run, name, 0, span->own.span);
	return true;
}

void
trace_span_below(const struct trace_span *above, const struct uuid *id,
    const char *name, int64_t number, struct trace_span *span)
{
	*span = (struct trace_span){ .own = above->own,
		.has_parent = true,
		.name = name,
		.kind = TRACE_INTERNAL,
		.begun_ns = trace_now_ns() };
	memcpy(span->parent, above->own.span, sizeof span->parent);
	trace_span_id(id, name, number, span->own.span);
}

/* The lock is held.  The chunk that has room for one more; NULL: none. */
static struct chunk *
find_room(struct tracer *tracer)
{
	struct chunk *chunk;

	if (tracer->n_chunks > 0) {
		chunk = &tracer->chunks[(tracer->first + tracer->n_chunks - 1) %
		    CHUNKS];
		if (chunk->n < CHUNK_SPANS)
			return chunk;
	}
	if (tracer->n_chunks == CHUNKS)
		return NULL;
	chunk = &tracer->chunks[(tracer->first + tracer->n_chunks++) % CHUNKS];
	chunk->since_ms = clock_monotonic_ms();
	otlp_open(&chunk->body, tracer->service, tracer->instance);
	return chunk;
}

void
tracer_add(
    const struct trace_span *span, const struct trace_attribute *attributes)
{
	struct tracer *tracer = the_tracer;
	struct chunk *chunk;

	pthread_mutex_lock(&tracer->lock);
	chunk = find_room(tracer);
	if (chunk != NULL) {
		otlp_span(&chunk->body, span, attributes);
		chunk->n++;
		if (chunk->n == 1 || chunk->n == CHUNK_SPANS)
			pthread_cond_signal(&tracer->changed);
	}
	pthread_mutex_unlock(&tracer->lock);
	if (chunk == NULL)
		count(tracer, DROPPED, 1);
}
