/*
 * Work on every row of a large table that a new version needs: too long for a step of
 * the schema (store_schema.c), which is done before the broker is ready. It runs
 * afterwards in small pieces, each in a transaction together with the place up to which
 * it has come (table `meta`, name `backfill/<name>`), so that it goes on where it was
 * after a stop or a crash, and no row is worked on twice.
 *
 * Until it is over the code reads both forms of a row, and writes only the new one.
 * broker/backfill.c runs the pieces.
 */
#ifndef BROKER_STORE_STORE_BACKFILL_H
#define BROKER_STORE_STORE_BACKFILL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

/* Rows in one piece. */
#define STORE_BACKFILL_ROWS 64

/* All texts are static. Names are never used again. */
struct store_backfill_step {
	const char *name;
	const char *table; /* nothing is done when there is none of that name */
	/* The integer key of the ?2-th row after the one with key ?1, from 0 on. */
	const char *find;
	/* Works on the rows with keys above ?1 up to ?2. Rows that have come since are
	 * among them: they must come out as they were. */
	const char *apply;
};

/* All of them, the oldest first; the last has no name. */
extern const struct store_backfill_step store_backfill_steps[];

struct store_backfill {
	const struct store_backfill_step *step;
	bool over;     /* nothing is left to do for this step */
	uint64_t rows; /* that this piece has changed */
	int trouble;   /* why it was not done, as a negative errno; 0: it was */
};

/* Does a piece of `step`. A step that fails by itself (a constraint, a full disk) is
 * undone and told in `trouble`, as the transaction belongs to others too. 0, or a
 * negative errno when the database itself failed. */
int store_backfill_run(struct db *db, struct store_backfill *work);

#endif
