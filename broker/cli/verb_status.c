/*
 * `streamhold status`: one word for everything, then where things are and what needs
 * attention.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/text.h"
#include "common/time.h"

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
	struct rows refused;
	enum overall overall;
	bool api_connected;
};

static int
ask_all(struct client *client, struct view *view)
{
	const struct proto_msg health = { .type = MSG_health_get };
	const struct proto_msg report = { .type = MSG_report_get };
	int status = rows_ask(client, &health, &view->health, NULL);

	if (status == CLI_OK)
		status = rows_ask(client, &report, &view->report, NULL);
	if (status == CLI_OK)
		status =
		    rows_accounts_ask(client, NULL, &view->accounts, &view->refused);
	return status;
}

/* What is wrong with logins alone has a word of its own. */
#define LOGINS_COMPONENT "logins"

static bool
is_sick(const struct proto_msg *row)
{
	return row->type == MSG_health &&
	    strcmp(row->health.component, LOGINS_COMPONENT) != 0 &&
	    strcmp(row->health.state, "healthy") != 0;
}

static enum overall
judge(const struct view *view)
{
	enum overall overall = OVERALL_OK;
	size_t i;

	if (!view->api_connected)
		return OVERALL_DEGRADED;
	for (i = 0; i < view->health.count; i++)
		if (is_sick(&view->health.items[i]))
			return OVERALL_DEGRADED;
	for (i = 0; i < view->accounts.count; i++) {
		const struct proto_account *account = &view->accounts.items[i].account;

		if (rows_account_needs_login(account))
			overall = OVERALL_NEEDS_LOGIN;
		else if (strcmp(account->status, "expired") == 0)
			return OVERALL_DEGRADED;
	}
	return overall;
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
json_latency(struct out_json *json, const char *name, uint64_t count, uint64_t p50,
    uint64_t p95, uint64_t most)
{
	if (count == 0) {
		out_json_null(json, name);
		return;
	}
	out_json_open(json, name, '{');
	out_json_number(json, "p50", p50);
	out_json_number(json, "p95", p95);
	out_json_number(json, "max", most);
	out_json_close(json, '}');
}

static void
json_type(struct out_json *json, const struct proto_event_type *type)
{
	out_json_open(json, NULL, '{');
	out_json_text(json, "type", type->type);
	out_json_number(json, "count", type->count);
	out_json_time(json, "last_at", type->last_at);
	json_latency(json, "delivery_ms", type->delivered, type->delivery_p50,
	    type->delivery_p95, type->delivery_most);
	json_latency(json, "handout_ms", type->handed, type->handout_p50,
	    type->handout_p95, type->handout_most);
	out_json_close(json, '}');
}

static void
json_figures(struct out_json *json, const struct view *view)
{
	const struct proto_msg *row;
	size_t i;

	out_json_open(json, "deliveries", '{');
	for (i = 0; i < view->health.count; i++) {
		row = &view->health.items[i];
		if (row->type == MSG_verdict)
			out_json_number(json, row->verdict.name, row->verdict.count);
	}
	out_json_close(json, '}');
	out_json_open(json, "events", '[');
	for (i = 0; i < view->health.count; i++) {
		row = &view->health.items[i];
		if (row->type == MSG_event_type)
			json_type(json, &row->event_type);
	}
	out_json_close(json, ']');
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
		if (view->health.items[i].type == MSG_health)
			json_component(&json, view->health.items[i].health.component,
			    view->health.items[i].health.state,
			    view->health.items[i].health.detail);
	out_json_close(&json, '}');
	json_figures(&json, view);
	out_json_open(&json, "accounts", '[');
	for (i = 0; i < view->accounts.count; i++)
		rows_account_json(&json, &view->accounts.items[i].account);
	out_json_close(&json, ']');
	rows_refused_json(&json, &view->refused);
	out_json_finish(&json);
}

/* ---- Text ---- */

#define NAME_WIDTH 14

static void
line(const char *name, const char *value)
{
	char *text = value ? out_escape(value, strlen(value)) : NULL;

	(void)printf("  %-*s %s\n", NAME_WIDTH, name, text ? text : "-");
	free(text);
}

static void
print_component(
    const struct cli *cli, const char *name, const char *state, const char *detail)
{
	enum talk_color color = strcmp(state, "healthy") == 0 ? TALK_GOOD : TALK_BAD;
	char *text = out_escape(detail, strlen(detail));

	(void)printf("  %-*s %s%s%s%s%s\n", NAME_WIDTH, name, talk_on(cli, color),
	    state, talk_off(cli, color), *text ? ": " : "", text);
	free(text);
}

/* The verdicts that occurred, in one line. */
static void
print_verdicts(const struct view *view)
{
	const char *between = "";
	size_t i;

	for (i = 0; i < view->health.count; i++) {
		const struct proto_msg *row = &view->health.items[i];
		char *name;

		if (row->type != MSG_verdict || row->verdict.count == 0)
			continue;
		name = out_escape(row->verdict.name, strlen(row->verdict.name));
		(void)printf("%s%s %llu", *between ? between : "\n  deliveries     ",
		    name, (unsigned long long)row->verdict.count);
		between = ", ";
		free(name);
	}
	if (*between)
		(void)putchar('\n');
}

/* "p50/p95/max" in milliseconds, "-" for none. `text` takes LATENCY_TEXT bytes. */
#define LATENCY_TEXT 72

static void
latency_text(uint64_t count, uint64_t p50, uint64_t p95, uint64_t most, char *text)
{
	if (count)
		(void)snprintf(text, LATENCY_TEXT, "%llu/%llu/%llu ms",
		    (unsigned long long)p50, (unsigned long long)p95,
		    (unsigned long long)most);
	else
		(void)snprintf(text, LATENCY_TEXT, "-");
}

static void
add_type(struct out_table *table, const struct proto_event_type *type)
{
	char last[WORDS_SIZE] = "-";
	char delivery[LATENCY_TEXT];
	char handout[LATENCY_TEXT];
	char count[24];

	if (type->last_at)
		words_when(type->last_at, (uint64_t)time_now_ms(), last);
	latency_text(type->delivered, type->delivery_p50, type->delivery_p95,
	    type->delivery_most, delivery);
	latency_text(type->handed, type->handout_p50, type->handout_p95,
	    type->handout_most, handout);
	(void)snprintf(count, sizeof(count), "%llu", (unsigned long long)type->count);
	out_table_add(table, type->type);
	out_table_add(table, count);
	out_table_add(table, last);
	out_table_add(table, delivery);
	out_table_add(table, handout);
}

static void
print_figures(const struct view *view)
{
	static const char *const headings[] = { "EVENT", "COUNT", "LAST",
		"DELIVERY 50/95/100 %", "HAND-OUT 50/95/100 %", NULL };
	struct out_table table;
	bool some = false;
	size_t i;

	print_verdicts(view);
	for (i = 0; i < view->health.count; i++) {
		if (view->health.items[i].type != MSG_event_type)
			continue;
		if (!some)
			out_table_init(&table, headings);
		some = true;
		add_type(&table, &view->health.items[i].event_type);
	}
	if (!some)
		return;
	(void)putchar('\n');
	out_table_print(&table);
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
print_accounts(const struct view *view)
{
	struct out_table table;
	size_t i;

	(void)putchar('\n');
	if (view->accounts.count == 0) {
		(void)printf("no account yet -> streamhold app add PLATFORM, then "
			     "streamhold login PLATFORM NAME\n");
	} else {
		rows_account_table(&table);
		for (i = 0; i < view->accounts.count; i++)
			rows_account_add(&table, &view->accounts.items[i].account);
		out_table_print(&table);
		rows_accounts_unmet(&view->accounts);
	}
	rows_refused_print(&view->refused);
}

static void
print_text(const struct cli *cli, const struct view *view)
{
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
		if (view->health.items[i].type == MSG_health)
			print_component(cli, view->health.items[i].health.component,
			    view->health.items[i].health.state,
			    view->health.items[i].health.detail);
	print_figures(view);
	print_accounts(view);
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
	rows_clear(&view.refused);
	return status;
}
