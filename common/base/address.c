#include "common/base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EX_CONFIG 78
#define DIGITS "0123456789"
#define NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS ".-_"

/* An interface may stand behind: fe80::1%eth0. */
static bool
is_ipv6(const char *host)
{
	unsigned char bytes[16];
	char plain[INET6_ADDRSTRLEN];
	size_t size = strcspn(host, "%");

	if (size >= sizeof plain || (host[size] == '%' && host[size + 1] == 0))
		return false;
	snprintf(plain, sizeof plain, "%.*s", (int)size, host);
	return inet_pton(AF_INET6, plain, bytes) == 1;
}

static bool
is_ipv4(const char *host)
{
	unsigned char bytes[4];

	return inet_pton(AF_INET, host, bytes) == 1;
}

/* Of digits alone behind its last dot it is an address, not a name. */
static bool
is_name(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot != NULL ? dot + 1 : host;

	if (host[strspn(host, NAME)] != '\0')
		return false;
	return last[0] == '\0' || last[strspn(last, DIGITS)] != '\0' ||
	    is_ipv4(host);
}

static int
take_port(struct text port, struct address *address, struct error *err)
{
	size_t i;
	int64_t number;

	for (i = 0; i < port.size; i++)
		if (strchr(DIGITS, port.at[i]) == NULL)
			break;
	if (port.size == 0 || i < port.size)
		return error_fatal(err, EX_CONFIG,
		    "\"%.*s\" is no port, expected host:port",
		    TEXT_ARG(text_cut(port, 64)));
	/* getaddrinfo takes the rest modulo 65536. */
	if (!text_to_number(port, 65535, &number))
		return error_fatal(err, EX_CONFIG, "port %.*s: 65535 at most",
		    TEXT_ARG(text_cut(port, 64)));
	snprintf(address->port, sizeof address->port, "%d", (int)number);
	return 0;
}

/* The port's colon; of none in "::1" and "[::1]", which are all host. */
static const char *
find_colon(struct text text)
{
	char whole[sizeof((struct address *)0)->host];
	size_t i = text.size;

	while (i > 0 && text.at[i - 1] != ':' && text.at[i - 1] != ']')
		i--;
	if (i == 0 || text.at[i - 1] == ']')
		return NULL;
	if (text.size >= sizeof whole)
		return text.at + i - 1;
	snprintf(whole, sizeof whole, "%.*s", TEXT_ARG(text));
	return is_ipv6(whole) ? NULL : text.at + i - 1;
}

int
address_read(struct text text, struct address *address, struct error *err)
{
	const char *colon = find_colon(text);
	struct text host = text;
	bool is_bracketed;

	*address = (struct address){ 0 };
	if (colon != NULL) {
		size_t size = (size_t)(colon - text.at);

		host.size = size;
		if (take_port((struct text){ colon + 1, text.size - size - 1 },
			address, err) != 0)
			return -1;
	}
	is_bracketed = host.size > 0 && host.at[0] == '[';
	if (is_bracketed && host.at[host.size - 1] == ']')
		host = (struct text){ host.at + 1, host.size - 2 };
	snprintf(address->host, sizeof address->host, "%.*s",
	    (int)text_cut(host, sizeof address->host - 1).size, host.at);
	if (host.size < sizeof address->host &&
	    (is_bracketed ? is_ipv6(address->host)
			  : is_name(address->host) || is_ipv6(address->host)))
		return 0;
	return error_fatal(err, EX_CONFIG,
	    "\"%.*s\" is neither a host's name nor an address (IPv6 stands in "
	    "brackets)",
	    TEXT_ARG(text_cut(host, 64)));
}

/* Whether who listens on `wide` has `other` as well; "::" has both families. */
static bool
holds(const char *wide, const char *other)
{
	if (wide[0] == '\0' || strcmp(wide, "::") == 0)
		return true;
	if (strcmp(wide, "0.0.0.0") == 0)
		return !is_ipv6(other);
	return strcasecmp(wide, other) == 0 ||
	    (strcasecmp(wide, "localhost") == 0 &&
		(strcmp(other, "127.0.0.1") == 0 || strcmp(other, "::1") == 0));
}

bool
address_meets(const struct address *left, const struct address *right)
{
	return strcmp(left->port, right->port) == 0 && left->port[0] != '\0' &&
	    strcmp(left->port, "0") != 0 &&
	    (holds(left->host, right->host) || holds(right->host, left->host));
}
