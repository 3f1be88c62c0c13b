#ifndef SCHEDRUN_COMMON_BASE_ADDRESS_H
#define SCHEDRUN_COMMON_BASE_ADDRESS_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/text.h"

/* Addresses as they are written, "host:port": pure, nothing is looked up. */
struct address {
	char host[256]; /* without brackets; "": none was given */
	char port[8];   /* decimal, 0 to 65535; "": none was given */
};

/*
 * Reads "host:port", "[IPv6]:port", an IPv6 address and ":port", and what
 * leaves out the port.  The host has the form of a name or an address.  -1 with
 * ERROR_FATAL (78) that says what is wrong of these, and not where it stands.
 */
int address_read(struct text text, struct address *address, struct error *err);

/*
 * Whether who listens on one of them takes the other's port: equal ports but 0,
 * and equal hosts or one that stands for all.  "localhost" is 127.0.0.1 and
 * ::1.
 */
bool address_meets(const struct address *left, const struct address *right);

#endif
