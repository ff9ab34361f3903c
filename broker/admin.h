/*
 * The admin socket, broker.sock: the `streamhold` command talks to it.
 */
#ifndef BROKER_ADMIN_H
#define BROKER_ADMIN_H

#include "broker/broker.h"

struct admin;

/* Commands connected at the same time; further ones wait until one of them ends. */
#define ADMIN_CLIENTS_MAX 64

/* Accepts on the passed listener. Root, the broker's own user and members of `group`
 * are let in; NULL or an unknown group admits no further users. */
struct admin *admin_new(struct broker *broker, int listener, const char *group);

/* Stops accepting, closes all clients. NULL is allowed. */
void admin_free(struct admin *admin);

#endif
