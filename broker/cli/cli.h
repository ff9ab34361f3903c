/*
 * What all verbs of the `streamhold` command share: its options, its exit statuses and
 * the form of a verb. State and tables only; each verb is a file of its own.
 */
#ifndef BROKER_CLI_CLI_H
#define BROKER_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of the command (design.md 7). `up` ends with those of the daemons. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILURE = 1,
	CLI_USAGE = 2,
	CLI_STOPPED = 3,  /* the service is not running */
	CLI_LOGIN = 4,    /* a login is needed */
	CLI_NOTHING = 5,  /* no such thing */
	CLI_PROVIDER = 6, /* the platform refused or is away */
	CLI_DEGRADED = 7,
	CLI_INTERRUPTED = 130, /* 128 + SIGINT, as shells say it */
};

/* What was typed. Texts are borrowed from argv and NULL when absent. */
struct cli {
	/* of every verb */
	const char *socket;
	const char *config;
	bool system;
	bool json;
	bool no_color;
	bool help;
	bool version;

	/* of some */
	bool check_only;      /* up -n */
	bool check;           /* status --check */
	bool ask;             /* accounts --ask */
	bool yes;             /* app remove, logout: --yes */
	bool adopt;           /* login --adopt */
	bool no_browser;      /* login --no-browser */
	bool qr;              /* login --qr */
	bool paste;           /* login --paste */
	bool device;          /* login --device */
	bool header;          /* token get --header */
	bool secret_stdin;    /* app add --secret-stdin */
	bool dry_run;         /* subs sync, subs adopt: --dry-run */
	bool include_foreign; /* events list --include-foreign */
	bool follow;          /* events tail --follow */
	bool all;             /* consumers retry --all */
	const char *client_id;
	const char *min_ttl;
	const char *scopes;
	const char *timeout;
	const char *to;          /* keystore migrate, events replay: --to */
	const char *as;          /* trigger --as */
	const char *kind;        /* events, consumers add: --kind */
	const char *include;     /* events, consumers add: --include */
	const char *broadcaster; /* trigger, events, consumers add: --broadcaster */
	const char *count;       /* trigger --count */
	const char *after;
	const char *limit;
	const char *type;
	const char *platform;
	const char *start;         /* consumers add --start */
	const char *forward;       /* consumers add --forward */
	const char *allow_private; /* consumers add --allow-private */
	const char *overlap;       /* consumers rotate-secret --overlap */

	/* Words that follow the verb. */
	char **words;
	size_t word_count;

	bool color; /* standard output takes colours */
};

/* A verb. Two-word verbs ("app add") have both words in `name`. */
struct verb {
	const char *name;
	const char *arguments; /* for the help; "" when there are none */
	size_t least;          /* words that must follow */
	size_t most;           /* words that may follow */
	const char *options;   /* names of its own options, separated by spaces */
	const char *help;      /* one line */
	int (*run)(struct cli *cli);
};

/* The verbs in the order of the help; the last has no name. */
extern const struct verb verbs[];

int verb_up(struct cli *cli);
int verb_status(struct cli *cli);
int verb_doctor(struct cli *cli);
int verb_keystore_status(struct cli *cli);
int verb_keystore_migrate(struct cli *cli);
int verb_keystore_rotate(struct cli *cli);
int verb_database_check(struct cli *cli);
int verb_inspect(struct cli *cli);
int verb_app_add(struct cli *cli);
int verb_app_list(struct cli *cli);
int verb_app_remove(struct cli *cli);
int verb_login(struct cli *cli);
int verb_logout(struct cli *cli);
int verb_accounts(struct cli *cli);
int verb_token_get(struct cli *cli);
int verb_token_allow(struct cli *cli);
int verb_token_deny(struct cli *cli);
int verb_exec(struct cli *cli);
int verb_audit(struct cli *cli);
int verb_refresh(struct cli *cli);
int verb_subs_list(struct cli *cli);
int verb_subs_set(struct cli *cli);
int verb_subs_sync(struct cli *cli);
int verb_subs_clear(struct cli *cli);
int verb_subs_reset(struct cli *cli);
int verb_subs_adopt(struct cli *cli);
int verb_events_list(struct cli *cli);
int verb_events_show(struct cli *cli);
int verb_events_tail(struct cli *cli);
int verb_events_replay(struct cli *cli);
int verb_trigger(struct cli *cli);
int verb_consumers_add(struct cli *cli);
int verb_consumers_list(struct cli *cli);
int verb_consumers_show(struct cli *cli);
int verb_consumers_remove(struct cli *cli);
int verb_consumers_dead(struct cli *cli);
int verb_consumers_retry(struct cli *cli);
int verb_consumers_enable(struct cli *cli);
int verb_consumers_test(struct cli *cli);
int verb_consumers_rotate(struct cli *cli);
int verb_config_check(struct cli *cli);
int verb_config_show(struct cli *cli);
int verb_config_schema(struct cli *cli);
int verb_config_template(struct cli *cli);
int verb_config_units(struct cli *cli);
int verb_version(struct cli *cli);
int verb_help(struct cli *cli);

#endif
