/*
 * `streamhold login PLATFORM NAME`: prints the address for the browser and opens it
 * there when there is one, waits until the login ends, and says what was granted.
 *
 *   begin    login_start; the address goes to standard output, all else is talk
 *   wait     login_wait, with a countdown on a terminal; asked again when the broker
 *            was restarted meanwhile
 *   tell     who logged in, which scopes were granted and which are missing
 *
 * The other ways between begin and tell are in files of their own (login.h).
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/cli/browser.h"
#include "broker/cli/login.h"
#include "broker/cli/out.h"
#include "broker/cli/qr.h"
#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/text.h"
#include "common/time.h"

#define WAIT_DEFAULT_MS (10 * 60 * 1000)

/* How long a broker that went away during the wait may take to come back. */
#define RETURN_MS 10000
#define RETURN_POLL_NS (250 * 1000 * 1000)

/* ---- begin ---- */

static int
check(const struct cli *cli, uint64_t *ret_wait_ms)
{
	const char *name = cli->words[1];

	*ret_wait_ms = WAIT_DEFAULT_MS;
	if (!words_platform(cli->words[0]))
		return CLI_USAGE;
	if (!text_is_username(name, strlen(name))) {
		talk_error("streamhold login PLATFORM NAME",
		    "'%s' is no user name: 1 to %d bytes of UTF-8 without control "
		    "characters and '/'",
		    name, TEXT_USERNAME_MAX);
		return CLI_USAGE;
	}
	if (cli->timeout && !words_duration(cli->timeout, ret_wait_ms)) {
		talk_error("streamhold help login",
		    "--timeout must be a time like 90s, 10m or 1h, not '%s'",
		    cli->timeout);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int
check_ways(const struct cli *cli)
{
	const char *problem = NULL;

	if (cli->paste && cli->timeout)
		problem =
		    "--timeout has no meaning with --paste, which waits for what you "
		    "type";
	else if (cli->paste && cli->device)
		problem = "--paste and --device are two ways; choose one";
	if (!problem)
		return CLI_OK;
	talk_error("streamhold help login", "%s", problem);
	return CLI_USAGE;
}

static void
print_address(const struct login *login, const struct login_address *shown)
{
	struct out_json json;

	if (login->cli->json) {
		out_json_start_line(&json);
		out_json_text(&json, "step", "started");
		out_json_text(&json, "auth_url", shown->address);
		if (shown->code)
			out_json_text(&json, "user_code", shown->code);
		out_json_time(&json, "expires_at", shown->expires_at);
		out_json_finish(&json);
	} else {
		talk("Open this address in a browser %s, as %s%s", shown->where,
		    login->cli->words[1],
		    shown->code ? ", and type the code below it there:" : ":");
		(void)printf("%s\n", shown->address);
		if (shown->code)
			(void)printf("%s\n", shown->code);
	}
	(void)fflush(stdout);
}

static void
print_qr(const struct login *login, const struct login_address *shown)
{
	if (!login->cli->qr)
		return;
	if (!qr_possible())
		talk("note: this build makes no QR codes (it was built without "
		     "libqrencode)");
	else if (!qr_print(stderr, shown->address))
		talk("note: the address is too long for a QR code");
}

void
login_show(const struct login *login, const struct login_address *shown)
{
	print_address(login, shown);
	print_qr(login, shown);
	if (!shown->browser || login->cli->no_browser || login->cli->json ||
	    !browser_is_there())
		return;
	/* The state in it opens nothing: whoever is on this machine may ask the API for
	 * a login of their own. */
	if (browser_open(shown->address))
		talk("A browser was asked to open it.");
}

int
login_begin(struct login *login)
{
	const struct cli *cli = login->cli;
	const struct proto_msg msg = { .type = MSG_login_start,
		.login_start = { .platform = cli->words[0],
		    .username = cli->words[1],
		    .adopt = cli->adopt } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_ANSWER_MS,
		.platform = cli->words[0],
		.username = cli->words[1] };

	return client_ask(login->client, &question, &login->started);
}

/* ---- wait ---- */

int64_t
login_left_ms(const struct login *login)
{
	int64_t left = login->until - time_boot_ms();

	return left > 0 ? left : 0;
}

void
login_on_tick(void *arg)
{
	const struct login *login = arg;
	long long seconds = login_left_ms(login) / 1000;

	if (login->countdown)
		(void)fprintf(stderr,
		    "\rwaiting for the %s, %lld:%02lld left (Ctrl-C ends) ",
		    login->waits_for, seconds / 60, seconds % 60);
}

void
login_on_done(void *arg)
{
	const struct login *login = arg;

	if (login->countdown)
		(void)fprintf(stderr, "\r%60s\r", "");
}

/* Waits for a restarted broker; the pending login is stored there. */
static int
open_again(struct login *login)
{
	const struct timespec pause = { .tv_nsec = RETURN_POLL_NS };
	int64_t until = time_boot_ms() + RETURN_MS;
	int status = CLI_STOPPED;

	client_close(login->client);
	login->client = NULL;
	talk("waiting for the broker to come back");
	while (status == CLI_STOPPED && time_boot_ms() < until) {
		(void)nanosleep(&pause, NULL);
		status = client_try(login->cli, &login->client);
	}
	return status == CLI_STOPPED ? client_open(login->cli, &login->client) : status;
}

static int
wait_once(struct login *login, struct proto_msg *ret_finished)
{
	const struct proto_msg msg = { .type = MSG_login_wait,
		.login_wait = { .state = login->started.login_started.state } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = (unsigned)login_left_ms(login) + 1,
		.on_tick = login_on_tick,
		.on_done = login_on_done,
		.arg = login,
		.platform = login->cli->words[0],
		.username = login->cli->words[1],
		.late = "nobody finished the login in the browser in time",
		.late_status = CLI_LOGIN };

	login_on_tick(login);
	return client_ask(login->client, &question, ret_finished);
}

static int
wait_finished(struct login *login, struct proto_msg *ret_finished)
{
	const struct login_address shown = {
		.address = secret_text(&login->started.login_started.auth_url),
		.expires_at = login->started.login_started.expires_at,
		.where = "on this machine",
		.browser = true
	};
	int status;

	login_show(login, &shown);
	if (login->cli->qr)
		talk("note: a browser on another device cannot come back to this "
		     "machine; there, use --paste");
	status = wait_once(login, ret_finished);

	while (status == CLI_STOPPED && login_left_ms(login) > 0) {
		status = open_again(login);
		if (status == CLI_OK)
			status = wait_once(login, ret_finished);
		else
			break;
	}
	if (status == CLI_INTERRUPTED) {
		talk("Interrupted. The address stays good until it expires: what is "
		     "finished in the browser counts.");
		talk_next("streamhold accounts");
	}
	return status;
}

/* ---- tell ---- */

static void
print_finished_json(const struct proto_login_finished *finished)
{
	struct out_json json;

	out_json_start_line(&json);
	out_json_text(&json, "step", "finished");
	out_json_text(&json, "platform", finished->platform);
	out_json_text(&json, "username", finished->username);
	out_json_text(&json, "identity", finished->identity);
	out_json_words(&json, "scope", finished->scopes);
	out_json_words(&json, "missing_scope", finished->missing_scopes);
	rows_unmet_json(&json, finished->unmet);
	out_json_text(&json, "warning", finished->warning);
	out_json_finish(&json);
}

static void
tell(const struct login *login, const struct proto_login_finished *finished)
{
	if (login->cli->json) {
		print_finished_json(finished);
		return;
	}
	talk("Logged in to %s as %s (%s); the tokens are stored.", finished->platform,
	    finished->username, finished->identity);
	talk("granted: %s", *finished->scopes ? finished->scopes : "-");
	if (*finished->missing_scopes) {
		talk("not granted: %s", finished->missing_scopes);
		talk_next(
		    "streamhold login %s %s", finished->platform, finished->username);
	}
	rows_unmet_print(stderr,
	    &(const struct rows_unmet){ .platform = finished->platform,
		.username = finished->username,
		.missing_scopes = finished->missing_scopes,
		.lines = finished->unmet });
	if (finished->warning)
		talk("note: %s", finished->warning);
	talk_next("streamhold status");
}

static int
run(struct login *login, uint64_t wait_ms)
{
	struct proto_msg finished = { .type = MSG_none };
	int status = client_open(login->cli, &login->client);

	if (status == CLI_OK && !login->cli->device)
		status = login_begin(login);
	if (status != CLI_OK)
		return status;
	login->until = time_boot_ms() + (int64_t)wait_ms;
	if (login->cli->device)
		status = login_device(login, &finished);
	else if (login->cli->paste)
		status = login_paste(login, &finished);
	else
		status = wait_finished(login, &finished);
	if (status == CLI_OK)
		tell(login, &finished.login_finished);
	proto_clear(&finished);
	return status;
}

int
verb_login(struct cli *cli)
{
	struct login login = { .cli = cli,
		.started = { .type = MSG_none },
		.countdown = isatty(STDERR_FILENO),
		.waits_for = cli->device ? "code" : "browser" };
	uint64_t wait_ms;
	int status = check(cli, &wait_ms);

	if (status == CLI_OK)
		status = check_ways(cli);
	if (status != CLI_OK)
		return status;
	status = run(&login, wait_ms);
	proto_clear(&login.started);
	client_close(login.client);
	return status;
}
