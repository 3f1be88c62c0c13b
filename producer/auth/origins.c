#include "producer/auth/origins.h"

#include <arpa/inet.h>
#include <string.h>

#define BETWEEN ", "
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Whether it has these characters and no other. */
static bool
is_of(struct text text, const char *characters)
{
	struct text word;

	return text.size > 0 && !text_take_word(&text, characters, &word);
}

/* Whether an address is written as browsers write it. */
static bool
is_canonical(int family, struct text host)
{
	char text[INET6_ADDRSTRLEN] = "", again[INET6_ADDRSTRLEN] = "";
	unsigned char bytes[16];

	if (host.size >= sizeof text)
		return false;
	memcpy(text, host.at, host.size);
	return inet_pton(family, text, bytes) == 1 &&
	    inet_ntop(family, bytes, again, sizeof again) != NULL &&
	    strcmp(text, again) == 0;
}

static bool
is_host(struct text host)
{
	size_t last = host.size;

	if (host.size > 2 && host.at[0] == '[' && host.at[host.size - 1] == ']')
		return is_canonical(
		    AF_INET6, (struct text){ host.at + 1, host.size - 2 });
	while (last > 0 && host.at[last - 1] != '.')
		last--;
	if (is_of((struct text){ host.at + last, host.size - last }, DIGITS))
		return is_canonical(AF_INET, host);
	return is_of(host, LOWER DIGITS ".-_");
}

/* A port that has to be written, in the one way. */
static bool
is_port(struct text port, struct text scheme)
{
	int64_t number;

	return text_to_number(port, 65535, &number) && port.at[0] != '0' &&
	    !(number == 80 && text_equal(scheme, TEXT("http"))) &&
	    !(number == 443 && text_equal(scheme, TEXT("https")));
}

/* What is wrong with it, or NULL. */
static const char *
find_fault(struct text origin)
{
	const char *colon = memchr(origin.at, ':', origin.size);
	size_t n = colon != NULL ? (size_t)(colon - origin.at) : 0;
	struct text scheme = { origin.at, n };
	struct text host = { origin.at + n, origin.size - n };
	struct text port;

	if (text_equal(origin, TEXT("null")))
		return "any sandboxed page sends that";
	if (!text_starts_with(host, TEXT("://")))
		return "the scheme is missing, as https://";
	if (!is_of(scheme, LOWER DIGITS "+.-"))
		return "the scheme stands in lower case";
	host = (struct text){ host.at + 3, host.size - 3 };
	if (memchr(host.at, '/', host.size) != NULL ||
	    memchr(host.at, '@', host.size) != NULL)
		return "there is no path, no slash at the end and no user";
	n = host.size;
	while (n > 0 && strchr(DIGITS, host.at[n - 1]) != NULL)
		n--;
	if (n > 0 && host.at[n - 1] == ':' && host.at[host.size - 1] != ']') {
		port = (struct text){ host.at + n, host.size - n };
		host.size = n - 1;
		if (!is_port(port, scheme))
			return "the port is 1 to 65535, and not the scheme's "
			       "own";
	}
	return is_host(host) ? NULL
			     : "the host is one name in lower case, or an "
			       "address in its shortest form";
}

int
origins_check(const char *list, struct error *err)
{
	struct text rest = text_from(list), origin;
	const char *fault;
	size_t n = 0;

	for (; text_take_word(&rest, BETWEEN, &origin); n++) {
		fault = find_fault(origin);
		if (fault != NULL)
			return error_fatal(err, 78,
			    "http.cors.origins: \"%.*s\" is no origin as "
			    "browsers send it, like https://app.example:8443: "
			    "%s",
			    TEXT_ARG(origin), fault);
	}
	if (n == 0 && list != NULL && list[0] != '\0')
		return error_fatal(err, 78,
		    "http.cors.origins: \"%s\" has no origin in it", list);
	return 0;
}

bool
origins_have(const char *list, struct text origin)
{
	struct text rest = text_from(list), known;

	while (text_take_word(&rest, BETWEEN, &known))
		if (text_equal(known, origin))
			return true;
	return false;
}
