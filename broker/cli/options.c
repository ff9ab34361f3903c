/*
 * Reads the command line by two tables: the verbs (verbs.c) and the options below.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/next.h"
#include "broker/cli/options.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"
#include "common/suggest.h"

/* Words that one command line may have; `exec` takes those of another. */
#define WORDS_MAX 4096

/* Names compared when something was mistyped. */
#define NAMES_MAX 64

struct option {
	const char *name;
	char letter;       /* 0: none */
	const char *value; /* what to call it in the help; NULL: a switch */
	size_t offset;     /* in struct cli: const char * or bool */
	bool every;        /* of every verb */
	const char *help;
};

#define AT(member) offsetof(struct cli, member)

static const struct option options[] = {
	{ "config", 0, "FILE", AT(config), true, "read this config.json" },
	{ "socket", 0, "PATH", AT(socket), true, "the broker's socket" },
	{ "system", 0, NULL, AT(system), true,
	    "the service of the machine, not the user's" },
	{ "json", 0, NULL, AT(json), true,
	    "answer in JSON, with \"format_version\": 1" },
	{ "no-color", 0, NULL, AT(no_color), true,
	    "no colours (NO_COLOR does the same)" },
	{ "help", 'h', NULL, AT(help), true, "show the help of a verb" },
	{ "version", 'V', NULL, AT(version), true, "show the version" },
	{ "check-only", 'n', NULL, AT(check_only), false,
	    "check the configuration and exit" },
	{ "check", 0, NULL, AT(check), false,
	    "exit 7 when degraded, 4 when a login is needed" },
	{ "ask", 0, NULL, AT(ask), false,
	    "ask the platforms whether the logins are still good" },
	{ "yes", 'y', NULL, AT(yes), false, "do not ask" },
	{ "adopt", 0, NULL, AT(adopt), false,
	    "if another account logs in, store it under its real name" },
	{ "no-browser", 0, NULL, AT(no_browser), false, "do not open a browser" },
	{ "qr", 0, NULL, AT(qr), false, "show the address as a QR code too" },
	{ "paste", 0, NULL, AT(paste), false,
	    "type the address back on which the browser ends" },
	{ "device", 0, NULL, AT(device), false,
	    "type a code on another device (Twitch, YouTube)" },
	{ "secret-stdin", 0, NULL, AT(secret_stdin), false,
	    "read the secret from standard input" },
	{ "dry-run", 0, NULL, AT(dry_run), false, "only say what would be done" },
	{ "include-foreign", 0, NULL, AT(include_foreign), false,
	    "also events of channels that are not yours" },
	{ "follow", 'f', NULL, AT(follow), false, "go on with each event that comes" },
	{ "header", 0, NULL, AT(header), false, "as a header line, for curl -H @-" },
	{ "min-ttl", 0, "N", AT(min_ttl), false,
	    "seconds for which it must still live (300)" },
	{ "client-id", 0, "ID", AT(client_id), false, "the client id" },
	{ "scopes", 0, "\"A B\"", AT(scopes), false,
	    "scopes to ask for, instead of the usual ones" },
	{ "to", 0, "WHERE", AT(to), false,
	    "a keystore, file or secret-service; or a consumer's name" },
	{ "timeout", 0, "TIME", AT(timeout), false, "how long to wait: 90s, 10m, 1h" },
	{ "count", 0, "N", AT(count), false, "so many (1-1000)" },
	{ "as", 0, "ODDITY", AT(as), false,
	    "bad-signature, duplicate, late, foreign or unknown-version" },
	{ "broadcaster", 0, "WHO", AT(broadcaster), false,
	    "whose channel: a name or a user id (trigger: ID:NAME too)" },
	{ "after", 0, "N", AT(after), false, "only events with a greater number" },
	{ "limit", 0, "N", AT(limit), false, "at most so many (1-500)" },
	{ "type", 0, "T", AT(type), false, "only events of this type, or of A,B" },
	{ "platform", 0, "P", AT(platform), false, "only this platform" },
	{ "kind", 0, "K", AT(kind), false, "only events of this kind, or of A,B" },
	{ "include", 0, "A,B", AT(include), false,
	    "also foreign, synthetic, quarantined events" },
	{ "start", 0, "S", AT(start), false,
	    "begin at: now, beginning, or after event number S" },
	{ "forward", 0, "URL", AT(forward), false, "push events to this address" },
	{ "allow-private", 0, "HOST", AT(allow_private), false,
	    "the address may lead into a private network" },
	{ "overlap", 0, "TIME", AT(overlap), false,
	    "how long the old secret signs as well: 1h, 7d, 0 for not at all" },
	{ "all", 0, NULL, AT(all), false, "all of them" },
};

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

/* Options that people try and that must never exist: argv is public. */
static const char *const secret_options[] = { "client-secret", "secret", "token",
	"password" };

static bool
has_word(const char *words, const char *word)
{
	size_t length = strlen(word);
	const char *at;

	for (at = words; (at = strstr(at, word)) != NULL; at += length)
		if ((at == words || at[-1] == ' ') &&
		    (at[length] == '\0' || at[length] == ' '))
			return true;
	return false;
}

static bool
belongs(const struct option *option, const struct verb *verb)
{
	return option->every || (verb && has_word(verb->options, option->name));
}

static const struct option *
find_option(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++)
		if (strlen(options[i].name) == length &&
		    strncmp(options[i].name, name, length) == 0)
			return &options[i];
	return NULL;
}

static const struct option *
find_letter(char letter)
{
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++)
		if (options[i].letter && options[i].letter == letter)
			return &options[i];
	return NULL;
}

static int
refuse_unknown(const char *name)
{
	const char *names[NAMES_MAX];
	const char *near;
	size_t i;

	for (i = 0; i < sizeof(secret_options) / sizeof(secret_options[0]); i++) {
		size_t length = strlen(secret_options[i]);

		if (strncmp(name, secret_options[i], length) != 0 ||
		    (name[length] != '\0' && name[length] != '='))
			continue;
		talk_error("streamhold app add PLATFORM --secret-stdin < FILE",
		    "--%s is not offered, because every user of this machine can read "
		    "command lines; the secret is asked for, or read from standard "
		    "input. If it was typed just now, take it out of the shell's "
		    "history.",
		    secret_options[i]);
		return CLI_USAGE;
	}
	for (i = 0; i < OPTION_COUNT && i < NAMES_MAX; i++)
		names[i] = options[i].name;
	near = suggest_nearest(name, names, i);
	if (near)
		talk_error("streamhold help", "unknown option --%s; did you mean --%s?",
		    name, near);
	else
		talk_error("streamhold help", "unknown option --%s", name);
	return CLI_USAGE;
}

/* ---- Words and options apart ---- */

struct line {
	struct cli *cli;
	const struct option *given[OPTION_COUNT];
	size_t given_count;
	char **words;
	size_t word_count;
};

static int
set_option(struct line *line, const struct option *option, char *value)
{
	char *member = (char *)line->cli + option->offset;
	size_t i;

	if (option->value)
		memcpy(member, &value, sizeof(value));
	else
		*(bool *)(void *)member = true;
	for (i = 0; i < line->given_count; i++)
		if (line->given[i] == option)
			return CLI_OK;
	line->given[line->given_count++] = option;
	return CLI_OK;
}

/* Takes the option at argv[*at], and its value with it. */
static int
take_option(struct line *line, int argc, char **argv, int *at)
{
	char *name = argv[*at] + 1;
	char *equals = NULL;
	const struct option *option;

	if (*name == '-') {
		name++;
		equals = strchr(name, '=');
		option =
		    find_option(name, equals ? (size_t)(equals - name) : strlen(name));
	} else {
		option = name[1] == '\0' ? find_letter(*name) : NULL;
	}
	if (!option)
		return refuse_unknown(name);
	if (!option->value && equals) {
		talk_error("streamhold help", "--%s takes no value", option->name);
		return CLI_USAGE;
	}
	if (!option->value)
		return set_option(line, option, NULL);
	if (!equals && *at + 1 >= argc) {
		talk_error("streamhold help", "--%s needs a value: --%s %s",
		    option->name, option->name, option->value);
		return CLI_USAGE;
	}
	return set_option(line, option, equals ? equals + 1 : argv[++*at]);
}

static int
split(struct line *line, int argc, char **argv)
{
	bool options_end = false;
	int status = CLI_OK;
	int i;

	for (i = 1; i < argc && status == CLI_OK; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0)
			options_end = true;
		else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0')
			status = take_option(line, argc, argv, &i);
		else
			line->words[line->word_count++] = argv[i];
	}
	return status;
}

/* ---- The verb ---- */

/* How many words of the line a verb's name takes; 0 when it is another verb. */
static size_t
match(const struct verb *verb, const struct line *line)
{
	const char *space = strchr(verb->name, ' ');
	size_t first = space ? (size_t)(space - verb->name) : strlen(verb->name);

	if (line->word_count == 0 || strlen(line->words[0]) != first ||
	    strncmp(verb->name, line->words[0], first) != 0)
		return 0;
	if (!space)
		return 1;
	if (line->word_count < 2 || strcmp(space + 1, line->words[1]) != 0)
		return 0;
	return 2;
}

static int
refuse_verb(const struct line *line)
{
	const char *names[NAMES_MAX];
	char *typed = line->word_count > 1
	    ? xasprintf("%s %s", line->words[0], line->words[1])
	    : xstrdup(line->words[0]);
	const char *near;
	size_t count;

	for (count = 0; verbs[count].name && count < NAMES_MAX; count++)
		names[count] = verbs[count].name;
	near = suggest_nearest(typed, names, count);
	if (!near)
		near = suggest_nearest(line->words[0], names, count);
	if (near)
		talk_error(NULL, "there is no `%s`; did you mean `%s`?", typed, near);
	else
		talk_error(NULL, "there is no `%s`", typed);
	talk_next("streamhold %s", near ? near : "help");
	free(typed);
	return CLI_USAGE;
}

/* "app" alone: says which verbs begin so. */
static int
refuse_half(const struct line *line)
{
	const char *word = line->words[0];
	size_t length = strlen(word);
	size_t i;
	bool any = false;

	for (i = 0; verbs[i].name; i++)
		any |= strncmp(verbs[i].name, word, length) == 0 &&
		    verbs[i].name[length] == ' ';
	if (!any || line->word_count > 1)
		return refuse_verb(line);
	talk_error(NULL, "`%s` needs one more word:", word);
	for (i = 0; verbs[i].name; i++)
		if (strncmp(verbs[i].name, word, length) == 0 &&
		    verbs[i].name[length] == ' ')
			talk("  streamhold %s%s%s", verbs[i].name,
			    *verbs[i].arguments ? " " : "", verbs[i].arguments);
	return CLI_USAGE;
}

static const struct verb *
find_verb(const char *name)
{
	size_t i;

	for (i = 0; verbs[i].name; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* The verb of a line that asks for one by an option, or names none: every program has
 * --version, --help and -n. */
static const char *
verb_without_words(const struct cli *cli)
{
	if (cli->version)
		return "version";
	return cli->check_only && !cli->help ? "config check" : "help";
}

static int
choose_verb(struct line *line, const struct verb **ret_verb)
{
	size_t taken = 0;
	size_t i;

	for (i = 0; verbs[i].name; i++) {
		taken = match(&verbs[i], line);
		if (taken > 0)
			break;
	}
	if (line->cli->version || line->cli->help || line->word_count == 0) {
		*ret_verb = find_verb(line->word_count == 0 || line->cli->version
			? verb_without_words(line->cli)
			: "help");
		return CLI_OK;
	}
	if (taken == 0)
		return refuse_half(line);
	*ret_verb = &verbs[i];
	next_verb(*ret_verb);
	line->words += taken;
	line->word_count -= taken;
	return CLI_OK;
}

static int
check_words(const struct line *line, const struct verb *verb)
{
	size_t i;

	if (line->cli->help || line->cli->version)
		return CLI_OK;
	if (line->word_count < verb->least || line->word_count > verb->most) {
		talk_error(NULL, "usage: streamhold %s%s%s", verb->name,
		    *verb->arguments ? " " : "", verb->arguments);
		talk_next("streamhold %s --help", verb->name);
		return CLI_USAGE;
	}
	for (i = 0; i < line->given_count; i++) {
		if (belongs(line->given[i], verb))
			continue;
		talk_error(NULL, "`streamhold %s` has no option --%s", verb->name,
		    line->given[i]->name);
		talk_next("streamhold %s --help", verb->name);
		return CLI_USAGE;
	}
	return CLI_OK;
}

int
options_parse(int argc, char **argv, struct cli *cli, const struct verb **ret_verb)
{
	static char *words[WORDS_MAX + 1];
	struct line line = { .cli = cli, .words = words };
	int status;

	if (argc > WORDS_MAX) {
		talk_error("streamhold help", "too many words");
		return CLI_USAGE;
	}
	status = split(&line, argc, argv);
	talk_open(cli);
	if (status == CLI_OK)
		status = choose_verb(&line, ret_verb);
	if (status == CLI_OK)
		status = check_words(&line, *ret_verb);
	cli->words = line.words;
	cli->word_count = line.word_count;
	return status;
}

void
options_print(FILE *file, const struct verb *verb)
{
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &options[i];
		char head[64];

		if (verb ? option->every || !belongs(option, verb) : !option->every)
			continue;
		(void)snprintf(head, sizeof(head), "--%s%s%s", option->name,
		    option->value ? " " : "", option->value ? option->value : "");
		if (option->letter)
			fprintf(file, "  -%c, %-20s %s\n", option->letter, head,
			    option->help);
		else
			fprintf(file, "      %-20s %s\n", head, option->help);
	}
}
