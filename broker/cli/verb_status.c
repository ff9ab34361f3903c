/*
 * `streamhold status`: one word for everything, then where things are and what needs
 * attention.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/text.h"

enum overall { OVERALL_OK, OVERALL_DEGRADED, OVERALL_NEEDS_LOGIN, OVERALL_STOPPED };

static const struct {
	const char *word;
	enum talk_color color;
	int check_status; /* of --check */
} overalls[] = {
	[OVERALL_OK] = { "ok", TALK_GOOD, CLI_OK },
	[OVERALL_DEGRADED] = { "degraded", TALK_BAD, CLI_DEGRADED },
	[OVERALL_NEEDS_LOGIN] = { "needs-login", TALK_WARN, CLI_LOGIN },
	[OVERALL_STOPPED] = { "stopped", TALK_BAD, CLI_STOPPED },
};

struct view {
	struct rows health;
	struct rows report;
	struct rows accounts;
	enum overall overall;
	bool api_connected;
};

static int
ask_all(struct client *client, struct view *view)
{
	const struct proto_msg health = { .type = MSG_health_get };
	const struct proto_msg report = { .type = MSG_report_get };
	const struct proto_msg accounts = { .type = MSG_accounts_list };
	int status = rows_ask(client, &health, &view->health, NULL);

	if (status == CLI_OK)
		status = rows_ask(client, &report, &view->report, NULL);
	if (status == CLI_OK)
		status = rows_ask(client, &accounts, &view->accounts, NULL);
	return status;
}

static enum overall
judge(const struct view *view)
{
	size_t i;

	if (!view->api_connected)
		return OVERALL_DEGRADED;
	for (i = 0; i < view->health.count; i++)
		if (strcmp(view->health.items[i].health.state, "healthy") != 0)
			return OVERALL_DEGRADED;
	for (i = 0; i < view->accounts.count; i++)
		if (rows_account_needs_login(&view->accounts.items[i].account))
			return OVERALL_NEEDS_LOGIN;
	return OVERALL_OK;
}

/* A value of the section "listening"; NULL when it is absent or empty. */
static const char *
place(const struct view *view, const char *name)
{
	const char *value = rows_report(&view->report, "listening", name);

	return value && *value ? value : NULL;
}

/* ---- JSON ---- */

static void
json_port(struct out_json *json, const struct view *view, const char *name)
{
	const char *value = place(view, name);
	uint64_t port;

	if (value && text_to_u64(value, strlen(value), UINT16_MAX, &port) && port > 0)
		out_json_number(json, name, port);
	else
		out_json_null(json, name);
}

static void
json_places(struct out_json *json, const struct view *view)
{
	size_t i;

	out_json_text(json, "api_url", place(view, "api_url"));
	out_json_text(json, "webhook_url", place(view, "webhook_url"));
	json_port(json, view, "api_port");
	json_port(json, view, "webhook_port");
	out_json_text(json, "public_url", place(view, "public_url"));
	out_json_open(json, "redirect_uris", '{');
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		const char *name = config_platform_name((enum config_platform_index)i);
		char *key = xasprintf("redirect_uri.%s", name);

		out_json_text(json, name, place(view, key));
		free(key);
	}
	out_json_close(json, '}');
}

static void
json_component(
    struct out_json *json, const char *name, const char *state, const char *detail)
{
	out_json_open(json, name, '{');
	out_json_text(json, "state", state);
	out_json_text(json, "detail", detail);
	out_json_close(json, '}');
}

static void
print_json(const struct view *view)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_text(&json, "overall", overalls[view->overall].word);
	out_json_text(
	    &json, "version", rows_report(&view->report, "versions", "streamhold"));
	json_places(&json, view);
	out_json_open(&json, "components", '{');
	if (view->overall != OVERALL_STOPPED)
		json_component(&json, "server",
		    view->api_connected ? "healthy" : "unhealthy",
		    view->api_connected ? "" : "the API front is not connected");
	for (i = 0; i < view->health.count; i++)
		json_component(&json, view->health.items[i].health.component,
		    view->health.items[i].health.state,
		    view->health.items[i].health.detail);
	out_json_close(&json, '}');
	out_json_open(&json, "accounts", '[');
	for (i = 0; i < view->accounts.count; i++)
		rows_account_json(&json, &view->accounts.items[i].account);
	out_json_close(&json, ']');
	out_json_finish(&json);
}

/* ---- Text ---- */

static void
line(const char *name, const char *value)
{
	char *text = value ? out_escape(value, strlen(value)) : NULL;

	(void)printf("  %-10s %s\n", name, text ? text : "-");
	free(text);
}

static void
print_component(
    const struct cli *cli, const char *name, const char *state, const char *detail)
{
	enum talk_color color = strcmp(state, "healthy") == 0 ? TALK_GOOD : TALK_BAD;
	char *text = out_escape(detail, strlen(detail));

	(void)printf("  %-10s %s%s%s%s%s\n", name, talk_on(cli, color), state,
	    talk_off(cli, color), *text ? ": " : "", text);
	free(text);
}

static void
print_head(const struct cli *cli, const struct view *view)
{
	enum talk_color color = overalls[view->overall].color;
	const char *version = rows_report(&view->report, "versions", "streamhold");

	(void)printf("%s%s%s", talk_on(cli, color), overalls[view->overall].word,
	    talk_off(cli, color));
	if (version)
		(void)printf("  streamhold %s", version);
	(void)putchar('\n');
}

static void
print_text(const struct cli *cli, const struct view *view)
{
	struct out_table table;
	size_t i;

	print_head(cli, view);
	if (view->overall == OVERALL_STOPPED)
		return;
	(void)putchar('\n');
	line("API", place(view, "api_url"));
	line("webhooks", place(view, "webhook_url"));
	if (place(view, "public_url"))
		line("public", place(view, "public_url"));
	(void)putchar('\n');
	print_component(cli, "server", view->api_connected ? "healthy" : "unhealthy",
	    view->api_connected ? "" : "the API front is not connected");
	for (i = 0; i < view->health.count; i++)
		print_component(cli, view->health.items[i].health.component,
		    view->health.items[i].health.state,
		    view->health.items[i].health.detail);
	if (view->accounts.count == 0) {
		(void)printf("\nno account yet -> streamhold app add PLATFORM, then "
			     "streamhold login PLATFORM NAME\n");
		return;
	}
	(void)putchar('\n');
	rows_account_table(&table);
	for (i = 0; i < view->accounts.count; i++)
		rows_account_add(&table, &view->accounts.items[i].account);
	out_table_print(&table);
	rows_accounts_unmet(&view->accounts);
}

int
verb_status(struct cli *cli)
{
	struct view view = { .overall = OVERALL_STOPPED };
	struct client *client = NULL;
	const char *connected;
	int status = client_open(cli, &client);

	if (status == CLI_OK)
		status = ask_all(client, &view);
	client_close(client);
	if (status != CLI_OK && status != CLI_STOPPED)
		goto out;
	if (status == CLI_OK) {
		connected = rows_report(&view.report, "fronts", "api.connected");
		view.api_connected = connected && strcmp(connected, "yes") == 0;
		view.overall = judge(&view);
	}
	if (cli->json)
		print_json(&view);
	else
		print_text(cli, &view);
	if (status == CLI_OK && cli->check)
		status = overalls[view.overall].check_status;
out:
	rows_clear(&view.health);
	rows_clear(&view.report);
	rows_clear(&view.accounts);
	return status;
}
