/*
 * `streamhold app add|list|remove`: the client id and secret of each platform.
 *
 * The secret comes from a prompt without echo or from standard input, never from argv,
 * and is wiped as soon as it is sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "broker/cli/prompt.h"
#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"

/* Bounds of credentials_put. */
#define CLIENT_ID_MAX 512
#define CLIENT_SECRET_MAX 2048
#define SCOPES_MAX 8192

/* Where a client is registered, and what to mind there. */
static const struct {
	const char *platform;
	const char *console;
	const char *note;
} consoles[] = {
	{ "twitch", "https://dev.twitch.tv/console/apps",
	    "choose the client type Confidential, and save the form" },
	{ "kick", "https://kick.com/settings/developer",
	    "the account needs two-factor authentication; for events also enable "
	    "webhooks there" },
	{ "youtube", "https://console.cloud.google.com/auth/clients",
	    "enable the YouTube Data API v3 in the same project" },
};

/* ---- add ---- */

struct registration {
	char *client_id;
	struct secret secret;
	char *scopes;
};

static void
registration_clear(struct registration *registration)
{
	free(registration->client_id);
	free(registration->scopes);
	secret_clear(&registration->secret);
}

/* No other process of this user may read this one's memory, and no core is left. */
static void
protect(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef STREAMHOLD_SANITIZE
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static int
check_add(const struct cli *cli)
{
	if (!words_platform(cli->words[0]))
		return CLI_USAGE;
	if (cli->scopes && strlen(cli->scopes) > SCOPES_MAX) {
		talk_error("streamhold help app add",
		    "--scopes is longer than %d bytes", SCOPES_MAX);
		return CLI_USAGE;
	}
	if (cli->secret_stdin && !cli->client_id) {
		talk_error(
		    "streamhold app add PLATFORM --client-id ID --secret-stdin < FILE",
		    "--secret-stdin needs --client-id, because standard input is the "
		    "secret's");
		return CLI_USAGE;
	}
	if (!cli->secret_stdin && !prompt_possible()) {
		talk_error(
		    "streamhold app add PLATFORM --client-id ID --secret-stdin < FILE",
		    "the secret is asked for at a terminal, and standard input is "
		    "none");
		return CLI_USAGE;
	}
	if (cli->client_id &&
	    (*cli->client_id == '\0' || strlen(cli->client_id) > CLIENT_ID_MAX)) {
		talk_error("streamhold help app add",
		    "--client-id must have 1 to %d bytes", CLIENT_ID_MAX);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int
collect(const struct cli *cli, struct registration *registration)
{
	int status = CLI_OK;

	if (cli->client_id)
		registration->client_id = xstrdup(cli->client_id);
	else
		status =
		    prompt_text("Client id: ", CLIENT_ID_MAX, &registration->client_id);
	if (status != CLI_OK)
		return status;
	if (cli->secret_stdin)
		return prompt_read_secret(CLIENT_SECRET_MAX, &registration->secret);
	return prompt_secret(
	    "Client secret (not shown): ", CLIENT_SECRET_MAX, &registration->secret);
}

/* Scopes may be separated by commas as well. */
static char *
scopes_text(const char *typed)
{
	char *scopes = typed ? xstrdup(typed) : NULL;
	char *at;

	for (at = scopes; at && *at; at++)
		if (*at == ',')
			*at = ' ';
	return scopes;
}

static void
print_added_json(const struct proto_credentials *stored)
{
	struct out_json json;

	out_json_start(&json);
	out_json_text(&json, "platform", stored->platform);
	out_json_text(&json, "client_id", stored->client_id);
	out_json_text(&json, "redirect_uri", stored->redirect_uri);
	out_json_words(&json, "scopes", stored->scopes);
	out_json_time(&json, "created_at", stored->created_at);
	out_json_time(&json, "updated_at", stored->updated_at);
	out_json_finish(&json);
}

static void
print_added(const struct proto_credentials *stored)
{
	size_t i;

	(void)printf("Stored the client id and secret of %s.\n\n"
		     "Register exactly this redirect address, every character of it:\n"
		     "  %s\n",
	    stored->platform, stored->redirect_uri);
	for (i = 0; i < sizeof(consoles) / sizeof(consoles[0]); i++)
		if (strcmp(consoles[i].platform, stored->platform) == 0)
			(void)printf(
			    "at %s\n  (%s)\n", consoles[i].console, consoles[i].note);
	(void)printf("\nA login will ask for: %s\n\nNext: streamhold login %s NAME\n",
	    stored->scopes, stored->platform);
}

/* The redirect address is the broker's to say. */
static int
show_added(struct client *client, const struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_credentials_list,
		.credentials_list = { .platform = cli->words[0] } };
	struct rows rows;
	int status = rows_ask(client, &msg, &rows, NULL);

	if (status == CLI_OK && rows.count > 0 && cli->json)
		print_added_json(&rows.items[0].credentials);
	else if (status == CLI_OK && rows.count > 0)
		print_added(&rows.items[0].credentials);
	rows_clear(&rows);
	return status;
}

static int
put_and_show(
    struct client *client, const struct cli *cli, struct registration *registration)
{
	const struct proto_msg msg = { .type = MSG_credentials_put,
		.credentials_put = { .platform = cli->words[0],
		    .client_id = registration->client_id,
		    .client_secret = registration->secret,
		    .scopes = registration->scopes } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_ANSWER_MS };
	int status = client_ask(client, &question, NULL);

	secret_clear(&registration->secret);
	return status == CLI_OK ? show_added(client, cli) : status;
}

int
verb_app_add(struct cli *cli)
{
	struct registration registration = { .secret = SECRET_NONE };
	struct client *client = NULL;
	int status = check_add(cli);

	if (status != CLI_OK)
		return status;
	protect();
	/* Nobody should type a secret for a service that is not there. */
	status = client_open(cli, &client);
	client_close(client);
	client = NULL;
	registration.scopes = scopes_text(cli->scopes);
	if (status == CLI_OK)
		status = collect(cli, &registration);
	if (status == CLI_OK)
		status = client_open(cli, &client);
	if (status == CLI_OK)
		status = put_and_show(client, cli, &registration);
	registration_clear(&registration);
	client_close(client);
	return status;
}

/* ---- list ---- */

static void
print_list_json(const struct rows *rows)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_open(&json, "apps", '[');
	for (i = 0; i < rows->count; i++) {
		const struct proto_credentials *row = &rows->items[i].credentials;

		out_json_open(&json, NULL, '{');
		out_json_text(&json, "platform", row->platform);
		out_json_text(&json, "client_id", row->client_id);
		out_json_words(&json, "scopes", row->scopes);
		out_json_text(&json, "redirect_uri", row->redirect_uri);
		out_json_time(&json, "created_at", row->created_at);
		out_json_time(&json, "updated_at", row->updated_at);
		out_json_close(&json, '}');
	}
	out_json_close(&json, ']');
	out_json_finish(&json);
}

static void
print_list(const struct rows *rows)
{
	static const char *const headings[] = { "PLATFORM", "CLIENT ID",
		"REDIRECT ADDRESS", "STORED", NULL };
	struct out_table table;
	char when[WORDS_SIZE];
	size_t i;

	if (rows->count == 0) {
		talk("No client is stored yet.");
		talk_next("streamhold app add PLATFORM");
		return;
	}
	out_table_init(&table, headings);
	for (i = 0; i < rows->count; i++) {
		const struct proto_credentials *row = &rows->items[i].credentials;

		words_time(row->updated_at, when);
		out_table_add(&table, row->platform);
		out_table_add(&table, row->client_id);
		out_table_add(&table, row->redirect_uri);
		out_table_add(&table, when);
	}
	out_table_print(&table);
}

int
verb_app_list(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_credentials_list };
	struct rows rows;
	int status = rows_ask_once(cli, &msg, &rows, NULL);

	if (status == CLI_OK && cli->json)
		print_list_json(&rows);
	else if (status == CLI_OK)
		print_list(&rows);
	rows_clear(&rows);
	return status;
}

/* ---- remove ---- */

static int
confirm_remove(const struct cli *cli)
{
	char *question;
	int status;

	if (cli->yes)
		return CLI_OK;
	question = xasprintf("Remove the client id and secret of %s? Logins that are "
			     "stored cannot be refreshed without them. [y/N] ",
	    cli->words[0]);
	status = prompt_removal(question, "streamhold app remove PLATFORM --yes");
	free(question);
	return status;
}

int
verb_app_remove(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_credentials_delete,
		.credentials_delete = { .platform = cli->words[0] } };
	const struct client_question question = {
		.msg = &msg, .deadline_ms = CLIENT_ANSWER_MS, .platform = cli->words[0]
	};
	struct out_json json;
	int status;

	if (!words_platform(cli->words[0]))
		return CLI_USAGE;
	status = confirm_remove(cli);
	if (status == CLI_OK)
		status = client_ask_once(cli, &question, NULL);
	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		out_json_text(&json, "platform", cli->words[0]);
		out_json_flag(&json, "removed", true);
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		(void)printf(
		    "Removed the client id and secret of %s.\n", cli->words[0]);
	}
	return status;
}
