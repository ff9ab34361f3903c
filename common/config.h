/*
 * The configuration: config.json read strictly into typed members (design.md 2).
 *
 * The rows of options.def are the only description of an option. Every key is
 * checked for its type, its bounds and its form; nothing is guessed and nothing is
 * ignored. A configuration is read whole or not at all.
 *
 * File form: JSON. A line whose very first character is '#' is a comment; a '#'
 * after blanks is not. Comment lines are blanked in place, so line numbers in errors
 * are those of the file. Keys given twice are refused. At most CONFIG_SIZE_MAX bytes.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes of a configuration file. */
#define CONFIG_SIZE_MAX (1024 * 1024)

/* Bytes of texts, without the NUL, and entries of lists (columns of options.def). */
#define CONFIG_HOST_MAX 45         /* the longest IPv6 address */
#define CONFIG_HOST_NAME_MAX 253   /* RFC 1123 2.1, without the root's dot */
#define CONFIG_HOST_HEADER_MAX 259 /* a name and ":65535" */
#define CONFIG_ORIGIN_MAX 267      /* "https://" and that */
#define CONFIG_GROUP_MAX 32
#define CONFIG_URL_MAX 1024
#define CONFIG_URL_PATH_MAX 256
#define CONFIG_PATH_MAX 1024
#define CONFIG_SOCKET_PATH_MAX 107 /* sun_path of unix(7), less its NUL */
#define CONFIG_RUNTIME_DIR_MAX 89  /* leaves room for "/webhook/link.sock" in it */
#define CONFIG_HOSTS_MAX 32
#define CONFIG_SCOPES_MAX 64
#define CONFIG_SCOPE_LENGTH_MAX 200
#define CONFIG_SUBSCRIPTIONS_MAX 100
#define CONFIG_FEATURES_MAX 100
#define CONFIG_FEATURE_NAME_MAX 64
#define CONFIG_ACTIONS_MAX 500

/* The words of each enumerated option: enum config_log_level has
 * CONFIG_LOG_LEVEL_ERROR and so on, see options.def. CONFIG_..._MAX counts them. */
#define OPTION_WORDS(type) \
	enum config_##type \
	{
#define OPTION_WORD(type, ID, text) CONFIG_##ID,
#define OPTION_WORDS_END(type, TYPE) \
	CONFIG_##TYPE##_MAX \
	} \
	;
#include "common/options.def"

/* Some texts. */
struct config_list {
	char **items; /* NULL when there are none */
	size_t count;
};

/* The events wanted for one channel. Older event names were replaced by the real
 * ones, so the names here are the platform's. */
struct config_subscription {
	char *username;
	struct config_list events; /* never empty, no name twice */
};

struct config_subscriptions {
	struct config_subscription *items; /* NULL when there are none */
	size_t count;
};

/* From here on rows of options.def become members. */
#define CONFIG_MEMBER_NUMBER(s, name, d, least, most, when, who, t) uint32_t name;
#define CONFIG_MEMBER_FLAG(s, name, d, when, who, t) bool name;
#define CONFIG_MEMBER_TEXT(s, name, d, longest, check, when, who, t) char *name;
#define CONFIG_MEMBER_URL(s, name, d, check, when, who, t) char *name;
#define CONFIG_MEMBER_PATH(s, name, longest, when, who, t) char *name;
#define CONFIG_MEMBER_ENUM(s, name, type, D, when, who, t) enum config_##type name;
#define CONFIG_MEMBER_LIST(s, name, d, items, longest, check, when, who, t) \
	struct config_list name;

/* One platform: authorize_url, token_url, revoke_url, validate_url, introspect_url,
 * device_url, api_url, default_scopes, public_key_file, ca_file. */
struct config_platform {
#define OPTIONS_OF_ONE_PLATFORM
#define OPTION_URL CONFIG_MEMBER_URL
#define OPTION_PATH CONFIG_MEMBER_PATH
#define OPTION_LIST CONFIG_MEMBER_LIST
#include "common/options.def"
#undef OPTIONS_OF_ONE_PLATFORM
};

/* Index of a platform in config->platform[]: CONFIG_PLATFORM_KICK and so on. */
enum config_platform_index {
#define OPTION_PLATFORM(ID, name, a, t, r, v, i, d, api, scopes) CONFIG_PLATFORM_##ID,
#include "common/options.def"
	CONFIG_PLATFORM_MAX
};

/* The members of config->platforms, in the order of config->platform[]. */
struct config_platform_names {
#define OPTION_PLATFORM(ID, name, a, t, r, v, i, d, api, scopes) \
	struct config_platform name;
#include "common/options.def"
};

/*
 * All options, as config->server.port, config->platforms.kick.token_url (the same as
 * config->platform[CONFIG_PLATFORM_KICK].token_url) and so on. Texts are NULL when
 * they are unset, and lists empty.
 *
 * `features` and `actions` hold the JSON text of an object and of an array, "{}" and
 * "[]" when they are not configured. They keep the order of the file.
 */
struct config {
#define OPTION_SECTION(section, t) struct {
#define OPTION_SECTION_END(section) \
	} \
	section;
#define OPTION_NUMBER CONFIG_MEMBER_NUMBER
#define OPTION_FLAG CONFIG_MEMBER_FLAG
#define OPTION_TEXT CONFIG_MEMBER_TEXT
#define OPTION_URL CONFIG_MEMBER_URL
#define OPTION_PATH CONFIG_MEMBER_PATH
#define OPTION_ENUM CONFIG_MEMBER_ENUM
#define OPTION_LIST CONFIG_MEMBER_LIST
#define OPTION_SUBSCRIPTIONS(s, name, items, when, who, t) \
	struct config_subscriptions name;
#define OPTION_FEATURES(name, items, when, who, t) char *name;
#define OPTION_ACTIONS(name, items, when, who, t) char *name;
#define OPTION_PLATFORM(ID, name, a, t, r, v, i, d, api, scopes)
#define OPTION_PLATFORMS \
	union { \
		struct config_platform_names platforms; \
		struct config_platform platform[CONFIG_PLATFORM_MAX]; \
	};
#include "common/options.def"
};

#undef CONFIG_MEMBER_NUMBER
#undef CONFIG_MEMBER_FLAG
#undef CONFIG_MEMBER_TEXT
#undef CONFIG_MEMBER_URL
#undef CONFIG_MEMBER_PATH
#undef CONFIG_MEMBER_ENUM
#undef CONFIG_MEMBER_LIST

/* ---- Problems ---- */

#define CONFIG_PROBLEMS_MAX 20
#define CONFIG_KEY_MAX 160
#define CONFIG_SENTENCE_MAX 700

/* One thing that is wrong. */
struct config_problem {
	unsigned line;                      /* from 1; 0 when not known */
	char key[CONFIG_KEY_MAX];           /* "server.port", "" when none; printable */
	char sentence[CONFIG_SENTENCE_MAX]; /* "config.json:3: \"server.port\" must be a
					     * whole number from 0 to 65535, found
					     * true"; printable ASCII, no line end */
};

/* What was found while reading. Errors keep a configuration from being used, warnings
 * do not. The counts may exceed CONFIG_PROBLEMS_MAX; the arrays hold the first ones. */
struct config_error {
	size_t errors;
	size_t warnings;
	struct config_problem error[CONFIG_PROBLEMS_MAX];
	struct config_problem warning[CONFIG_PROBLEMS_MAX];
};

/* Writes every sentence as one line, warnings first with "warning: " before them, and
 * a last line that counts errors that were not kept. */
void config_error_print(const struct config_error *error, FILE *file);

/* ---- Reading ---- */

/* Fills with the defaults. The caller ends it with config_clear. */
void config_init(struct config *ret_config);

/* Frees every member and leaves the struct zeroed. A zeroed struct is allowed. */
void config_clear(struct config *config);

/*
 * Reads the file at `path`, every key over its default. A file that does not exist
 * gives the defaults, unless `must_exist`. Anything but a regular file is refused.
 *
 * 0; or -EINVAL, or the errno of opening and reading, with at least one error in
 * *ret_error and *ret_config untouched. *ret_error is filled in both cases: look at
 * its warnings after success. *ret_config need not be initialised; the caller ends
 * it with config_clear after success.
 */
int config_load(const char *path, bool must_exist, struct config *ret_config,
    struct config_error *ret_error);

/* The same for text in memory; `name` stands for the file in sentences. */
int config_parse(const char *text, size_t length, const char *name,
    struct config *ret_config, struct config_error *ret_error);

/* ---- Writing ---- */

/* Writes the configuration as JSON that can be loaded again and has the same values;
 * unset options are left out. 0, or -EIO when it cannot be written. */
int config_show(const struct config *config, FILE *file);

/* Writes the JSON Schema (draft 2020-12) of the file. 0 or -EIO. */
int config_schema(FILE *file);

/* ---- The table ---- */

enum config_kind {
	CONFIG_NUMBER,        /* uint32_t */
	CONFIG_FLAG,          /* bool */
	CONFIG_TEXT,          /* char *, NULL when unset */
	CONFIG_URL,           /* char *, NULL when unset */
	CONFIG_PATH,          /* char *, NULL when unset; absolute */
	CONFIG_ENUM,          /* an enum, index into `words` */
	CONFIG_LIST,          /* struct config_list */
	CONFIG_SUBSCRIPTIONS, /* struct config_subscriptions */
	CONFIG_FEATURES,      /* char *, JSON object */
	CONFIG_ACTIONS,       /* char *, JSON array */
};

/* What a text must look like. */
enum config_check {
	CONFIG_CHECK_NONE,
	CONFIG_CHECK_HOST,        /* "localhost" or an IP address */
	CONFIG_CHECK_HOST_HEADER, /* name or address, port optional */
	CONFIG_CHECK_ORIGIN,      /* http or https, host, port optional, nothing else */
	CONFIG_CHECK_MODE,        /* permissions in octal */
	CONFIG_CHECK_GROUP,       /* name of a group */
	CONFIG_CHECK_SCOPE,       /* scope-token of RFC 6749 3.3 */
	CONFIG_CHECK_URL_PATH,    /* absolute path of plain segments */
	CONFIG_CHECK_URL,         /* https, or http where the host is loopback */
	CONFIG_CHECK_URL_BASE, /* the same without query; the last slash is dropped */
	CONFIG_CHECK_PATH,     /* absolute path; the last slash is dropped */
};

/* Which programs use an option, as bits. */
enum {
	CONFIG_FOR_API = 1,
	CONFIG_FOR_WEBHOOK = 2,
	CONFIG_FOR_BROKER = 4,
	CONFIG_FOR_API_AND_BROKER = 5,
	CONFIG_FOR_WEBHOOK_AND_BROKER = 6,
	CONFIG_FOR_ALL = 7,
};

/* When a changed option takes effect. */
enum config_when { CONFIG_WHEN_RELOAD, CONFIG_WHEN_RESTART };

/* A row of options.def. */
struct config_option {
	const char *key; /* "server.port" */
	const char *sentence;
	enum config_kind kind;
	enum config_check check;
	enum config_when when;
	unsigned who;     /* CONFIG_FOR_... bits */
	size_t offset;    /* of the member in struct config */
	uint32_t number;  /* default of numbers, flags (0, 1) and enums (index) */
	uint32_t least;   /* smallest number */
	uint32_t most;    /* largest number, or most entries of a list */
	size_t longest;   /* bytes of a text or of each entry */
	const char *text; /* default of texts; lists: entries separated by spaces;
			   * NULL when unset */
	const char *const *words; /* enum words, `word_count` of them */
	size_t word_count;
};

/* All rows in the order of the manual; static memory. */
const struct config_option *config_options(size_t *ret_count);

/* The row of a key, NULL when there is none. */
const struct config_option *config_option_find(const char *key);

/* Writes the default of a row as one line of JSON without line end, "null" when it is
 * unset. For the manual. 0 or -EIO. */
int config_option_default(const struct config_option *option, FILE *file);

/* The same for the value that a configuration has. */
int config_option_value(
    const struct config_option *option, const struct config *config, FILE *file);

/* What a group ("server") is about, NULL when there is no such group. For the manual
 * and the schema. */
const char *config_section_sentence(const char *section);

/*
 * Writes the rows whose values differ into `ret_changed`, which has room for `room`,
 * and returns how many differ; their `when` says what can be reloaded.
 */
size_t config_diff(const struct config *before, const struct config *after,
    const struct config_option **ret_changed, size_t room);

/* Exchanges one option's value between two configurations, each of which stays owner of
 * what it then holds. */
void
config_swap(struct config *a, struct config *b, const struct config_option *option);

/* ---- Words and platforms ---- */

/* "kick" for CONFIG_PLATFORM_KICK. */
const char *config_platform_name(enum config_platform_index platform);

/* Whether an address that passed the checks above has a loopback host: localhost,
 * 127.0.0.0/8 or [::1]. Plain http may be used for these only. */
bool config_url_is_loopback(const char *url);

/* Whether a host that passed the checks is a loopback one: "localhost" or an address.
 */
bool config_host_is_loopback(const char *host);

/* "http://[::1]:3001/webhooks/kick": where a listener on a host that passed the checks
 * is reached. `path` may be "". The caller frees. */
char *config_listener_url(const char *host, unsigned port, const char *path);

/* Event names that subscriptions.kick knows; static. */
const char *const *config_event_names(size_t *ret_count);

/* An older name for an event: what it is called at the platform. */
struct config_older_event {
	const char *older;
	const char *name;
	const char *further_name; /* NULL when it meant one event */
};
const struct config_older_event *config_older_events(size_t *ret_count);

/* ---- Finding the file ---- */

struct paths_env;

/*
 * Which file to load: `option` (of --config) when not NULL, else the first that
 * exists of $XDG_CONFIG_HOME/streamhold/config.json (~/.config when that is unset; not
 * in system mode, see paths.h) and /etc/streamhold/config.json, else the last of these
 * although it does not exist. The result goes to config_load as it is. The caller
 * frees *ret_path.
 */
void config_find_path(const char *option, bool system, const struct paths_env *env,
    char **ret_path, bool *ret_must_exist);

#endif
