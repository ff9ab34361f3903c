/*
 * Choosing and opening the keystore at start. Called by the broker's start.
 *
 * What the database remembers holds, and what its values were made with is opened. A
 * choice is made once and noted; it never changes by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/vault/vault_child.h"
#include "broker/vault/vault_file.h"
#include "broker/vault/vault_inner.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/paths.h"
#include "common/text.h"
#include "common/time.h"

#define DATABASE_RANDOM_SIZE 16
_Static_assert(VAULT_DATABASE_SIZE == 2 * DATABASE_RANDOM_SIZE + 1, "hex digits");

/* Items that nobody refers to are looked for so often; younger ones may belong to a
 * transaction that is still to come. */
#define SWEEP_FIRST_S 60
#define SWEEP_EVERY_S 3600
#define SWEEP_AGE_S 900

static enum vault_kind known(const struct buf *);
static void make_events(struct vault *);
static void read_move(struct vault *, const struct store_keystore *);
static int choose(struct vault *, const struct store_keystore *, char *);
static int name_database(struct vault *, struct store_keystore *, bool *, char *);
static int open_backends(struct vault *, struct store_keystore *, bool *, char *);
static int save(struct vault *, struct store_keystore *, char *);

int
vault_open(struct event_base *base, struct store *store, const struct config *config,
    const struct paths *paths, struct vault **ret_vault, char *error)
{
	struct store_keystore keystore = { .now = time_now_ms() };
	struct vault *vault = xcalloc(1, sizeof(*vault));
	bool fresh = false;
	int result;

	vault->base = base;
	vault->store = store;
	vault->config = config;
	vault->paths = paths;
	LIST_INIT(&vault->calls);
	result = vault_ask_store(vault, &keystore, store_keystore_load, error);
	if (result == 0)
		read_move(vault, &keystore);
	if (result == 0)
		result = choose(vault, &keystore, error);
	if (result == 0)
		result = name_database(vault, &keystore, &fresh, error);
	if (result == 0)
		result = open_backends(vault, &keystore, &fresh, error);
	if (result == 0 && fresh)
		result = save(vault, &keystore, error);
	store_keystore_clear(&keystore);
	if (result < 0) {
		vault_close(vault);
		return result;
	}
	make_events(vault);
	if (vault->move_to)
		vault_move_begin(vault, true);
	*ret_vault = vault;
	return 0;
}

static void
on_close_child(evutil_socket_t fd, short what, void *arg)
{
	struct vault *vault = arg;

	(void)fd;
	(void)what;
	if (vault->move || vault->sweep || vault->kind == KIND_KEYRING)
		return;
	vault_child_free(vault->child);
	vault->child = NULL;
}

static void
on_sweep_timer(evutil_socket_t fd, short what, void *arg)
{
	struct vault *vault = arg;
	const struct timeval next = { .tv_sec = SWEEP_EVERY_S };

	(void)fd;
	(void)what;
	if (!vault->move)
		vault_sweep(vault, SWEEP_AGE_S, false);
	event_add(vault->sweep_timer, &next);
}

static void
make_events(struct vault *vault)
{
	const struct timeval first = { .tv_sec = SWEEP_FIRST_S };

	vault->close_child = event_new(vault->base, -1, 0, on_close_child, vault);
	vault->sweep_timer = event_new(vault->base, -1, 0, on_sweep_timer, vault);
	if (!vault->close_child || !vault->sweep_timer)
		abort();
	event_add(vault->sweep_timer, &first);
}

/* A move that a crash or a stop has interrupted. */
static void
read_move(struct vault *vault, const struct store_keystore *keystore)
{
	const struct buf *move = &keystore->move;

	vault->rotate = buf_length(move) == strlen(VAULT_MOVE_ROTATE) &&
	    memcmp(buf_bytes(move), VAULT_MOVE_ROTATE, buf_length(move)) == 0;
	vault->move_to = vault->rotate ? KIND_FILE : known(move);
}

static void
on_job(struct store_job *job, int result)
{
	((struct store_keystore *)job)->result = result;
}

int
vault_ask_store(struct vault *vault, struct store_keystore *keystore, store_run_fn *run,
    char *error)
{
	keystore->job.run = run;
	keystore->job.done = on_job;
	store_run_now(vault->store, &keystore->job);
	if (keystore->result < 0)
		snprintf(error, VAULT_ERROR_SIZE,
		    "the database cannot be asked or told about the keystore: %s",
		    strerror(-keystore->result));
	return keystore->result;
}

/* ---- Choosing ---- */

/* Whether a session bus may be there. A service of the machine has none, and asking
 * costs a process. */
static bool
has_session_bus(const struct vault *vault)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path;
	bool found;

	if (vault->paths->system)
		return false;
	if (getenv("DBUS_SESSION_BUS_ADDRESS"))
		return true;
	if (!runtime || *runtime != '/')
		return false;
	path = xasprintf("%s/bus", runtime);
	found = access(path, F_OK) == 0;
	free(path);
	return found;
}

static enum vault_kind
choose_by_looking(const struct vault *vault)
{
	char detail[400] = "there is no session bus";

	if (has_session_bus(vault) && vault_child_probe(detail, sizeof(detail))) {
		log_info("vault",
		    "the keyring of this session keeps the secrets from here on "
		    "(keystore.backend is \"auto\")");
		return KIND_KEYRING;
	}
	log_info("vault",
	    "the secrets are sealed under a key file from here on (keystore.backend is "
	    "\"auto\"): %s",
	    log_quote(detail));
	return KIND_FILE;
}

static const char *const kind_names[KIND_MAX] = {
	[KIND_FILE] = "file",
	[KIND_KEYRING] = "secret-service",
#ifdef STREAMHOLD_TEST_BUILD
	[KIND_MEMORY] = "memory",
#endif
};

const char *
vault_kind_name(enum vault_kind kind)
{
	return kind_names[kind] ? kind_names[kind] : "";
}

/* The backend of that name; KIND_NONE when this build does not have it. */
static enum vault_kind
known(const struct buf *name)
{
	unsigned i;

	for (i = KIND_NONE + 1; i < KIND_MAX; i++)
		if (kind_names[i] && buf_length(name) == strlen(kind_names[i]) &&
		    memcmp(buf_bytes(name), kind_names[i], buf_length(name)) == 0)
			return (enum vault_kind)i;
	return KIND_NONE;
}

enum vault_kind
vault_configured(const struct config *config)
{
	switch (config->keystore.backend) {
	case CONFIG_KEYSTORE_BACKEND_FILE:
		return KIND_FILE;
	case CONFIG_KEYSTORE_BACKEND_SECRET_SERVICE:
		return KIND_KEYRING;
#ifdef STREAMHOLD_TEST_BUILD
	case CONFIG_KEYSTORE_BACKEND_MEMORY:
		return KIND_MEMORY;
#endif
	default: /* auto */
		return KIND_NONE;
	}
}

static int
choose(struct vault *vault, const struct store_keystore *keystore, char *error)
{
	enum vault_kind wanted = vault_configured(vault->config);
	enum vault_kind before = known(&keystore->backend);

	if (buf_length(&keystore->backend) && !before && keystore->sealed_count > 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the secrets in '%s' are in the keystore '%.*s', which this build "
		    "does not have",
		    vault->paths->database, (int)buf_length(&keystore->backend),
		    (const char *)buf_bytes(&keystore->backend));
		return -EINVAL;
	}
	if (wanted && before && wanted != before && wanted != vault->move_to &&
	    keystore->sealed_count > 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the secrets in '%s' are in the keystore '%s', but the "
		    "configuration asks for '%s'; set keystore.backend back to \"%s\" "
		    "or to \"auto\"",
		    vault->paths->database, vault_kind_name(before),
		    vault_kind_name(wanted), vault_kind_name(before));
		return -EINVAL;
	}
	if (vault->move_to)
		vault->kind = before;
	else if (wanted)
		vault->kind = wanted;
	else if (before && (before != KIND_MEMORY || keystore->sealed_count > 0))
		vault->kind = before;
	else
		vault->kind = choose_by_looking(vault);
	return 0;
}

/* Several installations of one user may share a keyring; each has an id. */
static int
name_database(
    struct vault *vault, struct store_keystore *keystore, bool *ret_fresh, char *error)
{
	uint8_t bytes[DATABASE_RANDOM_SIZE];
	size_t length = buf_length(&keystore->database);

	if (length == 0) {
		crypto_random(bytes, sizeof(bytes));
		hex_encode(bytes, sizeof(bytes), vault->database);
		buf_add_text(&keystore->database, vault->database);
		*ret_fresh = true;
		return 0;
	}
	if (length >= sizeof(vault->database)) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the id of the database '%s' is damaged", vault->paths->database);
		return -EBADMSG;
	}
	memcpy(vault->database, buf_bytes(&keystore->database), length);
	return 0;
}

/* ---- Opening ---- */

static int
open_file(struct vault *vault, const struct store_keystore *keystore, bool *ret_fresh,
    char *error)
{
	const struct paths *paths = vault->paths;
	const struct vault_file_options options = {
		.paths = paths,
		.credential =
		    !paths->key_file_is_own && !vault->config->keystore.key_file,
		.check = &keystore->check,
		.sealed_count = keystore->file_count,
	};
	bool fresh = false;
	int result = vault_file_open(&options, &vault->file, &fresh, error);

	*ret_fresh = *ret_fresh || fresh;
	return result;
}

int
vault_open_file_now(struct vault *vault, char *error)
{
	struct store_keystore nothing = { .file_count = 0 };
	bool fresh;

	return open_file(vault, &nothing, &fresh, error);
}

static int
open_memory(struct vault *vault, const struct store_keystore *keystore, char *error)
{
	if (keystore->sealed_count > 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the keystore 'memory' has forgotten the key of the secrets in "
		    "'%s'; move the database away",
		    vault->paths->database);
		return -ENOKEY;
	}
	vault->file = vault_memory_open();
	return 0;
}

static int
open_backends(
    struct vault *vault, struct store_keystore *keystore, bool *ret_fresh, char *error)
{
	bool keyring = vault->kind == KIND_KEYRING || vault->move_to == KIND_KEYRING ||
	    keystore->sealed_count > keystore->file_count;
	int result = 0;

	if (vault->kind == KIND_MEMORY) {
		vault->target = KIND_MEMORY;
		*ret_fresh = true;
		return open_memory(vault, keystore, error);
	}
	vault->target = vault->move_to ? vault->move_to : vault->kind;
	if (vault->kind == KIND_FILE || vault->target == KIND_FILE ||
	    keystore->file_count > 0)
		result = open_file(vault, keystore, ret_fresh, error);
	if (result == 0 && vault->rotate)
		result = vault_file_open_next(
		    vault->file, vault->paths, &keystore->check_next, error);
	if (result == 0 && keyring)
		vault->child = vault_child_new(vault->base, vault->database);
	if (known(&keystore->backend) != vault->kind)
		*ret_fresh = true;
	return result;
}

static int
save(struct vault *vault, struct store_keystore *keystore, char *error)
{
	buf_clear(&keystore->backend);
	buf_add_text(&keystore->backend, vault_kind_name(vault->kind));
	if (vault->file && !vault->rotate) {
		buf_clear(&keystore->check);
		vault_file_check(vault->file, &keystore->check);
	}
	return vault_ask_store(vault, keystore, store_keystore_save, error);
}
