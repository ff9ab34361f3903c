/*
 * The configuration file: which one is taken, and what may not be one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"

static struct config config;
static struct config_error error;

static char folder[] = "/tmp/test-config-XXXXXX";

static char *
in_folder(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static void
write_file(const char *path, const char *text, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void
a_missing_file_is_an_error_only_when_it_was_asked_for(void **state)
{
	char *path = in_folder("missing/config.json");

	(void)state;
	assert_int_equal(config_load(path, false, &config, &error), 0);
	assert_int_equal(config.server.port, 3000);
	config_clear(&config);
	assert_int_equal(config_load(path, true, &config, &error), -ENOENT);
	assert_int_equal(error.errors, 1);
	assert_non_null(strstr(error.error[0].sentence,
	    "missing/config.json: the configuration cannot be read: No such file"));
	free(path);
}

static void
only_regular_files_of_bounded_size_are_read(void **state)
{
	char *path = in_folder("config.json");
	char *pipe_path = in_folder("pipe");
	char *text = xmalloc(CONFIG_SIZE_MAX + 1);

	(void)state;
	memset(text, ' ', CONFIG_SIZE_MAX + 1);
	memcpy(text, "{}", 2);
	write_file(path, text, CONFIG_SIZE_MAX);
	assert_int_equal(config_load(path, true, &config, &error), 0);
	config_clear(&config);
	write_file(path, text, CONFIG_SIZE_MAX + 1);
	assert_int_equal(config_load(path, true, &config, &error), -EINVAL);
	assert_non_null(
	    strstr(error.error[0].sentence, "must be at most 1048576 bytes"));
	assert_int_equal(config_load(folder, false, &config, &error), -EINVAL);
	assert_non_null(strstr(error.error[0].sentence, "must be a regular file"));
	/* Nobody writes to the pipe, and nobody waits for it. */
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(config_load(pipe_path, false, &config, &error), -EINVAL);
	unlink(pipe_path);
	unlink(path);
	free(pipe_path);
	free(path);
	free(text);
}

static void
assert_found(const char *option, bool system, const struct paths_env *env,
    const char *expected, bool must_exist)
{
	char *path;
	bool must;

	config_find_path(option, system, env, &path, &must);
	assert_string_equal(path, expected);
	assert_int_equal(must, must_exist);
	free(path);
}

static void
the_file_is_looked_for_in_the_order_of_the_design(void **state)
{
	char *xdg = in_folder("xdg");
	char *home = in_folder("home");
	char *xdg_folder = in_folder("xdg/streamhold");
	char *xdg_file = in_folder("xdg/streamhold/config.json");
	char *home_config = in_folder("home/.config");
	char *home_folder = in_folder("home/.config/streamhold");
	char *home_file = in_folder("home/.config/streamhold/config.json");
	char *system_file = in_folder("etc/streamhold/config.json");
	struct paths_env env = { .uid = 1000, .home = home, .root = folder };

	(void)state;
	assert_found("x.json", false, &env, "x.json", true);
	assert_found(NULL, false, &env, system_file, false);
	mkdir(home, 0700);
	mkdir(home_config, 0700);
	mkdir(home_folder, 0700);
	write_file(home_file, "{}", 2);
	assert_found(NULL, false, &env, home_file, false);
	assert_found(NULL, true, &env, system_file, false);
	/* The variable, when it is set, stands for ~/.config. */
	env.xdg_config_home = xdg;
	assert_found(NULL, false, &env, system_file, false);
	mkdir(xdg, 0700);
	mkdir(xdg_folder, 0700);
	write_file(xdg_file, "{}", 2);
	assert_found(NULL, false, &env, xdg_file, false);
	env.xdg_config_home = "relative";
	assert_found(NULL, false, &env, home_file, false);
	unlink(xdg_file);
	rmdir(xdg_folder);
	rmdir(xdg);
	unlink(home_file);
	rmdir(home_folder);
	rmdir(home_config);
	rmdir(home);
	free(xdg);
	free(home);
	free(xdg_folder);
	free(xdg_file);
	free(home_config);
	free(home_folder);
	free(home_file);
	free(system_file);
}

static int
make_test_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int
remove_test_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_file_is_an_error_only_when_it_was_asked_for),
		cmocka_unit_test(only_regular_files_of_bounded_size_are_read),
		cmocka_unit_test(the_file_is_looked_for_in_the_order_of_the_design),
	};

	return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
