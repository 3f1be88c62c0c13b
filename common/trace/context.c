#include "common/trace/context.h"

#include <string.h>

#include "common/base/buffer.h"
#include "common/crypto/digest.h"

/* Lower-case hexadecimal that isn't all zeros. */
static bool
read_id(const char *digits, uint8_t *out, size_t size)
{
	uint8_t any = 0;
	size_t i;

	for (i = 0; i < 2 * size; i++)
		if (digits[i] >= 'A' && digits[i] <= 'F')
			return false;
	for (i = 0; i < size; i++) {
		int high = text_hex_digit(digits[2 * i]);
		int low = text_hex_digit(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		any |= out[i];
	}
	return any != 0;
}

bool
trace_context_read(struct text header, struct trace_context *context)
{
	const char *at = header.at;
	uint8_t flags = 0;

	if (header.size != TRACE_PARENT_SIZE || memcmp(at, "00-", 3) != 0 ||
	    at[35] != '-' || at[52] != '-' ||
	    !read_id(at + 3, context->trace, sizeof context->trace) ||
	    !read_id(at + 36, context->span, sizeof context->span))
		return false;
	if (memcmp(at + 53, "00", 2) != 0 && !read_id(at + 53, &flags, 1))
		return false;
	context->is_sampled = (flags & 1) != 0;
	return true;
}

void
trace_context_write(
    const struct trace_context *context, char out[TRACE_PARENT_SIZE])
{
	memcpy(out, "00-", 3);
	hex_write(context->trace, sizeof context->trace, out + 3);
	out[35] = '-';
	hex_write(context->span, sizeof context->span, out + 36);
	memcpy(out + 52, context->is_sampled ? "-01" : "-00", 3);
}

void
trace_span_id(
    const struct uuid *id, const char *name, int64_t number, uint8_t out[8])
{
	uint8_t digest[SHA256_SIZE];
	struct buffer seed = { 0 };

	buffer_append(
	    &seed, (struct text){ (const char *)id->bytes, sizeof id->bytes });
	buffer_format(&seed, "%s\n%lld", name, (long long)number);
	sha256(buffer_text(&seed), digest);
	buffer_finish(&seed);
	memcpy(out, digest, 8);
	out[7] |= (uint8_t)(memcmp(out, "\0\0\0\0\0\0\0", 8) == 0);
}
