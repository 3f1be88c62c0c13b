#ifndef SCHEDRUN_PRODUCER_CATALOGUE_PROGRESS_H
#define SCHEDRUN_PRODUCER_CATALOGUE_PROGRESS_H

#include <stddef.h>

/* Who is told how far an apply has come; `tell` NULL: nobody. */
struct apply_progress {
	void (*tell)(
	    void *context, const char *what, size_t done, size_t total);
	void *context;
};

static inline void
apply_progress_tell(const struct apply_progress *progress, const char *what,
    size_t done, size_t total)
{
	if (progress != NULL && progress->tell != NULL)
		progress->tell(progress->context, what, done, total);
}

#endif
