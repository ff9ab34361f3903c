/*
 * streamhold-vault: the one program that talks to the keyring of the desktop.
 *
 * Started by the broker with one end of a socket pair as descriptor 3, it answers one
 * question after the other and ends with the connection. It keeps nothing. A call to
 * the keyring may block for as long as it likes: the broker then kills this process
 * and starts another (broker/vault/vault_child.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/vault/vault_helper_keyring.h"
#include "broker/vault/vault_link.h"
#include "common/locked_memory.h"
#include "common/process.h"
#include "common/version.h"
#include "proto/chan.h"

typedef void answer_fn(struct chan *chan, const struct proto_msg *msg);

static void
answer_failed(
    struct chan *chan, uint32_t rid, enum proto_error error, const char *detail)
{
	const struct proto_msg failed =
	    proto_failed(error, *detail ? detail : proto_error_info(error)->doc);

	(void)chan_send(chan, rid, &failed);
}

static void
answer_state(struct chan *chan, const struct proto_msg *msg)
{
	struct keyring_state state;

	keyring_state(&state);
	(void)chan_send(chan, msg->rid,
	    &(const struct proto_msg){
		.type = MSG_vault_state,
		.vault_state = {
			.state = state.state,
			.answers = state.answers,
			.detail = state.detail,
		},
	    });
}

static void
answer_store(struct chan *chan, const struct proto_msg *msg)
{
	const struct proto_vault_store *asked = &msg->vault_store;
	const struct keyring_item item = { asked->database, asked->name,
		asked->generation };
	char detail[KEYRING_DETAIL_SIZE] = "";
	enum proto_error error = keyring_store(&item, &asked->value, detail);

	if (error == ERR_none)
		(void)chan_send(chan, msg->rid,
		    &(const struct proto_msg){ .type = MSG_vault_stored });
	else
		answer_failed(chan, msg->rid, error, detail);
}

static void
answer_load(struct chan *chan, const struct proto_msg *msg)
{
	const struct proto_vault_load *asked = &msg->vault_load;
	const struct keyring_item item = { asked->database, asked->name,
		asked->generation };
	char detail[KEYRING_DETAIL_SIZE] = "";
	struct secret value = SECRET_NONE;
	enum proto_error error = keyring_load(&item, &value, detail);

	if (error == ERR_none)
		(void)chan_send(chan, msg->rid,
		    &(const struct proto_msg){
			.type = MSG_vault_loaded, .vault_loaded = { .value = value } });
	else
		answer_failed(chan, msg->rid, error, detail);
	secret_clear(&value);
}

static void
answer_erase(struct chan *chan, const struct proto_msg *msg)
{
	const struct proto_vault_erase *asked = &msg->vault_erase;
	const struct keyring_item item = { asked->database, asked->name,
		asked->generation };
	char detail[KEYRING_DETAIL_SIZE] = "";
	enum proto_error error = keyring_erase(&item, detail);

	if (error == ERR_none)
		(void)chan_send(chan, msg->rid,
		    &(const struct proto_msg){ .type = MSG_vault_erased });
	else
		answer_failed(chan, msg->rid, error, detail);
}

struct listing {
	struct chan *chan;
	uint32_t rid;
};

static void
send_item(void *arg, const char *name, uint64_t generation, uint64_t created)
{
	const struct listing *listing = arg;

	(void)chan_send(listing->chan, listing->rid,
	    &(const struct proto_msg){ .type = MSG_vault_item,
		.vault_item = {
		    .name = name, .generation = generation, .created = created } });
}

static void
answer_list(struct chan *chan, const struct proto_msg *msg)
{
	struct listing listing = { .chan = chan, .rid = msg->rid };
	char detail[KEYRING_DETAIL_SIZE] = "";
	enum proto_error error =
	    keyring_list(msg->vault_list.database, send_item, &listing, detail);

	if (error == ERR_none)
		(void)chan_send(chan, msg->rid,
		    &(const struct proto_msg){ .type = MSG_vault_listed });
	else
		answer_failed(chan, msg->rid, error, detail);
}

static const struct {
	enum proto_type type;
	answer_fn *answer;
} rows[] = {
	{ MSG_vault_state_get, answer_state },
	{ MSG_vault_store, answer_store },
	{ MSG_vault_load, answer_load },
	{ MSG_vault_erase, answer_erase },
	{ MSG_vault_list, answer_list },
};

static void
on_ready(struct chan *chan, void *arg)
{
	(void)chan;
	(void)arg;
}

static void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == msg->type)
			rows[i].answer(chan, msg);
}

/* Without the end of a process that tidies up: other threads of GLib may be at work. */
static void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	(void)chan;
	(void)arg;
	(void)reason;
	_exit(EXIT_STOPPED);
}

static void
read_arguments(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		version_print("streamhold-vault");
		exit(EXIT_STOPPED);
	}
	/* It reads no configuration, so there is nothing to find wrong with it. */
	if (argc == 2 && strcmp(argv[1], "-n") == 0)
		exit(EXIT_STOPPED);
	if (argc == 1 && fcntl(VAULT_LINK_FD, F_GETFD) >= 0)
		return;
	(void)fputs(
	    "Usage: streamhold-vault [--version] [--help] [-n]\n\n"
	    "Talks to the keyring of the desktop. Started by streamhold-broker, "
	    "not by hand.\n"
	    "It reads no configuration, so -n, which checks that, finds nothing.\n",
	    argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
	exit(argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_STOPPED : EXIT_CONFIG);
}

int
main(int argc, char **argv)
{
	static const struct chan_handlers handlers = { on_ready, on_message,
		on_closed };
	const struct chan_options options = {
		.program = "streamhold-vault",
		.version = version_text(),
		.role = VAULT_LINK_ROLE,
		.expect = "broker",
		.vault = true,
		.locked_in = true,
		.locked_out = true,
		.sender = getuid(),
		.frame_max = PROTO_FRAME_VAULT_MAX,
		.handlers = &handlers,
	};
	struct event_base *base;

	locked_memory_stack();
	read_arguments(argc, argv);
	process_harden(1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)fcntl(VAULT_LINK_FD, F_SETFD, FD_CLOEXEC);
	/* With a display GLib would start a bus of its own when there is none. */
	(void)unsetenv("DISPLAY");
	(void)unsetenv("WAYLAND_DISPLAY");
	base = event_base_new();
	if (!base)
		return EXIT_INIT;
	(void)chan_new(base, VAULT_LINK_FD, &options);
	(void)event_base_dispatch(base);
	return EXIT_STOPPED;
}
