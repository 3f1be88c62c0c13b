/*
 * What libraries call past TSan, by calls that it knows.  Only in a build for
 * it.
 *
 * librdkafka's calls of <threads.h>: of a thread that thrd_create makes TSan
 * has no state and crashes, and what mtx_lock orders would be a race.
 *
 * libuv's close by syscall(): the number stays libuv's for TSan, and whoever is
 * given it next and closes it would race with libuv.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#define SYSCALL_ARGUMENTS 6

struct start {
	thrd_start_t entry;
	void *argument;
};

static int
result_of(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ENOMEM:
		return thrd_nomem;
	case ETIMEDOUT:
		return thrd_timedout;
	default:
		return thrd_error;
	}
}

static void *
enter(void *opaque)
{
	struct start start = *(struct start *)opaque;

	free(opaque);
	return (void *)(intptr_t)start.entry(start.argument);
}

int
thrd_create(thrd_t *thread, thrd_start_t entry, void *argument)
{
	struct start *start = malloc(sizeof *start);
	int error;

	if (start == NULL)
		return thrd_nomem;
	*start = (struct start){ entry, argument };
	error = pthread_create(thread, NULL, enter, start);
	if (error != 0)
		free(start);
	return result_of(error);
}

int
thrd_join(thrd_t thread, int *result)
{
	void *value = NULL;
	int error = pthread_join(thread, &value);

	if (error == 0 && result != NULL)
		*result = (int)(intptr_t)value;
	return result_of(error);
}

/* glibc's mtx_t and cnd_t are its pthread types by another name. */
#define MUTEX(mutex) ((pthread_mutex_t *)(void *)(mutex))
#define CONDITION(condition) ((pthread_cond_t *)(void *)(condition))
_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "of one size");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "of one size");

int
mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attributes;
	int error;

	pthread_mutexattr_init(&attributes);
	if ((type & mtx_recursive) != 0)
		pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	error = pthread_mutex_init(MUTEX(mutex), &attributes);
	pthread_mutexattr_destroy(&attributes);
	return result_of(error);
}

void
mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy(MUTEX(mutex));
}

int
mtx_lock(mtx_t *mutex)
{
	return result_of(pthread_mutex_lock(MUTEX(mutex)));
}

int
mtx_trylock(mtx_t *mutex)
{
	return result_of(pthread_mutex_trylock(MUTEX(mutex)));
}

int
mtx_unlock(mtx_t *mutex)
{
	return result_of(pthread_mutex_unlock(MUTEX(mutex)));
}

int
cnd_init(cnd_t *condition)
{
	return result_of(pthread_cond_init(CONDITION(condition), NULL));
}

void
cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy(CONDITION(condition));
}

int
cnd_signal(cnd_t *condition)
{
	return result_of(pthread_cond_signal(CONDITION(condition)));
}

int
cnd_broadcast(cnd_t *condition)
{
	return result_of(pthread_cond_broadcast(CONDITION(condition)));
}

int
cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return result_of(pthread_cond_wait(CONDITION(condition), MUTEX(mutex)));
}

int
cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	return result_of(
	    pthread_cond_timedwait(CONDITION(condition), MUTEX(mutex), until));
}

long
syscall(long number, ...)
{
	long (*next)(long, ...) =
	    (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	long with[SYSCALL_ARGUMENTS];
	va_list arguments;
	int i;

	va_start(arguments, number);
	for (i = 0; i < SYSCALL_ARGUMENTS; i++)
		with[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_close)
		return close((int)with[0]);
	return next(
	    number, with[0], with[1], with[2], with[3], with[4], with[5]);
}
