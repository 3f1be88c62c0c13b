#include "common/config/daemon.h"

#include <pthread.h>

#include "common/base/log.h"

#define EX_SOFTWARE 70
#define EX_UNAVAILABLE 69

void
daemon_block_signals(sigset_t *heard)
{
	sigemptyset(heard);
	sigaddset(heard, SIGTERM);
	sigaddset(heard, SIGINT);
	sigaddset(heard, SIGHUP);
	pthread_sigmask(SIG_BLOCK, heard, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int
daemon_end_by_error(const char *component, const struct error *err)
{
	log_event(
	    LOG_ERROR, component, "ended_by_error", err->message, LOG_END);
	if (err->exit_code != 0)
		return err->exit_code;
	return err->kind == ERROR_RETRY ? EX_UNAVAILABLE : EX_SOFTWARE;
}
