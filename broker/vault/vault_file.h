/*
 * The backends `file` and `memory`: AES-256-GCM under one key (design.md 4).
 */
#ifndef BROKER_VAULT_VAULT_FILE_H
#define BROKER_VAULT_VAULT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/secret.h"

struct paths;
struct vault_file;

/* What is known before the key is looked for. */
struct vault_file_options {
	const struct paths *paths;
	bool credential;         /* the key file is one that systemd hands over */
	const struct buf *check; /* what vault_file_check made with the right key;
				  * empty: nothing was sealed ever */
	uint64_t sealed_count;   /* sealed values that a wrong key would lose */
};

/* Finds or makes the key. *ret_fresh says that the check value has to be stored anew.
 * 0, or a negative errno and a sentence in `error` (VAULT_ERROR_SIZE bytes). */
int vault_file_open(const struct vault_file_options *options,
    struct vault_file **ret_file, bool *ret_fresh, char *error);

/* With a key that is forgotten with the process. */
struct vault_file *vault_memory_open(void);

/* Wipes the key and frees. NULL is allowed. */
void vault_file_close(struct vault_file *file);

/* Appends the check value to *check. */
void vault_file_check(const struct vault_file *file, struct buf *check);

/*
 * A new key beside the old one, in steps: make_next makes the file `<key file>.next`;
 * use_next seals with it from there on, and opens with both; end_rotation puts its file
 * in the place of the old one, after nothing is sealed with that any more. open_next
 * goes on after a crash: `check` is what vault_file_check_next made.
 */
int
vault_file_make_next(struct vault_file *file, const struct paths *paths, char *error);
int vault_file_open_next(struct vault_file *file, const struct paths *paths,
    const struct buf *check, char *error);
void vault_file_check_next(const struct vault_file *file, struct buf *check);
void vault_file_use_next(struct vault_file *file);
int vault_file_end_rotation(struct vault_file *file, const struct paths *paths);

/* Whether the bytes open with the key that new ones are sealed with. */
bool vault_file_is_newest(const struct vault_file *file, const char *name,
    uint64_t generation, const void *sealed, size_t length);

/* Appends the sealed bytes. */
void vault_file_seal(const struct vault_file *file, const char *name,
    uint64_t generation, const struct secret *plain, struct buf *sealed);

/* 0, or -EBADMSG; *ret_plain is the caller's to clear. */
int vault_file_unseal(const struct vault_file *file, const char *name,
    uint64_t generation, const void *sealed, size_t length, struct secret *ret_plain);

#endif
