#include "worker/base/worker_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

#define SLOTS 1000
#define EX_CONFIG 78

/* 0 locked, 1 somebody has it, -1 it can't be. */
static int
try_slot(const char *path)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool taken;

	if (file < 0)
		return errno == EACCES || errno == EPERM ? 1 : -1;
	if (flock(file, LOCK_EX | LOCK_NB) == 0)
		return 0; /* held open until the process ends */
	taken = errno == EWOULDBLOCK;
	close(file);
	return taken ? 1 : -1;
}

char *
worker_id_take(const char *configured, const char *group, struct error *err)
{
	const char *directory = getenv("RUNTIME_DIRECTORY");
	char host[256] = "";
	struct buffer path = { 0 }, id = { 0 };
	int slot, rc = 1;

	if (configured != NULL)
		return memory_copy_string(configured);
	if (gethostname(host, sizeof host - 1) != 0)
		snprintf(host, sizeof host, "localhost");
	for (slot = 0; slot < SLOTS && rc == 1; slot++) {
		buffer_reset(&path);
		buffer_format(&path, "%s/schedrun-%s-%d.lock",
		    directory != NULL ? directory : "/tmp", group, slot);
		buffer_byte(&path, '\0');
		rc = try_slot(path.at);
	}
	if (rc == 0) {
		buffer_format(&id, "%s-%d", host, slot - 1);
		buffer_byte(&id, '\0');
	} else {
		error_fatal(err, EX_CONFIG,
		    "no slot for this worker: %s: %s; set worker.id", path.at,
		    strerror(errno));
	}
	buffer_finish(&path);
	return id.at;
}
