#include "common/crypto/public_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "common/base/memory.h"

#define P256_SIZE 32
#define EXPONENT_SIZE_MAX 8

struct public_key {
	EVP_PKEY *key;
	bool is_rsa;
};

static const unsigned char *
bytes(struct text text)
{
	return (const unsigned char *)text.at;
}

static BIGNUM *
number(struct text text)
{
	BIGNUM *n = BN_bin2bn(bytes(text), (int)text.size, NULL);

	if (n == NULL)
		memory_exhausted();
	return n;
}

/* Takes the parameters over; NULL if they make no key. */
static EVP_PKEY *
build(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || context == NULL)
		memory_exhausted();
	if (EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static OSSL_PARAM_BLD *
make_builder(void)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

	if (builder == NULL)
		memory_exhausted();
	return builder;
}

static struct public_key *
wrap(EVP_PKEY *pkey, bool is_rsa, const char **reason)
{
	struct public_key *key;

	if (pkey == NULL) {
		*reason = "the numbers are no key";
		return NULL;
	}
	key = memory_alloc(sizeof *key);
	*key = (struct public_key){ pkey, is_rsa };
	return key;
}

/* What is wrong with an RSA key's numbers, or NULL. */
static const char *
find_rsa_fault(const BIGNUM *n, const BIGNUM *e, size_t exponent_size)
{
	if (BN_num_bits(n) < RSA_BITS_MIN)
		return "RSA of less than 2048 bits";
	if (BN_num_bits(n) > RSA_BITS_MAX)
		return "RSA of more than 8192 bits";
	if (!BN_is_odd(n))
		return "an even RSA modulus";
	if (exponent_size > EXPONENT_SIZE_MAX || !BN_is_odd(e) ||
	    BN_num_bits(e) < 2)
		return "an RSA exponent that is no odd number from 3 on";
	return NULL;
}

struct public_key *
public_key_rsa(struct text modulus, struct text exponent, const char **reason)
{
	OSSL_PARAM_BLD *builder;
	EVP_PKEY *key = NULL;
	BIGNUM *n, *e;

	if (modulus.size > RSA_BITS_MAX / 8 + 1) {
		*reason = "RSA of more than 8192 bits";
		return NULL;
	}
	n = number(modulus);
	e = number(exponent);
	*reason = find_rsa_fault(n, e, exponent.size);
	if (*reason == NULL) {
		builder = make_builder();
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
		key = build("RSA", builder);
	}
	BN_free(n);
	BN_free(e);
	return *reason == NULL ? wrap(key, true, reason) : NULL;
}

/* As 32 bytes: some writers drop zeros before it, some add one. */
static bool
put_coordinate(struct text number, unsigned char *out)
{
	while (text_take_byte(&number, '\0'))
		;
	if (number.size > P256_SIZE)
		return false;
	memset(out, 0, P256_SIZE);
	memcpy(out + P256_SIZE - number.size, number.at, number.size);
	return true;
}

/* libcrypto refuses a point that isn't on the curve. */
struct public_key *
public_key_p256(struct text x, struct text y, const char **reason)
{
	static const char curve[] = "prime256v1";
	unsigned char point[1 + 2 * P256_SIZE] = {
		POINT_CONVERSION_UNCOMPRESSED
	};
	OSSL_PARAM_BLD *builder;

	if (!put_coordinate(x, point + 1) ||
	    !put_coordinate(y, point + 1 + P256_SIZE)) {
		*reason = "a coordinate of more than 32 bytes";
		return NULL;
	}
	builder = make_builder();
	OSSL_PARAM_BLD_push_utf8_string(
	    builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve - 1);
	OSSL_PARAM_BLD_push_octet_string(
	    builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
	return wrap(build("EC", builder), false, reason);
}

void
public_key_destroy(struct public_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->key);
	free(key);
}

bool
public_key_is_rsa(const struct public_key *key)
{
	return key->is_rsa;
}

static bool
verify_bytes(
    const struct public_key *key, struct text message, struct text signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fits;

	if (context == NULL)
		memory_exhausted();
	/* libcrypto's default padding of RSA is PKCS #1 v1.5 */
	fits = EVP_DigestVerifyInit(
		   context, NULL, EVP_sha256(), NULL, key->key) == 1 &&
	    EVP_DigestVerify(context, bytes(signature), signature.size,
		bytes(message), message.size) == 1;
	EVP_MD_CTX_free(context);
	return fits;
}

/* r‖s as the DER that libcrypto wants; it checks that 0 < r, s < n. */
static bool
verify_pair(const struct public_key *key, struct text message, struct text pair)
{
	struct text r = { pair.at, P256_SIZE };
	struct text s = { pair.at + P256_SIZE, P256_SIZE };
	ECDSA_SIG *both = ECDSA_SIG_new();
	unsigned char *der = NULL;
	bool fits;
	int size;

	if (both == NULL)
		memory_exhausted();
	ECDSA_SIG_set0(both, number(r), number(s));
	size = i2d_ECDSA_SIG(both, &der);
	fits = size > 0 &&
	    verify_bytes(
		key, message, (struct text){ (const char *)der, (size_t)size });
	OPENSSL_free(der);
	ECDSA_SIG_free(both);
	return fits;
}

bool
public_key_verify(
    const struct public_key *key, struct text message, struct text signature)
{
	if (key->is_rsa)
		return verify_bytes(key, message, signature);
	return signature.size == 2 * P256_SIZE &&
	    verify_pair(key, message, signature);
}
