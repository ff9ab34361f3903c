/*
 * The constant tables made from messages.def and errors.def, and the hash over them.
 */
#include <stdio.h>
#include <string.h>

#include "proto/proto.h"

/* Fields. */
#define MESSAGE(name, number, direction, answer, repeat, doc) \
	static const struct proto_field fields_##name[] = {
#define FIELD(message, kind_, name_, least_, most_, doc_) \
	{ .name = #name_, \
		.kind = PROTO_##kind_, \
		.maybe = false, \
		.offset = offsetof(struct proto_msg, message.name_), \
		.least = least_, \
		.most = most_, \
		.doc = doc_ },
#define MAYBE(message, kind_, name_, least_, most_, doc_) \
	{ .name = #name_, \
		.kind = PROTO_##kind_, \
		.maybe = true, \
		.offset = offsetof(struct proto_msg, message.name_), \
		.least = least_, \
		.most = most_, \
		.doc = doc_ },
#define END(name_) \
	{ \
		.name = NULL \
	} \
	} \
	;
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef MAYBE
#undef END

#define PROTO_again true
#define PROTO_once false

static const struct proto_schema schemas[] = {
#define MESSAGE(name_, number, direction_, answer_, repeat, doc_) \
	{ .name = #name_, \
		.type = MSG_##name_, \
		.direction = PROTO_##direction_, \
		.answer = MSG_##answer_, \
		.again = PROTO_##repeat, \
		.fields = fields_##name_, \
		.field_count = sizeof(fields_##name_) / sizeof(fields_##name_[0]) - 1, \
		.doc = doc_ },
#define FIELD(message, kind, name, least, most, doc)
#define MAYBE(message, kind, name, least, most, doc)
#define END(name_)
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef MAYBE
#undef END
};

static const struct proto_error_info errors[ERR_MAX] = {
	[ERR_none] = { "none", 200, 0, "no error" },
#define ERROR(name_, http, exit, doc_) [ERR_##name_] = { #name_, http, exit, doc_ },
#include "proto/errors.def"
#undef ERROR
};

#define SCHEMA_COUNT (sizeof(schemas) / sizeof(schemas[0]))

const struct proto_schema *
proto_schema_at(size_t index)
{
	return index < SCHEMA_COUNT ? &schemas[index] : NULL;
}

const struct proto_schema *
proto_schema(unsigned type)
{
	static const struct proto_schema *by_type[MSG_MAX];
	size_t i;

	if (!by_type[MSG_hello])
		for (i = SCHEMA_COUNT; i-- > 0;)
			by_type[schemas[i].type] = &schemas[i];
	return type < MSG_MAX ? by_type[type] : NULL;
}

const struct proto_error_info *
proto_error_info(enum proto_error error)
{
	if ((unsigned)error >= ERR_MAX)
		error = ERR_internal;
	return &errors[error];
}

enum proto_error
proto_error_by_name(const char *name)
{
	unsigned i;

	for (i = 1; i < ERR_MAX; i++)
		if (strcmp(errors[i].name, name) == 0)
			return (enum proto_error)i;
	return ERR_internal;
}

struct proto_msg
proto_failed(enum proto_error error, const char *message)
{
	return (struct proto_msg){ .type = MSG_failed,
		.failed = {
		    .code = proto_error_info(error)->name, .message = message } };
}

/* FNV-1a: tells builds apart, it is no defence against a forger. */
static uint64_t
hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return hash;
}

static uint64_t
hash_fields(uint64_t hash, const struct proto_schema *schema)
{
	char line[256];
	size_t i;

	for (i = 0; i < schema->field_count; i++) {
		const struct proto_field *field = &schema->fields[i];

		(void)snprintf(line, sizeof(line), "%s %d %d %llu %llu\n", field->name,
		    (int)field->kind, (int)field->maybe,
		    (unsigned long long)field->least, (unsigned long long)field->most);
		hash = hash_text(hash, line);
	}
	return hash;
}

const char *
proto_schema_id(void)
{
	static char id[17];
	uint64_t hash = 14695981039346656037ULL;
	char line[256];
	size_t i;

	if (id[0])
		return id;
	for (i = 0; i < SCHEMA_COUNT; i++) {
		(void)snprintf(line, sizeof(line), "%s %d %d %d %d\n", schemas[i].name,
		    (int)schemas[i].type, (int)schemas[i].direction,
		    (int)schemas[i].answer, (int)schemas[i].again);
		hash = hash_fields(hash_text(hash, line), &schemas[i]);
	}
	(void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)hash);
	return id;
}
