/*
 * The guards of design.md 3.4. Called by route.c, in the order in which refusals are
 * promised.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/time.h"
#include "httpd/conn.h"
#include "httpd/guard.h"
#include "httpd/httpd.h"
#include "httpd/rate.h"
#include "httpd/respond.h"

#define HTTP_PORT 80

static const struct http_refusal wrong_host = { 421, "wrong_host",
	"This server does not answer to that Host; see server.allowed_hosts" };
static const struct http_refusal foreign_origin = { 403, "foreign_origin",
	"Requests from other web sites are refused; see server.allowed_origins" };
static const struct http_refusal rate_limited = { 429, "rate_limited",
	"Too many requests; try again in a second" };
static const struct http_refusal wrong_type = { 415, "unsupported_media_type",
	"The Content-Type must be application/json" };
static const struct http_refusal wrong_encoding = { 415, "unsupported_encoding",
	"A body with a Content-Encoding is not accepted" };

/* The names under which a local listener is reached. */
static const char *const own_names[] = { "localhost", "127.0.0.1", "[::1]" };

static void
add_own(struct buf *hosts, struct buf *origins, const char *name, unsigned port)
{
	buf_printf(hosts, "%s:%u ", name, port);
	buf_printf(origins, "http://%s:%u ", name, port);
	if (port != HTTP_PORT)
		return;
	buf_printf(hosts, "%s ", name);
	buf_printf(origins, "http://%s ", name);
}

void
guard_init(struct httpd *httpd)
{
	struct buf hosts = BUF_EMPTY;
	struct buf origins = BUF_EMPTY;
	const char *host = httpd->config.server.host;
	char *literal;
	size_t i;

	for (i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++)
		add_own(&hosts, &origins, own_names[i], httpd->port);
	/* What is configured may be one of them again, which does no harm. */
	literal = strchr(host, ':') ? xasprintf("[%s]", host) : xstrdup(host);
	add_own(&hosts, &origins, literal, httpd->port);
	free(literal);
	httpd->own_hosts = xstrndup((char *)buf_bytes(&hosts), buf_length(&hosts));
	httpd->own_origins =
	    xstrndup((char *)buf_bytes(&origins), buf_length(&origins));
	buf_clear(&hosts);
	buf_clear(&origins);
}

static bool
equal_nocase(const char *a, const char *b, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] | 0x20) : a[i];
		char y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] | 0x20) : b[i];

		if (x != y)
			return false;
	}
	return true;
}

/* Whether one of the words is the text. */
static bool
words_have(const char *words, struct http_text text, bool nocase)
{
	size_t length;

	if (!words)
		return false;
	for (; *words; words += length + strspn(words + length, " ")) {
		length = strcspn(words, " ");
		if (length != text.length || length == 0)
			continue;
		if (nocase ? equal_nocase(words, text.data, length)
			   : memcmp(words, text.data, length) == 0)
			return true;
	}
	return false;
}

/* Our own names are compared byte for byte, which is how every browser writes them.
 * Nobody rebinds a name to a Unix socket, so any Host is fine there. */
static bool
host_is_ours(const struct request *request)
{
	const struct httpd *httpd = request->httpd;
	struct http_text host = http_text(request->bytes, request->parsed->host);

	return conn_is_local(request->conn) ||
	    words_have(httpd->own_hosts, host, false) ||
	    words_have(httpd->settings.allowed_hosts, host, true);
}

static bool
header_is(const struct request *request, const char *name, const char *value)
{
	struct http_text text;

	return request_header(request, name, &text) == 0 && http_text_is(text, value);
}

/* A browser that shows our page because a link or redirect led to it. */
static bool
is_navigation(const struct request *request)
{
	return header_is(request, "sec-fetch-mode", "navigate") &&
	    header_is(request, "sec-fetch-dest", "document");
}

static bool
origin_is_ours(const struct request *request)
{
	const struct httpd *httpd = request->httpd;
	struct http_text origin;
	int result = request_header(request, "origin", &origin);

	if (result == -ENOENT)
		return true;
	return result == 0 &&
	    (words_have(httpd->own_origins, origin, false) ||
		words_have(httpd->settings.allowed_origins, origin, true));
}

/* Whether a foreign web page is behind the request. An allowed origin may ask from
 * another site. */
static bool
is_foreign(const struct request *request, bool callback)
{
	struct http_text text;
	int result = request_header(request, "sec-fetch-site", &text);

	if (callback && is_navigation(request))
		return false;
	if (!origin_is_ours(request))
		return true;
	if (result == -ENOENT)
		return false;
	if (result < 0)
		return true;
	return http_text_is(text, "cross-site") &&
	    request_header(request, "origin", &text) == -ENOENT;
}

static bool
refuse(struct request *request, enum link_counter counter,
    const struct http_refusal *refusal, bool close)
{
	link_count(request->httpd->link, counter);
	respond_refusal(request, refusal, close);
	return false;
}

bool
guard_request(struct request *request, bool callback)
{
	struct httpd *httpd = request->httpd;
	uint32_t limit = httpd->settings.rate_limit;

	if (httpd->role == HTTPD_API && !host_is_ours(request))
		return refuse(request, LINK_COUNT_refused_host, &wrong_host, true);
	if (httpd->role == HTTPD_API && is_foreign(request, callback))
		return refuse(
		    request, LINK_COUNT_refused_origin, &foreign_origin, true);
	if (limit &&
	    !rate_take(httpd->rate, conn_peer(request->conn), limit, time_boot_us()))
		return refuse(request, LINK_COUNT_refused_rate, &rate_limited, false);
	return true;
}

/* Whether a media type is application/json, with or without parameters. */
static bool
is_json(struct http_text type)
{
	const char *end = memchr(type.data, ';', type.length);
	size_t length = end ? (size_t)(end - type.data) : type.length;

	while (length > 0 &&
	    (type.data[length - 1] == ' ' || type.data[length - 1] == '\t'))
		length--;
	return http_text_is(
	    (struct http_text){ type.data, length }, "application/json");
}

bool
guard_body(struct request *request, bool needed)
{
	const struct http_request *parsed = request->parsed;
	struct http_text value;

	/* A body that comes with a GET is read past and means nothing. */
	if (!needed &&
	    (parsed->method == HTTP_GET || parsed->method == HTTP_HEAD ||
		parsed->framing == HTTP_NO_BODY ||
		(parsed->framing == HTTP_LENGTH && parsed->content_length == 0)))
		return true;
	if (request_header(request, "content-type", &value) < 0 || !is_json(value))
		return refuse(request, LINK_COUNT_refused_type, &wrong_type, false);
	if (request_header(request, "content-encoding", &value) != -ENOENT)
		return refuse(request, LINK_COUNT_refused_type, &wrong_encoding, false);
	return true;
}
