#include "producer/events/audience.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "tests/unit/check.h"
#include "tests/unit/settings.h"

#define S(letter) "ri.scheduler.main.schedule." letter

/* A hub whose streams are real ones, to clients of this process. */
struct site {
	struct http_app app;
	struct config *config;
	struct http_server *server;
	struct http_request *request; /* the one that came last */
	struct event_hub hub;
};

struct client {
	int fd;
	struct buffer got;
	struct subscriber *subscriber;
};

static void
on_request(void *context, struct http_request *request)
{
	struct site *site = context;

	site->request = request;
	loop_stop(site->app.loop);
}

static void
stop_turn(void *argument)
{
	loop_stop(argument);
}

static void
turn(struct site *site)
{
	loop_post(site->app.loop, stop_turn, site->app.loop);
	loop_run(site->app.loop);
}

static void
open_site(struct site *site)
{
	struct error err = { 0 };
	struct http_server_settings server = {
		.address = "127.0.0.1:0", .handle = on_request, .context = site
	};
	struct event_position start = { 0 };

	memset(site, 0, sizeof *site);
	site->app.config = site->config = settings_load("", &err);
	REQUIRE(site->config != NULL);
	server.loop = site->app.loop = site->hub.loop = loop_create(&err);
	site->server = http_server_create(&server, &err);
	REQUIRE(site->server != NULL);
	site->app.metrics = metrics_create("0");
	site->hub.subscribers = metrics_series(
	    site->app.metrics, METRIC_GAUGE, "subscribers", "", "");
	site->hub.sent =
	    metrics_series(site->app.metrics, METRIC_COUNTER, "sent", "", "");
	site->hub.dropped = metrics_series(
	    site->app.metrics, METRIC_COUNTER, "dropped", "", "");
	site->hub.ring = event_ring_create((size_t)64 << 20);
	event_position_resize(&start, 2);
	event_ring_restart(site->hub.ring, &start);
	event_position_finish(&start);
	site->hub.replay =
	    event_replay_create(site->config, NULL, site->app.loop);
	site->hub.rights = event_rights_create(&site->app, stop_turn, NULL);
}

static void
end_stream(void *argument, struct subscriber *subscriber)
{
	http_stream_end(subscriber->stream);
	audience_leave(argument, subscriber);
}

static void
close_site(struct site *site)
{
	audiences_each(&site->hub, end_stream, &site->hub);
	event_hub_finish(&site->hub);
	event_replay_destroy(site->hub.replay);
	event_rights_destroy(site->hub.rights);
	event_ring_destroy(site->hub.ring);
	http_server_destroy(site->server);
	loop_destroy(site->app.loop);
	metrics_destroy(site->app.metrics);
	config_destroy(site->config);
}

static void
on_gone(void *argument)
{
	(void)argument;
}

/* `schedule` NULL: all of them. */
static void
join(struct site *site, struct client *client, enum http_profile profile,
    const char *schedule, const struct event_position *position)
{
	static const struct http_caller anybody = { 0 };
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(site->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct http_answer answer = { .status = 200,
		.content_type = "text/event-stream" };
	struct text names[1] = { schedule != NULL ? text_from(schedule)
						  : TEXT("") };
	struct audience_key key;

	*client = (struct client){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	REQUIRE(connect(client->fd, (struct sockaddr *)&address,
		    sizeof address) == 0);
	REQUIRE(write(client->fd, "GET / HTTP/1.0\r\n\r\n", 18) == 18);
	loop_run(site->app.loop);
	audience_key_init(&key, profile, &anybody, names, schedule != NULL);
	client->subscriber = audience_join(&site->hub, &key, position);
	client->subscriber->stream =
	    http_stream_start(site->request, &answer, on_gone, NULL);
}

static void
leave(struct client *client)
{
	close(client->fd);
	buffer_finish(&client->got);
}

static size_t
take(struct site *site, struct client *client)
{
	char bytes[65536];
	size_t before = client->got.size;
	ssize_t n;

	turn(site);
	while ((n = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buffer_append(&client->got, (struct text){ bytes, (size_t)n });
	return client->got.size - before;
}

/* How many events he has got, or of one schedule. */
static size_t
count(struct site *site, struct client *client, const char *what)
{
	const char *at;
	size_t n = 0;

	while (take(site, client) > 0)
		;
	buffer_byte(&client->got, '\0');
	for (at = client->got.at; (at = strstr(at, what)) != NULL; at++)
		n++;
	client->got.size--;
	return n;
}

static void
add_event(struct site *site, const char *schedule, int32_t partition,
    int64_t offset, size_t size)
{
	char *text = memory_zalloc(1, size + 1);
	struct schedule_run run = {
		.request_id = TEXT("r"),
		.schedule_rid = text_from(schedule),
		.state = RUN_FAILED,
		.error = CYCLIC_DEPENDENCY,
		.partition = partition,
		.offset = offset,
	};

	memset(text, 'x', size);
	run.description = (struct text){ text, size };
	event_ring_append(site->hub.ring, result_event_create(&run));
	free(text);
}

static void
pump(struct site *site)
{
	while (audiences_pump(&site->hub))
		turn(site);
}

static void
who_sees_the_same_is_one_audience(void)
{
	struct client one = { 0 }, two = { 0 }, other = { 0 }, named = { 0 };
	struct site site;

	open_site(&site);
	join(&site, &one, PROFILE_DOC, NULL, NULL);
	join(&site, &two, PROFILE_DOC, NULL, NULL);
	join(&site, &other, PROFILE_GA, NULL, NULL);
	join(&site, &named, PROFILE_DOC, S("a"), NULL);
	CHECK(one.subscriber->audience == two.subscriber->audience);
	CHECK(one.subscriber->audience != other.subscriber->audience);
	CHECK(one.subscriber->audience != named.subscriber->audience);
	add_event(&site, S("a"), 0, 0, 10);
	add_event(&site, S("b"), 0, 1, 10);
	pump(&site);
	CHECK(count(&site, &one, "event: scheduleRun") == 2);
	CHECK(count(&site, &two, "event: scheduleRun") == 2);
	CHECK(count(&site, &other, "event: scheduleRun") == 2);
	CHECK(count(&site, &named, "event: scheduleRun") == 1);
	CHECK(count(&site, &named, S("a")) == 1);
	CHECK(count(&site, &one, "\"error\":{") == 2);
	CHECK(count(&site, &other, "\"error\":{") == 0);
	close_site(&site);
	leave(&one);
	leave(&two);
	leave(&other);
	leave(&named);
}

/* Behind his place in each partition, whatever the ring's order is. */
static void
who_resumes_gets_what_is_behind_his_place(void)
{
	struct event_position place = { 0 };
	struct client live = { 0 }, late = { 0 };
	struct site site;
	int64_t i;

	open_site(&site);
	join(&site, &live, PROFILE_GA, NULL, NULL);
	for (i = 0; i < 5; i++) {
		add_event(&site, S("a"), 0, i, 10);
		add_event(&site, S("b"), 1, i, 10);
	}
	pump(&site);
	event_position_pass(&place, 0, 4);
	event_position_pass(&place, 1, 2);
	join(&site, &late, PROFILE_GA, NULL, &place);
	CHECK(!subscriber_is_current(&site.hub, late.subscriber));
	pump(&site);
	CHECK(count(&site, &late, S("a")) == 1);
	CHECK(count(&site, &late, S("b")) == 3);
	/* From here on he is one of the others. */
	CHECK(subscriber_is_current(&site.hub, late.subscriber));
	CHECK(late.subscriber->audience == live.subscriber->audience);
	add_event(&site, S("a"), 0, 5, 10);
	pump(&site);
	CHECK(count(&site, &late, S("a")) == 2);
	CHECK(count(&site, &live, S("a")) == 6);
	event_position_finish(&place);
	close_site(&site);
	leave(&live);
	leave(&late);
}

/* He goes on at his own pace, misses nothing, and nobody waits for him. */
static void
a_slow_reader_goes_on_alone(void)
{
	struct client quick = { 0 }, slow = { 0 };
	struct site site;
	int64_t i;

	open_site(&site);
	join(&site, &quick, PROFILE_GA, NULL, NULL);
	join(&site, &slow, PROFILE_GA, NULL, NULL);
	CHECK(quick.subscriber->audience == slow.subscriber->audience);
	for (i = 0; i < 100; i++) {
		add_event(&site, S("a"), 0, i, 16384);
		audiences_pump(&site.hub);
		take(&site, &quick);
	}
	CHECK(quick.subscriber->audience != slow.subscriber->audience);
	while (count(&site, &quick, "event: ") < 100)
		audiences_pump(&site.hub);
	CHECK(subscriber_is_full(&site.hub, slow.subscriber));
	CHECK(!subscriber_is_current(&site.hub, slow.subscriber));
	while (!subscriber_is_current(&site.hub, slow.subscriber)) {
		take(&site, &slow);
		audiences_pump(&site.hub);
	}
	CHECK(count(&site, &slow, "event: ") == 100);
	CHECK(quick.got.size == slow.got.size &&
	    memcmp(quick.got.at, slow.got.at, slow.got.size) == 0);
	CHECK(quick.subscriber->audience == slow.subscriber->audience);
	close_site(&site);
	leave(&quick);
	leave(&slow);
}

static void
who_is_live_is_told_of_lost_records(void)
{
	struct event_position start = { 0 };
	struct client client = { 0 };
	struct site site;

	open_site(&site);
	join(&site, &client, PROFILE_GA, NULL, NULL);
	event_position_pass(&start, 0, 1000);
	event_ring_restart(site.hub.ring, &start);
	audiences_restart(&site.hub);
	pump(&site);
	CHECK(count(&site, &client, "event: gap") == 1);
	add_event(&site, S("a"), 0, 1000, 10);
	pump(&site);
	CHECK(count(&site, &client, "event: scheduleRun") == 1);
	event_position_finish(&start);
	close_site(&site);
	leave(&client);
}

CU_TestInfo audience_tests[] = {
	{ "who sees the same is one audience",
	    who_sees_the_same_is_one_audience },
	{ "who resumes gets what is behind his place",
	    who_resumes_gets_what_is_behind_his_place },
	{ "a slow reader goes on alone", a_slow_reader_goes_on_alone },
	{ "who is live is told of lost records",
	    who_is_live_is_told_of_lost_records },
	CU_TEST_INFO_NULL,
};
