#include "common/rid.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "common/memory.h"

#define SHA1_SIZE 20

static const uint8_t namespace_bytes[16] = { 0xfe, 0x98, 0x8d, 0xb1, 0x2d, 0xb0,
	0x57, 0x9e, 0x8f, 0x7f, 0x87, 0x2f, 0x9f, 0x10, 0x84, 0xbd };

/*
 * Fetching the digest anew for each hash costs more than the hash (296 against
 * 121 ns), so each thread keeps contexts that were set up once.  The ids of one
 * build's jobs begin with the same 79 bytes: they go on from a context that has
 * these behind it (112 ns an id instead of 240).
 */
struct hasher {
	EVP_MD_CTX *context;
	EVP_MD_CTX *jobs;  /* what the ids of jobs of `build` begin with */
	struct uuid build; /* if has_build */
	bool has_build;
};

static EVP_MD *sha1;
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;
static _Thread_local struct hasher *hasher;
static pthread_key_t hasher_key;

static void
free_hasher(void *memory)
{
	struct hasher *freed = memory;

	EVP_MD_CTX_free(freed->context);
	EVP_MD_CTX_free(freed->jobs);
	free(freed);
}

static void
fetch_sha1(void)
{
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (sha1 == NULL || pthread_key_create(&hasher_key, free_hasher) != 0)
		memory_exhausted();
}

/* This thread's. */
static struct hasher *
get_hasher(void)
{
	if (hasher != NULL)
		return hasher;
	pthread_once(&sha1_once, fetch_sha1);
	hasher = memory_zalloc(1, sizeof *hasher);
	hasher->context = EVP_MD_CTX_new();
	hasher->jobs = EVP_MD_CTX_new();
	if (hasher->context == NULL || hasher->jobs == NULL ||
	    pthread_setspecific(hasher_key, hasher) != 0)
		memory_exhausted();
	return hasher;
}

static void
begin(EVP_MD_CTX *hash)
{
	if (EVP_DigestInit_ex2(hash, sha1, NULL) != 1)
		memory_exhausted();
}

static void
add(EVP_MD_CTX *hash, const void *bytes, size_t size)
{
	if (EVP_DigestUpdate(hash, bytes, size) != 1)
		memory_exhausted();
}

static void
end(EVP_MD_CTX *hash, uint8_t digest[SHA1_SIZE])
{
	if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
		memory_exhausted();
}

static struct uuid
end_uuid(EVP_MD_CTX *hash)
{
	uint8_t digest[SHA1_SIZE];
	struct uuid uuid;

	end(hash, digest);
	memcpy(uuid.bytes, digest, sizeof uuid.bytes);
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0F) | 0x50);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3F) | 0x80);
	return uuid;
}

/* Namespace and parts joined by line breaks (RFC 9562, section 5.5). */
static void
add_name(EVP_MD_CTX *hash, const struct text *parts, size_t n)
{
	size_t i;

	add(hash, namespace_bytes, sizeof namespace_bytes);
	for (i = 0; i < n; i++) {
		if (i > 0)
			add(hash, "\n", 1);
		add(hash, parts[i].at, parts[i].size);
	}
}

static struct uuid
uuid5(const struct text *parts, size_t n)
{
	EVP_MD_CTX *hash = get_hasher()->context;

	begin(hash);
	add_name(hash, parts, n);
	return end_uuid(hash);
}

/* The id of a thing named by `kind`, the RID prefix + owner, and a last part.
 */
static struct uuid
uuid5_under(struct text kind, struct text prefix, const struct uuid *owner,
    struct text last)
{
	char rid[RID_SIZE_MAX];
	struct text parts[3] = { kind, { rid, 0 }, last };

	parts[1].size = rid_format(prefix, owner, rid);
	return uuid5(parts, last.at != NULL ? 3 : 2);
}

struct uuid
rid_run(struct text schedule_rid, struct text request_id)
{
	const struct text parts[3] = { TEXT("run"), schedule_rid, request_id };

	return uuid5(parts, 3);
}

struct uuid
rid_build(const struct uuid *run)
{
	return uuid5_under(TEXT("build"), TEXT(RID_RUN_PREFIX), run, TEXT_NONE);
}

static void
begin_jobs(struct hasher *of, const struct uuid *build)
{
	char rid[RID_SIZE_MAX];
	struct text parts[3] = { TEXT("job"), { rid, 0 }, TEXT("") };

	parts[1].size = rid_format(TEXT(RID_BUILD_PREFIX), build, rid);
	begin(of->jobs);
	add_name(of->jobs, parts, 3);
	of->build = *build;
	of->has_build = true;
}

struct uuid
rid_job(const struct uuid *build, struct text key)
{
	struct hasher *of = get_hasher();

	if (!of->has_build ||
	    memcmp(of->build.bytes, build->bytes, sizeof build->bytes) != 0)
		begin_jobs(of, build);
	if (EVP_MD_CTX_copy_ex(of->context, of->jobs) != 1)
		memory_exhausted();
	add(of->context, key.at, key.size);
	return end_uuid(of->context);
}

struct uuid
rid_transaction(const struct uuid *job, struct text output)
{
	return uuid5_under(
	    TEXT("transaction"), TEXT(RID_JOB_PREFIX), job, output);
}

size_t
rid_format(struct text prefix, const struct uuid *uuid, char *out)
{
	memcpy(out, prefix.at, prefix.size);
	uuid_format(uuid, out + prefix.size);
	return prefix.size + UUID_TEXT_SIZE;
}

/* Whether a hyphen stands before this byte of a UUID's text. */
static bool
is_group_start(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void
uuid_format(const struct uuid *uuid, char out[UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < sizeof uuid->bytes; i++) {
		if (is_group_start(i))
			*out++ = '-';
		*out++ = digits[uuid->bytes[i] >> 4];
		*out++ = digits[uuid->bytes[i] & 0x0F];
	}
}

/* The value of a lower-case hexadecimal digit, -1 of anything else. */
static int
digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

bool
uuid_parse(struct text text, struct uuid *uuid)
{
	const char *at = text.at;
	size_t i;

	if (text.size != UUID_TEXT_SIZE)
		return false;
	for (i = 0; i < sizeof uuid->bytes; i++) {
		int high, low;

		if (is_group_start(i) && *at++ != '-')
			return false;
		high = digit_value(*at++);
		low = digit_value(*at++);
		if (high < 0 || low < 0)
			return false;
		uuid->bytes[i] = (uint8_t)(high * 16 + low);
	}
	return true;
}

struct uuid
uuid_random(void)
{
	struct uuid uuid;

	if (getrandom(uuid.bytes, sizeof uuid.bytes, 0) !=
	    (ssize_t)sizeof uuid.bytes)
		memory_exhausted();
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0F) | 0x40);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3F) | 0x80);
	return uuid;
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A part of [a-z0-9-]; its first character a letter, or a digit if allowed. */
static bool
is_name(struct text part, bool digit_first)
{
	size_t i;

	if (part.size == 0 ||
	    !(is_lower(part.at[0]) || (digit_first && is_digit(part.at[0]))))
		return false;
	for (i = 1; i < part.size; i++)
		if (!is_lower(part.at[i]) && !is_digit(part.at[i]) &&
		    part.at[i] != '-')
			return false;
	return true;
}

static bool
is_locator(struct text part)
{
	size_t i;

	for (i = 0; i < part.size; i++) {
		char c = part.at[i];

		if (!is_lower(c) && !is_digit(c) && !(c >= 'A' && c <= 'Z') &&
		    c != '.' && c != '_' && c != '-')
			return false;
	}
	return part.size > 0;
}

/* Cuts off what stands before the first dot; false if there is none. */
static bool
cut(struct text *rest, struct text *part)
{
	const char *dot = memchr(rest->at, '.', rest->size);

	if (dot == NULL)
		return false;
	*part = (struct text){ rest->at, (size_t)(dot - rest->at) };
	rest->at = dot + 1;
	rest->size -= part->size + 1;
	return true;
}

struct parts {
	struct text service, instance, type, locator;
};

static bool
split(struct text text, struct parts *parts)
{
	struct text head;

	if (text.at == NULL || text.size > RID_SIZE_MAX)
		return false;
	return cut(&text, &head) && text_equal(head, TEXT("ri")) &&
	    cut(&text, &parts->service) && is_name(parts->service, false) &&
	    cut(&text, &parts->instance) &&
	    (parts->instance.size == 0 || is_name(parts->instance, true)) &&
	    cut(&text, &parts->type) && is_name(parts->type, false) &&
	    (parts->locator = text, is_locator(text));
}

bool
rid_is_valid(struct text text)
{
	struct parts parts;

	return split(text, &parts);
}

/* Whether it would be a UUID but for capital letters in it. */
static bool
is_capital_uuid(struct text locator)
{
	char lower[UUID_TEXT_SIZE] = { 0 };
	struct uuid uuid;
	size_t i;

	if (locator.size != UUID_TEXT_SIZE || uuid_parse(locator, &uuid))
		return false;
	for (i = 0; i < sizeof lower; i++) {
		char c = locator.at[i];

		lower[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
	}
	return uuid_parse((struct text){ lower, sizeof lower }, &uuid);
}

bool
rid_is(struct text text, struct text service, struct text type)
{
	struct parts parts;

	return split(text, &parts) && text_equal(parts.service, service) &&
	    text_equal(parts.type, type) && !is_capital_uuid(parts.locator);
}

uint32_t
sha1_prefix32(struct text bytes)
{
	EVP_MD_CTX *hash = get_hasher()->context;
	uint8_t digest[SHA1_SIZE];

	begin(hash);
	add(hash, bytes.at, bytes.size);
	end(hash, digest);
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
	    (uint32_t)digest[2] << 8 | digest[3];
}
