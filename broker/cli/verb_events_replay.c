/*
 * `streamhold events replay`: hands events to those who read live, or to one consumer
 * (--to), once more, marked `redelivered`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/event_rows.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"

static void
print(const struct cli *cli, struct out_json *json,
    const struct proto_event_replayed *replayed)
{
	char *type;

	if (cli->json) {
		out_json_open(json, NULL, '{');
		out_json_number(json, "seq", replayed->seq);
		out_json_text(json, "type", replayed->type);
		if (cli->to)
			out_json_text(json, "to", cli->to);
		else
			out_json_number(json, "replay", replayed->replay);
		out_json_close(json, '}');
		return;
	}
	type = out_escape(replayed->type, strlen(replayed->type));
	(void)printf("#%llu %s\n", (unsigned long long)replayed->seq, type);
	free(type);
}

static int
replay(struct client *client, const struct cli *cli, struct out_json *json,
    const char *word)
{
	struct proto_msg answer = { .type = MSG_none };
	struct proto_msg msg = { .type = MSG_event_replay };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_ANSWER_MS };
	int status;

	if (!event_rows_word(word, &msg.event_replay.seq))
		return CLI_NOTHING;
	msg.event_replay.consumer = cli->to;
	if (msg.event_replay.seq == 0)
		msg.event_replay.id = word;
	status = client_ask(client, &question, &answer);
	if (status == CLI_OK)
		print(cli, json, &answer.event_replayed);
	proto_clear(&answer);
	return status;
}

int
verb_events_replay(struct cli *cli)
{
	struct out_json json;
	struct client *client;
	int status = client_open(cli, &client);
	size_t i;

	if (status != CLI_OK)
		return status;
	out_json_start(&json);
	out_json_open(&json, "replayed", '[');
	for (i = 0; i < cli->word_count && status == CLI_OK; i++)
		status = replay(client, cli, &json, cli->words[i]);
	out_json_close(&json, ']');
	if (cli->json && status == CLI_OK)
		out_json_finish(&json);
	else
		buf_clear(&json.text);
	client_close(client);
	return status;
}
