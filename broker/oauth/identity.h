/*
 * Who is behind a token, as far as look-ups have told.
 */
#ifndef BROKER_OAUTH_IDENTITY_H
#define BROKER_OAUTH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of what is kept of an account. */
#define IDENTITY_ID_MAX 128
#define IDENTITY_NAME_MAX 400

/* Names under which a person may ask for an account. */
#define IDENTITY_NAMES_MAX 6

struct identity {
	char *user_id;      /* NULL: not known */
	char *login;        /* the name in addresses, NULL: not known */
	char *display_name; /* NULL: not known */
	char *own_name;     /* the name to store it under when it is adopted */
	char *names[IDENTITY_NAMES_MAX];
	size_t name_count;
	bool life_known; /* a look-up told how long the token lives */
	int64_t life_s;
};

void identity_clear(struct identity *identity);

/* Sets a member to a copy; NULL leaves it. */
void identity_set(char **member, const char *value);

/* Adds a copy to the names; NULL and what is there already are ignored. */
void identity_add_name(struct identity *identity, const char *name);

/* Whether anything was found out. */
bool identity_is_known(const struct identity *identity);

/* Whether a person may have meant this account, compared without ASCII case. */
bool identity_has_name(const struct identity *identity, const char *name);

/* The name to show and to store an adopted account under: own_name when it may be a
 * user name, else the id; NULL when neither may. Borrowed. */
const char *identity_own_name(const struct identity *identity);

#endif
