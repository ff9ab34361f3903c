/*
 * Every row of the error catalogues: facts/kick.md 1.5 and
 * facts/twitch-google-standards.md A.11, C.8 and E.3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/platform.h"

#define HTML "<html><body>Request blocked</body></html>"

static const struct {
	const char *platform;
	unsigned status;
	const char *body;
	enum refusal refusal;
} cases[] = {
	/* Kick */
	{ "kick", 400, "{\"error\":\"Invalid request\"}", REFUSAL_defect },
	{ "kick", 400, "{\"error\":\"invalid_request\",\"error_description\":\"x\"}",
	    REFUSAL_defect },
	{ "kick", 401,
	    "{\"error\":\"invalid_client\",\"error_description\":\"Client "
	    "authentication failed\"}",
	    REFUSAL_config },
	{ "kick", 401,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"The provided "
	    "authorization grant is invalid, expired, revoked\"}",
	    REFUSAL_terminal },
	{ "kick", 400, "{\"error\":\"invalid_grant\"}", REFUSAL_terminal },
	{ "kick", 401, "{\"error\":\"unauthorized_client\"}", REFUSAL_transient },
	{ "kick", 401, "{\"error\":\"unsupported_grant_type\"}", REFUSAL_defect },
	{ "kick", 400, "{\"error\":\"invalid_scope\"}", REFUSAL_transient },
	{ "kick", 403, "{\"error\":\"access_denied\"}", REFUSAL_transient },
	{ "kick", 401, "{\"error\":\"unsupported_response_type\"}", REFUSAL_defect },
	{ "kick", 500, "{\"error\":\"server_error\"}", REFUSAL_transient },
	{ "kick", 503, "{\"error\":\"temporarily_unavailable\"}", REFUSAL_transient },
	{ "kick", 400, "", REFUSAL_transient },
	{ "kick", 401, "", REFUSAL_doubtful },
	{ "kick", 401, HTML, REFUSAL_doubtful },
	{ "kick", 401, "{\"error\":\"never heard of\"}", REFUSAL_transient },
	{ "kick", 403, HTML, REFUSAL_transient },
	{ "kick", 403,
	    "{\"error\":\"Request blocked by security policy.\",\"reference\":\"ab\"}",
	    REFUSAL_transient },
	{ "kick", 400, "{\"error\":\"x\",\"error_description\":\"invalid_grant\"}",
	    REFUSAL_transient },
	{ "kick", 403, "{\"message\":\"invalid_grant\"}", REFUSAL_transient },
	{ "kick", 400, "{\"error\":\"no invalid_grant\"}", REFUSAL_transient },
	{ "kick", 429, "{\"error\":\"invalid_grant\"}", REFUSAL_transient },
	/* Twitch */
	{ "twitch", 400, "{\"status\":400,\"message\":\"invalid client\"}",
	    REFUSAL_config },
	{ "twitch", 403, "{\"status\":403,\"message\":\"invalid client secret\"}",
	    REFUSAL_config },
	{ "twitch", 400, "{\"status\":400,\"message\":\"missing client id\"}",
	    REFUSAL_config },
	{ "twitch", 400, "{\"status\":400,\"message\":\"missing client secret\"}",
	    REFUSAL_config },
	{ "twitch", 400, "{\"status\":400,\"message\":\"Invalid authorization code\"}",
	    REFUSAL_restart },
	{ "twitch", 400,
	    "{\"status\":400,\"message\":\"Parameter redirect_uri does not match "
	    "registered URI\"}",
	    REFUSAL_config },
	{ "twitch", 400,
	    "{\"status\":400,\"message\":\"Parameter redirect_uri does not match "
	    "registeredURI\"}",
	    REFUSAL_config },
	{ "twitch", 400, "{\"status\":400,\"message\":\"Invalid refresh token\"}",
	    REFUSAL_terminal },
	{ "twitch", 400,
	    "{\"error\":\"Bad Request\",\"status\":400,\"message\":\"Invalid refresh "
	    "token\"}",
	    REFUSAL_terminal },
	{ "twitch", 400, "{\"status\":400,\"message\":\"missing refresh token\"}",
	    REFUSAL_defect },
	{ "twitch", 400, "{\"status\":400,\"message\":\"Invalid grant\"}",
	    REFUSAL_terminal },
	{ "twitch", 401, "{\"status\":401,\"message\":\"whatever\"}",
	    REFUSAL_terminal },
	{ "twitch", 400,
	    "{\"status\":400,\"message\":\"invalid scope requested: 'x'\"}",
	    REFUSAL_config },
	{ "twitch", 400, "{\"status\":400,\"message\":\"authorization_pending\"}",
	    REFUSAL_flow },
	{ "twitch", 400, "{\"status\":400,\"message\":\"invalid device code\"}",
	    REFUSAL_restart },
	{ "twitch", 400, "{\"status\":400,\"message\":\"missing device_code\"}",
	    REFUSAL_defect },
	{ "twitch", 500,
	    "{\"status\":500,\"message\":\"Missing column authorization_id from item "
	    "map[]\"}",
	    REFUSAL_transient },
	{ "twitch", 400, HTML, REFUSAL_transient },
	/* Google */
	{ "youtube", 400,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been "
	    "expired or revoked.\"}",
	    REFUSAL_terminal },
	{ "youtube", 400,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"Bad Request\"}",
	    REFUSAL_terminal },
	{ "youtube", 400,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"Malformed auth "
	    "code.\"}",
	    REFUSAL_terminal },
	{ "youtube", 400,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"Missing code "
	    "verifier.\"}",
	    REFUSAL_terminal },
	{ "youtube", 400,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"reauth related error "
	    "(invalid_rapt)\",\"error_subtype\":\"invalid_rapt\"}",
	    REFUSAL_terminal },
	{ "youtube", 401,
	    "{\"error\":\"invalid_client\",\"error_description\":\"The OAuth client "
	    "was "
	    "not found.\"}",
	    REFUSAL_config },
	{ "youtube", 401,
	    "{\"error\":\"invalid_client\",\"error_description\":\"Unauthorized\"}",
	    REFUSAL_config },
	{ "youtube", 401, "{\"error\":\"unauthorized_client\"}", REFUSAL_config },
	{ "youtube", 400, "{\"error\":\"redirect_uri_mismatch\"}", REFUSAL_config },
	{ "youtube", 400,
	    "{\"error\":\"invalid_request\",\"error_description\":\"client_secret is "
	    "missing.\"}",
	    REFUSAL_defect },
	/* What is said to people, or only looks like a code, is no code. */
	{ "youtube", 400,
	    "{\"error\":\"invalid_request\",\"error_description\":\"not "
	    "invalid_grant\"}",
	    REFUSAL_defect },
	{ "youtube", 400, "{\"error\":\"x\",\"error_description\":\"invalid_grant\"}",
	    REFUSAL_transient },
	{ "youtube", 403, "{\"error\":\"access_denied_for_now\"}", REFUSAL_transient },
	{ "youtube", 400, "{\"error\":\"invalid_request\"}", REFUSAL_defect },
	{ "youtube", 400, "{\"error\":\"unsupported_grant_type\"}", REFUSAL_defect },
	{ "youtube", 400, "{\"error\":\"invalid_scope\"}", REFUSAL_defect },
	{ "youtube", 400, "{\"error\":\"admin_policy_enforced\"}", REFUSAL_terminal },
	{ "youtube", 403, "{\"error\":\"org_internal\"}", REFUSAL_terminal },
	{ "youtube", 403, "{\"error\":\"access_denied\"}", REFUSAL_terminal },
	{ "youtube", 428,
	    "{\"error\":\"authorization_pending\",\"error_description\":\"Precondition "
	    "Required\"}",
	    REFUSAL_flow },
	{ "youtube", 403, "{\"error\":\"slow_down\"}", REFUSAL_flow },
	{ "youtube", 500, "{\"error\":\"internal_failure\"}", REFUSAL_transient },
	{ "youtube", 429, "{\"error\":\"rate_limit\"}", REFUSAL_transient },
	{ "youtube", 302, "", REFUSAL_transient },
};

static enum refusal
judge(const char *platform, unsigned status, const char *text)
{
	struct secret body = secret_copy(text, strlen(text));
	struct token_error error;

	token_error_read(&body, &error);
	secret_clear(&body);
	return token_error_judge(platform_find(platform), status, &error);
}

static void
test_every_documented_refusal_has_its_class(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum refusal refusal =
		    judge(cases[i].platform, cases[i].status, cases[i].body);

		print_message("%s %u %s: %s\n", cases[i].platform, cases[i].status,
		    cases[i].body, refusal_name(refusal));
		assert_int_equal(refusal, cases[i].refusal);
	}
}

/* E.3: what such a status says counts for more than the body. */
static void
test_a_status_that_passes_ends_no_login_anywhere(void **state)
{
	static const char *const platforms[] = { "kick", "twitch", "youtube" };
	static const char *const bodies[] = {
		"{\"error\":\"invalid_grant\"}",
		"{\"error\":\"invalid_client\"}",
		"{\"status\":400,\"message\":\"Invalid refresh token\"}",
		"{\"status\":403,\"message\":\"invalid client secret\"}",
		"",
		HTML,
	};
	static const unsigned statuses[] = { 408, 425, 429, 500, 502, 503, 504, 529,
		599 };
	size_t i, j, k;

	(void)state;
	for (i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++)
		for (j = 0; j < sizeof(bodies) / sizeof(bodies[0]); j++)
			for (k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++)
				assert_int_equal(
				    judge(platforms[i], statuses[k], bodies[j]),
				    REFUSAL_transient);
}

static void
test_sentences_hold_standard_members_only(void **state)
{
	static const struct {
		const char *body;
		const char *sentence;
	} bodies[] = {
		{ "{\"error\":\"invalid_grant\",\"error_description\":\"Bad\","
		  "\"token\":"
		  "\"secret\"}",
		    "invalid_grant: Bad (status 400)" },
		{ "{\"status\":400,\"message\":\"invalid client\"}",
		    "invalid client (status 400)" },
		{ "{\"error\":{\"code\":403,\"message\":\"No quota\"}}",
		    "No quota (status 400)" },
		{ "{\"data\":{},\"message\":\"Unauthorized\"}",
		    "Unauthorized (status 400)" },
		{ "", "status 400" },
		{ HTML, "status 400" },
		{ "{\"error\":5,\"message\":[]}", "status 400" },
		{ "{\"error\":\"a\\u001bb\"}", "a\\x1bb (status 400)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct secret body =
		    secret_copy(bodies[i].body, strlen(bodies[i].body));
		char sentence[TOKEN_ERROR_SENTENCE_SIZE];
		struct token_error error;

		token_error_read(&body, &error);
		token_error_sentence(400, &error, sentence);
		assert_string_equal(sentence, bodies[i].sentence);
		secret_clear(&body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_documented_refusal_has_its_class),
		cmocka_unit_test(test_a_status_that_passes_ends_no_login_anywhere),
		cmocka_unit_test(test_sentences_hold_standard_members_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
