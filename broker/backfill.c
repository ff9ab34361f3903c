/*
 * Runs the long works of store/store_backfill.c one after the other, a piece a time.
 * Owns the timer and the job under way. Called by start.c and report.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/backfill.h"
#include "broker/store/store_backfill.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

struct piece {
	struct store_job job;
	struct backfill *backfill;
	struct store_backfill work;
	int64_t spent_us;
};

struct backfill {
	struct broker *broker;
	const struct store_backfill_step *step; /* its name is NULL at the end */
	uint64_t rows;                          /* of this step, since the start */
	bool told;                              /* that it has begun */
	struct event *timer;
	struct piece *piece; /* NULL: none is under way */
};

static void
wake_in(struct backfill *backfill, int64_t ms)
{
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000 };

	event_add(backfill->timer, &wait);
}

static int
run_piece(struct store_job *job, struct db *db)
{
	struct piece *piece = (struct piece *)job;
	int64_t start = time_boot_us();
	int result = store_backfill_run(db, &piece->work);

	piece->spent_us = time_boot_us() - start;
	return result;
}

static void
next_step(struct backfill *backfill)
{
	backfill->step++;
	backfill->rows = 0;
	backfill->told = false;
}

/* Says how it stands, and when to go on, ms. */
static int64_t
judge(struct backfill *backfill, const struct store_backfill *work, int64_t spent_us)
{
	const char *name = backfill->step->name;

	backfill->rows += work->rows;
	if (work->trouble == -ENOSPC)
		return BACKFILL_RETRY_MS;
	if (work->trouble) {
		log_error("store",
		    "the rows for '%s' could not be brought into their new form: %s; "
		    "everything else goes on, it is tried again at the next start",
		    name, strerror(-work->trouble));
		next_step(backfill);
		return 0;
	}
	if (work->over && backfill->rows)
		log_info("store",
		    "the rows for '%s' have their new form, %" PRIu64
		    " since the start",
		    name, backfill->rows);
	if (work->over) {
		next_step(backfill);
		return 0;
	}
	if (!backfill->told)
		log_info("store",
		    "bringing the rows for '%s' into their new form, a few at a time",
		    name);
	backfill->told = true;
	return BACKFILL_PAUSE_MS + BACKFILL_PAUSE_FACTOR * spent_us / 1000;
}

static void
done_piece(struct store_job *job, int result)
{
	struct piece *piece = (struct piece *)job;
	struct backfill *backfill = piece->backfill;
	int64_t pause = BACKFILL_RETRY_MS;

	backfill->piece = NULL;
	/* A failure belongs to the whole transaction, and whoever else is in it says
	 * so: nothing of this piece was stored. */
	if (result == 0)
		pause = judge(backfill, &piece->work, piece->spent_us);
	free(piece);
	if (!store_is_closing(backfill->broker->store) && backfill->step->name)
		wake_in(backfill, pause);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct backfill *backfill = arg;
	struct piece *piece = xcalloc(1, sizeof(*piece));

	(void)fd;
	(void)what;
	piece->job = (struct store_job){ .run = run_piece, .done = done_piece };
	piece->backfill = backfill;
	piece->work.step = backfill->step;
	backfill->piece = piece;
	store_submit(backfill->broker->store, &piece->job);
}

static void
discard_piece(struct store_job *job, int result)
{
	(void)result;
	free(job);
}

void
backfill_start(struct broker *broker)
{
	struct backfill *backfill = xcalloc(1, sizeof(*backfill));

	backfill->broker = broker;
	backfill->step = store_backfill_steps;
	backfill->timer = event_new(broker->base, -1, 0, on_timer, backfill);
	if (!backfill->timer)
		abort();
	broker->backfill = backfill;
	if (backfill->step->name)
		wake_in(backfill, BACKFILL_PAUSE_MS);
}

void
backfill_stop(struct broker *broker)
{
	struct backfill *backfill = broker->backfill;

	if (!backfill)
		return;
	if (backfill->piece)
		store_abandon(&backfill->piece->job, discard_piece);
	event_free(backfill->timer);
	free(backfill);
	broker->backfill = NULL;
}

const char *
backfill_running(const struct broker *broker, uint64_t *ret_rows)
{
	const struct backfill *backfill = broker->backfill;

	if (!backfill || !backfill->step->name || !backfill->told)
		return NULL;
	*ret_rows = backfill->rows;
	return backfill->step->name;
}
