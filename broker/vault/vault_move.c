/*
 * The move of all secrets. Started by keystore.c or, after a crash, by vault_open.c.
 *
 *   wait    until a keyring is known to be open
 *   begin   note the move; from here on new values go to the new place
 *   pass    over all rows by name: open, seal for the new place, swap
 *   finish  when two passes found nothing more: note the new keystore
 *   sweep   items that nobody refers to any more
 *
 * A row that nothing opens is left as it is. Values that are sealed while a move begins
 * may still arrive in the old form, hence the second pass.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/vault/vault_child.h"
#include "broker/vault/vault_file.h"
#include "broker/vault/vault_inner.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/paths.h"
#include "common/time.h"

#define WAIT_MS 100
#define RETRY_MS 1000
#define PASSES_LEAST 2

struct vault_move {
	struct vault *vault;
	bool begun;
	int64_t started;
	unsigned passes;
	uint64_t pass_moved;
	uint64_t pass_unreadable;
	struct store_sealed row;
	struct vault_call *call;
	struct event *timer;
	void (*next)(struct vault_move *move);
};

/* Begins or ends a move in the database. */
struct note_job {
	struct store_keystore keystore; /* first */
	struct vault_move *move;
	enum vault_kind to;
	bool rotate;
	struct buf check;
	uint64_t unreadable;
	bool left; /* finish: rows are left */
};

struct row_job {
	struct store_job job;
	struct vault_move *move;
	struct store_sealed row;
	struct buf fresh;
	bool found; /* next: there is a row; swap: it was as expected */
};

static void wait_ready(struct vault_move *);
static void begin(struct vault_move *);
static void next_row(struct vault_move *);
static void finish(struct vault_move *);

static const char *
move_name(const struct vault *vault)
{
	return vault->rotate ? VAULT_MOVE_ROTATE : vault_kind_name(vault->move_to);
}

/* ---- The steps' clockwork ---- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct vault_move *move = arg;

	(void)fd;
	(void)what;
	move->next(move);
}

static void
later(struct vault_move *move, void (*next)(struct vault_move *), unsigned ms)
{
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000 };

	move->next = next;
	event_add(move->timer, &wait);
}

static void
set_trouble(struct vault *vault, const char *trouble)
{
	if (*trouble && strcmp(trouble, vault->move_trouble) != 0)
		log_warning("vault", "secrets cannot be moved at present: %s",
		    log_quote(trouble));
	(void)snprintf(vault->move_trouble, sizeof(vault->move_trouble), "%s", trouble);
}

/* Tries the same step again. */
static void
stumble(struct vault_move *move, void (*again)(struct vault_move *), int result)
{
	const char *trouble = vault_trouble(move->vault);

	set_trouble(move->vault, trouble ? trouble : strerror(-result));
	later(move, again, RETRY_MS);
}

void
vault_move_free(struct vault_move *move)
{
	if (!move)
		return;
	if (move->call)
		vault_cancel(move->call);
	event_free(move->timer);
	store_sealed_clear(&move->row);
	free(move);
}

void
vault_move_begin(struct vault *vault, bool begun)
{
	struct vault_move *move = xcalloc(1, sizeof(*move));

	move->vault = vault;
	move->begun = begun;
	move->started = time_boot_ms();
	move->timer = event_new(vault->base, -1, 0, on_timer, move);
	if (!move->timer)
		abort();
	vault->move = move;
	vault->moved = 0;
	vault->move_unreadable = 0;
	vault->move_trouble[0] = '\0';
	if (begun)
		log_info("vault",
		    "the move of all secrets that was cut off goes on (%s)",
		    move_name(vault));
	later(move, begun ? next_row : wait_ready, 0);
}

/* The move does not take place; nothing has been noted. */
static void
give_up(struct vault_move *move, const char *trouble)
{
	struct vault *vault = move->vault;

	set_trouble(vault, trouble);
	vault->move = NULL;
	vault->move_to = KIND_NONE;
	vault->rotate = false;
	vault_move_free(move);
	if (vault->kind == KIND_FILE) {
		vault_child_free(vault->child);
		vault->child = NULL;
	}
}

static void
wait_ready(struct vault_move *move)
{
	struct vault *vault = move->vault;

	if (vault->child && !vault_child_is_known(vault->child) &&
	    time_boot_ms() - move->started < VAULT_CALL_MS)
		later(move, wait_ready, WAIT_MS);
	else if (vault->child && !vault_child_is_known(vault->child))
		give_up(move, "the keyring does not answer");
	else if (vault_trouble(vault))
		give_up(move, vault_trouble(vault));
	else
		begin(move);
}

/* ---- Begin ---- */

static int
run_begin(struct store_job *store_job, struct db *db)
{
	struct note_job *job = (struct note_job *)store_job;
	struct store_keystore *keystore = &job->keystore;
	struct buf *check = job->rotate ? &keystore->check_next : &keystore->check;
	int result = store_keystore_load(store_job, db);

	if (result < 0)
		return result;
	buf_add_text(&keystore->move,
	    job->rotate ? VAULT_MOVE_ROTATE : vault_kind_name(job->to));
	if (buf_length(&job->check)) {
		buf_clear(check);
		buf_add(check, buf_bytes(&job->check), buf_length(&job->check));
	}
	return store_keystore_save(store_job, db);
}

static void
note_free(struct note_job *job)
{
	store_keystore_clear(&job->keystore);
	buf_clear(&job->check);
	free(job);
}

static void
on_begun(struct store_job *store_job, int result)
{
	struct note_job *job = (struct note_job *)store_job;
	struct vault_move *move = job->move;
	struct vault *vault = move->vault;

	note_free(job);
	if (result < 0) {
		give_up(move, strerror(-result));
		return;
	}
	log_info("vault", "moving all secrets (%s)", move_name(vault));
	move->begun = true;
	vault->target = vault->move_to;
	if (vault->rotate)
		vault_file_use_next(vault->file);
	next_row(move);
}

static struct note_job *
note_new(struct vault_move *move)
{
	struct note_job *job = xcalloc(1, sizeof(*job));

	job->move = move;
	job->to = move->vault->move_to;
	job->rotate = move->vault->rotate;
	job->keystore.now = time_now_ms();
	return job;
}

static void
begin(struct vault_move *move)
{
	struct vault *vault = move->vault;
	struct note_job *job = note_new(move);

	if (vault->rotate)
		vault_file_check_next(vault->file, &job->check);
	else if (vault->move_to == KIND_FILE)
		vault_file_check(vault->file, &job->check);
	job->keystore.job.run = run_begin;
	job->keystore.job.done = on_begun;
	store_submit(vault->store, &job->keystore.job);
}

/* ---- One row ---- */

static int
run_next(struct store_job *store_job, struct db *db)
{
	struct row_job *job = (struct row_job *)store_job;

	return store_sealed_next(db, &job->row, &job->found);
}

static void
row_free(struct row_job *job)
{
	store_sealed_clear(&job->row);
	buf_clear(&job->fresh);
	free(job);
}

static bool
is_moved(const struct vault *vault, const struct store_sealed *row)
{
	const uint8_t *bytes = buf_bytes(&row->sealed);
	size_t length = buf_length(&row->sealed);

	if (vault->rotate)
		return vault_file_is_newest(
		    vault->file, row->name, row->generation, bytes, length);
	return length > 0 &&
	    (bytes[0] == STORE_SEALED_KEYRING) == (vault->move_to == KIND_KEYRING);
}

static void on_resealed(void *arg, int result, const struct buf *sealed);

static void
on_opened(void *arg, int result, struct secret *plain)
{
	struct vault_move *move = arg;

	move->call = NULL;
	if (result == -EAGAIN) {
		/* The row is looked at again: it is the first after itself. */
		stumble(move, next_row, result);
		return;
	}
	if (result < 0) {
		log_error("vault",
		    "the secret '%s' cannot be opened and is left as it is",
		    log_quote(move->row.name));
		move->pass_unreadable++;
		move->row.passed = true;
		next_row(move);
		return;
	}
	move->call = vault_seal(move->vault, move->row.name, move->row.generation,
	    plain, on_resealed, move);
}

static int
run_swap(struct store_job *store_job, struct db *db)
{
	struct row_job *job = (struct row_job *)store_job;

	return store_sealed_swap(db, &job->row, &job->fresh, &job->found);
}

static void
on_swapped(struct store_job *store_job, int result)
{
	struct row_job *job = (struct row_job *)store_job;
	struct vault_move *move = job->move;
	bool changed = job->found;

	row_free(job);
	if (result < 0) {
		stumble(move, next_row, result);
		return;
	}
	if (changed) {
		move->pass_moved++;
		move->vault->moved++;
		set_trouble(move->vault, "");
	}
	move->row.passed = true;
	next_row(move);
}

static struct row_job *
row_new(struct vault_move *move, store_run_fn *run, store_done_fn *done)
{
	struct row_job *job = xcalloc(1, sizeof(*job));

	job->job.run = run;
	job->job.done = done;
	job->move = move;
	job->row.name = xstrdup(move->row.name ? move->row.name : "");
	job->row.generation = move->row.generation;
	job->row.passed = move->row.passed;
	buf_add(&job->row.sealed, buf_bytes(&move->row.sealed),
	    buf_length(&move->row.sealed));
	return job;
}

static void
on_resealed(void *arg, int result, const struct buf *sealed)
{
	struct vault_move *move = arg;
	struct row_job *job;

	move->call = NULL;
	if (result < 0) {
		stumble(move, next_row, result);
		return;
	}
	job = row_new(move, run_swap, on_swapped);
	buf_add(&job->fresh, buf_bytes(sealed), buf_length(sealed));
	store_submit(move->vault->store, &job->job);
}

/* Whether values are on their way into a keyring that is being left. */
static bool
seals_pending(const struct vault *vault)
{
	const struct vault_call *call;

	if (vault->move_to != KIND_FILE || vault->rotate)
		return false;
	LIST_FOREACH (call, &vault->calls, entry)
		if (call->on_sealed && call->asking)
			return true;
	return false;
}

static void
end_pass(struct vault_move *move)
{
	bool quiet = move->pass_moved == 0 && !seals_pending(move->vault);

	move->passes++;
	move->vault->move_unreadable = move->pass_unreadable;
	if (quiet && move->passes >= PASSES_LEAST) {
		finish(move);
		return;
	}
	move->pass_moved = 0;
	move->pass_unreadable = 0;
	store_sealed_clear(&move->row);
	later(move, next_row, quiet ? 0 : WAIT_MS);
}

static void
on_next(struct store_job *store_job, int result)
{
	struct row_job *job = (struct row_job *)store_job;
	struct vault_move *move = job->move;
	struct vault *vault = move->vault;
	bool found = job->found;

	if (result < 0) {
		row_free(job);
		stumble(move, next_row, result);
		return;
	}
	if (found) {
		store_sealed_clear(&move->row);
		move->row = job->row;
		job->row = (struct store_sealed){ .name = NULL };
	}
	row_free(job);
	if (!found) {
		end_pass(move);
	} else if (is_moved(vault, &move->row)) {
		move->row.passed = true;
		next_row(move);
	} else {
		move->call = vault_unseal(vault, move->row.name, move->row.generation,
		    buf_bytes(&move->row.sealed), buf_length(&move->row.sealed),
		    on_opened, move);
	}
}

static void
next_row(struct vault_move *move)
{
	struct row_job *job = row_new(move, run_next, on_next);

	store_submit(move->vault->store, &job->job);
}

/* ---- Finish ---- */

static int
run_finish(struct store_job *store_job, struct db *db)
{
	struct note_job *job = (struct note_job *)store_job;
	struct store_keystore *keystore = &job->keystore;
	int result = store_keystore_load(store_job, db);
	uint64_t others;

	if (result < 0)
		return result;
	others = job->to == KIND_FILE ? keystore->sealed_count - keystore->file_count
				      : keystore->file_count;
	job->left = !job->rotate && others > job->unreadable;
	if (job->left)
		return 0;
	buf_clear(&keystore->move);
	buf_clear(&keystore->backend);
	buf_add_text(&keystore->backend, vault_kind_name(job->to));
	if (job->rotate) {
		buf_clear(&keystore->check);
		buf_add(&keystore->check, buf_bytes(&keystore->check_next),
		    buf_length(&keystore->check_next));
		buf_clear(&keystore->check_next);
	}
	return store_keystore_save(store_job, db);
}

static void
settle(struct vault *vault)
{
	bool unreadable = vault->move_unreadable > 0;

	log_info("vault",
	    "%" PRIu64 " secrets were moved (%s), %" PRIu64 " left as they are",
	    vault->moved, move_name(vault), vault->move_unreadable);
	vault->kind = vault->move_to;
	vault->target = vault->kind;
	vault->move_to = KIND_NONE;
	if (vault->rotate && vault_file_end_rotation(vault->file, vault->paths) < 0)
		log_error("vault",
		    "the new key could not be renamed to '%s': %s; it is used, and "
		    "this "
		    "is tried again at the next start",
		    vault->paths->key_file, strerror(errno));
	vault->rotate = false;
	if (vault->kind == KIND_KEYRING && !unreadable) {
		vault_file_close(vault->file);
		vault->file = NULL;
	}
	/* Nothing is on its way into a keyring that was left, so age does not matter.
	 */
	if (vault->child && vault->kind == KIND_FILE)
		vault_sweep(vault, 0, !unreadable);
}

static void
on_finished(struct store_job *store_job, int result)
{
	struct note_job *job = (struct note_job *)store_job;
	struct vault_move *move = job->move;
	struct vault *vault = move->vault;
	bool left = job->left;

	note_free(job);
	if (result < 0) {
		stumble(move, finish, result);
	} else if (left) {
		move->passes = 0;
		end_pass(move);
	} else {
		vault->move = NULL;
		vault_move_free(move);
		settle(vault);
	}
}

static void
finish(struct vault_move *move)
{
	struct note_job *job = note_new(move);

	job->unreadable = move->pass_unreadable;
	job->keystore.job.run = run_finish;
	job->keystore.job.done = on_finished;
	store_submit(move->vault->store, &job->keystore.job);
}

/* ---- From outside ---- */

static int
refuse(char *error, int result, const char *sentence)
{
	snprintf(error, VAULT_ERROR_SIZE, "%s", sentence);
	return result;
}

static int
start_rotation(struct vault *vault, char *error)
{
	if (vault->kind != KIND_FILE)
		return refuse(error, -EINVAL,
		    "only the keystore 'file' has a key that can be changed");
	if (!vault->paths->key_file_is_own)
		return refuse(error, -EPERM,
		    "the key is a configured file or a systemd credential, which "
		    "Streamhold does not replace");
	vault->move_to = KIND_FILE;
	vault->rotate = true;
	return vault_file_make_next(vault->file, vault->paths, error);
}

static int
start_migration(struct vault *vault, const char *to, char *error)
{
	enum vault_kind kind = strcmp(to, vault_kind_name(KIND_FILE)) == 0 ? KIND_FILE
	    : strcmp(to, vault_kind_name(KIND_KEYRING)) == 0 ? KIND_KEYRING
							     : KIND_NONE;
	enum vault_kind wanted = vault_configured(vault->config);

	if (kind == KIND_NONE || vault->kind == KIND_MEMORY)
		return refuse(error, -EINVAL,
		    "secrets can be moved to 'file' or 'secret-service'");
	if (kind == vault->kind)
		return refuse(error, -EALREADY, "the secrets are there already");
	if (wanted != KIND_NONE && wanted != kind)
		return refuse(error, -EINVAL,
		    "keystore.backend asks for the other keystore; set it to \"auto\" "
		    "in "
		    "config.json, reload (SIGHUP), and move then");
	vault->move_to = kind;
	if (kind == KIND_FILE && !vault->file)
		return vault_open_file_now(vault, error);
	if (kind == KIND_KEYRING && !vault->child)
		vault->child = vault_child_new(vault->base, vault->database);
	return 0;
}

int
vault_move_start(struct vault *vault, const char *to, char *error)
{
	int result;

	if (vault->move)
		return refuse(error, -EBUSY, "secrets are being moved already");
	if (vault->sweep)
		return refuse(error, -EBUSY,
		    "items of an earlier move are still being removed; try again");
	result = strcmp(to, VAULT_MOVE_ROTATE) == 0 ? start_rotation(vault, error)
						    : start_migration(vault, to, error);
	if (result == 0) {
		vault_move_begin(vault, false);
	} else {
		vault->move_to = KIND_NONE;
		vault->rotate = false;
	}
	return result;
}

void
vault_move_state(const struct vault *vault, struct vault_move_state *ret_state)
{
	*ret_state = (struct vault_move_state){
		.to = vault->move ? move_name(vault) : NULL,
		.moved = vault->moved,
		.unreadable = vault->move_unreadable,
		.trouble = vault->move_trouble,
	};
}
