/*
 * Examples of values for the rows of the configuration's table, and documents made of
 * them. Included by the tests of the configuration, each of which is one program.
 */
#ifndef TESTS_CONFIG_EXAMPLES_H
#define TESTS_CONFIG_EXAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/config.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* For each check a text of exactly the longest length, and texts that are right and
 * wrong (JSON, without quotes). */
struct examples {
	const char *head; /* filled up with 'a' between head and tail */
	const char *tail;
	const char *right[12];
	const char *wrong[28];
};

#define LONG_NAME \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."

static const struct examples examples[] = {
	[CONFIG_CHECK_HOST] = { "abcd:abcd:abcd:abcd:abcd:abcd:192.168.158.190", "",
	    { "localhost", "127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::7" },
	    { "example.org", "[::1]", "127.1", "127.0.0.01", "127.0.0.1:80",
		"Localhost", "localhost ", "*", "fe80::1%eth0", "0x7f000001",
		"256.0.0.1" } },
	[CONFIG_CHECK_HOST_HEADER] = { LONG_NAME, ":65535",
	    { "stream.example", "stream.example:8443", "[::1]:3000", "[2001:db8::1]",
		"10.0.0.7", "a_b.example" },
	    { "::1", "a b", "http://a", "a/", "user@a", "a:", "a:0", "a:65536", "a:080",
		"a..b", ".a", "a.", "-a.example", "[::1", "[::1]x", "[10.0.0.7]", "*.a",
		"1.2.3", "a.0x1", "a:1:2" } },
	[CONFIG_CHECK_ORIGIN] = { "https://" LONG_NAME, ":65535",
	    { "https://stream.example", "http://10.0.0.7:8080",
		"https://[2001:db8::1]" },
	    { "null", "*", "stream.example", "https://", "https://a/", "https://a?b",
		"https://a#b", "https://u@a", "ftp://a", "HTTPS://a", "https://a b" } },
	[CONFIG_CHECK_MODE] = { "0660", "", { "0600", "660", "0777", "000" },
	    { "66", "6660", "0680", "rw", "-660", "0x1b", "660 " } },
	[CONFIG_CHECK_GROUP] = { "", "", { "streamers", "www-data", "_x", "a.b" },
	    { "-x", "a b", "a:b", "\\u00e9" } },
	[CONFIG_CHECK_SCOPE] = { "", "", { "user:read", "https://a/b", "x!~" },
	    { "a b", "a\\\"b", "a\\\\b", "\\u00e9", "a\\n" } },
	[CONFIG_CHECK_URL_PATH] = { "/", "", { "/", "/hooks", "/a/b-c_d.e~f" },
	    { "hooks", "//", "/a/", "/a//b", "/./a", "/a/..", "/a?b", "/a#b", "/%41",
		"/a b", "/\\u00e9" } },
	[CONFIG_CHECK_URL] = { "https://a.example/", "",
	    { "https://a.example", "https://a.example:8443/x?y=%20&z=@/",
		"http://localhost:1", "http://LOCALHOST/", "http://127.0.0.1:8080/x",
		"http://127.9.8.7", "http://[::1]:9/", "http://[0:0:0:0:0:0:0:1]/",
		"https://[2001:db8::1]/" },
	    { "http://a.example/", "http://128.0.0.1/", "http://10.0.0.1/",
		"http://127.0.0.1.a.example/", "http://localhost.a.example",
		"http://[::ffff:127.0.0.1]/", "http://[::2]/", "http://127.1/",
		"http://2130706433/", "http://0x7f.1/", "https://", "https:///x",
		"https://u:p@a.example/", "https://a.example/#x",
		"https://a.example/a b", "https://a.example/\\u0001",
		"https://a.example/\\u00e9", "//a.example", "ftp://a.example",
		"HTTPS://a.example", "https://a.example\\\\@b.example",
		"https://a.example/%4", "https://a.example:0/", "https://a.example.",
		"https://a..example", "https://a.example:99999" } },
	[CONFIG_CHECK_URL_BASE] = { "https://a.example/", "",
	    { "https://a.example", "https://a.example/v1/", "http://localhost:3000" },
	    { "https://a.example?x", "https://a.example/v1?", "http://a.example" } },
	[CONFIG_CHECK_PATH] = { "/", "",
	    { "/x", "/var/lib/a b", "/a/./..b", "/\\u00e9/" },
	    { "x", "./x", "~/x", "$HOME/x", "/a/../b", "/..", "/a\\n", "/a\\u007f" } },
};

/* A document with one key: {"server":{"port":<value>}}. */
static inline char *
document_with(const char *key, const char *value)
{
	char *head = xstrdup("");
	char *tail = xstrdup("}");
	char *more;
	const char *dot;

	while ((dot = strchr(key, '.'))) {
		more = xasprintf("%s{\"%.*s\":", head, (int)(dot - key), key);
		free(head);
		head = more;
		more = xasprintf("%s}", tail);
		free(tail);
		tail = more;
		key = dot + 1;
	}
	more = xasprintf("%s{\"%s\":%s%s", head, key, value, tail);
	free(head);
	free(tail);
	return more;
}

/* A value that is not the default of a row, as JSON. */
static inline char *
other_value(const struct config_option *option)
{
	switch (option->kind) {
	case CONFIG_NUMBER:
		return xasprintf("%u",
		    option->number == option->most ? option->least : option->most);
	case CONFIG_FLAG:
		return xstrdup(option->number ? "false" : "true");
	case CONFIG_ENUM:
		return xasprintf("\"%s\"", option->words[option->number == 0]);
	case CONFIG_LIST:
		return xasprintf("[\"%s\"]", examples[option->check].right[0]);
	case CONFIG_SUBSCRIPTIONS:
		return xstrdup(
		    "[{\"username\":\"\\u00c4nn\",\"events\":[\"kicks.gifted\","
		    "\"channel.subscribed\"]}]");
	case CONFIG_FEATURES:
		return xstrdup("{\"webhook_events\":\"shadow\",\"a.b-c\":\"on\"}");
	case CONFIG_ACTIONS:
		return xstrdup("[{\"text\":\"\\u00e9 \\\"x\\\"\",\"n\":0.1},{}]");
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
		break;
	}
	return xasprintf("\"%s\"", examples[option->check].right[2]);
}

#endif
