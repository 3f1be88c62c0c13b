#include "common/crypto/digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
sha256(struct text bytes, uint8_t out[SHA256_SIZE])
{
	if (EVP_Digest(bytes.at != NULL ? bytes.at : "", bytes.size, out, NULL,
		EVP_sha256(), NULL) != 1)
		abort(); /* libcrypto without SHA-256 is no libcrypto */
}

void
hmac_sha256(struct text key, struct text bytes, uint8_t out[SHA256_SIZE])
{
	if (HMAC(EVP_sha256(), key.at, (int)key.size,
		(const unsigned char *)bytes.at, bytes.size, out, NULL) == NULL)
		abort();
}

bool
digest_equal(const void *left, const void *right, size_t size)
{
	return CRYPTO_memcmp(left, right, size) == 0;
}

void
secret_wipe(void *bytes, size_t size)
{
	OPENSSL_cleanse(bytes, size);
}

void
hex_write(const void *bytes, size_t size, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *at = bytes;
	size_t i;

	for (i = 0; i < size; i++) {
		out[2 * i] = digits[at[i] >> 4];
		out[2 * i + 1] = digits[at[i] & 15];
	}
}

void
base64url_write(struct text bytes, struct buffer *out)
{
	uint32_t bits = 0;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < bytes.size; i++) {
		bits = bits << 8 | (uint8_t)bytes.at[i];
		for (n += 8; n >= 6; n -= 6)
			buffer_byte(out, ALPHABET[bits >> (n - 6) & 63]);
	}
	if (n > 0)
		buffer_byte(out, ALPHABET[bits << (6 - n) & 63]);
}

bool
base64url_read(struct text text, struct buffer *out)
{
	uint32_t bits = 0;
	unsigned n = 0;
	size_t i;

	if (text.size % 4 == 1)
		return false;
	for (i = 0; i < text.size; i++) {
		const char *at =
		    text.at[i] != '\0' ? strchr(ALPHABET, text.at[i]) : NULL;

		if (at == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(at - ALPHABET);
		n += 6;
		if (n >= 8) {
			n -= 8;
			buffer_byte(out, (char)(bits >> n & 255));
		}
	}
	return (bits & ((1U << n) - 1)) == 0;
}

bool
base64_read(struct text text, struct buffer *out)
{
	struct buffer strict = { 0 };
	size_t pad = 0, i;
	bool good;

	while (
	    pad < 2 && text.size > pad && text.at[text.size - 1 - pad] == '=')
		pad++;
	buffer_append(&strict, (struct text){ text.at, text.size - pad });
	for (i = 0; i < strict.size; i++)
		if (strict.at[i] == '+' || strict.at[i] == '/')
			strict.at[i] = strict.at[i] == '+' ? '-' : '_';
	good = base64url_read(buffer_text(&strict), out);
	buffer_finish(&strict);
	return good;
}

void
length_prefixed(struct buffer *out, struct text part)
{
	uint32_t size = part.at != NULL ? (uint32_t)part.size : UINT32_MAX;
	int shift;

	for (shift = 24; shift >= 0; shift -= 8)
		buffer_byte(out, (char)(size >> shift & 255));
	if (part.at != NULL)
		buffer_append(out, part);
}
