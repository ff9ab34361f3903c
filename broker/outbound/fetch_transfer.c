/*
 * One transfer: the strict options that every call has (reliability.md 3.3), what
 * libcurl hands over while it runs, and the reply made of that. Called by fetch.c and
 * fetch_multi.c; libcurl's callbacks here only record.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "broker/outbound/address.h"
#include "broker/outbound/fetch_inner.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"
#include "common/version.h"

/* A transfer that delivers fewer bytes a second than this for so long is given up. */
#define FETCH_SLOW_BYTES 100L
#define FETCH_SLOW_S 5L

/* Which of libcurl's codes are which result; all others are FETCH_broken. */
static const struct {
	CURLcode code;
	enum fetch_result result;
	const char *problem;
} code_table[] = {
	{ CURLE_OK, FETCH_answered, "" },
	{ CURLE_COULDNT_RESOLVE_HOST, FETCH_unreachable, "the host name is not known" },
	{ CURLE_COULDNT_CONNECT, FETCH_unreachable, "the connection was refused" },
	{ CURLE_URL_MALFORMAT, FETCH_unreachable, "the address is ill-formed" },
	{ CURLE_UNSUPPORTED_PROTOCOL, FETCH_unreachable,
	    "the address has a protocol that is not allowed" },
	{ CURLE_OPERATION_TIMEDOUT, FETCH_timed_out, "the answer took too long" },
	{ CURLE_PEER_FAILED_VERIFICATION, FETCH_untrusted,
	    "the certificate is not trusted" },
	{ CURLE_SSL_CONNECT_ERROR, FETCH_untrusted, "no TLS connection could be made" },
	{ CURLE_SSL_CACERT_BADFILE, FETCH_untrusted,
	    "the file of certificate authorities cannot be read" },
	{ CURLE_SSL_CIPHER, FETCH_untrusted, "no common TLS cipher" },
	{ CURLE_SSL_ISSUER_ERROR, FETCH_untrusted, "the certificate is not trusted" },
	{ CURLE_GOT_NOTHING, FETCH_broken, "the connection ended without an answer" },
	{ CURLE_PARTIAL_FILE, FETCH_broken, "the answer was cut off" },
	{ CURLE_RECV_ERROR, FETCH_broken, "the connection broke" },
	{ CURLE_SEND_ERROR, FETCH_broken, "the connection broke" },
	{ CURLE_WEIRD_SERVER_REPLY, FETCH_broken, "the answer is no HTTP" },
};

static void set_options(struct fetch *, const struct fetch_request *);
static void set_trust(CURL *, const struct fetch_request *);
static void set_request(struct fetch *, const struct fetch_request *);
static void set_reach(struct fetch *, const struct fetch_request *);
static curl_socket_t on_open_socket(void *, curlsocktype, struct curl_sockaddr *);
static size_t on_body(char *, size_t, size_t, void *);
static size_t on_header(char *, size_t, size_t, void *);
static void set_problem(struct fetch *);

void
fetch_transfer_prepare(struct fetch *fetch, struct fetch_request *request)
{
	fetch->body = secret_move(&request->body);
	set_options(fetch, request);
	set_trust(fetch->curl, request);
	set_reach(fetch, request);
	set_request(fetch, request);
	fetch_request_clear(request);
}

/* An option that libcurl does not take is a build that cannot keep its promises. */
#define SET(curl, option, value) \
	do { \
		if (curl_easy_setopt((curl), (option), (value)) != CURLE_OK) \
			fetch_broken("libcurl refuses " #option); \
	} while (0)

static void
set_options(struct fetch *fetch, const struct fetch_request *request)
{
	CURL *curl = fetch->curl;
	unsigned timeout = request->timeout_ms;

	if (!timeout || timeout > FETCH_TIMEOUT_MS)
		timeout = FETCH_TIMEOUT_MS;
	SET(curl, CURLOPT_PRIVATE, (void *)fetch);
	SET(curl, CURLOPT_NOSIGNAL, 1L);
	SET(curl, CURLOPT_VERBOSE, 0L);
	SET(curl, CURLOPT_NOPROGRESS, 1L);
	SET(curl, CURLOPT_FOLLOWLOCATION, 0L);
	SET(curl, CURLOPT_MAXREDIRS, 0L);
	SET(curl, CURLOPT_UNRESTRICTED_AUTH, 0L);
	SET(curl, CURLOPT_PROXY, "");
	SET(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(curl, CURLOPT_ACCEPT_ENCODING, NULL);
	SET(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(curl, CURLOPT_HTTP09_ALLOWED, 0L);
	/* libcurl repeats a request by itself when a kept connection turns out dead; a
	 * code or a refresh token must never be sent twice. */
	SET(curl, CURLOPT_FRESH_CONNECT, 1L);
	SET(curl, CURLOPT_FORBID_REUSE, 1L);
	SET(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS);
	SET(curl, CURLOPT_TIMEOUT_MS, (long)timeout);
	SET(curl, CURLOPT_LOW_SPEED_LIMIT, request->patient ? 0L : FETCH_SLOW_BYTES);
	SET(curl, CURLOPT_LOW_SPEED_TIME, FETCH_SLOW_S);
	SET(curl, CURLOPT_WRITEFUNCTION, on_body);
	SET(curl, CURLOPT_WRITEDATA, (void *)fetch);
	SET(curl, CURLOPT_HEADERFUNCTION, on_header);
	SET(curl, CURLOPT_HEADERDATA, (void *)fetch);
}

static void
set_trust(CURL *curl, const struct fetch_request *request)
{
	bool plain = strncasecmp(request->url, "http://", strlen("http://")) == 0;

#if LIBCURL_VERSION_NUM >= 0x075500
	SET(curl, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
	SET(curl, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http" : "https");
#else
	SET(curl, CURLOPT_PROTOCOLS, (long)(plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
	SET(curl, CURLOPT_REDIR_PROTOCOLS,
	    (long)(plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
#endif
	SET(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (request->ca_file) {
		SET(curl, CURLOPT_CAINFO, request->ca_file);
		SET(curl, CURLOPT_CAPATH, NULL);
	}
}

static void
set_reach(struct fetch *fetch, const struct fetch_request *request)
{
	fetch->reach = request->reach;
	fetch->plain = strncasecmp(request->url, "http://", strlen("http://")) == 0;
	if (fetch->reach == FETCH_REACH_configured)
		return;
	SET(fetch->curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(fetch->curl, CURLOPT_OPENSOCKETDATA, (void *)fetch);
}

static void
add_header(struct fetch *fetch, const char *line)
{
	struct curl_slist *longer = curl_slist_append(fetch->headers, line);

	if (!longer)
		fetch_broken("cannot make a header: out of memory");
	fetch->headers = longer;
}

static void
set_request(struct fetch *fetch, const struct fetch_request *request)
{
	bool post = strcmp(request->method, "POST") == 0;
	char text[128];
	size_t i;

	SET(fetch->curl, CURLOPT_URL, request->url);
	/* Without the build's own part: platforms are known to distrust odd agents. */
	snprintf(text, sizeof(text), "streamhold/%.*s",
	    (int)strcspn(version_text(), "+~"), version_text());
	SET(fetch->curl, CURLOPT_USERAGENT, text);
	for (i = 0; i < request->header_count; i++)
		add_header(fetch, secret_text(&request->headers[i]));
	add_header(fetch, "Accept: application/json");
	if (post) {
		SET(fetch->curl, CURLOPT_POST, 1L);
		SET(fetch->curl, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)fetch->body.length);
		SET(fetch->curl, CURLOPT_POSTFIELDS, secret_text(&fetch->body));
		snprintf(text, sizeof(text), "Content-Type: %s",
		    request->content_type ? request->content_type
					  : "application/x-www-form-urlencoded");
		add_header(fetch, text);
		add_header(fetch, "Expect:");
	} else {
		SET(fetch->curl, CURLOPT_HTTPGET, 1L);
		if (strcmp(request->method, "GET") != 0)
			SET(fetch->curl, CURLOPT_CUSTOMREQUEST, request->method);
	}
	SET(fetch->curl, CURLOPT_HTTPHEADER, fetch->headers);
}

/* ---- What libcurl hands over ---- */

/* The socket is connected to exactly this address; nothing is looked up in between. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct fetch *fetch = arg;
	enum address_kind kind = address_judge(&address->addr);
	bool good = kind == ADDRESS_public
	    ? !fetch->plain
	    : kind == ADDRESS_private && fetch->reach == FETCH_REACH_private_too;

	(void)purpose;
	if (!good) {
		fetch->forbidden = true;
		return CURL_SOCKET_BAD;
	}
	return socket(
	    address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t
on_body(char *bytes, size_t one, size_t count, void *arg)
{
	struct fetch *fetch = arg;
	size_t size = one * count;

	if (buf_length(&fetch->received) + size > FETCH_BODY_MAX) {
		fetch->too_large = true;
		return 0;
	}
	buf_add(&fetch->received, bytes, size);
	return size;
}

/* The value of a header line when its name is `name`, else NULL. */
static const char *
header_value(const char *line, size_t size, const char *name, size_t *ret_length)
{
	size_t length = strlen(name);
	const char *value = line + length + 1;
	const char *end = line + size;

	if (size <= length || line[length] != ':' ||
	    strncasecmp(line, name, length) != 0)
		return NULL;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (unsigned char)end[-1] <= ' ')
		end--;
	*ret_length = (size_t)(end - value);
	return value;
}

/* Seconds, or a date that is made seconds from now. Anything else is not said. */
static uint32_t
read_retry_after(const char *value, size_t length)
{
	char text[64];
	uint64_t seconds;
	int64_t at;

	if (!length || length >= sizeof(text))
		return 0;
	memcpy(text, value, length);
	text[length] = '\0';
	if (text_to_u64(value, length, UINT32_MAX, &seconds)) {
		if (seconds > FETCH_RETRY_AFTER_MAX_S)
			seconds = FETCH_RETRY_AFTER_MAX_S;
		return (uint32_t)seconds;
	}
	if (text[0] >= '0' && text[0] <= '9')
		return 0;
	at = (int64_t)curl_getdate(text, NULL) - time_now_ms() / 1000;
	if (at <= 0)
		return 0;
	return at > FETCH_RETRY_AFTER_MAX_S ? FETCH_RETRY_AFTER_MAX_S : (uint32_t)at;
}

static void
read_date(struct fetch_reply *reply, const char *value, size_t length)
{
	char text[64];
	time_t at;

	if (length >= sizeof(text))
		return;
	memcpy(text, value, length);
	text[length] = '\0';
	at = curl_getdate(text, NULL);
	if (at <= 0)
		return;
	reply->has_date = true;
	reply->skew_ms = (int64_t)at * 1000 - time_now_ms();
}

static void
read_content_type(struct fetch_reply *reply, const char *value, size_t length)
{
	size_t i;

	for (i = 0; i < length && i + 1 < sizeof(reply->content_type); i++) {
		char c = value[i];

		if (c == ';' || c <= ' ' || c > '~')
			break;
		reply->content_type[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	reply->content_type[i] = '\0';
}

static size_t
on_header(char *line, size_t one, size_t count, void *arg)
{
	struct fetch *fetch = arg;
	size_t size = one * count;
	size_t length;
	const char *value;

	fetch->header_bytes += size;
	if (fetch->header_bytes > FETCH_HEADER_BYTES_MAX ||
	    ++fetch->header_lines > FETCH_HEADER_LINES_MAX) {
		fetch->too_large = true;
		return 0;
	}
	value = header_value(line, size, "Retry-After", &length);
	if (value)
		fetch->reply.retry_after_s = read_retry_after(value, length);
	value = header_value(line, size, "Date", &length);
	if (value)
		read_date(&fetch->reply, value, length);
	value = header_value(line, size, "Content-Type", &length);
	if (value)
		read_content_type(&fetch->reply, value, length);
	return size;
}

/* ---- What came of it ---- */

void
fetch_transfer_finish(struct fetch *fetch)
{
	struct fetch_reply *reply = &fetch->reply;
	long status = 0;
	long sent = 0;

	curl_easy_getinfo(fetch->curl, CURLINFO_REQUEST_SIZE, &sent);
	reply->sent = sent > 0;
	set_problem(fetch);
	log_debug("fetch", "%s after %d ms: libcurl %d", reply->problem,
	    (int)(time_now_ms() - reply->started_at), (int)fetch->code);
	if (reply->result != FETCH_answered)
		return;
	curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
	reply->status = status < 0 ? 0 : (unsigned)status;
	reply->body =
	    secret_copy(buf_bytes(&fetch->received), buf_length(&fetch->received));
}

static void
set_problem(struct fetch *fetch)
{
	struct fetch_reply *reply = &fetch->reply;
	size_t i;

	reply->result = FETCH_broken;
	reply->problem = "the call failed";
	/* libcurl has one code for an address and for an answer that it does not take.
	 */
	if (fetch->code == CURLE_UNSUPPORTED_PROTOCOL && reply->sent) {
		reply->problem = "the answer is no HTTP";
		return;
	}
	if (fetch->too_large) {
		reply->result = FETCH_too_large;
		reply->problem = "the answer is too large";
		return;
	}
	if (fetch->forbidden && fetch->code == CURLE_COULDNT_CONNECT) {
		reply->result = FETCH_forbidden;
		reply->problem = "the name leads to an address that is not allowed";
		return;
	}
	for (i = 0; i < sizeof(code_table) / sizeof(code_table[0]); i++) {
		if (code_table[i].code != fetch->code)
			continue;
		reply->result = code_table[i].result;
		reply->problem = code_table[i].problem;
		return;
	}
}
