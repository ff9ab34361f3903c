/*
 * Reading config.json: strictly, and saying everything that is wrong at once.
 *
 * Called by the programs at their start and on SIGHUP, through config_file.c. jansson
 * checks the JSON, the table says which keys there are, config_value.c reads what they
 * hold. Nothing is taken over unless the whole document is right.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/alloc.h"
#include "common/config_reader.h"
#include "common/suggest.h"

/* Bytes of the names known in a group, and how many a group can have. */
#define KNOWN_SIZE 300
#define CHILDREN_MAX 24

static void read_object(
    struct config_reader *reader, const struct config_place *place, json_t *object);

/* ---- Unknown keys ---- */

/* The names that may follow a prefix ("" or "server."): copies, freed by the caller. */
static size_t
list_children(const char *prefix, char *children[CHILDREN_MAX])
{
	size_t prefix_length = strlen(prefix);
	size_t option_count, i, j;
	const struct config_option *options = config_options(&option_count);
	size_t count = 0;
	char *child;

	for (i = 0; i < option_count && count < CHILDREN_MAX; i++) {
		if (strncmp(options[i].key, prefix, prefix_length) != 0)
			continue;
		child = xstrndup(options[i].key + prefix_length,
		    strcspn(options[i].key + prefix_length, "."));
		for (j = 0; j < count && strcmp(children[j], child) != 0; j++)
			;
		if (j == count)
			children[count++] = child;
		else
			free(child);
	}
	return count;
}

/* A row that has this key elsewhere, or written with dots; NULL when there is none. */
static const struct config_option *
find_elsewhere(const char *key)
{
	size_t count, i;
	const struct config_option *options = config_options(&count);
	const char *last;

	for (i = 0; i < count; i++) {
		last = strrchr(options[i].key, '.');
		if (last &&
		    (strcmp(last + 1, key) == 0 || strcmp(options[i].key, key) == 0))
			return &options[i];
	}
	return NULL;
}

static bool
looks_like_credentials(const char *key)
{
	return strcmp(key, "client_id") == 0 || strstr(key, "secret") != NULL ||
	    strstr(key, "token") != NULL;
}

static void
refuse_key(
    struct config_reader *reader, const struct config_place *place, const char *prefix)
{
	char *children[CHILDREN_MAX];
	size_t count = list_children(prefix, children);
	const char *meant =
	    suggest_nearest(place->key, (const char *const *)children, count);
	const struct config_option *elsewhere = find_elsewhere(place->key);
	char known[KNOWN_SIZE];
	size_t i;

	config_list_words((const char *const *)children, count, known, sizeof known);
	if (meant)
		config_problem_at(&reader->source, place,
		    "is not a known key; did you mean \"%s%s\"?", prefix, meant);
	else if (elsewhere)
		config_problem_at(&reader->source, place,
		    "is not a known key here; did you mean \"%s\", each name before a "
		    "dot "
		    "being an object?",
		    elsewhere->key);
	else if (looks_like_credentials(place->key))
		config_problem_at(&reader->source, place,
		    "is not a known key; credentials are not kept in this file but "
		    "added "
		    "with `streamhold app add`");
	else
		config_problem_at(&reader->source, place,
		    "is not a known key; known here are %s", known);
	for (i = 0; i < count; i++)
		free(children[i]);
}

/* ---- The document ---- */

/* Whether rows have keys below this one. */
static bool
is_group(const char *key)
{
	size_t length = strlen(key);
	size_t count, i;
	const struct config_option *options = config_options(&count);

	for (i = 0; i < count; i++) {
		if (strncmp(options[i].key, key, length) == 0 &&
		    options[i].key[length] == '.')
			return true;
	}
	return false;
}

/* One member of an object: a row, a group, or unknown. */
static void
read_member(struct config_reader *reader, const struct config_place *place,
    const char *prefix, json_t *value)
{
	const struct config_option *option = NULL;
	char key[CONFIG_KEY_MAX];
	char found[CONFIG_FOUND_SIZE];
	int length;

	length = snprintf(key, sizeof key, "%s%s", prefix, place->key);
	/* A dot within a key is not the dot between two keys. */
	if (length >= (int)sizeof key || strchr(place->key, '.')) {
		refuse_key(reader, place, prefix);
		return;
	}
	option = config_option_find(key);
	if (option)
		config_read_value(reader, place, option, value);
	else if (!is_group(key))
		refuse_key(reader, place, prefix);
	else if (!json_is_object(value))
		config_problem_at(&reader->source, place, "must be an object, found %s",
		    config_describe(value, found));
	else
		read_object(reader, place, value);
}

static void
read_object(
    struct config_reader *reader, const struct config_place *place, json_t *object)
{
	struct config_place member = { .parent = place };
	char prefix[CONFIG_KEY_MAX];
	size_t length;
	json_t *value;

	config_place_name(place, prefix);
	length = strlen(prefix);
	if (length > 0)
		snprintf(prefix + length, sizeof prefix - length, ".");
	json_object_foreach(object, member.key, value)
	    read_member(reader, &member, prefix, value);
}

static bool
is_any_address(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Whether listeners of both hosts would want the same address, as far as the texts
 * tell. */
static bool
hosts_meet(const char *one, const char *other)
{
	return strcmp(one, other) == 0 || is_any_address(one) ||
	    is_any_address(other) ||
	    (strcmp(one, "localhost") == 0 && config_host_is_loopback(other)) ||
	    (strcmp(other, "localhost") == 0 && config_host_is_loopback(one));
}

static bool
ports_meet(const struct config *config)
{
	return config->webhooks.enabled && config->server.port != 0 &&
	    config->server.port == config->webhooks.port &&
	    hosts_meet(config->server.host, config->webhooks.host);
}

/* Things that are allowed and yet hardly meant. */
static void
warn_about(struct config_reader *reader)
{
	const struct config_place root = { .parent = NULL };
	const struct config_place server = { .parent = &root, .key = "server" };
	const struct config_place host = { .parent = &server, .key = "host" };
	const struct config_place oauth = { .parent = &root, .key = "oauth" };
	const struct config_place base = { .parent = &oauth, .key = "redirect_base" };
	const struct config_place webhooks = { .parent = &root, .key = "webhooks" };
	const struct config_place port = { .parent = &webhooks, .key = "port" };
	const struct config *config = reader->config;

	if (!config_host_is_loopback(config->server.host))
		config_warning_at(&reader->source, &host,
		    "lets other machines reach the API, which trusts everybody who can "
		    "reach it");
	if (config->oauth.redirect_base &&
	    config_url_is_loopback(config->oauth.redirect_base) &&
	    !strstr(config->oauth.redirect_base, "://localhost"))
		config_warning_at(&reader->source, &base,
		    "should name the host localhost, as platforms refuse or rewrite "
		    "loopback addresses");
	if (ports_meet(config))
		config_warning_at(&reader->source, &port,
		    "is the same as \"server.port\", %u; give each listener a port of "
		    "its own",
		    config->webhooks.port);
}

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* What people write who know other formats, by jansson's words for it. */
static const char *
json_hint(const struct config_source *source, const char *text)
{
	static const struct {
		const char *words;
		const char *hint;
	} hints[] = {
		{ "near '#'", "; a comment is a line whose first character is #" },
		{ "near '/'", "; a comment is a line whose first character is #" },
		{ "near '''", "; names and texts stand in \"double quotes\"" },
		{ "string or '}' expected near '}'", "; no comma may stand before it" },
		{ "unexpected token near ']'", "; no comma may stand before it" },
	};
	size_t i;

	if (strncmp(source->text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		return "; the file begins with a byte order mark, save it as UTF-8 "
		       "without one";
	for (i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (strstr(text, hints[i].words))
			return hints[i].hint;
	return "";
}

/* Says why jansson refused the document. */
static void
refuse_json(
    const struct config_source *source, size_t length, const json_error_t *error)
{
	char text[JSON_ERROR_TEXT_LENGTH + 40];
	size_t offset = error->position > 0 ? (size_t)error->position : 0;

	if (offset > length)
		offset = length;
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		config_problem_offset(
		    source, offset, "is given twice; each key may be given once");
		break;
	case json_error_numeric_overflow:
		config_problem_offset(
		    source, offset, "is a number too large to be read");
		break;
	default:
		config_escape(error->text, text, sizeof text);
		config_problem_line(source, error->line > 0 ? (unsigned)error->line : 0,
		    "must be JSON, found an error: %s%s", text,
		    json_hint(source, error->text));
	}
}

/* A copy with NUL in which comment lines are blanks. */
static char *
copy_without_comments(const char *text, size_t length)
{
	char *copy = xmalloc(length + 1);
	bool line_start = true;
	bool comment = false;
	size_t i;

	for (i = 0; i < length; i++) {
		if (line_start)
			comment = text[i] == '#';
		line_start = text[i] == '\n';
		copy[i] = comment && !line_start ? ' ' : text[i];
	}
	copy[length] = '\0';
	return copy;
}

/* Reads the copy into reader->config. */
static void
read_document(struct config_reader *reader, size_t length)
{
	const struct config_source *source = &reader->source;
	const struct config_place root = { .parent = NULL };
	json_error_t error;
	json_t *document;

	if (source->text[strspn(source->text, " \t\r\n")] == '\0' &&
	    strlen(source->text) == length) {
		config_problem_line(source, 0,
		    "must be a JSON object, found nothing; {} means all defaults");
		return;
	}
	document = json_loadb(
	    source->text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!document)
		refuse_json(source, length, &error);
	else if (!json_is_object(document))
		config_problem_line(source, 1, "must be a JSON object");
	else
		read_object(reader, &root, document);
	json_decref(document);
	if (source->error->errors == 0)
		warn_about(reader);
}

int
config_parse(const char *text, size_t length, const char *name,
    struct config *ret_config, struct config_error *ret_error)
{
	struct config config;
	struct config_reader reader = {
		.source = { .name = name, .error = ret_error },
		.config = &config,
	};
	char *copy;

	memset(ret_error, 0, sizeof *ret_error);
	if (length > CONFIG_SIZE_MAX) {
		config_problem_line(
		    &reader.source, 0, "must be at most %d bytes", CONFIG_SIZE_MAX);
		return -EINVAL;
	}
	copy = copy_without_comments(text, length);
	reader.source.text = copy;
	config_init(&config);
	read_document(&reader, length);
	free(copy);
	if (ret_error->errors > 0) {
		config_clear(&config);
		return -EINVAL;
	}
	*ret_config = config;
	return 0;
}
