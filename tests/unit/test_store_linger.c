/*
 * Batches on a slow disk: who was answered by one commit meets in the next one, and
 * nobody is waited for who does not come.
 */
#include <time.h>

#include "store_fixture.h"

#define SENDERS 16
#define SYNC_MS 20
/* What a sender takes at most between its answer and its next job. */
#define BREAK_MS 3

/* Takes the place of libc's in SQLite as well. */
int
fdatasync(int fd)
{
	const struct timespec slow = { .tv_nsec = SYNC_MS * 1000000L };

	(void)fd;
	return nanosleep(&slow, NULL);
}

/* Sends a job, and after its answer the next one, so many times. */
struct sender {
	struct store_job job;
	struct event *next;
	unsigned left;
	unsigned number;
};

static unsigned working;

static int
run_sender(struct store_job *job, struct db *db)
{
	struct sender *sender = (struct sender *)job;
	char name[32];

	snprintf(name, sizeof(name), "%p %u", (void *)sender, sender->number);
	return put_row(db, name, 100);
}

static void
done_sender(struct store_job *job, int result)
{
	/* Not all at once, as answers go out one after the other. */
	const struct timeval pause = { .tv_usec = BREAK_MS * 1000 *
		    (long)(((struct sender *)job)->number % 3) / 2 };
	struct sender *sender = (struct sender *)job;

	assert_int_equal(result, 0);
	sender->number++;
	if (--sender->left > 0)
		event_add(sender->next, &pause);
	else
		working--;
}

static void
on_next(evutil_socket_t fd, short what, void *arg)
{
	struct sender *sender = arg;

	(void)fd;
	(void)what;
	store_submit(store, &sender->job);
}

static void
start(struct sender *senders, size_t count, unsigned times)
{
	size_t i;

	for (i = 0; i < count; i++) {
		senders[i] = (struct sender){
			.job = { .run = run_sender, .done = done_sender },
			.number = (unsigned)i,
			.left = times,
		};
		senders[i].next = event_new(base, -1, 0, on_next, &senders[i]);
		working++;
	}
}

static void
end(struct sender *senders, size_t count)
{
	while (count > 0)
		event_free(senders[--count].next);
}

/* One after the other, so that commit and senders begin in two groups. */
static void
send_one_by_one(struct sender *senders, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		store_submit(store, &senders[i].job);
		usleep(SYNC_MS * 1000 / 4);
		turn();
	}
}

static void
who_was_answered_meets_in_the_next_commit(void **state)
{
	struct sender senders[SENDERS];
	struct store_stats before;
	struct store_stats after;

	(void)state;
	start(senders, SENDERS, 30);
	send_one_by_one(senders, SENDERS);
	RUN_UNTIL(senders[0].left < 25);
	store_stats(store, &before);
	RUN_UNTIL(working == 0);
	store_stats(store, &after);
	end(senders, SENDERS);
	/* In two groups it would be 8. */
	assert_true(
	    (after.jobs - before.jobs) / (after.commits - before.commits) >= 12);
}

static void
who_does_not_come_back_is_not_waited_for_long(void **state)
{
	struct sender senders[SENDERS];
	struct sender last;
	int64_t started;

	(void)state;
	start(senders, SENDERS, 3);
	send_one_by_one(senders, SENDERS);
	RUN_UNTIL(working == 0);
	end(senders, SENDERS);
	start(&last, 1, 1);
	started = time_boot_ms();
	store_submit(store, &last.job);
	RUN_UNTIL(working == 0);
	/* Its own sync, what is left of a checkpoint's two, and LINGER_MAX_US. */
	assert_true(time_boot_ms() - started < 20 * SYNC_MS);
	end(&last, 1);
}

#define WITH_STORE(name) \
	cmocka_unit_test_setup_teardown(name, make_store, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(who_was_answered_meets_in_the_next_commit),
		WITH_STORE(who_does_not_come_back_is_not_waited_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
