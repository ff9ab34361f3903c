/*
 * Messages to frames and back, by walking the tables.
 *
 * msgpack-c does the reading and writing of values, after proto_walk has made sure
 * that no declared count or length exceeds the bytes that are there: its unpacker sizes
 * memory by the sender's numbers (docs/decisions/0006-msgpack-bounds-walk.md).
 *
 * Decoding copies every text, secret and byte field into one arena, so a message can
 * outlive its frame and be handed on, and texts end in NUL.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "common/alloc.h"
#include "common/locked_memory.h"
#include "proto/proto.h"

#define HEADER_FIELDS 2

/* Bytes of memory for the values of a frame, texts and bytes left where they are:
 * enough for most, and few enough for malloc's quick way. msgpack-c would take eight
 * times as much for each. */
#define ZONE_CHUNK 1000

/* Member access by the tables' offsets; nowhere else in the project. */
static void *
member(struct proto_msg *msg, const struct proto_field *field)
{
	return (char *)msg + field->offset;
}

static const void *
member_const(const struct proto_msg *msg, const struct proto_field *field)
{
	return (const char *)msg + field->offset;
}

/* What a text, bytes or secret field holds, as bytes; NULL when absent. */
static const uint8_t *
field_bytes(
    const struct proto_msg *msg, const struct proto_field *field, size_t *ret_length)
{
	const void *at = member_const(msg, field);
	const char *text;

	switch (field->kind) {
	case PROTO_text:
		text = *(const char *const *)at;
		*ret_length = text ? strlen(text) : 0;
		return (const uint8_t *)text;
	case PROTO_bytes:
		*ret_length = ((const struct proto_bytes *)at)->length;
		return ((const struct proto_bytes *)at)->data;
	case PROTO_secret:
		*ret_length = ((const struct secret *)at)->length;
		return ((const struct secret *)at)->bytes;
	default:
		*ret_length = 0;
		return NULL;
	}
}

static uint64_t
field_number(const struct proto_msg *msg, const struct proto_field *field)
{
	const void *at = member_const(msg, field);

	switch (field->kind) {
	case PROTO_u32:
		return *(const uint32_t *)at;
	case PROTO_u64:
		return *(const uint64_t *)at;
	default:
		return *(const bool *)at;
	}
}

static bool
is_number(const struct proto_field *field)
{
	return field->kind == PROTO_u32 || field->kind == PROTO_u64 ||
	    field->kind == PROTO_flag;
}

/* Names message and field in the static text of this thread. */
static int
refuse(int result, const char *message, const char *field, const char *why,
    const char **ret_what)
{
	static _Thread_local char text[160];

	(void)snprintf(text, sizeof(text), "%s%s%s: %s", message, field ? "." : "",
	    field ? field : "", why);
	*ret_what = text;
	return result;
}

/* Encoding. */

static int
buf_writer(void *data, const char *bytes, size_t length)
{
	buf_add(data, bytes, length);
	return 0;
}

/* Checks a field against its table and packs it. NULL, or why it does not fit. */
static const char *
pack_number(msgpack_packer *packer, const struct proto_msg *msg,
    const struct proto_field *field)
{
	uint64_t number = field_number(msg, field);

	if (number < field->least || number > field->most)
		return "out of range";
	if (field->kind != PROTO_flag)
		msgpack_pack_uint64(packer, number);
	else if (number)
		msgpack_pack_true(packer);
	else
		msgpack_pack_false(packer);
	return NULL;
}

static const char *
pack_field(msgpack_packer *packer, const struct proto_msg *msg,
    const struct proto_field *field)
{
	const uint8_t *bytes;
	size_t length;

	if (is_number(field))
		return pack_number(packer, msg, field);
	bytes = field_bytes(msg, field, &length);
	if (!bytes && field->maybe) {
		msgpack_pack_nil(packer);
		return NULL;
	}
	if (!bytes && (field->least > 0 || field->kind == PROTO_text))
		return "absent";
	if (length < field->least || length > field->most)
		return "length out of range";
	if (field->kind == PROTO_text) {
		msgpack_pack_str(packer, length);
		msgpack_pack_str_body(packer, bytes, length);
	} else {
		msgpack_pack_bin(packer, length);
		if (length)
			msgpack_pack_bin_body(packer, bytes, length);
	}
	return NULL;
}

static void
put_length(uint8_t *at, size_t length)
{
	at[0] = (uint8_t)(length >> 24);
	at[1] = (uint8_t)(length >> 16);
	at[2] = (uint8_t)(length >> 8);
	at[3] = (uint8_t)length;
}

/* Removes what was written after the first `length` bytes. */
static void
take_back(struct buf *out, size_t length)
{
	size_t more = buf_length(out) - length;

	wipe(buf_bytes(out) + length, more);
	out->end -= more;
}

int
proto_encode(const struct proto_msg *msg, enum proto_direction direction,
    size_t frame_max, struct buf *out, const char **ret_what)
{
	const struct proto_schema *schema = proto_schema((unsigned)msg->type);
	msgpack_packer packer;
	size_t before = buf_length(out);
	const char *why;
	size_t length;
	size_t i;

	if (!schema)
		return refuse(-EINVAL, "message", NULL, "unknown type", ret_what);
	if (!(schema->direction & direction))
		return refuse(-EINVAL, schema->name, NULL, "wrong direction", ret_what);
	buf_add(out, "\0\0\0\0", 4);
	msgpack_packer_init(&packer, out, buf_writer);
	msgpack_pack_array(&packer, HEADER_FIELDS + schema->field_count);
	msgpack_pack_uint32(&packer, (uint32_t)msg->type);
	msgpack_pack_uint32(&packer, msg->rid);
	for (i = 0; i < schema->field_count; i++) {
		why = pack_field(&packer, msg, &schema->fields[i]);
		if (!why)
			continue;
		take_back(out, before);
		return refuse(
		    -EINVAL, schema->name, schema->fields[i].name, why, ret_what);
	}
	length = buf_length(out) - before - 4;
	if (length + 4 > frame_max) {
		take_back(out, before);
		return refuse(
		    -EMSGSIZE, schema->name, NULL, "frame too long", ret_what);
	}
	put_length(buf_bytes(out) + before, length);
	return 0;
}

/* Decoding. */

/* The bytes of a value of the field's kind; false for another kind. */
static bool
value_bytes(const msgpack_object *value, const struct proto_field *field,
    const char **ret_bytes, size_t *ret_length)
{
	if (field->kind == PROTO_text && value->type == MSGPACK_OBJECT_STR) {
		*ret_bytes = value->via.str.ptr;
		*ret_length = value->via.str.size;
		return true;
	}
	if (field->kind != PROTO_text && value->type == MSGPACK_OBJECT_BIN) {
		*ret_bytes = value->via.bin.ptr;
		*ret_length = value->via.bin.size;
		return true;
	}
	return false;
}

static const char *
decode_number(
    struct proto_msg *msg, const struct proto_field *field, const msgpack_object *value)
{
	void *at = member(msg, field);
	uint64_t number;

	if (field->kind == PROTO_flag) {
		if (value->type != MSGPACK_OBJECT_BOOLEAN)
			return "not a flag";
		*(bool *)at = value->via.boolean;
		return NULL;
	}
	if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return "not a number";
	number = value->via.u64;
	if (number < field->least || number > field->most)
		return "out of range";
	if (field->kind == PROTO_u32) {
		if (number > UINT32_MAX)
			return "out of range";
		*(uint32_t *)at = (uint32_t)number;
	} else {
		*(uint64_t *)at = number;
	}
	return NULL;
}

/* Copies a value into the arena at *used and points the member there. */
static const char *
decode_bytes(struct proto_msg *msg, const struct proto_field *field,
    const msgpack_object *value, size_t *used)
{
	void *at = member(msg, field);
	uint8_t *copy = msg->arena + *used;
	const char *bytes;
	size_t length;

	if (value->type == MSGPACK_OBJECT_NIL)
		return field->maybe ? NULL : "absent";
	if (!value_bytes(value, field, &bytes, &length))
		return "wrong kind";
	if (length < field->least || length > field->most)
		return "length out of range";
	if (field->kind == PROTO_text && length && memchr(bytes, '\0', length))
		return "holds a NUL";
	if (length)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	*used += length + 1;
	if (field->kind == PROTO_text)
		*(const char **)at = (const char *)copy;
	else if (field->kind == PROTO_secret)
		*(struct secret *)at =
		    (struct secret){ .bytes = copy, .length = length };
	else
		*(struct proto_bytes *)at =
		    (struct proto_bytes){ .data = copy, .length = length };
	return NULL;
}

static int
decode_fields(struct proto_msg *msg, const struct proto_schema *schema,
    const msgpack_object *values, const char **ret_what)
{
	const char *why;
	size_t used = 0;
	size_t i;

	for (i = 0; i < schema->field_count; i++) {
		const struct proto_field *field = &schema->fields[i];

		why = is_number(field) ? decode_number(msg, field, &values[i])
				       : decode_bytes(msg, field, &values[i], &used);
		if (why)
			return refuse(
			    -EBADMSG, schema->name, field->name, why, ret_what);
	}
	return 0;
}

/* Reads type and rid and finds the schema. */
static int
decode_header(const msgpack_object *root, enum proto_direction direction,
    uint32_t *ret_rid, const struct proto_schema **ret_schema, const char **ret_what)
{
	const struct proto_schema *schema;
	const msgpack_object *values;

	if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size < HEADER_FIELDS)
		return refuse(
		    -EBADMSG, "frame", NULL, "not an array with a header", ret_what);
	values = root->via.array.ptr;
	if (values[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    values[0].via.u64 >= MSG_MAX || !proto_schema((unsigned)values[0].via.u64))
		return refuse(
		    -EBADMSG, "frame", NULL, "unknown message type", ret_what);
	if (values[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    values[1].via.u64 > UINT32_MAX)
		return refuse(-EBADMSG, "frame", NULL, "bad request number", ret_what);
	schema = proto_schema((unsigned)values[0].via.u64);
	if (!(schema->direction & direction))
		return refuse(
		    -EBADMSG, schema->name, NULL, "wrong direction", ret_what);
	if (root->via.array.size != HEADER_FIELDS + schema->field_count)
		return refuse(
		    -EBADMSG, schema->name, NULL, "wrong number of fields", ret_what);
	*ret_rid = (uint32_t)values[1].via.u64;
	*ret_schema = schema;
	return 0;
}

int
proto_decode(const uint8_t *body, size_t length, enum proto_direction direction,
    struct proto_msg *ret_msg, const char **ret_what)
{
	struct proto_msg msg = { .type = MSG_none };
	const struct proto_schema *schema = NULL;
	msgpack_object frame;
	msgpack_zone zone;
	int result;

	if (!proto_walk(body, length))
		return refuse(
		    -EBADMSG, "frame", NULL, "not one MessagePack value", ret_what);
	if (!msgpack_zone_init(&zone, ZONE_CHUNK))
		abort();
	if (msgpack_unpack((const char *)body, length, NULL, &zone, &frame) !=
	    MSGPACK_UNPACK_SUCCESS) {
		result =
		    refuse(-EBADMSG, "frame", NULL, "cannot be unpacked", ret_what);
		goto out;
	}
	result = decode_header(&frame, direction, &msg.rid, &schema, ret_what);
	if (result < 0)
		goto out;
	/* Each field takes at least one byte of the frame, which leaves room for NULs.
	 */
	msg.arena_size = length + schema->field_count + 1;
	msg.type = schema->type;
	msg.arena = proto_holds_secret(msg.type) ? locked_new(msg.arena_size)
						 : xmalloc(msg.arena_size);
	result =
	    decode_fields(&msg, schema, frame.via.array.ptr + HEADER_FIELDS, ret_what);
	if (result < 0)
		proto_clear(&msg);
	else
		*ret_msg = msg;
out:
	msgpack_zone_destroy(&zone);
	return result;
}

bool
proto_holds_secret(enum proto_type type)
{
	const struct proto_schema *schema = proto_schema((unsigned)type);
	size_t i;

	for (i = 0; schema && i < schema->field_count; i++)
		if (schema->fields[i].kind == PROTO_secret)
			return true;
	return false;
}

void
proto_clear(struct proto_msg *msg)
{
	if (proto_holds_secret(msg->type))
		locked_free(msg->arena);
	else
		free(msg->arena);
	*msg = (struct proto_msg){ .type = MSG_none };
}

struct proto_msg
proto_move(struct proto_msg *from)
{
	struct proto_msg moved = *from;

	*from = (struct proto_msg){ .type = MSG_none };
	return moved;
}

void
proto_dump(const struct proto_msg *msg, char *text, size_t size)
{
	const struct proto_schema *schema = proto_schema((unsigned)msg->type);
	struct buf line = BUF_EMPTY;
	size_t length;
	size_t i;

	buf_printf(&line, "%s #%u", schema ? schema->name : "none", msg->rid);
	for (i = 0; schema && i < schema->field_count; i++) {
		const struct proto_field *field = &schema->fields[i];
		const uint8_t *bytes = field_bytes(msg, field, &length);

		if (is_number(field))
			buf_printf(&line, " %s=%llu", field->name,
			    (unsigned long long)field_number(msg, field));
		else if (bytes && field->kind == PROTO_text)
			buf_printf(&line, " %s='%.*s'", field->name,
			    (int)(length < 80 ? length : 80), (const char *)bytes);
		else if (bytes)
			buf_printf(&line, " %s=%zu bytes", field->name, length);
	}
	(void)snprintf(
	    text, size, "%.*s", (int)buf_length(&line), (const char *)buf_bytes(&line));
	buf_clear(&line);
}

const char *
proto_library_version(void)
{
	return msgpack_version();
}
