/*
 * Every message, by the tables: at its least and most, re-encoded to the same bytes,
 * cut at every byte, with every bit flipped, in the wrong direction, with a byte too
 * many. A message or bound that is added is tested without a line here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "proto/proto.h"

#define FRAME_MAX (8 * 1024 * 1024)
/* Longer values are left out: their bounds are those of the frame. */
#define VALUE_MAX 70000
/* Address space that refusing a frame may take; msgpack-c alone maps eight times as much
 * for the first one. */
#define BOMB_MAX_KB (64 * 1024)

enum extreme { LEAST, MOST, ABSENT };

/* Memory of the values of a message that is put together here. */
struct made {
	struct proto_msg msg;
	char *values[32];
	size_t count;
};

static void *
at(struct proto_msg *msg, const struct proto_field *field)
{
	return (char *)msg + field->offset;
}

static void
set_length(struct made *made, const struct proto_field *field, uint64_t length)
{
	char *value = xmalloc(length + 1);

	memset(value, 'x', length);
	value[length] = '\0';
	made->values[made->count++] = value;
	if (field->kind == PROTO_text)
		*(const char **)at(&made->msg, field) = value;
	else if (field->kind == PROTO_bytes)
		*(struct proto_bytes *)at(&made->msg, field) =
		    (struct proto_bytes){ .data = (uint8_t *)value, .length = length };
	else
		*(struct secret *)at(&made->msg, field) =
		    (struct secret){ .bytes = (unsigned char *)value, .length = length };
}

static void
set_number(struct made *made, const struct proto_field *field, uint64_t number)
{
	if (field->kind == PROTO_u32)
		*(uint32_t *)at(&made->msg, field) = (uint32_t)number;
	else if (field->kind == PROTO_u64)
		*(uint64_t *)at(&made->msg, field) = number;
	else
		*(bool *)at(&made->msg, field) = number != 0;
}

static bool
is_number(const struct proto_field *field)
{
	return field->kind == PROTO_u32 || field->kind == PROTO_u64 ||
	    field->kind == PROTO_flag;
}

static struct made
make(const struct proto_schema *schema, enum extreme extreme)
{
	struct made made = { .msg = { .type = schema->type, .rid = 7 } };
	size_t i;

	for (i = 0; i < schema->field_count; i++) {
		const struct proto_field *field = &schema->fields[i];
		uint64_t most = field->most > VALUE_MAX ? VALUE_MAX : field->most;

		if (is_number(field))
			set_number(&made, field, extreme == MOST ? field->most : field->least);
		else if (extreme != ABSENT || !field->maybe)
			set_length(&made, field, extreme == MOST ? most : field->least);
	}
	return made;
}

static void
unmake(struct made *made)
{
	while (made->count > 0)
		free(made->values[--made->count]);
}

/* Encodes; the buffer holds one frame. */
static void
encode(const struct made *made, struct buf *out)
{
	const struct proto_schema *schema = proto_schema((unsigned)made->msg.type);
	const char *what = "";
	int result = proto_encode(&made->msg, schema->direction, FRAME_MAX, out, &what);

	if (result != 0)
		fail_msg("%s", what);
}

static int
decode(const uint8_t *frame, size_t length, enum proto_direction direction,
    struct proto_msg *ret_msg)
{
	const char *what = NULL;
	int result = proto_decode(frame + 4, length - 4, direction, ret_msg, &what);

	assert_true(result == 0 || what != NULL);
	return result;
}

static void
check_round_trip(const struct proto_schema *schema, enum extreme extreme)
{
	struct made made = make(schema, extreme);
	struct buf first = BUF_EMPTY;
	struct buf second = BUF_EMPTY;
	struct proto_msg msg;
	const char *what;

	encode(&made, &first);
	assert_int_equal(decode(buf_bytes(&first), buf_length(&first), schema->direction, &msg),
	    0);
	assert_int_equal(msg.type, schema->type);
	assert_int_equal(msg.rid, 7);
	assert_int_equal(
	    proto_encode(&msg, schema->direction, FRAME_MAX, &second, &what), 0);
	assert_int_equal(buf_length(&first), buf_length(&second));
	assert_memory_equal(buf_bytes(&first), buf_bytes(&second), buf_length(&first));
	proto_clear(&msg);
	assert_int_equal(msg.type, MSG_none);
	buf_clear(&first);
	buf_clear(&second);
	unmake(&made);
}

static void
every_message_comes_back_the_same(void **state)
{
	const struct proto_schema *schema;
	size_t i;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++) {
		check_round_trip(schema, LEAST);
		check_round_trip(schema, MOST);
		check_round_trip(schema, ABSENT);
	}
	assert_true(i > 20);
}

static void
no_message_is_longer_than_its_link_allows(void **state)
{
	const struct proto_schema *schema;
	size_t i;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++) {
		struct made made = make(schema, MOST);
		struct buf out = BUF_EMPTY;
		bool vault = schema->direction == PROTO_TO_VAULT ||
		    schema->direction == PROTO_FROM_VAULT;
		size_t most = vault ? PROTO_FRAME_VAULT_MAX : PROTO_FRAME_MAX;
		const char *what;

		if (schema->type != MSG_delivery)
			assert_int_equal(
			    proto_encode(&made.msg, schema->direction, most, &out, &what), 0);
		buf_clear(&out);
		unmake(&made);
	}
}

/* A number or length one outside its bounds is refused by the encoder and names the
 * field. */
static void
check_bounds(const struct proto_schema *schema, const struct proto_field *field)
{
	const uint64_t wrong[2] = { field->least - 1, field->most + 1 };
	const bool possible[2] = { field->least > 0,
		field->most < UINT32_MAX && field->most < VALUE_MAX &&
		    field->kind != PROTO_flag };
	size_t i;

	for (i = 0; i < 2; i++) {
		struct made made = make(schema, LEAST);
		struct buf out = BUF_EMPTY;
		const char *what = "";

		if (possible[i]) {
			if (is_number(field))
				set_number(&made, field, wrong[i]);
			else
				set_length(&made, field, wrong[i]);
			assert_int_equal(proto_encode(&made.msg, schema->direction,
			                     FRAME_MAX, &out, &what),
			    -EINVAL);
			assert_non_null(strstr(what, field->name));
			assert_int_equal(buf_length(&out), 0);
		}
		buf_clear(&out);
		unmake(&made);
	}
}

static void
every_bound_is_kept(void **state)
{
	const struct proto_schema *schema;
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++)
		for (j = 0; j < schema->field_count; j++)
			check_bounds(schema, &schema->fields[j]);
}

static void
a_cut_frame_is_refused_everywhere(void **state)
{
	const struct proto_schema *schema;
	struct proto_msg msg;
	size_t i;
	size_t cut;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++) {
		struct made made = make(schema, LEAST);
		struct buf out = BUF_EMPTY;

		encode(&made, &out);
		for (cut = 4; cut < buf_length(&out); cut++)
			assert_int_equal(
			    decode(buf_bytes(&out), cut, schema->direction, &msg), -EBADMSG);
		buf_add(&out, "\xc0", 1);
		assert_int_equal(
		    decode(buf_bytes(&out), buf_length(&out), schema->direction, &msg),
		    -EBADMSG);
		buf_clear(&out);
		unmake(&made);
	}
}

/* A flipped bit gives another valid message or a refusal, never more than that. */
static void
a_flipped_bit_does_no_harm(void **state)
{
	const struct proto_schema *schema;
	struct proto_msg msg;
	size_t i;
	size_t bit;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++) {
		struct made made = make(schema, LEAST);
		struct buf out = BUF_EMPTY;

		encode(&made, &out);
		for (bit = 32; bit < 8 * buf_length(&out); bit++) {
			uint8_t *byte = buf_bytes(&out) + bit / 8;

			*byte ^= (uint8_t)(1U << bit % 8);
			if (decode(buf_bytes(&out), buf_length(&out), PROTO_BOTH, &msg) == 0)
				proto_clear(&msg);
			*byte ^= (uint8_t)(1U << bit % 8);
		}
		buf_clear(&out);
		unmake(&made);
	}
}

static void
the_wrong_direction_is_refused(void **state)
{
	const struct proto_schema *schema;
	struct proto_msg msg;
	const char *what;
	size_t i;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++) {
		struct made made = make(schema, LEAST);
		struct buf out = BUF_EMPTY;
		enum proto_direction other =
		    schema->direction == PROTO_TO_BROKER ? PROTO_TO_PEER : PROTO_TO_BROKER;

		if (schema->direction != PROTO_BOTH) {
			encode(&made, &out);
			assert_int_equal(
			    decode(buf_bytes(&out), buf_length(&out), other, &msg), -EBADMSG);
			assert_int_equal(
			    proto_encode(&made.msg, other, FRAME_MAX, &out, &what), -EINVAL);
		}
		buf_clear(&out);
		unmake(&made);
	}
}

/* Five bytes that make msgpack-c's unpacker map 512 MiB. */
/* Of this process, in KiB: "VmPeak" is the most address space that it ever had. */
static long
memory_kb(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long value = -1;

	assert_non_null(file);
	while (value < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name) + 1, NULL, 10);
	(void)fclose(file);
	assert_true(value >= 0);
	return value;
}

static void
the_five_byte_frame_is_refused_without_memory(void **state)
{
	static const uint8_t bombs[][5] = { { 0xdd, 0x01, 0x00, 0x00, 0x00 },
		{ 0xdd, 0xff, 0x00, 0x00, 0x00 }, { 0xdf, 0x01, 0x00, 0x00, 0x00 },
		{ 0xc6, 0xff, 0xff, 0xff, 0xff }, { 0xdb, 0xff, 0xff, 0xff, 0xff },
		{ 0xdd, 0xff, 0xff, 0xff, 0xff } };
	const long before = memory_kb("VmSize");
	struct proto_msg msg;
	const char *what;
	size_t i;

	(void)state;
	/* What was freed by others does not hide what is taken here. */
	assert_true(memory_kb("VmPeak") - before < BOMB_MAX_KB);
	for (i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		assert_false(proto_walk(bombs[i], sizeof(bombs[i])));
		assert_int_equal(
		    proto_decode(bombs[i], sizeof(bombs[i]), PROTO_BOTH, &msg, &what),
		    -EBADMSG);
	}
	assert_true(memory_kb("VmPeak") - before < 2 * BOMB_MAX_KB);
}

static void
nesting_is_bounded(void **state)
{
	uint8_t deep[100000];

	(void)state;
	memset(deep, 0x91, sizeof(deep));
	deep[sizeof(deep) - 1] = 0xc0;
	assert_false(proto_walk(deep, sizeof(deep)));
	assert_true(proto_walk(deep + sizeof(deep) - 5, 5));
	assert_false(proto_walk(deep + sizeof(deep) - 6, 6));
}

static void
a_nul_in_a_text_is_refused(void **state)
{
	struct made made = make(proto_schema(MSG_account_get), MOST);
	struct buf out = BUF_EMPTY;
	struct proto_msg msg;

	(void)state;
	encode(&made, &out);
	buf_bytes(&out)[buf_length(&out) - 1] = '\0';
	assert_int_equal(
	    decode(buf_bytes(&out), buf_length(&out), PROTO_TO_BROKER, &msg), -EBADMSG);
	buf_clear(&out);
	unmake(&made);
}

static void
a_frame_beyond_the_limit_is_not_encoded(void **state)
{
	struct made made = make(proto_schema(MSG_delivery), MOST);
	struct buf out = BUF_EMPTY;
	const char *what;

	(void)state;
	buf_add_text(&out, "before");
	assert_int_equal(
	    proto_encode(&made.msg, PROTO_TO_BROKER, PROTO_FRAME_MAX, &out, &what),
	    -EMSGSIZE);
	assert_int_equal(buf_length(&out), 6);
	buf_clear(&out);
	unmake(&made);
}

static void
a_dump_shows_no_secret(void **state)
{
	char text[1000];
	struct secret secret = secret_copy("hunter2hunter2", 14);
	struct proto_msg msg = { .type = MSG_credentials_put,
		.credentials_put = { .platform = "kick",
		    .client_id = "id",
		    .client_secret = secret } };

	(void)state;
	proto_dump(&msg, text, sizeof(text));
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "client_secret=14 bytes"));
	secret_clear(&secret);
}

static void
every_answer_exists_and_goes_back(void **state)
{
	const struct proto_schema *schema;
	size_t i;

	(void)state;
	for (i = 0; (schema = proto_schema_at(i)); i++) {
		const struct proto_schema *answer = proto_schema((unsigned)schema->answer);

		if (schema->answer == MSG_none)
			continue;
		assert_non_null(answer);
		assert_true(answer->direction &
		    (schema->direction & (PROTO_TO_VAULT | PROTO_FROM_VAULT)
			    ? PROTO_FROM_VAULT
			    : PROTO_TO_PEER));
		assert_int_equal(strlen(proto_schema_id()), 16);
	}
}

static void
numbers_and_names_are_unique(void **state)
{
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; proto_schema_at(i); i++)
		for (j = 0; j < i; j++) {
			assert_int_not_equal(
			    proto_schema_at(i)->type, proto_schema_at(j)->type);
			assert_string_not_equal(
			    proto_schema_at(i)->name, proto_schema_at(j)->name);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_comes_back_the_same),
		cmocka_unit_test(no_message_is_longer_than_its_link_allows),
		cmocka_unit_test(every_bound_is_kept),
		cmocka_unit_test(a_cut_frame_is_refused_everywhere),
		cmocka_unit_test(a_flipped_bit_does_no_harm),
		cmocka_unit_test(the_wrong_direction_is_refused),
		cmocka_unit_test(the_five_byte_frame_is_refused_without_memory),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(a_nul_in_a_text_is_refused),
		cmocka_unit_test(a_frame_beyond_the_limit_is_not_encoded),
		cmocka_unit_test(a_dump_shows_no_secret),
		cmocka_unit_test(every_answer_exists_and_goes_back),
		cmocka_unit_test(numbers_and_names_are_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
