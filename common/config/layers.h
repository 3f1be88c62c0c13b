#ifndef SCHEDRUN_COMMON_CONFIG_LAYERS_H
#define SCHEDRUN_COMMON_CONFIG_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config/config.h"

/*
 * What the layers of the configuration share: config.c keeps values, file.c and
 * layers.c bring them.  Inside common/config/ only.
 */
enum config_block {
	CONFIG_BLOCK_BOTH,
	CONFIG_BLOCK_CONSUMER,
	CONFIG_BLOCK_PRODUCER,
};

/* Where a value stands, for messages, and where the message goes. */
struct config_place {
	const char *source; /* "schedrun.conf:12", "flag -X", "env NAME" */
	struct error *err;
};

/* Checks and keeps a key's value; `name` may be a secret's NAME.file. */
int config_set(struct config *config, const char *name, const char *value,
    const char *source, struct error *err);
bool config_is_secret(const char *name);

/* The same for a property of librdkafka. */
int config_add_property(struct config *config, enum config_block block,
    const char *name, const char *value, struct config_place place);
bool config_property_is_secret(const char *name);

int config_read_environment(struct config *config, struct error *err);
int config_read_flags(struct config *config, const struct config_flag *flags,
    size_t n_flags, struct error *err);

#endif
