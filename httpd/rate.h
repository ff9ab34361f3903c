/*
 * Requests a second per peer address, in a table of fixed size.
 */
#ifndef HTTPD_RATE_H
#define HTTPD_RATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct rate;

/* A peer address; all zero for peers without one (Unix sockets). */
struct rate_peer {
	uint64_t high;
	uint64_t low;
};

/* The hash is seeded by the system's random numbers. rate_free accepts NULL. */
struct rate *rate_new(void);
void rate_free(struct rate *rate);

/* The peer behind an accepted connection's address; IPv4 counts as mapped into IPv6. */
struct rate_peer rate_peer_of(const struct sockaddr *address);

/* Takes one request of the peer's budget, which is `limit` a second with bursts of one
 * second's worth. `now_us` is boot time in microseconds. False when it is used up. The
 * table forgets the peer that has been quiet for longest when it is full. */
bool
rate_take(struct rate *rate, struct rate_peer peer, uint32_t limit, int64_t now_us);

#endif
