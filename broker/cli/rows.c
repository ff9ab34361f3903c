/*
 * Lists of rows, used by the verbs that show them.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/time.h"

static void
add_row(struct rows *rows, struct proto_msg *row)
{
	if ((rows->count & (rows->count - 1)) == 0)
		rows->items = xrealloc(rows->items,
		    (rows->count ? rows->count * 2 : 1) * sizeof(*rows->items));
	rows->items[rows->count++] = proto_move(row);
}

static void
on_row(void *arg, struct proto_msg *row)
{
	struct rows *rows = arg;

	if (rows->count < ROWS_MAX)
		add_row(rows, row);
}

int
rows_ask(struct client *client, const struct proto_msg *msg, struct rows *ret_rows,
    uint64_t *ret_next)
{
	return rows_ask_within(client, msg, CLIENT_ANSWER_MS, ret_rows, ret_next);
}

int
rows_ask_within(struct client *client, const struct proto_msg *msg,
    unsigned deadline_ms, struct rows *ret_rows, uint64_t *ret_next)
{
	const struct client_question question = { .msg = msg,
		.deadline_ms = deadline_ms,
		.on_row = on_row,
		.arg = ret_rows };
	struct proto_msg end = { .type = MSG_none };
	int status;

	*ret_rows = (struct rows){ .items = NULL };
	status = client_ask(client, &question, &end);
	if (status == CLI_OK && ret_next)
		*ret_next = end.list_end.next;
	proto_clear(&end);
	return status;
}

int
rows_ask_once(const struct cli *cli, const struct proto_msg *msg, struct rows *ret_rows,
    uint64_t *ret_next)
{
	struct client *client;
	int status = client_open(cli, &client);

	*ret_rows = (struct rows){ .items = NULL };
	if (status != CLI_OK)
		return status;
	status = rows_ask(client, msg, ret_rows, ret_next);
	client_close(client);
	return status;
}

void
rows_clear(struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->count; i++)
		proto_clear(&rows->items[i]);
	free(rows->items);
	*rows = (struct rows){ .items = NULL };
}

const char *
rows_report(const struct rows *rows, const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct proto_report *row = &rows->items[i].report;

		if (rows->items[i].type == MSG_report &&
		    strcmp(row->section, section) == 0 && strcmp(row->name, name) == 0)
			return row->value;
	}
	return NULL;
}

/* ---- What scopes are missing for ---- */

/* A line of proto_account.unmet: a scope, a space and a sentence. */
struct unmet {
	char *scope;
	char *effect;
};

/* The next line, escaped; false when there is none. The caller calls unmet_clear. */
static bool
unmet_next(const char **lines, struct unmet *ret_unmet)
{
	const char *line = *lines;
	size_t length;
	size_t scope;

	if (!line || !*line)
		return false;
	length = strcspn(line, "\n");
	scope = strcspn(line, " \n");
	*ret_unmet = (struct unmet){
		.scope = xstrndup(line, scope),
		.effect = scope < length
		    ? xstrndup(line + scope + 1, length - scope - 1)
		    : xstrdup(""),
	};
	*lines = line + length + (line[length] == '\n');
	return true;
}

static void
unmet_clear(struct unmet *unmet)
{
	free(unmet->scope);
	free(unmet->effect);
}

void
rows_unmet_json(struct out_json *json, const char *lines)
{
	struct unmet unmet;

	out_json_open(json, "unmet_scope", '[');
	while (unmet_next(&lines, &unmet)) {
		out_json_open(json, NULL, '{');
		out_json_text(json, "scope", unmet.scope);
		out_json_text(json, "effect", unmet.effect);
		out_json_close(json, '}');
		unmet_clear(&unmet);
	}
	out_json_close(json, ']');
}

/* Whether a set of scopes holds one. */
static bool
is_among(const char *scopes, const char *scope)
{
	const char *at = scopes;
	size_t length = strlen(scope);

	while ((at = strstr(at, scope))) {
		if ((at == scopes || at[-1] == ' ') &&
		    (at[length] == ' ' || !at[length]))
			return true;
		at += length;
	}
	return false;
}

void
rows_unmet_print(FILE *stream, const struct rows_unmet *lacking)
{
	char *name = out_escape(lacking->username, strlen(lacking->username));
	const char *lines = lacking->lines;
	struct unmet unmet;

	while (unmet_next(&lines, &unmet)) {
		char *scope = out_escape(unmet.scope, strlen(unmet.scope));
		char *effect = out_escape(unmet.effect, strlen(unmet.effect));
		bool asked = is_among(lacking->missing_scopes, unmet.scope);

		(void)fprintf(stream, "%s/%s: scope %s is missing: %s; ",
		    lacking->platform, name, scope, effect);
		if (!asked)
			(void)fprintf(stream,
			    "it is not asked for: add it to --scopes of `streamhold "
			    "app "
			    "add %s`, then ",
			    lacking->platform);
		(void)fprintf(
		    stream, "run `streamhold login %s %s`\n", lacking->platform, name);
		free(scope);
		free(effect);
		unmet_clear(&unmet);
	}
	free(name);
}

void
rows_accounts_unmet(const struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct proto_account *account = &rows->items[i].account;

		rows_unmet_print(stdout,
		    &(const struct rows_unmet){ .platform = account->platform,
			.username = account->username,
			.missing_scopes = account->missing_scopes,
			.lines = account->unmet });
	}
}

/* ---- Accounts ---- */

bool
rows_account_needs_login(const struct proto_account *account)
{
	if (strcmp(account->status, "valid") == 0)
		return false;
	return strcmp(account->status, "expired") != 0 || !account->refreshable;
}

/* Moves the rows of a type out of a list. */
static void
split(struct rows *rows, enum proto_type type, struct rows *others)
{
	size_t kept = 0;
	size_t i;

	for (i = 0; i < rows->count; i++) {
		if (rows->items[i].type == type)
			add_row(others, &rows->items[i]);
		else if (kept++ < i)
			rows->items[kept - 1] = proto_move(&rows->items[i]);
	}
	rows->count = kept;
}

int
rows_accounts_ask(struct client *client, const char *platform,
    struct rows *ret_accounts, struct rows *ret_refused)
{
	const struct proto_msg msg = { .type = MSG_accounts_list,
		.accounts_list = { .platform = platform } };
	int status = rows_ask(client, &msg, ret_accounts, NULL);

	*ret_refused = (struct rows){ .items = NULL };
	split(ret_accounts, MSG_login_refused, ret_refused);
	return status;
}

/* The keys of GET /oauth/status, and more. */
void
rows_account_json(struct out_json *json, const struct proto_account *account)
{
	out_json_open(json, NULL, '{');
	out_json_text(json, "platform", account->platform);
	out_json_text(json, "username", account->username);
	out_json_text(json, "status", account->status);
	out_json_flag(json, "needs_login", rows_account_needs_login(account));
	out_json_time(json, "expires_at", account->expires_at);
	out_json_time(json, "refresh_at", account->refresh_at);
	out_json_flag(json, "refreshable", account->refreshable);
	out_json_time(json, "refresh_expires_at", account->refresh_expires_at);
	out_json_words(json, "scope", account->scopes);
	out_json_words(json, "missing_scope", account->missing_scopes);
	rows_unmet_json(json, account->unmet);
	out_json_text(json, "identity", account->identity);
	out_json_text(json, "user_id", account->user_id);
	out_json_text(json, "display_name", account->display_name);
	out_json_text(json, "reason", account->reason);
	out_json_time(json, "since", account->since);
	out_json_text(json, "verdict", account->verdict);
	out_json_time(json, "checked_at", account->checked_at);
	out_json_text(json, "trouble", account->trouble);
	out_json_close(json, '}');
}

void
rows_account_table(struct out_table *table)
{
	static const char *const headings[] = { "PLATFORM", "NAME", "STATUS", "EXPIRES",
		"IDENTITY", "NOTE", NULL };

	out_table_init(table, headings);
}

/* What the platform said of the token when it was asked last, where that is trouble. */
static const char *
verdict_sentence(const struct proto_account *account)
{
	static const char *const sentences[][2] = {
		{ "refused", "the platform refuses the access token" },
		{ "other_client",
		    "the platform says that the token is another client's" },
		{ "other_user", "the platform says that the token is another user's" },
	};
	size_t i;

	for (i = 0; account->verdict && i < sizeof(sentences) / sizeof(*sentences); i++)
		if (strcmp(account->verdict, sentences[i][0]) == 0)
			return sentences[i][1];
	return NULL;
}

static char *
note(const struct proto_account *account)
{
	const char *verdict = verdict_sentence(account);
	uint64_t now = (uint64_t)time_now_ms();
	char since[WORDS_SIZE];
	char until[WORDS_SIZE];

	words_when(account->since, now, since);
	words_when(account->refresh_expires_at, now, until);
	if (account->reason && rows_account_needs_login(account))
		return xasprintf("lost %s: %s -> streamhold login %s %s", since,
		    account->reason, account->platform, account->username);
	if (rows_account_needs_login(account))
		return xasprintf(
		    "-> streamhold login %s %s", account->platform, account->username);
	if (account->trouble)
		return xasprintf("not refreshed: %s", account->trouble);
	if (verdict)
		return xasprintf("%s -> streamhold login %s %s", verdict,
		    account->platform, account->username);
	if (*account->missing_scopes)
		return xasprintf("not granted: %s", account->missing_scopes);
	if (account->refresh_expires_at)
		return xasprintf("the login ends by itself %s", until);
	return xstrdup("");
}

void
rows_account_add(struct out_table *table, const struct proto_account *account)
{
	char *remark = note(account);
	char expires[WORDS_SIZE];

	words_when(account->expires_at, (uint64_t)time_now_ms(), expires);
	out_table_add(table, account->platform);
	out_table_add(table, account->username);
	out_table_add(table, account->status);
	out_table_add(table, expires);
	out_table_add(table, account->identity);
	out_table_add(table, remark);
	free(remark);
}

/* ---- Logins that were turned away ---- */

void
rows_refused_json(struct out_json *json, const struct rows *rows)
{
	size_t i;

	out_json_open(json, "refused_logins", '[');
	for (i = 0; i < rows->count; i++) {
		const struct proto_login_refused *row = &rows->items[i].login_refused;

		out_json_open(json, NULL, '{');
		out_json_text(json, "platform", row->platform);
		out_json_text(json, "username", row->username);
		out_json_text(json, "logged_in", row->logged_in);
		out_json_time(json, "at", row->at);
		out_json_close(json, '}');
	}
	out_json_close(json, ']');
}

void
rows_refused_print(const struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct proto_login_refused *row = &rows->items[i].login_refused;
		char *name = out_escape(row->username, strlen(row->username));
		char *other = out_escape(row->logged_in, strlen(row->logged_in));
		char when[WORDS_SIZE];

		words_when(row->at, (uint64_t)time_now_ms(), when);
		(void)printf("%s/%s: the login %s was turned away: '%s' logged in. Log "
			     "in as %s with `streamhold login %s %s`, or keep the "
			     "other account by adding --adopt\n",
		    row->platform, name, when, other, name, row->platform, name);
		free(name);
		free(other);
	}
}
