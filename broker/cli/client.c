/*
 * A synchronous client over the same chan as everybody's: a private event base runs
 * until the answer is there.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/cli/client.h"
#include "broker/cli/next.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"
#include "common/sock.h"
#include "common/version.h"
#include "proto/chan.h"

#define TICK_S 1

struct client {
	struct event_base *base;
	struct event *interrupt;
	struct event *tick;
	struct chan *chan;
	bool ready;
	bool closed;
	bool interrupted;
	char reason[200];

	/* The question under way. */
	const struct client_question *question;
	struct proto_msg answer;
	bool answered;
	bool late;
};

/* What to type after a failure. */
static const struct {
	enum proto_error error;
	const char *command;
	bool platform; /* takes the platform of the question */
	bool username; /* and its user name */
	const char *option;
	bool slash; /* as one word, PLATFORM/NAME */
} remedies[] = {
	{ ERR_invalid_state, "streamhold login", true, true, "", false },
	{ ERR_login_denied, "streamhold login", true, true, "", false },
	{ ERR_login_incomplete, "streamhold login", true, true, "", false },
	{ ERR_exchange_failed, "streamhold login", true, true, "", false },
	{ ERR_other_account, "streamhold login", true, true, " --adopt", false },
	{ ERR_no_device_flow, "streamhold login", true, true, " --paste", false },
	{ ERR_no_credentials, "streamhold app add", true, false, "", false },
	{ ERR_no_token, "streamhold login", true, true, "", false },
	{ ERR_login_needed, "streamhold login", true, true, "", false },
	{ ERR_refresh_failed, "streamhold status", false, false, "", false },
	{ ERR_handout_off, "streamhold token allow", true, true, "", true },
	{ ERR_timed_out, "streamhold status", false, false, "", false },
	{ ERR_busy, "streamhold status", false, false, "", false },
};

/* The caller frees. */
static char *
remedy(enum proto_error error, const struct client_question *question)
{
	const char *platform = question->platform ? question->platform : "PLATFORM";
	const char *username = question->username ? question->username : "NAME";
	size_t i;

	if (question->next)
		return xstrdup(question->next);
	if (error == ERR_invalid_platform || error == ERR_invalid_request)
		return xstrdup(next_help());
	if (error == ERR_not_found)
		return xstrdup(next_list());
	for (i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (remedies[i].error == error)
			return xasprintf("%s%s%s%s%s%s", remedies[i].command,
			    remedies[i].platform ? " " : "",
			    remedies[i].platform ? platform : "",
			    !remedies[i].username   ? ""
				: remedies[i].slash ? "/"
						    : " ",
			    remedies[i].username ? username : "", remedies[i].option);
	return xstrdup("streamhold inspect");
}

/* ---- Events ---- */

static void
on_ready(struct chan *chan, void *arg)
{
	struct client *client = arg;

	(void)chan;
	client->ready = true;
	(void)event_base_loopbreak(client->base);
}

static void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	(void)chan;
	(void)arg;
	(void)msg; /* Nothing is sent to a command unasked. */
}

static void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	struct client *client = arg;

	(void)chan;
	client->closed = true;
	(void)strncat(client->reason, reason, sizeof(client->reason) - 1);
	(void)event_base_loopbreak(client->base);
}

static const struct chan_handlers handlers = {
	.on_ready = on_ready, .on_message = on_message, .on_closed = on_closed
};

static void
on_interrupt(evutil_socket_t number, short what, void *arg)
{
	struct client *client = arg;

	(void)number;
	(void)what;
	client->interrupted = true;
	(void)event_base_loopbreak(client->base);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)fd;
	(void)what;
	if (client->question && client->question->on_tick)
		client->question->on_tick(client->question->arg);
}

static void
on_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct client *client = arg;

	if (!answer) {
		client->late = true;
	} else if (!last) {
		if (client->question->on_row)
			client->question->on_row(client->question->arg, answer);
		return;
	} else {
		client->answer = proto_move(answer);
		client->answered = true;
	}
	(void)event_base_loopbreak(client->base);
}

/* ---- Opening ---- */

int
client_config(const struct cli *cli, struct config *ret_config)
{
	struct config_error error;
	struct paths_env env;
	char *path;
	bool must_exist;
	int result;

	paths_env_read(&env);
	config_find_path(
	    cli->config, paths_is_system(cli->system, &env), &env, &path, &must_exist);
	result = config_load(path, must_exist, ret_config, &error);
	if (result < 0) {
		config_error_print(&error, stderr);
		talk_error("streamhold config check", "'%s' cannot be used", path);
	}
	free(path);
	return result < 0 ? CLI_FAILURE : CLI_OK;
}

/* --system alone means the service of the machine, wherever a user's own may be. */
static int
find_socket(
    const struct cli *cli, const struct config *config, bool quiet, char **ret_path)
{
	char error[PATHS_ERROR_SIZE];
	struct paths_env env;
	struct paths paths;
	int result;

	paths_env_read(&env);
	if (cli->system && !cli->socket) {
		result = paths_resolve(config, true, &env, &paths, error);
		if (result == 0) {
			*ret_path = xstrdup(paths.admin_socket);
			paths_clear(&paths);
		}
	} else {
		result =
		    paths_client_socket(cli->socket, config, &env, ret_path, error);
	}
	if (result == 0)
		return CLI_OK;
	if (result != -ENOENT || !quiet)
		talk_error(
		    result == -ENOENT ? CLIENT_HOW_TO_START : next_help(), "%s", error);
	return result == -ENOENT ? CLI_STOPPED : CLI_FAILURE;
}

static int
refuse_user(const char *path)
{
	talk_error("sudo usermod -aG streamhold $USER  (then log in again)",
	    "this user may not use the broker behind '%s': only root, the service's "
	    "own user and members of the group streamhold may",
	    path);
	return CLI_FAILURE;
}

static int
connect_socket(const char *path, bool quiet, int *ret_fd)
{
	int fd = sock_connect_unix(path);

	if (fd >= 0) {
		*ret_fd = fd;
		return CLI_OK;
	}
	if (fd == -EACCES || fd == -EPERM)
		return refuse_user(path);
	if (quiet)
		return CLI_STOPPED;
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		talk_error(CLIENT_HOW_TO_START,
		    "Streamhold is not running: nobody listens on '%s'", path);
	else
		talk_error(CLIENT_HOW_TO_START, "cannot connect to '%s': %s", path,
		    strerror(-fd));
	return CLI_STOPPED;
}

static void
start(struct client *client, int fd)
{
	const struct timeval second = { .tv_sec = TICK_S };
	const struct chan_options options = { .program = "streamhold",
		.version = version_text(),
		.role = "admin",
		.expect = "broker",
		.sender = CHAN_ANY_UID,
		.frame_max = PROTO_FRAME_MAX,
		.handlers = &handlers,
		.arg = client };

	client->base = event_base_new();
	if (!client->base)
		abort();
	client->interrupt = evsignal_new(client->base, SIGINT, on_interrupt, client);
	client->tick = event_new(client->base, -1, EV_PERSIST, on_tick, client);
	if (!client->interrupt || !client->tick)
		abort();
	(void)event_add(client->interrupt, NULL);
	(void)event_add(client->tick, &second);
	client->chan = chan_new(client->base, fd, &options);
}

/* A broker that closes before its hello has looked at who we are. */
static int
greet(struct client *client, const char *path)
{
	while (!client->ready && !client->closed && !client->interrupted)
		(void)event_base_loop(client->base, EVLOOP_ONCE);
	if (client->interrupted)
		return CLI_INTERRUPTED;
	if (client->ready)
		return CLI_OK;
	if (strstr(client->reason, "another build")) {
		talk_error("systemctl restart streamhold-broker  (or stop and start "
			   "`streamhold up`)",
		    "the broker behind '%s' is of another build than this command "
		    "(%s): restart it",
		    path, version_text());
		return CLI_FAILURE;
	}
	if (strcmp(client->reason, "no hello in time") == 0) {
		talk_error("journalctl -u streamhold-broker",
		    "the broker behind '%s' does not answer", path);
		return CLI_STOPPED;
	}
	return refuse_user(path);
}

static int
open_client(const struct cli *cli, bool quiet, struct client **ret_client)
{
	struct config config = { .server = { .port = 0 } };
	struct client *client;
	char *path = NULL;
	int fd = -1;
	int status = CLI_OK;

	if (!cli->socket)
		status = client_config(cli, &config);
	if (status == CLI_OK)
		status = find_socket(cli, &config, quiet, &path);
	config_clear(&config);
	if (status == CLI_OK)
		status = connect_socket(path, quiet, &fd);
	if (status == CLI_OK) {
		client = xcalloc(1, sizeof(*client));
		start(client, fd);
		status = greet(client, path);
		if (status == CLI_OK)
			*ret_client = client;
		else
			client_close(client);
	}
	free(path);
	return status;
}

int
client_open(const struct cli *cli, struct client **ret_client)
{
	return open_client(cli, false, ret_client);
}

int
client_try(const struct cli *cli, struct client **ret_client)
{
	return open_client(cli, true, ret_client);
}

void
client_close(struct client *client)
{
	if (!client)
		return;
	proto_clear(&client->answer);
	chan_free(client->chan);
	event_free(client->interrupt);
	event_free(client->tick);
	event_base_free(client->base);
	free(client);
}

/* ---- Asking ---- */

static int
lost(const struct client *client)
{
	talk_error("streamhold status", "the broker went away before it answered (%s)",
	    client->reason);
	return CLI_STOPPED;
}

static int
too_late(const struct client_question *question)
{
	char *next = question->late ? remedy(ERR_invalid_state, question)
				    : xstrdup("streamhold status");

	talk_error(next, "%s",
	    question->late ? question->late : "the broker did not answer in time");
	free(next);
	return question->late_status ? question->late_status : CLI_PROVIDER;
}

static int
failed(const struct client *client)
{
	const struct proto_failed *failed = &client->answer.failed;
	enum proto_error error = proto_error_by_name(failed->code);
	char *next = remedy(error, client->question);

	talk_error(next, "%s", failed->message);
	free(next);
	if (failed->retry_after > 0)
		talk("  try again after %u s", failed->retry_after);
	return proto_error_info(error)->exit_status;
}

static int
take_answer(struct client *client, struct proto_msg *ret_answer)
{
	int status = CLI_OK;

	if (client->answer.type == MSG_failed)
		status = failed(client);
	else if (ret_answer)
		*ret_answer = proto_move(&client->answer);
	proto_clear(&client->answer);
	return status;
}

int
client_ask(struct client *client, const struct client_question *question,
    struct proto_msg *ret_answer)
{
	uint32_t rid;
	int status;

	client->question = question;
	client->answered = false;
	client->late = false;
	rid = client->closed ? 0
			     : chan_request(client->chan, question->msg,
				   question->deadline_ms, on_answer, client);
	if (rid == 0 && !client->closed) {
		talk_error(next_help(), "a value is too long or has a wrong form");
		return CLI_USAGE;
	}
	while (rid && !client->answered && !client->late && !client->interrupted &&
	    !client->closed)
		(void)event_base_loop(client->base, EVLOOP_ONCE);
	if (question->on_done)
		question->on_done(question->arg);
	if (client->answered)
		status = take_answer(client, ret_answer);
	else if (client->interrupted)
		status = CLI_INTERRUPTED;
	else if (client->closed)
		status = lost(client);
	else
		status = too_late(question);
	if (client->interrupted && !client->answered && rid)
		chan_cancel(client->chan, rid);
	client->question = NULL;
	return status;
}

int
client_ask_once(const struct cli *cli, const struct client_question *question,
    struct proto_msg *ret_answer)
{
	struct client *client;
	int status = client_open(cli, &client);

	if (status != CLI_OK)
		return status;
	status = client_ask(client, question, ret_answer);
	client_close(client);
	return status;
}
