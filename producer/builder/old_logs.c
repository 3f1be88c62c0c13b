#include "producer/builder/old_logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/crypto/rid.h"

#define EVERY_MS 3600000
#define FRESH_S 60 /* a folder that is just made has no file yet */

struct old_logs {
	struct old_logs_settings settings;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_over;
};

/* A build's folder. */
struct kept {
	char name[UUID_TEXT_SIZE + 1];
	int64_t changed_s; /* Unix time, of the youngest in it */
	int64_t size;
};

struct kept_list {
	struct kept *at;
	size_t n, room;
	int64_t size;
};

static bool
is_build(const char *name)
{
	struct uuid uuid;

	return uuid_parse(text_from(name), &uuid);
}

/* "12.log" */
static bool
is_log(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && strcmp(name + digits, ".log") == 0;
}

struct folder {
	int file; /* the stream's own */
	DIR *stream;
};

static bool
open_folder(int parent, const char *name, struct folder *folder)
{
	folder->file = openat(
	    parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->file < 0)
		return false;
	folder->stream = fdopendir(folder->file);
	if (folder->stream == NULL)
		close(folder->file);
	return folder->stream != NULL;
}

static void
measure_file(int folder, const char *name, struct kept *kept)
{
	struct stat stat;

	if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (stat.st_mtime > kept->changed_s)
		kept->changed_s = stat.st_mtime;
	if (is_log(name))
		kept->size += stat.st_size;
}

static void
measure_build(int parent, const char *name, struct kept_list *list)
{
	struct folder folder;
	const struct dirent *entry;
	struct kept kept = { .changed_s = 0 };

	if (!open_folder(parent, name, &folder))
		return;
	memcpy(kept.name, name, sizeof kept.name); /* is_build */
	measure_file(folder.file, ".", &kept);
	while ((entry = readdir(folder.stream)) != NULL)
		if (is_log(entry->d_name))
			measure_file(folder.file, entry->d_name, &kept);
	closedir(folder.stream);
	if (list->n == list->room) {
		list->room = list->room * 2 + 64;
		list->at =
		    memory_resize(list->at, list->room, sizeof *list->at);
	}
	list->at[list->n++] = kept;
	list->size += kept.size;
}

/* False: a job writes it. */
static bool
remove_log(int folder, const char *name)
{
	int file = openat(
	    folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool removed = file < 0 || flock(file, LOCK_EX | LOCK_NB) == 0;

	if (removed)
		removed = unlinkat(folder, name, 0) == 0;
	if (file >= 0)
		close(file);
	return removed;
}

/* Whether it is gone: what stays in it is not ours, or is written. */
static bool
remove_build(int parent, const struct kept *kept)
{
	struct folder folder;
	const struct dirent *entry;

	if (!open_folder(parent, kept->name, &folder))
		return false;
	while ((entry = readdir(folder.stream)) != NULL)
		if (is_log(entry->d_name))
			remove_log(folder.file, entry->d_name);
	closedir(folder.stream);
	return unlinkat(parent, kept->name, AT_REMOVEDIR) == 0;
}

static int
compare_kept(const void *left, const void *right)
{
	const struct kept *x = left, *y = right;

	return (x->changed_s > y->changed_s) - (x->changed_s < y->changed_s);
}

/* The oldest first, until one is neither too old nor too much. */
static void
remove_first(const struct old_logs_settings *settings, int parent,
    struct kept_list *list)
{
	int64_t now = clock_wall_ms() / 1000, size = 0;
	size_t n = 0, i;

	if (list->n > 0)
		qsort(list->at, list->n, sizeof *list->at, compare_kept);
	for (i = 0; i < list->n; i++) {
		const struct kept *kept = &list->at[i];
		int64_t age = now - kept->changed_s;

		if (age < FRESH_S ||
		    !((settings->age_ms > 0 && age > settings->age_ms / 1000) ||
			(settings->total > 0 && list->size > settings->total)))
			break;
		if (!remove_build(parent, kept))
			continue;
		list->size -= kept->size;
		size += kept->size;
		n++;
	}
	if (n > 0)
		log_event(LOG_INFO, "builder", "logs_removed",
		    "what the jobs of old builds have written is removed",
		    LOG_I("builds", n), LOG_I("bytes", size), LOG_END);
}

static void
remove_old(const struct old_logs_settings *settings)
{
	struct folder parent;
	struct kept_list list = { .n = 0 };
	const struct dirent *entry;

	if (!open_folder(AT_FDCWD, settings->folder, &parent))
		return;
	while ((entry = readdir(parent.stream)) != NULL)
		if (is_build(entry->d_name))
			measure_build(parent.file, entry->d_name, &list);
	remove_first(settings, parent.file, &list);
	closedir(parent.stream);
	free(list.at);
}

/* False: it is over. */
static bool
wait_an_hour(struct old_logs *logs)
{
	struct timespec until = clock_after(EVERY_MS);
	bool is_over;

	pthread_mutex_lock(&logs->lock);
	if (!logs->is_over)
		pthread_cond_timedwait(&logs->changed, &logs->lock, &until);
	is_over = logs->is_over;
	pthread_mutex_unlock(&logs->lock);
	return !is_over;
}

static void *
keep_removing(void *argument)
{
	struct old_logs *logs = argument;

	do
		remove_old(&logs->settings);
	while (wait_an_hour(logs));
	return NULL;
}

struct old_logs *
old_logs_start(const struct old_logs_settings *settings)
{
	struct old_logs *logs = memory_zalloc(1, sizeof *logs);

	logs->settings = *settings;
	pthread_mutex_init(&logs->lock, NULL);
	clock_condition_init(&logs->changed);
	if (pthread_create(&logs->thread, NULL, keep_removing, logs) != 0)
		abort();
	return logs;
}

void
old_logs_end(struct old_logs *logs)
{
	if (logs == NULL)
		return;
	pthread_mutex_lock(&logs->lock);
	logs->is_over = true;
	pthread_cond_signal(&logs->changed);
	pthread_mutex_unlock(&logs->lock);
	pthread_join(logs->thread, NULL);
	pthread_cond_destroy(&logs->changed);
	pthread_mutex_destroy(&logs->lock);
	free(logs);
}
