#include "common/http/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/check.h"

/* systemd's end of NOTIFY_SOCKET. */
static int
listen_as_systemd(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path,
	    "/tmp/schedrun-unit-notify.%ld", (long)getpid());
	unlink(address.sun_path);
	REQUIRE(fd >= 0 &&
	    bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return fd;
}

static void
end_listening(int fd)
{
	unlink(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

static bool
heard(int fd, const char *expected)
{
	char told[1024];
	ssize_t size = recv(fd, told, sizeof told - 1, 0);

	told[size > 0 ? size : 0] = '\0';
	return strcmp(told, expected) == 0;
}

static void
tells_systemd_what_is_waited_for(void)
{
	struct health *health = health_create();
	struct health_check *kafka = health_check(health, "kafka", 0);
	struct health_check *redis = health_check(health, "redis", 0);
	int fd = listen_as_systemd();

	health_tell_systemd(health, "READY=1\n");
	CHECK(heard(fd,
	    "READY=1\nSTATUS=waiting: kafka: not yet reported; "
	    "redis: not yet reported\nWATCHDOG=1"));
	health_ok(kafka);
	health_ok(redis);
	health_tell_systemd(health, "");
	CHECK(heard(fd, "STATUS=starting\nWATCHDOG=1"));
	health_doing(health, "filling: %d partitions", 3);
	health_tell_systemd(health, "");
	CHECK(heard(fd, "STATUS=filling: 3 partitions\nWATCHDOG=1"));
	health_bad(redis, "no route to %s", "it");
	health_tell_systemd(health, "");
	CHECK(heard(fd, "STATUS=waiting: redis: no route to it\nWATCHDOG=1"));
	health_drain(health);
	CHECK(heard(fd, "STOPPING=1\nSTATUS=draining\nWATCHDOG=1"));
	health_tell_systemd(health, "");
	CHECK(heard(fd, "STATUS=draining\nWATCHDOG=1"));
	end_listening(fd);
	health_destroy(health);
}

static void
keeps_the_watchdog_only_while_all_loops_turn(void)
{
	struct health *health = health_create();
	struct health_beat *turns = health_beat_start(health, "turns", 60000);
	int fd = listen_as_systemd();

	health_turn(turns);
	health_tell_systemd(health, "");
	CHECK(heard(fd, "STATUS=starting\nWATCHDOG=1"));
	health_beat_start(health, "was due before it began", -1);
	health_turn(turns);
	health_tell_systemd(health, "");
	CHECK(heard(fd, "STATUS=starting"));
	CHECK(!health_is_alive(health));
	end_listening(fd);
	health_destroy(health);
}

CU_TestInfo health_tests[] = {
	{ "tells systemd what is waited for",
	    tells_systemd_what_is_waited_for },
	{ "keeps the watchdog only while all loops turn",
	    keeps_the_watchdog_only_while_all_loops_turn },
	CU_TEST_INFO_NULL,
};
