/*
 * Accepts commands on broker.sock, checks who they are, and dispatches what they ask.
 * Owns the clients of role admin.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/admin.h"
#include "broker/dispatch.h"
#include "broker/flow.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/sock.h"
#include "common/version.h"

#define NO_GROUP ((gid_t)-1)

struct admin_client {
	struct client client;
	struct admin *admin;
	LIST_ENTRY(admin_client) entry;
};

struct admin {
	struct broker *broker;
	struct event *accept;
	gid_t group;
	unsigned count;
	LIST_HEAD(admin_clients, admin_client) clients;
};

static void
client_free(struct admin_client *admin_client)
{
	flows_client_gone(&admin_client->client);
	chan_free(admin_client->client.chan);
	LIST_REMOVE(admin_client, entry);
	if (admin_client->admin->count-- == ADMIN_CLIENTS_MAX)
		(void)event_add(admin_client->admin->accept, NULL);
	free(admin_client);
}

static void
on_ready(struct chan *chan, void *arg)
{
	const struct admin_client *admin_client = arg;

	log_debug("admin", "'%s' of user %u is connected",
	    log_quote(chan_hello(chan)->program), (unsigned)admin_client->client.uid);
}

static void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct admin_client *admin_client = arg;

	if (dispatch(&admin_client->client, msg))
		return;
	chan_break(chan, "a message that this role may not send");
}

static void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	struct admin_client *admin_client = arg;

	if (chan_was_broken(chan))
		broker_count(admin_client->client.broker, "link_violations", 1);
	log_debug("admin", "a command left: %s", reason);
	client_free(arg);
}

static const struct chan_handlers handlers = {
	.on_ready = on_ready, .on_message = on_message, .on_closed = on_closed
};

static bool
may_enter(const struct admin *admin, int fd, uid_t *ret_uid, pid_t *ret_pid)
{
	gid_t gid;

	if (sock_peer(fd, ret_uid, &gid, ret_pid) < 0)
		return false;
	if (*ret_uid == 0 || *ret_uid == geteuid())
		return true;
	return admin->group != NO_GROUP && sock_peer_in_group(fd, admin->group);
}

static void
client_new(struct admin *admin, int fd, uid_t uid, pid_t pid)
{
	struct admin_client *admin_client = xcalloc(1, sizeof(*admin_client));
	const struct chan_options options = { .program = "streamhold-broker",
		.version = version_text(),
		.role = "broker",
		.expect = "admin",
		.broker = true,
		.locked_in = true, /* client secrets come, tokens go */
		.locked_out = true,
		.sender = CHAN_ANY_UID,
		.frame_max = PROTO_FRAME_MAX,
		.handlers = &handlers,
		.arg = admin_client };

	admin_client->admin = admin;
	admin_client->client = (struct client){
		.broker = admin->broker, .role = CLIENT_admin, .uid = uid, .pid = pid
	};
	LIST_INIT(&admin_client->client.flows);
	LIST_INSERT_HEAD(&admin->clients, admin_client, entry);
	admin->count++;
	admin_client->client.chan = chan_new(admin->broker->base, fd, &options);
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct admin *admin = arg;
	int fd = sock_accept(listener);
	uid_t uid = 0;
	pid_t pid = 0;

	(void)what;
	if (fd < 0)
		return;
	if (!may_enter(admin, fd, &uid, &pid)) {
		log_warning(
		    "admin", "user %u may not use the admin socket", (unsigned)uid);
		broker_count(admin->broker, "admin_refused", 1);
		(void)close(fd);
	} else {
		client_new(admin, fd, uid, pid);
		if (admin->count < ADMIN_CLIENTS_MAX)
			return;
		log_warning("admin", "%d commands at once; more have to wait",
		    ADMIN_CLIENTS_MAX);
		(void)event_del(admin->accept);
	}
}

struct admin *
admin_new(struct broker *broker, int listener, const char *group)
{
	struct admin *admin = xcalloc(1, sizeof(*admin));
	const struct group *entry = group ? getgrnam(group) : NULL;

	if (group && !entry)
		log_warning("admin",
		    "there is no group '%s', so only root and this user may "
		    "use the command; continuing",
		    log_quote(group));
	admin->broker = broker;
	admin->group = entry ? entry->gr_gid : NO_GROUP;
	LIST_INIT(&admin->clients);
	admin->accept =
	    event_new(broker->base, listener, EV_READ | EV_PERSIST, on_accept, admin);
	if (!admin->accept)
		abort();
	event_add(admin->accept, NULL);
	return admin;
}

void
admin_free(struct admin *admin)
{
	if (!admin)
		return;
	while (!LIST_EMPTY(&admin->clients))
		client_free(LIST_FIRST(&admin->clients));
	event_free(admin->accept);
	free(admin);
}
