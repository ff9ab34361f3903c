/*
 * Fuzzer of everything that reads what a platform answered: any bytes give a refusal,
 * or tokens that may be put into a header line, a life within its bounds and a set of
 * scopes; errors become sentences without control characters.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/identity.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/token_error.h"
#include "broker/oauth/token_reply.h"
#include "broker/oauth/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

static void
check_reply(const struct secret *body)
{
	struct token_reply reply;
	const char *what = NULL;
	char *again;

	if (token_reply_read(body, &reply, &what) < 0) {
		require(what && *what, "a refusal is told");
		return;
	}
	require(reply.access.length > 0, "there is an access token");
	require(reply.access.length <= TOKEN_SIZE_MAX, "its size is bounded");
	require(secret_is_text(&reply.access), "it fits into a header line");
	require(secret_is_text(&reply.refresh), "so does the refresh token");
	require(!reply.expires_known ||
		(reply.expires_in_s >= 0 && reply.expires_in_s <= TOKEN_LIFE_MAX_S),
	    "the life is within its bounds");
	require(strlen(reply.scopes) <= SCOPES_SIZE_MAX, "scopes are bounded");
	again = scopes_of_text(reply.scopes, strlen(reply.scopes), NULL);
	require(strcmp(again, reply.scopes) == 0, "scopes are a set");
	free(again);
	token_reply_clear(&reply);
}

static void
check_error(const struct secret *body)
{
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];
	struct token_error error;
	const char *at;
	size_t i;

	token_error_read(body, &error);
	token_error_sentence(400, &error, sentence);
	for (at = sentence; *at; at++)
		require((unsigned char)*at >= ' ' && *at != 0x7f,
		    "sentences have no control characters");
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		require(token_error_judge(platform_at((enum config_platform_index)i),
			    400, &error) < REFUSAL_MAX,
		    "every error has a class");
}

static void
check_identity(const struct secret *body)
{
	const struct platform_grant grant = { .client_id = "cid" };
	const struct platform_question *question;
	size_t i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		question = platform_at((enum config_platform_index)i)->questions;
		for (; question->name; question++) {
			struct identity identity = { .user_id = NULL };

			(void)question->hear(&grant, body, &identity);
			if (identity_is_known(&identity))
				(void)identity_own_name(&identity);
			identity_clear(&identity);
		}
	}
}

static void
check_tokens(const struct secret *body)
{
	struct tokens tokens;
	struct secret packed;

	if (tokens_unpack(body, &tokens) < 0)
		return;
	packed = tokens_pack(&tokens);
	/* The older format is read, not written. */
	require(body->bytes[0] != TOKENS_FORMAT || secret_equal(&packed, body),
	    "tokens are packed in one way only");
	secret_clear(&packed);
	tokens_clear(&tokens);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret body = secret_copy(data, size);

	check_reply(&body);
	check_error(&body);
	check_identity(&body);
	check_tokens(&body);
	secret_clear(&body);
	return 0;
}
