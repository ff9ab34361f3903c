/*
 * The command's side of broker.sock: one connection, one question at a time, waited
 * for.
 *
 * Everything that goes wrong is said on standard error here, with the command to type
 * next; the callers only pass on the exit status.
 */
#ifndef BROKER_CLI_CLIENT_H
#define BROKER_CLI_CLIENT_H

#include "broker/cli/cli.h"
#include "proto/proto.h"

/* Deadlines of questions. A deletion asks the platform to revoke first. */
#define CLIENT_ANSWER_MS 5000
#define CLIENT_DELETE_MS 15000
#define CLIENT_TOKEN_MS 20000 /* a refresh may be needed */
#define CLIENT_REFRESH_MS 25000
#define CLIENT_TRIGGER_MS 10000 /* a key may have to be made */
#define CLIENT_LOGIN_MS 22000   /* the exchange of a code */

/* What to type when the service does not run: from a tree, or as it was installed. */
#define CLIENT_HOW_TO_START "streamhold up  (or: systemctl start streamhold.target)"

struct client;

/* One question. */
struct client_question {
	const struct proto_msg *msg;
	unsigned deadline_ms;
	/* Rows of a list; may be NULL. Taken with proto_move or cleared afterwards. */
	void (*on_row)(void *arg, struct proto_msg *row);
	/* Called about once a second while waiting; may be NULL. */
	void (*on_tick)(void *arg);
	/* Called when waiting is over and before anything is said; may be NULL. */
	void (*on_done)(void *arg);
	void *arg;
	/* What the command to type after a failure is about; NULL: not known. */
	const char *platform;
	const char *username;
	/* The command to type after a failure; NULL: by the kind of failure. */
	const char *next;
	/* The sentence when a person was waited for in vain; NULL: the broker is slow.
	 */
	const char *late;
	int late_status; /* exit status for it; 0: CLI_PROVIDER */
};

/* Finds the socket, connects and exchanges hellos. CLI_OK; CLI_STOPPED when nobody is
 * there, CLI_FAILURE when this user may not or the builds differ. */
int client_open(const struct cli *cli, struct client **ret_client);

/* The same without a word while nobody listens, for trying again. */
int client_try(const struct cli *cli, struct client **ret_client);

/* Closes. NULL is allowed. */
void client_close(struct client *client);

/*
 * Asks and waits for the final answer, moved to *ret_answer unless that is NULL (the
 * caller clears it). CLI_OK, the exit status of a `failed` answer by errors.def,
 * CLI_STOPPED when the broker went away, CLI_INTERRUPTED on Ctrl-C.
 */
int client_ask(struct client *client, const struct client_question *question,
    struct proto_msg *ret_answer);

/* The same over a connection of its own, for verbs that ask one thing. */
int client_ask_once(const struct cli *cli, const struct client_question *question,
    struct proto_msg *ret_answer);

/* Loads the configuration that is meant by --config, --system and the default places.
 * CLI_OK or CLI_FAILURE; then the problems were printed. The caller ends it with
 * config_clear. */
struct config;
int client_config(const struct cli *cli, struct config *ret_config);

#endif
