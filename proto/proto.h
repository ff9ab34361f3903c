/*
 * The messages as C structs, and the tables that say everything about them.
 *
 * All of it is made from messages.def and errors.def. A message is a struct proto_msg
 * with a type and one member of the union named like the message:
 *
 *	struct proto_msg m = { .type = MSG_account_get,
 *		.account_get = { .platform = "kick", .username = name } };
 *
 * A decoded message owns the memory of its fields (`arena`); proto_clear wipes and
 * frees it. A message put together by hand borrows what its fields point to and has no
 * arena; proto_clear leaves those alone.
 */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/secret.h"

struct proto_bytes {
	const uint8_t *data;
	size_t length;
};

/* The C type of each kind. An absent MAYBE field is NULL (text) or has a NULL pointer
 * (bytes, secret). */
typedef const char *proto_kind_text;
typedef struct proto_bytes proto_kind_bytes;
typedef struct secret proto_kind_secret;
typedef uint32_t proto_kind_u32;
typedef uint64_t proto_kind_u64;
typedef bool proto_kind_flag;

enum proto_type {
	MSG_none = 0,
#define MESSAGE(name, number, direction, answer, repeat, doc) MSG_##name = number,
#define FIELD(message, kind, name, least, most, doc)
#define MAYBE(message, kind, name, least, most, doc)
#define END(name_)
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef MAYBE
#undef END
	MSG_MAX = 256
};

/* C wants at least one member in a struct, hence the mark. */
#define MESSAGE(name, number, direction, answer, repeat, doc) \
	struct proto_##name { \
		char mark;
#define FIELD(message, kind, name, least, most, doc) proto_kind_##kind name;
#define MAYBE(message, kind, name, least, most, doc) proto_kind_##kind name;
#define END(name_) \
	} \
	;
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef MAYBE
#undef END

struct proto_msg {
	enum proto_type type;
	uint32_t rid; /* pairs a request with its answer; 0 for notifications */
	union {
#define MESSAGE(name, number, direction, answer, repeat, doc) struct proto_##name name;
#define FIELD(message, kind, name, least, most, doc)
#define MAYBE(message, kind, name, least, most, doc)
#define END(name_)
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef MAYBE
#undef END
	};
	uint8_t *arena; /* memory of a decoded message's fields */
	size_t arena_size;
};

enum proto_kind {
	PROTO_text,
	PROTO_bytes,
	PROTO_secret,
	PROTO_u32,
	PROTO_u64,
	PROTO_flag,
	PROTO_KIND_MAX
};

enum proto_direction {
	PROTO_TO_BROKER = 1,
	PROTO_TO_PEER = 2,
	PROTO_TO_VAULT = 4,
	PROTO_FROM_VAULT = 8,
	PROTO_ANSWER = PROTO_TO_PEER | PROTO_FROM_VAULT,
	PROTO_BOTH =
	    PROTO_TO_BROKER | PROTO_TO_PEER | PROTO_TO_VAULT | PROTO_FROM_VAULT,
};

struct proto_field {
	const char *name; /* NULL ends the list */
	enum proto_kind kind;
	bool maybe;
	size_t offset; /* in struct proto_msg */
	uint64_t least;
	uint64_t most;
	const char *doc;
};

struct proto_schema {
	const char *name;
	enum proto_type type;
	enum proto_direction direction;
	enum proto_type answer; /* see messages.def */
	bool again;             /* may be repeated to a restarted broker */
	const struct proto_field *fields;
	size_t field_count;
	const char *doc;
};

enum proto_error {
	ERR_none = 0,
#define ERROR(name, http, exit, doc) ERR_##name,
#include "proto/errors.def"
#undef ERROR
	ERR_MAX
};

struct proto_error_info {
	const char *name;
	int http_status;
	int exit_status;
	const char *doc;
};

/* The schema of a type, NULL when there is no such type. */
const struct proto_schema *proto_schema(unsigned type);

/* The schemas in the order of messages.def; NULL after the last. */
const struct proto_schema *proto_schema_at(size_t index);

/* What an error of errors.def is; the one for `internal` when the number or name is
 * unknown. */
const struct proto_error_info *proto_error_info(enum proto_error error);
enum proto_error proto_error_by_name(const char *name);

/* 16 hex digits over names, types, bounds and directions of all messages. The result
 * is static. */
const char *proto_schema_id(void);

/* Version of msgpack-c; static. */
const char *proto_library_version(void);

/* A `failed` message with an error's name and a sentence (borrowed). */
struct proto_msg proto_failed(enum proto_error error, const char *message);

/* Longest frame of an ordinary link, with its length prefix, and what a webhook link
 * needs beyond the body limit (design.md 9). */
#define PROTO_FRAME_MAX 65536
#define PROTO_FRAME_EXTRA 32768
/* On the link to the keystore helper: a secret and its name. */
#define PROTO_FRAME_VAULT_MAX (128 * 1024)

/* Appends a frame (4-byte big-endian length, then the MessagePack array) to *out.
 * `direction` is what the sender may send. 0; -EINVAL for a field out of its bounds or
 * a type of the wrong direction, with the field named in *ret_what (static text);
 * -EMSGSIZE when the frame would exceed `frame_max`. Nothing is appended on failure. */
int proto_encode(const struct proto_msg *msg, enum proto_direction direction,
    size_t frame_max, struct buf *out, const char **ret_what);

/* Decodes the body of one frame (without the length). 0, or -EBADMSG with what was
 * wrong in *ret_what (static text that names message and field). On success the caller
 * calls proto_clear. */
int proto_decode(const uint8_t *body, size_t length, enum proto_direction direction,
    struct proto_msg *ret_msg, const char **ret_what);

/* Walks MessagePack without allocation: every declared count and length fits in the
 * bytes that are left, nesting is at most PROTO_DEPTH_MAX, exactly one value, nothing
 * after it. */
#define PROTO_DEPTH_MAX 4
bool proto_walk(const uint8_t *body, size_t length);

/* Wipes and frees what a decoded message owns, and makes it MSG_none. */
void proto_clear(struct proto_msg *msg);

/* Whether messages of a type have a secret field or the state of a login, so that their
 * frames are wiped. */
bool proto_holds_secret(enum proto_type type);

/* Moves a decoded message; *from becomes MSG_none. */
struct proto_msg proto_move(struct proto_msg *from);

/* One line about a message for the log, secrets and bytes as sizes. `text` takes
 * `size` bytes. */
void proto_dump(const struct proto_msg *msg, char *text, size_t size);

#endif
