/*
 * The byte buffer: what goes in comes out in order, memory is kept and given back as
 * said, and nothing that left it stays behind in memory that it still holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/buf.h"

static void
an_empty_buffer_has_no_bytes_and_may_be_cleared(void **state)
{
	struct buf buf = BUF_EMPTY;

	(void)state;
	assert_int_equal(buf_length(&buf), 0);
	assert_non_null(buf_bytes(&buf));
	buf_add(&buf, NULL, 0);
	buf_consume(&buf, 0);
	buf_clear(&buf);
	buf_wipe(&buf);
	assert_null(buf.data);
}

static void
text_and_formatted_text_are_appended(void **state)
{
	struct buf buf = BUF_EMPTY;
	char big[3000];

	(void)state;
	memset(big, 'y', sizeof(big));
	buf_add_text(&buf, "a=");
	buf_printf(&buf, "%d;%.*s", 42, (int)sizeof(big), big);
	buf_printf(&buf, "%s", "");
	assert_int_equal(buf_length(&buf), 5 + sizeof(big));
	assert_memory_equal(buf_bytes(&buf), "a=42;yyy", 8);
	buf_clear(&buf);
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Bytes are numbered as they go in, and looked at when they go out. */
static void
bytes_come_out_in_the_order_in_which_they_went_in(void **state)
{
	struct buf buf = BUF_EMPTY;
	uint64_t random = 4101842887655102017ULL;
	uint8_t in = 0;
	uint8_t out = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		size_t size = next_random(&random) % 900;
		uint8_t *room;
		size_t j;

		if (next_random(&random) % 2 && buf_length(&buf) < 100000) {
			room = buf_reserve(&buf, size + next_random(&random) % 100);
			for (j = 0; j < size; j++)
				room[j] = in++;
			buf_added(&buf, size);
			continue;
		}
		size = size < buf_length(&buf) ? size : buf_length(&buf);
		for (j = 0; j < size; j++)
			assert_int_equal(buf_bytes(&buf)[j], out++);
		buf_consume(&buf, size);
	}
	assert_int_equal(buf_length(&buf) % 256, (uint8_t)(in - out));
	buf_clear(&buf);
}

static void
memory_is_kept_up_to_a_bound_when_all_is_consumed(void **state)
{
	struct buf buf = BUF_EMPTY;
	size_t small = BUF_KEEP / 4;
	size_t large = BUF_KEEP * 2;

	(void)state;
	buf_added(&buf, (buf_reserve(&buf, small), small));
	buf_consume(&buf, small);
	assert_non_null(buf.data);
	buf_added(&buf, (buf_reserve(&buf, large), large));
	buf_consume(&buf, large);
	assert_null(buf.data);
	assert_int_equal(buf.capacity, 0);
}

/* What is moved to the front leaves no second copy at its old place. */
static void
bytes_that_were_moved_leave_no_copy(void **state)
{
	struct buf buf = BUF_EMPTY;
	uint8_t *end;

	(void)state;
	memset(buf_reserve(&buf, 512), 'x', 512);
	buf_added(&buf, 500);
	memcpy(buf_bytes(&buf) + 490, "TOPSECRET!", 10);
	buf_consume(&buf, 490);
	(void)buf_reserve(&buf, 100);
	assert_int_equal(buf.start, 0);
	assert_memory_equal(buf_bytes(&buf), "TOPSECRET!", 10);
	end = buf.data + buf.capacity;
	assert_null(memmem(buf.data + 10, (size_t)(end - buf.data) - 10, "SECRET", 6));
	buf_clear(&buf);
}

static void
room_that_is_asked_for_is_there(void **state)
{
	size_t size;

	(void)state;
	for (size = 0; size < 5000; size += 13) {
		struct buf buf = BUF_EMPTY;

		memset(buf_reserve(&buf, size), 1, size);
		buf_added(&buf, size);
		assert_int_equal(buf_length(&buf), size);
		buf_consume(&buf, size / 2);
		memset(buf_reserve(&buf, size), 2, size);
		buf_added(&buf, size);
		assert_int_equal(buf_length(&buf), size - size / 2 + size);
		buf_wipe(&buf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_has_no_bytes_and_may_be_cleared),
		cmocka_unit_test(text_and_formatted_text_are_appended),
		cmocka_unit_test(bytes_come_out_in_the_order_in_which_they_went_in),
		cmocka_unit_test(memory_is_kept_up_to_a_bound_when_all_is_consumed),
		cmocka_unit_test(bytes_that_were_moved_leave_no_copy),
		cmocka_unit_test(room_that_is_asked_for_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
