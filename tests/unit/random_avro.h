#ifndef SCHEDRUN_TESTS_UNIT_RANDOM_AVRO_H
#define SCHEDRUN_TESTS_UNIT_RANDOM_AVRO_H

#include <avro.h>

#include "common/base/buffer.h"
#include "tests/unit/random.h"

/* A random record schema of this full name, of every type that Avro has. */
void random_schema(
    struct random *random, const char *full_name, struct buffer *out);

/* Fills a value of any schema. */
void random_value(
    struct random *random, struct arena *arena, const avro_value_t *value);

#endif
