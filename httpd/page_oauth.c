/*
 * Starting a login, and the state and end of one: GET /oauth/start, /oauth/status and
 * /oauth/accounts, POST /oauth/refresh, DELETE /oauth/:platform/:username.
 */
#include <string.h>

#include "common/alloc.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/page_parts.h"
#include "httpd/respond.h"

/* The user name of the path. False: the request is answered. */
static bool
check_username(struct request *request)
{
	return page_username(request, request->parameter, request->parameter_length);
}

/* Starting. */

static void
on_started(struct request *request, struct proto_msg *answer, bool last)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	out_object(&json, NULL);
	out_text(&json, "auth_url", secret_text(&answer->login_started.auth_url));
	out_text(&json, "state", secret_text(&answer->login_started.state));
	out_object_end(&json);
	respond_json(request, body);
	/* The state is for the client alone. */
	wipe(buf_bytes(body), buf_length(body));
}

/* ?adopt=true stores another account under its real name. False: answered. */
static bool
read_adopt(struct request *request, bool *ret_adopt)
{
	const struct url_query *query;
	struct url_text value;
	bool several = false;
	const struct url_text *adopt;

	if (request_query(request, &query) < 0)
		return false;
	adopt = request_parameter(query, "adopt", &value, &several);
	if (several ||
	    (adopt && strcmp(adopt->data, "true") != 0 &&
		strcmp(adopt->data, "false") != 0)) {
		respond_error(
		    request, ERR_invalid_request, "adopt must be true or false");
		return false;
	}
	*ret_adopt = adopt && strcmp(adopt->data, "true") == 0;
	return true;
}

void
page_login_start(struct request *request)
{
	bool adopt;

	if (!check_username(request) || !read_adopt(request, &adopt))
		return;
	/* A login that is started takes up one of the places for those that wait. */
	if (page_head(request))
		return;
	request->msg = (struct proto_msg){ .type = MSG_login_start,
		.login_start = { .platform = request->platform,
		    .username = request->parameter,
		    .adopt = adopt } };
	request_ask(request, ANSWER_MS, on_started);
}

/* Status. */

static void
add_lost(struct json_out *json, const struct proto_account *account)
{
	out_text(json, "status", account->status);
	out_text(json, "reason", account->reason);
	if (account->since)
		out_time(json, "since", account->since);
	else
		out_null(json, "since");
}

/* The published text, and beside it why the login was lost. */
static void
respond_lost(struct request *request, const struct proto_account *account)
{
	const struct answer answer = { .status = 404, .code = "no_token" };
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);
	struct buf text = BUF_EMPTY;

	buf_printf(&text, "No OAuth token found for platform %s and username %s",
	    account->platform, account->username);
	buf_add(&text, "", 1);
	out_object(&json, NULL);
	out_text(&json, "error", (const char *)buf_bytes(&text));
	add_lost(&json, account);
	out_object_end(&json);
	buf_clear(&text);
	respond_buf(request, &answer, body);
}

/* The members of a login that stands, as the contract has them. */
static void
add_standing(struct json_out *json, const struct proto_account *account)
{
	out_text(json, "status", account->status);
	out_time(json, "expires_at", account->expires_at);
	out_time(json, "refresh_at", account->refresh_at);
	out_words(json, "scope", account->scopes);
	if (strcmp(account->status, "expired") == 0)
		out_flag(json, "refreshable", account->refreshable);
}

/* What will not work for want of a scope; `lines` are those of the message. */
static void
add_unmet(struct json_out *json, const char *lines)
{
	out_array(json, "unmet_scope");
	while (*lines) {
		size_t length = strcspn(lines, "\n");
		size_t scope = strcspn(lines, " \n");
		size_t effect = scope < length ? scope + 1 : length;

		out_object(json, NULL);
		out_text_n(json, "scope", lines, scope);
		out_text_n(json, "effect", lines + effect, length - effect);
		out_object_end(json);
		lines += length + (lines[length] == '\n');
	}
	out_array_end(json);
}

/* What is ours to add, and only where it is news. */
static void
add_extra(struct json_out *json, const struct proto_account *account)
{
	if (*account->missing_scopes)
		out_words(json, "missing_scope", account->missing_scopes);
	if (account->unmet)
		add_unmet(json, account->unmet);
	if (strcmp(account->identity, "verified") != 0)
		out_text(json, "identity", account->identity);
	if (account->trouble)
		out_text(json, "trouble", account->trouble);
}

static bool
is_lost(const struct proto_account *account)
{
	return strcmp(account->status, "reauth_required") == 0;
}

static void
on_account(struct request *request, struct proto_msg *answer, bool last)
{
	const struct proto_account *account = &answer->account;
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	if (is_lost(account)) {
		respond_lost(request, account);
		return;
	}
	out_object(&json, NULL);
	out_text(&json, "username", account->username);
	out_text(&json, "platform", account->platform);
	add_standing(&json, account);
	add_extra(&json, account);
	out_object_end(&json);
	respond_json(request, body);
}

void
page_account_status(struct request *request)
{
	if (!check_username(request))
		return;
	request->msg.type = MSG_account_get;
	request->msg.account_get.platform = request->platform;
	request->msg.account_get.username = request->parameter;
	request_ask(request, ANSWER_MS, on_account);
}

/* Answers as the status does, with what is in force afterwards. */
void
page_token_refresh(struct request *request)
{
	if (!check_username(request))
		return;
	request->msg.type = MSG_token_refresh;
	request->msg.token_refresh.platform = request->platform;
	request->msg.token_refresh.username = request->parameter;
	request_ask(request, TOKEN_REFRESH_MS, on_account);
}

/* Every login. */

/* Gathered behind the accounts. */
static void
add_refused(struct request *request, const struct proto_login_refused *refused)
{
	struct json_out json = json_out_on(&request->part);

	json.comma = buf_length(&request->part) > 0;
	out_object(&json, NULL);
	out_text(&json, "username", refused->username);
	out_text(&json, "platform", refused->platform);
	out_text(&json, "logged_in", refused->logged_in);
	out_time(&json, "at", refused->at);
	out_object_end(&json);
}

static void
send_accounts(struct request *request)
{
	struct buf *part = &request->part;

	buf_add_text(&request->body, "],\"refused_logins\":[");
	buf_add(&request->body, buf_bytes(part), buf_length(part));
	buf_add_text(&request->body, "]}");
	respond_json(request, &request->body);
}

static void
on_accounts(struct request *request, struct proto_msg *answer, bool last)
{
	const struct proto_account *account = &answer->account;
	struct json_out json = json_out_on(&request->body);

	if (last) {
		send_accounts(request);
		return;
	}
	if (answer->type == MSG_login_refused) {
		add_refused(request, &answer->login_refused);
		return;
	}
	json.comma = request->rows++ > 0;
	out_object(&json, NULL);
	out_text(&json, "username", account->username);
	out_text(&json, "platform", account->platform);
	if (is_lost(account))
		add_lost(&json, account);
	else
		add_standing(&json, account);
	out_words(&json, "missing_scope", account->missing_scopes);
	add_unmet(&json, account->unmet ? account->unmet : "");
	out_text(&json, "identity", account->identity);
	out_text(&json, "user_id", account->user_id);
	out_text(&json, "display_name", account->display_name);
	out_text(&json, "trouble", account->trouble);
	out_object_end(&json);
}

static void
begin_accounts(struct request *request)
{
	buf_consume(&request->body, buf_length(&request->body));
	buf_clear(&request->part);
	buf_add_text(&request->body, "{\"accounts\":[");
	request->rows = 0;
}

void
page_accounts(struct request *request)
{
	request->msg.type = MSG_accounts_list;
	request->on_restart = begin_accounts;
	begin_accounts(request);
	request_ask(request, ANSWER_MS, on_accounts);
}

/* Ending one. */

static void
on_deleted(struct request *request, struct proto_msg *answer, bool last)
{
	const struct proto_account_deleted *deleted = &answer->account_deleted;
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	out_object(&json, NULL);
	out_text(&json, "message", "OAuth token deleted successfully");
	out_text(&json, "platform", deleted->platform);
	out_text(&json, "username", deleted->username);
	out_text(&json, "revocation", deleted->revocation);
	out_object_end(&json);
	respond_json(request, body);
}

void
page_account_delete(struct request *request)
{
	if (!check_username(request))
		return;
	request->msg.type = MSG_account_delete;
	request->msg.account_delete.platform = request->platform;
	request->msg.account_delete.username = request->parameter;
	request_ask(request, ACCOUNT_DELETE_MS, on_deleted);
}
