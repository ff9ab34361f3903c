/*
 * Logins that a crash has cut off while their tokens were being stored. Only for the
 * files of this folder.
 */
#ifndef BROKER_OAUTH_LOGIN_ADOPT_H
#define BROKER_OAUTH_LOGIN_ADOPT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "broker/broker.h"
#include "broker/store/store_account.h"

struct platform;

/* A keystore that is locked or away is asked again after so long. */
#define LOGIN_ADOPT_AGAIN_MS 2000

struct login_note {
	const struct platform *platform;
	struct store_account row;
	bool running;
	TAILQ_ENTRY(login_note) entry;
};
TAILQ_HEAD(login_notes, login_note);

/* Takes over a row of table `login_notes` at start. */
void login_note_load(struct login_notes *notes, struct store_account *row);
void login_notes_clear(struct login_notes *notes);

/* Looks for the tokens of the notes, from the loop, until each is settled. */
void login_adopt_start(struct broker *broker);
void login_adopt_stop(struct broker *broker);

/* A flow that went on from a note has ended, well or not. */
void login_adopt_ended(
    struct broker *broker, const struct platform *platform, const char *username);

/* Forgets the note of a name, in memory; the caller's job has removed the row. */
void login_note_forget(
    struct broker *broker, const struct platform *platform, const char *username);

/* The same, and the row as well. */
void login_note_drop(
    struct broker *broker, const struct platform *platform, const char *username);

#endif
