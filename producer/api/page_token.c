#include "producer/api/page_token.h"

#include <string.h>

#include "common/crypto/digest.h"

#define MAC_SIZE 16
#define TOKEN_SIZE (RUN_PLACE_SIZE + MAC_SIZE)

static void
sign(const uint8_t key[PAGE_KEY_SIZE], struct text schedule_rid,
    const char place[RUN_PLACE_SIZE], uint8_t mac[SHA256_SIZE])
{
	struct buffer bytes = { 0 };

	buffer_append(&bytes, schedule_rid);
	buffer_byte(&bytes, '\n');
	buffer_append(&bytes, (struct text){ place, RUN_PLACE_SIZE });
	hmac_sha256((struct text){ (const char *)key, PAGE_KEY_SIZE },
	    buffer_text(&bytes), mac);
	buffer_finish(&bytes);
}

void
page_token_write(const uint8_t key[PAGE_KEY_SIZE], struct text schedule_rid,
    const char place[RUN_PLACE_SIZE], struct buffer *out)
{
	uint8_t mac[SHA256_SIZE];
	char token[TOKEN_SIZE];

	sign(key, schedule_rid, place, mac);
	memcpy(token, place, RUN_PLACE_SIZE);
	memcpy(token + RUN_PLACE_SIZE, mac, MAC_SIZE);
	base64url_write((struct text){ token, sizeof token }, out);
}

bool
page_token_read(const uint8_t key[PAGE_KEY_SIZE], struct text schedule_rid,
    struct text token, char place[RUN_PLACE_SIZE])
{
	struct buffer bytes = { 0 };
	uint8_t mac[SHA256_SIZE];
	bool fine = token.size <= 2 * TOKEN_SIZE &&
	    base64url_read(token, &bytes) && bytes.size == TOKEN_SIZE;

	if (fine) {
		memcpy(place, bytes.at, RUN_PLACE_SIZE);
		sign(key, schedule_rid, place, mac);
		fine = digest_equal(bytes.at + RUN_PLACE_SIZE, mac, MAC_SIZE);
	}
	buffer_finish(&bytes);
	return fine;
}
