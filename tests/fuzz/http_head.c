/* A head as it arrives in pieces, then a chunked body. */
#include "common/http/head.h"
#include "tests/fuzz/fuzz.h"

/* How the bytes are cut must not matter. */
static int
scan(struct text bytes, size_t step)
{
	struct text so_far = { bytes.at, 0 };
	size_t scanned = 0;
	int rc = 0;

	while (rc == 0 && so_far.size < bytes.size) {
		so_far.size += step < bytes.size - so_far.size
		    ? step
		    : bytes.size - so_far.size;
		rc = http_head_scan(so_far, &scanned);
		assert(scanned <= so_far.size);
	}
	return rc;
}

static void
read_chunks(struct text bytes)
{
	struct http_chunks chunks = { 0 };
	struct text data;
	int rc;

	do {
		rc = http_chunks_next(&chunks, &bytes, &data);
		assert(rc >= -1 && rc <= 2);
	} while (rc == 1 || (rc == 0 && bytes.size > 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text all = { (const char *)bytes, size };
	struct http_field fields[HTTP_HEADERS_MAX];
	struct http_head head = { .fields = fields };
	int rc = scan(all, size > 0 ? size : 1);

	assert(scan(all, 1) == rc && scan(all, 7) == rc);
	if (rc <= 0)
		return 0;
	assert((size_t)rc <= size);
	if (http_head_parse((struct text){ all.at, (size_t)rc }, &head) == 0) {
		assert(head.n_fields <= HTTP_HEADERS_MAX);
		assert(head.body_size >= 0);
		assert(!head.chunked || head.body_size == 0);
		http_head_get(&head, "host");
	}
	read_chunks((struct text){ all.at + rc, size - (size_t)rc });
	return 0;
}
