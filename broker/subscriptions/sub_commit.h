/*
 * Storing what is on record of a channel: one job that writes all of it, and removes
 * the records that went. For sub_pass.c and sub_create.c.
 */
#ifndef BROKER_SUBSCRIPTIONS_SUB_COMMIT_H
#define BROKER_SUBSCRIPTIONS_SUB_COMMIT_H

#include "broker/flow.h"

struct sub_channel;
struct sub_commit;

typedef void sub_commit_done_fn(struct flow *flow, int result);

/* Begins to collect; freed by sub_commit_start, or by sub_commit_free, which accepts
 * NULL. */
struct sub_commit *sub_commit_new(void);
void sub_commit_free(struct sub_commit *commit);

/* The record of an id is to go. */
void sub_commit_delete(struct sub_commit *commit, const char *id);

/* Stores a copy of the channel's records and what *commit has collected (NULL:
 * nothing), which becomes NULL. The flow waits for it; `done` is not called when the
 * flow ended meanwhile. NULL as flow: nobody waits, a failure is logged. */
void
sub_commit_start(struct broker *broker, struct flow *flow, struct sub_commit **commit,
    const struct sub_channel *channel, sub_commit_done_fn *done);

#endif
