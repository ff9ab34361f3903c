/*
 * Which addresses belong to the public internet, to private networks, or to nobody that
 * should be called (RFC 6890 and IANA's registries of special-purpose addresses). Pure.
 */
#ifndef BROKER_OUTBOUND_ADDRESS_H
#define BROKER_OUTBOUND_ADDRESS_H

#include <sys/socket.h>

enum address_kind {
	ADDRESS_public,
	ADDRESS_private,   /* this machine, or a private network */
	ADDRESS_forbidden, /* link-local, multicast, unspecified, reserved, tunnels */
};

/* Judges an IPv4 or IPv6 address; other families are forbidden. An IPv6 address that
 * carries an IPv4 address (mapped, or NAT64) is judged by that one. */
enum address_kind address_judge(const struct sockaddr *address);

/* Judges a host as it is written in an address: a literal by address_judge (with or
 * without brackets), "localhost" and names below it as private. Every other name is
 * ADDRESS_public, for nobody knows before it is looked up. Never blocks. */
enum address_kind address_judge_host(const char *host);

#endif
