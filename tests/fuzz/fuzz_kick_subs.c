/*
 * Fuzzer of what Kick answers about event subscriptions: any bytes under any status
 * give a verdict and printable words, and what is read of them fits its place. The
 * first two bytes of the input choose the status; the rest is the body.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/subscriptions/kick_subs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const events[] = { "chat.message.sent", "channel.followed",
	"kicks.gifted" };

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

static int
is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return 0;
	return 1;
}

static int
is_digits(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static void
check_verdict(unsigned status, const struct secret *body)
{
	struct fetch_reply reply = {
		.result = FETCH_answered, .problem = "", .status = status, .body = *body
	};
	char said[KICK_SUBS_SAID_SIZE];
	enum kick_subs_verdict verdict;

	memset(said, 'x', sizeof(said));
	verdict = kick_subs_judge(&reply, said);
	require(verdict < KICK_SUBS_VERDICT_MAX, "there is a verdict");
	require(memchr(said, '\0', sizeof(said)) != NULL, "what was said is bounded");
	require(is_printable(said), "what was said is printable");
	require((verdict == KICK_SUBS_good) == (*said == '\0'), "a failure has words");
}

static void
check_list(const struct secret *body, const char *user_id)
{
	char whose[KICK_SUBS_USER_SIZE];
	struct sub_listed *listed;
	size_t count;
	size_t i;

	if (kick_subs_read_list(body, user_id, &listed, &count, whose) < 0)
		return;
	require(memchr(whose, '\0', sizeof(whose)) != NULL, "the id is bounded");
	require(!*whose || is_digits(whose), "the id is a number");
	require(!user_id || !*whose, "it is told where nobody knew it");
	for (i = 0; i < count; i++) {
		require(*listed[i].id && strlen(listed[i].id) < SUB_ID_SIZE,
		    "a listed one has its id");
		require(*listed[i].event && strlen(listed[i].event) < SUB_EVENT_SIZE,
		    "a listed one has its event");
		require(listed[i].created_at >= 0, "no time is negative");
	}
	free(listed);
}

static void
check_created(const struct secret *body)
{
	struct kick_subs_created created[COUNT(events)];
	size_t i;

	if (kick_subs_read_created(body, events, COUNT(events), created) < 0)
		return;
	for (i = 0; i < COUNT(events); i++) {
		require(created[i].verdict < KICK_SUBS_VERDICT_MAX,
		    "each event has a verdict");
		require((created[i].verdict == KICK_SUBS_good) == (*created[i].id != 0),
		    "what was created has an id, and nothing else has");
		require(is_printable(created[i].said), "errors are printable");
		require(created[i].verdict != KICK_SUBS_good || !*created[i].said,
		    "an error is no success");
	}
}

static void
check_channel(const struct secret *body)
{
	char id[KICK_SUBS_USER_SIZE] = "none";
	int result = kick_subs_read_channel(body, "Some_One", id);

	require(result == 0 || result == -ENOENT || result == -EBADMSG,
	    "the result is one of three");
	require(result == 0 ? is_digits(id) : strcmp(id, "none") == 0,
	    "an id is given with success only, and is a number");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned usual[] = { 200, 201, 204, 400, 401, 403, 404, 408, 429,
		500, 502, 503 };
	struct secret body;
	unsigned status;

	if (size < 2)
		return 0;
	status = data[0] < 128 ? usual[data[0] % COUNT(usual)]
			       : 100 + (data[0] * 256u + data[1]) % 500;
	body = secret_copy(data + 2, size - 2);
	check_verdict(status, &body);
	check_list(&body, NULL);
	check_list(&body, "123");
	check_created(&body);
	check_channel(&body);
	secret_clear(&body);
	return 0;
}
