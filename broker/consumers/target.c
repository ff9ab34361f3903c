/*
 * Judges addresses to push to when they are entered. Where a name leads is judged anew
 * at every call, by broker/outbound/fetch_transfer.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "broker/consumers/target.h"
#include "broker/outbound/address.h"
#include "common/text.h"

#define ORIGIN_SIZE 320

struct parts {
	bool plain; /* http */
	const char *host;
	size_t host_length; /* with the brackets of an IPv6 address */
	const char *port;   /* NULL: none */
	size_t port_length;
	const char *rest; /* path and query */
};

static int
refuse(char *error, const char *sentence)
{
	(void)snprintf(error, TARGET_ERROR_SIZE, "%s", sentence);
	return -EINVAL;
}

static bool
take_scheme(const char *url, struct parts *parts)
{
	parts->plain = strncasecmp(url, "http://", strlen("http://")) == 0;
	if (parts->plain)
		parts->host = url + strlen("http://");
	else if (strncasecmp(url, "https://", strlen("https://")) == 0)
		parts->host = url + strlen("https://");
	return parts->host != NULL;
}

static void
take_authority(struct parts *parts)
{
	size_t length = strcspn(parts->host, "/?#");
	const char *end = parts->host + length;
	const char *from = parts->host;
	const char *colon;

	parts->rest = end;
	if (*from == '[')
		while (from < end && *from != ']')
			from++;
	colon = memchr(from, ':', (size_t)(end - from));
	parts->host_length = (size_t)((colon ? colon : end) - parts->host);
	if (colon) {
		parts->port = colon + 1;
		parts->port_length = (size_t)(end - parts->port);
	}
}

static bool
is_visible(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* Letters, digits, '-', '.', '_', or a literal in brackets. */
static bool
is_host(const struct parts *parts)
{
	size_t i;
	const bool literal = parts->host[0] == '[';

	if (parts->host_length == 0 || parts->host_length > TARGET_HOST_MAX)
		return false;
	if (literal)
		return parts->host_length >= 4 &&
		    parts->host[parts->host_length - 1] == ']' &&
		    strspn(parts->host + 1, "0123456789abcdefABCDEF:.") ==
		    parts->host_length - 2;
	for (i = 0; i < parts->host_length; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-._",
			parts->host[i]))
			return false;
	return true;
}

static int
take(const char *url, struct parts *parts, char *error)
{
	uint64_t port;

	if (strlen(url) > TARGET_MAX)
		return refuse(error, "The address is longer than 1024 bytes");
	if (!is_visible(url))
		return refuse(error,
		    "The address may only hold visible ASCII characters; encode "
		    "others as %XX");
	if (!take_scheme(url, parts))
		return refuse(error, "The address must begin with https:// or http://");
	take_authority(parts);
	if (memchr(parts->host, '@', (size_t)(parts->rest - parts->host)))
		return refuse(error,
		    "The address must not hold a user name or password: every user of "
		    "this machine can read command lines. Check the signature "
		    "instead");
	if (!is_host(parts))
		return refuse(error, "The address has no host that can be understood");
	if (parts->port &&
	    (!text_to_u64(parts->port, parts->port_length, 65535, &port) || port == 0))
		return refuse(
		    error, "The port of the address must be a number from 1 to 65535");
	if (strchr(parts->rest, '#'))
		return refuse(error, "The address must not have a fragment (#...)");
	return 0;
}

static bool
is_named(const char *host, const char *private_host)
{
	size_t length = strlen(host);

	if (!private_host)
		return false;
	if (strcasecmp(host, private_host) == 0)
		return true;
	/* An IPv6 address may be named without its brackets. */
	return host[0] == '[' && strlen(private_host) == length - 2 &&
	    strncasecmp(host + 1, private_host, length - 2) == 0;
}

int
target_check(
    const char *url, const char *private_host, bool *ret_private_too, char *error)
{
	struct parts parts = { .plain = false };
	char host[TARGET_HOST_MAX + 1];
	enum address_kind kind;
	bool named;

	if (take(url, &parts, error) < 0)
		return -EINVAL;
	memcpy(host, parts.host, parts.host_length);
	host[parts.host_length] = '\0';
	kind = address_judge_host(host);
	named = is_named(host, private_host);
	if (private_host && !named)
		(void)snprintf(error, TARGET_ERROR_SIZE,
		    "--allow-private must name the host of the address, which is %s",
		    host);
	else if (kind == ADDRESS_forbidden)
		(void)snprintf(error, TARGET_ERROR_SIZE,
		    "%s is link-local, multicast or reserved; nothing is ever pushed "
		    "there",
		    host);
	else if (kind == ADDRESS_private && !named)
		(void)snprintf(error, TARGET_ERROR_SIZE,
		    "%s is this machine or a private network; if you mean it, add "
		    "--allow-private %s",
		    host, host);
	else if (parts.plain && !named)
		(void)snprintf(error, TARGET_ERROR_SIZE,
		    "http:// sends events unencrypted; use https://, or add "
		    "--allow-private %s if that is a host in a private network of "
		    "yours",
		    host);
	else {
		*ret_private_too = named;
		return 0;
	}
	return -EINVAL;
}

void
target_origin(const char *url, char *origin)
{
	struct parts parts = { .plain = false };
	size_t length = 0;

	if (take_scheme(url, &parts)) {
		take_authority(&parts);
		length = (size_t)(parts.rest - url);
	}
	if (length >= ORIGIN_SIZE)
		length = ORIGIN_SIZE - 1;
	memcpy(origin, url, length);
	origin[length] = '\0';
}
