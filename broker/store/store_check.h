/*
 * Looking for damage in the database file: what the disk gives back is not what was
 * written to it.
 */
#ifndef BROKER_STORE_STORE_CHECK_H
#define BROKER_STORE_STORE_CHECK_H

#include <stdint.h>

#include "broker/store/store.h"

struct db;

/* Findings of one check at most; a damaged file can give thousands. */
#define STORE_CHECK_MAX 20

/* Called for each finding, with a sentence. */
typedef void store_check_fn(void *arg, const char *finding);

/* Reads all of the database that no broker has open: its structure, its indexes, and
 * every event against its checksum. Takes as long as reading the file does. Changes
 * nothing but that a WAL which was left behind is taken over, as at every opening.
 * *ret_events: how many events were read. The number of findings (0: it is sound), or
 * a negative errno and a sentence in `error` (STORE_ERROR_SIZE bytes): -ENOENT when
 * there is no database, -EBUSY when a broker has it open. */
int store_check(const char *path, store_check_fn *found, void *arg,
    uint64_t *ret_events, char *error);

/* Reads all tables but the few that grow with the events, which takes milliseconds
 * whatever is stored. 0, or -EBADMSG and the finding (size bytes). */
int store_check_small(struct db *db, char *finding, size_t size);

#endif
