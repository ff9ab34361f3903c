/*
 * `streamhold consumers add NAME`: a consumer that asks for its events, or with
 * --forward one that they are pushed to. A secret that is made for it is shown once.
 */
#include <stdio.h>

#include "broker/cli/consumers.h"
#include "broker/cli/prompt.h"
#include "broker/cli/talk.h"

#define SECRET_MAX 256

static int
check(const struct cli *cli)
{
	if (cli->forward)
		return CLI_OK;
	if (cli->secret_stdin || cli->allow_private) {
		talk_error("streamhold consumers add NAME --forward URL",
		    "--%s is for a consumer that events are pushed to",
		    cli->secret_stdin ? "secret-stdin" : "allow-private");
		return CLI_USAGE;
	}
	return CLI_OK;
}

static void
print_json(const struct proto_consumer *row, const struct secret *secret)
{
	struct out_json json;

	out_json_start(&json);
	consumers_json(&json, "consumer", row);
	if (secret->length)
		out_json_text(&json, "secret", secret_text(secret));
	else
		out_json_null(&json, "secret");
	out_json_finish(&json);
}

/* Only the secret is data; everything else is talk. */
static void
print_text(const struct proto_consumer *row, const struct secret *secret)
{
	if (!row->url) {
		talk("%s may ask for its events, from %llu on.", row->name,
		    (unsigned long long)row->cursor + 1);
		talk("  GET /consumers/%s/events, then POST /consumers/%s/ack "
		     "{\"seq\": N}",
		    row->name, row->name);
		return;
	}
	talk("Events are pushed to %s, from %llu on.", row->url,
	    (unsigned long long)row->cursor + 1);
	if (secret->length) {
		talk("This is the secret with which they are signed. It is not shown "
		     "again:");
		(void)fwrite(secret->bytes, 1, secret->length, stdout);
		(void)fputc('\n', stdout);
		(void)fflush(stdout);
	}
	talk_next("streamhold consumers test %s", row->name);
}

static int
show(const struct cli *cli, const struct secret *secret)
{
	struct proto_msg row = { .type = MSG_none };
	int status = consumers_find(cli, cli->words[0], &row);

	/* No copy of the secret stays behind in a buffer of the library. */
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	if (status == CLI_OK && cli->json)
		print_json(&row.consumer, secret);
	else if (status == CLI_OK)
		print_text(&row.consumer, secret);
	proto_clear(&row);
	return status;
}

static int
add_asking(const struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_consumer_put,
		.consumer_put = { .name = cli->words[0],
		    .type = cli->type,
		    .platform = cli->platform,
		    .kind = cli->kind,
		    .broadcaster = cli->broadcaster,
		    .include = cli->include ? cli->include : "",
		    .start = cli->start ? cli->start : "" } };
	const struct secret none = SECRET_NONE;
	int status = consumers_ask(cli, &msg, "streamhold help consumers add", NULL);

	return status == CLI_OK ? show(cli, &none) : status;
}

static int
add_forward(const struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_consumer_forward,
		.consumer_forward = { .name = cli->words[0],
		    .type = cli->type,
		    .platform = cli->platform,
		    .kind = cli->kind,
		    .broadcaster = cli->broadcaster,
		    .include = cli->include ? cli->include : "",
		    .start = cli->start ? cli->start : "",
		    .url = cli->forward,
		    .private_host = cli->allow_private } };
	struct proto_msg answer = { .type = MSG_none };
	int status = CLI_OK;

	if (cli->secret_stdin)
		status = prompt_read_secret(SECRET_MAX, &msg.consumer_forward.secret);
	if (status == CLI_OK)
		status =
		    consumers_ask(cli, &msg, "streamhold help consumers add", &answer);
	secret_clear(&msg.consumer_forward.secret);
	if (status == CLI_OK)
		status = show(cli, &answer.consumer_forwarded.secret);
	proto_clear(&answer);
	return status;
}

int
verb_consumers_add(struct cli *cli)
{
	int status = check(cli);

	if (status != CLI_OK)
		return status;
	return cli->forward ? add_forward(cli) : add_asking(cli);
}
