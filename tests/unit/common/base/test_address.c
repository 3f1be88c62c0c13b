#include "common/base/address.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

/* "host|port", or the message. */
static const char *
read_as(const char *text)
{
	static char out[1200];
	struct address address;
	struct error err = { 0 };

	if (address_read(text_from(text), &address, &err) == 0)
		snprintf(out, sizeof out, "%s|%s", address.host, address.port);
	else
		snprintf(out, sizeof out, "%s", err.message);
	return out;
}

static void
reads_what_is_an_address(void)
{
	static const char *const rows[][2] = {
		{ "a:80", "a|80" },
		{ ":0", "|0" },
		{ "a", "a|" },
		{ "a.b-c_d.:65535", "a.b-c_d.|65535" },
		{ "10.0.0.1:080", "10.0.0.1|80" },
		{ "[::1]:80", "::1|80" },
		{ "[::1]", "::1|" },
		{ "::1", "::1|" },
		{ "[fe80::1%eth0]:80", "fe80::1%eth0|80" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(
		    rows[i][0], strcmp(read_as(rows[i][0]), rows[i][1]) == 0);
}

static void
refuses_the_rest(void)
{
	static const char *const hosts[] = { "[]:0", "[", "[]", "[::1:80",
		"a]:80", "[a]:80", "[10.0.0.1]:80", "a b:80", "a/b:80",
		"999.1.1.1:80", "a.b.7:80", "[fe80::1%]:80", "*:80", "u@h:80" };
	char longest[400];
	size_t i;

	for (i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		CHECK_ROW(hosts[i],
		    strstr(read_as(hosts[i]), "is neither a host's name") !=
			NULL);
	CHECK(strstr(read_as("a:"), "\"\" is no port") != NULL);
	CHECK(strstr(read_as("a:-1"), "\"-1\" is no port") != NULL);
	CHECK(strcmp(read_as("a:65536"), "port 65536: 65535 at most") == 0);
	CHECK(
	    strstr(read_as("a:99999999999999999999"), "65535 at most") != NULL);
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	CHECK(strstr(read_as(longest), "is neither a host's name") != NULL);
	memcpy(longest + 300, ":80", 4);
	CHECK(strstr(read_as(longest), "is neither a host's name") != NULL);
}

static bool
meet(const char *left, const char *right)
{
	struct address one, other;
	bool fine = address_read(text_from(left), &one, NULL) == 0 &&
	    address_read(text_from(right), &other, NULL) == 0;

	return fine && address_meets(&one, &other) &&
	    address_meets(&other, &one);
}

static void
knows_whose_ports_meet(void)
{
	CHECK(meet("a:80", "A:80"));
	CHECK(meet("127.0.0.1:80", "0.0.0.0:80"));
	CHECK(meet("127.0.0.1:80", ":80"));
	CHECK(meet("127.0.0.1:80", "[::]:80"));
	CHECK(meet("[::1]:80", "localhost:80"));
	CHECK(meet("0.0.0.0:80", "[::]:80"));
	CHECK(!meet("0.0.0.0:80", "[::1]:80"));
	CHECK(!meet("127.0.0.1:80", "127.0.0.2:80"));
	CHECK(!meet("a:80", "a:81"));
	CHECK(!meet(":0", ":0"));
}

CU_TestInfo address_tests[] = {
	{ "reads what is an address", reads_what_is_an_address },
	{ "refuses the rest", refuses_the_rest },
	{ "knows whose ports meet", knows_whose_ports_meet },
	CU_TEST_INFO_NULL,
};
