#ifndef SCHEDRUN_COMMON_KAFKA_OAUTH_H
#define SCHEDRUN_COMMON_KAFKA_OAUTH_H

#include "common/base/error.h"

/*
 * Has librdkafka's handles get their tokens from an issuer.  It can do so
 * itself, but not as Debian 12 builds it (docs/portability.md, section 3).
 */
struct rd_kafka_s;
struct rd_kafka_conf_s;

/*
 * Has a handle that will be made of `conf` ask for tokens, and lets one that
 * was made do so, on a thread of librdkafka's: nobody has to poll it.  Its
 * opaque begins with a struct kafka_client, whose `oauth` is asked.  -1:
 * ERROR_FATAL (71).
 */
void kafka_oauth_prepare(struct rd_kafka_conf_s *conf);
int kafka_oauth_serve(struct rd_kafka_s *handle, struct error *err);

#endif
