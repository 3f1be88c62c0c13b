#include "common/base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program_name;
static int failure_code;
static int first_errno; /* of what could not be written; 0: nothing */

int
output_write(struct text text)
{
	bool is_out = fwrite(text.at, 1, text.size, stdout) == text.size &&
	    fflush(stdout) == 0;

	if (!is_out && first_errno == 0)
		first_errno = errno;
	return ferror(stdout) == 0 ? 0 : -1;
}

/* What argp has printed is still in stdio's buffer. */
static void
tell_failure(int code, void *unused)
{
	(void)unused;
	if (output_write(TEXT("")) == 0)
		return;
	fprintf(stderr, "%s: the output can't be written: %s\n", program_name,
	    strerror(first_errno));
	_exit(code == 0 ? failure_code : code);
}

/*
 * open() gives the lowest number that is free: the one just found closed, as
 * those below it are open by now.  The mode is the one that its use refuses.
 */
static void
fill_descriptor(int descriptor)
{
	if (fcntl(descriptor, F_GETFD) >= 0)
		return;
	if (open("/dev/null",
		descriptor == STDOUT_FILENO ? O_RDONLY : O_WRONLY) !=
	    descriptor)
		_exit(failure_code);
}

void
output_guard(const char *program, int exit_code)
{
	program_name = program;
	failure_code = exit_code;
	fill_descriptor(STDIN_FILENO);
	fill_descriptor(STDOUT_FILENO);
	fill_descriptor(STDERR_FILENO);
	on_exit(tell_failure, NULL);
}
