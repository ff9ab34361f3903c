/*
 * Sentences about what is wrong in a configuration, and where in the file it is.
 *
 * jansson forgets lines once a document is read, so the line of a place is found again
 * by walking the text. The text may be broken off or ill-formed: every step stops at
 * its NUL, and nothing recurses deeper than the places of the reader.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/alloc.h"
#include "common/config_table.h"

/* How deep the place of an offset is looked for; every level walks the text again. */
#define NAMED_DEPTH_MAX 12

/* Bytes of one step of a place in its name. */
#define STEP_SIZE 72

/* One member of an object or entry of an array in the text. */
struct member {
	const char *key; /* opening quote; NULL in arrays */
	const char *value;
	const char *end; /* after the value; NULL when the text breaks off */
};

/* ---- Walking the text ---- */

static const char *
skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* After a text whose opening quote is at `at`; NULL when it is not closed. */
static const char *
skip_text(const char *at)
{
	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\' && at[1])
			at++;
	}
	return *at ? at + 1 : NULL;
}

/* After the value at `at`; NULL when it breaks off. */
static const char *
skip_value(const char *at)
{
	size_t depth = 0;

	do {
		at = skip_blanks(at);
		switch (*at) {
		case '\0':
			return NULL;
		case '"':
			at = skip_text(at);
			if (!at)
				return NULL;
			break;
		case '{':
		case '[':
			depth++;
			at++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return at;
			depth--;
			at++;
			break;
		case ',':
		case ':':
			at++;
			break;
		default:
			at += strcspn(at, " \t\r\n,:{}[]\"");
		}
	} while (depth > 0);
	return at;
}

/* Reads the member at `at`; false at the end of the object or array. */
static bool
read_member(const char *at, bool in_object, struct member *ret)
{
	*ret = (struct member){ .key = NULL };
	at = skip_blanks(at);
	if (in_object) {
		if (*at != '"')
			return false;
		ret->key = at;
		at = skip_text(at);
		if (!at)
			return false;
		at = skip_blanks(at);
		if (*at != ':')
			return false;
		at = skip_blanks(at + 1);
	}
	if (!*at || strchr(",:]}", *at))
		return false;
	ret->value = at;
	ret->end = skip_value(at);
	return true;
}

/* Where the member after this one would start, NULL when there is none. */
static const char *
after_member(const struct member *member)
{
	const char *at = member->end;

	if (!at)
		return NULL;
	at = skip_blanks(at);
	return *at == ',' ? at + 1 : NULL;
}

/* The key at an opening quote, decoded; NULL when it is ill-formed. */
static char *
decode_key(const char *quote)
{
	const char *end = skip_text(quote);
	json_t *text;
	char *key = NULL;

	if (!end)
		return NULL;
	text = json_loadb(quote, (size_t)(end - quote), JSON_DECODE_ANY, NULL);
	if (json_is_string(text))
		key = xstrdup(json_string_value(text));
	json_decref(text);
	return key;
}

static bool
key_is(const char *quote, const char *key)
{
	size_t length = strlen(key);
	char *decoded;
	bool equal;

	if (strncmp(quote + 1, key, length) == 0 && quote[1 + length] == '"')
		return true;
	if (!memchr(quote, '\\', strcspn(quote + 1, "\"") + 1))
		return false;
	decoded = decode_key(quote);
	equal = decoded && strcmp(decoded, key) == 0;
	free(decoded);
	return equal;
}

/* The value at a place, and in *ret_start where its key (or itself) starts. */
static const char *
find_value(const char *text, const struct config_place *place, const char **ret_start)
{
	struct member member;
	const char *at;
	size_t index = 0;

	if (!place->parent)
		return *ret_start = skip_blanks(text);
	at = find_value(text, place->parent, ret_start);
	if (!at || *at != (place->key ? '{' : '['))
		return NULL;
	for (at++; at && read_member(at, place->key, &member);
	     at = after_member(&member)) {
		if (place->key ? key_is(member.key, place->key)
			       : index == place->index) {
			*ret_start = member.key ? member.key : member.value;
			return member.value;
		}
		index++;
	}
	return NULL;
}

static unsigned
line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* ---- Sentences ---- */

void
config_escape(const char *text, char *escaped, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;
	size_t i, width;
	unsigned char byte;

	for (i = 0; text[i]; i++) {
		byte = (unsigned char)text[i];
		width = byte < ' ' || byte > '~'  ? 4
		    : byte == '"' || byte == '\\' ? 2
						  : 1;
		/* Room is kept for "..." unless this is the last byte. */
		if (used + width + (text[i + 1] ? 4 : 1) > size) {
			memcpy(escaped + used, "...", 3);
			used += 3;
			break;
		}
		if (width > 1)
			escaped[used++] = '\\';
		if (width == 4) {
			escaped[used++] = 'x';
			escaped[used++] = digits[byte >> 4];
			escaped[used++] = digits[byte & 15];
		} else {
			escaped[used++] = (char)byte;
		}
	}
	escaped[used] = '\0';
}

void
config_place_name(const struct config_place *place, char name[CONFIG_KEY_MAX])
{
	char step[STEP_SIZE];
	size_t length;

	if (!place->parent) {
		name[0] = '\0';
		return;
	}
	config_place_name(place->parent, name);
	length = strlen(name);
	if (place->key) {
		config_escape(place->key, step, sizeof step);
		snprintf(name + length, CONFIG_KEY_MAX - length, "%s%s",
		    length > 0 ? "." : "", step);
	} else {
		snprintf(name + length, CONFIG_KEY_MAX - length, "[%zu]", place->index);
	}
}

/* Fills one problem: "name:line: " and, when there is a key, the key in quotes. */
__attribute__((format(printf, 5, 0))) static void
fill_problem(struct config_problem *problem, const struct config_source *source,
    unsigned line, const char *key, const char *format, va_list arguments)
{
	char name[CONFIG_SENTENCE_MAX / 2];
	size_t used;

	config_escape(source->name, name, sizeof name);
	problem->line = line;
	snprintf(problem->key, sizeof problem->key, "%s", key);
	if (line > 0)
		snprintf(
		    problem->sentence, sizeof problem->sentence, "%s:%u: ", name, line);
	else
		snprintf(problem->sentence, sizeof problem->sentence, "%s: ", name);
	used = strlen(problem->sentence);
	if (*key) {
		snprintf(problem->sentence + used, sizeof problem->sentence - used,
		    "\"%s\" ", key);
		used = strlen(problem->sentence);
	}
	vsnprintf(problem->sentence + used, sizeof problem->sentence - used, format,
	    arguments);
}

__attribute__((format(printf, 4, 0))) static void
add_at(const struct config_source *source, bool warning,
    const struct config_place *place, const char *format, va_list arguments)
{
	struct config_error *error = source->error;
	size_t index = warning ? error->warnings++ : error->errors++;
	char key[CONFIG_KEY_MAX];
	const char *start = NULL;
	unsigned line = 0;

	if (index >= CONFIG_PROBLEMS_MAX)
		return;
	config_place_name(place, key);
	if (source->text && find_value(source->text, place, &start))
		line = line_of(source->text, start);
	fill_problem(warning ? &error->warning[index] : &error->error[index], source,
	    line, key, format, arguments);
}

void
config_problem_at(const struct config_source *source, const struct config_place *place,
    const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_at(source, false, place, format, arguments);
	va_end(arguments);
}

void
config_warning_at(const struct config_source *source, const struct config_place *place,
    const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_at(source, true, place, format, arguments);
	va_end(arguments);
}

void
config_problem_line(
    const struct config_source *source, unsigned line, const char *format, ...)
{
	struct config_error *error = source->error;
	size_t index = error->errors++;
	va_list arguments;

	if (index >= CONFIG_PROBLEMS_MAX)
		return;
	va_start(arguments, format);
	fill_problem(&error->error[index], source, line, "", format, arguments);
	va_end(arguments);
}

/* ---- Offsets ---- */

/* Appends one step of a path to a name. */
static void
add_step(char name[CONFIG_KEY_MAX], const struct member *member, size_t index)
{
	size_t length = strlen(name);
	char step[STEP_SIZE];
	char *key;

	if (!member->key) {
		snprintf(name + length, CONFIG_KEY_MAX - length, "[%zu]", index);
		return;
	}
	key = decode_key(member->key);
	config_escape(key ? key : "?", step, sizeof step);
	free(key);
	snprintf(name + length, CONFIG_KEY_MAX - length, "%s%s", length > 0 ? "." : "",
	    step);
}

/* Names the place that holds the byte before an offset: a key or a value. Deeper than
 * NAMED_DEPTH_MAX the name is that of the outer place. */
static void
name_offset(const char *text, size_t offset, char name[CONFIG_KEY_MAX])
{
	const char *target = text + offset;
	const char *at = skip_blanks(text);
	struct member member;
	bool in_object;
	size_t depth, index;

	name[0] = '\0';
	for (depth = 0; depth < NAMED_DEPTH_MAX && (*at == '{' || *at == '[');
	     depth++) {
		in_object = *at == '{';
		index = 0;
		for (at++; at && read_member(at, in_object, &member);
		     at = after_member(&member)) {
			if (!member.end || target <= member.end)
				break;
			index++;
		}
		if (!at || !read_member(at, in_object, &member))
			return;
		add_step(name, &member, index);
		if (target <= member.value)
			return;
		at = member.value;
	}
}

void
config_problem_offset(
    const struct config_source *source, size_t offset, const char *format, ...)
{
	struct config_error *error = source->error;
	size_t index = error->errors++;
	char key[CONFIG_KEY_MAX];
	va_list arguments;

	if (index >= CONFIG_PROBLEMS_MAX)
		return;
	name_offset(source->text, offset, key);
	va_start(arguments, format);
	fill_problem(&error->error[index], source,
	    line_of(source->text, source->text + offset), key, format, arguments);
	va_end(arguments);
}

void
config_error_print(const struct config_error *error, FILE *file)
{
	size_t i;

	for (i = 0; i < error->warnings && i < CONFIG_PROBLEMS_MAX; i++)
		fprintf(file, "warning: %s\n", error->warning[i].sentence);
	if (error->warnings > CONFIG_PROBLEMS_MAX)
		fprintf(file, "warning: %zu more warnings are not shown\n",
		    error->warnings - CONFIG_PROBLEMS_MAX);
	for (i = 0; i < error->errors && i < CONFIG_PROBLEMS_MAX; i++)
		fprintf(file, "%s\n", error->error[i].sentence);
	if (error->errors > CONFIG_PROBLEMS_MAX)
		fprintf(file, "%zu more errors are not shown\n",
		    error->errors - CONFIG_PROBLEMS_MAX);
}
