#include "common/http/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <uv.h>

#include "common/base/memory.h"

/* One call that another thread asked for. */
struct post {
	loop_call *call;
	void *argument;
};

struct posts {
	struct post *at;
	size_t n, capacity;
};

struct loop_timer {
	uv_timer_t timer;
	loop_call *call;
	void *argument;
};

struct loop_event {
	uv_poll_t poll;
	int fd;
	loop_call *call;
	void *argument;
};

struct signal_watch {
	uv_signal_t signal;
	loop_call *call;
	void *argument;
	struct signal_watch *next;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_mutex_t lock; /* of `posted` */
	struct posts posted;  /* filled by any thread */
	struct posts taken;   /* being run; swapped with `posted` */
	struct signal_watch *signals;
};

static void
run_posts(struct loop *loop)
{
	struct posts posts;
	size_t i;

	pthread_mutex_lock(&loop->lock);
	posts = loop->posted;
	loop->posted = loop->taken;
	loop->posted.n = 0;
	pthread_mutex_unlock(&loop->lock);
	for (i = 0; i < posts.n; i++)
		posts.at[i].call(posts.at[i].argument);
	loop->taken = posts;
}

static void
on_wake(uv_async_t *wake)
{
	run_posts(wake->data);
}

struct loop *
loop_create(struct error *err)
{
	struct loop *loop = memory_zalloc(1, sizeof *loop);
	int rc;

	rc = uv_loop_init(&loop->uv);
	if (rc != 0) {
		error_fatal(err, 71, "event loop: %s", uv_strerror(rc));
		free(loop);
		return NULL;
	}
	rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (rc != 0) {
		error_fatal(err, 71, "event loop: %s", uv_strerror(rc));
		uv_loop_close(&loop->uv);
		free(loop);
		return NULL;
	}
	loop->wake.data = loop;
	pthread_mutex_init(&loop->lock, NULL);
	return loop;
}

static void
close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

void
loop_destroy(struct loop *loop)
{
	struct signal_watch *watch;

	if (loop == NULL)
		return;
	run_posts(loop);
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	while ((watch = loop->signals) != NULL) {
		loop->signals = watch->next;
		free(watch);
	}
	pthread_mutex_destroy(&loop->lock);
	free(loop->posted.at);
	free(loop->taken.at);
	free(loop);
}

void
loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void
loop_post(struct loop *loop, loop_call *call, void *argument)
{
	struct posts *posts = &loop->posted;

	pthread_mutex_lock(&loop->lock);
	if (posts->n == posts->capacity) {
		posts->capacity = posts->capacity * 2 + 16;
		posts->at =
		    realloc(posts->at, posts->capacity * sizeof *posts->at);
		if (posts->at == NULL)
			_Exit(71);
	}
	posts->at[posts->n++] = (struct post){ call, argument };
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->wake);
}

void
loop_flush(struct loop *loop)
{
	run_posts(loop);
}

static void
on_timer(uv_timer_t *uv)
{
	struct loop_timer *timer = uv->data;

	timer->call(timer->argument);
}

struct loop_timer *
loop_timer_start(struct loop *loop, int64_t first_ms, int64_t repeat_ms,
    loop_call *call, void *argument)
{
	struct loop_timer *timer = memory_zalloc(1, sizeof *timer);

	timer->call = call;
	timer->argument = argument;
	uv_timer_init(&loop->uv, &timer->timer);
	timer->timer.data = timer;
	uv_timer_start(&timer->timer, on_timer,
	    (uint64_t)(first_ms > 0 ? first_ms : 0), (uint64_t)repeat_ms);
	return timer;
}

void
loop_timer_stop(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	uv_timer_stop(&timer->timer);
	uv_close((uv_handle_t *)&timer->timer, free_handle);
}

static void
on_signal(uv_signal_t *uv, int signum)
{
	struct signal_watch *watch = uv->data;

	(void)signum;
	watch->call(watch->argument);
}

void
loop_on_signal(struct loop *loop, int signum, loop_call *call, void *argument)
{
	struct signal_watch *watch = memory_zalloc(1, sizeof *watch);

	watch->call = call;
	watch->argument = argument;
	watch->next = loop->signals;
	loop->signals = watch;
	uv_signal_init(&loop->uv, &watch->signal);
	watch->signal.data = watch;
	uv_signal_start(&watch->signal, on_signal, signum);
}

static void
on_event(uv_poll_t *uv, int status, int events)
{
	struct loop_event *event = uv->data;
	uint64_t count;

	(void)status;
	(void)events;
	if (read(event->fd, &count, sizeof count) < 0)
		return; /* somebody was faster: nothing to do */
	event->call(event->argument);
}

struct loop_event *
loop_event_start(struct loop *loop, loop_call *call, void *argument)
{
	struct loop_event *event = memory_zalloc(1, sizeof *event);

	event->call = call;
	event->argument = argument;
	event->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event->fd < 0)
		memory_exhausted(); /* descriptors, in this case */
	uv_poll_init(&loop->uv, &event->poll, event->fd);
	event->poll.data = event;
	uv_poll_start(&event->poll, UV_READABLE, on_event);
	return event;
}

int
loop_event_fd(const struct loop_event *event)
{
	return event->fd;
}

void
loop_event_stop(struct loop_event *event)
{
	if (event == NULL)
		return;
	uv_poll_stop(&event->poll);
	close(event->fd);
	uv_close((uv_handle_t *)&event->poll, free_handle);
}

int64_t
loop_now_ms(const struct loop *loop)
{
	return (int64_t)uv_now(&loop->uv);
}

void *
loop_handle(struct loop *loop)
{
	return &loop->uv;
}
