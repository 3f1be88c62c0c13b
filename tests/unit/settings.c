#include "tests/unit/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config *
settings_load(const char *text, struct error *err)
{
	char path[] = "/tmp/schedrun-settings-XXXXXX";
	int fd = mkstemp(path);
	struct config *config;
	ssize_t written;

	assert(fd >= 0);
	written = write(fd, text, strlen(text));
	assert(written == (ssize_t)strlen(text));
	close(fd);
	config = config_load(path, NULL, 0, err);
	unlink(path);
	return config;
}
