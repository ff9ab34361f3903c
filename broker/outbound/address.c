/*
 * Tables of address ranges. Called by fetch_transfer.c for every address that is
 * connected to, and when an address to push to is entered.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "broker/outbound/address.h"

#define HOST_MAX 255

/* The first row that fits counts; what fits none is public. */
static const struct {
	uint8_t bytes[4];
	unsigned bits;
	enum address_kind kind;
} ranges4[] = {
	{ { 0 }, 8, ADDRESS_forbidden },             /* "this network" */
	{ { 10 }, 8, ADDRESS_private },              /* RFC 1918 */
	{ { 100, 64 }, 10, ADDRESS_private },        /* carrier NAT, RFC 6598 */
	{ { 127 }, 8, ADDRESS_private },             /* loopback */
	{ { 169, 254 }, 16, ADDRESS_forbidden },     /* link-local, cloud metadata */
	{ { 172, 16 }, 12, ADDRESS_private },        /* RFC 1918 */
	{ { 192, 0, 0 }, 24, ADDRESS_forbidden },    /* protocol assignments */
	{ { 192, 0, 2 }, 24, ADDRESS_forbidden },    /* documentation */
	{ { 192, 88, 99 }, 24, ADDRESS_forbidden },  /* 6to4 relays */
	{ { 192, 168 }, 16, ADDRESS_private },       /* RFC 1918 */
	{ { 198, 18 }, 15, ADDRESS_private },        /* benchmarks, RFC 2544 */
	{ { 198, 51, 100 }, 24, ADDRESS_forbidden }, /* documentation */
	{ { 203, 0, 113 }, 24, ADDRESS_forbidden },  /* documentation */
	{ { 224 }, 4, ADDRESS_forbidden },           /* multicast */
	{ { 240 }, 4, ADDRESS_forbidden },           /* reserved, broadcast */
};

/* The first row that fits counts; what fits none is forbidden. */
static const struct {
	uint8_t bytes[16];
	unsigned bits;
	enum address_kind kind;
	bool carries4; /* its last four bytes are an IPv4 address, which is judged */
} ranges6[] = {
	{ { [15] = 1 }, 128, ADDRESS_private, false },                /* loopback */
	{ { [10] = 0xff, 0xff }, 96, ADDRESS_public, true },          /* mapped */
	{ { 0, 0x64, 0xff, 0x9b }, 96, ADDRESS_public, true },        /* NAT64 */
	{ { 0xfc }, 7, ADDRESS_private, false },                      /* unique local */
	{ { 0x20, 0x01 }, 23, ADDRESS_forbidden, false },             /* Teredo, ... */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, ADDRESS_forbidden, false }, /* documents */
	{ { 0x20, 0x02 }, 16, ADDRESS_forbidden, false },             /* 6to4 */
	{ { 0x3f, 0xff }, 20, ADDRESS_forbidden, false },             /* documents */
	{ { 0x20 }, 3, ADDRESS_public, false },                       /* global */
};

static bool
in_range(const uint8_t *address, const uint8_t *range, unsigned bits)
{
	unsigned whole = bits / 8;
	unsigned mask = 0xff00U >> bits % 8 & 0xff;

	if (memcmp(address, range, whole) != 0)
		return false;
	return bits % 8 == 0 || ((address[whole] ^ range[whole]) & mask) == 0;
}

static enum address_kind
judge4(const uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < sizeof(ranges4) / sizeof(ranges4[0]); i++)
		if (in_range(bytes, ranges4[i].bytes, ranges4[i].bits))
			return ranges4[i].kind;
	return ADDRESS_public;
}

static enum address_kind
judge6(const uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < sizeof(ranges6) / sizeof(ranges6[0]); i++)
		if (in_range(bytes, ranges6[i].bytes, ranges6[i].bits))
			return ranges6[i].carries4 ? judge4(bytes + 12)
						   : ranges6[i].kind;
	return ADDRESS_forbidden;
}

/* Callers hand over what fits their family; the copies are for its alignment. */
enum address_kind
address_judge(const struct sockaddr *address)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	uint8_t bytes[16];

	if (address->sa_family == AF_INET) {
		memcpy(&in4, address, sizeof(in4));
		memcpy(bytes, &in4.sin_addr, sizeof(in4.sin_addr));
		return judge4(bytes);
	}
	if (address->sa_family == AF_INET6) {
		memcpy(&in6, address, sizeof(in6));
		memcpy(bytes, &in6.sin6_addr, sizeof(bytes));
		return judge6(bytes);
	}
	return ADDRESS_forbidden;
}

static bool
is_localhost(const char *host)
{
	size_t length = strlen(host);
	const size_t own = strlen("localhost");

	if (length > 0 && host[length - 1] == '.')
		length--;
	return length >= own &&
	    strncasecmp(host + length - own, "localhost", own) == 0 &&
	    (length == own || host[length - own - 1] == '.');
}

enum address_kind
address_judge_host(const char *host)
{
	/* The odd spellings of IPv4 (one number, octal, hexadecimal) are literals to
	 * the resolver, so it is asked, and told not to look anything up. */
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	enum address_kind kind;
	char text[HOST_MAX + 1];
	size_t length = strlen(host);

	if (is_localhost(host))
		return ADDRESS_private;
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	}
	if (length > HOST_MAX)
		return ADDRESS_public;
	memcpy(text, host, length);
	text[length] = '\0';
	if (getaddrinfo(text, NULL, &hints, &found) != 0)
		return ADDRESS_public;
	kind = address_judge(found->ai_addr);
	freeaddrinfo(found);
	return kind;
}
