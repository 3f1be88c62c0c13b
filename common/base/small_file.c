#include "common/base/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that grows meanwhile is read up to the size that was promised. */
static int
read_all(int fd, size_t size, struct buffer *out)
{
	char *at = buffer_reserve(out, size + 1);
	ssize_t n = 1;

	while (n > 0 && out->size < size) {
		n = read(fd, at + out->size, size - out->size);
		if (n > 0)
			out->size += (size_t)n;
	}
	return n < 0 ? -1 : 0;
}

int
small_file_read(const char *path, size_t size_max, struct buffer *out,
    bool *exposed, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
	struct stat about;

	if (fd < 0 || fstat(fd, &about) != 0) {
		rc = error_set(
		    err, ERROR_INPUT, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(about.st_mode) ||
	    (size_t)about.st_size > size_max) {
		rc = error_set(err, ERROR_INPUT,
		    "%s: not a regular file of at most %zu bytes", path,
		    size_max);
	} else {
		rc = read_all(fd, (size_t)about.st_size, out);
		*exposed = (about.st_mode & S_IROTH) != 0;
		if (rc != 0)
			error_set(
			    err, ERROR_INPUT, "%s: %s", path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}
