/*
 * The forms of texts in the configuration. Pure; used by config_parse.c for every text
 * and by config_show.c for the schema.
 *
 * Addresses are accepted in the plainest form only, so that everybody who reads one
 * later (curl, a browser, our own comparison) understands the same host.
 */
#include <arpa/inet.h>
#include <string.h>

#include "common/alloc.h"
#include "common/config_check.h"
#include "common/text.h"

/* Bytes of an address literal that are looked at; inet_pton(3) wants a NUL. */
#define ADDRESS_SIZE 64
#define LABEL_MAX 63
#define PORT_DIGITS_MAX 5

/* A host and port inside a longer text. */
struct authority {
	const char *host; /* without brackets */
	size_t host_length;
	bool bracketed;
	const char *port; /* NULL when there is none */
	size_t port_length;
};

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool
is_alnum(char byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'z') ||
	    (byte >= 'A' && byte <= 'Z');
}

static bool
is_hex(char byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'f') ||
	    (byte >= 'A' && byte <= 'F');
}

/* Reads an address literal of the family into `ret_bytes` (16 bytes of room). */
static bool
read_address(int family, const char *text, size_t length, unsigned char *ret_bytes)
{
	char copy[ADDRESS_SIZE];

	if (length == 0 || length >= sizeof copy)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return inet_pton(family, copy, ret_bytes) == 1;
}

static bool
is_address(int family, const char *text, size_t length)
{
	unsigned char bytes[16];

	return read_address(family, text, length, bytes);
}

/* Some readers take a last label of digits, or 0x and hex digits, for part of an IPv4
 * address in an old notation: "127.1" is 127.0.0.1 to them. */
static bool
is_old_number(const char *label, size_t length)
{
	size_t i;

	if (length > 1 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
		for (i = 2; i < length && is_hex(label[i]); i++)
			;
		return i == length;
	}
	for (i = 0; i < length && is_digit(label[i]); i++)
		;
	return i == length;
}

/* Names of letters, digits and '-' in labels (RFC 1123 2.1). */
static bool
is_host_name(const char *text, size_t length)
{
	size_t start = 0;
	size_t i;

	if (length == 0 || length > CONFIG_HOST_NAME_MAX)
		return false;
	for (i = 0; i <= length; i++) {
		if (i < length && text[i] != '.') {
			if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_')
				return false;
			continue;
		}
		if (i == start || i - start > LABEL_MAX || text[start] == '-' ||
		    text[i - 1] == '-')
			return false;
		if (i == length && is_old_number(text + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

static bool
is_port(const char *text, size_t length)
{
	uint64_t port;

	return length <= PORT_DIGITS_MAX &&
	    text_to_u64(text, length, UINT16_MAX, &port) && port > 0 && text[0] != '0';
}

/* Splits "host", "host:port", "[address]" or "[address]:port"; false when the brackets
 * are wrong. The parts are not checked yet. */
static bool
split_authority(const char *text, size_t length, struct authority *ret)
{
	const char *colon;

	*ret = (struct authority){ .host = text, .host_length = length };
	if (length > 0 && text[0] == '[') {
		const char *close = memchr(text, ']', length);
		size_t after;

		if (!close)
			return false;
		ret->bracketed = true;
		ret->host = text + 1;
		ret->host_length = (size_t)(close - ret->host);
		after = length - (size_t)(close + 1 - text);
		if (after == 0)
			return true;
		if (close[1] != ':')
			return false;
		ret->port = close + 2;
		ret->port_length = after - 1;
		return true;
	}
	colon = memchr(text, ':', length);
	if (colon) {
		ret->host_length = (size_t)(colon - text);
		ret->port = colon + 1;
		ret->port_length = length - ret->host_length - 1;
	}
	return true;
}

static const char *
check_authority(const char *text, size_t length, struct authority *ret)
{
	if (!split_authority(text, length, ret))
		return "the brackets around the address are not closed";
	if (ret->bracketed && !is_address(AF_INET6, ret->host, ret->host_length))
		return "there is no IPv6 address between the brackets";
	if (!ret->bracketed && !is_host_name(ret->host, ret->host_length) &&
	    !is_address(AF_INET, ret->host, ret->host_length))
		return "the host is not a name or an address";
	if (ret->port && !is_port(ret->port, ret->port_length))
		return "the port is not a number from 1 to 65535";
	return NULL;
}

static bool
is_loopback(const char *host, size_t length)
{
	static const unsigned char loopback6[16] = { [15] = 1 };
	unsigned char bytes[16];

	if (length == strlen("localhost")) {
		char name[sizeof "localhost"];

		memcpy(name, host, length);
		name[length] = '\0';
		if (text_equal_nocase(name, "localhost"))
			return true;
	}
	if (read_address(AF_INET, host, length, bytes))
		return bytes[0] == 127;
	return read_address(AF_INET6, host, length, bytes) &&
	    memcmp(bytes, loopback6, sizeof loopback6) == 0;
}

/* The part after "https://" or "http://", NULL when it is neither. */
static const char *
after_scheme(const char *url, bool *ret_plain)
{
	*ret_plain = strncmp(url, "http://", 7) == 0;
	if (*ret_plain)
		return url + 7;
	return strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

/* Path and query: visible ASCII that RFC 3986 allows there, '%' with two hex digits. */
static const char *
check_url_rest(const char *rest)
{
	size_t i;

	for (i = 0; rest[i]; i++) {
		if (rest[i] <= ' ' || rest[i] > '~' || strchr("\"<>\\^`{|}", rest[i]))
			return "a character in it is not allowed in an address";
		if (rest[i] == '#')
			return "it has a fragment";
		if (rest[i] == '%' && (!is_hex(rest[i + 1]) || !is_hex(rest[i + 2])))
			return "'%' is not followed by two hexadecimal digits";
	}
	return NULL;
}

static const char *
check_url(const char *url)
{
	struct authority authority;
	bool plain;
	const char *host = after_scheme(url, &plain);
	const char *reason;
	size_t length;

	if (!host)
		return "it starts with neither https:// nor http://";
	if (config_check_has_userinfo(url))
		return "a user name must not be in it";
	length = strcspn(host, "/?#");
	reason = check_authority(host, length, &authority);
	if (!reason)
		reason = check_url_rest(host + length);
	if (!reason && plain && !is_loopback(authority.host, authority.host_length))
		reason = "plain http is accepted for loopback hosts only";
	return reason;
}

static const char *
check_url_base(const char *url)
{
	return strchr(url, '?') ? "it has a query" : check_url(url);
}

static const char *
check_host(const char *text)
{
	size_t length = strlen(text);

	if (strcmp(text, "localhost") == 0 || is_address(AF_INET, text, length) ||
	    is_address(AF_INET6, text, length))
		return NULL;
	return "it is neither";
}

static const char *
check_host_header(const char *text)
{
	struct authority authority;

	return check_authority(text, strlen(text), &authority);
}

static const char *
check_origin(const char *text)
{
	struct authority authority;
	bool plain;
	const char *host = after_scheme(text, &plain);

	if (!host)
		return "it starts with neither https:// nor http://";
	if (strchr(host, '@'))
		return "a user name must not be in it";
	if (host[strcspn(host, "/?#")])
		return "nothing may follow host and port";
	return check_authority(host, strlen(host), &authority);
}

static const char *
check_mode(const char *text)
{
	size_t digits = strspn(text, "01234567");

	if (text[digits] || digits < 3 || digits > 4 || (digits == 4 && text[0] != '0'))
		return "it is not octal digits";
	return NULL;
}

static const char *
check_group(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (!is_alnum(text[i]) && !strchr("_.-", text[i]))
			return "a character in it is not allowed in a name";
	}
	return text[0] == '-' ? "it starts with '-'" : NULL;
}

/* scope-token of RFC 6749 3.3. */
static const char *
check_scope(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' ||
		    text[i] == '\\')
			return "a character in it is not allowed in a scope";
	}
	return NULL;
}

static bool
is_dots(const char *segment, size_t length)
{
	return (length == 1 && segment[0] == '.') ||
	    (length == 2 && segment[0] == '.' && segment[1] == '.');
}

static const char *
check_url_path(const char *text)
{
	const char *at = text;
	size_t length, i;

	if (text[0] != '/')
		return "it does not start with '/'";
	if (!text[1])
		return NULL;
	while (*at == '/') {
		length = strcspn(++at, "/");
		if (length == 0 || is_dots(at, length))
			return "a segment of it is empty, '.' or '..'";
		for (i = 0; i < length; i++) {
			if (!is_alnum(at[i]) && !strchr("-._~", at[i]))
				return "a character in it is not allowed";
		}
		at += length;
	}
	return NULL;
}

static const char *
check_path(const char *text)
{
	const char *at = text;
	size_t length, i;

	if (text[0] != '/')
		return "it does not start with '/'";
	for (i = 0; text[i]; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return "it has a control character";
	}
	while (*at == '/') {
		length = strcspn(++at, "/");
		if (length == 2 && at[0] == '.' && at[1] == '.')
			return "it has a '..'";
		at += length;
	}
	return NULL;
}

/* One row a check. */
static const struct {
	const char *(*check)(const char *text);
	const char *allows;
	const char *pattern;
} checks[] = {
	[CONFIG_CHECK_NONE] = { NULL, "a text", NULL },
	[CONFIG_CHECK_HOST] = { check_host,
	    "\"localhost\" or an IP address without brackets", "^[0-9a-zA-Z.:]+$" },
	[CONFIG_CHECK_HOST_HEADER] = { check_host_header,
	    "a host name or address, with its port if any, like "
	    "\"stream.example:8443\"",
	    "^[^/@ ]+$" },
	[CONFIG_CHECK_ORIGIN] = { check_origin,
	    "a web origin like \"https://stream.example\"", "^https?://[^/@?# ]+$" },
	[CONFIG_CHECK_MODE] = { check_mode, "permissions in octal like \"0660\"",
	    "^0?[0-7]{3}$" },
	[CONFIG_CHECK_GROUP] = { check_group, "the name of a group",
	    "^[A-Za-z0-9_.][A-Za-z0-9_.-]*$" },
	[CONFIG_CHECK_SCOPE] = { check_scope, "a scope, visible ASCII without spaces",
	    "^[!-~]+$" },
	[CONFIG_CHECK_URL_PATH] = { check_url_path,
	    "an absolute path of letters, digits and -._~ like \"/webhooks/kick\"",
	    "^/[A-Za-z0-9/._~-]*$" },
	[CONFIG_CHECK_URL] = { check_url,
	    "an https address (http only for localhost, 127.0.0.0/8 and [::1])",
	    "^https?://[^# ]+$" },
	[CONFIG_CHECK_URL_BASE] = { check_url_base,
	    "an https address without query (http only for localhost, 127.0.0.0/8 and "
	    "[::1])",
	    "^https?://[^#? ]+$" },
	[CONFIG_CHECK_PATH] = { check_path, "an absolute path", "^/" },
};

const char *
config_check_text(enum config_check check, const char *text)
{
	return checks[check].check ? checks[check].check(text) : NULL;
}

const char *
config_check_allows(enum config_check check)
{
	return checks[check].allows;
}

const char *
config_check_pattern(enum config_check check)
{
	return checks[check].pattern;
}

bool
config_check_feature_name(const char *name)
{
	size_t i;

	if (name[0] < 'a' || name[0] > 'z')
		return false;
	for (i = 1; name[i]; i++) {
		if (!is_digit(name[i]) && !(name[i] >= 'a' && name[i] <= 'z') &&
		    !strchr("_.-", name[i]))
			return false;
	}
	return i <= CONFIG_FEATURE_NAME_MAX;
}

bool
config_check_has_userinfo(const char *url)
{
	const char *host = strstr(url, "://");
	const char *at = strchr(url, '@');

	if (!at)
		return false;
	host = host && host < at ? host + 3 : url;
	return at < host + strcspn(host, "/?#");
}

bool
config_url_is_loopback(const char *url)
{
	struct authority authority;
	bool plain;
	const char *host = after_scheme(url, &plain);

	return host && split_authority(host, strcspn(host, "/?#"), &authority) &&
	    is_loopback(authority.host, authority.host_length);
}

bool
config_host_is_loopback(const char *host)
{
	return is_loopback(host, strlen(host));
}

char *
config_listener_url(const char *host, unsigned port, const char *path)
{
	if (strchr(host, ':'))
		return xasprintf("http://[%s]:%u%s", host, port, path);
	return xasprintf("http://%s:%u%s", host, port, path);
}
