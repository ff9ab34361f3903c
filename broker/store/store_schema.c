/*
 * The schema, as steps that are each applied once in a transaction of their own.
 *
 * PRAGMA user_version says how many have been applied. A step is never changed after
 * it was released; a new one is added at the end.
 */
#include "broker/store/store_schema.h"

const char *const store_schema_steps[] = {
	/* 1: the first schema. Times are ms since 1970, scopes are texts with spaces,
	 * secrets are sealed by the vault before they come here. */
	"CREATE TABLE meta ("
	"	name TEXT PRIMARY KEY,"
	"	value BLOB NOT NULL"
	") STRICT;"

	/* What the vault sealed (or its reference to a keyring item), by name. */
	"CREATE TABLE secrets ("
	"	name TEXT PRIMARY KEY,"
	"	generation INTEGER NOT NULL,"
	"	sealed BLOB NOT NULL"
	") STRICT;"

	"CREATE TABLE credentials ("
	"	platform TEXT PRIMARY KEY,"
	"	client_id TEXT NOT NULL,"
	"	scopes TEXT,"
	"	created_at INTEGER NOT NULL,"
	"	updated_at INTEGER NOT NULL"
	") STRICT;"

	/* Logins that were started. state_hash is the SHA-256 of the state. */
	"CREATE TABLE logins ("
	"	state_hash BLOB PRIMARY KEY,"
	"	platform TEXT NOT NULL,"
	"	username TEXT NOT NULL,"
	"	client_id TEXT NOT NULL,"
	"	redirect_uri TEXT NOT NULL,"
	"	scopes TEXT NOT NULL,"
	"	verifier_sealed BLOB,"
	"	adopt INTEGER NOT NULL,"
	"	created_at INTEGER NOT NULL,"
	"	expires_at INTEGER NOT NULL"
	") STRICT;"

	/* username_key is the name in ASCII lower case, under which names are compared.
	 */
	"CREATE TABLE accounts ("
	"	id INTEGER PRIMARY KEY,"
	"	platform TEXT NOT NULL,"
	"	username_key TEXT NOT NULL,"
	"	username TEXT NOT NULL,"
	"	user_id TEXT,"
	"	login TEXT,"
	"	display_name TEXT,"
	"	identity TEXT NOT NULL,"
	"	scopes TEXT NOT NULL,"
	"	scopes_asked TEXT NOT NULL,"
	"	obtained_at INTEGER NOT NULL,"
	"	expires_at INTEGER NOT NULL,"
	"	refreshable INTEGER NOT NULL,"
	"	generation INTEGER NOT NULL,"
	"	status TEXT NOT NULL,"
	"	reason TEXT,"
	"	since INTEGER,"
	"	UNIQUE (platform, username_key)"
	") STRICT;"

	/* Message ids outlive their events, so that a late repeat is known. */
	"CREATE TABLE message_ids ("
	"	message_id TEXT PRIMARY KEY,"
	"	seq INTEGER NOT NULL,"
	"	received_at INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"

	/* Deliveries as received; sha256 is over the body.
	 */
	"CREATE TABLE events ("
	"	seq INTEGER PRIMARY KEY,"
	"	platform TEXT NOT NULL,"
	"	message_id TEXT NOT NULL,"
	"	type TEXT NOT NULL,"
	"	version INTEGER NOT NULL,"
	"	received_at INTEGER NOT NULL,"
	"	occurred_at INTEGER,"
	"	broadcaster_id TEXT,"
	"	broadcaster_name TEXT,"
	"	flags INTEGER NOT NULL,"
	"	subscription_id TEXT,"
	"	timestamp TEXT NOT NULL,"
	"	signature TEXT NOT NULL,"
	"	content_type TEXT,"
	"	user_agent TEXT,"
	"	sha256 BLOB NOT NULL,"
	"	body BLOB NOT NULL"
	") STRICT;"

	/* The greatest seq of a deleted event: seq never goes back, whatever is
	 * deleted, and storing an event does not have to write it. */
	"CREATE TABLE sequence ("
	"	id INTEGER PRIMARY KEY CHECK (id = 1),"
	"	last INTEGER NOT NULL"
	") STRICT;"
	"INSERT INTO sequence (id, last) VALUES (1, 0);"
	"CREATE TRIGGER event_deleted AFTER DELETE ON events"
	"	WHEN old.seq > (SELECT last FROM sequence WHERE id = 1)"
	"	BEGIN UPDATE sequence SET last = old.seq WHERE id = 1; END;",

	/* 2: refresh tokens that were sent and whose fate is not known
	 * (store_refresh.h). */
	"CREATE TABLE refreshes ("
	"	platform TEXT NOT NULL,"
	"	username_key TEXT NOT NULL,"
	"	generation INTEGER NOT NULL,"
	"	attempt INTEGER NOT NULL,"
	"	previous INTEGER NOT NULL,"
	"	started_at INTEGER NOT NULL,"
	"	PRIMARY KEY (platform, username_key)"
	") STRICT;",

	/* 3: accounts whose access token may be handed out, and what was asked of that
	 * (store_handout.h). */
	"CREATE TABLE handouts ("
	"	platform TEXT NOT NULL,"
	"	username_key TEXT NOT NULL,"
	"	allowed_at INTEGER NOT NULL,"
	"	PRIMARY KEY (platform, username_key)"
	") STRICT;"

	"CREATE TABLE audit ("
	"	number INTEGER PRIMARY KEY AUTOINCREMENT,"
	"	at INTEGER NOT NULL,"
	"	uid INTEGER NOT NULL,"
	"	pid INTEGER NOT NULL,"
	"	what TEXT NOT NULL,"
	"	platform TEXT NOT NULL,"
	"	username TEXT NOT NULL,"
	"	outcome TEXT NOT NULL"
	") STRICT;",

	/* 4: events that came again under another message id. */
	"ALTER TABLE events ADD COLUMN duplicate_of INTEGER;",

	/* 5: public keys of platforms, each that was ever in use (store_key.h). */
	"CREATE TABLE public_keys ("
	"	platform TEXT NOT NULL,"
	"	id TEXT NOT NULL,"
	"	pem TEXT NOT NULL,"
	"	since INTEGER NOT NULL,"
	"	until INTEGER NOT NULL,"
	"	PRIMARY KEY (platform, id)"
	") STRICT;",

	/* 6: what makes an event this one (store_content.h). */
	"CREATE TABLE contents ("
	"	key BLOB PRIMARY KEY,"
	"	seq INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;",

	/* 7: who follows the events and how far it is, and events that could not be
	 * pushed (store_consumer.h). */
	"CREATE TABLE consumers ("
	"	name TEXT PRIMARY KEY,"
	"	type TEXT,"
	"	platform TEXT,"
	"	kind TEXT,"
	"	broadcaster TEXT,"
	"	include TEXT,"
	"	cursor INTEGER NOT NULL,"
	"	handed INTEGER NOT NULL,"
	"	created_at INTEGER NOT NULL,"
	"	updated_at INTEGER NOT NULL,"
	"	seen_at INTEGER NOT NULL,"
	"	url TEXT,"
	"	private_too INTEGER NOT NULL,"
	"	generation INTEGER NOT NULL,"
	"	disabled_at INTEGER NOT NULL,"
	"	disabled_reason TEXT"
	") STRICT;"

	"CREATE TABLE dead_letters ("
	"	consumer TEXT NOT NULL,"
	"	seq INTEGER NOT NULL,"
	"	type TEXT NOT NULL,"
	"	id TEXT NOT NULL,"
	"	tries INTEGER NOT NULL,"
	"	died_at INTEGER NOT NULL,"
	"	reason TEXT NOT NULL,"
	"	retry INTEGER NOT NULL,"
	"	body BLOB NOT NULL,"
	"	PRIMARY KEY (consumer, seq)"
	") STRICT;",

	/* 8: event subscriptions: wanted sets that the API was told (also empty ones),
	 * what is known of channels, and what Streamhold created
	 * (store_subscription.h). */
	"CREATE TABLE subscription_sets ("
	"	username_key TEXT PRIMARY KEY,"
	"	username TEXT NOT NULL,"
	"	events TEXT NOT NULL,"
	"	updated_at INTEGER NOT NULL"
	") STRICT;"

	"CREATE TABLE subscription_channels ("
	"	username_key TEXT PRIMARY KEY,"
	"	username TEXT NOT NULL,"
	"	broadcaster_id TEXT,"
	"	asked TEXT,"
	"	asked_at INTEGER NOT NULL"
	") STRICT;"

	"CREATE TABLE subscriptions ("
	"	id TEXT PRIMARY KEY,"
	"	username_key TEXT NOT NULL,"
	"	event TEXT NOT NULL,"
	"	version INTEGER NOT NULL,"
	"	made_at INTEGER NOT NULL,"
	"	listed_at INTEGER NOT NULL,"
	"	adopted INTEGER NOT NULL,"
	"	removed INTEGER NOT NULL"
	") STRICT;",

	/* 9: channels and whether they are live (store_stream.h). */
	"CREATE TABLE streams ("
	"	platform TEXT NOT NULL,"
	"	broadcaster_id TEXT NOT NULL,"
	"	name TEXT NOT NULL,"
	"	live_since INTEGER NOT NULL,"
	"	told_at INTEGER NOT NULL,"
	"	chat_seen INTEGER NOT NULL,"
	"	PRIMARY KEY (platform, broadcaster_id)"
	") STRICT;",

	/* 10: logins that were turned away (store_refused.h). */
	"CREATE TABLE refused_logins ("
	"	platform TEXT NOT NULL,"
	"	username_key TEXT NOT NULL,"
	"	username TEXT NOT NULL,"
	"	logged_in TEXT NOT NULL,"
	"	at INTEGER NOT NULL,"
	"	PRIMARY KEY (platform, username_key)"
	") STRICT;",

	/* 11: what a consumer was handed since its place was last set, and the secret
	 * before the one in use (store_consumer.h). */
	"ALTER TABLE consumers ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE consumers ADD COLUMN given INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE consumers ADD COLUMN old_generation INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE consumers ADD COLUMN old_until INTEGER NOT NULL DEFAULT 0;"
	"UPDATE consumers SET given = handed;",

	/* 12: logins whose tokens are about to be stored (store_account.h). */
	"CREATE TABLE login_notes ("
	"	platform TEXT NOT NULL,"
	"	username_key TEXT NOT NULL,"
	"	username TEXT NOT NULL,"
	"	user_id TEXT,"
	"	login TEXT,"
	"	display_name TEXT,"
	"	identity TEXT NOT NULL,"
	"	scopes TEXT NOT NULL,"
	"	scopes_asked TEXT NOT NULL,"
	"	obtained_at INTEGER NOT NULL,"
	"	expires_at INTEGER NOT NULL,"
	"	refreshable INTEGER NOT NULL,"
	"	generation INTEGER NOT NULL,"
	"	status TEXT NOT NULL,"
	"	reason TEXT,"
	"	since INTEGER,"
	"	PRIMARY KEY (platform, username_key)"
	") STRICT;",

	/* 13: what an event is known by stands in its row as well, and up to which
	 * event table `contents` has it (store_content.h). */
	"ALTER TABLE events ADD COLUMN content BLOB;"
	"ALTER TABLE sequence ADD COLUMN contents_to INTEGER NOT NULL DEFAULT 0;"
	"UPDATE sequence SET contents_to = "
	"	max(last, coalesce((SELECT max(seq) FROM events), 0));",

	/* 14: the client id that a login was made with (NULL: not known), and until
	 * when its refresh token lives (NULL: not told). */
	"ALTER TABLE accounts ADD COLUMN client_id TEXT;"
	"ALTER TABLE accounts ADD COLUMN refresh_expires_at INTEGER;"
	"ALTER TABLE login_notes ADD COLUMN client_id TEXT;"
	"ALTER TABLE login_notes ADD COLUMN refresh_expires_at INTEGER;",

	/* 15: signatures as bytes, a quarter shorter; `signature` is empty then. Rows
	 * of before keep their text. */
	"ALTER TABLE events ADD COLUMN signature_bytes BLOB;",

	/* 16: table `message_ids` also has events up to there only (store_known.h). */
	"ALTER TABLE sequence RENAME COLUMN contents_to TO known_to;",
};

const size_t store_schema_count =
    sizeof(store_schema_steps) / sizeof(store_schema_steps[0]);
