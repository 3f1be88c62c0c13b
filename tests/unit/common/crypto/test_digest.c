#include "common/crypto/digest.h"

#include <string.h>

#include "tests/unit/check.h"

static const struct {
	const char *bytes, *text;
} base64_rows[] = {
	{ "", "" },
	{ "f", "Zg" },
	{ "fo", "Zm8" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg" },
	{ "\xfb\xff\xfe", "-__-" },
};

static void
writes_base64url(void)
{
	size_t i;

	for (i = 0; i < sizeof base64_rows / sizeof base64_rows[0]; i++) {
		struct buffer text = { 0 }, back = { 0 };

		base64url_write(text_from(base64_rows[i].bytes), &text);
		CHECK_ROW(base64_rows[i].text,
		    text_equal(
			buffer_text(&text), text_from(base64_rows[i].text)));
		CHECK_ROW(base64_rows[i].text,
		    base64url_read(buffer_text(&text), &back) &&
			text_equal(buffer_text(&back),
			    text_from(base64_rows[i].bytes)));
		buffer_finish(&text);
		buffer_finish(&back);
	}
}

static void
refuses_loose_base64url(void)
{
	static const char *const rows[] = { "Zg==", "Z", "Zm8=", "Zm9v\n",
		"Zm 9v", "+_-_", "////", "Zh", "Zm9", "Zm9vZ" };
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buffer out = { 0 };

		CHECK_ROW(rows[i], !base64url_read(text_from(rows[i]), &out));
		buffer_finish(&out);
	}
}

static void
digests(void)
{
	uint8_t digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE];

	sha256(TEXT("abc"), digest);
	hex_write(digest, sizeof digest, hex);
	CHECK(memcmp(hex,
		  "ba7816bf8f01cfea414140de5dae2223"
		  "b00361a396177a9cb410ff61f20015ad",
		  sizeof hex) == 0);
	/* RFC 4231, test case 2 */
	hmac_sha256(TEXT("Jefe"), TEXT("what do ya want for nothing?"), digest);
	hex_write(digest, sizeof digest, hex);
	CHECK(memcmp(hex,
		  "5bdcc146bf60754e6a042426089575c7"
		  "5a003f089d2739839dec58b964ec3843",
		  sizeof hex) == 0);
	CHECK(digest_equal("abc", "abc", 3) && !digest_equal("abc", "abd", 3));
}

static void
prefixes_lengths(void)
{
	struct buffer out = { 0 };

	length_prefixed(&out, TEXT("ab"));
	length_prefixed(&out, TEXT_NONE);
	length_prefixed(&out, TEXT(""));
	CHECK(text_equal(
	    buffer_text(&out), TEXT("\0\0\0\2ab\377\377\377\377\0\0\0\0")));
	buffer_finish(&out);
}

CU_TestInfo digest_tests[] = {
	{ "writes base64url", writes_base64url },
	{ "refuses loose base64url", refuses_loose_base64url },
	{ "digests", digests },
	{ "prefixes lengths", prefixes_lengths },
	CU_TEST_INFO_NULL,
};
