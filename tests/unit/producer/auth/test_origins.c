#include "producer/auth/origins.h"

#include <string.h>

#include "tests/unit/check.h"

static void
takes_what_browsers_send(void)
{
	static const char *const good[] = { "", "https://a.test, ",
		"https://a.test",
		"https://a.test, http://b.test:8080 https://c.test:80,",
		"http://localhost:3000", "http://127.0.0.1", "http://[::1]:1",
		"https://xn--bcher-kva.test", "https://a_b.a-b.test:65535",
		"chrome-extension://abcdefghijklmnop", "https://1.a.test" };
	static const char *const bad[] = { "*", "null", "a.test",
		"localhost:3000", "//a.test", "https:/a.test", "https://",
		"https://a.test/", "https://a.test/path", "https://u@a.test",
		"https://a.test?x", "https://a.test#x", "https://*.test",
		"HTTPS://a.test", "https://A.test", "https://b\xC3\xBC.test",
		"https://a.test:443", "http://a.test:80", "https://a.test:0",
		"https://a.test:08443", "https://a.test:65536",
		"https://a.test:", "https://:8443", "http://127.1",
		"http://127.0.0.01", "http://1", "http://[0::1]",
		"http://[::A]", "http://::1", "http://[::1", "://a.test",
		"https://a.test;https://b.test", "https://a.test, *", " , " };
	struct error err;
	size_t i;

	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		CHECK_ROW(good[i], origins_check(good[i], &err) == 0);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_ROW(bad[i], origins_check(bad[i], &err) != 0);
		CHECK_ROW(
		    bad[i], strstr(err.message, bad[i]) != NULL || i > 31);
	}
}

static void
finds_exactly_one_of_them(void)
{
	static const char list[] = "https://a.test, https://b.test:8443";

	CHECK(origins_have(list, TEXT("https://a.test")));
	CHECK(origins_have(list, TEXT("https://b.test:8443")));
	CHECK(!origins_have(list, TEXT("https://b.test")));
	CHECK(!origins_have(list, TEXT("https://A.test")));
	CHECK(!origins_have(list, TEXT("")));
	CHECK(!origins_have(list, TEXT_NONE));
	CHECK(!origins_have("", TEXT_NONE));
}

CU_TestInfo origins_tests[] = {
	{ "takes what browsers send", takes_what_browsers_send },
	{ "finds exactly one of them", finds_exactly_one_of_them },
	CU_TEST_INFO_NULL,
};
