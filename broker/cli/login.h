/*
 * `streamhold login` in its ways: with a browser here (verb_login.c), with an address
 * that is typed back (login_paste.c), with a code on another device (login_device.c).
 */
#ifndef BROKER_CLI_LOGIN_H
#define BROKER_CLI_LOGIN_H

#include "broker/cli/client.h"

struct login {
	struct cli *cli;
	struct client *client;
	struct proto_msg started;
	int64_t until; /* boot-time ms */
	bool countdown;
	bool shown;            /* the person was told what to do */
	const char *waits_for; /* in the countdown */
};

/* What a person is shown. */
struct login_address {
	const char *address;
	const char *code;    /* to type there; NULL: none */
	uint64_t expires_at; /* ms since 1970 */
	const char *where;   /* the browser that it is for: "on this machine" */
	bool browser;        /* it may be opened here */
};

/* Prints address and code on standard output, a QR code when that was asked for, and
 * opens a browser where there is one. */
void login_show(const struct login *login, const struct login_address *shown);

/* login_start, and what it answers to login->started. Exit status as client_ask. */
int login_begin(struct login *login);

/* For client_question: the countdown. */
void login_on_tick(void *arg);
void login_on_done(void *arg);

/* Milliseconds until login->until. */
int64_t login_left_ms(const struct login *login);

/* The login by typed address, from login_begin to *ret_finished. */
int login_paste(struct login *login, struct proto_msg *ret_finished);

/* The login by a code on another device. */
int login_device(struct login *login, struct proto_msg *ret_finished);

#endif
