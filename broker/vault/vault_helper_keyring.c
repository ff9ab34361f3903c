/*
 * Calls to the Secret Service through libsecret. Used by vault_helper.c only; owns the
 * connection that libsecret keeps.
 *
 * A lookup that finds nothing means "absent" or "locked" alike, so items are searched
 * for without unlocking and each one says whether it is locked (reliability.md 3.3). A
 * call that hangs is ended by the broker, which kills this process.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libsecret/secret.h>

#include "broker/vault/vault_helper_keyring.h"
#include "common/process.h"
#include "common/text.h"

#define SERVICE_NAME "org.freedesktop.secrets"
#define SERVICE_PATH "/org/freedesktop/secrets"
#define SERVICE_INTERFACE "org.freedesktop.Secret.Service"
#define COLLECTION_INTERFACE "org.freedesktop.Secret.Collection"
#define SESSION_COLLECTION "/org/freedesktop/secrets/collection/session"
/* How long the two questions about the state may take each. */
#define STATE_MS 1000
#define CONTENT_TYPE "application/octet-stream"
#define GENERATION_SIZE 24

static const SecretSchema schema = {
	"org.streamhold.Secret",
	SECRET_SCHEMA_NONE,
	{
	    { "name", SECRET_SCHEMA_ATTRIBUTE_STRING },
	    { "generation", SECRET_SCHEMA_ATTRIBUTE_STRING },
	    { "database", SECRET_SCHEMA_ATTRIBUTE_STRING },
	    { NULL, SECRET_SCHEMA_ATTRIBUTE_STRING },
	},
	0,
	NULL,
	NULL,
	NULL,
	NULL,
	NULL,
	NULL,
	NULL,
};

/* What `search` found of one item. */
struct found {
	unsigned items;
	unsigned locked;
	struct secret value; /* of an item that is open */
};

static void
say(char *detail, const char *what, const GError *error)
{
	(void)snprintf(detail, KEYRING_DETAIL_SIZE, "%s%s%s", what, error ? ": " : "",
	    error ? error->message : "");
}

/* ---- State ---- */

static GVariant *
ask(GDBusConnection *bus, const char *path, const char *interface, const char *method,
    GVariant *arguments, const char *type, GError **ret_error)
{
	return g_dbus_connection_call_sync(bus, SERVICE_NAME, path, interface, method,
	    arguments, G_VARIANT_TYPE(type), G_DBUS_CALL_FLAGS_NONE, STATE_MS, NULL,
	    ret_error);
}

/* The path of the collection that new items go to; NULL with the error. */
static char *
default_collection(GDBusConnection *bus, GError **ret_error)
{
	GVariant *reply = ask(bus, SERVICE_PATH, SERVICE_INTERFACE, "ReadAlias",
	    g_variant_new("(s)", "default"), "(o)", ret_error);
	char *path;

	if (!reply)
		return NULL;
	g_variant_get(reply, "(o)", &path);
	g_variant_unref(reply);
	return path;
}

/* Whether the collection is locked: 0 or 1, -1 with the error. */
static int
is_locked(GDBusConnection *bus, const char *path, GError **ret_error)
{
	GVariant *reply = ask(bus, path, "org.freedesktop.DBus.Properties", "Get",
	    g_variant_new("(ss)", COLLECTION_INTERFACE, "Locked"), "(v)", ret_error);
	GVariant *value;
	gboolean locked;

	if (!reply)
		return -1;
	g_variant_get(reply, "(v)", &value);
	locked = g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN)
	    ? g_variant_get_boolean(value)
	    : TRUE;
	g_variant_unref(value);
	g_variant_unref(reply);
	return locked ? 1 : 0;
}

static void
judge_collection(GDBusConnection *bus, const char *path, struct keyring_state *state)
{
	GError *error = NULL;
	int locked;

	if (strcmp(path, "/") == 0) {
		say(state->detail,
		    "the keyring has no default collection yet; log in to the desktop "
		    "or make one",
		    NULL);
		return;
	}
	locked = is_locked(bus, path, &error);
	if (locked < 0) {
		state->answers =
		    !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
		say(state->detail,
		    "the default collection of the keyring cannot be used", error);
	} else if (locked > 0) {
		state->state = "locked";
		say(state->detail,
		    "the keyring is locked; unlock it and it is used again", NULL);
	} else if (strcmp(path, SESSION_COLLECTION) == 0) {
		say(state->detail,
		    "the default collection is the one that is forgotten with the "
		    "session; make another the default",
		    NULL);
	} else {
		state->state = "ready";
	}
	g_clear_error(&error);
}

/* The session bus. GLib keeps one connection for as long as somebody holds it, also
 * when it is closed; libsecret holds it. If that cannot be undone a new process can. */
static GDBusConnection *
open_bus(GError **ret_error)
{
	GDBusConnection *bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, ret_error);

	if (!bus || !g_dbus_connection_is_closed(bus))
		return bus;
	secret_service_disconnect();
	g_object_unref(bus);
	bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, ret_error);
	if (bus && g_dbus_connection_is_closed(bus))
		_exit(EXIT_STOPPED);
	return bus;
}

void
keyring_state(struct keyring_state *ret_state)
{
	GError *error = NULL;
	GDBusConnection *bus = open_bus(&error);
	char *path = NULL;

	*ret_state = (struct keyring_state){ .state = "unavailable" };
	if (!bus) {
		say(ret_state->detail, "there is no session bus", error);
	} else {
		g_dbus_connection_set_exit_on_close(bus, FALSE);
		path = default_collection(bus, &error);
		if (!path) {
			say(ret_state->detail, "the Secret Service does not answer",
			    error);
		} else {
			ret_state->answers = true;
			judge_collection(bus, path, ret_state);
		}
		g_object_unref(bus);
	}
	g_free(path);
	g_clear_error(&error);
}

/* The error that fits a state in which something could not be done. */
static enum proto_error
trouble(char *detail)
{
	struct keyring_state state;

	keyring_state(&state);
	if (strcmp(state.state, "ready") == 0)
		return ERR_none;
	(void)snprintf(detail, KEYRING_DETAIL_SIZE, "%s", state.detail);
	return strcmp(state.state, "locked") == 0 ? ERR_keystore_locked
						  : ERR_keystore_unavailable;
}

/* ---- Items ---- */

/* Something failed although the keyring is open: the session died with an earlier
 * process of the keyring. It has been forgotten, and a second try makes another. */
static bool stale;

static bool
try_again(void)
{
	bool again = stale;

	stale = false;
	return again;
}

/* A service with a session. */
static SecretService *
service_open(char *detail)
{
	GError *error = NULL;
	SecretService *service =
	    secret_service_get_sync(SECRET_SERVICE_OPEN_SESSION, NULL, &error);

	if (!service)
		say(detail, "the keyring cannot be opened", error);
	g_clear_error(&error);
	return service;
}

static enum proto_error
failed(SecretService *service, const char *what, GError *error, char *detail)
{
	enum proto_error why = trouble(detail);

	if (why == ERR_none) {
		stale = true;
		say(detail, what, error);
		why = ERR_keystore_unavailable;
	}
	g_clear_error(&error);
	g_object_unref(service);
	secret_service_disconnect();
	return why;
}

static GHashTable *
attributes_of(const struct keyring_item *item, char *generation)
{
	GHashTable *attributes = g_hash_table_new(g_str_hash, g_str_equal);
	char *const values[] = { (char *)(uintptr_t)item->database,
		(char *)(uintptr_t)item->name };

	(void)g_hash_table_insert(
	    attributes, (char *)(uintptr_t) "database", values[0]);
	if (!item->name)
		return attributes;
	(void)snprintf(generation, GENERATION_SIZE, "%" PRIu64, item->generation);
	(void)g_hash_table_insert(attributes, (char *)(uintptr_t) "name", values[1]);
	(void)g_hash_table_insert(
	    attributes, (char *)(uintptr_t) "generation", generation);
	return attributes;
}

/* Items with these attributes, locked or not, without unlocking. False with the
 * error. */
static bool
search(SecretService *service, const struct keyring_item *item, bool with_secrets,
    GList **ret_items, GError **ret_error)
{
	char generation[GENERATION_SIZE];
	GHashTable *attributes = attributes_of(item, generation);
	int flags = SECRET_SEARCH_ALL | (with_secrets ? SECRET_SEARCH_LOAD_SECRETS : 0);

	*ret_items = secret_service_search_sync(
	    service, &schema, attributes, (SecretSearchFlags)flags, NULL, ret_error);
	g_hash_table_unref(attributes);
	return *ret_error == NULL;
}

static void
take_value(SecretItem *item, struct found *found)
{
	SecretValue *value = secret_item_get_secret(item);
	gsize length = 0;
	const char *bytes;

	if (!value)
		return;
	bytes = secret_value_get(value, &length);
	secret_clear(&found->value);
	found->value = secret_copy(bytes, length);
	secret_value_unref(value);
}

static bool
find(SecretService *service, const struct keyring_item *item, struct found *found,
    GError **ret_error)
{
	GList *items;
	GList *each;

	if (!search(service, item, true, &items, ret_error))
		return false;
	for (each = items; each; each = each->next) {
		found->items++;
		if (secret_item_get_locked(each->data))
			found->locked++;
		else
			take_value(each->data, found);
	}
	g_list_free_full(items, g_object_unref);
	return true;
}

/* What was written must come back before anybody relies on it. */
static enum proto_error
read_back(SecretService *service, const struct keyring_item *item,
    const struct secret *value, char *detail)
{
	struct found found = { .value = SECRET_NONE };
	GError *error = NULL;
	bool same;

	if (!find(service, item, &found, &error))
		return failed(service, "an item cannot be read back", error, detail);
	same = found.value.bytes && secret_equal(&found.value, value);
	secret_clear(&found.value);
	if (!same)
		return failed(service,
		    "the keyring gave another value back than was written", NULL,
		    detail);
	g_object_unref(service);
	return ERR_none;
}

static enum proto_error
store_once(const struct keyring_item *item, const struct secret *value, char *detail)
{
	enum proto_error why = trouble(detail);
	SecretService *service = why == ERR_none ? service_open(detail) : NULL;
	char generation[GENERATION_SIZE];
	char label[300];
	GHashTable *attributes;
	SecretValue *wrapped;
	GError *error = NULL;

	if (why != ERR_none)
		return why;
	if (!service)
		return ERR_keystore_unavailable;
	(void)snprintf(label, sizeof(label), "Streamhold %s", item->name);
	if (!g_utf8_validate(label, -1, NULL))
		(void)snprintf(label, sizeof(label), "Streamhold");
	attributes = attributes_of(item, generation);
	wrapped =
	    secret_value_new(secret_text(value), (gssize)value->length, CONTENT_TYPE);
	(void)secret_service_store_sync(service, &schema, attributes,
	    SECRET_COLLECTION_DEFAULT, label, wrapped, NULL, &error);
	secret_value_unref(wrapped);
	g_hash_table_unref(attributes);
	if (error)
		return failed(service, "an item cannot be written", error, detail);
	return read_back(service, item, value, detail);
}

static enum proto_error
load_once(const struct keyring_item *item, struct secret *ret_value, char *detail)
{
	SecretService *service = service_open(detail);
	struct found found = { .value = SECRET_NONE };
	GError *error = NULL;

	if (!service) {
		secret_service_disconnect();
		return ERR_keystore_unavailable;
	}
	if (!find(service, item, &found, &error))
		return failed(service, "an item cannot be read", error, detail);
	if (found.value.bytes) {
		*ret_value = secret_move(&found.value);
		g_object_unref(service);
		return ERR_none;
	}
	if (found.locked > 0) {
		say(detail, "the keyring is locked; unlock it and it is used again",
		    NULL);
		g_object_unref(service);
		return ERR_keystore_locked;
	}
	if (found.items > 0)
		return failed(service, "an item came without its value", NULL, detail);
	g_object_unref(service);
	if (trouble(detail) != ERR_none)
		return trouble(detail);
	say(detail, "the keyring is open and has no such item", NULL);
	return ERR_not_found;
}

static enum proto_error
erase_once(const struct keyring_item *item, char *detail)
{
	SecretService *service = service_open(detail);
	GError *error = NULL;
	bool locked = false;
	GList *items;
	GList *each;

	if (!service) {
		secret_service_disconnect();
		return ERR_keystore_unavailable;
	}
	if (!search(service, item, false, &items, &error))
		return failed(service, "items cannot be searched", error, detail);
	for (each = items; each && !error; each = each->next) {
		if (secret_item_get_locked(each->data))
			locked = true;
		else
			(void)secret_item_delete_sync(each->data, NULL, &error);
	}
	g_list_free_full(items, g_object_unref);
	if (error)
		return failed(service, "an item cannot be removed", error, detail);
	g_object_unref(service);
	if (locked)
		say(detail, "the keyring is locked", NULL);
	return locked ? ERR_keystore_locked : ERR_none;
}

static void
tell_item(SecretItem *item, keyring_each_fn *each, void *arg)
{
	GHashTable *attributes = secret_item_get_attributes(item);
	const char *name = g_hash_table_lookup(attributes, "name");
	const char *text = g_hash_table_lookup(attributes, "generation");
	uint64_t generation;

	if (name && *name && text &&
	    text_to_u64(text, strlen(text), UINT64_MAX, &generation))
		each(arg, name, generation, secret_item_get_created(item));
	g_hash_table_unref(attributes);
}

/* The attributes of a locked item cannot be relied on: what is missing from a list must
 * not be taken for absent. */
static bool
is_any_locked(GList *items)
{
	for (; items; items = items->next)
		if (secret_item_get_locked(items->data))
			return true;
	return false;
}

static enum proto_error
list_once(const char *database, keyring_each_fn *each, void *arg, char *detail)
{
	const struct keyring_item item = { .database = database };
	SecretService *service = service_open(detail);
	GError *error = NULL;
	GList *items;
	GList *at;
	bool locked;

	if (!service) {
		secret_service_disconnect();
		return ERR_keystore_unavailable;
	}
	if (!search(service, &item, false, &items, &error))
		return failed(service, "items cannot be searched", error, detail);
	locked = is_any_locked(items);
	for (at = items; at && !locked; at = at->next)
		tell_item(at->data, each, arg);
	g_list_free_full(items, g_object_unref);
	g_object_unref(service);
	if (locked)
		say(detail, "the keyring is locked", NULL);
	return locked ? ERR_keystore_locked : ERR_none;
}

enum proto_error
keyring_store(const struct keyring_item *item, const struct secret *value, char *detail)
{
	enum proto_error error = store_once(item, value, detail);

	return try_again() ? store_once(item, value, detail) : error;
}

enum proto_error
keyring_load(const struct keyring_item *item, struct secret *ret_value, char *detail)
{
	enum proto_error error = load_once(item, ret_value, detail);

	return try_again() ? load_once(item, ret_value, detail) : error;
}

enum proto_error
keyring_erase(const struct keyring_item *item, char *detail)
{
	enum proto_error error = erase_once(item, detail);

	return try_again() ? erase_once(item, detail) : error;
}

enum proto_error
keyring_list(const char *database, keyring_each_fn *each, void *arg, char *detail)
{
	enum proto_error error = list_once(database, each, arg, detail);

	return try_again() ? list_once(database, each, arg, detail) : error;
}
