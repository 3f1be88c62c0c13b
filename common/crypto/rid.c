#include "common/crypto/rid.h"

#include <string.h>
#include <sys/random.h>

/*
 * The digest's own functions: by way of EVP a hash of an id costs more than
 * twice the time, most of it for finding the digest and wiping its state.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "common/base/memory.h"

#define READ_KEPT 1024

static const uint8_t namespace_bytes[16] = { 0xfe, 0x98, 0x8d, 0xb1, 0x2d, 0xb0,
	0x57, 0x9e, 0x8f, 0x7f, 0x87, 0x2f, 0x9f, 0x10, 0x84, 0xbd };

static struct uuid
end_uuid(SHA_CTX *hash)
{
	uint8_t digest[SHA_DIGEST_LENGTH];
	struct uuid uuid;

	SHA1_Final(digest, hash);
	memcpy(uuid.bytes, digest, sizeof uuid.bytes);
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0F) | 0x50);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3F) | 0x80);
	return uuid;
}

/* Parts joined by line breaks, in our namespace (RFC 9562, section 5.5). */
static void
begin_name(SHA_CTX *hash, const struct text *parts, size_t n)
{
	size_t i;

	SHA1_Init(hash);
	SHA1_Update(hash, namespace_bytes, sizeof namespace_bytes);
	for (i = 0; i < n; i++) {
		if (i > 0)
			SHA1_Update(hash, "\n", 1);
		SHA1_Update(hash, parts[i].at, parts[i].size);
	}
}

/* In one piece where it fits: a digest fed by bits costs a fifth more. */
static struct uuid
uuid5(const struct text *parts, size_t n)
{
	char name[512];
	size_t size = sizeof namespace_bytes, i;
	SHA_CTX hash;

	for (i = 0; i < n; i++)
		size += parts[i].size + (i > 0);
	if (size > sizeof name) {
		begin_name(&hash, parts, n);
		return end_uuid(&hash);
	}
	memcpy(name, namespace_bytes, sizeof namespace_bytes);
	size = sizeof namespace_bytes;
	for (i = 0; i < n; i++) {
		if (i > 0)
			name[size++] = '\n';
		memcpy(name + size, parts[i].at, parts[i].size);
		size += parts[i].size;
	}
	SHA1_Init(&hash);
	SHA1_Update(&hash, name, size);
	return end_uuid(&hash);
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

bool
rid_parse(struct text rid, struct text prefix, struct uuid *uuid)
{
	return text_starts_with(rid, prefix) &&
	    uuid_parse(
		(struct text){ rid.at + prefix.size, rid.size - prefix.size },
		uuid);
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

/*
 * The ids of one build's jobs begin with the same 79 bytes: they go on from a
 * hash that has these behind it.
 */
struct uuid
rid_job(const struct uuid *build, struct text key)
{
	static _Thread_local struct {
		struct uuid build;
		bool is_begun;
		SHA_CTX hash;
	} begun;
	char rid[RID_SIZE_MAX];
	struct text parts[3] = { TEXT("job"), { rid, 0 }, TEXT("") };
	SHA_CTX hash;

	if (!begun.is_begun ||
	    memcmp(begun.build.bytes, build->bytes, sizeof build->bytes) != 0) {
		parts[1].size = rid_format(TEXT(RID_BUILD_PREFIX), build, rid);
		begin_name(&begun.hash, parts, 3);
		begun.build = *build;
		begun.is_begun = true;
	}
	hash = begun.hash;
	SHA1_Update(&hash, key.at, key.size);
	return end_uuid(&hash);
}

/*
 * Jobs beside each other, and those of many schedules, often read the same:
 * they go on from a hash that has it behind it.
 */
struct uuid
rid_fingerprint(struct text read, struct text rest)
{
	static _Thread_local struct {
		char read[READ_KEPT];
		size_t size;
		bool is_begun;
		SHA_CTX hash;
	} begun;
	const struct text parts[2] = { TEXT("fingerprint"), read };
	SHA_CTX hash;

	if (!begun.is_begun || begun.size != read.size ||
	    memcmp(begun.read, read.at, read.size) != 0) {
		begin_name(&hash, parts, 2);
		begun.is_begun = read.size <= sizeof begun.read;
		if (begun.is_begun) {
			memcpy(begun.read, read.at, read.size);
			begun.size = read.size;
			begun.hash = hash;
		}
	} else {
		hash = begun.hash;
	}
	SHA1_Update(&hash, rest.at, rest.size);
	return end_uuid(&hash);
}

struct uuid
rid_firing(struct text version_rid, struct text instant)
{
	const struct text parts[3] = { TEXT("firing"), version_rid, instant };

	return uuid5(parts, 3);
}

struct uuid
rid_transaction(const struct uuid *job, struct text output)
{
	return uuid5_under(
	    TEXT("transaction"), TEXT(RID_JOB_PREFIX), job, output);
}

struct uuid
rid_user(struct text subject)
{
	static const uint8_t users[16] = { 0xc5, 0x0d, 0xe8, 0x38, 0x42, 0x88,
		0x5a, 0xcf, 0x9a, 0xb5, 0x1d, 0x48, 0x32, 0x5c, 0xd8, 0xc7 };
	SHA_CTX hash;

	SHA1_Init(&hash);
	SHA1_Update(&hash, users, sizeof users);
	SHA1_Update(&hash, subject.at, subject.size);
	return end_uuid(&hash);
}

size_t
rid_format(struct text prefix, const struct uuid *uuid, char *out)
{
	memcpy(out, prefix.at, prefix.size);
	uuid_format(uuid, out + prefix.size);
	return prefix.size + UUID_TEXT_SIZE;
}

/* Where a byte's two digits stand in a UUID's text. */
static const uint8_t digits_at[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24,
	26, 28, 30, 32, 34 };

void
uuid_format(const struct uuid *uuid, char out[UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	out[8] = out[13] = out[18] = out[23] = '-';
	for (i = 0; i < sizeof uuid->bytes; i++) {
		out[digits_at[i]] = digits[uuid->bytes[i] >> 4];
		out[digits_at[i] + 1] = digits[uuid->bytes[i] & 0x0F];
	}
}

/* One more than a digit's value; 0: it is none.  Both ways of writing them. */
#define DIGITS                                                                 \
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6,      \
	['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12,   \
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16
static const uint8_t lower_digits[256] = { DIGITS };
static const uint8_t any_digits[256] = { DIGITS, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16 };

static bool
read_uuid(struct text text, const uint8_t digits[256], struct uuid *uuid)
{
	const char *at = text.at;
	bool are_digits = true;
	size_t i;

	if (text.size != UUID_TEXT_SIZE || at[8] != '-' || at[13] != '-' ||
	    at[18] != '-' || at[23] != '-')
		return false;
	for (i = 0; i < sizeof uuid->bytes; i++) {
		unsigned high = digits[(uint8_t)at[digits_at[i]]];
		unsigned low = digits[(uint8_t)at[digits_at[i] + 1]];

		are_digits &= high > 0 && low > 0;
		uuid->bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
	}
	return are_digits;
}

bool
uuid_parse(struct text text, struct uuid *uuid)
{
	return read_uuid(text, lower_digits, uuid);
}

bool
uuid_read(struct text text, struct uuid *uuid)
{
	return read_uuid(text, any_digits, uuid);
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

/* What a character may stand in. */
enum {
	NAME_FIRST = 1,    /* [a-z] */
	NAME_INSTANCE = 2, /* [0-9]: first of an instance's name as well */
	NAME_REST = 4,     /* [a-z0-9-] */
	LOCATOR = 8,       /* [A-Za-z0-9._-] */
	LOWER = NAME_FIRST | NAME_REST | LOCATOR,
	DIGIT = NAME_INSTANCE | NAME_REST | LOCATOR,
};
__extension__ static const uint8_t places[256] = {
	['a' ... 'z'] = LOWER,
	['0' ... '9'] = DIGIT,
	['A' ... 'Z'] = LOCATOR,
	['.'] = LOCATOR,
	['_'] = LOCATOR,
	['-'] = NAME_REST | LOCATOR,
};

/* Whether each character may stand there, and there is one. */
static bool
are_all(struct text part, uint8_t place)
{
	uint8_t all = place;
	size_t i;

	for (i = 0; i < part.size; i++)
		all &= places[(unsigned char)part.at[i]];
	return part.size > 0 && all != 0;
}

static bool
is_name(struct text part, uint8_t first)
{
	return are_all(part, NAME_REST) &&
	    (places[(unsigned char)part.at[0]] & first) != 0;
}

/* Cuts off what stands before the first dot; false if there is none. */
static bool
cut_part(struct text *rest, struct text *part)
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
	return cut_part(&text, &head) && text_equal(head, TEXT("ri")) &&
	    cut_part(&text, &parts->service) &&
	    is_name(parts->service, NAME_FIRST) &&
	    cut_part(&text, &parts->instance) &&
	    (parts->instance.size == 0 ||
		is_name(parts->instance, NAME_FIRST | NAME_INSTANCE)) &&
	    cut_part(&text, &parts->type) && is_name(parts->type, NAME_FIRST) &&
	    (parts->locator = text, are_all(text, LOCATOR));
}

/* Where the characters end that may stand there, from `i` on. */
static inline size_t
pass_over(struct text text, size_t i, uint8_t place)
{
	while (
	    i < text.size && (places[(unsigned char)text.at[i]] & place) != 0)
		i++;
	return i;
}

/* A name from `*i` on, and the dot behind it. */
static inline bool
pass_name(struct text text, size_t *i, uint8_t first)
{
	size_t end = pass_over(text, *i, NAME_REST);

	if (end == *i || end == text.size || text.at[end] != '.' ||
	    (places[(unsigned char)text.at[*i]] & first) == 0)
		return false;
	*i = end + 1;
	return true;
}

/* One more byte than a RID may have shows that it is too long. */
size_t
rid_size(struct text text)
{
	size_t i = 3, end;

	if (text.size < i || memcmp(text.at, "ri.", i) != 0)
		return 0;
	if (text.size > RID_SIZE_MAX + 1)
		text.size = RID_SIZE_MAX + 1;
	if (!pass_name(text, &i, NAME_FIRST))
		return 0;
	if (i < text.size && text.at[i] == '.')
		i++;
	else if (!pass_name(text, &i, NAME_FIRST | NAME_INSTANCE))
		return 0;
	if (!pass_name(text, &i, NAME_FIRST))
		return 0;
	end = pass_over(text, i, LOCATOR);
	return end > i && end <= RID_SIZE_MAX ? end : 0;
}

bool
rid_is_valid(struct text text)
{
	return text.at != NULL && text.size > 0 && rid_size(text) == text.size;
}

/* Whether it would be a UUID but for capital letters in it. */
static bool
is_capital_uuid(struct text locator)
{
	struct uuid uuid;

	return !uuid_parse(locator, &uuid) && uuid_read(locator, &uuid);
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
	uint8_t digest[SHA_DIGEST_LENGTH];
	SHA_CTX hash;

	SHA1_Init(&hash); /* SHA1() alone looks the digest up each time */
	SHA1_Update(&hash, bytes.at, bytes.size);
	SHA1_Final(digest, &hash);
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
	    (uint32_t)digest[2] << 8 | digest[3];
}
