/*
 * The log: one line for each call, whatever is in it. Standard error is a file in
 * memory while a test looks at what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/process.h"

static int saved_stderr = -1;
static int memory = -1;

/* From here on standard error is kept. */
static void
catch_lines(void)
{
	memory = memfd_create("log", MFD_CLOEXEC);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(memory >= 0 && saved_stderr >= 0);
	dup2(memory, STDERR_FILENO);
}

/* What was written since catch_lines, as text; the caller frees. */
static char *
caught(void)
{
	off_t size = lseek(memory, 0, SEEK_END);
	char *text = xcalloc(1, (size_t)size + 1);

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	assert_int_equal(pread(memory, text, (size_t)size, 0), size);
	close(memory);
	return text;
}

static size_t
count_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static int
reset(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_open("test");
	log_set_format(LOG_FORMAT_text);
	log_set_level(LOG_LEVEL_debug);
	return 0;
}

/* Begins a fresh second with nothing counted yet. */
static void
next_second(void)
{
	time_t second = time(NULL);

	while (time(NULL) == second)
		usleep(2000);
}

static void
a_line_says_when_how_bad_who_and_what(void **state)
{
	char *text;

	(void)state;
	catch_lines();
	log_info("token", "refreshed '%s', good for %u s", "kick/x", 7200U);
	text = caught();
	assert_int_equal(text[strlen("2026-01-18T10:00:00.000")], 'Z');
	assert_string_equal(text + strlen("2026-01-18T10:00:00.000Z"),
	    " info test token: refreshed 'kick/x', good for 7200 s\n");
	free(text);
}

static void
a_json_line_is_an_object(void **state)
{
	json_t *line;
	char *text;

	(void)state;
	log_set_format(LOG_FORMAT_json);
	catch_lines();
	log_warning("store", "a \"quoted\" \\ thing");
	text = caught();
	line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	assert_string_equal(
	    json_string_value(json_object_get(line, "level")), "warning");
	assert_string_equal(
	    json_string_value(json_object_get(line, "program")), "test");
	assert_string_equal(
	    json_string_value(json_object_get(line, "subject")), "store");
	assert_string_equal(json_string_value(json_object_get(line, "message")),
	    "a \"quoted\" \\ thing");
	json_decref(line);
	free(text);
}

static void
the_journal_gets_a_level_and_no_time(void **state)
{
	char *text;

	struct stat info;
	char stream[64];

	(void)state;
	catch_lines();
	assert_int_equal(fstat(STDERR_FILENO, &info), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)info.st_dev,
	    (unsigned long long)info.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("test");
	log_error("a", "one");
	log_warning("a", "two");
	log_info("a", "three");
	log_debug("a", "four");
	text = caught();
	assert_string_equal(text, "<3>a: one\n<4>a: two\n<6>a: three\n<7>a: four\n");
	free(text);
}

/* The variable is inherited by whoever is started with its output elsewhere. */
static void
a_journal_that_is_not_standard_error_gets_nothing(void **state)
{
	static const char *const wrong[] = { "", "8:1", "8", "8:", ":", "x:y", "8:1x" };
	struct stat info;
	char stream[64];
	char *text;
	size_t i;

	(void)state;
	catch_lines();
	assert_int_equal(fstat(STDERR_FILENO, &info), 0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("JOURNAL_STREAM", wrong[i], 1);
		log_open("test");
		log_info("a", "line");
	}
	snprintf(stream, sizeof(stream), "%llu:%llux", (unsigned long long)info.st_dev,
	    (unsigned long long)info.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("test");
	log_info("a", "line");
	text = caught();
	assert_int_equal(count_lines(text), i + 1);
	assert_null(strstr(text, "<6>"));
	assert_non_null(strstr(text, "Z info test a: line\n"));
	free(text);
}

static void
foreign_text_is_escaped(void **state)
{
	static const char *const cases[][2] = {
		{ "plain ~ text", "plain ~ text" },
		{ "\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m" },
		{ "a\r\nb", "a\\x0d\\x0ab" },
		{ "tab\there", "tab\\x09here" },
		{ "del\x7f", "del\\x7f" },
		{ "\xc3\xbc", "\\xc3\\xbc" },
		{ "\xc2\x9b"
		  "31m",
		    "\\xc2\\x9b31m" },
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "%n%s%n%1000000d", "%n%s%n%1000000d" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;

		catch_lines();
		log_info("t", "'%s'", log_quote(cases[i][0]));
		text = caught();
		assert_int_equal(count_lines(text), 1);
		assert_non_null(strstr(text, cases[i][1]));
		free(text);
	}
}

static void
foreign_text_is_cut_where_it_is_quoted(void **state)
{
	size_t size = 1024 * 1024;
	char *big = xmalloc(size + 1);
	char expected[LOG_QUOTE_MAX + 4];

	(void)state;
	memset(big, 'q', size);
	big[size] = '\0';
	memset(expected, 'q', LOG_QUOTE_MAX);
	memcpy(expected + LOG_QUOTE_MAX, "...", 4);
	assert_string_equal(log_quote(big), expected);
	assert_string_equal(log_quote_n(big, LOG_QUOTE_MAX + 1), expected);
	expected[LOG_QUOTE_MAX] = '\0';
	assert_string_equal(log_quote_n(big, LOG_QUOTE_MAX), expected);
	assert_string_equal(log_quote_n(big, 0), "");
	assert_string_equal(log_quote_n("a\0b", 3), "a");
	assert_string_equal(log_quote(NULL), "-");
	free(big);
}

static void
eight_quotes_fit_into_one_line(void **state)
{
	const char *quotes[8];
	char digit[2] = "0";
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		digit[0] = (char)('0' + i);
		quotes[i] = log_quote(digit);
	}
	for (i = 0; i < 8; i++)
		assert_int_equal(quotes[i][0], '0' + i);
}

static void
a_line_is_cut_in_every_format(void **state)
{
	static const char fills[] = { 'x', '"', '\\', '\x1b', '\xff' };
	char sentence[4 * LOG_LINE_MAX];
	size_t format;
	size_t i;
	size_t length;

	(void)state;
	for (format = 0; format < 2; format++)
		for (i = 0; i < sizeof(fills); i++)
			for (length = 800; length < sizeof(sentence); length += 97) {
				char *text;

				memset(sentence, fills[i], length);
				sentence[length] = '\0';
				log_set_format((enum log_format)format);
				catch_lines();
				log_info("t", "%s", sentence);
				text = caught();
				assert_int_equal(count_lines(text), 1);
				assert_true(strlen(text) <= LOG_LINE_MAX);
				assert_true(strlen(text) > LOG_LINE_MAX - 250);
				free(text);
			}
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One of the many ways to be unpleasant, without NUL; the length is returned. */
static size_t
make_hostile(uint64_t *random, char *text, size_t size)
{
	static const char *const pieces[] = { "\x1b[2J", "\r\n", "\n", "%n", "%s%s%s",
		"\"", "\\", "\\u0000", "\"}\n{\"", "\xc0\x80", "\xed\xa0\x80", "\xf5",
		"\x80", "\xe2\x80\xa8", "</script>", "'", "\x7f", "\x01", "AAAA",
		"\xff" };
	size_t length = 0;
	size_t want = next_random(random) % size;

	while (length < want) {
		const char *piece =
		    pieces[next_random(random) % (sizeof(pieces) / sizeof(pieces[0]))];

		if (next_random(random) % 4 == 0) {
			text[length++] = (char)(next_random(random) % 255 + 1);
			continue;
		}
		if (length + strlen(piece) >= size)
			break;
		memcpy(text + length, piece, strlen(piece));
		length += strlen(piece);
	}
	text[length] = '\0';
	return length;
}

static void
check_printable(const char *text)
{
	for (; *text; text++)
		if ((*text < ' ' || *text > '~') && *text != '\n')
			fail_msg("byte %02x was written", (unsigned char)*text);
}

static void
check_json_lines(char *text, size_t count)
{
	char *line;
	char *rest = text;

	while ((line = strsep(&rest, "\n")) && rest) {
		json_error_t error;
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);

		if (!object || json_object_size(object) != 5)
			fail_msg("%s: '%s'", error.text, line);
		json_decref(object);
		count--;
	}
	assert_int_equal(count, 0);
}

static void
five_thousand_hostile_texts_give_as_many_lines(void **state)
{
	size_t format;

	(void)state;
	for (format = 0; format < 2; format++) {
		uint64_t random = 7046029254386353131ULL;
		char hostile[2000];
		char *text;
		unsigned i;

		log_set_format((enum log_format)format);
		catch_lines();
		for (i = 0; i < 5000; i++) {
			size_t length = make_hostile(&random, hostile, sizeof(hostile));

			if (i % 2)
				log_info("t", "got '%s'", log_quote_n(hostile, length));
			else
				log_info("t", "%s", hostile);
		}
		text = caught();
		assert_int_equal(count_lines(text), 5000);
		check_printable(text);
		if (format == LOG_FORMAT_json)
			check_json_lines(text, 5000);
		free(text);
	}
}

static void
a_level_hides_those_below_it(void **state)
{
	enum log_level level;

	(void)state;
	for (level = LOG_LEVEL_error; level <= LOG_LEVEL_debug; level++) {
		char *text;

		log_set_level(level);
		assert_int_equal(log_get_level(), level);
		catch_lines();
		log_error("levels", "x");
		log_warning("levels", "x");
		log_info("levels", "x");
		log_debug("levels", "x");
		text = caught();
		assert_int_equal(count_lines(text), (size_t)level + 1);
		free(text);
	}
}

static void
debug_is_switched_on_and_off(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_warning);
	log_toggle_debug();
	assert_int_equal(log_get_level(), LOG_LEVEL_debug);
	log_toggle_debug();
	assert_int_equal(log_get_level(), LOG_LEVEL_warning);
	log_set_level(LOG_LEVEL_debug);
	log_toggle_debug();
	assert_int_equal(log_get_level(), LOG_LEVEL_info);
	log_toggle_debug();
	assert_int_equal(log_get_level(), LOG_LEVEL_debug);
}

static void
a_flood_is_cut_and_counted(void **state)
{
	char *text;
	unsigned i;

	(void)state;
	log_set_level(LOG_LEVEL_info);
	next_second();
	catch_lines();
	for (i = 0; i < LOG_RATE + 30; i++)
		log_info("flood", "line");
	next_second();
	log_info("calm", "line");
	text = caught();
	/* The flood may have run into the next second, but not into a third. */
	assert_in_range(count_lines(text), LOG_RATE + 2, LOG_RATE + 2);
	assert_non_null(strstr(text, "30 lines of 'flood' suppressed\n"));
	free(text);
}

static void
a_flood_hides_neither_other_subjects_nor_errors(void **state)
{
	char *text;
	unsigned i;

	(void)state;
	log_set_level(LOG_LEVEL_info);
	next_second();
	catch_lines();
	for (i = 0; i < 10 * LOG_RATE; i++)
		log_info("loud", "line");
	log_info("quiet", "is heard");
	log_error("loud", "is an error");
	text = caught();
	assert_non_null(strstr(text, "quiet: is heard"));
	assert_non_null(strstr(text, "loud: is an error"));
	free(text);
}

static void
a_flood_of_errors_is_cut_even_at_debug(void **state)
{
	char *text;
	unsigned i;

	(void)state;
	next_second();
	catch_lines();
	for (i = 0; i < 10 * LOG_RATE; i++) {
		log_error("full", "nothing can be stored");
		log_debug("full", "request");
	}
	text = caught();
	assert_in_range(count_lines(text), 11 * LOG_RATE, 12 * LOG_RATE + 2);
	free(text);
}

/* More subjects than are counted apart share one allowance; nothing is overrun. */
static void
any_number_of_subjects_is_bounded(void **state)
{
	char subject[16];
	char *text;
	unsigned i;

	(void)state;
	log_set_level(LOG_LEVEL_info);
	next_second();
	catch_lines();
	for (i = 0; i < 2000; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		log_info(subject, "line");
	}
	text = caught();
	assert_true(count_lines(text) < 300);
	free(text);
}

static void
fatal_says_why_and_leaves_with_the_status(void **state)
{
	char *text;
	pid_t child;
	int status;
	unsigned i;

	(void)state;
	catch_lines();
	child = fork();
	if (child == 0) {
		for (i = 0; i < 2 * LOG_RATE; i++)
			log_error("start", "once more");
		fatal(EXIT_INIT, "start", "no '%s'", "key");
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	text = caught();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_INIT);
	assert_non_null(strstr(text, " error test start: no 'key'\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_says_when_how_bad_who_and_what, reset),
		cmocka_unit_test_setup(a_json_line_is_an_object, reset),
		cmocka_unit_test_setup(the_journal_gets_a_level_and_no_time, reset),
		cmocka_unit_test_setup(
		    a_journal_that_is_not_standard_error_gets_nothing, reset),
		cmocka_unit_test_setup(foreign_text_is_escaped, reset),
		cmocka_unit_test_setup(foreign_text_is_cut_where_it_is_quoted, reset),
		cmocka_unit_test_setup(eight_quotes_fit_into_one_line, reset),
		cmocka_unit_test_setup(a_line_is_cut_in_every_format, reset),
		cmocka_unit_test_setup(
		    five_thousand_hostile_texts_give_as_many_lines, reset),
		cmocka_unit_test_setup(a_level_hides_those_below_it, reset),
		cmocka_unit_test_setup(debug_is_switched_on_and_off, reset),
		cmocka_unit_test_setup(a_flood_is_cut_and_counted, reset),
		cmocka_unit_test_setup(
		    a_flood_hides_neither_other_subjects_nor_errors, reset),
		cmocka_unit_test_setup(a_flood_of_errors_is_cut_even_at_debug, reset),
		cmocka_unit_test_setup(any_number_of_subjects_is_bounded, reset),
		cmocka_unit_test_setup(
		    fatal_says_why_and_leaves_with_the_status, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
