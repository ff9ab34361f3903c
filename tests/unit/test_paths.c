/*
 * Paths: system and user mode, the fallbacks, folders that are refused because somebody
 * else could tamper with them, and the order in which the command looks for a socket.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"

#define OTHER_USER 4711

static char root[] = "/tmp/test-paths-XXXXXX";
static struct config config;
static struct paths_env env;
static struct paths paths;
static char error[PATHS_ERROR_SIZE];

/* ---- Helpers ---- */

static int
set_up(void **state)
{
	(void)state;
	memcpy(root, "/tmp/test-paths-XXXXXX", sizeof root);
	if (!mkdtemp(root))
		return -1;
	config_init(&config);
	env = (struct paths_env){ .uid = 1000, .root = root };
	memset(&paths, 0, sizeof paths);
	memset(error, 0, sizeof error);
	return 0;
}

static int
tear_down(void **state)
{
	char *command[] = { (char[]){ "rm" }, (char[]){ "-rf" }, (char[]){ "--" }, root,
		NULL };
	pid_t child = fork();

	(void)state;
	paths_clear(&paths);
	config_clear(&config);
	if (child == 0) {
		execvp(command[0], command);
		_exit(1);
	}
	return child > 0 && waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* A path below the test's folder, in one of four rotating buffers. */
static const char *
below(const char *name)
{
	static char buffers[4][300];
	static unsigned turn;
	char *buffer = buffers[turn++ % 4];

	snprintf(buffer, sizeof buffers[0], "%s/%s", root, name);
	return buffer;
}

static void
make(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(below(name), 0700), 0);
	assert_int_equal(chmod(below(name), mode), 0);
}

static void
make_socket(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(file >= 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", below(name));
	assert_int_equal(bind(file, (struct sockaddr *)&address, sizeof address), 0);
	close(file);
}

static mode_t
mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

static void
resolve(bool system)
{
	paths_clear(&paths);
	assert_int_equal(paths_resolve(&config, system, &env, &paths, error), 0);
}

static void
set_text(char **member, const char *text)
{
	free(*member);
	*member = text ? xstrdup(text) : NULL;
}

/* ---- Mode and paths ---- */

static void
system_mode_is_asked_for_or_root_without_xdg(void **state)
{
	struct paths_env it = { .uid = 0, .root = "" };

	(void)state;
	assert_true(paths_is_system(false, &it));
	it.home = "/root";
	assert_true(paths_is_system(false, &it));
	it.xdg_runtime_dir = "";
	assert_true(paths_is_system(false, &it));
	it.xdg_runtime_dir = "/run/user/0";
	assert_false(paths_is_system(false, &it));
	assert_true(paths_is_system(true, &it));
	it.xdg_runtime_dir = NULL;
	it.xdg_state_home = "/x";
	assert_false(paths_is_system(false, &it));
	it.xdg_state_home = NULL;
	it.xdg_config_home = "/x";
	assert_false(paths_is_system(false, &it));
	it.xdg_config_home = NULL;
	it.uid = 1000;
	assert_false(paths_is_system(false, &it));
	assert_true(paths_is_system(true, &it));
}

static void
system_mode_has_the_folders_of_the_system(void **state)
{
	(void)state;
	env.root = "";
	env.home = "/home/ann";
	env.xdg_runtime_dir = "/run/user/1000";
	resolve(true);
	assert_true(paths.system);
	assert_string_equal(paths.state_dir, "/var/lib/streamhold");
	assert_string_equal(paths.runtime_dir, "/run/streamhold");
	assert_string_equal(paths.database, "/var/lib/streamhold/streamhold.db");
	assert_string_equal(paths.key_file, "/var/lib/streamhold/vault.key");
	assert_true(paths.key_file_is_own);
	assert_string_equal(paths.api_link, "/run/streamhold/api/link.sock");
	assert_string_equal(paths.webhook_link, "/run/streamhold/webhook/link.sock");
	assert_string_equal(paths.admin_socket, "/run/streamhold/broker.sock");
}

static void
user_mode_follows_xdg_and_falls_back(void **state)
{
	(void)state;
	env.root = "";
	env.home = "/home/ann";
	env.xdg_state_home = "/s";
	env.xdg_runtime_dir = "/r";
	resolve(false);
	assert_false(paths.system);
	assert_string_equal(paths.state_dir, "/s/streamhold");
	assert_string_equal(paths.runtime_dir, "/r/streamhold");
	env.xdg_state_home = "relative";
	env.xdg_runtime_dir = "";
	resolve(false);
	assert_string_equal(paths.state_dir, "/home/ann/.local/state/streamhold");
	assert_string_equal(paths.runtime_dir, "/tmp/streamhold-1000");
	env.home = NULL;
	paths_clear(&paths);
	assert_int_equal(paths_resolve(&config, false, &env, &paths, error), -EINVAL);
	assert_non_null(strstr(error, "\"paths.state_dir\""));
	assert_null(paths.state_dir);
}

static void
configured_paths_are_taken(void **state)
{
	(void)state;
	set_text(&config.paths.state_dir, "/state");
	set_text(&config.paths.runtime_dir, "/runtime");
	set_text(&config.keystore.key_file, "/key");
	env.credentials_directory = root;
	resolve(true);
	assert_string_equal(paths.database, "/state/streamhold.db");
	assert_string_equal(paths.admin_socket, "/runtime/broker.sock");
	assert_string_equal(paths.key_file, "/key");
	assert_false(paths.key_file_is_own);
}

static void
the_credential_is_the_key_when_there_is_one(void **state)
{
	FILE *file;

	(void)state;
	env.home = "/home/ann";
	env.credentials_directory = root;
	resolve(false);
	assert_true(paths.key_file_is_own);
	file = fopen(below("streamhold.kek"), "w");
	assert_non_null(file);
	fclose(file);
	resolve(false);
	assert_string_equal(paths.key_file, below("streamhold.kek"));
	assert_false(paths.key_file_is_own);
}

static void
a_socket_path_that_does_not_fit_is_refused(void **state)
{
	char folder[200];

	(void)state;
	memset(folder, 'a', sizeof folder);
	folder[0] = '/';
	/* With "/streamhold" and the longest socket below it: exactly sun_path. */
	folder[CONFIG_RUNTIME_DIR_MAX - strlen("/streamhold")] = '\0';
	env.home = "/home/ann";
	env.xdg_runtime_dir = folder;
	resolve(false);
	assert_int_equal(strlen(paths.webhook_link),
	    sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
	folder[strlen(folder)] = 'a';
	folder[CONFIG_RUNTIME_DIR_MAX - strlen("/streamhold") + 1] = '\0';
	paths_clear(&paths);
	assert_int_equal(
	    paths_resolve(&config, false, &env, &paths, error), -ENAMETOOLONG);
	assert_non_null(strstr(error, "\"paths.runtime_dir\""));
	assert_null(paths.runtime_dir);
}

/* ---- Folders ---- */

/* The user mode of whoever runs the tests, below the test's folder. */
static void
resolve_mine(void)
{
	env.uid = geteuid();
	env.home = root;
	env.xdg_runtime_dir = root;
	resolve(false);
}

static int
make_all(void)
{
	return paths_make(
	    &paths, PATHS_STATE | PATHS_RUNTIME, (uid_t)-1, (gid_t)-1, error);
}

static void
folders_are_made_private_in_user_mode(void **state)
{
	mode_t mask = umask(0);

	(void)state;
	resolve_mine();
	assert_int_equal(make_all(), 0);
	assert_int_equal(mode_of(below(".local")), 0700);
	assert_int_equal(mode_of(paths.state_dir), 0700);
	assert_int_equal(mode_of(paths.runtime_dir), 0700);
	assert_int_equal(mode_of(paths.api_dir), 0700);
	assert_int_equal(mode_of(paths.webhook_dir), 0700);
	/* Again, over what is there. */
	assert_int_equal(make_all(), 0);
	umask(mask);
}

static void
runtime_folders_can_be_passed_through_in_system_mode(void **state)
{
	mode_t mask = umask(077);

	(void)state;
	make("run", 0755);
	make("var", 0755);
	env.uid = geteuid();
	resolve(true);
	assert_int_equal(make_all(), 0);
	assert_int_equal(mode_of(paths.state_dir), 0700);
	assert_int_equal(mode_of(paths.runtime_dir), 0755);
	assert_int_equal(mode_of(paths.webhook_dir), 0755);
	umask(mask);
}

static void
only_what_is_asked_for_is_made(void **state)
{
	(void)state;
	resolve_mine();
	assert_int_equal(
	    paths_make(&paths, PATHS_RUNTIME, (uid_t)-1, (gid_t)-1, error), 0);
	assert_int_equal(access(paths.webhook_dir, F_OK), 0);
	assert_int_not_equal(access(paths.state_dir, F_OK), 0);
}

static void
a_readable_state_folder_is_closed(void **state)
{
	(void)state;
	make("state", 0755);
	set_text(&config.paths.state_dir, below("state"));
	resolve_mine();
	assert_int_equal(make_all(), 0);
	assert_int_equal(mode_of(below("state")), 0700);
}

static void
folders_that_others_can_change_are_refused(void **state)
{
	static const mode_t modes[] = { 0770, 0720, 0702, 0777, 01777 };
	size_t i;

	(void)state;
	make("shared", 0700);
	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		assert_int_equal(chmod(below("shared"), modes[i]), 0);
		set_text(&config.paths.runtime_dir, below("shared"));
		set_text(&config.paths.state_dir, below("mine"));
		resolve_mine();
		assert_int_equal(make_all(), -EPERM);
		assert_non_null(strstr(error, "shared' can be changed by other users"));
		set_text(&config.paths.runtime_dir, below("run"));
		set_text(&config.paths.state_dir, below("shared"));
		resolve_mine();
		assert_int_equal(make_all(), -EPERM);
		assert_int_equal(mode_of(below("shared")), modes[i]);
	}
}

static void
links_and_files_are_refused(void **state)
{
	FILE *file;

	(void)state;
	make("target", 0700);
	assert_int_equal(symlink(below("target"), below("link")), 0);
	set_text(&config.paths.state_dir, below("link"));
	resolve_mine();
	assert_int_equal(make_all(), -EPERM);
	assert_non_null(
	    strstr(error, "link' is not a folder but a file or a symbolic"));
	file = fopen(below("file"), "w");
	assert_non_null(file);
	fclose(file);
	set_text(&config.paths.state_dir, below("file"));
	resolve_mine();
	assert_int_equal(make_all(), -EPERM);
	/* The folder within the runtime folder as well. */
	set_text(&config.paths.state_dir, below("state"));
	resolve_mine();
	make("streamhold", 0700);
	assert_int_equal(symlink(below("target"), below("streamhold/api")), 0);
	assert_int_equal(make_all(), -EPERM);
}

static void
folders_of_other_users_are_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make("theirs", 0700);
	assert_int_equal(chown(below("theirs"), OTHER_USER, OTHER_USER), 0);
	set_text(&config.paths.state_dir, below("theirs"));
	resolve_mine();
	assert_int_equal(make_all(), -EPERM);
	assert_non_null(
	    strstr(error, "theirs' belongs to user 4711 and not to user 0"));
	set_text(&config.paths.state_dir, below("state"));
	set_text(&config.paths.runtime_dir, below("theirs"));
	resolve_mine();
	assert_int_equal(make_all(), -EPERM);
	/* Root's own state folder is not good for the broker's user, a runtime one is.
	 */
	set_text(&config.paths.runtime_dir, below("roots"));
	make("roots", 0755);
	resolve_mine();
	assert_int_equal(
	    paths_make(&paths, PATHS_RUNTIME, OTHER_USER, OTHER_USER, error), 0);
	assert_int_equal(access(below("state"), F_OK), 0);
	assert_int_equal(
	    paths_make(&paths, PATHS_STATE, OTHER_USER, OTHER_USER, error), -EPERM);
}

static void
root_makes_folders_for_the_broker(void **state)
{
	struct stat status;

	(void)state;
	if (geteuid() != 0)
		skip();
	resolve(true);
	assert_int_equal(paths_make(&paths, PATHS_STATE | PATHS_RUNTIME, OTHER_USER,
			     OTHER_USER + 1, error),
	    0);
	assert_int_equal(lstat(paths.state_dir, &status), 0);
	assert_int_equal(status.st_uid, OTHER_USER);
	assert_int_equal(status.st_gid, OTHER_USER + 1);
	assert_int_equal(lstat(paths.webhook_dir, &status), 0);
	assert_int_equal(status.st_uid, OTHER_USER);
	/* Parents stay root's. */
	assert_int_equal(lstat(below("var/lib"), &status), 0);
	assert_int_equal(status.st_uid, 0);
}

/* ---- The command's socket ---- */

static void
assert_socket(const char *option, const char *expected)
{
	char *path = NULL;
	int code = paths_client_socket(option, &config, &env, &path, error);

	if (code < 0)
		print_message("%s\n", error);
	assert_int_equal(code, 0);
	assert_string_equal(path, expected);
	free(path);
}

static void
the_socket_is_looked_for_in_the_order_of_the_design(void **state)
{
	char *path = NULL;

	(void)state;
	env.uid = geteuid();
	env.home = root;
	assert_int_equal(
	    paths_client_socket(NULL, &config, &env, &path, error), -ENOENT);
	assert_null(path);
	assert_non_null(strstr(error, "the service is not running"));
	make("run", 0755);
	make("run/streamhold", 0755);
	make_socket("run/streamhold/broker.sock");
	assert_socket(NULL, below("run/streamhold/broker.sock"));
	make("user", 0700);
	make("user/streamhold", 0700);
	env.xdg_runtime_dir = below("user");
	assert_socket(NULL, below("run/streamhold/broker.sock"));
	make_socket("user/streamhold/broker.sock");
	env.xdg_runtime_dir = below("user");
	assert_socket(NULL, below("user/streamhold/broker.sock"));
	set_text(&config.paths.runtime_dir, "/configured");
	assert_socket(NULL, "/configured/broker.sock");
	assert_socket("/x/y.sock", "/x/y.sock");
}

static void
a_socket_that_somebody_else_could_plant_is_passed_over(void **state)
{
	char name[60];
	char planted[80];
	char *path = NULL;

	(void)state;
	env.uid = geteuid();
	env.home = root;
	make("tmp", 01777);
	snprintf(name, sizeof name, "tmp/streamhold-%lu", (unsigned long)geteuid());
	snprintf(planted, sizeof planted, "%s/broker.sock", name);
	make(name, 0700);
	make_socket(planted);
	assert_socket(NULL, below(planted));
	assert_int_equal(chmod(below(name), 0777), 0);
	assert_int_equal(
	    paths_client_socket(NULL, &config, &env, &path, error), -ENOENT);
	if (geteuid() != 0)
		return;
	assert_int_equal(chmod(below(name), 0700), 0);
	assert_int_equal(chown(below(name), OTHER_USER, OTHER_USER), 0);
	assert_int_equal(
	    paths_client_socket(NULL, &config, &env, &path, error), -ENOENT);
}

static void
a_socket_option_that_does_not_fit_is_refused(void **state)
{
	char text[CONFIG_SOCKET_PATH_MAX + 2];
	char *path = NULL;

	(void)state;
	memset(text, 'a', sizeof text);
	text[CONFIG_SOCKET_PATH_MAX] = '\0';
	assert_socket(text, text);
	text[CONFIG_SOCKET_PATH_MAX] = 'a';
	text[CONFIG_SOCKET_PATH_MAX + 1] = '\0';
	assert_int_equal(
	    paths_client_socket(text, NULL, &env, &path, error), -ENAMETOOLONG);
}

static void
the_environment_of_the_process_is_read(void **state)
{
	struct paths_env it;

	(void)state;
	assert_int_equal(setenv("XDG_STATE_HOME", "/some/state", 1), 0);
	assert_int_equal(unsetenv("HOME"), 0);
	paths_env_read(&it);
	assert_int_equal(it.uid, geteuid());
	assert_string_equal(it.xdg_state_home, "/some/state");
	assert_string_equal(it.root, "");
	assert_non_null(it.home);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(system_mode_is_asked_for_or_root_without_xdg),
		TEST(system_mode_has_the_folders_of_the_system),
		TEST(user_mode_follows_xdg_and_falls_back),
		TEST(configured_paths_are_taken),
		TEST(the_credential_is_the_key_when_there_is_one),
		TEST(a_socket_path_that_does_not_fit_is_refused),
		TEST(folders_are_made_private_in_user_mode),
		TEST(runtime_folders_can_be_passed_through_in_system_mode),
		TEST(only_what_is_asked_for_is_made),
		TEST(a_readable_state_folder_is_closed),
		TEST(folders_that_others_can_change_are_refused),
		TEST(links_and_files_are_refused),
		TEST(folders_of_other_users_are_refused),
		TEST(root_makes_folders_for_the_broker),
		TEST(the_socket_is_looked_for_in_the_order_of_the_design),
		TEST(a_socket_that_somebody_else_could_plant_is_passed_over),
		TEST(a_socket_option_that_does_not_fit_is_refused),
		TEST(the_environment_of_the_process_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
