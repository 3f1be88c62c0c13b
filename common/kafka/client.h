#ifndef SCHEDRUN_COMMON_KAFKA_CLIENT_H
#define SCHEDRUN_COMMON_KAFKA_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "common/kafka/errors.h"
#include "common/kafka/token.h"

/*
 * What the consumer, the producers and the admin client of Kafka share: the
 * values they take and give, the health that readiness looks at and
 * settings.
 */

struct kafka_header {
	struct text name;
	struct text value; /* `at == NULL`: a null value */
};

/* A record to be written. */
struct kafka_message {
	struct text key;   /* `at == NULL`: none, any partition */
	struct text value; /* `at == NULL`: null, a tombstone */
	const struct kafka_header *headers;
	size_t n_headers;
	int64_t timestamp_ms; /* 0: now */
	/* In a transaction: 1 + the partition that it must go to, which must be
	 * one of the topic's; 0: its key's. */
	int32_t pinned;
	void *opaque; /* comes back with the delivery report */
};

struct kafka_offset {
	int32_t partition;
	int64_t offset;
};
/* Places in one topic; borrowed. */
struct kafka_offset_list {
	const char *topic;
	const struct kafka_offset *at;
	size_t n;
};

/*
 * Health of the connection to Kafka, over all handles of a process.  Shared by
 * handing the same one to each create function; it must outlive them.  Any
 * thread.
 */
struct kafka_health;
struct kafka_state {
	bool up;          /* a broker answered, and not longer ago than asked */
	int64_t since_ms; /* Unix time of the last change of `up` */
	char reason[400]; /* why it is down; "" if up */
};

/* At first down: nobody has answered yet. */
struct kafka_health *kafka_health_create(void);
void kafka_health_destroy(struct kafka_health *health); /* NULL is fine */

/* State now; an answer that is older than `max_age_ms` counts as down. */
void kafka_health_read(
    struct kafka_health *health, int64_t max_age_ms, struct kafka_state *out);

/*
 * The user had each right that is needed: from here on a missing one is waited
 * for, ERROR_RETRY or ERROR_ABORT in place of ERROR_FATAL (77), as it may be
 * given again; until it is the state is down and names it.  Said again whenever
 * all goes well.  NULL is fine.
 */
void kafka_health_prove(struct kafka_health *health);

/*
 * Hears of each error event of librdkafka and each failed call, by the name of
 * librdkafka's code ("_TRANSPORT"): for schedrun_kafka_errors_total.  Called on
 * the thread that polls or calls.  May be set once, before the first create.
 */
void kafka_health_on_error(struct kafka_health *health,
    void (*count)(void *opaque, const char *code), void *opaque);

/* The codes that are counted from the start, ended by NULL: others may come. */
extern const char *const kafka_error_codes[];

/* What every create function wants. */
struct kafka_settings {
	const struct config *config; /* librdkafka's properties; outlives all */
	struct kafka_health *health; /* borrowed; NULL: nobody asks */
	const char *client_id;       /* NULL: "schedrun" */
};

/* The version of librdkafka that runs, "2.0.2". */
const char *kafka_library_version(void);

/*
 * Which partition a key belongs to: Java's default, murmur2 (docs/delivery.md,
 * H1), so that a key sits where other clients put it.
 */
int32_t kafka_partition_of(struct text key, int32_t partitions);

/*
 * The rest is for the four kafka_ modules.  Property values may be secrets and
 * never show in a message.
 */
struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_error_s;

/*
 * A property that schedrun sets.  A fixed one is what exactly once rests on: a
 * user's property of that name with another value is refused.
 */
struct kafka_preset {
	const char *name, *value;
	bool fixed;
};

/*
 * Merges presets and the user's properties in the order of precedence into
 * `out`, which has room for n_presets + n_properties; returns the number of
 * entries.  Presets that the user overrides are left out; of the user's own the
 * last of a name wins.  -1 with ERROR_FATAL (78) names a property that is set
 * by schedrun.
 */
int kafka_settings_merge(const struct kafka_preset *presets, size_t n_presets,
    const struct config_property *properties, size_t n_properties,
    struct config_property *out, struct error *err);

/*
 * Whether librdkafka takes each property, on the sides that it is for.  No
 * connection is made.  -1 with ERROR_FATAL (78).
 */
int kafka_settings_check(const struct config *config, struct error *err);

/*
 * librdkafka's configuration with log and error callbacks in place; `client`
 * must be the first thing that rd_kafka_conf_set_opaque's pointer points to.
 * NULL with ERROR_FATAL (78).  The caller owns it until rd_kafka_new.
 */
struct kafka_client {
	struct kafka_health *health;
	unsigned error_events; /* _TRANSPORT, _TIMED_OUT, _ALL_BROKERS_DOWN */
	/*
	 * Connections that ended: the error events of most are silenced or
	 * suppressed as repetitions.  Counted on librdkafka's threads.
	 */
	atomic_uint closed_sockets;
	bool fatal; /* librdkafka raised a fatal error */
	/* How credentials were refused since the last answer; "": not. */
	char refusal[400];
	bool strict_credentials;  /* then no answer is ERROR_FATAL (77) */
	struct kafka_oauth oauth; /* of the configuration */
	bool has_old_scram; /* Kafka 4 refuses it, whatever the password */
	char brokers[200];  /* that were to be asked first; "": too many */
};
struct rd_kafka_conf_s *kafka_client_conf(struct kafka_client *client,
    const struct kafka_settings *settings, enum config_side side,
    const struct kafka_preset *presets, size_t n_presets, struct error *err);

/*
 * A handle (rd_kafka_type_t) of this configuration, which it takes and which
 * may be NULL: NULL then, or with ERROR_FATAL (78) that says what it was to be.
 */
struct rd_kafka_s *kafka_client_open(struct rd_kafka_conf_s *conf, int type,
    const char *what, struct error *err);

/* A broker answered. */
void kafka_client_answered(struct kafka_client *client);

/*
 * Sets `err` by the table and counts the code.  Returns -1.  `what` says what
 * was tried; `detail` is librdkafka's text or NULL.
 */
int kafka_client_fail(struct kafka_client *client, enum kafka_call call,
    struct kafka_failure failure, struct error *err, const char *what,
    const char *detail);

/* The same for a code alone. */
int kafka_client_fail_code(struct kafka_client *client, enum kafka_call call,
    int code, struct error *err, const char *what);

/* The same for a rd_kafka_error_t, which it destroys. */
int kafka_client_fail_error(struct kafka_client *client, enum kafka_call call,
    struct rd_kafka_error_s *cause, struct error *err, const char *what);

/* Destroys a handle within `timeout_ms`; -1: it hangs and is left behind. */
int kafka_client_destroy_handle(struct rd_kafka_s *handle, int timeout_ms);

#endif
