/*
 * QR codes on a terminal: looked at as a camera would, module by module.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/qr.h"

#define SIDE_MAX 200
#define MARGIN 4

struct picture {
	bool dark[SIDE_MAX][SIDE_MAX];
	int width;
	int height;
};

/* Reads what was printed back into modules; two rows a line. */
static void
look(const char *text, struct picture *picture)
{
	const char *at = text;
	int column = 0;

	memset(picture, 0, sizeof(*picture));
	while (*at) {
		if (*at == '\033') {
			at = strchr(at, 'm') + 1;
		} else if (*at == '\n') {
			assert_true(picture->width == 0 || picture->width == column);
			picture->width = column;
			picture->height += 2;
			column = 0;
			at++;
		} else {
			bool blank = *at == ' ';
			bool lower = strncmp(at, "\u2584", 3) == 0;
			bool upper = strncmp(at, "\u2580", 3) == 0;

			assert_true(column < SIDE_MAX && picture->height < SIDE_MAX);
			picture->dark[picture->height][column] = !blank && !lower;
			picture->dark[picture->height + 1][column] = !blank && !upper;
			column++;
			at += blank ? 1 : 3;
		}
	}
}

/* ISO/IEC 18004, 6.3.3: rings of 7, 5 and 3 modules. */
static void
assert_finder(const struct picture *picture, int top, int left)
{
	int row;
	int column;

	for (row = -3; row <= 3; row++)
		for (column = -3; column <= 3; column++) {
			int ring = abs(row) > abs(column) ? abs(row) : abs(column);

			assert_int_equal(
			    picture->dark[top + 3 + row][left + 3 + column], ring != 2);
		}
}

static void
a_code_has_its_marks_and_margin(void **state)
{
	static struct picture picture;
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	int side;
	int i;

	(void)state;
	assert_non_null(memory);
	if (!qr_possible()) {
		assert_false(qr_print(memory, "x"));
		fclose(memory);
		free(text);
		skip();
	}
	assert_true(qr_print(memory, "https://id.kick.com/oauth/authorize?state=abc"));
	assert_int_equal(fclose(memory), 0);
	look(text, &picture);
	free(text);
	side = picture.width - 2 * MARGIN;
	assert_true(side >= 21 && (side - 21) % 4 == 0);
	assert_in_range(picture.height, picture.width, picture.width + 1);
	assert_finder(&picture, MARGIN, MARGIN);
	assert_finder(&picture, MARGIN, MARGIN + side - 7);
	assert_finder(&picture, MARGIN + side - 7, MARGIN);
	for (i = 0; i < picture.width; i++) {
		assert_false(picture.dark[MARGIN - 1][i]);
		assert_false(picture.dark[i][MARGIN - 1]);
		assert_false(picture.dark[MARGIN + side][i]);
	}
	/* The timing pattern between the marks alternates. */
	for (i = 8; i < side - 8; i++)
		assert_int_equal(picture.dark[MARGIN + 6][MARGIN + i], i % 2 == 0);
}

static void
what_is_too_long_prints_nothing(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	char *address = calloc(1, 4001);

	(void)state;
	assert_non_null(memory);
	memset(address, 'a', 4000);
	assert_false(qr_print(memory, address));
	assert_int_equal(fclose(memory), 0);
	assert_int_equal(size, 0);
	free(text);
	free(address);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_has_its_marks_and_margin),
		cmocka_unit_test(what_is_too_long_prints_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
