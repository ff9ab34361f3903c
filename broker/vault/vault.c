/*
 * The vault's calls: each goes to the keystore that keeps the value and is answered
 * through the loop. Used by broker/oauth; owns every call until its callback or
 * vault_cancel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/vault/vault_child.h"
#include "broker/vault/vault_file.h"
#include "broker/vault/vault_inner.h"
#include "common/alloc.h"

static struct vault_call *call_new(struct vault *, const char *, void *);
static void call_free(struct vault_call *);
static void call_answer(struct vault_call *);
static void on_call(evutil_socket_t, short, void *);
static void on_stored(void *, int, struct proto_msg *);
static void on_loaded(void *, int, struct proto_msg *);
static void on_item(void *, int, struct proto_msg *);
static void on_erased(void *, int, struct proto_msg *);
static void on_state(void *, int, struct proto_msg *);

void
vault_close(struct vault *vault)
{
	if (!vault)
		return;
	vault_move_free(vault->move);
	while (!LIST_EMPTY(&vault->calls))
		call_free(LIST_FIRST(&vault->calls));
	vault_sweep_free(vault->sweep);
	vault_child_free(vault->child);
	if (vault->close_child)
		event_free(vault->close_child);
	if (vault->sweep_timer)
		event_free(vault->sweep_timer);
	vault_file_close(vault->file);
	free(vault);
}

const char *
vault_backend(const struct vault *vault)
{
	return vault_kind_name(vault->kind);
}

/* A key that is in memory cannot go away. */
enum vault_condition
vault_condition(const struct vault *vault)
{
	return vault->child ? vault_child_condition(vault->child) : VAULT_ready;
}

const char *
vault_state(const struct vault *vault)
{
	switch (vault_condition(vault)) {
	case VAULT_ready:
		return "healthy";
	case VAULT_locked:
		return "keystore_locked";
	default:
		return "keystore_unavailable";
	}
}

const char *
vault_trouble(const struct vault *vault)
{
	if (vault_condition(vault) == VAULT_ready)
		return NULL;
	return vault_child_detail(vault->child);
}

/* Waits for the keyring; when nobody answers there the call fails from the loop. */
static void
ask_keyring(struct vault_call *call, enum proto_type type, const char *name,
    uint64_t generation, const struct secret *plain, vault_child_fn *done)
{
	struct vault_child *child = call->vault->child;

	if (child)
		call->asking =
		    vault_child_ask(child, type, name, generation, plain, done, call);
	if (call->asking)
		event_del(call->event);
	else
		call->result = -EAGAIN;
}

struct vault_call *
vault_seal(struct vault *vault, const char *name, uint64_t generation,
    const struct secret *plain, vault_sealed_fn *done, void *arg)
{
	struct vault_call *call = call_new(vault, name, arg);

	call->on_sealed = done;
	if (plain->length > VAULT_PLAIN_MAX)
		call->result = -EINVAL;
	if (call->result < 0)
		return call;
	if (vault->target == KIND_KEYRING)
		ask_keyring(call, MSG_vault_store, name, generation, plain, on_stored);
	else
		vault_file_seal(vault->file, name, generation, plain, &call->sealed);
	return call;
}

static void
on_stored(void *arg, int result, struct proto_msg *answer)
{
	static const uint8_t reference = STORE_SEALED_KEYRING;
	struct vault_call *call = arg;

	(void)answer;
	call->asking = NULL;
	call->result = result;
	if (result == 0)
		buf_add(&call->sealed, &reference, sizeof(reference));
	call_answer(call);
}

struct vault_call *
vault_unseal(struct vault *vault, const char *name, uint64_t generation,
    const void *sealed, size_t length, vault_opened_fn *done, void *arg)
{
	struct vault_call *call = call_new(vault, name, arg);
	const uint8_t *bytes = sealed;

	call->on_opened = done;
	if (call->result < 0)
		return call;
	if (length == 1 && bytes[0] == STORE_SEALED_KEYRING)
		ask_keyring(call, MSG_vault_load, name, generation, NULL, on_loaded);
	else if (vault->file)
		call->result = vault_file_unseal(
		    vault->file, name, generation, sealed, length, &call->plain);
	else
		call->result = -EBADMSG;
	return call;
}

static void
on_loaded(void *arg, int result, struct proto_msg *answer)
{
	struct vault_call *call = arg;
	const struct secret *value = answer ? &answer->vault_loaded.value : NULL;

	call->asking = NULL;
	call->result = result;
	if (result == 0)
		call->plain = secret_copy(value->bytes, value->length);
	call_answer(call);
}

struct vault_call *
vault_find(struct vault *vault, const char *name, uint64_t after, vault_found_fn *done,
    void *arg)
{
	struct vault_call *call = call_new(vault, name, arg);

	call->on_found = done;
	if (call->result < 0)
		return call;
	call->name = xstrdup(name);
	call->generation = after;
	if (vault->child)
		ask_keyring(call, MSG_vault_list, NULL, 0, NULL, on_item);
	else
		call->result = -ENOENT;
	return call;
}

/* An item, or with the last call the end of them. */
static void
on_item(void *arg, int result, struct proto_msg *answer)
{
	struct vault_call *call = arg;

	if (result == 1) {
		const struct proto_vault_item *item = &answer->vault_item;

		if (item->generation > call->generation &&
		    strcmp(item->name, call->name) == 0) {
			call->generation = item->generation;
			call->found = true;
		}
		return;
	}
	call->asking = NULL;
	call->result = result;
	if (result == 0 && !call->found)
		call->result = -ENOENT;
	if (call->result == 0)
		ask_keyring(call, MSG_vault_load, call->name, call->generation, NULL,
		    on_loaded);
	if (call->result < 0)
		call_answer(call);
}

struct vault_call *
vault_ask(struct vault *vault, vault_asked_fn *done, void *arg)
{
	struct vault_call *call = call_new(vault, "", arg);

	call->on_asked = done;
	if (vault->target == KIND_KEYRING)
		ask_keyring(call, MSG_vault_state_get, NULL, 0, NULL, on_state);
	return call;
}

/* The child has taken the state over. */
static void
on_state(void *arg, int result, struct proto_msg *answer)
{
	struct vault_call *call = arg;

	(void)answer;
	call->asking = NULL;
	call->result = result;
	if (result == 0 && vault_condition(call->vault) != VAULT_ready)
		call->result = -EAGAIN;
	call_answer(call);
}

struct vault_call *
vault_erase(struct vault *vault, const char *name, uint64_t generation,
    vault_asked_fn *done, void *arg)
{
	struct vault_call *call = call_new(vault, name, arg);

	call->on_asked = done;
	if (call->result == 0 && vault->child)
		ask_keyring(call, MSG_vault_erase, name, generation, NULL, on_erased);
	return call;
}

static void
on_erased(void *arg, int result, struct proto_msg *answer)
{
	struct vault_call *call = arg;

	(void)answer;
	call->asking = NULL;
	call->result = result;
	call_answer(call);
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
	if (call->asking)
		vault_child_cancel(call->asking);
	event_free(call->event);
	secret_clear(&call->plain);
	buf_clear(&call->sealed);
	free(call->name);
	free(call);
}

static void
call_answer(struct vault_call *call)
{
	if (call->on_sealed)
		call->on_sealed(call->arg, call->result, &call->sealed);
	else if (call->on_asked)
		call->on_asked(call->arg, call->result);
	else if (call->on_found)
		call->on_found(call->arg, call->result, call->generation, &call->plain);
	else
		call->on_opened(call->arg, call->result, &call->plain);
	call_free(call);
}

static void
on_call(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	call_answer(arg);
}

void
vault_cancel(struct vault_call *call)
{
	call_free(call);
}

/* Values under a key are nowhere but in the database. */
void
vault_forget(struct vault *vault, const char *name, uint64_t generation)
{
	if (vault->child)
		(void)vault_child_ask(
		    vault->child, MSG_vault_erase, name, generation, NULL, NULL, NULL);
}
