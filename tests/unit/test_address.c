/*
 * Which addresses may be pushed to: every range at its first and last address and just
 * outside of it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "broker/outbound/address.h"

static const struct {
	const char *text;
	enum address_kind kind;
} addresses[] = {
	{ "0.0.0.0", ADDRESS_forbidden },
	{ "0.255.255.255", ADDRESS_forbidden },
	{ "1.0.0.0", ADDRESS_public },
	{ "9.255.255.255", ADDRESS_public },
	{ "10.0.0.0", ADDRESS_private },
	{ "10.255.255.255", ADDRESS_private },
	{ "11.0.0.0", ADDRESS_public },
	{ "100.63.255.255", ADDRESS_public },
	{ "100.64.0.0", ADDRESS_private },
	{ "100.127.255.255", ADDRESS_private },
	{ "100.128.0.0", ADDRESS_public },
	{ "126.255.255.255", ADDRESS_public },
	{ "127.0.0.0", ADDRESS_private },
	{ "127.0.0.1", ADDRESS_private },
	{ "127.255.255.255", ADDRESS_private },
	{ "128.0.0.0", ADDRESS_public },
	{ "169.253.255.255", ADDRESS_public },
	{ "169.254.0.0", ADDRESS_forbidden },
	{ "169.254.169.254", ADDRESS_forbidden },
	{ "169.254.255.255", ADDRESS_forbidden },
	{ "169.255.0.0", ADDRESS_public },
	{ "172.15.255.255", ADDRESS_public },
	{ "172.16.0.0", ADDRESS_private },
	{ "172.31.255.255", ADDRESS_private },
	{ "172.32.0.0", ADDRESS_public },
	{ "192.0.0.8", ADDRESS_forbidden },
	{ "192.0.1.0", ADDRESS_public },
	{ "192.0.2.1", ADDRESS_forbidden },
	{ "192.0.3.0", ADDRESS_public },
	{ "192.88.99.1", ADDRESS_forbidden },
	{ "192.167.255.255", ADDRESS_public },
	{ "192.168.0.0", ADDRESS_private },
	{ "192.168.255.255", ADDRESS_private },
	{ "192.169.0.0", ADDRESS_public },
	{ "198.17.255.255", ADDRESS_public },
	{ "198.18.0.0", ADDRESS_private },
	{ "198.19.255.255", ADDRESS_private },
	{ "198.20.0.0", ADDRESS_public },
	{ "198.51.100.7", ADDRESS_forbidden },
	{ "203.0.113.7", ADDRESS_forbidden },
	{ "223.255.255.255", ADDRESS_public },
	{ "224.0.0.0", ADDRESS_forbidden },
	{ "239.255.255.255", ADDRESS_forbidden },
	{ "240.0.0.0", ADDRESS_forbidden },
	{ "255.255.255.255", ADDRESS_forbidden },

	{ "::", ADDRESS_forbidden },
	{ "::1", ADDRESS_private },
	{ "::2", ADDRESS_forbidden },
	{ "::127.0.0.1", ADDRESS_forbidden }, /* the old way to carry an IPv4 address */
	{ "::ffff:127.0.0.1", ADDRESS_private },
	{ "::ffff:10.1.2.3", ADDRESS_private },
	{ "::ffff:169.254.169.254", ADDRESS_forbidden },
	{ "::ffff:8.8.8.8", ADDRESS_public },
	{ "::fffe:8.8.8.8", ADDRESS_forbidden },
	{ "64:ff9b::127.0.0.1", ADDRESS_private },
	{ "64:ff9b::192.168.1.1", ADDRESS_private },
	{ "64:ff9b::169.254.169.254", ADDRESS_forbidden },
	{ "64:ff9b::8.8.8.8", ADDRESS_public },
	{ "64:ff9b:1::8.8.8.8", ADDRESS_forbidden },
	{ "100::1", ADDRESS_forbidden },
	{ "1fff:ffff::1", ADDRESS_forbidden },
	{ "2000::1", ADDRESS_public },
	{ "2001::1", ADDRESS_forbidden },
	{ "2001:1ff:ffff::1", ADDRESS_forbidden },
	{ "2001:200::1", ADDRESS_public },
	{ "2001:db7:ffff::1", ADDRESS_public },
	{ "2001:db8::1", ADDRESS_forbidden },
	{ "2001:db9::1", ADDRESS_public },
	{ "2002:7f00:1::1", ADDRESS_forbidden },
	{ "2002:808:808::1", ADDRESS_forbidden },
	{ "2003::1", ADDRESS_public },
	{ "2606:4700::1111", ADDRESS_public },
	{ "3ffe:ffff::1", ADDRESS_public },
	{ "3fff::1", ADDRESS_forbidden },
	{ "3fff:fff:ffff::1", ADDRESS_forbidden },
	{ "3fff:1000::1", ADDRESS_public },
	{ "4000::1", ADDRESS_forbidden },
	{ "5f00::1", ADDRESS_forbidden },
	{ "fbff::1", ADDRESS_forbidden },
	{ "fc00::1", ADDRESS_private },
	{ "fdff:ffff::1", ADDRESS_private },
	{ "fe00::1", ADDRESS_forbidden },
	{ "fe80::1", ADDRESS_forbidden },
	{ "fec0::1", ADDRESS_forbidden },
	{ "ff02::1", ADDRESS_forbidden },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_forbidden },
};

static enum address_kind
judge(const char *text)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1)
		return address_judge((struct sockaddr *)&in4);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return address_judge((struct sockaddr *)&in6);
}

static void
test_every_range_at_its_bounds(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (judge(addresses[i].text) != addresses[i].kind)
			fail_msg("%s is judged %d", addresses[i].text,
			    (int)judge(addresses[i].text));
}

static void
test_other_families_are_forbidden(void **state)
{
	const struct sockaddr_un local = { .sun_family = AF_UNIX };

	(void)state;
	assert_int_equal(
	    address_judge((const struct sockaddr *)&local), ADDRESS_forbidden);
}

static void
test_hosts_as_they_are_written(void **state)
{
	static const struct {
		const char *host;
		enum address_kind kind;
	} hosts[] = {
		{ "localhost", ADDRESS_private },
		{ "LocalHost", ADDRESS_private },
		{ "localhost.", ADDRESS_private },
		{ "bot.localhost", ADDRESS_private },
		{ "notlocalhost", ADDRESS_public },
		{ "localhost.example.org", ADDRESS_public },
		{ "example.org", ADDRESS_public },
		{ "127.0.0.1", ADDRESS_private },
		{ "[::1]", ADDRESS_private },
		{ "[::ffff:7f00:1]", ADDRESS_private },
		{ "[2606:4700::1111]", ADDRESS_public },
		/* All of them are 127.0.0.1 to a resolver. */
		{ "2130706433", ADDRESS_private },
		{ "0x7f000001", ADDRESS_private },
		{ "0177.0.0.1", ADDRESS_private },
		{ "127.1", ADDRESS_private },
		{ "0xa9fea9fe", ADDRESS_forbidden }, /* 169.254.169.254 */
		{ "0", ADDRESS_forbidden },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (address_judge_host(hosts[i].host) != hosts[i].kind)
			fail_msg("%s is judged %d", hosts[i].host,
			    (int)address_judge_host(hosts[i].host));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_range_at_its_bounds),
		cmocka_unit_test(test_other_families_are_forbidden),
		cmocka_unit_test(test_hosts_as_they_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
