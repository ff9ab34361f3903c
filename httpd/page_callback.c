/*
 * What the browser brings back from the platform: GET
 * /oauth/callback/:platform[/:state].
 *
 * The state may come in the path, in the query or in both; the two must then be equal.
 * HEAD and prefetches use nothing up. Codes and states are wiped after the answer.
 */
#include <errno.h>
#include <string.h>

#include "httpd/html.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"

#define STATE_MAX 512
#define CODE_MAX 4096

/* The published page, to the letter, in two halves: paragraphs may stand between them.
 * Style and script are allowed by their hashes, which tests/system compares with the
 * page. */
static const char ok_page_start[] =
    "<!DOCTYPE html>\n"
    "<html>\n"
    "<head>\n"
    "  <title>OAuth Callback Received</title>\n"
    "  <style>\n"
    "    body { font-family: system-ui, sans-serif; max-width: 500px; margin: "
    "50px auto; text-align: center; }\n"
    "    h1 { color: #10b981; }\n"
    "  </style>\n"
    "</head>\n"
    "<body>\n"
    "  <h1>Ok</h1>\n"
    "  <p>OAuth callback received successfully.</p>\n"
    "  <p>Your access tokens have been stored securely.</p>\n";
static const char ok_page_end[] = "  <p>You can close this window.</p>\n"
				  "  <script>\n"
				  "    // Attempt to close window after 2 seconds\n"
				  "    setTimeout(() => { window.close(); }, 2000);\n"
				  "  </script>\n"
				  "</body>\n"
				  "</html>\n";
static const char ok_policy[] =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "style-src 'sha256-CgCulwP+5B4JY1UR/sANYHx6Z/d0d88GQZQhQY3GrNo='; script-src "
    "'sha256-AIqBmR7NpaYrIUPVVlOLAcQQZK8K49TnVlJGEO/Sxu4='";

static const char failed_page_start[] =
    "<!DOCTYPE html>\n"
    "<html>\n"
    "<head>\n"
    "  <title>OAuth Callback Failed</title>\n"
    "  <style>\n"
    "    body { font-family: system-ui, sans-serif; max-width: 500px; margin: 50px "
    "auto; text-align: center; }\n"
    "    h1 { color: #b91c1c; }\n"
    "  </style>\n"
    "</head>\n"
    "<body>\n"
    "  <h1>Login failed</h1>\n"
    "  <p>";
static const char failed_nothing[] =
    "No access tokens were stored. You can close this window and start again.";
static const char failed_open[] =
    "It is not known whether access tokens were stored. Look with <code>streamhold "
    "accounts</code>, and start again if the account is not there.";
static const char failed_page_end[] = "</p>\n"
				      "</body>\n"
				      "</html>\n";
static const char failed_policy[] =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "style-src 'sha256-zNQt8Ja/SNm5+/7JtdKd0clL/Dei9yh23Yjrr/nX4E4='";

static void
refuse_state(struct request *request)
{
	respond_error(request, ERR_invalid_state, "Invalid state parameter");
}

/* Answers. */

/* What will not work; `lines` are those of the message: a scope, a space and a
 * sentence. `streamhold accounts` and the status say the same for longer than the page
 * is there. */
static void
add_notes(struct buf *body, const char *lines)
{
	while (*lines) {
		size_t length = strcspn(lines, "\n");
		size_t scope = strcspn(lines, " \n");

		buf_add_text(body, "  <p>The scope ");
		html_text_n(body, lines, scope);
		buf_add_text(body, " was not granted:");
		html_text_n(body, lines + scope, length - scope);
		buf_add_text(body, ".</p>\n");
		lines += length + (lines[length] == '\n');
	}
}

static void
on_finished(struct request *request, struct proto_msg *answer, bool last)
{
	const struct answer page = {
		.status = 200, .type = HTML_TYPE, .policy = ok_policy
	};
	const char *unmet = answer->login_finished.unmet;
	struct buf *body = respond_scratch();

	(void)last;
	buf_add_text(body, ok_page_start);
	if (unmet)
		add_notes(body, unmet);
	buf_add_text(body, ok_page_end);
	respond_buf(request, &page, body);
}

/* Whether the tokens may have been stored although the answer is an error: the broker
 * was asked, and went away or took too long. */
static bool
is_open(const struct proto_failed *failed)
{
	const enum proto_error error = proto_error_by_name(failed->code);

	return error == ERR_outcome_unknown || error == ERR_timed_out;
}

/* A person is looking, so failures are pages; but a wrong state is answered as
 * published, in JSON. */
static void
on_login_failed(struct request *request, const struct proto_failed *failed)
{
	struct answer answer = respond_answer_of(failed);
	struct buf *body = respond_scratch();

	if (proto_error_by_name(failed->code) == ERR_invalid_state) {
		refuse_state(request);
		return;
	}
	answer.type = HTML_TYPE;
	answer.policy = failed_policy;
	buf_add_text(body, failed_page_start);
	html_text(body, failed->message);
	buf_add_text(body, "</p>\n  <p>");
	buf_add_text(body, is_open(failed) ? failed_open : failed_nothing);
	buf_add_text(body, failed_page_end);
	respond_buf(request, &answer, body);
}

/* The parameters. */

/* Browsers may load a page that nobody has opened yet. */
static bool
is_prefetch(const struct request *request)
{
	static const char *const names[] = { "sec-purpose", "purpose", "x-purpose",
		"x-moz" };
	struct http_text value;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (request_header(request, names[i], &value) != -ENOENT)
			return true;
	return false;
}

/* A text of at most `most` bytes, not cut within a character. NULL when empty. */
static const char *
keep_cut(struct request *request, const struct url_text *text, size_t most)
{
	size_t length;

	if (!text)
		return NULL;
	length = text->length;
	if (length > most) {
		length = most;
		while (length > 0 && ((unsigned char)text->data[length] & 0xc0) == 0x80)
			length--;
	}
	return request_keep(request, text->data, length);
}

static struct secret
keep_secret(struct request *request, const struct url_text *text)
{
	return (struct secret){ .bytes = (unsigned char *)request_keep(
				    request, text->data, text->length),
		.length = text->length };
}

/* The one state of path and query. False: the request is answered. */
static bool
take_state(struct request *request, const struct url_query *query)
{
	struct url_text value;
	const struct url_text path = { request->parameter, request->parameter_length };
	int result = url_query_find(query, "state", &value);

	if (result == -ENOENT && path.data)
		value = path;
	else if (result < 0 ||
	    (path.data &&
		(path.length != value.length ||
		    memcmp(path.data, value.data, path.length) != 0))) {
		refuse_state(request);
		return false;
	}
	if (value.length == 0 || value.length > STATE_MAX) {
		refuse_state(request);
		return false;
	}
	request->msg.login_finish.state = keep_secret(request, &value);
	return true;
}

static bool
take_result(struct request *request, const struct url_query *query)
{
	struct proto_login_finish *finish = &request->msg.login_finish;
	const struct url_text *text;
	struct url_text value;
	bool several = false;

	text = request_parameter(query, "code", &value, &several);
	if (text && text->length <= CODE_MAX)
		finish->code = keep_secret(request, text);
	text = request_parameter(query, "error", &value, &several);
	finish->error = keep_cut(request, text, 256);
	text = request_parameter(query, "error_description", &value, &several);
	finish->error_description = keep_cut(request, text, 1024);
	text = request_parameter(query, "iss", &value, &several);
	finish->iss = keep_cut(request, text, 512);
	if (several)
		respond_error(
		    request, ERR_invalid_request, "A parameter is given twice");
	return !several;
}

void
page_callback(struct request *request)
{
	const struct answer nothing = { .status = 200, .type = HTML_TYPE };
	const struct answer not_yet = {
		.status = 503, .type = HTML_TYPE, .code = "prefetch", .retry_after = 1
	};
	const struct url_query *query;
	bool fine;

	if (request->head) {
		respond(request, &nothing, "", 0);
		return;
	}
	if (is_prefetch(request)) {
		respond(request, &not_yet, "", 0);
		return;
	}
	if (request_query(request, &query) < 0)
		return;
	request->msg.type = MSG_login_finish;
	request->msg.login_finish.platform = request->platform;
	fine = take_state(request, query) && take_result(request, query);
	request_query_wipe();
	if (!fine)
		return;
	request->on_failed = on_login_failed;
	request_ask(request, LOGIN_FINISH_MS, on_finished);
}
