#include "common/http/head.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

/* For initializers, where a compound literal is no constant. */
#define BYTES(literal)                                                         \
	{                                                                      \
		(literal), sizeof(literal) - 1                                 \
	}

#define H "Host: x\r\n"
#define END "\r\n"

static char long_line[9000], long_head[40000], many_fields[8000];

/* The answer to a whole head: 0, or the status that closes the connection. */
static int
judge(struct text bytes)
{
	struct http_field fields[HTTP_HEADERS_MAX];
	struct http_head head = { .fields = fields };
	size_t scanned = 0;
	int size = http_head_scan(bytes, &scanned);

	if (size < 0)
		return -size;
	if (size == 0)
		return 1; /* not complete */
	bytes.size = (size_t)size;
	return http_head_parse(bytes, &head);
}

#define L(line) BYTES(line "\r\n" H END)
#define F(fields) BYTES("POST / HTTP/1.1\r\n" H fields END)

static const struct {
	const char *name;
	struct text bytes;
	int status;
} rows[] = {
	{ "plain", L("GET / HTTP/1.1"), 0 },
	{ "1.0 without Host", BYTES("GET / HTTP/1.0\r\n\r\n"), 0 },
	{ "one empty line first", BYTES("\r\nGET / HTTP/1.1\r\n" H END), 0 },
	{ "two empty lines first", BYTES("\r\n\r\nGET / HTTP/1.1\r\n" H END),
	    400 },
	{ "absolute form", L("GET http://x/a HTTP/1.1"), 0 },
	{ "unknown method", L("BREW / HTTP/1.1"), 0 },
	{ "method in brackets", L("G(T / HTTP/1.1"), 400 },
	{ "two spaces", L("GET  / HTTP/1.1"), 400 },
	{ "two spaces before the version", L("GET /  HTTP/1.1"), 400 },
	{ "a tab", L("GET\t/ HTTP/1.1"), 400 },
	{ "space at the end", L("GET / HTTP/1.1 "), 400 },
	{ "space at the start", L(" GET / HTTP/1.1"), 400 },
	{ "no version", L("GET /"), 400 },
	{ "no target", L("GET HTTP/1.1"), 400 },
	{ "one word", L("GARBAGE"), 400 },
	{ "lower-case version", L("GET / http/1.1"), 400 },
	{ "1.", L("GET / HTTP/1."), 400 },
	{ "1.10", L("GET / HTTP/1.10"), 400 },
	{ "0.9", L("GET / HTTP/0.9"), 400 },
	{ "2.0", L("GET / HTTP/2.0"), 505 },
	{ "2", L("GET / HTTP/2"), 505 },
	{ "3.0", L("GET / HTTP/3.0"), 505 },
	{ "HTTP/2's preface", BYTES("PRI * HTTP/2.0\r\n\r\n"), 505 },
	{ "a high byte in the target", L("GET /\xc3\xa9 HTTP/1.1"), 400 },
	{ "NUL in the target", L("GET /\0 HTTP/1.1"), 400 },
	{ "DEL in the target", L("GET /\x7f HTTP/1.1"), 400 },

	{ "no Host", BYTES("GET / HTTP/1.1\r\n\r\n"), 400 },
	{ "two Hosts", F("Host: x\r\n"), 400 },
	{ "empty Host", BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400 },
	{ "Host with a path", BYTES("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"),
	    400 },
	{ "Host with a user", BYTES("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
	    400 },
	{ "two in one Host", BYTES("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
	    400 },
	{ "Host of IPv6", BYTES("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
	    0 },

	{ "space before the colon", F("A : b\r\n"), 400 },
	{ "tab before the colon", F("A\t: b\r\n"), 400 },
	{ "folded line", F("A: b\r\n c\r\n"), 400 },
	{ "folded by a tab", F("A: b\r\n\tc\r\n"), 400 },
	{ "blank before the first field",
	    BYTES("GET / HTTP/1.1\r\n A: b\r\n" H END), 400 },
	{ "empty name", F(": b\r\n"), 400 },
	{ "no colon", F("A\r\n"), 400 },
	{ "empty value", F("A:\r\n"), 0 },
	{ "blanks around the value", F("A: \t b \t\r\n"), 0 },
	{ "quote in the name", F("A\"b: c\r\n"), 400 },
	{ "high byte in the name", F("\xc3\xa9: c\r\n"), 400 },
	{ "high byte in the value", F("A: \xc3\xa9\r\n"), 0 },
	{ "NUL in a value", F("A: b\0c\r\n"), 400 },
	{ "bell in a value", F("A: b\x07\r\n"), 400 },
	{ "bare CR in a value", F("A: b\rc\r\n"), 400 },
	{ "bare LF in a value", F("A: b\nc\r\n"), 400 },
	{ "LF line ends", BYTES("GET / HTTP/1.1\nHost: x\n\n"), 400 },
	{ "CR CR LF", F("A: b\r\r\n"), 400 },

	{ "length", F("Content-Length: 5\r\n"), 0 },
	{ "length 0", F("Content-Length: 0\r\n"), 0 },
	{ "length with zeros", F("Content-Length: 0000000000000000005\r\n"),
	    0 },
	{ "length of 20 digits", F("Content-Length: 00000000000000000005\r\n"),
	    400 },
	{ "length +5", F("Content-Length: +5\r\n"), 400 },
	{ "length -1", F("Content-Length: -1\r\n"), 400 },
	{ "length 0x2", F("Content-Length: 0x2\r\n"), 400 },
	{ "length 2, 2", F("Content-Length: 2, 2\r\n"), 400 },
	{ "length 2 2", F("Content-Length: 2 2\r\n"), 400 },
	{ "length empty", F("Content-Length:\r\n"), 400 },
	{ "length 5.0", F("Content-Length: 5.0\r\n"), 400 },
	{ "two lengths, equal", F("Content-Length: 5\r\nContent-Length: 5\r\n"),
	    400 },
	{ "two lengths", F("Content-Length: 5\r\ncontent-length: 6\r\n"), 400 },
	{ "length, then encoding",
	    F("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400 },
	{ "encoding, then length",
	    F("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400 },
	{ "chunked", F("Transfer-Encoding: chunked\r\n"), 0 },
	{ "Chunked", F("Transfer-Encoding: Chunked\r\n"), 0 },
	{ "chunked in 1.0",
	    BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	    400 },
	{ "gzip, chunked", F("Transfer-Encoding: gzip, chunked\r\n"), 501 },
	{ "chunked, chunked", F("Transfer-Encoding: chunked, chunked\r\n"),
	    501 },
	{ "identity", F("Transfer-Encoding: identity\r\n"), 501 },
	{ "xchunked", F("Transfer-Encoding: xchunked\r\n"), 501 },
	{ "empty encoding", F("Transfer-Encoding:\r\n"), 501 },
	{ "vertical tab chunked", F("Transfer-Encoding: \vchunked\r\n"), 400 },
	{ "two encodings",
	    F("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), 400 },
	{ "encoding with a space", F("Transfer-Encoding : chunked\r\n"), 400 },

	{ "Expect", F("Expect: 100-continue\r\nContent-Length: 1\r\n"), 0 },
	{ "Expect in capitals", F("Expect: 100-Continue\r\n"), 0 },
	{ "Expect another", F("Expect: 200-ok\r\n"), 417 },

	{ "incomplete", BYTES("GET / HTTP/1.1\r\nHost: x\r\n"), 1 },
	{ "incomplete at CR", BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r"), 1 },
	{ "nothing", BYTES(""), 1 },
	{ "TLS", BYTES("\x16\x03\x01"), 400 },
};

static void
judges_each_shape(void)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name, judge(rows[i].bytes) == rows[i].status);
}

/* The verdict must not depend on how the bytes are cut into packets. */
static void
judges_bytes_one_by_one(void)
{
	size_t i, n;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t scanned = 0;
		int whole, size = 0;

		for (n = 1; n <= rows[i].bytes.size && size == 0; n++)
			size = http_head_scan(
			    (struct text){ rows[i].bytes.at, n }, &scanned);
		scanned = 0;
		whole = http_head_scan(rows[i].bytes, &scanned);
		CHECK_ROW(rows[i].name, (size < 0) == (whole < 0));
		CHECK_ROW(rows[i].name, size <= 0 || size == whole);
	}
}

static void
caps_the_sizes(void)
{
	size_t i, at;

	at = (size_t)sprintf(long_line, "GET /");
	memset(long_line + at, 'a', HTTP_LINE_MAX - at);
	CHECK(judge((struct text){ long_line, HTTP_LINE_MAX }) == 1);
	long_line[HTTP_LINE_MAX] = 'a';
	CHECK(judge((struct text){ long_line, HTTP_LINE_MAX + 1 }) == 414);

	at = (size_t)sprintf(long_head, "GET / HTTP/1.1\r\nA: ");
	memset(long_head + at, 'a', sizeof long_head - at);
	CHECK(judge((struct text){ long_head, HTTP_HEAD_MAX }) == 1);
	CHECK(judge((struct text){ long_head, sizeof long_head }) == 431);

	for (i = 99; i <= 101; i++) {
		at = (size_t)sprintf(
		    many_fields, "GET / HTTP/1.1\r\nHost: x\r\n");
		for (size_t n = 1; n < i; n++)
			at += (size_t)sprintf(many_fields + at, "A: b\r\n");
		at += (size_t)sprintf(many_fields + at, "\r\n");
		CHECK(judge((struct text){ many_fields, at }) ==
		    (i > HTTP_HEADERS_MAX ? 431 : 0));
	}
}

static void
finds_fields(void)
{
	static const char bytes[] =
	    "PUT /a?b HTTP/1.1\r\nHost:x\r\n"
	    "content-LENGTH: 12\r\nConnection: a, Close\r\n"
	    "Expect: 100-continue\r\n\r\n";
	struct http_field fields[HTTP_HEADERS_MAX];
	struct http_head head = { .fields = fields };

	REQUIRE(http_head_parse(TEXT(bytes), &head) == 0);
	CHECK(text_equal(head.method, TEXT("PUT")));
	CHECK(text_equal(head.target, TEXT("/a?b")));
	CHECK(text_equal(http_head_get(&head, "host"), TEXT("x")));
	CHECK(http_head_get(&head, "nothing").at == NULL);
	CHECK(head.body_size == 12 && !head.chunked && head.minor == 1);
	CHECK(head.close && head.expect_continue && head.n_fields == 4);
}

static const struct {
	const char *name, *bytes, *body;
	int rc;
} chunk_rows[] = {
	{ "one", "5\r\nhello\r\n0\r\n\r\n", "hello", 2 },
	{ "two", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello", 2 },
	{ "none", "0\r\n\r\n", "", 2 },
	{ "extension", "5;a=b\r\nhello\r\n0;x\r\n\r\n", "hello", 2 },
	{ "trailer", "0\r\nA: b\r\nC: d\r\n\r\n", "", 2 },
	{ "capitals", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 2 },
	{ "eight digits", "00000005\r\nhello\r\n0\r\n\r\n", "hello", 2 },
	{ "incomplete", "5\r\nhel", "hel", 0 },
	{ "nine digits", "000000005\r\nhello\r\n0\r\n\r\n", "", -1 },
	{ "no digits", "\r\n", "", -1 },
	{ "not hexadecimal", "5g\r\n", "", -1 },
	{ "0x", "0x5\r\n", "", -1 },
	{ "signed", "+5\r\n", "", -1 },
	{ "negative", "-5\r\n", "", -1 },
	{ "a blank before", " 5\r\n", "", -1 },
	{ "a blank behind", "5 \r\nhello\r\n", "", -1 },
	{ "LF only", "5\nhello\n0\n\n", "", -1 },
	{ "data beyond the size", "5\r\nhellooo\r\n0\r\n\r\n", "hello", -1 },
	{ "CR without LF behind the data", "5\r\nhello\rX", "hello", -1 },
	{ "LF in an extension", "5;a\nhello", "", -1 },
	{ "folded trailer", "0\r\n A: b\r\n\r\n", "", -1 },
	{ "a blank in a trailer's name", "0\r\nA : b\r\n\r\n", "", -1 },
	{ "a trailer without a colon", "0\r\nA\r\n\r\n", "", -1 },
	{ "bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", "", -1 },
};

static int
read_chunked(struct text bytes, size_t step, char *body)
{
	struct http_chunks chunks = { 0 };
	size_t at, used = 0;
	int rc = 0;

	for (at = 0; at < bytes.size && rc == 0; at += step) {
		struct text part = { bytes.at + at,
			bytes.size - at < step ? bytes.size - at : step };
		struct text data;

		while ((rc = http_chunks_next(&chunks, &part, &data)) == 1) {
			memcpy(body + used, data.at, data.size);
			used += data.size;
		}
	}
	body[used] = '\0';
	return rc;
}

static void
reads_chunks_strictly(void)
{
	char body[64];
	size_t i;

	for (i = 0; i < sizeof chunk_rows / sizeof chunk_rows[0]; i++) {
		struct text bytes = text_from(chunk_rows[i].bytes);

		CHECK_ROW(chunk_rows[i].name,
		    read_chunked(bytes, bytes.size, body) == chunk_rows[i].rc &&
			strcmp(body, chunk_rows[i].body) == 0);
		CHECK_ROW(chunk_rows[i].name,
		    read_chunked(bytes, 1, body) == chunk_rows[i].rc &&
			strcmp(body, chunk_rows[i].body) == 0);
	}
}

static void
caps_chunk_extras(void)
{
	static char bytes[20000] = "1;";
	struct http_chunks chunks = { 0 };
	struct text left = { bytes, sizeof bytes }, data;

	memset(bytes + 2, 'x', sizeof bytes - 2);
	CHECK(http_chunks_next(&chunks, &left, &data) == -1);
}

CU_TestInfo http_head_tests[] = {
	{ "judges each shape", judges_each_shape },
	{ "judges bytes one by one", judges_bytes_one_by_one },
	{ "caps the sizes", caps_the_sizes },
	{ "finds fields", finds_fields },
	{ "reads chunks strictly", reads_chunks_strictly },
	{ "caps chunk extras", caps_chunk_extras },
	CU_TEST_INFO_NULL,
};
