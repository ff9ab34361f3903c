/*
 * A pusher's insides, shared by push.c, which decides what is next, and push_store.c,
 * which keeps it. Nobody else includes this.
 */
#ifndef BROKER_CONSUMERS_PUSH_INNER_H
#define BROKER_CONSUMERS_PUSH_INNER_H

#include "broker/consumers/consumers.h"
#include "broker/consumers/push.h"
#include "broker/consumers/push_key.h"
#include "broker/consumers/push_send.h"
#include "broker/consumers/push_sign.h"

struct event;
struct events_read;
struct fetch;
struct push_job;
struct push_key;

enum push_step {
	STEP_idle,
	STEP_key,
	STEP_letter,
	STEP_read,
	STEP_mark,
	STEP_send,
	STEP_wait,
	STEP_store,
	STEP_off,
};

struct push {
	struct broker *broker;
	struct consumer *consumer;
	enum push_step step;
	struct push_secrets secrets; /* `now` is empty: to be got */

	/* What is waited for; at most one. */
	struct push_key *key;
	struct events_read *read;
	struct push_job *job;
	struct fetch *fetch;
	struct event *timer;

	struct store_event *events; /* the batch */
	size_t count;
	size_t at;              /* the next one */
	uint64_t handed_before; /* events up to this seq were marked before */
	int64_t read_at;        /* boot-time ms of the last read */
	struct event *flush;    /* pending while the cursor is ahead of the disk */
	struct store_dead dead; /* the letter that is tried again; seq 0: none */

	/* The event whose turn it is. */
	char id[PUSH_ID_SIZE];
	struct buf body;
	unsigned tries;  /* attempts so far */
	unsigned faults; /* of these, such as may be the event's fault */

	/* For those who look. */
	int64_t failing_since; /* wall clock ms, 0: it is not */
	int64_t retry_at;
	char trouble[PUSH_SENTENCE_SIZE];
};

/* push.c: begins whatever there is to do; the step must be idle. */
void push_next(struct push *push);

/* push.c: the event whose turn it is (or the letter) is done, one way or the other. */
void push_end_event(struct push *push);

/* push.c: forgets the batch, and the attempts at its next event. What of it was not
 * taken is behind no cursor and is read again. */
void push_drop(struct push *push);

/* push.c: the database failed. What was read is forgotten and read again later. */
void push_wait_for_storage(struct push *push);

/* push_store.c: each is one job, and goes on with push_next. The first one reads a dead
 * letter that is to be tried again into push->dead; the second one stores cursor and
 * hand-out, and removes the letter `forget` unless that is 0; the third one makes a
 * dead letter of the event whose turn it is; the last one switches the consumer off. */
void push_load_letter(struct push *push);
void push_mark(struct push *push, uint64_t forget);
void push_bury(struct push *push);
void push_disable(struct push *push);

/* push_store.c: nobody waits for the job any more. */
void push_job_abandon(struct push_job *job);

/* push_store.c: events that were given up. */
uint64_t push_died(void);

#endif
