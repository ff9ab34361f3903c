/*
 * GET /, a small page for people, and GET /openapi.json, the description for programs.
 */
#include "httpd/html.h"
#include "httpd/page.h"
#include "httpd/respond.h"

#define HOME_STYLE \
	"\n" \
	"    body { font-family: system-ui, sans-serif; max-width: 700px; margin: " \
	"50px auto; }\n" \
	"    td { padding: 0.2em 1em 0.2em 0; }\n" \
	"    .healthy, .valid { color: #047857; }\n" \
	"    .degraded, .expired { color: #b45309; }\n" \
	"    .unhealthy, .reauth_required { color: #b91c1c; }\n" \
	"  "

#define HOME_SCRIPT \
	"\n" \
	"    function row(table, name, state, more) {\n" \
	"      const line = document.getElementById(table).insertRow();\n" \
	"      line.insertCell().textContent = name;\n" \
	"      const cell = line.insertCell();\n" \
	"      cell.textContent = state;\n" \
	"      cell.className = state;\n" \
	"      line.insertCell().textContent = more || '';\n" \
	"    }\n" \
	"    async function show() {\n" \
	"      const status = await (await fetch('/status')).json();\n" \
	"      document.getElementById('version').textContent = status.version;\n" \
	"      for (const [name, part] of Object.entries(status.components))\n" \
	"        row('components', name, part.status, part.detail);\n" \
	"      const list = await (await fetch('/oauth/accounts')).json();\n" \
	"      for (const account of list.accounts || [])\n" \
	"        row('accounts', account.platform + ' ' + account.username,\n" \
	"          account.status, account.reason || account.expires_at);\n" \
	"      if (!(list.accounts || []).length)\n" \
	"        row('accounts', 'none yet', '',\n" \
	"          'streamhold app add kick, then streamhold login kick NAME');\n" \
	"    }\n" \
	"    show();\n" \
	"  "

static const char home_page[] = "<!DOCTYPE html>\n"
				"<html lang=\"en\">\n"
				"<head>\n"
				"  <meta charset=\"utf-8\">\n"
				"  <title>Streamhold</title>\n"
				"  <style>" HOME_STYLE "</style>\n"
				"</head>\n"
				"<body>\n"
				"  <h1>Streamhold</h1>\n"
				"  <p>Version <span id=\"version\">unknown</span></p>\n"
				"  <h2>Components</h2>\n"
				"  <table id=\"components\"></table>\n"
				"  <h2>Accounts</h2>\n"
				"  <table id=\"accounts\"></table>\n"
				"  <p><a href=\"/openapi.json\">The API</a></p>\n"
				"  <script>" HOME_SCRIPT "</script>\n"
				"</body>\n"
				"</html>\n";
static const char home_policy[] =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "connect-src 'self'; "
    "style-src 'sha256-JV4tlgQMwN35Q0YVuJtxQM0zzsuUYdmoQC6uOiredis='; "
    "script-src 'sha256-BIqw5GFOS+Gskfb9KYMzlMZbYneNiuJM6ZAJAQf9bMk='";

/* Made from docs/openapi.yaml; tests/structure/test_openapi.py keeps it fresh. */
static const char openapi[] =
#include "httpd/openapi_json.inc"
    ;

/* Made from docs/event.schema.json in the same way. */
static const char event_schema[] =
#include "httpd/event_schema_json.inc"
    ;

void
page_home(struct request *request)
{
	const struct answer answer = {
		.status = 200, .type = HTML_TYPE, .policy = home_policy
	};

	respond(request, &answer, home_page, sizeof(home_page) - 1);
}

void
page_openapi(struct request *request)
{
	const struct answer answer = { .status = 200 };

	respond(request, &answer, openapi, sizeof(openapi) - 1);
}

void
page_event_schema(struct request *request)
{
	const struct answer answer = { .status = 200 };

	respond(request, &answer, event_schema, sizeof(event_schema) - 1);
}
