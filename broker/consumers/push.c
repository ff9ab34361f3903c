/*
 * A pusher, step by step:
 *
 *   idle    nothing to do, or about to look what there is to do (push_next)
 *   key     get the secret from the vault
 *   letter  read a dead letter that somebody wants to be tried again
 *   read    a batch of events after the cursor
 *   mark    that they may have been handed out, durable before the first one leaves
 *   send    the oldest of them, and wait for the answer
 *   wait    until the next attempt, or until more has gathered
 *   store   what an answer leads to: a dead letter, or the end (410)
 *   off     switched off until somebody enables it
 *
 * The cursor follows each answer in memory and reaches the disk with the next mark, or
 * within a second. What a crash leaves behind is handed out again, marked as
 * redelivered. Owned by its consumer; push_store.c does what is kept.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/consumers/push_inner.h"
#include "broker/consumers/push_key.h"
#include "broker/consumers/push_verdict.h"
#include "broker/events/latency.h"
#include "broker/events/read.h"
#include "broker/metrics.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/time.h"

/* After a batch that was not full, more may gather for so long. */
#define PUSH_GATHER_MS 25
/* The cursor reaches the disk at least so soon. */
#define PUSH_FLUSH_MS 1000
/* The secret or the database cannot be had. */
#define PUSH_TROUBLE_MS 5000

static struct {
	uint64_t attempts;
	uint64_t verdicts[PUSH_VERDICT_MAX];
} figures;

static void wait_ms(struct push *, uint64_t);
static void on_timer(evutil_socket_t, short, void *);
static void on_flush(evutil_socket_t, short, void *);
static void load_key(struct push *);
static void on_key(void *, struct push_secrets *, const char *);
static void read_batch(struct push *);
static void on_batch(void *, int, const struct events_page *);
static void mark(struct push *);
static void send_event(struct push *);
static void send_letter(struct push *);
static void attempt(struct push *, bool);
static void on_reply(void *, struct fetch_reply *);
static void on_taken(struct push *);
static void on_missed(struct push *, enum push_verdict, const struct fetch_reply *);

/* ---- Birth and death ---- */

struct push *
push_new(struct broker *broker, struct consumer *consumer)
{
	struct push *push = xcalloc(1, sizeof(*push));

	push->broker = broker;
	push->consumer = consumer;
	push->events = xcalloc(PUSH_BATCH, sizeof(*push->events));
	push->timer = evtimer_new(broker->base, on_timer, push);
	push->flush = evtimer_new(broker->base, on_flush, push);
	if (!push->timer || !push->flush)
		abort();
	/* From the loop: who made this has not finished yet. */
	wait_ms(push, 0);
	return push;
}

static void
drop_batch(struct push *push)
{
	while (push->count > 0)
		store_event_clear(&push->events[--push->count]);
	push->at = 0;
}

void
push_drop(struct push *push)
{
	drop_batch(push);
	store_dead_clear(&push->dead);
	push->tries = push->faults = 0;
}

void
push_free(struct push *push)
{
	if (!push)
		return;
	if (push->key)
		push_key_cancel(push->key);
	if (push->read)
		events_read_cancel(push->read);
	if (push->job)
		push_job_abandon(push->job);
	if (push->fetch)
		fetch_cancel(push->fetch);
	event_free(push->timer);
	event_free(push->flush);
	drop_batch(push);
	free(push->events);
	store_dead_clear(&push->dead);
	buf_clear(&push->body);
	push_secrets_clear(&push->secrets);
	free(push);
}

void
push_kick(struct push *push)
{
	if (push && push->step == STEP_idle)
		push_next(push);
}

void
push_now(struct push *push)
{
	if (!push || (push->step != STEP_wait && push->step != STEP_off))
		return;
	evtimer_del(push->timer);
	push->step = STEP_idle;
	push->read_at = 0;
	push_next(push);
}

/* ---- What to do next ---- */

static uint64_t
gather_ms(const struct push *push)
{
	int64_t since = time_boot_ms() - push->read_at;

	return since >= PUSH_GATHER_MS ? 0 : (uint64_t)(PUSH_GATHER_MS - since);
}

/* The cursor is ahead of the disk. */
static void
flush_soon(struct push *push)
{
	const struct timeval in = { .tv_sec = PUSH_FLUSH_MS / 1000,
		.tv_usec = PUSH_FLUSH_MS % 1000 * 1000 };

	if (!evtimer_pending(push->flush, NULL))
		evtimer_add(push->flush, &in);
}

static void
on_flush(evutil_socket_t fd, short events, void *arg)
{
	struct push *push = arg;

	(void)fd;
	(void)events;
	consumer_flush(push->broker, push->consumer);
}

void
push_next(struct push *push)
{
	const struct store_consumer *row = &push->consumer->row;

	assert(push->step == STEP_idle);
	if (row->disabled_at)
		push->step = STEP_off;
	else if (!push->secrets.now.length)
		load_key(push);
	else if (push->dead.seq)
		send_letter(push);
	else if (push->consumer->dead_retry && push->tries == 0)
		push_load_letter(push);
	else if (push->at < push->count)
		send_event(push);
	else if (hub_last_seq(push->broker) <= row->cursor)
		push->step = STEP_idle;
	else if (gather_ms(push))
		wait_ms(push, gather_ms(push));
	else
		read_batch(push);
}

static void
wait_ms(struct push *push, uint64_t ms)
{
	const struct timeval in = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	push->step = STEP_wait;
	evtimer_add(push->timer, &in);
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct push *push = arg;

	(void)fd;
	(void)events;
	push->step = STEP_idle;
	push->retry_at = 0;
	push_next(push);
}

/* Something of ours is in the way: said, and tried again later. */
static void
wait_for_us(struct push *push, const char *trouble)
{
	if (!push->failing_since) {
		push->failing_since = time_now_ms();
		log_warning("push", "'%s' waits: %s", push->consumer->row.name,
		    log_quote(trouble));
	}
	(void)snprintf(push->trouble, sizeof(push->trouble), "%s", trouble);
	push->retry_at = time_now_ms() + PUSH_TROUBLE_MS;
	wait_ms(push, PUSH_TROUBLE_MS);
}

void
push_wait_for_storage(struct push *push)
{
	push_drop(push);
	wait_for_us(push, "the database failed; nothing is lost");
}

/* ---- The secret ---- */

static void
load_key(struct push *push)
{
	push->step = STEP_key;
	push->key = push_key_load(push->broker, push->consumer, on_key, push);
}

void
push_rekey(struct push *push)
{
	if (!push)
		return;
	push_secrets_clear(&push->secrets);
	if (push->step != STEP_key)
		return;
	push_key_cancel(push->key);
	load_key(push);
}

static void
on_key(void *arg, struct push_secrets *secrets, const char *trouble)
{
	struct push *push = arg;

	push->key = NULL;
	push->step = STEP_idle;
	if (trouble) {
		wait_for_us(push, trouble);
	} else {
		push_secrets_move(&push->secrets, secrets);
		push_next(push);
	}
}

/* ---- A batch ---- */

static void
read_batch(struct push *push)
{
	struct store_event_query query;

	drop_batch(push);
	push->step = STEP_read;
	push->read_at = time_boot_ms();
	consumer_query(push->consumer, PUSH_BATCH, &query);
	query.bytes_max = PUSH_BATCH_BYTES;
	push->read = events_read(push->broker, &query, on_batch, push);
}

static void
on_batch(void *arg, int result, const struct events_page *page)
{
	struct push *push = arg;
	struct consumer *consumer = push->consumer;

	push->read = NULL;
	push->step = STEP_idle;
	if (result < 0) {
		push_wait_for_storage(push);
		return;
	}
	if (page->count == 0) {
		/* Everything before the cursor was taken, so nothing hinders. */
		consumer->row.cursor = page->seen;
		consumer_give(consumer, page->seen);
		flush_soon(push);
		push_next(push);
		return;
	}
	memcpy(push->events, page->events, page->count * sizeof(*push->events));
	memset(page->events, 0, page->count * sizeof(*page->events));
	push->count = page->count;
	if (page->count == PUSH_BATCH)
		push->read_at = 0;
	mark(push);
}

static void
mark(struct push *push)
{
	struct consumer *consumer = push->consumer;
	const uint64_t last = push->events[push->count - 1].seq;

	push->handed_before = consumer->row.handed;
	consumer_give(consumer, last);
	if (last <= consumer->given_durable) {
		push_next(push);
		return;
	}
	evtimer_del(push->flush); /* the mark has the cursor too */
	push_mark(push, 0);
}

/* ---- An attempt ---- */

static void
send_event(struct push *push)
{
	const struct store_event *event = &push->events[push->at];
	bool again = event->seq <= push->handed_before;

	push_id(event->platform, event->message_id, push->id);
	buf_clear(&push->body);
	push_compose(event, again ? EVENT_REDELIVERED : 0, &push->body);
	if (!again)
		push->handed_before = event->seq;
	attempt(push, again);
}

static void
send_letter(struct push *push)
{
	(void)snprintf(push->id, sizeof(push->id), "%s", push->dead.id);
	buf_clear(&push->body);
	buf_add(&push->body, buf_bytes(&push->dead.body), buf_length(&push->dead.body));
	attempt(push, true);
}

static void
attempt(struct push *push, bool again)
{
	push->step = STEP_send;
	push->tries++;
	figures.attempts++;
	push->fetch = push_send(push->broker, &push->consumer->row, &push->secrets,
	    push->id, &push->body, again, on_reply, push);
}

static void
on_reply(void *arg, struct fetch_reply *reply)
{
	struct push *push = arg;
	enum push_verdict verdict = push_judge(reply->result, reply->status);

	push->fetch = NULL;
	push->step = STEP_idle;
	figures.verdicts[verdict]++;
	if (verdict == PUSH_taken)
		on_taken(push);
	else if (verdict == PUSH_gone)
		push_disable(push);
	else
		on_missed(push, verdict, reply);
}

/* ---- What came of it ---- */

/* The event is done, one way or the other. */
void
push_end_event(struct push *push)
{
	push->tries = push->faults = 0;
	if (push->dead.seq) {
		store_dead_clear(&push->dead);
		return;
	}
	push->consumer->row.cursor = push->events[push->at].seq;
	store_event_clear(&push->events[push->at++]);
	if (push->at == push->count)
		drop_batch(push);
}

static void
on_taken(struct push *push)
{
	const uint64_t letter = push->dead.seq;

	if (push->failing_since)
		log_info("push", "'%s' takes events again", push->consumer->row.name);
	push->failing_since = 0;
	push->consumer->row.seen_at = time_now_ms();
	if (!letter)
		latency_handed(push->broker, &push->events[push->at], time_now_ms());
	push_end_event(push);
	if (letter) {
		push_mark(push, letter);
		return;
	}
	flush_soon(push);
	push_next(push);
}

static void
on_missed(struct push *push, enum push_verdict verdict, const struct fetch_reply *reply)
{
	const struct config *config = &push->broker->config;
	unsigned most =
	    push_attempts(verdict, (unsigned)config->consumers.push_attempts);
	uint32_t chance;
	uint64_t delay;

	push_sentence(reply, push->trouble);
	if (!push->failing_since) {
		push->failing_since = time_now_ms();
		log_warning("push", "'%s' did not take an event: %s; trying again",
		    push->consumer->row.name, push->trouble);
	}
	push->faults += most > 0;
	/* A letter has died before; one more answer is what was asked for. */
	if (most > 0 && (push->dead.seq || push->faults >= most)) {
		push_bury(push);
		return;
	}
	crypto_random(&chance, sizeof(chance));
	delay = push_delay_ms(push->tries, config->consumers.push_retry_ms,
	    (uint64_t)config->consumers.push_retry_max_s * 1000, reply->retry_after_s,
	    chance);
	push->retry_at = time_now_ms() + (int64_t)delay;
	wait_ms(push, delay);
}

/* ---- Looking ---- */

void
push_show(const struct push *push, struct proto_consumer *shown)
{
	if (!push->failing_since)
		return;
	shown->state = "failing";
	shown->trouble = push->trouble;
	shown->since = (uint64_t)push->failing_since;
	shown->retry_at = (uint64_t)push->retry_at;
}

void
push_write_metrics(struct metrics *metrics, struct broker *broker)
{
	static const char *const names[PUSH_VERDICT_MAX] = { "taken", "gone", "away",
		"failed", "unwanted" };
	struct consumer *consumer;
	int i;

	metric_one(metrics, "streamhold_push_attempts_total", METRIC_COUNTER,
	    "Attempts to push an event.", figures.attempts);
	metric_family(metrics, "streamhold_push_answers_total", METRIC_COUNTER,
	    "What came of them.");
	for (i = 0; i < PUSH_VERDICT_MAX; i++)
		metric_put(metrics, figures.verdicts[i], "verdict", names[i], NULL);
	metric_one(metrics, "streamhold_push_dead_letters_total", METRIC_COUNTER,
	    "Events that were given up.", push_died());
	metric_family(metrics, "streamhold_push_failing", METRIC_GAUGE,
	    "1 while a consumer does not take events, else 0.");
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		if (consumer->push)
			metric_put(metrics, consumer->push->failing_since != 0,
			    "consumer", consumer->row.name, NULL);
}
