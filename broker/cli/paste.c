/*
 * Takes a redirected address apart (RFC 6749 4.1.2, RFC 9207). Pure; for
 * `streamhold login --paste`.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/paste.h"
#include "common/alloc.h"

struct piece {
	const unsigned char *bytes;
	size_t length;
};

static struct piece
cut(struct piece *rest, char at)
{
	const unsigned char *end = memchr(rest->bytes, at, rest->length);
	struct piece first = *rest;

	if (end) {
		first.length = (size_t)(end - rest->bytes);
		rest->bytes = end + 1;
		rest->length -= first.length + 1;
	} else {
		rest->bytes += rest->length;
		rest->length = 0;
	}
	return first;
}

static int
digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes form encoding. An empty secret when it is ill-formed or holds a NUL. */
static struct secret
decode(struct piece piece)
{
	struct secret out = secret_copy(piece.bytes, piece.length);
	size_t from = 0;
	size_t to = 0;

	while (from < out.length) {
		unsigned char c = out.bytes[from++];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = from + 1 < out.length ? digit(out.bytes[from]) : -1;
			int low =
			    from + 1 < out.length ? digit(out.bytes[from + 1]) : -1;

			c = (unsigned char)(high < 0 || low < 0 ? 0 : high << 4 | low);
			from += 2;
		}
		if (c == 0) {
			secret_clear(&out);
			return out;
		}
		out.bytes[to++] = c;
	}
	wipe(out.bytes + to, out.length - to);
	out.length = to;
	return out;
}

static bool
is_named(struct piece name, const char *text)
{
	return name.length == strlen(text) &&
	    memcmp(name.bytes, text, name.length) == 0;
}

/* False when the value is given twice or cannot be read. */
static bool
take_secret(struct secret *member, struct piece value)
{
	if (member->length)
		return false;
	if (value.length == 0)
		return true;
	*member = decode(value);
	return member->length > 0;
}

static bool
take_text(char **member, struct piece value)
{
	struct secret text = SECRET_NONE;

	if (*member)
		return false;
	if (value.length == 0)
		return true;
	text = decode(value);
	if (text.length)
		*member = xstrdup(secret_text(&text));
	secret_clear(&text);
	return *member != NULL;
}

static bool
take(struct paste *paste, struct piece name, struct piece value)
{
	if (is_named(name, "state"))
		return take_secret(&paste->state, value);
	if (is_named(name, "code"))
		return take_secret(&paste->code, value);
	if (is_named(name, "error"))
		return take_text(&paste->error, value);
	if (is_named(name, "error_description"))
		return take_text(&paste->error_description, value);
	if (is_named(name, "iss"))
		return take_text(&paste->iss, value);
	return true; /* Platforms add things of their own (facts C.3). */
}

/* The address without blanks around it and without its fragment. */
static struct piece
trim(const struct secret *address)
{
	struct piece text = { address->bytes, address->length };
	struct piece whole;

	while (text.length && text.bytes[0] <= ' ') {
		text.bytes++;
		text.length--;
	}
	while (text.length && text.bytes[text.length - 1] <= ' ')
		text.length--;
	whole = text;
	return cut(&whole, '#');
}

static struct piece
last_part(struct piece path)
{
	struct piece part = path;

	while (memchr(path.bytes, '/', path.length)) {
		(void)cut(&path, '/');
		part = path;
	}
	return part;
}

const char *
paste_read(const struct secret *address, struct paste *ret_paste)
{
	struct piece path = { (const unsigned char *)"", 0 };
	struct piece query = path;

	*ret_paste = (struct paste){ .state = SECRET_NONE };
	if (address->length)
		query = trim(address);
	if (query.length == 0)
		return "nothing was entered";
	if (memchr(query.bytes, '?', query.length))
		path = cut(&query, '?');
	while (query.length) {
		struct piece pair = cut(&query, '&');
		struct piece name = cut(&pair, '=');

		if (!take(ret_paste, name, pair))
			return "something in this address is given twice, or was "
			       "garbled on its way";
	}
	if (!ret_paste->state.length && path.length)
		(void)take_secret(&ret_paste->state, last_part(path));
	if (!ret_paste->code.length && !ret_paste->error)
		return "this address has neither a code nor an error: copy it from "
		       "the browser when the platform has let you go";
	return ret_paste->state.length ? NULL : "this address has no state";
}

void
paste_clear(struct paste *paste)
{
	secret_clear(&paste->state);
	secret_clear(&paste->code);
	free(paste->error);
	free(paste->error_description);
	free(paste->iss);
	*paste = (struct paste){ .state = SECRET_NONE };
}
