/*
 * Notifications of the fronts: where they listen, and what they have counted.
 */
#include <stdio.h>

#include "broker/front_messages.h"
#include "common/log.h"

static struct front_state *
state_of(struct client *client)
{
	return client->role == CLIENT_api ? &client->broker->api
					  : &client->broker->webhook;
}

void
on_listening(struct client *client, struct proto_msg *msg)
{
	struct front_state *state = state_of(client);

	state->port = msg->listening.port;
	(void)snprintf(
	    state->addresses, sizeof(state->addresses), "%s", msg->listening.addresses);
	(void)snprintf(
	    state->sandbox, sizeof(state->sandbox), "%s", msg->listening.sandbox);
	log_debug("front", "the %s front listens on '%s'",
	    client->role == CLIENT_api ? "api" : "webhook",
	    log_quote(state->addresses));
}

void
on_count(struct client *client, struct proto_msg *msg)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s_%.50s",
	    client->role == CLIENT_api ? "api" : "webhook", msg->count.name);
	broker_count(client->broker, name, msg->count.more);
}

void
on_leaving(struct client *client, struct proto_msg *msg)
{
	(void)msg;
	state_of(client)->leaving = true;
}

void
on_load(struct client *client, struct proto_msg *msg)
{
	struct front_state *state = state_of(client);

	state->connections = msg->load.connections;
	state->waiting = msg->load.waiting;
	state->streams = msg->load.streams;
	state->memory = msg->load.memory;
}
