/*
 * The rate limiter: bursts of one second, the rate afterwards, peers apart from each
 * other, and a table of fixed size.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "httpd/limits.h"
#include "httpd/rate.h"

#define START_US 1000000000LL
#define SECOND_US 1000000LL

static const struct rate_peer somebody = { 1, 2 };

/* How many of `tries` requests at one instant are allowed. */
static unsigned
allowed(struct rate *rate, struct rate_peer peer, uint32_t limit, unsigned tries,
    int64_t now_us)
{
	unsigned count = 0;

	while (tries-- > 0)
		count += rate_take(rate, peer, limit, now_us);
	return count;
}

static void
test_a_burst_is_one_second_of_the_rate(void **state)
{
	const uint32_t limits[] = { 1, 2, 3, 7, 100, 2000, 1000000 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rate *rate = rate_new();
		unsigned count =
		    allowed(rate, somebody, limits[i], limits[i] + 10, START_US);

		assert_in_range(count, limits[i], limits[i] + 1);
		rate_free(rate);
	}
}

static void
test_afterwards_the_rate_is_kept(void **state)
{
	struct rate *rate = rate_new();
	unsigned count = 0;
	int i;

	(void)state;
	assert_int_equal(allowed(rate, somebody, 100, 200, START_US), 100);
	for (i = 1; i <= 1000; i++)
		count += allowed(rate, somebody, 100, 5, START_US + i * 10000);
	assert_in_range(count, 999, 1001);
	/* A quiet time saves up no more than one burst. */
	assert_int_equal(
	    allowed(rate, somebody, 100, 500, START_US + 3600 * SECOND_US), 100);
	rate_free(rate);
}

static void
test_peers_have_budgets_of_their_own(void **state)
{
	struct rate *rate = rate_new();
	struct rate_peer peer = { 0 };

	(void)state;
	for (peer.low = 0; peer.low < 100; peer.low++)
		assert_int_equal(allowed(rate, peer, 5, 9, START_US), 5);
	rate_free(rate);
}

/* More peers than slots: a busy one is not forgotten for the sake of idle ones. */
static void
test_the_quietest_are_forgotten_first(void **state)
{
	struct rate *rate = rate_new();
	struct rate_peer peer = { 7, 0 };

	(void)state;
	assert_int_equal(allowed(rate, somebody, 1000, 2000, START_US), 1000);
	for (peer.low = 0; peer.low < 20 * RATE_SETS * RATE_WAYS; peer.low++)
		assert_true(rate_take(rate, peer, 1000, START_US));
	assert_int_equal(allowed(rate, somebody, 1000, 2000, START_US), 0);
	rate_free(rate);
}

static struct rate_peer
peer_at(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return rate_peer_of((const struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return rate_peer_of((const struct sockaddr *)&v6);
}

static void
test_addresses(void **state)
{
	const struct sockaddr local = { .sa_family = AF_UNIX };
	const struct rate_peer none = { 0 };
	struct rate_peer a = peer_at("192.0.2.1");
	struct rate_peer b = peer_at("::ffff:192.0.2.1");
	struct rate_peer c = peer_at("192.0.2.2");

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(&a, &c, sizeof(a));
	a = rate_peer_of(&local);
	assert_memory_equal(&a, &none, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_is_one_second_of_the_rate),
		cmocka_unit_test(test_afterwards_the_rate_is_kept),
		cmocka_unit_test(test_peers_have_budgets_of_their_own),
		cmocka_unit_test(test_the_quietest_are_forgotten_first),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
