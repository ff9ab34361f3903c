/*
 * `streamhold subs list|set|reset|sync|clear|adopt`: event subscriptions of Kick's
 * channels.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/cli/prompt.h"
#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/text.h"
#include "common/time.h"

/* Which exit status a channel's state is; all other trouble is CLI_DEGRADED. */
static const struct {
	const char *state;
	int status;
} state_exits[] = {
	{ "login_lost", CLI_LOGIN },
	{ "missing_scope", CLI_LOGIN },
	{ "limit_reached", CLI_PROVIDER },
	{ "webhooks_off", CLI_PROVIDER },
	{ "refused", CLI_PROVIDER },
	{ "unreachable", CLI_PROVIDER },
	{ "unknown_channel", CLI_NOTHING },
};

/* A channel as it is typed: NAME, or kick/NAME as everywhere else. NULL after having
 * said what is wrong. */
static const char *
channel_name(const char *typed)
{
	static const char prefix[] = "kick/";
	const char *name = strncasecmp(typed, prefix, sizeof(prefix) - 1) == 0
	    ? typed + sizeof(prefix) - 1
	    : typed;

	if (text_is_username(name, strlen(name)))
		return name;
	talk_error("streamhold subs list",
	    "'%s' is no channel; type the name of a channel at Kick", typed);
	return NULL;
}

/* The channel that was named, if any. CLI_OK or CLI_USAGE. */
static int
named_channel(const struct cli *cli, const char **ret_name)
{
	*ret_name = NULL;
	if (cli->word_count == 0)
		return CLI_OK;
	*ret_name = channel_name(cli->words[0]);
	return *ret_name ? CLI_OK : CLI_USAGE;
}

/* ---- JSON ---- */

static void
json_channel(struct out_json *json, const struct proto_subscription_channel *channel)
{
	out_json_open(json, NULL, '{');
	out_json_text(json, "platform", "kick");
	out_json_text(json, "username", channel->username);
	out_json_text(json, "source", channel->source);
	out_json_words(json, "events", channel->events);
	out_json_text(json, "state", channel->state);
	out_json_flag(json, "trouble", channel->trouble);
	out_json_text(json, "detail", channel->detail);
	out_json_text(json, "next_step", channel->next);
	out_json_text(json, "broadcaster_user_id", channel->broadcaster_id);
	out_json_text(json, "token", channel->token);
	out_json_number(json, "strangers", channel->strangers);
	out_json_time(json, "checked_at", channel->checked_at);
	out_json_time(json, "changed_at", channel->changed_at);
	out_json_time(json, "next_at", channel->next_at);
	out_json_open(json, "subscriptions", '[');
}

static void
json_event(struct out_json *json, const struct proto_subscription_event *event)
{
	out_json_open(json, NULL, '{');
	out_json_text(json, "event", event->event);
	out_json_number(json, "version", event->version);
	out_json_text(json, "state", event->state);
	out_json_text(json, "id", event->id);
	out_json_flag(json, "ours", event->ours);
	out_json_flag(json, "doubled", event->doubled);
	out_json_time(json, "created_at", event->created_at);
	out_json_text(json, "detail", event->detail);
	out_json_close(json, '}');
}

static void
json_actions(struct out_json *json, const struct rows *rows)
{
	size_t i;

	out_json_open(json, "actions", '[');
	for (i = 0; i < rows->count; i++) {
		const struct proto_subscription_action *action =
		    &rows->items[i].subscription_action;

		if (rows->items[i].type != MSG_subscription_action)
			continue;
		out_json_open(json, NULL, '{');
		out_json_text(json, "username", action->username);
		out_json_text(json, "action", action->what);
		out_json_text(json, "event", action->event);
		out_json_text(json, "id", action->id);
		out_json_close(json, '}');
	}
	out_json_close(json, ']');
}

static void
json_channels(struct out_json *json, const struct rows *rows)
{
	bool open = false;
	size_t i;

	out_json_open(json, "subscriptions", '[');
	for (i = 0; i < rows->count; i++) {
		const struct proto_msg *row = &rows->items[i];

		if (row->type == MSG_subscription_event)
			json_event(json, &row->subscription_event);
		if (row->type != MSG_subscription_channel)
			continue;
		if (open) {
			out_json_close(json, ']');
			out_json_close(json, '}');
		}
		json_channel(json, &row->subscription_channel);
		open = true;
	}
	if (open) {
		out_json_close(json, ']');
		out_json_close(json, '}');
	}
	out_json_close(json, ']');
}

static void
print_json(const struct rows *rows, bool acted, bool dry_run)
{
	struct out_json json;

	out_json_start(&json);
	if (acted) {
		out_json_flag(&json, "dry_run", dry_run);
		json_actions(&json, rows);
	}
	json_channels(&json, rows);
	out_json_finish(&json);
}

/* ---- Text ---- */

static void
add_event(struct out_table *table, const struct proto_subscription_channel *channel,
    const struct proto_subscription_event *event)
{
	char since[WORDS_SIZE];
	const char *note = event->detail;

	if (event->id && !event->ours)
		note = "not made by Streamhold";
	else if (event->doubled)
		note = "somebody else's delivers it too";
	words_when(event->created_at, (uint64_t)time_now_ms(), since);
	out_table_add(table, channel->username);
	out_table_add(table, event->event);
	out_table_add(table, event->state);
	out_table_add(table, since);
	out_table_add(table, note);
}

static void
print_table(const struct rows *rows)
{
	static const char *const headings[] = { "CHANNEL", "EVENT", "STATE", "SINCE",
		"NOTE", NULL };
	const struct proto_subscription_channel *channel = NULL;
	struct out_table table;
	bool any = false;
	size_t i;

	out_table_init(&table, headings);
	for (i = 0; i < rows->count; i++) {
		const struct proto_msg *row = &rows->items[i];

		if (row->type == MSG_subscription_channel)
			channel = &row->subscription_channel;
		if (row->type == MSG_subscription_event && channel)
			add_event(&table, channel, &row->subscription_event);
		any |= row->type == MSG_subscription_event;
	}
	if (any)
		out_table_print(&table);
	else
		out_table_clear(&table);
}

/* What a person should know of each channel, and what to do. */
static void
tell_states(const struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct proto_subscription_channel *channel =
		    &rows->items[i].subscription_channel;

		if (rows->items[i].type != MSG_subscription_channel)
			continue;
		if (*channel->warning)
			talk("%s: %s", channel->username, channel->warning);
		if (*channel->detail)
			talk("%s is %s: %s", channel->username, channel->state,
			    channel->detail);
		else
			talk("%s is %s", channel->username, channel->state);
		if (*channel->next)
			talk_next("%s", channel->next);
	}
}

static void
tell_actions(const struct rows *rows, bool dry_run)
{
	static const struct {
		const char *what;
		const char *done;
		const char *would;
	} words[] = {
		{ "create", "subscribed to", "would subscribe to" },
		{ "remove", "removed", "would remove" },
		{ "adopt", "took over", "would take over" },
	};
	size_t count = 0;
	size_t i;
	size_t j;

	for (i = 0; i < rows->count; i++) {
		const struct proto_subscription_action *action =
		    &rows->items[i].subscription_action;

		if (rows->items[i].type != MSG_subscription_action)
			continue;
		count++;
		for (j = 0; j < sizeof(words) / sizeof(words[0]); j++)
			if (strcmp(words[j].what, action->what) == 0)
				talk("%s: %s %s%s%s%s", action->username,
				    dry_run ? words[j].would : words[j].done,
				    action->event, action->id ? " (" : "",
				    action->id ? action->id : "",
				    action->id ? ")" : "");
	}
	if (count == 0)
		talk(dry_run ? "Nothing would be changed."
			     : "Nothing had to be changed.");
}

/* ---- Asking ---- */

static int
status_of(const struct rows *rows)
{
	int status = CLI_OK;
	size_t i;
	size_t j;

	for (i = 0; i < rows->count; i++) {
		const struct proto_subscription_channel *channel =
		    &rows->items[i].subscription_channel;

		if (rows->items[i].type != MSG_subscription_channel ||
		    !channel->trouble)
			continue;
		status = CLI_DEGRADED;
		for (j = 0; j < sizeof(state_exits) / sizeof(state_exits[0]); j++)
			if (strcmp(state_exits[j].state, channel->state) == 0)
				return state_exits[j].status;
	}
	return status;
}

/* Compares now and prints what came of it. */
static int
sync_channels(
    struct cli *cli, struct client *client, const char *name, bool dry_run, bool adopt)
{
	const struct proto_msg msg = { .type = MSG_subscriptions_sync,
		.subscriptions_sync = {
		    .username = name, .dry_run = dry_run, .adopt = adopt } };
	struct rows rows;
	int status = rows_ask_within(client, &msg, CLIENT_REFRESH_MS, &rows, NULL);

	if (status == CLI_OK && cli->json) {
		print_json(&rows, true, dry_run);
	} else if (status == CLI_OK) {
		tell_actions(&rows, dry_run);
		if (!dry_run)
			print_table(&rows);
		if (!dry_run)
			tell_states(&rows);
	}
	if (status == CLI_OK && !dry_run)
		status = status_of(&rows);
	rows_clear(&rows);
	return status;
}

int
verb_subs_list(struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_subscriptions_list };
	struct rows rows;
	int status = named_channel(cli, &msg.subscriptions_list.username);

	if (status != CLI_OK)
		return status;
	status = rows_ask_once(cli, &msg, &rows, NULL);
	if (status == CLI_OK && cli->json) {
		print_json(&rows, false, false);
	} else if (status == CLI_OK && rows.count == 0) {
		talk("No events are wanted yet.");
		talk_next("streamhold subs set NAME EVENT...");
	} else if (status == CLI_OK) {
		print_table(&rows);
		tell_states(&rows);
	}
	rows_clear(&rows);
	return status;
}

/* Stores what is wanted, then compares. What the storing has to say is said first. */
static int
put_and_sync(struct cli *cli, const char *name, const char *events)
{
	const struct proto_msg msg = { .type = MSG_subscription_put,
		.subscription_put = { .username = name, .events = events } };
	struct client *client;
	struct rows rows;
	int status = client_open(cli, &client);

	if (status != CLI_OK)
		return status;
	status = rows_ask(client, &msg, &rows, NULL);
	if (status == CLI_OK && rows.count > 0 &&
	    rows.items[0].type == MSG_subscription_channel &&
	    *rows.items[0].subscription_channel.warning)
		talk("%s", rows.items[0].subscription_channel.warning);
	rows_clear(&rows);
	if (status == CLI_OK)
		status = sync_channels(cli, client, name, false, false);
	client_close(client);
	return status;
}

/* The words after the name; "all" is every event there is. The caller frees. */
static char *
join_events(const struct cli *cli)
{
	size_t count;
	const char *const *names = config_event_names(&count);
	struct buf joined = BUF_EMPTY;
	char *events;
	size_t i;
	size_t j;

	for (i = 1; i < cli->word_count; i++) {
		bool all = strcmp(cli->words[i], "all") == 0;

		for (j = 0; all && j < count; j++)
			buf_printf(&joined, "%s ", names[j]);
		if (!all)
			buf_printf(&joined, "%s ", cli->words[i]);
	}
	events = xstrndup((const char *)buf_bytes(&joined),
	    buf_length(&joined) ? buf_length(&joined) - 1 : 0);
	buf_clear(&joined);
	return events;
}

int
verb_subs_set(struct cli *cli)
{
	const char *name = channel_name(cli->words[0]);
	char *events;
	int status;

	if (!name)
		return CLI_USAGE;
	events = join_events(cli);
	status = put_and_sync(cli, name, events);
	free(events);
	return status;
}

/* A channel that the configuration does not name, and for which nothing is left to be
 * removed, cannot be compared: nobody knows it any more. */
static int
tell_reset(struct cli *cli, struct client *client, const struct rows *rows)
{
	const struct proto_subscription_channel *channel =
	    &rows->items[0].subscription_channel;

	if (rows->count == 0 || rows->items[0].type != MSG_subscription_channel)
		return CLI_FAILURE;
	if (strcmp(channel->source, "none") != 0)
		return sync_channels(cli, client, channel->username, false, false);
	if (cli->json)
		print_json(rows, false, false);
	else
		talk("The configuration names no events of %s: none are wanted, and "
		     "what Streamhold subscribed to is being removed.",
		    channel->username);
	if (!cli->json)
		talk_next("streamhold subs list");
	return CLI_OK;
}

int
verb_subs_reset(struct cli *cli)
{
	const char *name = channel_name(cli->words[0]);
	const struct proto_msg msg = { .type = MSG_subscription_put,
		.subscription_put = {
		    .username = name, .events = "", .configured = true } };
	struct client *client;
	struct rows rows;
	int status = name ? client_open(cli, &client) : CLI_USAGE;

	if (status != CLI_OK)
		return status;
	status = rows_ask(client, &msg, &rows, NULL);
	if (status == CLI_OK)
		status = tell_reset(cli, client, &rows);
	rows_clear(&rows);
	client_close(client);
	return status;
}

static int
sync_or_adopt(struct cli *cli, bool adopt)
{
	const char *name;
	struct client *client;
	int status = named_channel(cli, &name);

	if (status == CLI_OK)
		status = client_open(cli, &client);
	if (status != CLI_OK)
		return status;
	status = sync_channels(cli, client, name, cli->dry_run, adopt);
	client_close(client);
	return status;
}

int
verb_subs_sync(struct cli *cli)
{
	return sync_or_adopt(cli, false);
}

int
verb_subs_adopt(struct cli *cli)
{
	return sync_or_adopt(cli, true);
}

/* ---- Clearing ---- */

/* Every channel in turn; the first failure is the status. */
static int
clear_all(struct cli *cli, const struct rows *rows)
{
	int worst = CLI_OK;
	size_t i;

	for (i = 0; i < rows->count; i++) {
		int status;

		if (rows->items[i].type != MSG_subscription_channel)
			continue;
		status =
		    put_and_sync(cli, rows->items[i].subscription_channel.username, "");
		if (worst == CLI_OK)
			worst = status;
	}
	return worst;
}

int
verb_subs_clear(struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_subscriptions_list };
	struct rows rows;
	int status = named_channel(cli, &msg.subscriptions_list.username);

	if (status != CLI_OK)
		return status;
	status = rows_ask_once(cli, &msg, &rows, NULL);
	if (status == CLI_OK && cli->word_count == 0 && !cli->yes &&
	    (!prompt_possible() ||
		!prompt_confirm("Want no events of any channel, and remove what "
				"Streamhold subscribed to?"))) {
		talk_error("streamhold subs clear NAME",
		    "nothing was cleared; add --yes to clear all channels");
		status = CLI_USAGE;
	}
	if (status == CLI_OK)
		status = clear_all(cli, &rows);
	rows_clear(&rows);
	return status;
}
