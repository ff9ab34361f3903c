/*
 * Pushing, the pure parts: signatures of Standard Webhooks, verdicts, back-off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/consumers/push_sign.h"
#include "broker/consumers/push_verdict.h"
#include "common/text.h"

static struct secret
secret_of(const char *text)
{
	return secret_copy(text, strlen(text));
}

/* facts G, "Standard Webhooks" */
static void
test_known_signature(void **state)
{
	static const char body[] = "{\"test\": 2432232314}";
	struct secret secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	char signature[PUSH_SIGNATURE_SIZE];

	(void)state;
	assert_int_equal(push_secret_check(&secret), 0);
	push_sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body,
	    strlen(body), signature);
	assert_string_equal(
	    signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	secret_clear(&secret);
}

static void
test_secrets_of_24_to_64_bytes(void **state)
{
	uint8_t key[PUSH_KEY_MAX + 3] = { 7 };
	size_t length;

	(void)state;
	for (length = PUSH_KEY_MIN - 3; length <= sizeof(key); length++) {
		char text[128] = "whsec_";
		char *encoded = base64_encode(key, length);
		struct secret secret;

		strncat(text, encoded, sizeof(text) - strlen(text) - 1);
		free(encoded);
		secret = secret_of(text);
		assert_int_equal(push_secret_check(&secret) == 0,
		    length >= PUSH_KEY_MIN && length <= PUSH_KEY_MAX);
		secret_clear(&secret);
	}
}

static void
test_ill_formed_secrets(void **state)
{
	static const char *const texts[] = { "", "whsec_", "whsec",
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct secret secret = secret_of(texts[i]);

		assert_int_not_equal(push_secret_check(&secret), 0);
		secret_clear(&secret);
	}
}

static void
test_made_secrets_are_good_and_differ(void **state)
{
	struct secret one = push_secret_make();
	struct secret other = push_secret_make();

	(void)state;
	assert_int_equal(push_secret_check(&one), 0);
	assert_int_equal(push_secret_check(&other), 0);
	assert_false(secret_equal(&one, &other));
	secret_clear(&one);
	secret_clear(&other);
}

static void
test_ids_have_no_dots_and_do_not_collide(void **state)
{
	char one[PUSH_ID_SIZE];
	char other[PUSH_ID_SIZE];

	(void)state;
	push_id("kick", "a.b", one);
	assert_int_equal(strlen(one), 4 + 32);
	assert_int_equal(strspn(one, "abcdefghijklmnopqrstuvwxyz0123456789_"), 4 + 32);
	push_id("kick", "a.b", other);
	assert_string_equal(one, other);
	push_id("kick", "a.c", other);
	assert_string_not_equal(one, other);
	push_id("kic", "k/a.b", other);
	assert_string_not_equal(one, other);
}

/* Every status that HTTP can say. */
static void
test_every_status(void **state)
{
	static const unsigned away[] = { 408, 425, 429, 502, 503, 504 };
	static const unsigned unwanted[] = { 400, 411, 413, 414, 415, 422, 431, 451 };
	enum push_verdict expected;
	unsigned status;
	size_t i;

	(void)state;
	for (status = 0; status < 1000; status++) {
		expected = status / 100 == 2 ? PUSH_taken : PUSH_failed;
		for (i = 0; i < sizeof(away) / sizeof(away[0]); i++)
			if (away[i] == status)
				expected = PUSH_away;
		for (i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
			if (unwanted[i] == status)
				expected = PUSH_unwanted;
		if (status == 410)
			expected = PUSH_gone;
		if (push_judge(FETCH_answered, status) != expected)
			fail_msg("%u is judged %d", status,
			    (int)push_judge(FETCH_answered, status));
	}
}

static void
test_no_answer(void **state)
{
	(void)state;
	assert_int_equal(push_judge(FETCH_unreachable, 0), PUSH_away);
	assert_int_equal(push_judge(FETCH_untrusted, 0), PUSH_away);
	assert_int_equal(push_judge(FETCH_forbidden, 0), PUSH_away);
	assert_int_equal(push_judge(FETCH_timed_out, 0), PUSH_failed);
	assert_int_equal(push_judge(FETCH_broken, 0), PUSH_failed);
	assert_int_equal(push_judge(FETCH_too_large, 0), PUSH_failed);
}

static void
test_only_what_may_be_the_events_fault_ends(void **state)
{
	(void)state;
	assert_int_equal(push_attempts(PUSH_away, 10), 0);
	assert_int_equal(push_attempts(PUSH_failed, 10), 10);
	assert_int_equal(push_attempts(PUSH_unwanted, 10), PUSH_UNWANTED_ATTEMPTS);
	assert_int_equal(push_attempts(PUSH_unwanted, 1), 1);
}

static void
test_back_off_doubles_to_its_bound(void **state)
{
	unsigned attempt;
	uint64_t full = 1000;

	(void)state;
	for (attempt = 1; attempt < 100; attempt++) {
		assert_int_equal(push_delay_ms(attempt, 1000, 900000, 0, 0), full);
		assert_int_equal(
		    push_delay_ms(attempt, 1000, 900000, 0, UINT32_MAX), full / 2);
		full = full * 2 > 900000 ? 900000 : full * 2;
	}
	assert_int_equal(push_delay_ms(UINT32_MAX, 1000, 900000, 0, 0), 900000);
}

static void
test_retry_after_is_the_least(void **state)
{
	(void)state;
	assert_int_equal(push_delay_ms(1, 1000, 900000, 60, UINT32_MAX), 60000);
	assert_int_equal(push_delay_ms(20, 1000, 900000, 60, 0), 900000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_signature),
		cmocka_unit_test(test_secrets_of_24_to_64_bytes),
		cmocka_unit_test(test_ill_formed_secrets),
		cmocka_unit_test(test_made_secrets_are_good_and_differ),
		cmocka_unit_test(test_ids_have_no_dots_and_do_not_collide),
		cmocka_unit_test(test_every_status),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_only_what_may_be_the_events_fault_ends),
		cmocka_unit_test(test_back_off_doubles_to_its_bound),
		cmocka_unit_test(test_retry_after_is_the_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
