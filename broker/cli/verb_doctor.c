/*
 * `streamhold doctor`: everything that can be looked at from here, a line each, and
 * behind what is wrong the command to type next. It asks and changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"
#include "common/version.h"

enum state { STATE_OK, STATE_NOTE, STATE_WARNING, STATE_PROBLEM };

static const struct {
	const char *word;
	enum talk_color color;
} states[] = {
	[STATE_OK] = { "ok", TALK_GOOD },
	[STATE_NOTE] = { "note", TALK_PLAIN },
	[STATE_WARNING] = { "warning", TALK_WARN },
	[STATE_PROBLEM] = { "problem", TALK_BAD },
};

#define CHECK_WIDTH 15

struct doctor {
	const struct cli *cli;
	struct out_json json;
	struct rows health;
	struct rows report;
	struct rows accounts;
	struct rows refused;
	struct rows clients;
	enum state worst;
};

/* ---- Saying ---- */

/* One line. `next` is the command to type, NULL: none, or the detail names it. */
static void
tell(struct doctor *doctor, enum state state, const char *check, const char *detail,
    const char *next)
{
	const struct cli *cli = doctor->cli;
	char *text;

	if (state > doctor->worst)
		doctor->worst = state;
	if (cli->json) {
		out_json_open(&doctor->json, NULL, '{');
		out_json_text(&doctor->json, "check", check);
		out_json_text(&doctor->json, "state", states[state].word);
		out_json_text(&doctor->json, "detail", detail);
		out_json_text(&doctor->json, "next", next);
		out_json_close(&doctor->json, '}');
		return;
	}
	text = out_escape(detail, strlen(detail));
	(void)printf("%s%-8s%s %-*s %s%s%s\n", talk_on(cli, states[state].color),
	    states[state].word, talk_off(cli, states[state].color), CHECK_WIDTH, check,
	    text, next ? " -> " : "", next ? next : "");
	free(text);
}

/* The same, with a detail that is put together and freed here. */
static void
tell_owned(struct doctor *doctor, enum state state, const char *check, char *detail,
    const char *next)
{
	tell(doctor, state, check, detail, next);
	free(detail);
}

/* ---- What needs no service ---- */

static void
look_at_configuration(struct doctor *doctor)
{
	struct config config = { .server = { .port = 0 } };
	struct config_error *error = xcalloc(1, sizeof(*error));
	struct paths_env env;
	char *path;
	bool must_exist;
	int result;

	paths_env_read(&env);
	config_find_path(doctor->cli->config,
	    paths_is_system(doctor->cli->system, &env), &env, &path, &must_exist);
	result = config_load(path, must_exist, &config, error);
	if (result < 0)
		tell_owned(doctor, STATE_PROBLEM, "configuration",
		    xasprintf("%s: %zu mistakes", path, error->errors),
		    "streamhold config check");
	else if (error->warnings > 0)
		tell_owned(doctor, STATE_WARNING, "configuration",
		    xasprintf("%s: %zu warnings", path, error->warnings),
		    "streamhold config check");
	else
		tell(doctor, STATE_OK, "configuration", path, NULL);
	if (result == 0)
		config_clear(&config);
	free(path);
	free(error);
}

/* ---- What the service tells ---- */

static const char *
value_of(const struct doctor *doctor, const char *section, const char *name)
{
	const char *value = rows_report(&doctor->report, section, name);

	return value ? value : "";
}

static void
look_at_versions(struct doctor *doctor)
{
	const char *running = value_of(doctor, "versions", "streamhold");

	if (strcmp(running, version_text()) == 0)
		tell(doctor, STATE_OK, "version", running, NULL);
	else
		tell_owned(doctor, STATE_WARNING, "version",
		    xasprintf("%s runs, and %s is installed: restart the service",
			running, version_text()),
		    NULL);
	tell_owned(doctor, STATE_OK, "libraries",
	    xasprintf("libevent %s, libcurl %s, OpenSSL %s, SQLite %s",
		value_of(doctor, "versions", "libevent"),
		value_of(doctor, "versions", "curl"),
		value_of(doctor, "versions", "openssl"),
		value_of(doctor, "versions", "sqlite")),
	    NULL);
}

/* The layers are words with blanks between. */
static bool
has_layer(const char *layers, const char *layer)
{
	const size_t length = strlen(layer);
	const char *at = layers;

	while ((at = strstr(at, layer)) != NULL) {
		if (at == layers || at[-1] == ' ')
			return true;
		at += length;
	}
	return false;
}

static void
look_at_sandbox(struct doctor *doctor, const char *who, const char *layers)
{
	if (!has_layer(layers, "seccomp"))
		tell_owned(doctor, STATE_PROBLEM, "sandbox",
		    xasprintf("%s has no filter of system calls; in force: %s", who,
			*layers ? layers : "nothing"),
		    NULL);
	else if (!has_layer(layers, "landlock"))
		tell_owned(doctor, STATE_WARNING, "sandbox",
		    xasprintf(
			"%s: the kernel has no Landlock; in force: %s", who, layers),
		    NULL);
	else
		tell_owned(doctor, STATE_OK, "sandbox",
		    xasprintf("%s: %s", who, layers), NULL);
}

static void
look_at_front(struct doctor *doctor, const char *name)
{
	char *connected = xasprintf("%s.connected", name);
	char *sandbox = xasprintf("%s.sandbox", name);
	char *addresses = xasprintf("%s.addresses", name);
	const char *value = rows_report(&doctor->report, "fronts", connected);

	if (value && strcmp(value, "yes") == 0) {
		tell_owned(doctor, STATE_OK, "front",
		    xasprintf("%s listens on %s", name,
			value_of(doctor, "fronts", addresses)),
		    NULL);
		look_at_sandbox(doctor, name, value_of(doctor, "fronts", sandbox));
	} else if (value) {
		tell_owned(doctor, STATE_PROBLEM, "front",
		    xasprintf(
			"%s is not connected to the broker; its log says why", name),
		    NULL);
	}
	free(connected);
	free(sandbox);
	free(addresses);
}

static void
look_at_components(struct doctor *doctor)
{
	size_t i;

	for (i = 0; i < doctor->health.count; i++) {
		const struct proto_msg *row = &doctor->health.items[i];
		bool good;

		if (row->type != MSG_health)
			continue;
		good = strcmp(row->health.state, "healthy") == 0;
		tell_owned(doctor, good ? STATE_OK : STATE_PROBLEM,
		    row->health.component,
		    xasprintf("%s%s%s", row->health.state,
			*row->health.detail ? ": " : "", row->health.detail),
		    NULL);
	}
}

static void
look_at_memory(struct doctor *doctor)
{
	const char *trouble = value_of(doctor, "memory", "trouble");

	if (*trouble)
		tell(doctor, STATE_WARNING, "memory", trouble, NULL);
	else
		tell(doctor, STATE_OK, "memory", "secrets are in locked memory", NULL);
}

static void
look_at_clients(struct doctor *doctor)
{
	size_t i;

	for (i = 0; i < doctor->clients.count; i++) {
		const struct proto_msg *row = &doctor->clients.items[i];
		char *key;

		if (row->type != MSG_credentials)
			continue;
		key = xasprintf("redirect_uri.%s", row->credentials.platform);
		tell_owned(doctor, STATE_OK, "client",
		    xasprintf("%s; register exactly %s", row->credentials.platform,
			value_of(doctor, "listening", key)),
		    NULL);
		free(key);
	}
	if (doctor->clients.count == 0)
		tell(doctor, STATE_NOTE, "client", "none is stored",
		    "streamhold app add PLATFORM");
}

static void
look_at_account(struct doctor *doctor, const struct proto_account *account)
{
	const char *trouble = account->reason ? account->reason : account->trouble;
	char *who = xasprintf(
	    "%s/%s: %s", account->platform, account->username, account->status);
	char *text = trouble ? xasprintf("%s, %s", who, trouble) : xstrdup(who);
	char *login =
	    xasprintf("streamhold login %s %s", account->platform, account->username);
	char *escaped = out_escape(login, strlen(login));

	if (rows_account_needs_login(account))
		tell(doctor, STATE_PROBLEM, "login", text, escaped);
	else if (trouble || strcmp(account->status, "valid") != 0)
		tell(doctor, STATE_PROBLEM, "login", text, "streamhold accounts");
	else if (account->unmet)
		tell_owned(doctor, STATE_WARNING, "login",
		    xasprintf("%s, and scopes are missing", who),
		    "streamhold accounts");
	else
		tell(doctor, STATE_OK, "login", text, NULL);
	free(who);
	free(text);
	free(login);
	free(escaped);
}

static void
look_at_accounts(struct doctor *doctor)
{
	size_t i;

	for (i = 0; i < doctor->accounts.count; i++)
		look_at_account(doctor, &doctor->accounts.items[i].account);
	if (doctor->accounts.count == 0)
		tell(doctor, STATE_NOTE, "login", "nobody is logged in",
		    "streamhold login PLATFORM NAME");
}

static void
look_at_deliveries(struct doctor *doctor)
{
	const char *url = value_of(doctor, "listening", "public_url");
	const char *last = value_of(doctor, "counts", "last_delivery_at");
	const char *key = value_of(doctor, "counts", "public_key_trouble");

	if (*key)
		tell_owned(doctor, STATE_WARNING, "public key",
		    xasprintf("could not be asked for: %s; the known one is used", key),
		    NULL);
	tell_owned(doctor, *url ? STATE_OK : STATE_NOTE, "public address",
	    *url ? xstrdup(url)
		 : xstrdup(
		       "webhooks.public_url is not set, so what the platform sees is "
		       "not known here"),
	    NULL);
	tell_owned(doctor, STATE_NOTE, "last delivery", xstrdup(last),
	    strcmp(last, "never") == 0 ? "streamhold trigger channel.followed" : NULL);
}

static int
ask_all(struct client *client, struct doctor *doctor)
{
	const struct proto_msg health = { .type = MSG_health_get };
	const struct proto_msg report = { .type = MSG_report_get };
	const struct proto_msg clients = { .type = MSG_credentials_list };
	int status = rows_ask(client, &health, &doctor->health, NULL);

	if (status == CLI_OK)
		status = rows_ask(client, &report, &doctor->report, NULL);
	if (status == CLI_OK)
		status = rows_ask(client, &clients, &doctor->clients, NULL);
	if (status == CLI_OK)
		status = rows_accounts_ask(
		    client, NULL, &doctor->accounts, &doctor->refused);
	return status;
}

static int
look_at_service(struct doctor *doctor)
{
	struct client *client = NULL;
	int status = client_open(doctor->cli, &client);

	if (status == CLI_OK)
		status = ask_all(client, doctor);
	client_close(client);
	if (status != CLI_OK) {
		tell(doctor, STATE_PROBLEM, "service",
		    status == CLI_STOPPED ? "it does not run"
					  : "it does not answer this command",
		    status == CLI_STOPPED ? CLIENT_HOW_TO_START : NULL);
		return status;
	}
	tell_owned(doctor, STATE_OK, "service",
	    xasprintf("runs since %s", value_of(doctor, "service", "started_at")),
	    NULL);
	look_at_versions(doctor);
	look_at_sandbox(doctor, "broker", value_of(doctor, "service", "sandbox"));
	look_at_front(doctor, "api");
	look_at_front(doctor, "webhook");
	look_at_memory(doctor);
	look_at_components(doctor);
	look_at_clients(doctor);
	look_at_accounts(doctor);
	look_at_deliveries(doctor);
	return CLI_OK;
}

int
verb_doctor(struct cli *cli)
{
	struct doctor doctor = { .cli = cli };
	int status;

	if (cli->json) {
		out_json_start(&doctor.json);
		out_json_open(&doctor.json, "checks", '[');
	}
	look_at_configuration(&doctor);
	status = look_at_service(&doctor);
	if (cli->json) {
		out_json_close(&doctor.json, ']');
		out_json_text(&doctor.json, "worst", states[doctor.worst].word);
		out_json_finish(&doctor.json);
	}
	rows_clear(&doctor.health);
	rows_clear(&doctor.report);
	rows_clear(&doctor.accounts);
	rows_clear(&doctor.refused);
	rows_clear(&doctor.clients);
	if (status == CLI_OK && doctor.worst == STATE_PROBLEM)
		status = CLI_DEGRADED;
	return status;
}
