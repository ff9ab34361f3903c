/*
 * The broker's side of the keystore helper. Called by vault.c; owns the helper's
 * process, the link to it and the queue of calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/vault/vault_child.h"
#include "broker/vault/vault_link.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/process.h"
#include "common/time.h"
#include "common/version.h"
#include "proto/chan.h"

#define TICK_MS 250
#define STATE_EVERY_MS 1000
/* A call that takes so long makes others be refused at once. */
#define SLOW_MS 1500
#define RESTART_LEAST_MS 250
#define RESTART_MOST_MS 2000
/* The deadline of a call is kept here, not by the chan. */
#define CHAN_DEADLINE_MS (10 * VAULT_CALL_MS)
#define DETAIL_SIZE 420

struct vault_child_call {
	struct vault_child *child;
	enum proto_type type;
	char *name;
	uint64_t generation;
	struct secret value;
	int64_t asked; /* boot-time ms */
	int64_t sent;
	vault_child_fn *done;
	void *arg;
	TAILQ_ENTRY(vault_child_call) entry;
};

struct vault_child {
	struct event_base *base;
	char *database;
	char *program;
	struct event *tick;
	struct chan *chan; /* NULL: no helper */
	pid_t pid;
	int64_t restart_at;
	int64_t restart_ms;
	int64_t state_at; /* when the state was asked for last */
	bool state_asked;
	bool known; /* the first answer about the state is here */
	bool answers;
	enum vault_condition condition;
	char detail[DETAIL_SIZE];
	struct vault_child_call *current;
	TAILQ_HEAD(vault_child_queue, vault_child_call) queue;
};

static void start_helper(struct vault_child *);
static void drop_helper(struct vault_child *);
static void send_next(struct vault_child *);
static void ask_state(struct vault_child *, int64_t);
static void on_tick(evutil_socket_t, short, void *);
static void on_answer(void *, struct proto_msg *, bool);
static void on_state(void *, int, struct proto_msg *);
static void take_state(struct vault_child *, const struct proto_vault_state *);

/* ---- Birth and death ---- */

/* The helper lies beside this program. */
char *
vault_child_program(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (length < 0)
		length = 0;
	path[length] = '\0';
	slash = strrchr(path, '/');
	return xasprintf(
	    "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, VAULT_LINK_PROGRAM);
}

struct vault_child *
vault_child_new(struct event_base *base, const char *database)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	struct vault_child *child = xcalloc(1, sizeof(*child));

	child->base = base;
	child->database = xstrdup(database);
	child->program = vault_child_program();
	child->restart_ms = RESTART_LEAST_MS;
	child->answers = true;
	TAILQ_INIT(&child->queue);
	child->tick = event_new(base, -1, EV_PERSIST, on_tick, child);
	if (!child->tick)
		abort();
	event_add(child->tick, &every);
	start_helper(child);
	ask_state(child, time_boot_ms());
	return child;
}

static void
call_free(struct vault_child_call *call)
{
	free(call->name);
	secret_clear(&call->value);
	free(call);
}

void
vault_child_free(struct vault_child *child)
{
	struct vault_child_call *call;

	if (!child)
		return;
	drop_helper(child);
	if (child->current)
		call_free(child->current);
	while ((call = TAILQ_FIRST(&child->queue))) {
		TAILQ_REMOVE(&child->queue, call, entry);
		call_free(call);
	}
	event_free(child->tick);
	free(child->database);
	free(child->program);
	free(child);
}

/* ---- The helper's process ---- */

/* Between fork and exec in a process with threads: nothing but system calls. */
__attribute__((noreturn)) static void
become_helper(const struct vault_child *child, int fd, pid_t parent)
{
	char *const arguments[] = { child->program, NULL };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_STOPPED);
	if (fd == VAULT_LINK_FD ? fcntl(fd, F_SETFD, 0) < 0
				: dup2(fd, VAULT_LINK_FD) < 0)
		_exit(EXIT_START);
	(void)execv(child->program, arguments);
	_exit(EXIT_START);
}

static void
on_ready(struct chan *chan, void *arg)
{
	struct vault_child *child = arg;

	(void)chan;
	send_next(child);
}

static void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	(void)arg;
	(void)msg;
	chan_break(chan, "the helper asks nothing");
}

static void
set_condition(
    struct vault_child *child, enum vault_condition condition, const char *detail)
{
	bool changed = child->condition != condition;

	child->known = true;
	child->condition = condition;
	(void)snprintf(child->detail, sizeof(child->detail), "%s", detail);
	if (changed && condition == VAULT_ready)
		log_info("vault", "the keyring can be used again");
	else if (changed)
		log_warning("vault",
		    "%s: %s; tokens stay where they are, and what needs one waits",
		    condition == VAULT_locked ? "keystore_locked"
					      : "keystore_unavailable",
		    log_quote(detail));
}

static void
set_away(struct vault_child *child, const char *detail)
{
	child->answers = false;
	set_condition(child, VAULT_unavailable, detail);
}

static void
restart_later(struct vault_child *child)
{
	drop_helper(child);
	child->restart_at = time_boot_ms() + child->restart_ms;
	child->restart_ms = child->restart_ms * 2 > RESTART_MOST_MS
	    ? RESTART_MOST_MS
	    : child->restart_ms * 2;
}

static void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	struct vault_child *child = arg;
	char detail[DETAIL_SIZE];

	(void)chan;
	(void)snprintf(detail, sizeof(detail),
	    "the keystore helper '%.250s' ended or cannot be started (%.80s)",
	    child->program, reason);
	restart_later(child);
	set_away(child, detail);
}

static const struct chan_handlers handlers = { on_ready, on_message, on_closed };

static void
make_chan(struct vault_child *child, int fd)
{
	const struct chan_options options = {
		.program = "streamhold-broker",
		.version = version_text(),
		.role = "broker",
		.expect = VAULT_LINK_ROLE,
		.broker = true,
		.vault = true,
		.locked_in = true,
		.locked_out = true,
		.sender = getuid(),
		.frame_max = PROTO_FRAME_VAULT_MAX,
		.handlers = &handlers,
		.arg = child,
	};

	child->chan = chan_new(child->base, fd, &options);
}

/* Both ends ask for the sender's credentials before anything is written. */
static int
make_pair(int *fds)
{
	const int on = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	(void)setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	(void)setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	return 0;
}

static void
start_helper(struct vault_child *child)
{
	pid_t parent = getpid();
	int fds[2];

	child->restart_at = time_boot_ms() + child->restart_ms;
	if (make_pair(fds) < 0)
		return;
	child->pid = fork();
	if (child->pid == 0)
		become_helper(child, fds[1], parent);
	(void)close(fds[1]);
	if (child->pid < 0) {
		child->pid = 0;
		(void)close(fds[0]);
		return;
	}
	make_chan(child, fds[0]);
}

static void
drop_helper(struct vault_child *child)
{
	chan_free(child->chan);
	child->chan = NULL;
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL);
}

/* A killed helper is collected without waiting for it; meanwhile none is started. */
static void
collect_helper(struct vault_child *child)
{
	if (child->pid > 0 && !child->chan && waitpid(child->pid, NULL, WNOHANG) != 0)
		child->pid = 0;
}

/* ---- Calls ---- */

static struct vault_child_call *
call_new(struct vault_child *child, enum proto_type type, const char *name,
    uint64_t generation, const struct secret *value, vault_child_fn *done, void *arg)
{
	struct vault_child_call *call = xcalloc(1, sizeof(*call));

	call->child = child;
	call->type = type;
	call->name = name ? xstrdup(name) : NULL;
	call->generation = generation;
	call->value = value ? secret_copy(value->bytes, value->length) : SECRET_NONE;
	call->asked = time_boot_ms();
	call->done = done;
	call->arg = arg;
	TAILQ_INSERT_TAIL(&child->queue, call, entry);
	return call;
}

struct vault_child_call *
vault_child_ask(struct vault_child *child, enum proto_type type, const char *name,
    uint64_t generation, const struct secret *value, vault_child_fn *done, void *arg)
{
	struct vault_child_call *call;

	if (!child->answers)
		return NULL;
	call = call_new(child, type, name, generation, value, done, arg);
	send_next(child);
	return call;
}

void
vault_child_cancel(struct vault_child_call *call)
{
	call->done = NULL;
}

static struct proto_msg
message_of(const struct vault_child_call *call)
{
	const char *database = call->child->database;
	struct proto_msg msg = { .type = call->type };

	switch (call->type) {
	case MSG_vault_store:
		msg.vault_store = (struct proto_vault_store){ .database = database,
			.name = call->name,
			.generation = call->generation,
			.value = call->value };
		break;
	case MSG_vault_load:
		msg.vault_load = (struct proto_vault_load){ .database = database,
			.name = call->name,
			.generation = call->generation };
		break;
	case MSG_vault_erase:
		msg.vault_erase = (struct proto_vault_erase){ .database = database,
			.name = call->name,
			.generation = call->generation };
		break;
	case MSG_vault_list:
		msg.vault_list.database = database;
		break;
	default:
		break;
	}
	return msg;
}

/* Ends the call under way; `answer` may be NULL. */
static void
end_current(struct vault_child *child, int result, struct proto_msg *answer)
{
	struct vault_child_call *call = child->current;

	child->current = NULL;
	if (call->done)
		call->done(call->arg, result, answer);
	call_free(call);
}

static void
send_next(struct vault_child *child)
{
	struct vault_child_call *call = TAILQ_FIRST(&child->queue);
	struct proto_msg msg;

	if (child->current || !call || !child->chan || !chan_is_ready(child->chan))
		return;
	TAILQ_REMOVE(&child->queue, call, entry);
	child->current = call;
	call->sent = time_boot_ms();
	msg = message_of(call);
	if (chan_request(child->chan, &msg, CHAN_DEADLINE_MS, on_answer, child) == 0)
		chan_break(child->chan, "a question cannot be sent");
}

static int
result_of(const struct proto_msg *answer)
{
	if (!answer)
		return -EAGAIN;
	if (answer->type != MSG_failed)
		return 0;
	return proto_error_by_name(answer->failed.code) == ERR_not_found ? -ENOENT
									 : -EAGAIN;
}

/* What made a call fail is the state until it is asked for anew, which is at the next
 * tick: so whoever is told of the failure is told why. */
static void
learn(struct vault_child *child, const struct proto_failed *failed)
{
	enum proto_error error = proto_error_by_name(failed->code);

	log_debug("vault", "the keyring says '%s': %s", failed->code,
	    log_quote(failed->message));
	if (error != ERR_keystore_locked && error != ERR_keystore_unavailable)
		return;
	child->state_at = 0;
	if (child->condition == VAULT_ready)
		set_condition(child,
		    error == ERR_keystore_locked ? VAULT_locked : VAULT_unavailable,
		    failed->message);
}

static void
on_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct vault_child *child = arg;
	struct vault_child_call *call = child->current;
	int result = result_of(answer);

	if (!call)
		return;
	if (!last) {
		if (call->done)
			call->done(call->arg, 1, answer);
		return;
	}
	if (answer && answer->type == MSG_failed)
		learn(child, &answer->failed);
	if (answer && answer->type == MSG_vault_state)
		take_state(child, &answer->vault_state);
	end_current(child, result, result == 0 ? answer : NULL);
	send_next(child);
}

/* ---- State and deadlines ---- */

static void
ask_state(struct vault_child *child, int64_t now)
{
	child->state_asked = true;
	child->state_at = now;
	(void)call_new(child, MSG_vault_state_get, NULL, 0, NULL, on_state, child);
	send_next(child);
}

static void
on_state(void *arg, int result, struct proto_msg *answer)
{
	struct vault_child *child = arg;

	(void)result;
	(void)answer; /* on_answer has taken it over */
	child->state_asked = false;
}

static void
take_state(struct vault_child *child, const struct proto_vault_state *state)
{
	child->answers = state->answers;
	child->restart_ms = RESTART_LEAST_MS;
	if (strcmp(state->state, "ready") == 0)
		set_condition(child, VAULT_ready, "");
	else if (strcmp(state->state, "locked") == 0)
		set_condition(child, VAULT_locked, state->detail);
	else
		set_condition(child, VAULT_unavailable, state->detail);
}

/* Calls that waited in the queue until it was too late for them. */
static void
expire_queue(struct vault_child *child, int64_t now)
{
	struct vault_child_call *call;

	while (
	    (call = TAILQ_FIRST(&child->queue)) && now - call->asked >= VAULT_CALL_MS) {
		TAILQ_REMOVE(&child->queue, call, entry);
		if (call->done)
			call->done(call->arg, -EAGAIN, NULL);
		call_free(call);
	}
}

static void
watch_current(struct vault_child *child, int64_t now)
{
	struct vault_child_call *call = child->current;
	int64_t took = call ? now - call->sent : 0;

	if (took >= SLOW_MS && child->answers)
		set_away(child, "the keyring does not answer");
	/* It may have waited in the queue: then the helper has time left, not the
	 * asker. */
	if (call && call->done && now - call->asked >= VAULT_CALL_MS) {
		call->done(call->arg, -EAGAIN, NULL);
		call->done = NULL;
	}
	if (took < VAULT_CALL_MS)
		return;
	log_warning("vault",
	    "a call to the keyring took longer than %d ms; its helper is killed and "
	    "started again",
	    VAULT_CALL_MS);
	restart_later(child);
	end_current(child, -EAGAIN, NULL);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct vault_child *child = arg;
	int64_t now = time_boot_ms();

	(void)fd;
	(void)what;
	collect_helper(child);
	watch_current(child, now);
	expire_queue(child, now);
	if (!child->chan && child->pid == 0 && now >= child->restart_at)
		start_helper(child);
	if (!child->state_asked && now - child->state_at >= STATE_EVERY_MS)
		ask_state(child, now);
}

enum vault_condition
vault_child_condition(const struct vault_child *child)
{
	return child->condition;
}

bool
vault_child_is_known(const struct vault_child *child)
{
	return child->known;
}

const char *
vault_child_detail(const struct vault_child *child)
{
	return child->detail;
}

bool
vault_child_probe(char *detail, size_t size)
{
	const struct timeval most = { .tv_sec = VAULT_CALL_MS / 1000 };
	struct event_base *base = event_base_new();
	struct vault_child *child;
	pid_t pid;
	bool ready;

	if (!base)
		abort();
	child = vault_child_new(base, "probe");
	(void)event_base_loopexit(base, &most);
	while (!child->known && !event_base_got_exit(base))
		(void)event_base_loop(base, EVLOOP_ONCE);
	ready = child->known && child->condition == VAULT_ready;
	(void)snprintf(detail, size, "%s",
	    child->known ? child->detail : "the keyring does not answer");
	pid = child->pid;
	vault_child_free(child);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	event_base_free(base);
	return ready;
}
