#include "common/redis/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define PORT_DEFAULT 6379
#define DATABASE_MAX 1000000

struct redis_url {
	char *text;  /* as given */
	char *parts; /* cut into what the hosts' names point to */
	struct redis_host hosts[REDIS_HOSTS_MAX];
	size_t n_hosts;
	int database;
};

/* A decimal of 0 to max, the whole string; -1 of anything else. */
static int
parse_number(const char *text, int max)
{
	int64_t number;

	return text_to_number(text_from(text), max, &number) ? (int)number : -1;
}

/* One "host", "host:port" or "[address]:port", cut in place. */
static bool
parse_host(struct redis_url *url, char *part)
{
	struct redis_host *host;
	struct address form;
	char *colon;

	if (url->n_hosts == REDIS_HOSTS_MAX ||
	    address_read(text_from(part), &form, NULL) != 0)
		return false;
	host = &url->hosts[url->n_hosts++];
	host->port = PORT_DEFAULT;
	host->name = part;
	if (part[0] == '[') {
		char *close = strchr(part, ']');

		if (close == NULL)
			return false;
		*close = '\0';
		host->name = part + 1;
		colon = close[1] == ':' ? close + 1 : NULL;
		if (colon == NULL && close[1] != '\0')
			return false;
	} else {
		colon = strchr(part, ':');
	}
	if (colon != NULL) {
		*colon = '\0';
		host->port = parse_number(colon + 1, 65535);
	}
	return host->name[0] != '\0' && host->port > 0;
}

static bool
parse_tcp(struct redis_url *url, char *rest)
{
	char *slash = strchr(rest, '/'), *next;

	if (slash != NULL) {
		*slash = '\0';
		if (slash[1] != '\0')
			url->database = parse_number(slash + 1, DATABASE_MAX);
	}
	if (strchr(rest, '@') != NULL)
		return false;
	for (; rest != NULL; rest = next) {
		next = strchr(rest, ',');
		if (next != NULL)
			*next++ = '\0';
		if (!parse_host(url, rest))
			return false;
	}
	return url->database >= 0;
}

static bool
parse_socket(struct redis_url *url, char *path)
{
	char *query = strchr(path, '?');

	if (query != NULL) {
		*query++ = '\0';
		if (strncmp(query, "db=", 3) != 0)
			return false;
		url->database = parse_number(query + 3, DATABASE_MAX);
	}
	url->hosts[0] = (struct redis_host){ path, 0, true };
	url->n_hosts = 1;
	return path[0] == '/' && url->database >= 0;
}

struct redis_url *
redis_url_parse(const char *text, struct error *err)
{
	static const char tcp[] = "redis://", socket[] = "unix://";
	struct redis_url *url = memory_zalloc(1, sizeof *url);
	bool valid = false;

	url->text = memory_copy_string(text);
	url->parts = memory_copy_string(text);
	if (strncmp(text, tcp, sizeof tcp - 1) == 0)
		valid = parse_tcp(url, url->parts + sizeof tcp - 1);
	else if (strncmp(text, socket, sizeof socket - 1) == 0)
		valid = parse_socket(url, url->parts + sizeof socket - 1);
	if (valid)
		return url;
	redis_url_destroy(url);
	error_fatal(err, 78,
	    "\"%s\" is not redis://host:port,host:port/database or "
	    "unix:///path?db=number (user and password are redis.username and "
	    "redis.password)",
	    strchr(text, '@') != NULL || strstr(text, "password=") != NULL
		? "redis.url"
		: text);
	return NULL;
}

void
redis_url_destroy(struct redis_url *url)
{
	if (url == NULL)
		return;
	free(url->text);
	free(url->parts);
	free(url);
}

size_t
redis_url_size(const struct redis_url *url)
{
	return url->n_hosts;
}

const struct redis_host *
redis_url_at(const struct redis_url *url, size_t i)
{
	return &url->hosts[i];
}

int
redis_url_database(const struct redis_url *url)
{
	return url->database;
}

void
redis_url_print(const struct redis_url *url, char *out, size_t size)
{
	snprintf(out, size, "%s", url->text);
}
