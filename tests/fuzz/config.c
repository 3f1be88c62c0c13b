/* A configuration file. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/config/config.h"
#include "tests/fuzz/fuzz.h"

static char path[] = "/tmp/schedrun-fuzz-config-XXXXXX";

static void
remove_file(void)
{
	unlink(path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static int fd = -1;
	struct buffer out = { 0 };
	struct error err = { 0 };
	struct config *config;

	if (fd < 0) {
		fd = mkstemp(path);
		atexit(remove_file);
	}
	assert(fd >= 0);
	if (ftruncate(fd, 0) != 0 ||
	    pwrite(fd, bytes, size, 0) != (ssize_t)size)
		return 0;
	config = config_load(path, NULL, 0, &err);
	if (config != NULL)
		config_print(config, &out);
	else
		assert(err.kind == ERROR_FATAL && err.message[0] != '\0');
	buffer_finish(&out);
	config_destroy(config);
	return 0;
}
