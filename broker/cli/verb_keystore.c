/*
 * `streamhold keystore`: where secrets are kept, and moving them elsewhere. The broker
 * does the work; this asks until it is over.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/client.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"

#define ASK_EVERY_US 200000

static int
ask(struct client *client, const struct proto_msg *msg, struct proto_msg *ret_answer)
{
	const struct client_question question = { .msg = msg,
		.deadline_ms = CLIENT_ANSWER_MS };

	return client_ask(client, &question, ret_answer);
}

static void
print(const struct cli *cli, const struct proto_keystore *keystore)
{
	struct out_json json;

	if (cli->json) {
		out_json_start(&json);
		out_json_text(&json, "backend", keystore->backend);
		out_json_text(&json, "state", keystore->state);
		out_json_text(&json, "detail", keystore->detail);
		out_json_text(&json, "key_file", keystore->key_file);
		out_json_text(&json, "moving", keystore->moving);
		out_json_number(&json, "moved", keystore->moved);
		out_json_number(&json, "unreadable", keystore->unreadable);
		out_json_text(&json, "trouble", keystore->trouble);
		out_json_finish(&json);
		return;
	}
	printf("keystore  %s\nstate     %s\n", keystore->backend, keystore->state);
	if (strcmp(keystore->backend, "file") == 0)
		printf("key       %s\n", keystore->key_file);
	if (*keystore->moving)
		printf("moving    %s, %" PRIu64 " done\n", keystore->moving,
		    keystore->moved);
	if (*keystore->detail)
		talk("%s", keystore->detail);
	if (*keystore->trouble)
		talk("%s", keystore->trouble);
}

int
verb_keystore_status(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_keystore_get };
	struct proto_msg answer;
	struct client *client;
	int status = client_open(cli, &client);

	if (status != CLI_OK)
		return status;
	status = ask(client, &msg, &answer);
	if (status == CLI_OK) {
		print(cli, &answer.keystore);
		if (strcmp(answer.keystore.state, "healthy") != 0)
			status = CLI_DEGRADED;
		proto_clear(&answer);
	}
	client_close(client);
	return status;
}

static int
finish(const struct cli *cli, const struct proto_keystore *keystore, bool begun)
{
	print(cli, keystore);
	if (!begun && *keystore->trouble) {
		talk_error("streamhold keystore status", "nothing was moved");
		return CLI_FAILURE;
	}
	talk("%" PRIu64 " secrets were moved.", keystore->moved);
	if (keystore->unreadable == 0)
		return CLI_OK;
	talk("%" PRIu64
	     " cannot be opened and were left as they are; the log names them.",
	    keystore->unreadable);
	return CLI_DEGRADED;
}

/* Until nothing is being moved any more. The move goes on when this is interrupted. */
static int
wait_for_end(const struct cli *cli, struct client *client)
{
	const struct proto_msg msg = { .type = MSG_keystore_get };
	struct proto_msg answer;
	char said[600] = "";
	bool moving = true;
	int status = CLI_OK;

	while (moving && status == CLI_OK) {
		(void)usleep(ASK_EVERY_US);
		status = ask(client, &msg, &answer);
		if (status != CLI_OK)
			break;
		moving = *answer.keystore.moving != '\0';
		if (moving && strcmp(said, answer.keystore.trouble) != 0) {
			(void)snprintf(
			    said, sizeof(said), "%s", answer.keystore.trouble);
			talk("Waiting: %s", said);
		}
		if (!moving)
			status =
			    finish(cli, &answer.keystore, !*answer.keystore.trouble);
		proto_clear(&answer);
		if (!moving)
			break;
	}
	return status;
}

static int
move(const struct cli *cli, const char *to)
{
	const struct proto_msg msg = { .type = MSG_keystore_move,
		.keystore_move = { .to = to } };
	struct proto_msg answer;
	struct client *client;
	int status = client_open(cli, &client);

	if (status != CLI_OK)
		return status;
	status = ask(client, &msg, &answer);
	if (status == CLI_OK) {
		proto_clear(&answer);
		status = wait_for_end(cli, client);
	}
	client_close(client);
	return status;
}

int
verb_keystore_migrate(struct cli *cli)
{
	if (cli->to &&
	    (strcmp(cli->to, "file") == 0 || strcmp(cli->to, "secret-service") == 0))
		return move(cli, cli->to);
	talk_error("streamhold help keystore migrate",
	    "--to must be 'file' or 'secret-service'");
	return CLI_USAGE;
}

int
verb_keystore_rotate(struct cli *cli)
{
	return move(cli, "rotate");
}
