/*
 * Long work on the database that a new version brought: runs after the broker is ready,
 * in small pieces with pauses, beside everything else (store/store_backfill.h).
 */
#ifndef BROKER_BACKFILL_H
#define BROKER_BACKFILL_H

#include <stdint.h>

#include "broker/broker.h"

/* A piece is followed by a pause of so many times its own length, and at least so many
 * ms, in which others have the database to themselves. */
#define BACKFILL_PAUSE_FACTOR 4
#define BACKFILL_PAUSE_MS 5

/* After a piece found no room on the disk. */
#define BACKFILL_RETRY_MS 10000

/* Begins with the first work that is not over. The store is there; call when the broker
 * is ready. backfill_stop may come while it works: the next start goes on. */
void backfill_start(struct broker *broker);
void backfill_stop(struct broker *broker);

/* The name of the work in progress and the rows that it has changed since the start;
 * NULL when there is none. */
const char *backfill_running(const struct broker *broker, uint64_t *ret_rows);

#endif
