#include "common/http/server.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/http/internal.h"

#define SWEEP_MS 100
#define SEND_MS 30000    /* a reader that takes no answer is cut */
#define LINGER_MS 2000   /* time to read the answer before the cut */
#define REJECTED_MAX 256 /* connections over the limit that get a 503 */

static void
list_remove(struct http_list *list, struct http_connection *connection)
{
	if (connection->prev != NULL)
		connection->prev->next = connection->next;
	else
		list->first = connection->next;
	if (connection->next != NULL)
		connection->next->prev = connection->prev;
	else
		list->last = connection->prev;
}

/*
 * All connections of a phase have the same time to live, so each phase's list
 * is ordered by deadline and a sweep looks at its first ones only.
 */
void
http_server_enter(struct http_connection *connection, enum http_phase phase)
{
	struct http_server *server = connection->server;

	if (connection->phase < N_PHASES)
		list_remove(&server->lists[connection->phase], connection);
	connection->phase = phase;
	connection->since_ms = loop_now_ms(server->settings.loop);
	connection->prev = server->lists[phase].last;
	connection->next = NULL;
	if (server->lists[phase].last != NULL)
		server->lists[phase].last->next = connection;
	else
		server->lists[phase].first = connection;
	server->lists[phase].last = connection;
}

void
http_server_account(struct http_connection *connection)
{
	struct http_request *request = connection->request;
	size_t size = connection->in.capacity;

	if (request != NULL)
		size += request->size + request->body.capacity;
	if (connection->phase != PHASE_STREAM) /* whose bytes many share */
		size += tcp_unsent(connection->tcp);
	connection->server->memory += size - connection->accounted;
	connection->accounted = size;
}

/* The last connection of a closing server has ended. */
static void
post_closed(struct http_server *server)
{
	if (server->closed != NULL)
		loop_post(server->settings.loop, server->closed,
		    server->closed_argument);
	server->closed = NULL;
}

void
http_server_free(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	list_remove(&server->lists[connection->phase], connection);
	server->memory -= connection->accounted;
	if (connection->counted)
		server->n_connections--;
	else
		server->n_rejected--;
	buffer_finish(&connection->in);
	free(connection);
	if (server->closing && server->n_connections == 0)
		post_closed(server);
}

static int64_t
phase_limit(const struct http_server *server, enum http_phase phase)
{
	switch (phase) {
	case PHASE_FRESH:
	case PHASE_HEAD:
		return server->settings.head_ms;
	case PHASE_IDLE:
		return server->settings.idle_ms;
	case PHASE_BODY:
		return server->settings.body_ms;
	case PHASE_SENDING:
		return SEND_MS;
	case PHASE_LINGER:
		return LINGER_MS;
	case PHASE_READY:
	case PHASE_BUSY:
	case PHASE_STREAM:
	case N_PHASES:
		break;
	}
	return INT64_MAX;
}

static void
sweep(void *argument)
{
	struct http_server *server = argument;
	int64_t now = loop_now_ms(server->settings.loop);
	int phase;

	for (phase = 0; phase < N_PHASES; phase++) {
		struct http_connection *first;
		int64_t limit = phase_limit(server, (enum http_phase)phase);

		while ((first = server->lists[phase].first) != NULL &&
		    now - first->since_ms >= limit) {
			if (first->phase == PHASE_HEAD ||
			    first->phase == PHASE_BODY)
				http_connection_refuse(first, 408);
			else
				http_connection_drop(first);
		}
	}
}

/* One turn for each that waits for one now. */
static void
take_turns(void *argument)
{
	struct http_turn *turn = argument;
	struct http_server *server = turn->server;
	struct http_connection *connection;
	size_t n = 0;

	free(turn);
	if (server == NULL)
		return;
	server->turn = NULL;
	for (connection = server->lists[PHASE_READY].first; connection != NULL;
	     connection = connection->next)
		n++;
	while (n-- > 0 &&
	    (connection = server->lists[PHASE_READY].first) != NULL) {
		http_server_enter(connection, PHASE_IDLE);
		http_connection_advance(connection);
	}
}

void
http_server_queue(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	http_server_enter(connection, PHASE_READY);
	if (server->turn != NULL)
		return;
	server->turn = memory_alloc(sizeof *server->turn);
	server->turn->server = server;
	loop_post(server->settings.loop, take_turns, server->turn);
}

/* Ends the connection that deserves it most, and was longest without use. */
static void
make_room(struct http_server *server)
{
	static const enum http_phase order[] = { PHASE_LINGER, PHASE_IDLE,
		PHASE_SENDING, PHASE_READY, PHASE_BODY, PHASE_HEAD,
		PHASE_FRESH };
	size_t i;

	for (i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (server->lists[order[i]].first == NULL)
			continue;
		http_connection_drop(server->lists[order[i]].first);
		return;
	}
}

static void
on_accept(void *context, struct tcp *tcp)
{
	struct http_server *server = context;

	if (server->settings.make_room &&
	    server->n_connections >= server->settings.connections_max)
		make_room(server);
	if (server->n_connections >= server->settings.connections_max &&
	    server->n_rejected >= REJECTED_MAX)
		tcp_close(tcp);
	else
		http_connection_open(server, tcp);
}

struct http_server *
http_server_create(
    const struct http_server_settings *settings, struct error *err)
{
	struct http_server *server = memory_zalloc(1, sizeof *server);

	server->settings = *settings;
	if (server->settings.connections_max == 0)
		server->settings.connections_max = 10000;
	if (server->settings.body_max == 0)
		server->settings.body_max = 1024 * 1024;
	if (server->settings.memory_max == 0)
		server->settings.memory_max = 128 * 1024 * 1024;
	if (server->settings.head_ms == 0)
		server->settings.head_ms = 10000;
	if (server->settings.body_ms == 0)
		server->settings.body_ms = 10000;
	if (server->settings.idle_ms == 0)
		server->settings.idle_ms = 75000;
	server->listener = tcp_listen(
	    settings->loop, settings->address, on_accept, server, err);
	if (server->listener == NULL) {
		free(server);
		return NULL;
	}
	server->sweeper =
	    loop_timer_start(settings->loop, SWEEP_MS, SWEEP_MS, sweep, server);
	return server;
}

unsigned
http_server_port(const struct http_server *server)
{
	return tcp_listener_port(server->listener);
}

size_t
http_server_connections(const struct http_server *server)
{
	return server->n_connections;
}

size_t
http_server_requests(const struct http_server *server)
{
	return server->n_requests;
}

void
http_server_drain(struct http_server *server)
{
	server->draining = true;
}

static void
drop_all(struct http_list *list)
{
	while (list->first != NULL)
		http_connection_drop(list->first);
}

void
http_server_close(struct http_server *server, loop_call *done, void *arg)
{
	server->draining = server->closing = true;
	server->closed = done;
	server->closed_argument = arg;
	tcp_listener_close(server->listener);
	server->listener = NULL;
	if (server->n_connections == 0)
		post_closed(server);
	drop_all(&server->lists[PHASE_FRESH]);
	drop_all(&server->lists[PHASE_IDLE]);
}

void
http_server_destroy(struct http_server *server)
{
	int phase;

	if (server == NULL)
		return;
	server->closing = false;
	tcp_listener_close(server->listener);
	loop_timer_stop(server->sweeper);
	if (server->turn != NULL)
		server->turn->server = NULL;
	for (phase = 0; phase < N_PHASES; phase++)
		drop_all(&server->lists[phase]);
	buffer_finish(&server->out);
	free(server);
}

const struct http_head *
http_request_head(const struct http_request *request)
{
	return &request->head;
}

struct text
http_request_body(const struct http_request *request)
{
	return buffer_text(&request->body);
}

void
http_request_set_gone(
    struct http_request *request, loop_call *gone, void *argument)
{
	request->gone = gone;
	request->gone_argument = argument;
}
