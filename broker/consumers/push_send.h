/*
 * One attempt to push: the request as Standard Webhooks wants it (docs/consumers.md).
 */
#ifndef BROKER_CONSUMERS_PUSH_SEND_H
#define BROKER_CONSUMERS_PUSH_SEND_H

#include "broker/broker.h"
#include "broker/consumers/push_key.h"
#include "broker/outbound/fetch.h"
#include "broker/store/store_consumer.h"
#include "broker/store/store_event.h"
#include "common/buf.h"

/* Bytes of a sentence about an attempt. */
#define PUSH_SENTENCE_SIZE 256

/* Writes the body: {"type": ..., "timestamp": ..., "data": <the event>}. */
void
push_compose(const struct store_event *event, uint32_t extra_flags, struct buf *body);

/* Sends a body to a consumer's target, signed as of this second; by the secret before
 * the one in use as well while that is good. Everything is borrowed until it returns.
 * The callback is that of fetch_start. */
struct fetch *push_send(struct broker *broker, const struct store_consumer *row,
    const struct push_secrets *secrets, const char *id, const struct buf *body,
    bool redelivered, fetch_done_fn *done, void *arg);

/* What came of an attempt, as a sentence without foreign parts. */
void push_sentence(
    const struct fetch_reply *reply, char sentence[static PUSH_SENTENCE_SIZE]);

#endif
