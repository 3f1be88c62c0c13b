#ifndef SCHEDRUN_TESTS_SIM_STACK_H
#define SCHEDRUN_TESTS_SIM_STACK_H

#include <stddef.h>

#include "common/base/arena.h"

/*
 * What sanitizers are told of stacks that the program switches between by
 * itself; without them nothing.  One thread.
 *
 *     stack_leave(&mine, &other);
 *     swapcontext(...);
 *     stack_arrive(&mine, &other);      whoever it was that has left
 */
struct stack {
	const void *bottom;
	size_t size;
	void *hidden; /* ASan's frames beside it */
	void *thread; /* as which TSan sees it */
};

#if defined(__SANITIZE_THREAD__)
#define STACK_IS_THREAD
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STACK_IS_THREAD
#endif
#endif

#ifdef ARENA_WATCHED
/* As in the compilers' own headers, which not all of their packages have. */
void __asan_unpoison_memory_region(const volatile void *at, size_t size);
void __sanitizer_start_switch_fiber(
    void **hidden, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(
    void *hidden, const void **bottom, size_t *size);
#endif
#ifdef STACK_IS_THREAD
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

/* On which nobody stands any more, whatever is left there. */
static inline void
stack_renew(struct stack *stack, const void *bottom, size_t size)
{
#ifdef STACK_IS_THREAD
	if (stack->thread != NULL)
		__tsan_destroy_fiber(stack->thread);
	stack->thread = __tsan_create_fiber(0);
#endif
#ifdef ARENA_WATCHED
	__asan_unpoison_memory_region(bottom, size);
#endif
	stack->bottom = bottom;
	stack->size = size;
	stack->hidden = NULL;
}

static inline void
stack_leave(struct stack *from, const struct stack *onto)
{
	(void)from;
	(void)onto;
#ifdef ARENA_WATCHED
	__sanitizer_start_switch_fiber(&from->hidden, onto->bottom, onto->size);
#endif
#ifdef STACK_IS_THREAD
	if (from->thread == NULL)
		from->thread = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(onto->thread, 0);
#endif
}

static inline void
stack_arrive(struct stack *at, struct stack *from)
{
	(void)at;
	(void)from;
#ifdef ARENA_WATCHED
	__sanitizer_finish_switch_fiber(at->hidden, &from->bottom, &from->size);
#endif
}

#endif
