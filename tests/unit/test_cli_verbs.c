/*
 * The table of verbs: what its rows must keep to, whoever adds one.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/options.h"

/* Columns that the help has for a verb's sentence. */
#define HELP_MAX 51

static void
every_verb_has_a_function_and_a_sentence(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; verbs[i].name; i++) {
		assert_non_null(verbs[i].run);
		assert_non_null(verbs[i].arguments);
		assert_non_null(verbs[i].options);
		assert_true(strlen(verbs[i].help) > 5);
		assert_true(strlen(verbs[i].help) <= HELP_MAX);
		assert_true(islower((unsigned char)verbs[i].help[0]));
		assert_true(verbs[i].least <= verbs[i].most);
		assert_true((verbs[i].most == 0) == (*verbs[i].arguments == '\0'));
	}
}

static void
no_verb_hides_another(void **state)
{
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; verbs[i].name; i++) {
		size_t length = strlen(verbs[i].name);

		for (j = 0; verbs[j].name; j++) {
			if (i == j)
				continue;
			assert_false(
			    strncmp(verbs[i].name, verbs[j].name, length) == 0 &&
			    (verbs[j].name[length] == '\0' ||
				verbs[j].name[length] == ' '));
		}
	}
}

/* An option that is written in a row and missing in the table would never be taken. */
static void
every_option_of_a_verb_is_known(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; verbs[i].name; i++) {
		char text[4096] = "";
		FILE *memory = fmemopen(text, sizeof(text), "w");
		const char *at;
		size_t named = *verbs[i].options != '\0';
		size_t printed = 0;

		assert_non_null(memory);
		options_print(memory, &verbs[i]);
		assert_int_equal(fclose(memory), 0);
		for (at = verbs[i].options; *at; at++)
			named += *at == ' ';
		for (at = text; *at; at++)
			printed += *at == '\n';
		assert_int_equal(printed, named);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_has_a_function_and_a_sentence),
		cmocka_unit_test(no_verb_hides_another),
		cmocka_unit_test(every_option_of_a_verb_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
