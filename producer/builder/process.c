#include "producer/builder/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/memory.h"

#define ANSWER_MAX 65536
#define TAIL_SIZE 3000
#define TAIL_LINES 20
#define REST_MAX (1 << 20) /* that is read of a pipe after the end */
#define NOT_STARTED 127
#define DESCRIPTOR_MIN 10 /* above those that the child is given */

enum { CHILD_INPUT, CHILD_OUTPUT, CHILD_ERROR, CHILD_ANSWER, CHILD_FILES };

struct process {
	struct process_settings settings;
	int input, answer_file; /* without names */
	int output;             /* the pipe that it writes to */
	int child_output;
	int log;
	int64_t logged;
	bool is_cut;
	pthread_t thread;
	pthread_mutex_t lock;
	pid_t pid; /* under the lock; 0: none, or its number is free again */
	atomic_bool ended;
	int code;
	char answer[ANSWER_MAX];
	size_t answer_size;
	char tail[TAIL_SIZE];
	size_t tail_size;
};

/* Of the child and all that it begins, and not to be raised by them; 0: as it
 * is. */
static int
limit(int resource, int64_t most)
{
	struct rlimit limits;

	if (most == 0)
		return 0;
	if (getrlimit(resource, &limits) != 0)
		return -1;
	if ((rlim_t)most < limits.rlim_max)
		limits.rlim_max = (rlim_t)most;
	limits.rlim_cur = limits.rlim_max;
	return setrlimit(resource, &limits);
}

/* In the child: nothing that isn't safe after a fork of a threaded process. */
static _Noreturn void
become_command(const struct process *process, pid_t parent)
{
	const int from[CHILD_FILES] = { process->input, process->child_output,
		process->child_output, process->answer_file };
	const struct job_command *command = process->settings.command;
	sigset_t none;
	int i;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* A job that nobody waits for would go on beside its own repetition. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NOT_STARTED);
	for (i = 0; i < CHILD_FILES; i++)
		if (dup2(from[i], i) < 0)
			_exit(NOT_STARTED);
	closefrom(CHILD_FILES);
	if (limit(RLIMIT_AS, command->limits.memory) == 0 &&
	    limit(RLIMIT_NOFILE, command->limits.files) == 0)
		execve(command->argv[0], command->argv, process->settings.envp);
	dprintf(CHILD_ERROR, "schedrun-builder: %s: %s\n", command->argv[0],
	    strerror(errno));
	_exit(NOT_STARTED);
}

static void
keep_tail(struct process *process, const char *at, size_t size)
{
	size_t kept = process->tail_size;

	if (size > TAIL_SIZE) {
		at += size - TAIL_SIZE;
		size = TAIL_SIZE;
	}
	if (kept + size > TAIL_SIZE) {
		size_t gone = kept + size - TAIL_SIZE;

		memmove(process->tail, process->tail + gone, kept - gone);
		kept -= gone;
	}
	memcpy(process->tail + kept, at, size);
	process->tail_size = kept + size;
}

/* A full disk is no reason to stop the job: its file ends there. */
static void
write_log(struct process *process, const char *at, size_t size)
{
	static const char note[] = "\nschedrun-builder: builder.logs.max is "
				   "reached, the rest is left out\n";
	int64_t room = process->settings.log_max - process->logged;
	ssize_t written;

	if (process->is_cut)
		return;
	process->is_cut = (int64_t)size > room;
	if (process->is_cut)
		size = room > 0 ? (size_t)room : 0;
	written = write(process->log, at, size);
	process->logged += written > 0 ? written : 0;
	if (process->is_cut && write(process->log, note, sizeof note - 1) < 0)
		return;
}

/* What is in the pipe now, `max` bytes at most; false at its end. */
static bool
read_output(struct process *process, size_t max)
{
	char bytes[65536];
	ssize_t n = 1;

	while (n > 0 && max > 0) {
		n = read(process->output, bytes,
		    max < sizeof bytes ? max : sizeof bytes);
		if (n <= 0)
			continue;
		max -= (size_t)n;
		keep_tail(process, bytes, (size_t)n);
		write_log(process, bytes, (size_t)n);
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Until the child itself ends: others may hold its pipe for longer. */
static void
follow_child(struct process *process, int handle)
{
	struct pollfd waits[] = { { .fd = handle, .events = POLLIN },
		{ .fd = process->output, .events = POLLIN } };

	while (waits[0].revents == 0) {
		if (poll(waits, 2, -1) < 0)
			continue;
		if (waits[1].revents != 0 && !read_output(process, REST_MAX))
			waits[1].fd = -1;
	}
}

/*
 * The group goes before the child is waited for: until then its number is
 * nobody else's.
 */
static int
end_group(struct process *process)
{
	int status = 0;

	pthread_mutex_lock(&process->lock);
	kill(-process->pid, SIGKILL);
	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
	pthread_mutex_unlock(&process->lock);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
read_answer(struct process *process)
{
	ssize_t n = pread(
	    process->answer_file, process->answer, sizeof process->answer, 0);

	process->answer_size = n > 0 ? (size_t)n : 0;
}

static void
fork_child(struct process *process)
{
	pid_t parent = getpid(), pid;

	pthread_mutex_lock(&process->lock);
	pid = fork();
	if (pid == 0)
		become_command(process, parent);
	if (pid > 0)
		setpgid(pid, pid);
	process->pid = pid > 0 ? pid : 0;
	pthread_mutex_unlock(&process->lock);
}

static void
close_file(int *file)
{
	if (*file >= 0)
		close(*file);
	*file = -1;
}

/*
 * The thread that forks stays until the end: the kernel kills the child with
 * it, not with the process.
 */
static void *
run_child(void *argument)
{
	struct process *process = argument;
	int handle = -1;

	fork_child(process);
	close_file(&process->child_output);
	process->code = NOT_STARTED;
	if (process->pid > 0)
		handle = pidfd_open(process->pid, 0);
	if (handle >= 0)
		follow_child(process, handle);
	if (process->pid > 0)
		process->code = end_group(process);
	close_file(&handle);
	read_output(process, REST_MAX);
	read_answer(process);
	atomic_store(&process->ended, true);
	process->settings.ended(process->settings.argument);
	return NULL;
}

/* Out of the way of those that the child is given. */
static int
move_up(int file)
{
	int moved = -1;

	if (file >= 0)
		moved = fcntl(file, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
	close_file(&file);
	return moved;
}

/* A file without a name, beside the log. */
static int
open_nameless(const char *log)
{
	char path[4096];
	int file;

	if (snprintf(path, sizeof path, "%s.XXXXXX", log) >= (int)sizeof path)
		return -1;
	file = mkstemp(path);
	if (file >= 0)
		unlink(path);
	return move_up(file);
}

static int
write_input(int file, struct text input)
{
	while (input.size > 0) {
		ssize_t n = write(file, input.at, input.size);

		if (n <= 0)
			return -1;
		input.at += n;
		input.size -= (size_t)n;
	}
	return lseek(file, 0, SEEK_SET) == 0 ? 0 : -1;
}

static int
open_files(struct process *process)
{
	const char *log = process->settings.log;
	struct stat stat;
	int ends[2];

	process->log = open(
	    log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (process->log < 0 || fstat(process->log, &stat) != 0)
		return -1;
	/* So that old_logs.c leaves it alone. */
	flock(process->log, LOCK_SH | LOCK_NB);
	process->logged = stat.st_size;
	process->input = open_nameless(log);
	process->answer_file = open_nameless(log);
	if (process->input < 0 || process->answer_file < 0 ||
	    write_input(process->input, process->settings.input) != 0 ||
	    pipe(ends) != 0)
		return -1;
	process->output = move_up(ends[0]);
	process->child_output = move_up(ends[1]);
	if (process->output < 0 || process->child_output < 0)
		return -1;
	return fcntl(process->output, F_SETFL, O_NONBLOCK);
}

static void
free_process(struct process *process)
{
	close_file(&process->input);
	close_file(&process->answer_file);
	close_file(&process->output);
	close_file(&process->child_output);
	close_file(&process->log);
	pthread_mutex_destroy(&process->lock);
	free(process);
}

struct process *
process_start(const struct process_settings *settings, struct error *err)
{
	struct process *process = memory_zalloc(1, sizeof *process);

	process->settings = *settings;
	process->input = process->answer_file = process->log = -1;
	process->output = process->child_output = -1;
	pthread_mutex_init(&process->lock, NULL);
	if (open_files(process) == 0 &&
	    pthread_create(&process->thread, NULL, run_child, process) == 0)
		return process;
	error_set(err, ERROR_RETRY, "%s: %s", settings->log, strerror(errno));
	free_process(process);
	return NULL;
}

void
process_signal(struct process *process, int number)
{
	pthread_mutex_lock(&process->lock);
	if (process->pid > 0)
		kill(-process->pid, number);
	pthread_mutex_unlock(&process->lock);
}

bool
process_has_ended(const struct process *process)
{
	return atomic_load(&process->ended);
}

int
process_code(const struct process *process)
{
	return process->code;
}

struct text
process_answer(const struct process *process)
{
	return (struct text){ process->answer, process->answer_size };
}

struct text
process_tail(const struct process *process)
{
	size_t lines = 0, i = process->tail_size;

	/* A break at the very end closes the last line and begins none. */
	while (i > 0) {
		if (process->tail[i - 1] == '\n' && i < process->tail_size &&
		    ++lines == TAIL_LINES)
			break;
		i--;
	}
	return (struct text){ process->tail + i, process->tail_size - i };
}

void
process_destroy(struct process *process)
{
	if (process == NULL)
		return;
	pthread_join(process->thread, NULL);
	free_process(process);
}
