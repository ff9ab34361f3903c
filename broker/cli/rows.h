/*
 * Rows of a list, kept until all are there, and how an account is shown.
 */
#ifndef BROKER_CLI_ROWS_H
#define BROKER_CLI_ROWS_H

#include <stdio.h>

#include "broker/cli/client.h"
#include "broker/cli/out.h"

/* More rows than this are not kept. */
#define ROWS_MAX 100000

struct rows {
	struct proto_msg *items;
	size_t count;
};

/* Asks for a list and keeps its rows, also those that came before a failure. The caller
 * calls rows_clear. Exit statuses as client_ask; *ret_next is the cursor of list_end
 * and may be NULL. */
int rows_ask(struct client *client, const struct proto_msg *msg, struct rows *ret_rows,
    uint64_t *ret_next);

/* The same for what takes longer. */
int rows_ask_within(struct client *client, const struct proto_msg *msg,
    unsigned deadline_ms, struct rows *ret_rows, uint64_t *ret_next);

/* As rows_ask, over a connection of its own. */
int rows_ask_once(const struct cli *cli, const struct proto_msg *msg,
    struct rows *ret_rows, uint64_t *ret_next);

void rows_clear(struct rows *rows);

/* Asks for all logins, or those of a platform, and for those that were turned away. The
 * caller clears both lists in every case. Exit statuses as rows_ask. */
int rows_accounts_ask(struct client *client, const char *platform,
    struct rows *ret_accounts, struct rows *ret_refused);

/* The value of a report row, NULL when there is none. Borrowed. */
const char *rows_report(const struct rows *rows, const char *section, const char *name);

/* An account as a JSON object, and as a row of a table that was started with
 * rows_account_table. */
void rows_account_json(struct out_json *json, const struct proto_account *account);
void rows_account_table(struct out_table *table);
void rows_account_add(struct out_table *table, const struct proto_account *account);

/* Rows of type login_refused: lines for a person on standard output, each with what to
 * do, and the member "refused_logins". */
void rows_refused_print(const struct rows *rows);
void rows_refused_json(struct out_json *json, const struct rows *rows);

/* What will not work for want of a scope. All borrowed. */
struct rows_unmet {
	const char *platform;
	const char *username;
	const char *missing_scopes; /* those that were asked for */
	const char *lines;          /* of proto_account.unmet, NULL: none */
};

/* Lines for a person, each with what to do; the member "unmet_scope"; and the lines of
 * all accounts of a list on standard output. */
void rows_unmet_print(FILE *stream, const struct rows_unmet *lacking);
void rows_unmet_json(struct out_json *json, const char *lines);
void rows_accounts_unmet(const struct rows *rows);

/* Whether a person must log in again: the login was lost, or has expired and cannot be
 * refreshed. */
bool rows_account_needs_login(const struct proto_account *account);

#endif
