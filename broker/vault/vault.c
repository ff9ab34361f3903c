/*
 * The vault: chooses and opens the keystore at start, and answers calls through the
 * loop. Used by broker/oauth; owns every call until its callback or vault_cancel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "broker/vault/vault_file.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/log.h"
#include "common/paths.h"
#include "common/time.h"

#define BACKEND_FILE "file"
#define BACKEND_MEMORY "memory"

struct vault_call {
	struct vault *vault;
	struct event *event;
	int result;
	struct buf sealed;
	struct secret plain;
	vault_sealed_fn *on_sealed; /* one of the two is set */
	vault_opened_fn *on_opened;
	void *arg;
	LIST_ENTRY(vault_call) entry;
};

struct vault {
	struct event_base *base;
	struct store *store; /* while it is being opened */
	const char *backend; /* static */
	struct vault_file *file;
	LIST_HEAD(vault_calls, vault_call) calls;
};

static const char *choose(const struct config *, char *);
static int load(struct vault *, struct store_keystore *, char *);
static int open_backend(struct vault *, const struct config *, const struct paths *,
    struct store_keystore *, bool *, char *);
static int save(struct vault *, struct store_keystore *, char *);
static struct vault_call *call_new(struct vault *, const char *, void *);
static void call_free(struct vault_call *);
static void on_call(evutil_socket_t, short, void *);
static void on_job(struct store_job *, int);

int
vault_open(struct event_base *base, struct store *store, const struct config *config,
    const struct paths *paths, struct vault **ret_vault, char *error)
{
	struct store_keystore keystore = { .now = time_now_ms() };
	struct vault *vault = xcalloc(1, sizeof(*vault));
	bool fresh = false;
	int result = -EINVAL;

	vault->base = base;
	vault->store = store;
	LIST_INIT(&vault->calls);
	vault->backend = choose(config, error);
	if (vault->backend)
		result = load(vault, &keystore, error);
	if (result == 0)
		result = open_backend(vault, config, paths, &keystore, &fresh, error);
	if (result == 0 && fresh)
		result = save(vault, &keystore, error);
	store_keystore_clear(&keystore);
	if (result < 0) {
		vault_close(vault);
		return result;
	}
	if (!vault_file_is_locked(vault->file))
		log_warning("vault",
		    "the key cannot be kept out of swap (RLIMIT_MEMLOCK); continuing");
	*ret_vault = vault;
	return 0;
}

/* `auto` takes the file: it is the only keystore that this build has. */
static const char *
choose(const struct config *config, char *error)
{
	switch (config->keystore.backend) {
	case CONFIG_KEYSTORE_BACKEND_AUTO:
	case CONFIG_KEYSTORE_BACKEND_FILE:
		return BACKEND_FILE;
#ifdef STREAMHOLD_TEST_BUILD
	case CONFIG_KEYSTORE_BACKEND_MEMORY:
		return BACKEND_MEMORY;
#endif
	default:
		snprintf(error, VAULT_ERROR_SIZE,
		    "the keystore that keystore.backend asks for is not available in "
		    "this build yet; set keystore.backend to \"auto\" or \"file\"");
		return NULL;
	}
}

static int
load(struct vault *vault, struct store_keystore *keystore, char *error)
{
	keystore->job.run = store_keystore_load;
	keystore->job.done = on_job;
	store_run_now(vault->store, &keystore->job);
	if (keystore->result < 0)
		snprintf(error, VAULT_ERROR_SIZE,
		    "cannot read from the database what it knows of the keystore: %s",
		    strerror(-keystore->result));
	return keystore->result;
}

static void
on_job(struct store_job *job, int result)
{
	((struct store_keystore *)job)->result = result;
}

/* The bytes of a remembered backend as text, cut to fit. */
static void
remembered(const struct store_keystore *keystore, char *text, size_t size)
{
	snprintf(text, size, "%.*s", (int)buf_length(&keystore->backend),
	    buf_length(&keystore->backend) ? (const char *)buf_bytes(&keystore->backend)
					   : "");
}

static int
open_backend(struct vault *vault, const struct config *config,
    const struct paths *paths, struct store_keystore *keystore, bool *ret_fresh,
    char *error)
{
	struct vault_file_options options = {
		.paths = paths,
		.credential = !paths->key_file_is_own && !config->keystore.key_file,
		.check = &keystore->check,
		.sealed_count = keystore->sealed_count,
	};
	char before[32];

	remembered(keystore, before, sizeof(before));
	if (keystore->sealed_count > 0 && strcmp(before, vault->backend) != 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the secrets in '%s' are in the keystore '%s', but the "
		    "configuration asks for '%s'; set keystore.backend back",
		    paths->database, before, vault->backend);
		return -EINVAL;
	}
	if (strcmp(vault->backend, BACKEND_FILE) == 0)
		return vault_file_open(&options, &vault->file, ret_fresh, error);
	if (keystore->sealed_count > 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the keystore 'memory' has forgotten the key of the secrets in "
		    "'%s'; move the database away",
		    paths->database);
		return -ENOKEY;
	}
	vault->file = vault_memory_open();
	*ret_fresh = true;
	return 0;
}

static int
save(struct vault *vault, struct store_keystore *keystore, char *error)
{
	buf_clear(&keystore->backend);
	buf_clear(&keystore->check);
	buf_add_text(&keystore->backend, vault->backend);
	vault_file_check(vault->file, &keystore->check);
	keystore->job.run = store_keystore_save;
	store_run_now(vault->store, &keystore->job);
	if (keystore->result < 0)
		snprintf(error, VAULT_ERROR_SIZE,
		    "cannot note the choice of the keystore in the database: %s",
		    strerror(-keystore->result));
	return keystore->result;
}

void
vault_close(struct vault *vault)
{
	if (!vault)
		return;
	while (!LIST_EMPTY(&vault->calls))
		call_free(LIST_FIRST(&vault->calls));
	vault_file_close(vault->file);
	free(vault);
}

const char *
vault_backend(const struct vault *vault)
{
	return vault->backend;
}

/* A key that is in memory cannot go away. */
const char *
vault_trouble(const struct vault *vault)
{
	return vault->file ? NULL : "the keystore is not open";
}

struct vault_call *
vault_seal(struct vault *vault, const char *name, uint64_t generation,
    const struct secret *plain, vault_sealed_fn *done, void *arg)
{
	struct vault_call *call = call_new(vault, name, arg);

	call->on_sealed = done;
	if (plain->length > VAULT_PLAIN_MAX)
		call->result = -EINVAL;
	if (call->result == 0)
		vault_file_seal(vault->file, name, generation, plain, &call->sealed);
	return call;
}

struct vault_call *
vault_unseal(struct vault *vault, const char *name, uint64_t generation,
    const void *sealed, size_t length, vault_opened_fn *done, void *arg)
{
	struct vault_call *call = call_new(vault, name, arg);

	call->on_opened = done;
	if (call->result == 0)
		call->result = vault_file_unseal(
		    vault->file, name, generation, sealed, length, &call->plain);
	return call;
}

static struct vault_call *
call_new(struct vault *vault, const char *name, void *arg)
{
	struct vault_call *call = xcalloc(1, sizeof(*call));

	call->vault = vault;
	call->arg = arg;
	call->result = strlen(name) > VAULT_NAME_MAX ? -EINVAL : 0;
	call->event = event_new(vault->base, -1, 0, on_call, call);
	if (!call->event)
		abort();
	event_active(call->event, EV_TIMEOUT, 0);
	LIST_INSERT_HEAD(&vault->calls, call, entry);
	return call;
}

static void
call_free(struct vault_call *call)
{
	LIST_REMOVE(call, entry);
	event_free(call->event);
	secret_clear(&call->plain);
	buf_clear(&call->sealed);
	free(call);
}

static void
on_call(evutil_socket_t fd, short events, void *arg)
{
	struct vault_call *call = arg;

	(void)fd;
	(void)events;
	if (call->on_sealed)
		call->on_sealed(call->arg, call->result, &call->sealed);
	else
		call->on_opened(call->arg, call->result, &call->plain);
	call_free(call);
}

void
vault_cancel(struct vault_call *call)
{
	call_free(call);
}

/* Values of this keystore are nowhere but in the database. */
void
vault_forget(struct vault *vault, const char *name, uint64_t generation)
{
	(void)vault;
	(void)name;
	(void)generation;
}
