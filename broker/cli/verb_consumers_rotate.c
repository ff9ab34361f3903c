/*
 * `streamhold consumers rotate-secret NAME`: a new secret to sign with. One that is
 * made for it is shown once; the one before signs as well for a while.
 */
#include <stdio.h>
#include <string.h>

#include "broker/cli/consumers.h"
#include "broker/cli/prompt.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/time.h"

#define SECRET_MAX 256

/* --overlap into the question; absent is what the configuration says. */
static int
take_overlap(const struct cli *cli, struct proto_consumer_rotate *rotate)
{
	uint64_t ms = 0;

	if (!cli->overlap)
		return CLI_OK;
	if (strcmp(cli->overlap, "0") != 0 && !words_duration(cli->overlap, &ms)) {
		talk_error("streamhold help consumers rotate-secret",
		    "--overlap takes a time such as 90s, 10m, 1h or 7d, 7 days at "
		    "most, or 0; not \"%s\"",
		    cli->overlap);
		return CLI_USAGE;
	}
	rotate->overlap_said = true;
	rotate->overlap_s = (uint32_t)(ms / 1000);
	return CLI_OK;
}

static void
print_json(const struct proto_consumer_rotated *rotated)
{
	struct out_json json;

	out_json_start(&json);
	out_json_text(&json, "name", rotated->name);
	if (rotated->secret.length)
		out_json_text(&json, "secret", secret_text(&rotated->secret));
	else
		out_json_null(&json, "secret");
	out_json_time(&json, "old_secret_until", rotated->old_until);
	out_json_finish(&json);
}

/* Only the secret is data; everything else is talk. */
static void
print_text(const struct proto_consumer_rotated *rotated)
{
	char when[WORDS_SIZE];

	if (rotated->secret.length) {
		talk("This is the secret with which events for %s are signed from "
		     "here on. It is not shown again:",
		    rotated->name);
		(void)fwrite(rotated->secret.bytes, 1, rotated->secret.length, stdout);
		(void)fputc('\n', stdout);
	} else {
		talk("Events for %s are signed with that secret from here on.",
		    rotated->name);
	}
	words_when(rotated->old_until, (uint64_t)time_now_ms(), when);
	if (rotated->old_until)
		talk("The one before signs as well; its end is %s.", when);
	else
		talk("The one before is good no more.");
	talk_next("streamhold consumers test %s", rotated->name);
}

int
verb_consumers_rotate(struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_consumer_rotate,
		.consumer_rotate = { .name = cli->words[0] } };
	struct proto_msg answer = { .type = MSG_none };
	int status = take_overlap(cli, &msg.consumer_rotate);

	if (status == CLI_OK && cli->secret_stdin)
		status = prompt_read_secret(SECRET_MAX, &msg.consumer_rotate.secret);
	if (status == CLI_OK)
		status = consumers_ask(cli, &msg, "streamhold consumers list", &answer);
	secret_clear(&msg.consumer_rotate.secret);
	/* No copy of the secret stays behind in a buffer of the library. */
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	if (status == CLI_OK && cli->json)
		print_json(&answer.consumer_rotated);
	else if (status == CLI_OK)
		print_text(&answer.consumer_rotated);
	proto_clear(&answer);
	return status;
}
