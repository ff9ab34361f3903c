/*
 * Token buckets kept as one time stamp each: the moment at which the peer's requests so
 * far are paid for. A request is fine while that lies at most one second ahead. Called
 * by guard.c for every request when a limit is set.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/alloc.h"
#include "httpd/limits.h"
#include "httpd/rate.h"

#define SECOND_NS 1000000000LL

struct slot {
	struct rate_peer peer;
	int64_t paid_ns;
};

struct rate {
	uint64_t seed;
	struct slot slots[RATE_SETS][RATE_WAYS];
};

struct rate *
rate_new(void)
{
	struct rate *rate = xcalloc(1, sizeof(*rate));

	/* Without random numbers the table still works, it is only predictable. */
	(void)!getrandom(&rate->seed, sizeof(rate->seed), GRND_NONBLOCK);
	return rate;
}

void
rate_free(struct rate *rate)
{
	free(rate);
}

struct rate_peer
rate_peer_of(const struct sockaddr *address)
{
	struct rate_peer peer = { 0 };

	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, address, sizeof(v6));
		memcpy(&peer, &v6.sin6_addr, sizeof(peer));
	} else if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof(v4));
		peer.low = (uint64_t)v4.sin_addr.s_addr << 32 | 0xffff0000U;
	}
	return peer;
}

static uint64_t
mix(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdULL;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53ULL;
	return value ^ value >> 33;
}

/* The peer's slot, or the one of its set that has been quiet for longest. */
static struct slot *
find(struct rate *rate, struct rate_peer peer)
{
	uint64_t hash = mix(mix(peer.high ^ rate->seed) ^ peer.low);
	struct slot *set = rate->slots[hash % RATE_SETS];
	struct slot *oldest = set;
	unsigned i;

	for (i = 0; i < RATE_WAYS; i++) {
		if (set[i].peer.high == peer.high && set[i].peer.low == peer.low)
			return &set[i];
		if (set[i].paid_ns < oldest->paid_ns)
			oldest = &set[i];
	}
	*oldest = (struct slot){ .peer = peer };
	return oldest;
}

bool
rate_take(struct rate *rate, struct rate_peer peer, uint32_t limit, int64_t now_us)
{
	struct slot *slot = find(rate, peer);
	int64_t now = now_us * 1000;
	int64_t paid = slot->paid_ns > now ? slot->paid_ns : now;

	paid += SECOND_NS / limit;
	if (paid - now > SECOND_NS)
		return false;
	slot->paid_ns = paid;
	return true;
}
