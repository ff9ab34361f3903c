/*
 * `streamhold login --device`: a code that a person types on another device.
 *
 * One question: the broker says address and code by the row device_started, asks the
 * platform until the person has decided, and answers like every login. When the command
 * goes, the broker stops asking.
 */
#include "broker/cli/login.h"

static void
on_row(void *arg, struct proto_msg *row)
{
	struct login *login = arg;
	const struct proto_device_started *started = &row->device_started;
	const struct login_address shown = { .address = started->uri,
		.code = started->user_code,
		.expires_at = started->expires_at,
		.where = "anywhere",
		.browser = true };

	login_on_done(login);
	login_show(login, &shown);
	login->shown = true;
	login_on_tick(login);
}

/* Nothing is waited for before there is a code. */
static void
on_tick(void *arg)
{
	const struct login *login = arg;

	if (login->shown)
		login_on_tick(arg);
}

static void
on_done(void *arg)
{
	const struct login *login = arg;

	if (login->shown)
		login_on_done(arg);
}

int
login_device(struct login *login, struct proto_msg *ret_finished)
{
	const struct cli *cli = login->cli;
	const struct proto_msg msg = { .type = MSG_device_login,
		.device_login = { .platform = cli->words[0],
		    .username = cli->words[1],
		    .adopt = cli->adopt } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = (unsigned)login_left_ms(login) + 1,
		.on_row = on_row,
		.on_tick = on_tick,
		.on_done = on_done,
		.arg = login,
		.platform = cli->words[0],
		.username = cli->words[1],
		.late = "nobody typed the code in time",
		.late_status = CLI_LOGIN };

	return client_ask(login->client, &question, ret_finished);
}
