/* What an operator writes of places: addresses, URLs of Redis, origins;
 * durations. */
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/config/config.h"
#include "common/redis/url.h"
#include "producer/auth/origins.h"
#include "tests/fuzz/fuzz.h"

static void
read_url(const char *text)
{
	struct error err = { 0 };
	struct redis_url *url = redis_url_parse(text, &err);
	size_t i;

	if (url == NULL) {
		assert(err.message[0] != '\0');
		return;
	}
	assert(redis_url_size(url) >= 1);
	assert(redis_url_size(url) <= REDIS_HOSTS_MAX);
	assert(redis_url_database(url) >= 0);
	for (i = 0; i < redis_url_size(url); i++) {
		const struct redis_host *host = redis_url_at(url, i);

		assert(host->name[0] != '\0');
		assert(
		    host->is_socket || (host->port > 0 && host->port < 65536));
	}
	redis_url_destroy(url);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text text = { (const char *)bytes, size };
	struct address address;
	struct error err = { 0 };
	char *string = malloc(size + 1);
	int64_t ms;

	assert(string != NULL);
	memcpy(string, bytes, size);
	string[size] = '\0';
	if (address_read(text, &address, &err) == 0)
		assert(atoi(address.port) <= 65535);
	else
		assert(err.exit_code == 78);
	read_url(string);
	if (origins_check(string, &err) == 0)
		origins_have(string, text);
	if (config_parse_duration(string, &ms))
		assert(ms >= 0);
	free(string);
	return 0;
}
