/*
 * The vault with the file keystore: what it opens, what it refuses, and that a key is
 * never replaced while something is sealed with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/store/store.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "broker/vault/vault_move.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"
#include "common/time.h"

struct fixture {
	char folder[64];
	struct event_base *base;
	struct config config;
	struct paths paths;
	struct store *store;
	struct vault *vault;
	char error[VAULT_ERROR_SIZE];
	struct buf sealed;
	struct secret plain;
	int result;
	unsigned calls;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/streamhold-vault-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->base = event_base_new();
	config_init(&f->config);
	f->paths.database = xasprintf("%s/streamhold.db", f->folder);
	f->paths.key_file = xasprintf("%s/vault.key", f->folder);
	f->paths.key_file_is_own = true;
	*state = f;
	return 0;
}

static void
open_store(struct fixture *f)
{
	char error[STORE_ERROR_SIZE];

	assert_int_equal(store_open(f->base, f->paths.database, &f->store, error), 0);
}

static int
open_vault(struct fixture *f)
{
	if (!f->store)
		open_store(f);
	return vault_open(
	    f->base, f->store, &f->config, &f->paths, &f->vault, f->error);
}

static void
shut(struct fixture *f)
{
	vault_close(f->vault);
	store_close(f->store);
	f->vault = NULL;
	f->store = NULL;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	shut(f);
	event_base_free(f->base);
	config_clear(&f->config);
	paths_clear(&f->paths);
	buf_clear(&f->sealed);
	secret_clear(&f->plain);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct fixture *f = arg;

	f->calls++;
	f->result = result;
	buf_clear(&f->sealed);
	buf_add(&f->sealed, buf_bytes(sealed), buf_length(sealed));
}

static void
on_opened(void *arg, int result, struct secret *plain)
{
	struct fixture *f = arg;

	f->calls++;
	f->result = result;
	secret_clear(&f->plain);
	f->plain = secret_move(plain);
}

static void
seal(struct fixture *f, const char *name, uint64_t generation, const char *text)
{
	struct secret plain = secret_copy(text, strlen(text));
	unsigned calls = f->calls;

	vault_seal(f->vault, name, generation, &plain, on_sealed, f);
	assert_int_equal(f->calls, calls);
	secret_clear(&plain);
	while (f->calls == calls)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->calls, calls + 1);
}

static int
unseal(struct fixture *f, const char *name, uint64_t generation)
{
	unsigned calls = f->calls;

	vault_unseal(f->vault, name, generation, buf_bytes(&f->sealed),
	    buf_length(&f->sealed), on_opened, f);
	assert_int_equal(f->calls, calls);
	while (f->calls == calls)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->calls, calls + 1);
	return f->result;
}

/* Keeps the sealed bytes in the database, so that the key is of use. */
struct keep_job {
	struct store_job job;
	struct buf *sealed;
	int result;
};

static int
run_keep(struct store_job *job, struct db *db)
{
	return store_secret_put(db, "client/x", 1, ((struct keep_job *)job)->sealed);
}

static void
on_kept(struct store_job *job, int result)
{
	((struct keep_job *)job)->result = result;
}

static void
keep(struct fixture *f)
{
	struct keep_job job = { .job = { .run = run_keep, .done = on_kept },
		.sealed = &f->sealed };

	seal(f, "client/x", 1, "secret");
	store_run_now(f->store, &job.job);
	assert_int_equal(job.result, 0);
}

static void
write_key(struct fixture *f, size_t size, mode_t mode)
{
	int fd = open(f->paths.key_file, O_WRONLY | O_CREAT | O_TRUNC, mode);
	char bytes[100];

	memset(bytes, 'k', sizeof(bytes));
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
test_a_secret_comes_back_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct stat status;

	assert_int_equal(open_vault(f), 0);
	assert_string_equal(vault_backend(f->vault), "file");
	assert_null(vault_trouble(f->vault));
	assert_int_equal(stat(f->paths.key_file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_size, 32);
	keep(f);
	shut(f);
	assert_int_equal(open_vault(f), 0);
	assert_int_equal(unseal(f, "client/x", 1), 0);
	assert_string_equal(secret_text(&f->plain), "secret");
}

static void
test_sealed_bytes_open_under_their_own_name_and_generation_only(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_vault(f), 0);
	seal(f, "token/kick/a", 7, "secret");
	assert_int_equal(f->result, 0);
	assert_int_equal(unseal(f, "token/kick/b", 7), -EBADMSG);
	assert_int_equal(unseal(f, "token/kick/a", 8), -EBADMSG);
	assert_int_equal(unseal(f, "token/kick/a", 7), 0);
	assert_string_equal(secret_text(&f->plain), "secret");
}

static void
test_every_flipped_bit_and_every_cut_is_noticed(void **state)
{
	struct fixture *f = *state;
	size_t whole;
	size_t i;

	assert_int_equal(open_vault(f), 0);
	seal(f, "a", 1, "s");
	whole = buf_length(&f->sealed);
	for (i = 0; i < whole * 8; i++) {
		buf_bytes(&f->sealed)[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(unseal(f, "a", 1), -EBADMSG);
		buf_bytes(&f->sealed)[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(unseal(f, "a", 1), 0);
	while (buf_length(&f->sealed) > 0) {
		f->sealed.end--;
		assert_int_equal(unseal(f, "a", 1), -EBADMSG);
	}
}

static void
test_the_same_secret_is_sealed_differently_each_time(void **state)
{
	struct fixture *f = *state;
	struct buf first = BUF_EMPTY;

	assert_int_equal(open_vault(f), 0);
	seal(f, "a", 1, "canary-canary");
	buf_add(&first, buf_bytes(&f->sealed), buf_length(&f->sealed));
	assert_null(
	    memmem(buf_bytes(&first), buf_length(&first), "canary", strlen("canary")));
	seal(f, "a", 1, "canary-canary");
	assert_memory_not_equal(
	    buf_bytes(&first), buf_bytes(&f->sealed), buf_length(&first));
	buf_clear(&first);
}

static void
test_a_missing_key_is_not_replaced_while_something_is_sealed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_vault(f), 0);
	keep(f);
	shut(f);
	assert_int_equal(unlink(f->paths.key_file), 0);
	assert_int_equal(open_vault(f), -ENOKEY);
	assert_non_null(strstr(f->error, f->paths.key_file));
	assert_non_null(strstr(f->error, "put the key file back"));
	assert_int_equal(access(f->paths.key_file, F_OK), -1);
}

static void
test_a_wrong_key_is_told_at_start(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_vault(f), 0);
	keep(f);
	shut(f);
	write_key(f, 32, 0600);
	assert_int_equal(open_vault(f), -EKEYREJECTED);
	assert_non_null(strstr(f->error, f->paths.key_file));
	assert_non_null(strstr(f->error, f->paths.database));
}

static void
test_a_key_that_sealed_nothing_may_go(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_vault(f), 0);
	shut(f);
	assert_int_equal(unlink(f->paths.key_file), 0);
	assert_int_equal(open_vault(f), 0);
	keep(f);
	shut(f);
	assert_int_equal(open_vault(f), 0);
	assert_int_equal(unseal(f, "client/x", 1), 0);
}

static void
test_unusable_key_files_are_named_with_the_remedy(void **state)
{
	static const struct {
		size_t size;
		mode_t mode;
		int result;
		const char *remedy;
	} cases[] = {
		{ 31, 0600, -EBADMSG, "exactly 32 bytes" },
		{ 33, 0600, -EBADMSG, "exactly 32 bytes" },
		{ 0, 0600, -EBADMSG, "exactly 32 bytes" },
		{ 32, 0640, -EPERM, "chmod" },
		{ 32, 0604, -EPERM, "chmod" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_key(f, cases[i].size, cases[i].mode);
		assert_int_equal(open_vault(f), cases[i].result);
		assert_non_null(strstr(f->error, f->paths.key_file));
		assert_non_null(strstr(f->error, cases[i].remedy));
		unlink(f->paths.key_file);
	}
	assert_int_equal(symlink("/dev/zero", f->paths.key_file), 0);
	assert_true(open_vault(f) < 0);
	assert_non_null(strstr(f->error, f->paths.key_file));
}

static void
test_a_configured_key_file_is_used_and_never_made(void **state)
{
	struct fixture *f = *state;

	f->paths.key_file_is_own = false;
	f->config.keystore.key_file = xstrdup(f->paths.key_file);
	assert_int_equal(open_vault(f), -ENOKEY);
	assert_non_null(strstr(f->error, f->paths.key_file));
	assert_int_equal(access(f->paths.key_file, F_OK), -1);
	write_key(f, 32, 0400);
	assert_int_equal(open_vault(f), 0);
}

static void
test_what_a_crash_left_of_a_new_key_is_no_hindrance(void **state)
{
	struct fixture *f = *state;
	char *path = f->paths.key_file;

	f->paths.key_file = xasprintf("%s.new", path);
	write_key(f, 5, 0600);
	free(f->paths.key_file);
	f->paths.key_file = path;
	assert_int_equal(open_vault(f), 0);
}

/* The row of `keep`, as a rotation has left it. */
static int
run_load(struct store_job *job, struct db *db)
{
	struct buf *sealed = ((struct keep_job *)job)->sealed;
	uint64_t generation;
	bool found;

	buf_clear(sealed);
	return store_secret_get(db, "client/x", &found, &generation, sealed);
}

static void
expect_kept(struct fixture *f)
{
	struct keep_job job = { .job = { .run = run_load, .done = on_kept },
		.sealed = &f->sealed };

	store_run_now(f->store, &job.job);
	assert_int_equal(job.result, 0);
	assert_int_equal(unseal(f, "client/x", 1), 0);
	assert_string_equal(secret_text(&f->plain), "secret");
}

static void
rotate(struct fixture *f)
{
	struct vault_move_state state;

	assert_int_equal(vault_move_start(f->vault, VAULT_MOVE_ROTATE, f->error), 0);
	do {
		event_base_loop(f->base, EVLOOP_ONCE);
		vault_move_state(f->vault, &state);
	} while (state.to);
	assert_int_equal(state.moved, 1);
}

static void
move_file(const char *from, const char *to)
{
	assert_int_equal(rename(from, to), 0);
}

/* A crash came between the commit that ends a rotation and the renaming. */
static void
test_a_new_key_that_is_not_in_its_place_is_put_there(void **state)
{
	struct fixture *f = *state;
	char old[100];
	char next[100];

	snprintf(old, sizeof(old), "%s/old", f->folder);
	snprintf(next, sizeof(next), "%s.next", f->paths.key_file);
	assert_int_equal(open_vault(f), 0);
	keep(f);
	assert_int_equal(link(f->paths.key_file, old), 0);
	rotate(f);
	expect_kept(f);
	assert_int_equal(access(next, F_OK), -1);
	shut(f);
	move_file(f->paths.key_file, next);
	move_file(old, f->paths.key_file);
	assert_int_equal(open_vault(f), 0);
	expect_kept(f);
	assert_int_equal(access(next, F_OK), -1);
	shut(f);
	assert_int_equal(open_vault(f), 0);
	expect_kept(f);
}

/* A crash came between the new key and the note that a rotation begins. */
static void
test_a_new_key_of_a_rotation_that_did_not_begin_is_nothing(void **state)
{
	struct fixture *f = *state;
	char *path = f->paths.key_file;
	char *next = xasprintf("%s.next", path);

	assert_int_equal(open_vault(f), 0);
	keep(f);
	shut(f);
	f->paths.key_file = next;
	write_key(f, 32, 0600);
	f->paths.key_file = path;
	assert_int_equal(open_vault(f), 0);
	expect_kept(f);
	rotate(f);
	expect_kept(f);
	assert_int_equal(access(next, F_OK), -1);
	free(next);
}

/* No helper lies beside this program, so the keyring stays away. */
static void
test_a_keyring_that_is_away_is_told_and_nothing_else_is_used(void **state)
{
	struct fixture *f = *state;
	int64_t start = time_boot_ms();

	f->config.keystore.backend = CONFIG_KEYSTORE_BACKEND_SECRET_SERVICE;
	assert_int_equal(open_vault(f), 0);
	assert_string_equal(vault_backend(f->vault), "secret-service");
	seal(f, "token/kick/a", 1, "s");
	assert_int_equal(f->result, -EAGAIN);
	while (
	    vault_condition(f->vault) == VAULT_ready && time_boot_ms() < start + 3000)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(vault_condition(f->vault), VAULT_unavailable);
	assert_string_equal(vault_state(f->vault), "keystore_unavailable");
	assert_non_null(strstr(vault_trouble(f->vault), "streamhold-vault"));
	start = time_boot_ms();
	seal(f, "token/kick/a", 1, "s");
	assert_int_equal(f->result, -EAGAIN);
	assert_true(time_boot_ms() < start + 1000);
	assert_int_equal(access(f->paths.key_file, F_OK), -1);
}

/* What `auto` chose once stays, whatever is there later. */
static void
test_a_choice_is_kept(void **state)
{
	struct fixture *f = *state;

	f->config.keystore.backend = CONFIG_KEYSTORE_BACKEND_SECRET_SERVICE;
	assert_int_equal(open_vault(f), 0);
	shut(f);
	f->config.keystore.backend = CONFIG_KEYSTORE_BACKEND_AUTO;
	assert_int_equal(open_vault(f), 0);
	assert_string_equal(vault_backend(f->vault), "secret-service");
	assert_int_equal(access(f->paths.key_file, F_OK), -1);
}

static void
test_cancelled_calls_are_silent(void **state)
{
	struct fixture *f = *state;
	struct secret plain = secret_copy("s", 1);
	struct vault_call *call;

	assert_int_equal(open_vault(f), 0);
	call = vault_seal(f->vault, "a", 1, &plain, on_sealed, f);
	vault_cancel(call);
	vault_seal(f->vault, "b", 1, &plain, on_sealed, f); /* ends with the vault */
	secret_clear(&plain);
	vault_close(f->vault);
	f->vault = NULL;
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->calls, 0);
}

static void
test_names_and_secrets_have_their_limits(void **state)
{
	struct fixture *f = *state;
	char name[VAULT_NAME_MAX + 2];

	assert_int_equal(open_vault(f), 0);
	memset(name, 'n', sizeof(name));
	name[VAULT_NAME_MAX] = '\0';
	seal(f, name, UINT64_MAX, "s");
	assert_int_equal(f->result, 0);
	assert_int_equal(unseal(f, name, UINT64_MAX), 0);
	name[VAULT_NAME_MAX] = 'n';
	name[VAULT_NAME_MAX + 1] = '\0';
	seal(f, name, 1, "s");
	assert_int_equal(f->result, -EINVAL);
}

int
main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_a_secret_comes_back_after_a_restart),
		WITH_FIXTURE(
		    test_sealed_bytes_open_under_their_own_name_and_generation_only),
		WITH_FIXTURE(test_every_flipped_bit_and_every_cut_is_noticed),
		WITH_FIXTURE(test_the_same_secret_is_sealed_differently_each_time),
		WITH_FIXTURE(
		    test_a_missing_key_is_not_replaced_while_something_is_sealed),
		WITH_FIXTURE(test_a_wrong_key_is_told_at_start),
		WITH_FIXTURE(test_a_key_that_sealed_nothing_may_go),
		WITH_FIXTURE(test_unusable_key_files_are_named_with_the_remedy),
		WITH_FIXTURE(test_a_configured_key_file_is_used_and_never_made),
		WITH_FIXTURE(test_what_a_crash_left_of_a_new_key_is_no_hindrance),
		WITH_FIXTURE(test_a_new_key_that_is_not_in_its_place_is_put_there),
		WITH_FIXTURE(
		    test_a_new_key_of_a_rotation_that_did_not_begin_is_nothing),
		WITH_FIXTURE(
		    test_a_keyring_that_is_away_is_told_and_nothing_else_is_used),
		WITH_FIXTURE(test_a_choice_is_kept),
		WITH_FIXTURE(test_cancelled_calls_are_silent),
		WITH_FIXTURE(test_names_and_secrets_have_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
