/*
 * Pushing events to a consumer's target, one after the other and in order.
 *
 * Each consumer has a pusher of its own with at most one call running, so that a slow
 * or dead target delays nobody else; ingest never waits for any.
 */
#ifndef BROKER_CONSUMERS_PUSH_H
#define BROKER_CONSUMERS_PUSH_H

#include "broker/broker.h"
#include "proto/proto.h"

struct consumer;
struct metrics;
struct push;

/* Events that are read at once for a pusher, and bytes of their bodies after which no
 * further one is read. */
#define PUSH_BATCH 50
#define PUSH_BATCH_BYTES ((size_t)256 * 1024)

/* Begins to push to a consumer, which must live longer. */
struct push *push_new(struct broker *broker, struct consumer *consumer);

/* Ends it: an attempt that is under way is broken off, and is made again, marked as
 * redelivered, by the next pusher. NULL is allowed. */
void push_free(struct push *push);

/* There may be something new. NULL is allowed. */
void push_kick(struct push *push);

/* Does not wait for the next planned attempt, and begins again after the consumer has
 * been switched on. NULL is allowed. */
void push_now(struct push *push);

/* The consumer's secrets have changed: what is signed from here on is signed with the
 * new ones. An attempt that is under way goes on. NULL is allowed. */
void push_rekey(struct push *push);

/* Fills in state, trouble, since and retry_at. Texts are borrowed. */
void push_show(const struct push *push, struct proto_consumer *shown);

/* What all pushers of this process have done. */
void push_write_metrics(struct metrics *metrics, struct broker *broker);

#endif
