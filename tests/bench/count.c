#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Preloaded into a program: counts its allocations and the system calls that
 * its bytes take, by who asks for them, in the file that BENCH_COUNTS names
 * (struct counts).  How often is no matter of the machine's speed, so that
 * tests can hold it against a bound.
 */
enum asker { PROGRAM, HIREDIS, LIBRDKAFKA, OTHER, ASKERS };

struct counts {
	atomic_uint_least64_t allocations[ASKERS];
	atomic_uint_least64_t bytes[ASKERS];
	atomic_uint_least64_t calls[ASKERS];
};

static struct counts nowhere, *counts = &nowhere;
static struct {
	uintptr_t begin, end;
} texts[OTHER];

static enum asker
asker_of(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	enum asker asker;

	for (asker = PROGRAM; asker < OTHER; asker++)
		if (at >= texts[asker].begin && at < texts[asker].end)
			break;
	return asker;
}

static int
note_object(struct dl_phdr_info *info, size_t size, void *first)
{
	enum asker asker = OTHER;
	int i;

	(void)size;
	if (*(int *)first)
		asker = PROGRAM;
	else if (strstr(info->dlpi_name, "/libhiredis") != NULL)
		asker = HIREDIS;
	else if (strstr(info->dlpi_name, "/librdkafka") != NULL)
		asker = LIBRDKAFKA;
	*(int *)first = 0;
	for (i = 0; asker < OTHER && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
			continue;
		texts[asker].begin = info->dlpi_addr + part->p_vaddr;
		texts[asker].end = texts[asker].begin + part->p_memsz;
	}
	return 0;
}

__attribute__((constructor)) static void
open_counts(void)
{
	const char *path = getenv("BENCH_COUNTS");
	int fd = path != NULL ? open(path, O_RDWR) : -1, first = 1;
	void *shared;

	if (fd < 0)
		return;
	dl_iterate_phdr(note_object, &first);
	shared = mmap(
	    NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared != MAP_FAILED)
		counts = shared;
	close(fd);
}

/* Allocations ------------------------------------------------------------ */

#define CALLER asker_of(__builtin_return_address(0))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static void
count_allocation(enum asker asker, size_t size)
{
	atomic_fetch_add_explicit(
	    &counts->allocations[asker], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(
	    &counts->bytes[asker], size, memory_order_relaxed);
}

void *
malloc(size_t size)
{
	count_allocation(CALLER, size);
	return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	count_allocation(CALLER, n * size);
	return __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	count_allocation(CALLER, size);
	return __libc_realloc(old, size);
}

/* System calls ----------------------------------------------------------- */

/* A function of libc by this name, which counts and then calls it. */
#define COUNTED(type, name, parameters, ...)                                   \
	type name parameters;                                                  \
	type name parameters                                                   \
	{                                                                      \
		static type(*real) parameters;                                 \
                                                                               \
		if (real == NULL)                                              \
			*(void **)&real = dlsym(RTLD_NEXT, #name);             \
		atomic_fetch_add_explicit(                                     \
		    &counts->calls[CALLER], 1, memory_order_relaxed);          \
		return real(__VA_ARGS__);                                      \
	}

COUNTED(ssize_t, read, (int fd, void *to, size_t size), fd, to, size)
COUNTED(ssize_t, write, (int fd, const void *from, size_t size), fd, from, size)
COUNTED(ssize_t, readv, (int fd, const struct iovec *to, int n), fd, to, n)
COUNTED(ssize_t, writev, (int fd, const struct iovec *from, int n), fd, from, n)
COUNTED(ssize_t, recv, (int fd, void *to, size_t size, int flags), fd, to, size,
    flags)
COUNTED(ssize_t, send, (int fd, const void *from, size_t size, int flags), fd,
    from, size, flags)
COUNTED(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), fd,
    message, flags)
COUNTED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), fd,
    message, flags)
COUNTED(
    int, poll, (struct pollfd * fds, nfds_t n, int timeout), fds, n, timeout)
/* The same where the compiler knows how much room there is. */
COUNTED(ssize_t, __read_chk, (int fd, void *to, size_t size, size_t room), fd,
    to, size, room)
COUNTED(ssize_t, __recv_chk,
    (int fd, void *to, size_t size, size_t room, int flags), fd, to, size, room,
    flags)
COUNTED(int, __poll_chk,
    (struct pollfd * fds, nfds_t n, int timeout, size_t room), fds, n, timeout,
    room)
