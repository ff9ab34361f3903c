/*
 * The table of contents of the API, and the order in which requests are refused
 * (design.md 9, "HTTP"). Called by conn.c.
 */
#include <errno.h>
#include <string.h>

#include "common/alloc.h"
#include "httpd/guard.h"
#include "httpd/page.h"
#include "httpd/respond.h"
#include "httpd/route.h"

#define DELIVERY_PATH "/webhooks/kick"

/* Of two patterns that fit a path the first counts, whatever its methods are, unless it
 * is ROUTE_SHARED. Rows of one pattern stand together. HEAD is served wherever GET is.
 */
static const struct route routes[] = {
	{ HTTP_GET, "/", HTTPD_API, 0, page_home },
	{ HTTP_GET, "/healthz", HTTPD_API, 0, page_healthz },
	{ HTTP_GET, "/readyz", HTTPD_API, 0, page_readyz },
	{ HTTP_GET, "/status", HTTPD_API, 0, page_status },
	{ HTTP_GET, "/metrics", HTTPD_API, 0, page_metrics },
	{ HTTP_GET, "/openapi.json", HTTPD_API, 0, page_openapi },
	{ HTTP_GET, "/event.schema.json", HTTPD_API, 0, page_event_schema },
	{ HTTP_GET, "/events", HTTPD_API, 0, page_events },
	{ HTTP_GET, "/events/stream", HTTPD_API, 0, page_stream },
	{ HTTP_GET, "/events/:id", HTTPD_API, 0, page_event },
	{ HTTP_GET, "/consumers", HTTPD_API, 0, page_consumers },
	{ HTTP_GET, "/consumers/:name", HTTPD_API, 0, page_consumer },
	{ HTTP_PUT, "/consumers/:name", HTTPD_API, ROUTE_BODY, page_consumer_put },
	{ HTTP_DELETE, "/consumers/:name", HTTPD_API, 0, page_consumer_delete },
	{ HTTP_GET, "/consumers/:name/events", HTTPD_API, 0, page_consumer_events },
	{ HTTP_POST, "/consumers/:name/ack", HTTPD_API, ROUTE_BODY, page_consumer_ack },
	{ HTTP_PUT, "/consumers/:name/secret", HTTPD_API, ROUTE_BODY | ROUTE_SECRET,
	    page_consumer_secret },
	{ HTTP_GET, "/oauth/accounts", HTTPD_API, 0, page_accounts },
	{ HTTP_GET, "/oauth/credentials", HTTPD_API, 0, page_credentials_list },
	{ HTTP_GET, "/oauth/credentials/:platform", HTTPD_API, 0,
	    page_credentials_get },
	{ HTTP_POST, "/oauth/credentials/:platform", HTTPD_API,
	    ROUTE_BODY | ROUTE_SECRET, page_credentials_put },
	{ HTTP_DELETE, "/oauth/credentials/:platform", HTTPD_API, 0,
	    page_credentials_delete },
	{ HTTP_GET, "/oauth/start/:platform/:username", HTTPD_API, ROUTE_SECRET,
	    page_login_start },
	{ HTTP_GET, "/oauth/callback/:platform", HTTPD_API,
	    ROUTE_SECRET | ROUTE_CALLBACK, page_callback },
	{ HTTP_GET, "/oauth/callback/:platform/:state", HTTPD_API,
	    ROUTE_SECRET | ROUTE_CALLBACK, page_callback },
	{ HTTP_GET, "/oauth/status/:platform/:username", HTTPD_API, 0,
	    page_account_status },
	{ HTTP_POST, "/oauth/refresh/:platform/:username", HTTPD_API, 0,
	    page_token_refresh },
	{ HTTP_DELETE, "/oauth/:platform/:username", HTTPD_API, 0,
	    page_account_delete },
	{ HTTP_GET, "/subscriptions/kick", HTTPD_API, 0, page_subscriptions_list },
	/* A channel may have this name too. */
	{ HTTP_POST, "/subscriptions/kick/sync", HTTPD_API, ROUTE_SHARED,
	    page_subscriptions_sync },
	{ HTTP_GET, "/subscriptions/kick/:username", HTTPD_API, 0,
	    page_subscriptions_get },
	{ HTTP_PUT, "/subscriptions/kick/:username", HTTPD_API, ROUTE_BODY,
	    page_subscriptions_put },
	{ HTTP_DELETE, "/subscriptions/kick/:username", HTTPD_API, 0,
	    page_subscriptions_delete },
	{ HTTP_POST, DELIVERY_PATH, HTTPD_WEBHOOK, ROUTE_BODY, page_delivery },
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

static const char *delivery_path = DELIVERY_PATH;

static const struct http_refusal bad_path = { 400, "bad_path",
	"The path is not well-formed: a part of it is no UTF-8, is '.' or '..', or "
	"holds a control character or an encoded slash" };
static const struct http_refusal no_route = { 404, "not_found",
	"There is nothing at this path" };

void
route_set_delivery_path(const char *path)
{
	delivery_path = path;
}

static const char *
pattern_of(const struct route *route)
{
	return route->role == HTTPD_WEBHOOK ? delivery_path : route->pattern;
}

void
route_print(FILE *file)
{
	size_t i;

	for (i = 0; i < ROUTE_COUNT; i++)
		(void)fprintf(file, "%s %s %s\n", http_method_name(routes[i].method),
		    pattern_of(&routes[i]), httpd_role_name(routes[i].role));
}

/* Whether decoded segments fit a route's path, literally but for ":word". What stands
 * in a configured path is always meant literally. */
static bool
route_fits(const struct route *route, const struct url_path *path)
{
	const char *pattern = pattern_of(route);
	const bool words = route->role == HTTPD_API;
	size_t count = 0;
	size_t length;

	while (*pattern == '/' && pattern[1]) {
		pattern++;
		length = strcspn(pattern, "/");
		if (count == path->count)
			return false;
		if ((*pattern != ':' || !words) &&
		    (path->segments[count].length != length ||
			memcmp(pattern, path->segments[count].data, length) != 0))
			return false;
		pattern += length;
		count++;
	}
	return count == path->count;
}

static const struct route *
find_pattern(enum httpd_role role, const struct url_path *path)
{
	size_t i;

	for (i = 0; i < ROUTE_COUNT; i++)
		if (routes[i].role == role && route_fits(&routes[i], path))
			return &routes[i];
	return NULL;
}

/* The row after one whose methods count for the path too, NULL behind the last. `first`
 * is what find_pattern gave. */
static const struct route *
next_row(
    const struct route *first, const struct route *row, const struct url_path *path)
{
	const bool shared = first->flags & ROUTE_SHARED;

	while (++row < routes + ROUTE_COUNT)
		if (strcmp(row->pattern, first->pattern) == 0 ||
		    (shared && row->role == first->role && route_fits(row, path)))
			return row;
	return NULL;
}

static const struct route *
find_method(
    const struct route *first, enum http_method method, const struct url_path *path)
{
	const struct route *row;

	if (method == HTTP_HEAD)
		method = HTTP_GET;
	for (row = first; row; row = next_row(first, row, path))
		if (row->method == method)
			return row;
	return NULL;
}

static void
refuse_method(
    struct request *request, const struct route *first, const struct url_path *path)
{
	const struct route *route;
	struct answer answer = { .status = 405, .code = "method_not_allowed" };
	char allow[64] = "";
	struct buf *body = respond_scratch();

	for (route = first; route; route = next_row(first, route, path)) {
		if (*allow)
			(void)strncat(allow, ", ", sizeof(allow) - strlen(allow) - 1);
		(void)strncat(allow,
		    route->method == HTTP_GET ? "GET, HEAD"
					      : http_method_name(route->method),
		    sizeof(allow) - strlen(allow) - 1);
	}
	answer.allow = allow;
	buf_printf(body,
	    "{\"error\":\"This path does not have that method; it has %s\"}", allow);
	respond_buf(request, &answer, body);
}

static const char *
platform_named(struct url_text name)
{
	int i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		if (strcmp(config_platform_name((enum config_platform_index)i),
			name.data) == 0)
			return config_platform_name((enum config_platform_index)i);
	return NULL;
}

/* Takes what the pattern names out of the path. False: the request is answered. */
static bool
take_parameters(
    struct request *request, const struct route *route, const struct url_path *path)
{
	const char *pattern = route->pattern;
	size_t i;

	for (i = 0; i < path->count; i++) {
		pattern++;
		if (strncmp(pattern, ":platform", 9) == 0) {
			request->platform = platform_named(path->segments[i]);
			if (!request->platform) {
				respond_invalid_platform(request);
				return false;
			}
		} else if (*pattern == ':') {
			request->parameter_length = path->segments[i].length;
			request->parameter = request_keep(
			    request, path->segments[i].data, path->segments[i].length);
		}
		pattern += strcspn(pattern, "/");
	}
	return true;
}

static bool
starts_with(struct http_text text, const char *start)
{
	return text.length >= strlen(start) &&
	    memcmp(text.data, start, strlen(start)) == 0;
}

/* Finds the route and takes what the path says. `path` is room to decode it. */
static void
judge_head(struct request *request, struct http_text raw, struct url_path *path)
{
	const struct route *route;
	const int result = url_path_decode(raw.data, raw.length, 0, path);

	request->head = request->parsed->method == HTTP_HEAD;
	if (result == -EINVAL) {
		respond_refusal(request, &bad_path, true);
		return;
	}
	if (!guard_request(request, starts_with(raw, "/oauth/callback/")))
		return;
	route = result == 0 ? find_pattern(request->httpd->role, path) : NULL;
	if (!route) {
		respond_refusal(request, &no_route, false);
		return;
	}
	request->route = find_method(route, request->parsed->method, path);
	if (!request->route) {
		refuse_method(request, route, path);
		return;
	}
	route = request->route;
	request->secret = (route->flags & ROUTE_SECRET) != 0;
	if (route->role == HTTPD_API && !take_parameters(request, route, path))
		return;
	/* A body that is too large is refused before its type is looked at. */
	if (request->parsed->content_length > request->httpd->settings.body_max)
		return;
	(void)guard_body(request, (route->flags & ROUTE_BODY) != 0);
}

void
route_head(struct request *request)
{
	static struct url_path path;
	struct http_text raw = http_text(request->bytes, request->parsed->path);

	judge_head(request, raw, &path);
	/* It may hold a state. */
	wipe(
	    path.text, raw.length < sizeof(path.text) ? raw.length : sizeof(path.text));
}

void
route_page(struct request *request)
{
	request->route->page(request);
}
